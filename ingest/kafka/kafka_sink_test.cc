// A Kafka sink, and librdkafka's imitation of brokers, which is told what is to go wrong.
//
// It imitates the requests of a transaction, and none of its effects: a record can be read as soon
// as it is written, be its transaction committed or not, and offsets that are sent with one are
// forgotten. So here a failed transaction's records show up beside those of the next one, and what
// a group has committed is what the test says. What readers see of real transactions is shown in
// tests/kafka/.

#include "ingest/kafka/kafka_sink.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ingest/kafka/kafka_testing.h"
#include "ingest/kafka/mock_brokers.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int32_t kBroker = 1;  // the only one
constexpr int kNeverMs = 600'000;

// Of Kafka's protocol.
enum Request : int16_t {
  kProduce = 0,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kTxnOffsetCommit = 28,
};

// By partition of Bettong's: sequences in the order in which they stand in the topic.
using Sequences = std::map<uint16_t, std::vector<uint64_t>>;

class KafkaSinkTest : public ::testing::Test {
 protected:
  explicit KafkaSinkTest(bool exactly_once) {
    static int tests = 0;
    config_.kafka.transactional_id = absl::StrCat("id", ++tests);
    config_.name = "alerts";
    config_.kind = SinkKind::kKafka;
    config_.stream = "alerts";
    // It tells of each producer that is made.
    config_.kafka.client = {.brokers = brokers_->addresses(),
                            .options = {{"debug", "generic"}, {"reconnect.backoff.max.ms", "200"}}};
    config_.kafka.key = "host";
    config_.kafka.exactly_once = exactly_once;
    MakeTopic(1);
  }
  ~KafkaSinkTest() override {
    for (const Request request : asked_) {
      size_t left = 0;
      rd_kafka_mock_broker_error_stack_cnt(brokers_->cluster(), kBroker, request, &left);
      EXPECT_EQ(left, 0) << "not all that was to go wrong did";
    }
  }
  // It takes a second to end them: so the tests share them, each with its own topic and ids.
  static void SetUpTestSuite() { brokers_ = MockBrokers::Make(1).value(); }
  static void TearDownTestSuite() { brokers_.reset(); }

  void MakeTopic(int32_t partitions) {
    config_.kafka.topic = absl::StrCat("topic-", config_.kafka.transactional_id, "-", partitions);
    partitions_ = partitions;
    EXPECT_TRUE(brokers_->CreateTopic(config_.kafka.topic, partitions).ok());
  }

  void Start(const std::string& state = {}) {
    Make(state);
    sink_->Start();
  }
  void Make(const std::string& state = {}) {
    sink_ = std::make_unique<KafkaSink>(
        config_,
        StreamSinkOptions{.node_id = {},
                          .framed = false,
                          .stream_names = {"alerts"},
                          .given_before = given_before_},
        state,
        [this](const std::string& now, const std::vector<SinkChunk*>& chunks) {
          heard_.OnWritten(now, chunks);
        },
        [this](std::string_view line) { heard_.OnLog(line); });
  }

  // A chunk of the next outputs of a partition, each with so much white space.
  void Give(uint16_t partition, size_t outputs, size_t padding = 0) {
    auto* chunk = new SinkChunk;
    chunk->stream = StreamId(0);
    chunk->sinks_left = 1;
    for (size_t i = 0; i < outputs; ++i) {
      const uint64_t sequence = ++given_[partition];
      absl::StrAppend(&chunk->lines, Output(partition, sequence), std::string(padding, ' '), "\n");
      chunk->items.push_back({PartitionId(partition), sequence, chunk->lines.size()});
    }
    ++chunks_given_;
    sink_->Send(chunk);
  }
  static std::string Output(uint16_t partition, uint64_t sequence) {
    return absl::StrCat(R"({"host":"of-)", partition, R"(","n":)", sequence, "}");
  }
  void WaitUntilAllIsGivenBack() { heard_.WaitForChunks(chunks_given_); }

  // The next requests of a kind fail; __TRANSPORT: the connection is lost instead.
  void FailNext(Request request, rd_kafka_resp_err_t error, int times = 1) {
    for (int i = 0; i < times; ++i) Answer(request, error, 0);
  }
  // The next request of a kind is carried out and never answered.
  void AnswerNever(Request request) { Answer(request, RD_KAFKA_RESP_ERR_NO_ERROR, kNeverMs); }
  void BrokersDown() {
    EXPECT_EQ(rd_kafka_mock_broker_set_down(brokers_->cluster(), -1), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void BrokersUp() {
    EXPECT_EQ(rd_kafka_mock_broker_set_up(brokers_->cluster(), -1), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  // What the topic has, once it has so many records at least.
  Sequences ReadTopic(size_t records_min) {
    Sequences found;
    for (const WrittenOutput& output :
         ReadOutputs(*brokers_, config_.kafka.topic, partitions_, records_min)) {
      EXPECT_EQ(output.value, Output(output.partition, output.sequence));
      EXPECT_EQ(output.key, absl::StrCat("of-", output.partition));
      found[output.partition].push_back(output.sequence);
    }
    return found;
  }
  // What a transaction that is committed by the producer of a lane leaves.
  void SetPositions(size_t lane, const std::string& positions) {
    CommitMetadata(*brokers_, absl::StrCat(config_.kafka.transactional_id, "-", lane),
                   config_.kafka.topic, positions);
  }

  static inline std::unique_ptr<MockBrokers> brokers_;
  SinkConfig config_;
  int32_t partitions_ = 0;
  std::vector<uint64_t> given_before_;
  HeardOfSink heard_;
  std::map<uint16_t, uint64_t> given_;
  size_t chunks_given_ = 0;
  std::unique_ptr<KafkaSink> sink_;

 private:
  void Answer(Request request, rd_kafka_resp_err_t error, int delay_ms) {
    asked_.insert(request);
    EXPECT_EQ(rd_kafka_mock_broker_push_request_error_rtts(brokers_->cluster(), kBroker, request, 1,
                                                           error, delay_ms),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  std::set<Request> asked_;  // what was to go wrong
};

std::vector<uint64_t> UpTo(uint64_t last) {
  std::vector<uint64_t> sequences;
  for (uint64_t i = 1; i <= last; ++i) sequences.push_back(i);
  return sequences;
}

// Both kinds of sink.
class KafkaSinkOfEachKind : public KafkaSinkTest, public ::testing::WithParamInterface<bool> {
 protected:
  KafkaSinkOfEachKind() : KafkaSinkTest(GetParam()) {}
  static bool exactly_once() { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(, KafkaSinkOfEachKind, ::testing::Bool(), [](const auto& kind) {
  return std::string(kind.param ? "ExactlyOnce" : "Plain");
});

TEST_P(KafkaSinkOfEachKind, WritesEachOutputOnceAndInOrder) {
  MakeTopic(4);
  Start();
  for (int i = 0; i < 20; ++i) {
    for (uint16_t partition = 0; partition < 5; ++partition) Give(partition, 10);
  }
  EXPECT_TRUE(sink_->Drain(std::chrono::steady_clock::now() + kKafkaTestPatience));
  const Sequences found = ReadTopic(1'000);
  ASSERT_EQ(found.size(), 5);
  for (const auto& [partition, sequences] : found) EXPECT_EQ(sequences, UpTo(200));
  EXPECT_EQ(heard_.chunks(), 100);
  EXPECT_EQ(heard_.state(), "bettong 0:200 1:200 2:200 3:200 4:200");
  EXPECT_THAT(heard_.lines(), IsEmpty());
  EXPECT_EQ(heard_.producers(), exactly_once() ? kKafkaTransactionLanes : 1);
}

TEST_P(KafkaSinkOfEachKind, WhatAnEarlierProcessHadStoredIsNotWrittenAgain) {
  given_before_ = {3};
  if (exactly_once()) {
    SetPositions(0, "bettong 0:1");
    SetPositions(1, "bettong 0:2");
  }
  Start(exactly_once() ? "" : "bettong 0:2");
  Give(0, 2);
  Give(0, 2);
  WaitUntilAllIsGivenBack();
  EXPECT_THAT(ReadTopic(2)[0], ElementsAre(3, 4));
  EXPECT_EQ(heard_.state(), "bettong 0:4");
}

// The broker has taken the records, but the acknowledgement is lost with the connection, and then
// the broker knows nothing of the producer any more.
TEST_P(KafkaSinkOfEachKind, AnErrorOfIdempotenceAfterADisconnectIsSurvived) {
  Start();
  AnswerNever(kProduce);
  Give(0, 3);
  EXPECT_EQ(ReadTopic(3)[0], UpTo(3));
  BrokersDown();
  FailNext(kProduce, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
  BrokersUp();
  heard_.WaitForLine("kept and tried again");
  Give(0, 2);
  WaitUntilAllIsGivenBack();
  heard_.WaitForLine("writes again");
  // Of exactly once, a reader of a real broker would not see the first three.
  EXPECT_THAT(ReadTopic(8)[0], ElementsAre(1, 2, 3, 1, 2, 3, 4, 5));
  EXPECT_EQ(heard_.chunks_when_told(), 0);
  EXPECT_EQ(heard_.state(), "bettong 0:5");
  // These words only a fatal error has.
  EXPECT_EQ(heard_.LinesWith("with rewound sequence number"), 1)
      << testing::PrintToString(heard_.lines());
  EXPECT_EQ(heard_.LinesWith("kept and tried again"), 1);
  EXPECT_EQ(heard_.producers(), exactly_once() ? 2 * kKafkaTransactionLanes : 2);
}

TEST_P(KafkaSinkOfEachKind, WhatTheTopicDoesNotTakeIsKeptToldOnceAndTriedAgain) {
  Start();
  FailNext(kProduce, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 3);
  Give(0, 1);
  heard_.WaitForLine("kept and tried again");
  Give(0, 1);
  WaitUntilAllIsGivenBack();
  heard_.WaitForLine("writes again");
  EXPECT_THAT(ReadTopic(2)[0], ElementsAre(1, 2));
  EXPECT_EQ(heard_.chunks_when_told(), 0);
  EXPECT_EQ(heard_.LinesWith("kept and tried again"), 1) << testing::PrintToString(heard_.lines());
  EXPECT_EQ(heard_.LinesWith("max.message.bytes"), 1);
  EXPECT_EQ(heard_.producers(), exactly_once() ? 4 * kKafkaTransactionLanes : 4);
}

TEST_P(KafkaSinkOfEachKind, WhatIsInFrontOfAnOutputThatIsTooLargeIsWritten) {
  config_.kafka.client.options.emplace_back("message.max.bytes", "1000");
  Make();
  Give(0, 2);
  Give(0, 1, 2'000);
  sink_->Start();
  heard_.WaitForChunks(1);
  heard_.WaitForLine("kept and tried again");
  heard_.WaitForProducers(heard_.producers() + 1);  // it is tried again
  EXPECT_THAT(ReadTopic(2)[0], ElementsAre(1, 2));
  EXPECT_EQ(heard_.chunks(), 1);
  EXPECT_EQ(heard_.state(), "bettong 0:2");
  EXPECT_EQ(heard_.LinesWith("output 3 of partition 0"), 1);
}

TEST_P(KafkaSinkOfEachKind, OutputsAreKeptWhileBrokersAreAway) {
  Start();
  Give(0, 1);
  WaitUntilAllIsGivenBack();
  BrokersDown();
  Give(0, 3);
  heard_.WaitForLine("ALL_BROKERS_DOWN");
  EXPECT_EQ(heard_.chunks(), 1);
  EXPECT_EQ(heard_.state(), "bettong 0:1");
  BrokersUp();
  WaitUntilAllIsGivenBack();
  EXPECT_EQ(ReadTopic(4)[0], UpTo(4));
  // Each of its producers says so once.
  EXPECT_LE(heard_.LinesWith("ALL_BROKERS_DOWN"), heard_.producers());
  EXPECT_LE(heard_.lines().size(), 5 * heard_.producers())
      << testing::PrintToString(heard_.lines());
}

class PlainKafkaSink : public KafkaSinkTest {
 protected:
  PlainKafkaSink() : KafkaSinkTest(false) {}
};

TEST_F(PlainKafkaSink, OutputsAreKeptWhileBrokersAreNotThereYet) {
  BrokersDown();
  Start();
  Give(0, 3);
  // The first attempt is over, what its producer heard with it.
  heard_.WaitForProducers(2);
  EXPECT_EQ(heard_.chunks(), 0);
  EXPECT_FALSE(sink_->Drain(std::chrono::steady_clock::now()));
  EXPECT_EQ(heard_.LinesWith("do not answer"), 1);
  EXPECT_EQ(heard_.LinesWith("Connection refused"), 1);
  EXPECT_EQ(heard_.lines().size(), 1) << testing::PrintToString(heard_.lines());
  BrokersUp();
  WaitUntilAllIsGivenBack();
  heard_.WaitForLine("writes again");
  EXPECT_EQ(ReadTopic(3)[0], UpTo(3));
}

class KafkaSinkTransaction : public KafkaSinkTest {
 protected:
  KafkaSinkTransaction() : KafkaSinkTest(true) {}
};

struct Fault {
  Request request;
  rd_kafka_resp_err_t error;
  enum { kGoesOn, kBeforeRecords, kBehindRecords } where;  // the first: librdkafka tries again
};

constexpr Fault kFaults[] = {
    {kAddPartitionsToTxn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, Fault::kBeforeRecords},
    {kAddPartitionsToTxn, RD_KAFKA_RESP_ERR_UNKNOWN, Fault::kBeforeRecords},
    {kAddPartitionsToTxn, RD_KAFKA_RESP_ERR__TRANSPORT, Fault::kGoesOn},
    {kAddOffsetsToTxn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, Fault::kBehindRecords},
    {kAddOffsetsToTxn, RD_KAFKA_RESP_ERR_UNKNOWN, Fault::kBehindRecords},
    {kAddOffsetsToTxn, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, Fault::kGoesOn},
    {kTxnOffsetCommit, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, Fault::kBehindRecords},
    {kTxnOffsetCommit, RD_KAFKA_RESP_ERR_UNKNOWN, Fault::kBehindRecords},
    {kTxnOffsetCommit, RD_KAFKA_RESP_ERR__TRANSPORT, Fault::kGoesOn},
    {kEndTxn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, Fault::kBehindRecords},
    {kEndTxn, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, Fault::kBehindRecords},
    {kEndTxn, RD_KAFKA_RESP_ERR_UNKNOWN, Fault::kBehindRecords},
    {kEndTxn, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, Fault::kBehindRecords},
    {kEndTxn, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, Fault::kGoesOn},
    {kEndTxn, RD_KAFKA_RESP_ERR__TRANSPORT, Fault::kGoesOn},
};

// Fenced, too: it fences the other one in turn.
TEST_F(KafkaSinkTransaction, IsBegunAnewByAnotherProducerUnlessItGoesOn) {
  Start();
  Give(0, 1);
  WaitUntilAllIsGivenBack();
  std::vector<uint64_t> expected = {1};
  size_t failed = 0;
  for (const Fault& fault : kFaults) {
    SCOPED_TRACE(absl::StrCat("request ", fault.request, ": ", rd_kafka_err2name(fault.error)));
    FailNext(fault.request, fault.error);
    const uint64_t next = given_[0] + 1;
    Give(0, 2);
    WaitUntilAllIsGivenBack();
    const size_t times = fault.where == Fault::kBehindRecords ? 2 : 1;
    for (size_t i = 0; i < times; ++i) expected.insert(expected.end(), {next, next + 1});
    if (fault.where != Fault::kGoesOn) {
      ++failed;
      EXPECT_EQ(heard_.chunks_when_told(), chunks_given_ - 1) << "counted before it was committed";
    }
    EXPECT_EQ(heard_.LinesWith("kept and tried again"), failed);
    EXPECT_EQ(heard_.producers(), (failed + 1) * kKafkaTransactionLanes);
    EXPECT_EQ(heard_.state(), absl::StrCat("bettong 0:", given_[0]));
  }
  // A reader of a real broker would see each once.
  EXPECT_EQ(ReadTopic(expected.size())[0], expected);
  heard_.WaitForLine("writes again");
}

// The broker commits, and nobody hears of it: what the group has tells the next producer.
TEST_F(KafkaSinkTransaction, WhatWasCommittedUnheardIsNotWrittenAgain) {
  Start();
  Give(0, 1);  // by the first of its producers
  WaitUntilAllIsGivenBack();
  SetPositions(1, "bettong 0:3");
  FailNext(kEndTxn, RD_KAFKA_RESP_ERR_UNKNOWN);
  Give(0, 2);
  heard_.WaitForLine("kept and tried again");
  Give(0, 1);
  WaitUntilAllIsGivenBack();
  EXPECT_EQ(heard_.chunks_when_told(), 1);
  EXPECT_EQ(ReadTopic(4)[0], UpTo(4));
  EXPECT_EQ(heard_.state(), "bettong 0:4");
}

// Here it is not committed.
TEST_F(KafkaSinkTransaction, ACommitThatIsNotAnsweredIsNotWaitedForWithoutEnd) {
  Start();
  AnswerNever(kEndTxn);
  Give(0, 2);
  heard_.WaitForLine("kept and tried again");
  EXPECT_EQ(heard_.chunks(), 0);
  WaitUntilAllIsGivenBack();
  EXPECT_THAT(ReadTopic(4)[0], ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(heard_.producers(), 2 * kKafkaTransactionLanes);
}

}  // namespace
}  // namespace bettong::ingest
