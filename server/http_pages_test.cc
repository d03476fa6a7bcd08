// The pages in every state of a node, and with a shard whose thread does not answer.
#include "server/http_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "ingest/gate.h"

namespace bettong::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::milliseconds kLimit{20};

// Two shards, whose threads run when a test says so, and the pages' thread: the test's.
class HttpPagesTest : public ::testing::Test {
 protected:
  HttpPagesTest() {
    auto catalog = std::make_shared<grid::Catalog>();
    catalog->Finish();
    auto slots = std::make_shared<grid::SlotMap>(kPartitionsDefault, 2, 1);
    for (uint16_t i = 0; i < 2; ++i) {
      grid::ShardLoopOptions options;
      options.shard.id = ShardId(i);
      options.shard.slot_map = slots;
      options.shard.catalog = catalog;
      shards_.push_back(std::make_unique<grid::ShardLoop>(std::move(options)));
      view_.shards.push_back(shards_.back().get());
    }
    for (auto& shard : shards_) {
      shard->SetShards(view_.shards);
      auto gate = std::make_unique<ingest::Gate>(*shard, ingest::GateOptions{});
      view_.doors.push_back({shard.get(), gate.get()});
      shard->SetGate(std::move(gate));
    }
    sinks_ = *ingest::Sinks::Open({}, view_.shards, {}, {});
    identity_.version = "test";
    view_.readiness = &readiness_;
    view_.identity = &identity_;
    view_.sinks = sinks_.get();
    view_.too_old = &too_old_;
  }
  ~HttpPagesTest() override {
    for (auto& shard : shards_) shard->Stop();
    for (std::thread& thread : threads_) thread.join();
  }

  void RunShard(size_t index) {
    threads_.emplace_back([this, index] { shards_[index]->Run(); });
  }

  HttpAnswer Ask(const std::string& path) {
    std::optional<HttpAnswer> answer;
    pages_.Answer(path, [&](HttpAnswer given) { answer = std::move(given); });
    io_.restart();
    while (!answer) io_.run_one();
    return *answer;
  }

  Readiness readiness_;
  protocol::NodeIdentity identity_;
  boost::asio::io_context io_;
  std::unique_ptr<ingest::Sinks> sinks_;
  ingest::TooOldEvents too_old_{grid::Catalog(), {}};
  std::vector<std::unique_ptr<grid::ShardLoop>> shards_;
  std::vector<std::thread> threads_;
  NodeView view_;
  HttpPages pages_{view_, io_, kLimit};
};

TEST_F(HttpPagesTest, WhileItStartsAndRecoversNoShardIsAsked) {
  for (const char* expected : {"starting\n", "recovering (42%)\n"}) {
    EXPECT_EQ(Ask("/readyz").status, 503u);
    EXPECT_EQ(Ask("/readyz").body, expected);
    EXPECT_EQ(Ask("/healthz").status, 200u);
    const std::string metrics = Ask("/metrics").body;
    EXPECT_THAT(metrics, HasSubstr("\nprocess_cpu_seconds_total "));
    EXPECT_THAT(metrics, Not(HasSubstr("bettong_shard_up")));
    readiness_.SetRecovery(0.429);
  }
  EXPECT_THAT(Ask("/metrics").body, HasSubstr("\nbettong_recovery_ratio 0.429\n"));
  EXPECT_THAT(Ask("/metrics").body, HasSubstr("\nbettong_node_state{state=\"recovering\"} 1\n"));
}

TEST_F(HttpPagesTest, ReadyMeansThatTheShardsAnswer) {
  RunShard(0);
  RunShard(1);
  readiness_.Set(NodeState::kReady);
  EXPECT_EQ(Ask("/readyz").status, 200u);
  EXPECT_EQ(Ask("/readyz").body, "ready\n");
  EXPECT_THAT(Ask("/metrics").body, HasSubstr("bettong_keys{shard=\"1\"} 0\n"));
  readiness_.Set(NodeState::kStopping);
  EXPECT_EQ(Ask("/readyz").status, 503u);
  EXPECT_EQ(Ask("/readyz").body, "stopping\n");
}

TEST_F(HttpPagesTest, AShardThatDoesNotAnswerIsNamedAndItsNumbersAreLeftOut) {
  RunShard(0);
  readiness_.Set(NodeState::kReady);
  const HttpAnswer health = Ask("/healthz");
  EXPECT_EQ(health.status, 503u);
  EXPECT_EQ(health.body, "no answer within 20 ms from shard 1\n");
  const std::string metrics = Ask("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("bettong_shard_up{shard=\"0\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("bettong_shard_up{shard=\"1\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("bettong_keys{shard=\"0\"} "));
  EXPECT_THAT(metrics, Not(HasSubstr("bettong_keys{shard=\"1\"} ")));
  // What was asked of it waits in its mail, no more of it than a few.
  for (int i = 0; i < 2 * kShardQuestionsOpenMax; ++i) EXPECT_EQ(Ask("/healthz").status, 503u);
  // It answers all that, and is asked again.
  RunShard(1);
  while (Ask("/healthz").status != 200u) {
  }
  EXPECT_THAT(Ask("/metrics").body, HasSubstr("bettong_keys{shard=\"1\"} "));
}

}  // namespace
}  // namespace bettong::server
