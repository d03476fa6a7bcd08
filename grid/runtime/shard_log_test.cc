// When records are sealed, and who waits for them: one shard on a hand-driven executor and clock,
// before a log that is told when a record is durable.
#include "grid/runtime/shard_log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grid/runtime/node_testing.h"

namespace bettong::grid {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class HandExecutor final : public Executor {
 public:
  void Post(std::function<void()> work) override { posted_.push_back(std::move(work)); }
  std::unique_ptr<Timer> MakeTimer() override { return std::make_unique<HandTimer>(*this); }
  TimeMs NowMs() override { return now_.count() / 1000; }

  // Everything that is posted, and what that posts.
  void Run() {
    while (!posted_.empty()) RunOne();
  }
  void RunOne() {
    std::function<void()> work = std::move(posted_.front());
    posted_.pop_front();
    work();
  }
  // Time passes, and nothing is done.
  void Skip(microseconds by) { now_ += by; }
  void Advance(microseconds by) {
    Run();
    for (const microseconds end = now_ + by;; Run()) {
      if (timers_.empty() || timers_.begin()->first > end) {
        now_ = end;
        return;
      }
      auto next = timers_.extract(timers_.begin());
      now_ = std::max(now_, next.key());
      if (*next.mapped().armed == next.mapped().number) next.mapped().work();
    }
  }

 private:
  struct Armed {
    std::shared_ptr<uint64_t> armed;
    uint64_t number = 0;
    std::function<void()> work;
  };
  class HandTimer final : public Timer {
   public:
    explicit HandTimer(HandExecutor& executor) : executor_(executor) {}
    ~HandTimer() override { Cancel(); }
    void Arm(microseconds delay, std::function<void()> work) override {
      executor_.timers_.emplace(executor_.now_ + delay, Armed{armed_, ++*armed_, std::move(work)});
    }
    void Cancel() override { ++*armed_; }

   private:
    HandExecutor& executor_;
    std::shared_ptr<uint64_t> armed_ = std::make_shared<uint64_t>(0);
  };

  std::deque<std::function<void()>> posted_;
  std::multimap<microseconds, Armed> timers_;
  microseconds now_ = std::chrono::seconds(1'700'000'000);
};

class HandLog final : public wal::Log {
 public:
  void Start(wal::LogListener& listener) override { listener_ = &listener; }
  void Commit(std::unique_ptr<wal::LogRecord> record) override {
    ASSERT_EQ(record_, nullptr) << "one at a time";
    record_ = std::move(record);
    ++sealed;
  }
  void Stop() override {}
  const wal::LogStats& stats() const override { return stats_; }

  void Durable() {
    BETTONG_CHECK(record_ != nullptr);
    listener_->OnDurable(std::move(record_));
  }

  int sealed = 0;

 private:
  wal::LogListener* listener_ = nullptr;
  std::unique_ptr<wal::LogRecord> record_;
  wal::LogStats stats_;
};

class ShardLogTest : public testing::Test, public ReplySink, public SourceControl {
 protected:
  explicit ShardLogTest(bool sync = false) : catalog_(MakeCountingCatalog("counter")) {
    slot_map_ = std::make_shared<SlotMap>(kPartitionsDefault, 1, 5);
    host_ = std::make_unique<CountingHost>(catalog_, CountingHost::Observer());
    ShardLoopOptions options;
    options.shard.id = ShardId(0);
    options.shard.slot_map = slot_map_;
    options.shard.catalog = catalog_;
    options.shard.record_changes = true;
    options.inline_host = host_.get();
    options.executor = &executor_;
    options.replies_when_durable = sync;
    loop_ = std::make_unique<ShardLoop>(std::move(options));
    loop_->SetShards({loop_.get()});
    loop_->SetGate(std::make_unique<TestGate>(*loop_));
    loop_->SetLog({.log = &log_});
    connection_ = loop_->AddReplySink(this);
    source_ = loop_->AddSource(this);
  }

  void Event(std::string_view key = "a") {
    static_cast<TestGate*>(loop_->gate())->Add(key, "note", source_);
    loop_->gate()->Flush();
  }
  void Command(const std::string& line) {
    TestCommandLine command(line, *catalog_, *slot_map_);
    command.message.ticket = Ticket{connection_, ++commands_, ShardId(0)};
    loop_->Submit({&command.message, 1});
  }
  void Wait(DurableWait wait) {
    wait.ticket = Ticket{connection_, ++commands_, ShardId(0)};
    loop_->log()->Wait(wait);
  }
  void Durable() {
    log_.Durable();
    executor_.Run();
  }
  void Reply(const Ticket&, std::string_view bytes) override { replies_ += bytes; }
  void Flush() override {}
  void OnCredit() override {}

  HandExecutor executor_;
  HandLog log_;
  std::shared_ptr<const Catalog> catalog_;
  std::shared_ptr<const SlotMap> slot_map_;
  std::unique_ptr<CountingHost> host_;
  std::unique_ptr<ShardLoop> loop_;
  ConnectionId connection_;
  SourceRef source_;
  uint64_t commands_ = 0;
  std::string replies_;
};

class SyncShardLogTest : public ShardLogTest {
 protected:
  SyncShardLogTest() : ShardLogTest(true) {}
};

TEST_F(ShardLogTest, CreditsWaitForTheirRecord) {
  Event();
  EXPECT_EQ(log_.sealed, 0) << "not before the shard is idle";
  executor_.Run();
  EXPECT_EQ(log_.sealed, 1);
  EXPECT_EQ(loop_->Outstanding(source_), 1);
  Durable();
  EXPECT_EQ(loop_->Outstanding(source_), 0);
  EXPECT_TRUE(loop_->log()->idle());
}

TEST_F(ShardLogTest, WhatComesMeanwhileIsInTheNextRecord) {
  Event("a");
  executor_.Run();
  Event("b");
  Event("c");
  executor_.Advance(milliseconds(20));
  EXPECT_EQ(log_.sealed, 1) << "one on its way";
  Durable();
  EXPECT_EQ(loop_->Outstanding(source_), 2);
  EXPECT_EQ(log_.sealed, 2);
  Durable();
  EXPECT_EQ(loop_->Outstanding(source_), 0);
}

TEST_F(ShardLogTest, RecordsForOutputsAndCreditsRest) {
  Event();
  executor_.Run();
  Durable();
  Event();
  executor_.Advance(kCommitRest - microseconds(1));
  EXPECT_EQ(log_.sealed, 1);
  executor_.Advance(microseconds(1));
  EXPECT_EQ(log_.sealed, 2);
}

TEST_F(ShardLogTest, RecordsThatFillFastRestLonger) {
  Event();
  executor_.Run();
  Durable();
  Command("SET k " + std::string(kCommitRestBytes, 'v'));
  Event();
  executor_.Advance(kCommitLongRest - microseconds(1));
  EXPECT_EQ(log_.sealed, 1);
  executor_.Advance(microseconds(1));
  EXPECT_EQ(log_.sealed, 2);
  Durable();
  Event();
  executor_.Advance(kCommitRest);
  EXPECT_EQ(log_.sealed, 3) << "not the next one, which is small";
}

TEST_F(SyncShardLogTest, AClientsReplyWaitsForItsRecordAndForNothingElse) {
  Command("SET k 1");
  EXPECT_EQ(replies_, "");
  executor_.Run();
  EXPECT_EQ(log_.sealed, 1);
  Durable();
  EXPECT_EQ(replies_, "OK");
  Event();
  executor_.Run();
  EXPECT_EQ(log_.sealed, 1) << "an event rests";
  Command("SET k 2");
  executor_.Run();
  EXPECT_EQ(log_.sealed, 2);
  Durable();
  EXPECT_EQ(replies_, "OKOK");
}

TEST_F(ShardLogTest, UnderLoadRecordsAreKeptApart) {
  Event();
  executor_.Run();
  Durable();
  const TimeMs begin_ms = executor_.NowMs();
  Event();
  while (log_.sealed == 1) {
    executor_.Skip(milliseconds(1));
    Event();  // before the shard has looked whether it is idle
    executor_.RunOne();
    ASSERT_LE(executor_.NowMs() - begin_ms, kCommitApartMs);
  }
  EXPECT_EQ(executor_.NowMs() - begin_ms, kCommitApartMs);
}

TEST_F(ShardLogTest, WithNobodyWaitingChangesAreGathered) {
  Command("SET k 1");
  EXPECT_EQ(replies_, "OK");
  executor_.Advance(kCommitDelay - microseconds(1));
  EXPECT_EQ(log_.sealed, 0);
  EXPECT_GT(loop_->log()->undurable_bytes(), 0u);
  executor_.Advance(microseconds(1));
  EXPECT_EQ(log_.sealed, 1);
  Durable();
  EXPECT_EQ(loop_->log()->undurable_bytes(), 0u);
}

TEST_F(ShardLogTest, ManyBytesAreARecordAtOnce) {
  Command("SET k " + std::string(kCommitBytes, 'v'));
  EXPECT_EQ(log_.sealed, 1);
}

TEST_F(ShardLogTest, AWaitIsAnsweredWhenAllBeforeItIsDurable) {
  Wait({});
  EXPECT_EQ(replies_, ":1\r\n") << "nothing is under way";
  Command("SET k 1");
  Wait({});
  executor_.Run();
  EXPECT_EQ(log_.sealed, 0) << "gathered: the wait came behind the batch";
  executor_.Advance(kCommitDelay);
  Durable();
  EXPECT_EQ(replies_, ":1\r\nOK:1\r\n");
}

TEST_F(ShardLogTest, AWaitEndsAtItsDeadline) {
  Command("SET k 1");
  Wait({.deadline_ms = executor_.NowMs() + 30});
  executor_.Advance(milliseconds(29));
  EXPECT_EQ(replies_, "OK");
  executor_.Advance(milliseconds(1));
  EXPECT_EQ(replies_, "OK:0\r\n");
  Durable();
  EXPECT_EQ(replies_, "OK:0\r\n") << "once";
}

}  // namespace
}  // namespace bettong::grid
