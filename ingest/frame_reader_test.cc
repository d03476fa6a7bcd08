#include "ingest/frame_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace bettong::ingest {
namespace {

struct Seen {
  Frame::Kind kind;
  std::string text;
  uint64_t size_bytes;
  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << "{" << static_cast<int>(seen.kind) << " '" << seen.text << "' " << seen.size_bytes << "}";
}

void Feed(FrameReader& reader, std::string_view bytes) {
  while (!bytes.empty()) {
    std::span<char> room = reader.Writable();
    const size_t size = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), size);
    reader.Commit(size);
    bytes.remove_prefix(size);
  }
}

void Drain(FrameReader& reader, std::vector<Seen>& seen) {
  for (Frame frame = reader.Next(); frame.kind != Frame::Kind::kNone; frame = reader.Next()) {
    seen.push_back({frame.kind, std::string(frame.text), frame.size_bytes});
  }
}

// Feeds `parts`, taking out all frames after each, then ends the input.
std::vector<Seen> Read(Framing framing, size_t frame_bytes_max,
                       const std::vector<std::string_view>& parts) {
  FrameReader reader(framing, frame_bytes_max);
  std::vector<Seen> seen;
  for (std::string_view part : parts) {
    Feed(reader, part);
    Drain(reader, seen);
  }
  reader.Finish();
  Drain(reader, seen);
  return seen;
}

Seen Whole(std::string text) {
  const uint64_t size = text.size();
  return {Frame::Kind::kFrame, std::move(text), size};
}

std::string Length32(std::string_view text) {
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>(text.size() >> shift));
  }
  return frame.append(text);
}

void ExpectSameAtEverySplit(Framing framing, size_t frame_bytes_max, const std::string& input,
                            const std::vector<Seen>& expected) {
  EXPECT_EQ(Read(framing, frame_bytes_max, {input}), expected);
  for (size_t i = 0; i <= input.size(); ++i) {
    for (size_t j = i; j <= input.size(); ++j) {
      std::string_view all = input;
      EXPECT_EQ(
          Read(framing, frame_bytes_max, {all.substr(0, i), all.substr(i, j - i), all.substr(j)}),
          expected)
          << "split at " << i << " and " << j;
    }
  }
}

TEST(FrameReader, LinesAreTheSameAtEverySplit) {
  ExpectSameAtEverySplit(Framing::kLines, 20, "{\"a\":1}\n\r\n\n  \t\r\n{\"b\":2}\r\nlast",
                         {Whole("{\"a\":1}"), Whole("{\"b\":2}"), Whole("last")});
}

TEST(FrameReader, OverlongLinesAreSkippedAtEverySplit) {
  ExpectSameAtEverySplit(Framing::kLines, 4, "abcde\nabcd\nabcd\r\nabcdefgh\r\nok\n12345678",
                         {{Frame::Kind::kTooLong, "abcde", 5},
                          Whole("abcd"),
                          Whole("abcd"),
                          {Frame::Kind::kTooLong, "abcdefgh", 8},
                          Whole("ok"),
                          {Frame::Kind::kTooLong, "12345678", 8}});
}

TEST(FrameReader, LengthPrefixedFramesAreTheSameAtEverySplit) {
  ExpectSameAtEverySplit(Framing::kLength32, 100,
                         Length32("one") + Length32("") + Length32("t\nw\no") + Length32("3"),
                         {Whole("one"), Whole("t\nw\no"), Whole("3")});
}

TEST(FrameReader, InputEndingInsideALengthPrefixedFrameIsAnswered) {
  std::string input = Length32("one") + Length32("truncated").substr(0, 7);
  EXPECT_EQ(Read(Framing::kLength32, 100, {input}),
            (std::vector<Seen>{Whole("one"), {Frame::Kind::kTruncated, "tru", 3}}));
  EXPECT_EQ(Read(Framing::kLength32, 100, {"\0\0"}).size(), 0u);
  EXPECT_EQ(Read(Framing::kLength32, 100, {std::string_view("\0\0", 2)}),
            (std::vector<Seen>{{Frame::Kind::kTruncated, "", 0}}));
}

TEST(FrameReader, LengthOverTheLimitEndsTheFlow) {
  std::string input = Length32("one") + Length32(std::string(101, 'x')) + Length32("two");
  ExpectSameAtEverySplit(Framing::kLength32, 100, input.substr(0, 30),
                         {Whole("one"), {Frame::Kind::kBadLength, "", 101}});
}

TEST(FrameReader, FramesUpToTheLimitPass) {
  std::string line(kFrameBytesMax, 'x');
  FrameReader lines(Framing::kLines);
  std::vector<Seen> seen;
  std::string input = line + "\r\n" + line + "y\n";
  for (std::string_view rest = input; !rest.empty();) {
    std::span<char> room = lines.Writable();
    size_t size = std::min(room.size(), rest.size());
    std::memcpy(room.data(), rest.data(), size);
    lines.Commit(size);
    rest.remove_prefix(size);
    Drain(lines, seen);
  }
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0], Whole(line));
  EXPECT_EQ(seen[1].kind, Frame::Kind::kTooLong);
  EXPECT_EQ(seen[1].size_bytes, kFrameBytesMax + 1);
  EXPECT_EQ(seen[1].text, std::string(kFrameEvidenceBytesMax, 'x'));
}

TEST(FrameReader, HugeLineTakesBoundedMemory) {
  FrameReader reader(Framing::kLines, 1000);
  size_t capacity_max = 0;
  uint64_t sent = 0;
  for (int i = 0; i < 1000; ++i) {
    std::span<char> room = reader.Writable();
    std::memset(room.data(), 'x', room.size());
    reader.Commit(room.size());
    sent += room.size();
    EXPECT_EQ(reader.Next().kind, Frame::Kind::kNone);
    capacity_max = std::max(capacity_max, reader.capacity_bytes());
  }
  EXPECT_LE(capacity_max, 2 * kReadBytesMax);
  Feed(reader, "\nok\n");
  Frame frame = reader.Next();
  EXPECT_EQ(frame.kind, Frame::Kind::kTooLong);
  EXPECT_EQ(frame.size_bytes, sent);
  EXPECT_EQ(frame.text.size(), kFrameEvidenceBytesMax);
  EXPECT_EQ(reader.Next().text, "ok");
}

TEST(FrameReader, EveryFrameIsReadableBeyondItsEnd) {
  FrameReader reader(Framing::kLines);
  std::span<char> room = reader.Writable();
  std::memset(room.data(), 'x', room.size());
  reader.Commit(room.size());
  reader.Finish();
  Frame frame = reader.Next();
  ASSERT_EQ(frame.kind, Frame::Kind::kFrame);
  int sum = 0;  // AddressSanitizer watches
  for (size_t i = 0; i < kFramePaddingBytes; ++i) sum += frame.text.data()[frame.text.size() + i];
  EXPECT_EQ(sum, 0);
}

}  // namespace
}  // namespace bettong::ingest
