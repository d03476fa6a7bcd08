#include "ingest/kafka/kafka_partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/key_hash.h"

namespace bettong::ingest {
namespace {

// What the log has of a partition must be found again by whatever program comes after this one.
TEST(KafkaPartitionTest, ItsPlaceInTheLogIsForEver) {
  EXPECT_EQ(KafkaEndpoint("events", "metrics", 3), "source:events/metrics/3");
  EXPECT_EQ(KafkaHome("metrics", 0), SlotOfKey("metrics"));
  EXPECT_EQ(KafkaHome("metrics", 3).value(), (SlotOfKey("metrics").value() + 3 * 10'125) % 16'384);
}

TEST(KafkaPartitionTest, FewAndManyAreSpreadEvenlyOverShards) {
  for (const int shards : {2, 3, 4, 8, 16}) {
    for (const int32_t partitions : {4, 6, 8, 12, 32, 100}) {
      for (const char* topic : {"a", "metrics", "events-2026"}) {
        std::map<uint32_t, int> on;
        for (int shard = 0; shard < shards; ++shard) on[static_cast<uint32_t>(shard)] = 0;
        for (int32_t i = 0; i < partitions; ++i) {
          ++on[KafkaHome(topic, i).value() * static_cast<uint32_t>(shards) / kSlotCount];
        }
        const auto most = std::max_element(on.begin(), on.end(), [](auto& a, auto& b) {
                            return a.second < b.second;
                          })->second;
        EXPECT_LE(most, partitions / shards + 2)
            << topic << ": " << partitions << " on " << shards << " shards";
      }
    }
  }
}

TEST(KafkaPartitionTest, NoTwoPartitionsHaveOneHome) {
  std::set<uint16_t> homes;
  for (int32_t i = 0; i < 10'000; ++i) homes.insert(KafkaHome("metrics", i).value());
  EXPECT_EQ(homes.size(), 10'000u);
}

TEST(KafkaPartitionTest, BeginsAtTheRecordBeforeIfItCanBeKnownAgain) {
  EXPECT_EQ(FirstOffset({.durable = 0}), 0);
  EXPECT_EQ(FirstOffset({.durable = 12}), 12);
  EXPECT_EQ(FirstOffset({.durable = 12, .fingerprint = 99}), 11);
}

}  // namespace
}  // namespace bettong::ingest
