#include "ingest/kafka/sink_positions.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "base/ids.h"

namespace bettong::ingest {
namespace {

StreamPosition At(uint16_t partition, uint64_t sequence) {
  return {PartitionId(partition), sequence};
}

TEST(SinkPositionsTest, ComeBack) {
  const std::vector<StreamPosition> positions = {At(0, 7), At(63, UINT64_MAX), At(5, 1)};
  EXPECT_EQ(EncodeSinkPositions(positions), "bettong 0:7 63:18446744073709551615 5:1");
  EXPECT_EQ(DecodeSinkPositions(EncodeSinkPositions(positions)).value(), positions);
  EXPECT_EQ(EncodeSinkPositions({}), "bettong");
  EXPECT_TRUE(DecodeSinkPositions("bettong").value().empty());
}

TEST(SinkPositionsTest, NothingStoredNeedNotBeSaid) {
  const std::vector<StreamPosition> positions = {At(0, 0), At(1, 2)};
  EXPECT_EQ(EncodeSinkPositions(positions), "bettong 1:2");
}

// A topic's offset has room for 4096 bytes of it, as brokers come.
TEST(SinkPositionsTest, OfAllPartitionsFitIntoAnOffset) {
  std::vector<StreamPosition> positions;
  for (uint16_t i = 0; i < kPartitionsDefault; ++i) positions.push_back(At(i, UINT64_MAX));
  EXPECT_LT(EncodeSinkPositions(positions).size(), 4096u);
}

TEST(SinkPositionsTest, SomebodyElsesAreToldFromOurs) {
  for (const char* text : {"", "offset 0:7", "bettong 0", "bettong 0:", "bettong :1", "bettong 0:x",
                           "bettong 70000:1", "bettong 0:1  1:2", "bettong -1:2", "bettong 0:-1"}) {
    const auto positions = DecodeSinkPositions(text);
    ASSERT_FALSE(positions.ok()) << text;
    EXPECT_TRUE(positions.status().message().find(text) != std::string::npos) << text;
  }
}

}  // namespace
}  // namespace bettong::ingest
