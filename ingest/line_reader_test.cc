#include "ingest/line_reader.h"

#include <gtest/gtest.h>

#include "ingest/graphite_line.h"
#include "ingest/line_testing.h"

namespace bettong::ingest {
namespace {

TEST(LineReader, IsMadeAsTheConfigurationSays) {
  EXPECT_EQ(MakeLineReader({}), nullptr);
  const auto influx =
      MakeLineReader({.format = SourceFormat::kInflux, .precision = TimePrecision::kS});
  EXPECT_EQ(ReadLine(*influx, "m v=1 5"), R"(measurement="m" v=1 time@5000)");
  const auto nanoseconds = MakeLineReader({.format = SourceFormat::kInflux});
  EXPECT_EQ(ReadLine(*nanoseconds, "m v=1 5000000"), R"(measurement="m" v=1 time@5)");
  const auto graphite = MakeLineReader({.format = SourceFormat::kGraphite});
  EXPECT_EQ(ReadLine(*graphite, "m 1 5"), R"(metric="m" value=1 time@5000)");
  const auto csv =
      MakeLineReader({.format = SourceFormat::kCsv, .columns = {"a", "b"}, .delimiter = ';'});
  EXPECT_EQ(ReadLine(*csv, "1;2"), R"(a:"1" b:"2")");
  const auto header = MakeLineReader({.format = SourceFormat::kCsv});
  EXPECT_EQ(ReadLine(*header, "a,b"), "-");
  EXPECT_EQ(ReadLine(*header, "1,2"), R"(a:"1" b:"2")");
}

TEST(LineReader, ABufferThatAHugeLineHasMadeHugeIsGivenBack) {
  std::string buffer(kLineBufferKeptBytesMax, 'x');
  const size_t kept = buffer.capacity();
  ResetLineBuffer(buffer);
  EXPECT_EQ(buffer, "");
  EXPECT_EQ(buffer.capacity(), kept);
  buffer.assign(kLineBufferKeptBytesMax + 1, 'x');
  ResetLineBuffer(buffer);
  EXPECT_EQ(buffer, "");
  EXPECT_LT(buffer.capacity(), kept);
}

TEST(LineReader, TheErrorOfALineEndsWithIt) {
  GraphiteLine reader;
  LineField field;
  EXPECT_TRUE(reader.Begin("m x", 0));
  EXPECT_EQ(reader.Next(field), LineReader::Step::kField);
  EXPECT_EQ(reader.Next(field), LineReader::Step::kMalformed);
  EXPECT_EQ(reader.Next(field), LineReader::Step::kMalformed);
  EXPECT_TRUE(reader.Begin("m 1 5", 0));
  EXPECT_TRUE(reader.error().ok());
  EXPECT_EQ(ReadLine(reader, "m 1 5"), R"(metric="m" value=1 time@5000)");
}

}  // namespace
}  // namespace bettong::ingest
