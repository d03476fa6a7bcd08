#include "ingest/receiver_session.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <utility>

#include "ingest/stream_testing.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kNodeId = FromHex("000102030405060708090a0b0c0d0e0f");
const std::string kOffered = "OFFER 1 000102030405060708090a0b0c0d0e0f alerts s3";

// A node's end with a host that notes what it is told.
class End final : public ReceiverHost {
 public:
  explicit End(int64_t now_ms = 0)
      : session(*this, {.node_id = kNodeId, .sink = "alerts", .token = "s3"}, output, now_ms) {}

  void OnResume(std::span<const StreamPosition> positions) override {
    std::string call = "resume";
    for (const StreamPosition& position : positions) call += Words(position);
    calls.push_back(call);
    if (on_resume) on_resume();
  }
  void OnStored(const StreamPosition& position) override {
    calls.push_back("stored" + Words(position));
    if (on_stored) on_stored();
  }
  void OnReceiverError(const StreamRefusal& refusal) override { Note("error ", refusal); }
  void OnRefused(const StreamRefusal& refusal) override { Note("refused ", refusal); }

  void Receive(std::string_view bytes, int64_t now_ms = 0) {
    input_.append(bytes);
    Again(now_ms);
  }
  void Again(int64_t now_ms = 0) { input_.erase(0, session.Consume(input_, now_ms)); }
  bool Send(uint16_t partition, uint64_t sequence, std::string_view event = "{}") {
    return session.Send({.position = At(partition, sequence), .stream = "alerts", .event = event});
  }
  std::vector<std::string> Said() { return DescribeFrames(std::exchange(output, "")); }
  size_t left() const { return input_.size(); }

 private:
  static std::string Words(const StreamPosition& position) {
    return absl::StrCat(" ", position.partition.value(), ":", position.sequence);
  }
  void Note(const char* what, const StreamRefusal& refusal) {
    calls.push_back(absl::StrCat(what, std::string(StreamErrorName(refusal.code)), " ",
                                 std::string(refusal.text)));
  }

  std::string input_;

 public:
  std::string output;
  std::vector<std::string> calls;
  std::function<void()> on_resume;
  std::function<void()> on_stored;
  ReceiverSession session;
};

std::unique_ptr<End> Resumed(const std::vector<StreamPosition>& positions = {}) {
  auto end = std::make_unique<End>();
  end->Receive(ResumeBytes(positions));
  end->Said();
  end->calls.clear();
  return end;
}

TEST(ReceiverSession, OffersAndSendsAfterResume) {
  End end;
  EXPECT_THAT(end.Said(), ElementsAre(kOffered));
  EXPECT_FALSE(end.session.takes_outputs());
  end.Receive(ResumeBytes({At(3, 9), At(5, 2)}));
  EXPECT_THAT(end.calls, ElementsAre("resume 3:9 5:2"));
  EXPECT_TRUE(end.session.takes_outputs());
  EXPECT_TRUE(end.Send(3, 12, "a"));
  EXPECT_TRUE(end.Send(4, 1, ""));
  EXPECT_TRUE(end.Send(3, 13, "c"));
  EXPECT_THAT(end.Said(), ElementsAre("OUT 3 12 alerts a", "OUT 4 1 alerts ", "OUT 3 13 alerts c"));
}

TEST(ReceiverSession, GoldenBytesOfTheSpecification) {
  std::string output;
  End host;
  ReceiverSession session(host, {.node_id = kNodeId, .sink = "alerts"}, output, 0);
  EXPECT_EQ(output, FromHex("21000000 10 42544e47 0100 000102030405060708090a0b0c0d0e0f "
                            "0600 616c65727473 0000"));
  output.clear();
  EXPECT_EQ(session.Consume(FromHex("05000000 90 0100 0000"), 0), 9u);
  session.Send({.position = At(3, 9), .stream = "alerts", .event = "{}"});
  EXPECT_EQ(output, FromHex("15000000 11 0300 0900000000000000 0600 616c65727473 7b7d"));
  session.Consume(FromHex("0d000000 91 0100 0300 0900000000000000"), 0);
  EXPECT_THAT(host.calls, ElementsAre("resume", "stored 3:9"));
}

TEST(ReceiverSession, WhatIsStoredIsNotSentAgain) {
  const auto end = Resumed({At(3, 9)});
  EXPECT_FALSE(end->Send(3, 8));
  EXPECT_FALSE(end->Send(3, 9));
  EXPECT_TRUE(end->Send(3, 10));
  EXPECT_TRUE(end->Send(3, 12));
  end->Receive(StoredBytes({At(3, 12)}));
  EXPECT_FALSE(end->Send(3, 11));
  EXPECT_FALSE(end->Send(3, 12));
  EXPECT_TRUE(end->Send(3, 13));
  EXPECT_TRUE(end->Send(9, 1));
  EXPECT_THAT(end->Said(), ElementsAre("OUT 3 10 alerts {}", "OUT 3 12 alerts {}",
                                       "OUT 3 13 alerts {}", "OUT 9 1 alerts {}"));
}

TEST(ReceiverSession, SequencesMustRise) {
  const auto end = Resumed();
  end->Send(3, 10);
  end->Send(4, 2);
  EXPECT_DEATH(end->Send(3, 10), "progress.sent");
  EXPECT_DEATH(end->Send(3, 9), "progress.sent");
  End early;
  EXPECT_DEATH(early.Send(3, 1), "resumed");
}

TEST(ReceiverSession, StoredIsReportedWhereItRises) {
  const auto end = Resumed({At(3, 9), At(5, 2)});
  for (uint64_t sequence : {10, 14, 20}) end->Send(3, sequence);
  end->Send(7, 1);
  end->Receive(StoredBytes({At(3, 10), At(7, 1), At(5, 2)}) + StoredBytes({}));
  end->Receive(StoredBytes({At(3, 10), At(3, 9), At(5, 0), At(8, 0)}));
  end->Receive(StoredBytes({At(3, 17)}));  // between two that were sent
  end->Receive(StoredBytes({At(3, 20)}));
  EXPECT_THAT(end->calls, ElementsAre("stored 3:10", "stored 7:1", "stored 3:17", "stored 3:20"));
  EXPECT_FALSE(end->session.closing());
}

TEST(ReceiverSession, StoredBeyondWhatWasSentIsMalformed) {
  for (const StreamPosition& position : {At(3, 11), At(4, 1)}) {
    const auto end = Resumed({At(3, 9)});
    end->Send(3, 10);
    end->Said();
    end->Receive(StoredBytes({At(3, 10), position}) + StoredBytes({At(3, 10)}));
    EXPECT_THAT(end->calls, ElementsAre("stored 3:10", HasSubstr("refused malformed STORED says")));
    EXPECT_THAT(end->Said(), ElementsAre(HasSubstr("ERROR malformed STORED says")));
    EXPECT_TRUE(end->session.parting());
    EXPECT_FALSE(end->session.takes_outputs());
  }
}

TEST(ReceiverSession, HostRefusesWhatItHasNotGivenOut) {
  End end;
  end.on_resume = [&] { end.session.Refuse(StreamError::kRefused, "an old copy", 100); };
  end.Receive(ResumeBytes({At(3, 9)}) + PingBytes(1) + "garbage", 100);
  EXPECT_THAT(end.calls, ElementsAre("resume 3:9"));
  EXPECT_THAT(end.Said(), ElementsAre(kOffered, "ERROR refused an old copy"));
  EXPECT_FALSE(end.session.takes_outputs());
  EXPECT_EQ(end.left(), 0u);
  end.session.Tick(1'099);
  EXPECT_FALSE(end.session.dead());
  EXPECT_TRUE(end.session.wants_bytes());
  end.session.Tick(1'100);
  EXPECT_TRUE(end.session.dead());
}

TEST(ReceiverSession, HostMayRefuseInTheMiddle) {
  const auto end = Resumed();
  end->Send(1, 1);
  end->Send(2, 1);
  end->on_stored = [&] { end->session.Refuse(StreamError::kGoing, "", 0); };
  end->Receive(StoredBytes({At(1, 1), At(2, 1)}));
  EXPECT_THAT(end->calls, ElementsAre("stored 1:1"));
}

TEST(ReceiverSession, OutputsMayBeSentFromOnResume) {
  End end;
  end.on_resume = [&] { end.Send(3, 10); };
  end.Receive(ResumeBytes({At(3, 9)}) + StoredBytes({At(3, 10)}));
  EXPECT_THAT(end.calls, ElementsAre("resume 3:9", "stored 3:10"));
  EXPECT_THAT(end.Said(), ElementsAre(kOffered, "OUT 3 10 alerts {}"));
}

TEST(ReceiverSession, WhatIsOutOfTurnIsMalformed) {
  for (const std::string& first :
       {StoredBytes({}), MessageBytes(1, ""), std::string("HTTP/1.1 ")}) {
    End end;
    end.Receive(first);
    EXPECT_THAT(end.Said(), ElementsAre(kOffered, HasSubstr("ERROR malformed a frame of type ")));
    EXPECT_THAT(end.calls, ElementsAre(HasSubstr("refused malformed")));
  }
  for (const std::string& next : {ResumeBytes({}), HelloBytes({.source = "a"})}) {
    const auto end = Resumed();
    end->Receive(next);
    EXPECT_THAT(end->Said(), ElementsAre(HasSubstr("which is not expected here")));
  }
}

TEST(ReceiverSession, MalformedFieldsEndTheConnection) {
  End twice;
  twice.Receive(ResumeBytes({At(1, 1), At(1, 2)}));
  EXPECT_THAT(twice.calls, ElementsAre("refused malformed a frame of type 144 that has a "
                                       "partition twice"));
  End number;
  number.Receive(ResumeBytes({At(1, kStreamNumberMax + 1)}));
  EXPECT_THAT(number.calls, ElementsAre(HasSubstr("number outside")));
  const auto stored = Resumed();
  stored->Receive(StoredBytes({At(1, UINT64_MAX)}));
  EXPECT_THAT(stored->calls, ElementsAre(HasSubstr("number outside")));
  const auto count = Resumed();
  std::string bytes = StoredBytes({At(1, 1)});
  bytes[kStreamHeaderBytes] = 2;
  count->Receive(bytes);
  EXPECT_THAT(count->calls, ElementsAre(HasSubstr("whose fields do not fill it")));
}

TEST(ReceiverSession, AnotherVersionIsToldOurs) {
  End end;
  std::string resume;
  AppendResume(resume, {.version = 2, .positions = {At(1, 1)}});
  end.Receive(resume);
  EXPECT_THAT(end.calls, ElementsAre("refused version the receiver speaks version 2, the node 1"));
  EXPECT_THAT(end.Said(), ElementsAre(kOffered, HasSubstr("ERROR version")));
}

TEST(ReceiverSession, ReceiversErrorIsTheEnd) {
  End denied;
  denied.Receive(ErrorBytes(StreamError::kDenied, "wrong token") + ResumeBytes({}));
  EXPECT_THAT(denied.calls, ElementsAre("error denied wrong token"));
  EXPECT_TRUE(denied.session.dead());
  EXPECT_FALSE(denied.session.wants_bytes());
  EXPECT_THAT(denied.Said(), ElementsAre(kOffered));
  const auto later = Resumed();
  later->Receive(ErrorBytes(static_cast<StreamError>(77), "?"));
  EXPECT_THAT(later->calls, ElementsAre("error refused ?"));
  EXPECT_FALSE(later->session.takes_outputs());
}

TEST(ReceiverSession, PingIsAnsweredAtAnyTime) {
  End end;
  end.Receive(PingBytes(1) + PongBytes(9) + ResumeBytes({}) + PingBytes(2));
  EXPECT_THAT(end.Said(), ElementsAre(kOffered, "PONG 1", "PONG 2"));
}

TEST(ReceiverSession, TakesOutputsUntilThereIsEnough) {
  const auto end = Resumed();
  const std::string event(1000, 'x');
  uint64_t sequence = 0;
  while (end->session.takes_outputs()) end->Send(1, ++sequence, event);
  EXPECT_GE(end->output.size(), kStreamSendBytesMax);
  EXPECT_LT(end->output.size(), kStreamSendBytesMax + 2000);
  EXPECT_TRUE(end->session.wants_bytes());
  end->Receive(StoredBytes({At(1, 5)}) + PingBytes(1));
  EXPECT_THAT(end->calls, ElementsAre("stored 1:5"));
  EXPECT_THAT(end->Said(), SizeIs(sequence + 1));
  EXPECT_TRUE(end->session.takes_outputs());
}

TEST(ReceiverSession, NothingIsTakenWhileTheOutputIsFull) {
  const auto end = Resumed();
  end->Send(1, 1, std::string(kStreamSendBytesMax - 100, 'x'));
  ASSERT_TRUE(end->session.takes_outputs());
  end->Send(1, 2, std::string(kStreamFrameBytesMax - 13 - 6, 'y'));
  EXPECT_TRUE(end->session.wants_bytes());
  std::string pings;
  for (size_t i = 0; i < (256u << 10) / 13 + 20; ++i) pings += PingBytes(i);
  end->Receive(pings + StoredBytes({At(1, 1)}));
  EXPECT_TRUE(end->session.output_full());
  EXPECT_FALSE(end->session.wants_bytes());
  EXPECT_LT(end->output.size(), kStreamSendOutputBytesMax + 13);
  EXPECT_THAT(end->calls, IsEmpty());
  end->output.clear();
  end->Again();
  EXPECT_TRUE(end->session.wants_bytes());
  EXPECT_THAT(end->calls, ElementsAre("stored 1:1"));
}

TEST(ReceiverSession, ResumeHasTenSeconds) {
  End end(1'000);
  end.Receive(PingBytes(1), 9'000);
  end.session.Tick(10'999);
  EXPECT_FALSE(end.session.dead());
  end.session.Tick(11'000);
  EXPECT_TRUE(end.session.dead());
  EXPECT_THAT(end.Said(), ElementsAre(kOffered, "PONG 1"));
}

TEST(ReceiverSession, SilentReceiverIsAskedAndGivenUp) {
  const auto end = Resumed();
  end->Receive(StoredBytes({}), 3'000);  // says only that it lives
  end->session.Tick(7'999);
  EXPECT_THAT(end->Said(), IsEmpty());
  end->session.Tick(8'000);
  EXPECT_THAT(end->Said(), ElementsAre("PING 1"));
  end->Receive(StoredBytes({}).substr(0, 1), 17'000);
  end->session.Tick(21'999);
  EXPECT_THAT(end->Said(), IsEmpty());
  end->session.Tick(22'000);
  EXPECT_THAT(end->Said(), ElementsAre("PING 2"));
  end->session.Heard(31'000);
  end->session.Tick(36'000);
  EXPECT_THAT(end->Said(), ElementsAre("PING 3"));
  end->Again(40'000);
  end->session.Tick(45'999);
  EXPECT_FALSE(end->session.dead());
  end->session.Tick(46'000);
  EXPECT_TRUE(end->session.dead());
}

// --- properties

struct Outcome {
  std::vector<std::string> calls;
  std::string output;
  size_t left;
  bool operator==(const Outcome&) const = default;
};

// After RESUME some outputs are sent at once.
Outcome RunPieces(const std::vector<std::string_view>& pieces) {
  End end;
  std::string output;
  end.on_resume = [&] {
    for (uint16_t partition = 0; partition < 4; ++partition) {
      for (uint64_t sequence = 1; sequence < 40; sequence += 3) end.Send(partition, sequence);
    }
  };
  for (std::string_view piece : pieces) {
    end.Receive(piece);
    output += std::exchange(end.output, "");
  }
  return {end.calls, output, end.left()};
}

std::string Conversation(std::mt19937_64& random) {
  std::vector<StreamPosition> positions;
  for (uint16_t partition = 0; partition < 4; ++partition) {
    if (random() % 2 == 0) positions.push_back(At(partition, random() % 37));
  }
  std::string bytes = ResumeBytes(positions);
  for (size_t i = random() % 30; i > 0; --i) {
    const auto partition = static_cast<uint16_t>(random() % 4);
    switch (random() % 4) {
      case 0:
        bytes += PingBytes(random());
        break;
      case 1:
        bytes += StoredBytes({});
        break;
      default:
        bytes += StoredBytes({At(partition, random() % 38)});
    }
  }
  if (random() % 3 == 0) bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
  if (random() % 3 == 0) bytes += ErrorBytes(StreamError::kGoing, "bye");
  return bytes + StoredBytes({At(0, 37)});
}

TEST(ReceiverSession, PiecesMakeNoDifference) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::mt19937_64 random(seed);
    const std::string bytes = Conversation(random);
    const Outcome whole = RunPieces({bytes});
    EXPECT_EQ(RunPieces(CutAtRandom(bytes, random)), whole) << "seed " << seed;
    if (seed % 10 != 0) continue;
    for (size_t at = 1; at < bytes.size(); ++at) {
      const std::string_view view = bytes;
      ASSERT_EQ(RunPieces({view.substr(0, at), view.substr(at)}), whole) << seed << " " << at;
    }
  }
}

TEST(ReceiverSession, NoiseStoresNothing) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    std::string noise(1 + random() % 60, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    const auto end = Resumed();
    end->Send(3, 5);
    if (random() % 2 == 0) noise = StoredBytes({At(3, 5)}).substr(0, 5 + random() % 8) + noise;
    for (std::string_view piece : CutAtRandom(noise, random)) end->Receive(piece);
    for (const std::string& call : end->calls) {
      EXPECT_THAT(call, ::testing::AnyOf(HasSubstr("refused"), HasSubstr("error"),
                                         ::testing::MatchesRegex("stored 3:[1-5]")));
    }
  }
}

}  // namespace
}  // namespace bettong::ingest
