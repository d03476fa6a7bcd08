// The parser must give the same commands however its input is cut, and never read beyond it.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "protocol/resp_parser.h"

namespace {

using bettong::protocol::RespParser;

struct Parsed {
  std::vector<std::vector<std::string>> commands;
  std::string error;
  bool operator==(const Parsed&) const = default;
};

// Reads `bytes` in pieces of `step`; each call of Next sees a buffer of exactly its size.
Parsed Parse(std::string_view bytes, size_t step) {
  Parsed parsed;
  RespParser parser;
  size_t begin = 0, end = 0;
  while (end < bytes.size()) {
    end = std::min(end + step, bytes.size());
    for (;;) {
      const size_t size = end - begin;
      std::unique_ptr<char[]> exact(new char[size]);
      bytes.substr(begin, size).copy(exact.get(), size);
      const auto result = parser.Next(std::string_view(exact.get(), size));
      if (result == RespParser::Result::kIncomplete) break;
      if (result == RespParser::Result::kError) {
        parsed.error = parser.error();
        return parsed;
      }
      if (result == RespParser::Result::kCommand) {
        std::vector<std::string_view> args(parser.arg_count());
        parser.TakeArgs(exact.get(), args.data());
        parsed.commands.emplace_back(args.begin(), args.end());
      }
      BETTONG_CHECK(parser.consumed() > 0 && parser.consumed() <= size);
      begin += parser.consumed();
    }
  }
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kBytesMax = 4096;
  const std::string_view bytes(reinterpret_cast<const char*>(data), std::min(size, kBytesMax));
  const Parsed whole = Parse(bytes, bytes.size() + 1);
  BETTONG_CHECK(Parse(bytes, 1) == whole);
  BETTONG_CHECK(Parse(bytes, 7) == whole);
  return 0;
}
