// Any bytes, in any reads: the frames are the same as in one read, within the limit, and readable
// beyond their end. First byte: framing, second: size of the reads.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "ingest/frame_reader.h"

namespace {

using bettong::ingest::Frame;
using bettong::ingest::FrameReader;
using bettong::ingest::Framing;

constexpr size_t kLimit = 64;

std::vector<std::string> Read(Framing framing, std::string_view bytes, size_t part_bytes) {
  FrameReader reader(framing, kLimit);
  std::vector<std::string> seen;
  std::string padding;  // copied from behind each frame: AddressSanitizer watches
  const auto drain = [&] {
    for (Frame frame = reader.Next(); frame.kind != Frame::Kind::kNone; frame = reader.Next()) {
      BETTONG_CHECK(frame.kind != Frame::Kind::kFrame || frame.text.size() <= kLimit);
      if (frame.kind == Frame::Kind::kFrame) {
        padding.assign(frame.text.data() + frame.text.size(), bettong::ingest::kFramePaddingBytes);
      }
      seen.push_back(std::to_string(static_cast<int>(frame.kind)) + " " +
                     std::to_string(frame.size_bytes) + " " + std::string(frame.text));
    }
  };
  while (!bytes.empty()) {
    const std::span<char> room = reader.Writable();
    const size_t size = std::min({room.size(), bytes.size(), part_bytes});
    std::memcpy(room.data(), bytes.data(), size);
    reader.Commit(size);
    bytes.remove_prefix(size);
    drain();
  }
  reader.Finish();
  drain();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Framing framing = data[0] % 2 == 0 ? Framing::kLines : Framing::kLength32;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  BETTONG_CHECK(Read(framing, bytes, SIZE_MAX) == Read(framing, bytes, 1 + data[1] % 100));
  return 0;
}
