// Streams on a shard: views, trimming, readers that wait, clients that go.
#include <gtest/gtest.h>

#include "grid/shard_testing.h"

namespace bettong::grid {
namespace {

class ShardStreamsTest : public ::testing::Test {
 protected:
  ShardStreamsTest() : shard_(MakeCatalog(), nullptr) {}

  static std::shared_ptr<const Catalog> MakeCatalog() {
    auto catalog = std::make_shared<Catalog>();
    catalog->streams = {{.name = "alerts", .view_entries_max = 3},
                        {.name = "hidden", .view_entries_max = 0}};
    EXPECT_EQ(catalog->Finish(), "");
    return catalog;
  }

  std::string Do(std::string_view line, uint64_t connection = 1) {
    return shard_.Do(line, connection);
  }
  std::string Reply(uint64_t sequence) { return shard_.Reply(sequence).value_or("(none)"); }

  TestShard shard_;
};

TEST_F(ShardStreamsTest, AViewTakesWhatIsEmittedWithRisingIds) {
  shard_.now_ms = 5000;
  shard_.View(0, "a");
  shard_.View(0, "b");
  EXPECT_EQ(Do("XRANGE alerts"), "5000-0=a 5000-1=b");
  shard_.now_ms = 5001;
  shard_.View(0, "c");
  EXPECT_EQ(Do("XRANGE alerts"), "5000-0=a 5000-1=b 5001-0=c");
  EXPECT_EQ(Do("DBSIZE"), "1/0/0");
}

TEST_F(ShardStreamsTest, AViewIsTrimmedToItsBound) {
  for (int i = 0; i < 100; ++i) {
    shard_.now_ms = 5000 + i;
    shard_.View(0, std::string(1000, static_cast<char>('a' + i % 26)));
  }
  uint64_t used = shard_.shard().used_memory_bytes();
  shard_.now_ms = 6000;
  shard_.View(0, "x");
  shard_.View(0, "y");
  EXPECT_EQ(Do("XRANGE alerts").substr(1005 + 3), "6000-0=x 6000-1=y");
  EXPECT_LT(shard_.shard().used_memory_bytes(), used);
  Do("XADD alerts 7000 0 z");
  EXPECT_EQ(Do("XRANGE alerts"), "6000-0=x 6000-1=y 7000-0=z");
}

TEST_F(ShardStreamsTest, AStreamWithoutAViewKeepsNothing) {
  shard_.View(1, "a");
  EXPECT_EQ(Do("TYPE hidden"), "none");
}

TEST_F(ShardStreamsTest, AViewWhoseKeyIsTakenByAnotherValueIsDropped) {
  Do("SET alerts mine");
  shard_.View(0, "a");
  EXPECT_EQ(Do("GET alerts"), "mine");
  Do("DEL alerts");
  shard_.View(0, "b");
  EXPECT_EQ(Do("TYPE alerts"), "stream");
}

TEST_F(ShardStreamsTest, WhatAClientAddsToADeclaredStreamGoesToItsHandlers) {
  Do("XADD alerts 1 1 payload");
  Do("XADD undeclared 1 1 payload");
  EXPECT_EQ(shard_.inputs, (std::vector<std::string>{"alerts payload"}));
}

TEST_F(ShardStreamsTest, AReaderWaitsUntilTheStreamGrows) {
  uint64_t reader = shard_.Ask("XREAD s 0 0");
  EXPECT_EQ(Reply(reader), "(none)");
  Do("SET other 1");
  EXPECT_EQ(Reply(reader), "(none)");
  Do("XADD s 1 1 a");
  EXPECT_EQ(Reply(reader), "1-1=a");
  Do("XADD s 2 1 b");  // it waits no longer
  EXPECT_EQ(Do("XREAD s 1 1"), "2-1=b");
}

TEST_F(ShardStreamsTest, AReaderBehindTheLastIdWaitsForALaterOne) {
  Do("XADD s 5 0 a");
  uint64_t reader = shard_.Ask("XREAD s 7 0");
  Do("XADD s 6 0 b");
  EXPECT_EQ(Reply(reader), "(none)");
  Do("XADD s 8 0 c");
  EXPECT_EQ(Reply(reader), "8-0=c");
}

TEST_F(ShardStreamsTest, ReadersAreWokenInTheOrderInWhichTheyCame) {
  std::vector<uint64_t> readers;
  for (int i = 0; i < 5; ++i)
    readers.push_back(shard_.Ask("XREAD s 0 0", 10 + static_cast<uint64_t>(i)));
  Do("XADD s 1 1 a");
  for (uint64_t reader : readers) EXPECT_EQ(Reply(reader), "1-1=a");
  shard_.replied.erase(shard_.replied.begin());  // XADD's own
  EXPECT_EQ(shard_.replied, readers);
}

TEST_F(ShardStreamsTest, AReaderIsAnsweredWhenItsTimeIsOver) {
  uint64_t patient = shard_.Ask("XREAD s 0 0 500");
  uint64_t hasty = shard_.Ask("XREAD s 0 0 100");
  uint64_t forever = shard_.Ask("XREAD s 0 0");
  EXPECT_EQ(shard_.shard().NextWake(), shard_.now_ms + 100);
  shard_.AdvanceTo(shard_.now_ms + 99);
  EXPECT_EQ(Reply(hasty), "(none)");
  shard_.AdvanceTo(shard_.now_ms + 1);
  EXPECT_EQ(Reply(hasty), "timeout");
  EXPECT_EQ(Reply(patient), "(none)");
  shard_.AdvanceTo(shard_.now_ms + 10'000);
  EXPECT_EQ(Reply(patient), "timeout");
  EXPECT_EQ(Reply(forever), "(none)");
  EXPECT_EQ(shard_.shard().NextWake(), kNeverExpires);
  Do("XADD s 1 1 a");
  EXPECT_EQ(Reply(forever), "1-1=a");
}

// It was woken for nothing: what counts is when it came.
TEST_F(ShardStreamsTest, AReaderWokenForNothingKeepsItsDeadline) {
  uint64_t reader = shard_.Ask("XREAD s 9 0 100");
  shard_.AdvanceTo(shard_.now_ms + 60);
  Do("XADD s 1 1 a");
  shard_.AdvanceTo(shard_.now_ms + 39);
  EXPECT_EQ(Reply(reader), "(none)");
  shard_.AdvanceTo(shard_.now_ms + 1);
  EXPECT_EQ(Reply(reader), "timeout");
}

TEST_F(ShardStreamsTest, AReaderOfSeveralStreamsIsWokenByTheFirstAndOnce) {
  uint64_t reader = shard_.Ask("MXREAD 1000 s t u");
  Do("XADD t 1 1 a");
  EXPECT_EQ(Reply(reader), "t:1-1=a;");
  Do("XADD s 1 1 a");
  Do("XADD u 1 1 a");
  shard_.AdvanceTo(shard_.now_ms + 2000);
  EXPECT_EQ(Reply(reader), "t:1-1=a;");
}

TEST_F(ShardStreamsTest, AReaderMayNameAStreamTwice) {
  uint64_t reader = shard_.Ask("MXREAD 1000 s s");
  Do("XADD s 1 1 a");
  EXPECT_EQ(Reply(reader), "s:1-1=a;s:1-1=a;");
  uint64_t other = shard_.Ask("MXREAD 1000 v v");
  shard_.AdvanceTo(shard_.now_ms + 1000);
  EXPECT_EQ(Reply(other), "timeout");
}

TEST_F(ShardStreamsTest, AViewWakesReadersToo) {
  uint64_t reader = shard_.Ask("XREAD alerts 0 0");
  shard_.View(0, "a");
  EXPECT_EQ(Reply(reader), std::to_string(shard_.now_ms) + "-0=a");
}

TEST_F(ShardStreamsTest, SeveralAppendsOfOneBatchWakeAReaderWithTheFirst) {
  uint64_t reader = shard_.Ask("XREAD s 0 0");
  TestCommandLine one("XADD s 1 1 a", *MakeCatalog(), shard_.slot_map());
  TestCommandLine two("XADD s 1 2 b", *MakeCatalog(), shard_.slot_map());
  one.message.ticket = {ConnectionId(9), 1001};
  two.message.ticket = {ConnectionId(9), 1002};
  std::vector<Message> batch = {one.message, two.message};
  shard_.Send(batch);
  EXPECT_EQ(Reply(reader), "1-1=a");
}

TEST_F(ShardStreamsTest, WhatAGoneConnectionWaitedForIsDropped) {
  uint64_t gone = shard_.Ask("XREAD s 0 0 100", 7, 0);
  uint64_t same_number = shard_.Ask("XREAD s 0 0 100", 7, 1);  // of another shard's connections
  uint64_t other = shard_.Ask("XREAD s 0 0 100", 8, 0);
  shard_.Forget(7, 0);
  Do("XADD s 1 1 a", 9);
  EXPECT_EQ(Reply(gone), "(none)");
  EXPECT_EQ(Reply(same_number), "1-1=a");
  EXPECT_EQ(Reply(other), "1-1=a");
  shard_.AdvanceTo(shard_.now_ms + 1000);
  EXPECT_EQ(Reply(gone), "(none)");
}

TEST_F(ShardStreamsTest, TrimmingKeepsTheLastIdAndTheMemoryRight) {
  uint64_t empty = shard_.shard().used_memory_bytes();
  for (int i = 1; i <= 1000; ++i) Do("XADD s " + std::to_string(i) + " 0 " + std::string(100, 'p'));
  Do("XTRIM s 1001 0");
  EXPECT_EQ(Do("XRANGE s"), "");
  EXPECT_EQ(Do("TYPE s"), "stream");
  Do("DEL s");
  EXPECT_LE(shard_.shard().used_memory_bytes(), empty + 65536);
}

// Many come and go: each costs only its own time.
TEST_F(ShardStreamsTest, ThousandsOfReadersComeAndGo) {
  constexpr uint64_t kReaders = 20'000;
  for (uint64_t i = 0; i < kReaders; ++i) shard_.Ask("XREAD s 0 0 1000", 100 + i);
  for (uint64_t i = 0; i < kReaders; ++i) shard_.Forget(100 + i);
  EXPECT_EQ(shard_.shard().NextWake(), kNeverExpires);
}

}  // namespace
}  // namespace bettong::grid
