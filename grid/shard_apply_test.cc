// Changes applied by another shard, one case each. That everything is recorded is a property:
// compute/shard_replay_test.cc.
#include <gtest/gtest.h>

#include <random>

#include "grid/counting_host_testing.h"
#include "grid/key_table.h"
#include "grid/log_entry.h"
#include "grid/shard_testing.h"
#include "grid/slab.h"
#include "wal/record_testing.h"

namespace bettong::grid {
namespace {

class ShardApplyTest : public ::testing::Test {
 protected:
  ShardApplyTest()
      : catalog_(MakeCountingCatalog()),
        host_(catalog_),
        live_(catalog_, &host_, {.record_changes = true}),
        copy_(catalog_, nullptr) {}

  std::string Do(std::string_view line) { return live_.Do(line); }
  // Applies what has been recorded since the last time.
  void Apply() {
    for (const wal::OwnedSection& section : std::exchange(live_.sections, {}))
      ASSERT_EQ(copy_.shard().Apply(section.view()), absl::OkStatus());
    EXPECT_EQ(copy_.shard().Digest(), live_.shard().Digest());
    EXPECT_EQ(copy_.shard().key_count(), live_.shard().key_count());
  }

  std::shared_ptr<const Catalog> catalog_;
  CountingHost host_;
  TestShard live_;
  TestShard copy_;
};

TEST_F(ShardApplyTest, AHashGoesWithItsLastFieldWhateverElseWasNamed) {
  Do("HSET h a 1 b 2");
  EXPECT_EQ(Do("HDEL h a nosuch b b alsonot"), "2");
  EXPECT_EQ(Do("TYPE h"), "none");
  Apply();
  EXPECT_EQ(copy_.Do("TYPE h"), "none");
}

TEST_F(ShardApplyTest, ADeadlineThatHasPassedOnTheCopysClockWaitsForTheChangeThatEndsIt) {
  copy_.AdvanceTo(live_.now_ms + 3'600'000);
  std::string soon = std::to_string(live_.now_ms + 100);
  Do("HSET h a 1");
  Do("EXPIREAT h " + soon);
  Do("HSET h b 2");
  Do("SET s 1 " + soon);
  Do("INCR s");
  Do("XADD x 1 0 p");
  Do("EXPIREAT x " + soon);
  Do("XADD x 2 0 p");
  Do("XTRIM x 2 0");
  Apply();
  live_.AdvanceTo(live_.now_ms + 100);
  EXPECT_EQ(Do("DBSIZE"), "0/0/0");
  Apply();
}

// A round that a crash has ended early leaves some of a value's image behind its whole history.
TEST_F(ShardApplyTest, AnImageIsNeverLessThanWhatIsThere) {
  for (int i = 1; i <= 60; ++i) {
    Do("XADD x " + std::to_string(i) + " 0 " + std::string(10'000, 'p'));
    for (int j = 0; j < 10; ++j) {
      Do("HSET h f" + std::to_string(i * 10 + j) + " " + std::string(1'000, 'v'));
    }
  }
  Do("HSET small a 1");
  Do("EXPIREAT h " + std::to_string(live_.now_ms + 3'600'000));
  Apply();
  live_.shard().BeginRound();
  int steps = 0;
  for (bool written = false; !written; ++steps) {
    written = live_.shard().WriteImages(1);
    const std::string n = std::to_string(100 + steps);
    Do("XADD x " + n + " 0 q");
    Do("HSET h f" + n + " w");
    Do("HDEL h f" + std::to_string(300 + steps));
    Apply();
  }
  EXPECT_GT(steps, 6);  // both in pieces
}

// Nothing of what follows can be recorded; damaged files hold such things.
class ShardApplyDamageTest : public ShardApplyTest {
 protected:
  ShardApplyDamageTest() {
    live_.Event({.key = "e", .script = "note"});
    Do("SET s 1");
    Do("HSET h a 1");
    Do("XADD x 5 0 p");
    Apply();
  }
  // One change of the key, with `payload` behind the op.
  bool ApplyOne(std::string_view key, ChangeOp op, std::string_view payload = {}) {
    wal::OwnedSection section;
    section.partition = copy_.slot_map().PartitionOf(SlotOfKey(key));
    ByteWriter out(section.entries);
    out.Fixed(LogEntryKind::kChange);
    out.Bytes(key);
    out.Fixed(op);
    if (op == ChangeOp::kEntityCreate || op == ChangeOp::kEntityDelta) {
      out.Bytes(payload);
    } else {
      out.Raw(payload);
    }
    return copy_.shard().Apply(section.view()).ok();
  }
  static std::string StreamId(uint64_t ms) {
    std::string bytes;
    ByteWriter(bytes).Fixed(ms);
    ByteWriter(bytes).Fixed(uint64_t{0});
    return bytes;
  }
};

TEST_F(ShardApplyDamageTest, AChangeOfAnotherTypeThanTheValuesIsRefused) {
  const std::string entry = StreamId(9) + std::string("\0\1p", 3);
  const std::string zero(8, '\0');
  for (std::string key : {"s", "x", "counter:e"}) {
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kHashSet, "\1\1a\1b")) << key;
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kHashDelete, "\1\1a")) << key;
  }
  for (std::string key : {"s", "h", "counter:e"}) {
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kStreamAppend, entry)) << key;
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kStreamTrim, StreamId(9))) << key;
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kStreamDelete, "\1" + StreamId(9))) << key;
  }
  for (std::string key : {"s", "h", "x"}) {
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kEntityDelta, std::string_view("\0", 1))) << key;
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kOwnTtl, zero)) << key;
    EXPECT_FALSE(ApplyOne(key, ChangeOp::kEntityCreate, "\1")) << key;
  }
  EXPECT_FALSE(ApplyOne("counter:e", ChangeOp::kPutString, "\1v"));
  EXPECT_FALSE(ApplyOne("nosuch", ChangeOp::kHashDelete, "\1\1a"));
  EXPECT_FALSE(ApplyOne("nosuch", ChangeOp::kStreamTrim, StreamId(9)));
  EXPECT_FALSE(ApplyOne("nosuch", ChangeOp::kStreamDelete, "\1" + StreamId(9)));
  EXPECT_FALSE(ApplyOne("x", ChangeOp::kStreamDelete, "\2" + StreamId(9)));  // cut short
  EXPECT_FALSE(ApplyOne("nosuch", ChangeOp::kDeadline, zero));
  EXPECT_FALSE(ApplyOne(std::string(kKeyBytesMax + 1, 'k'), ChangeOp::kPutString, "\1v"));
  EXPECT_EQ(copy_.shard().Digest(), live_.shard().Digest());
}

TEST_F(ShardApplyDamageTest, AnEntryThatIsNotBehindTheLastIsRefused) {
  const std::string payload("\0\1p", 3);
  EXPECT_FALSE(ApplyOne("x", ChangeOp::kStreamAppend, StreamId(5) + payload));
  EXPECT_FALSE(ApplyOne("x", ChangeOp::kStreamAppend, StreamId(4) + payload));
  EXPECT_FALSE(ApplyOne("fresh", ChangeOp::kStreamAppend, StreamId(0) + payload));
  EXPECT_EQ(copy_.shard().Digest(), live_.shard().Digest());
  EXPECT_TRUE(ApplyOne("x", ChangeOp::kStreamAppend, StreamId(6) + payload));
}

TEST_F(ShardApplyDamageTest, AnEntityWhoseRowIsCutOffIsNotMade) {
  size_t bytes = copy_.shard().used_memory_bytes();
  std::string row = "\1" + std::string(8, '\0') + "\1" + std::string(1, '\50') + "short";
  EXPECT_FALSE(ApplyOne("counter:cut", ChangeOp::kEntityCreate, row));
  EXPECT_EQ(copy_.shard().Digest(), live_.shard().Digest());
  EXPECT_EQ(copy_.Do("DBSIZE"), "4/0/1");
  EXPECT_EQ((copy_.shard().used_memory_bytes() - bytes) % Slab::kPageBytes, 0u);
}

TEST_F(ShardApplyDamageTest, SectionsDamagedAnywhereAreSurvived) {
  Do("HSET h b 2 c 3");
  Do("HDEL h b nosuch");
  Do("APPEND s 23");
  Do("XADD x 7 0 payload");
  Do("EXPIREAT x 5000000");
  live_.Event({.key = "e", .script = std::string(50, 'n')});
  live_.Event({.key = "f", .script = "note"});
  Do("FLUSHALL");
  std::string good;
  for (const wal::OwnedSection& section : live_.sections) good += section.entries;
  std::mt19937 random(7);
  for (int round = 0; round < 1500; ++round) {
    wal::OwnedSection section{.entries = good};
    for (size_t flips = 1 + random() % 3; flips > 0; --flips)
      section.entries[random() % good.size()] = static_cast<char>(random() % 256);
    if (round % 4 == 0) section.entries.resize(random() % good.size());
    TestShard shard(catalog_, nullptr);
    (void)shard.shard().Apply(section.view());
    shard.AdvanceTo(shard.now_ms + 10'000'000);
    shard.Do("FLUSHALL");
    ASSERT_EQ(shard.Do("DBSIZE"), "0/0/0") << "round " << round;
  }
}

}  // namespace
}  // namespace bettong::grid
