// What a shard has lent or keeps waiting is its own: a shard that goes takes it along. The leak
// checker of the dev preset is the judge of most of these.
#include <gtest/gtest.h>

#include "grid/counting_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::grid {
namespace {

// Long enough for rows and commands to hold it on the heap.
const std::string kLong(100, 'n');

class ShardLoansTest : public ::testing::Test {
 protected:
  ShardLoansTest() : catalog_(MakeCountingCatalog()), host_(catalog_) {
    shard_ = std::make_unique<TestShard>(catalog_, &host_);
  }

  void Event(std::string key) { Events({std::move(key)}); }
  void Events(const std::vector<std::string>& keys) {
    std::vector<TestEvent> events;
    for (const std::string& key : keys) events.push_back({.key = key, .script = kLong});
    shard_->Events(events);
  }
  std::string Do(std::string_view line) { return shard_->Do(line); }

  std::shared_ptr<const Catalog> catalog_;
  CountingHost host_;
  std::unique_ptr<TestShard> shard_;
};

TEST_F(ShardLoansTest, AShardThatGoesTakesItsLentEventsAlong) {
  Event("a");
  shard_->hold = true;
  Events({"a", "b", "c"});
  Event("a");
  ASSERT_EQ(shard_->loans(), 4u);
  EXPECT_EQ(shard_->batches_out, 2u);
  shard_.reset();
}

TEST_F(ShardLoansTest, AShardThatGoesTakesItsLentCallsAlong) {
  Event("a");
  shard_->hold = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Do("CALL counter:a add " + kLong), "(none)");
  EXPECT_EQ(Do("CALL counter:b add " + kLong), "(none)");
  ASSERT_EQ(shard_->loans(), 4u);
  shard_.reset();
}

TEST_F(ShardLoansTest, AShardThatGoesTakesWhatWaitsForALentKeyAlong) {
  Event("a");
  shard_->hold = true;
  Event("a");
  EXPECT_EQ(Do("FSET counter:a note " + kLong), "(none)");
  Event("a");  // waits behind the command
  EXPECT_EQ(Do("CALL counter:a add " + kLong), "(none)");
  EXPECT_EQ(Do("FLUSHALL"), "(none)");
  ASSERT_EQ(shard_->loans(), 1u);
  shard_.reset();
}

TEST_F(ShardLoansTest, AShardThatGoesTakesTheRestOfAHalfDoneBatchAlong) {
  shard_->hold = true;
  Events({"a", "b", "a", "c", "a"});
  EXPECT_EQ(Do("CALL counter:a read"), "(none)");
  shard_->RunAndReturn(3);  // some are done; what the shard has of them has changed
  EXPECT_EQ(Do("FIELD counter:b count"), "1");
  EXPECT_EQ(shard_->batches_out, 1u);
  shard_->RunLoans(1);  // run, and its result never told
  shard_.reset();
}

TEST_F(ShardLoansTest, BatchesAreGivenBackInWhateverOrderTheyComplete) {
  shard_->hold = true;
  Event("a");
  shard_->Do("FSET counter:a note x");
  Event("a");  // waits: completes after those that come later
  Event("b");
  Event("c");
  EXPECT_EQ(shard_->batches_out, 4u);
  shard_->RunAndReturn(1);
  EXPECT_EQ(shard_->batches_out, 3u);
  shard_->RunAndReturn(2);
  EXPECT_EQ(shard_->batches_out, 1u);
  shard_->Drain();
  EXPECT_EQ(shard_->batches_out, 0u);
  EXPECT_EQ(Do("FIELD counter:a count"), "2");
}

TEST_F(ShardLoansTest, AShardThatHasBeenFlushedWhileItLendsCanGo) {
  Event("a");
  shard_->hold = true;
  Event("a");
  Event("fresh");
  EXPECT_EQ(Do("FLUSHALL"), "(none)");
  Event("a");
  shard_->RunAndReturn(1);
  EXPECT_EQ(shard_->loans(), 2u);  // "a" was dropped and lent anew
  shard_.reset();
}

}  // namespace
}  // namespace bettong::grid
