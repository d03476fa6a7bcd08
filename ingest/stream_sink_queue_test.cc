#include "ingest/stream_sink_queue.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StreamSinkQueueTest : public ::testing::Test, public OutputTaker {
 protected:
  ~StreamSinkQueueTest() override = default;

  // Of one output each.
  void Give(uint16_t partition, uint64_t sequence) {
    auto* chunk = new SinkChunk;
    chunk->stream = StreamId(0);
    chunk->lines = absl::StrCat("e", sequence, "\n");
    chunk->items.push_back({PartitionId(partition), sequence, chunk->lines.size()});
    chunk->sinks_left = 1;
    queue_.Take(chunk);
  }
  void Resume(std::vector<StreamPosition> positions) {
    connected_ = true;
    queue_.OnResume(positions, *this);
  }

  // OutputTaker.
  bool takes_outputs() const override { return connected_ && room_ > 0; }
  bool Send(const StreamOutput& output) override {
    --room_;
    said_.push_back(std::string(output.event));
    return true;
  }
  void Refuse(StreamError code, std::string_view) override {
    said_.push_back(std::string(StreamErrorName(code)));
  }

  bool connected_ = false;
  int room_ = 100;
  std::vector<std::string> said_;
  std::vector<std::string> stored_;
  StreamSinkQueue queue_{"receiver",
                         {.stream_names = {"alerts"}, .given_before = {5, 5}},
                         [this](SinkChunk* chunk) {
                           stored_.push_back(chunk->lines.substr(0, chunk->lines.size() - 1));
                           delete chunk;
                         },
                         {}};
};

TEST_F(StreamSinkQueueTest, SendsAgainWhatANewConnectionsReceiverHasNotStored) {
  Give(0, 6);
  Give(0, 7);
  Resume({});
  queue_.Fill(*this);
  EXPECT_THAT(said_, ElementsAre("e6", "e7"));
  EXPECT_THAT(stored_, IsEmpty());
  said_.clear();
  Resume({{PartitionId(0), 6}});
  queue_.Fill(*this);
  EXPECT_THAT(stored_, ElementsAre("e6"));
  EXPECT_THAT(said_, ElementsAre("e7"));
  queue_.OnStored({PartitionId(0), 7});
  EXPECT_TRUE(queue_.empty());
}

TEST_F(StreamSinkQueueTest, WhatComesBehindResumeAndIsStoredIsGoneAtOnce) {
  Resume({{PartitionId(0), 4}});
  Give(0, 4);
  EXPECT_EQ(queue_.Fill(*this), 1);
  EXPECT_THAT(stored_, ElementsAre("e4"));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(StreamSinkQueueTest, GoesOnWhereTheConnectionTookNoMore) {
  Give(0, 6);
  Give(0, 7);
  Resume({});
  room_ = 1;
  queue_.Fill(*this);
  EXPECT_THAT(said_, ElementsAre("e6"));
  room_ = 1;
  queue_.OnStored({PartitionId(0), 6});
  queue_.Fill(*this);
  EXPECT_THAT(said_, ElementsAre("e6", "e7"));
}

TEST_F(StreamSinkQueueTest, RefusesAReceiverThatHasWhatWasNeverGivenOut) {
  Resume({{PartitionId(1), 6}});
  EXPECT_THAT(said_, ElementsAre("refused"));
}

}  // namespace
}  // namespace bettong::ingest
