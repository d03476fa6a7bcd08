// Keys of Redis types on a shard: commands, expiry, hashes that grow, SCAN, memory, FLUSHALL.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "grid/shard_testing.h"
#include "grid/slab.h"

namespace bettong::grid {
namespace {

std::shared_ptr<const Catalog> EmptyCatalog() {
  auto catalog = std::make_shared<Catalog>();
  EXPECT_EQ(catalog->Finish(), "");
  return catalog;
}

class ShardKeysTest : public ::testing::Test {
 protected:
  explicit ShardKeysTest(TestShardOptions options = {})
      : shard_(EmptyCatalog(), nullptr, options) {}

  std::string Do(std::string_view line) { return shard_.Do(line); }
  TimeMs now() const { return shard_.now_ms; }
  std::string In(TimeMs delay_ms) const { return std::to_string(shard_.now_ms + delay_ms); }

  TestShard shard_;
};

TEST_F(ShardKeysTest, AStringIsSetReadReplacedAndDeleted) {
  EXPECT_EQ(Do("GET a"), "nil");
  EXPECT_EQ(Do("SET a 1"), "OK");
  EXPECT_EQ(Do("GET a"), "1");
  EXPECT_EQ(Do("SET a " + std::string(5000, 'x')), "OK");
  EXPECT_EQ(Do("GET a"), std::string(5000, 'x'));
  EXPECT_EQ(Do("DEL a"), "1");
  EXPECT_EQ(Do("DEL a"), "0");
  EXPECT_EQ(Do("GET a"), "nil");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(ShardKeysTest, SetReplacesAnyType) {
  Do("HSET k f v");
  EXPECT_EQ(Do("SET k s"), "OK");
  EXPECT_EQ(Do("GET k"), "s");
  Do("DEL k");
  Do("XADD k 1 1 p");
  EXPECT_EQ(Do("SET k s2"), "OK");
  EXPECT_EQ(Do("TYPE k"), "string");
  std::string many = "HSET big";
  for (int i = 0; i < 500; ++i) many += " f" + std::to_string(i) + " v";
  EXPECT_EQ(Do(many), "500");
  EXPECT_EQ(Do("SET big s " + In(100)), "OK");
  EXPECT_EQ(Do("GET big"), "s");
  EXPECT_EQ(Do("DBSIZE"), "2/1/0");
}

TEST_F(ShardKeysTest, AnExpiredValueIsInvisibleAtItsDeadline) {
  Do("SET a 1 " + In(10));
  shard_.now_ms += 9;
  EXPECT_EQ(Do("GET a"), "1");
  EXPECT_EQ(Do("DBSIZE"), "1/1/0");
  shard_.now_ms += 1;
  EXPECT_EQ(Do("GET a"), "nil");
  EXPECT_EQ(Do("TYPE a"), "none");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
}

TEST_F(ShardKeysTest, AnExpiredValueGoesWithoutBeingLookedAt) {
  Do("SET a 1 " + In(10));
  EXPECT_EQ(shard_.shard().NextWake(), now() + 10);
  shard_.AdvanceTo(now() + 10);
  EXPECT_EQ(shard_.shard().key_count(), 0u);
  EXPECT_EQ(shard_.shard().stats().expired_keys, 1u);
  EXPECT_EQ(shard_.shard().NextWake(), kNeverExpires);
}

TEST_F(ShardKeysTest, TheLagOfAnExpiryIsFromItsDeadlineToWhenItIsCarriedOut) {
  Do("SET due 1 " + In(10));
  Do("SET looked-at 1 " + In(10));
  Do("SET deleted 1 " + In(10));
  Do("DEL deleted");
  EXPECT_EQ(shard_.shard().expiry_lag_ms().counts().total(), 0u);
  shard_.now_ms += 17;
  EXPECT_EQ(Do("GET looked-at"), "nil");
  shard_.Settle();
  const Histogram::Counts lag = shard_.shard().expiry_lag_ms().counts();
  EXPECT_EQ(lag.total(), 2u);
  EXPECT_EQ(lag.sum, 14u);
}

TEST_F(ShardKeysTest, AMovedDeadlineCountsEarlierAndLater) {
  Do("SET a 1 " + In(100));
  Do("EXPIREAT a " + In(500));
  shard_.AdvanceTo(now() + 100);
  EXPECT_EQ(Do("GET a"), "1");
  Do("EXPIREAT a " + In(10));
  shard_.AdvanceTo(now() + 9);
  EXPECT_EQ(Do("GET a"), "1");
  shard_.AdvanceTo(now() + 1);
  EXPECT_EQ(shard_.shard().key_count(), 0u);
}

TEST_F(ShardKeysTest, PersistAndPlainSetTakeTheDeadlineAway) {
  Do("SET a 1 " + In(10));
  Do("PERSIST a");
  Do("SET b 1 " + In(10));
  Do("SET b 2");
  EXPECT_EQ(Do("DBSIZE"), "2/0/0");
  shard_.AdvanceTo(now() + 1000);
  EXPECT_EQ(Do("GET a"), "1");
  EXPECT_EQ(Do("DEADLINE b"), "never");
  Do("EXPIREAT a " + In(10));
  shard_.AdvanceTo(now() + 10);
  EXPECT_EQ(Do("GET a"), "nil");
}

TEST_F(ShardKeysTest, ADeletedKeysDeadlineDoesNotHitItsSuccessor) {
  for (int i = 0; i < 1000; ++i) {
    Do("SET a 1 " + In(10));
    Do("DEL a");
    Do("SET a 2 " + In(1000));
    shard_.AdvanceTo(now() + 11);
    ASSERT_EQ(Do("GET a"), "2");
    Do("DEL a");
  }
}

TEST_F(ShardKeysTest, AKeyWrittenAfterItsDeadlineStartsAfresh) {
  Do("HSET h old 1");
  Do("EXPIREAT h " + In(5));
  Do("SET s old " + In(5));
  shard_.now_ms += 5;
  EXPECT_EQ(Do("HSET h new 1"), "1");
  EXPECT_EQ(Do("HGET h old"), "nil");
  EXPECT_EQ(Do("APPEND s new"), "3");
  EXPECT_EQ(Do("DEADLINE h"), "never");
  EXPECT_EQ(Do("DEADLINE s"), "never");
}

TEST_F(ShardKeysTest, DeadlinesAtTheEndOfTimeAreKept) {
  Do("SET a 1 " + std::to_string(INT64_MAX - 1));
  Do("SET b 1 " + std::to_string(INT64_MAX / 2));
  EXPECT_EQ(Do("DEADLINE a"), std::to_string(INT64_MAX - 1));
  for (int years = 1; years <= 300; years += 50) {
    shard_.AdvanceTo(now() + years * 365LL * 86'400'000);
    ASSERT_EQ(Do("GET a"), "1");
    ASSERT_EQ(Do("GET b"), "1");
  }
}

TEST_F(ShardKeysTest, ABurstOfExpiriesIsSpreadOverSlices) {
  constexpr int kKeys = 20'000;
  for (int i = 0; i < kKeys; ++i) Do("SET k" + std::to_string(i) + " v " + In(1000));
  shard_.now_ms += 1000;
  size_t before = shard_.shard().key_count();
  int slices = 0;
  while (shard_.shard().NextWake() <= now()) {
    shard_.Send({});
    size_t after = shard_.shard().key_count();
    EXPECT_LE(before - after, 512u);
    before = after;
    ++slices;
    // What is still there cannot be seen.
    EXPECT_TRUE(slices != 3 || Do("GET k" + std::to_string(kKeys - 1)) == "nil");
  }
  EXPECT_EQ(before, 0u);
  EXPECT_EQ(shard_.shard().stats().expired_keys, static_cast<uint64_t>(kKeys));
}

// Keys that come with long deadlines and are deleted leave nothing behind that grows.
TEST_F(ShardKeysTest, DeadlinesOfDeletedKeysTakeBoundedMemory) {
  for (int i = 0; i < 150'000; ++i) {
    std::string key = "lock" + std::to_string(i % 1000);
    Do("SET " + key + " 1 " + In(86'400'000));
    Do(i % 3 == 0 ? "SET " + key + " 1" : "DEL " + key);
  }
  EXPECT_LE(shard_.shard().stats().deadline_records, 2 * 1000u + 80'000);
  // And those that still matter fire.
  for (int i = 0; i < 1000; ++i) Do("SET lock" + std::to_string(i) + " 1 " + In(86'400'000 + i));
  for (int i = 0; i < 100'000; ++i) {
    Do("SET other 1 " + In(86'400'000));
    Do("DEL other");
  }
  shard_.AdvanceTo(now() + 86'400'000 + 499);
  EXPECT_EQ(shard_.shard().key_count(), 500u);
}

TEST_F(ShardKeysTest, HashesGrowFromPackedToBigAndKeepTheirFields) {
  std::map<std::string, std::string> model;
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string field = "f" + std::to_string(random() % 200);
    if (random() % 4 == 0) {
      EXPECT_EQ(Do("HDEL h " + field), model.erase(field) ? "1" : "0");
    } else {
      std::string value(1 + random() % 30, static_cast<char>('a' + random() % 26));
      EXPECT_EQ(Do("HSET h " + field + " " + value),
                model.insert_or_assign(field, value).second ? "1" : "0");
    }
    ASSERT_EQ(Do("HLEN h"), std::to_string(model.size()));
  }
  for (const auto& [field, value] : model) EXPECT_EQ(Do("HGET h " + field), value);
  for (const auto& [field, value] : model) Do("HDEL h " + field);
  EXPECT_EQ(Do("TYPE h"), "none") << "a hash goes with its last field";
}

TEST_F(ShardKeysTest, HSetOfManyFieldsCountsNewOnesAlsoWhenItGrowsBig) {
  Do("HSET h a 1 b 2");
  EXPECT_EQ(Do("HSET h a 3 c 4 c 5"), "1");
  EXPECT_EQ(Do("HGET h c"), "5");
  std::string many = "HSET h a " + std::string(3000, 'x');
  for (int i = 0; i < 200; ++i) many += " n" + std::to_string(i) + " v";
  EXPECT_EQ(Do(many), "200");
  EXPECT_EQ(Do("HLEN h"), "203");
  EXPECT_EQ(Do("HGET h b"), "2");
  EXPECT_EQ(Do("HDEL h a a b nothing"), "2");
}

// HSCAN's promise, in both shapes of a hash.
TEST_F(ShardKeysTest, VisitingAHashInPiecesSeesWhatStaysWhileOthersGo) {
  for (int size : {60, 1000}) {
    std::string key = "h" + std::to_string(size);
    std::string fill = "HSET " + key;
    for (int i = 0; i < size; ++i) {
      fill += (i % 2 == 0 ? " go" : " stay") + std::to_string(i) + " v";
    }
    Do(fill);
    std::set<std::string> seen;
    std::string cursor = "0";
    int round = 0;
    do {
      std::string reply = Do("HSCAN " + key + " " + cursor + " 7");
      std::istringstream in(reply);
      in >> cursor;
      for (std::string field; in >> field;) seen.insert(field);
      Do("HDEL " + key + " go" + std::to_string(2 * round++));
    } while (cursor != "0");
    for (int i = 1; i < size; i += 2)
      EXPECT_TRUE(seen.contains("stay" + std::to_string(i))) << size << " " << i;
  }
}

TEST_F(ShardKeysTest, ScanReturnsWhatStaysExactlyOnceWhileOthersComeAndGo) {
  std::mt19937 random(3);
  std::set<std::string> guests;
  for (int i = 0; i < 3000; ++i) {
    Do("SET stay" + std::to_string(i) + " " + std::string(1 + random() % 300, 'v'));
    std::string guest = "guest" + std::to_string(i);
    Do("SET " + guest + " " + std::string(1 + random() % 300, 'v'));
    guests.insert(guest);
  }
  std::map<std::string, int> seen;
  std::string cursor = "0";
  int next = 3000;
  do {
    std::istringstream in(Do("SCAN " + cursor + " 20"));
    in >> cursor;
    for (std::string key; in >> key;) ++seen[key];
    for (int k = 0; k < 5; ++k) {
      std::string guest = "guest" + std::to_string(next++);
      Do("SET " + guest + " " + std::string(1 + random() % 500, 'v'));
      guests.insert(guest);
      auto gone = guests.lower_bound("guest" + std::to_string(random() % 9000));
      if (gone == guests.end()) continue;
      Do("DEL " + *gone);
      guests.erase(gone);
    }
  } while (cursor != "0");
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(seen["stay" + std::to_string(i)], 1) << i;
}

TEST_F(ShardKeysTest, ScanTakesAnyCursorAClientMayInvent) {
  for (int i = 0; i < 100; ++i) Do("SET k" + std::to_string(i) + " v");
  for (std::string cursor :
       {"1", "8191", "8192", "4294967295", "4294967296", "9223372036854775807"}) {
    Do("SCAN " + cursor + " 10");
  }
  EXPECT_EQ(Do("SCAN 9223372036854775807 0").substr(0, 1), "0");
}

TEST_F(ShardKeysTest, ScanDoesNotShowWhatHasExpired) {
  Do("SET a 1 " + In(5));
  Do("SET b 1");
  shard_.now_ms += 5;
  EXPECT_EQ(Do("SCAN 0 100"), "0 b");
}

// However fast keys come that expire soon, and however large the batches: what has expired does not
// pile up.
TEST_F(ShardKeysTest, ExpiryKeepsUpWithKeysThatComeInLargeBatches) {
  constexpr int kPerBatch = 500, kTtlMs = 20;
  auto catalog = EmptyCatalog();
  size_t most = 0;
  for (int batch = 0; batch < 400; ++batch) {
    std::vector<std::unique_ptr<TestCommandLine>> lines;
    std::vector<Message> messages;
    for (int i = 0; i < kPerBatch; ++i) {
      std::string key = "k" + std::to_string(batch * kPerBatch + i);
      lines.push_back(std::make_unique<TestCommandLine>("SET " + key + " v " + In(kTtlMs), *catalog,
                                                        shard_.slot_map()));
      messages.push_back(lines.back()->message);
      messages.back().ticket = Ticket{
          ConnectionId(9), 1'000'000u + messages.size() + static_cast<uint64_t>(batch) * kPerBatch,
          ShardId(0)};
    }
    shard_.Send(messages);
    ++shard_.now_ms;
    most = std::max(most, shard_.shard().key_count());
  }
  EXPECT_LE(most, size_t{kPerBatch} * (kTtlMs + 5));
}

TEST_F(ShardKeysTest, AFarDeadlineAndOneBefore1970AreKept) {
  Do("SET far v 9223372036854775806");
  EXPECT_EQ(Do("DBSIZE"), "1/1/0");
  EXPECT_GT(shard_.shard().NextWake(), now());
  shard_.AdvanceTo(now() + 1'000'000);
  EXPECT_EQ(Do("DBSIZE"), "1/1/0");
}

TEST_F(ShardKeysTest, FlushAllLeavesNothing) {
  for (int i = 0; i < 5000; ++i) {
    std::string n = std::to_string(i);
    Do("SET s" + n + " " + std::string(1 + static_cast<size_t>(i % 700), 'v') + " " + In(1000 + i));
    Do("HSET h" + n + " f v");
    Do("XADD x" + n + " 1 1 p");
  }
  EXPECT_EQ(Do("FLUSHALL"), "OK");
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  EXPECT_EQ(Do("SCAN 0 100000"), "0");
  // A page a size at most.
  EXPECT_LE(shard_.shard().value_bytes(), Slab::kSizes * Slab::kPageBytes);
  shard_.AdvanceTo(now() + 10'000);
  EXPECT_EQ(shard_.shard().stats().expired_keys, 0u);
}

TEST_F(ShardKeysTest, TimeGivenBackwardsStandsStill) {
  Do("SET a 1 " + In(10));
  shard_.AdvanceTo(now() + 10);
  shard_.now_ms -= 1000;
  EXPECT_EQ(Do("SET b 1 " + In(1000)), "OK");  // due at the shard's now
  EXPECT_EQ(Do("GET b"), "nil");
}

class ShardMemoryTest : public ShardKeysTest {
 protected:
  ShardMemoryTest() : ShardKeysTest({.maxmemory_bytes = 2'000'000}) {}
};

TEST_F(ShardMemoryTest, OverMaxmemoryWritesThatGrowAreRefusedAndOthersGoOn) {
  int i = 0;
  while (Do("SET k" + std::to_string(i) + " " + std::string(1000, 'v')) == "OK") {
    ASSERT_LT(++i, 3000);
  }
  EXPECT_GT(i, 1000);
  EXPECT_TRUE(shard_.shard().over_memory());
  EXPECT_EQ(Do("SET more 1"), "-OOM command not allowed when used memory > 'maxmemory'.");
  EXPECT_EQ(Do("APPEND k0 x"), "-OOM command not allowed when used memory > 'maxmemory'.");
  EXPECT_EQ(Do("GET k0"), std::string(1000, 'v'));
  EXPECT_EQ(Do("EXPIREAT k0 " + In(10)), "1");
  for (int k = 0; k < i / 2; ++k) EXPECT_EQ(Do("DEL k" + std::to_string(k)), "1");
  EXPECT_EQ(Do("SET more 1"), "OK");
  while (Do("SET l" + std::to_string(i) + " " + std::string(1000, 'v')) == "OK") ++i;
  EXPECT_EQ(Do("FLUSHALL"), "OK");
  EXPECT_EQ(Do("SET more 1"), "OK");
  shard_.shard().set_maxmemory_bytes(1);
  EXPECT_EQ(Do("SET more 1").substr(0, 4), "-OOM");
  shard_.shard().set_maxmemory_bytes(0);
  EXPECT_EQ(Do("SET more 1"), "OK");
}

class ShardNotifyTest : public ShardKeysTest {
 protected:
  ShardNotifyTest()
      : ShardKeysTest({.notify_classes =
                           kNotifyKeyspace | kNotifyKeyevent | kNotifyExpired | kNotifyGeneric}) {}
};

TEST_F(ShardNotifyTest, ExpiredIsPublishedOnceOnBothChannels) {
  Do("SET a 1 " + In(10));
  Do("SET b 1 " + In(10));
  EXPECT_TRUE(shard_.TakeNotifications().empty());  // "set" is not asked for
  shard_.now_ms += 10;
  Do("GET a");  // found by a look
  shard_.AdvanceTo(now() + 100);
  std::vector<std::string> got = shard_.TakeNotifications();
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got,
            (std::vector<std::string>{"__keyevent@0__:expired a", "__keyevent@0__:expired b",
                                      "__keyspace@0__:a expired", "__keyspace@0__:b expired"}));
}

TEST_F(ShardNotifyTest, OnlyTheClassesAndChannelsAskedFor) {
  shard_.shard().set_notify_classes(kNotifyKeyevent | kNotifyString);
  Do("SET a 1");
  Do("DEL a");
  EXPECT_EQ(shard_.TakeNotifications(), (std::vector<std::string>{"__keyevent@0__:set a"}));
  shard_.shard().set_notify_classes(0);
  Do("SET a 1 " + In(1));
  shard_.AdvanceTo(now() + 1);
  EXPECT_TRUE(shard_.TakeNotifications().empty());
}

}  // namespace
}  // namespace bettong::grid
