#include "ingest/sender_session.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <utility>

#include "ingest/frame_reader.h"
#include "ingest/stream_testing.h"

namespace bettong::ingest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kHello = HelloBytes({.incarnation = 5, .source = "collector-7"});
constexpr StreamGrant kPlenty{.durable = 0, .allowed = 1'000'000};

// A node's end with a host that notes what it is told, and answers HELLO if it has an answer.
class End final : public SenderHost {
 public:
  explicit End(std::optional<StreamGrant> answer = kPlenty, std::string token = "",
               int64_t now_ms = 0)
      : answer_(answer), session(*this, std::move(token), output, now_ms) {}

  void OnHello(const StreamHello& hello) override {
    calls.push_back(absl::StrCat("hello ", hello.incarnation, " ", std::string(hello.source)));
    if (answer_) session.Welcome(*answer_);
  }
  void OnMessage(uint64_t id, std::string_view event) override {
    // What the decoder may read behind the event: AddressSanitizer watches.
    const std::string beyond(event.data(), event.size() + kFramePaddingBytes);
    calls.push_back(absl::StrCat(id, " ", beyond.substr(0, event.size())));
    if (on_message) on_message(id);
  }
  void OnSenderError(const StreamRefusal& refusal) override {
    calls.push_back(absl::StrCat("error ", std::string(StreamErrorName(refusal.code)), " ",
                                 std::string(refusal.text)));
  }

  void OnRefused(const StreamRefusal& refusal) override {
    refused.push_back(
        absl::StrCat(std::string(StreamErrorName(refusal.code)), " ", std::string(refusal.text)));
  }

  // So many bytes have come, and are kept until the session is done with them.
  void Receive(std::string_view bytes, int64_t now_ms = 0) {
    input_.append(bytes);
    Again(now_ms);
  }
  void Again(int64_t now_ms = 0) {
    const auto buffer = std::make_unique<char[]>(input_.size() + kFramePaddingBytes);
    std::memcpy(buffer.get(), input_.data(), input_.size());
    input_.erase(0, session.Consume({buffer.get(), input_.size()}, now_ms));
  }
  // What has been said since, the kernel having taken it.
  std::vector<std::string> Said() { return DescribeFrames(std::exchange(output, "")); }
  size_t left() const { return input_.size(); }

 private:
  const std::optional<StreamGrant> answer_;
  std::string input_;

 public:
  std::string output;
  std::vector<std::string> calls;
  std::vector<std::string> refused;
  std::function<void(uint64_t)> on_message;
  SenderSession session;
};

// One that has been welcomed, with what was said taken away.
std::unique_ptr<End> Open(StreamGrant grant = kPlenty) {
  auto end = std::make_unique<End>(grant);
  end->Receive(kHello);
  end->Said();
  end->calls.clear();
  return end;
}

TEST(SenderSession, HelloIsAnsweredAndMessagesComeInOrder) {
  End end(StreamGrant{.durable = 7, .allowed = 100});
  EXPECT_FALSE(end.session.open());
  end.Receive(kHello + MessageBytes(8, "{}") + MessageBytes(12, "{\"a\":1}"));
  EXPECT_THAT(end.calls, ElementsAre("hello 5 collector-7", "8 {}", "12 {\"a\":1}"));
  EXPECT_THAT(end.Said(), ElementsAre("WELCOME 1 7 100"));
  EXPECT_TRUE(end.session.open());
  EXPECT_EQ(end.session.last_id(), 12u);
  EXPECT_EQ(end.session.received(), 2u);
  EXPECT_EQ(end.session.durable(), 7u);
  EXPECT_EQ(end.session.allowed(), 100u);
}

TEST(SenderSession, GoldenBytesOfTheSpecification) {
  End end(StreamGrant{.durable = 257, .allowed = 16384}, "s3");
  end.Receive(
      FromHex("20000000 01 42544e47 0100 0807060504030201 0b00 636f6c6c6563746f722d37 0200 7333"));
  EXPECT_EQ(end.output, FromHex("13000000 81 0100 0101000000000000 0040000000000000"));
  end.output.clear();
  end.Receive(FromHex("0b000000 02 0201000000000000 7b7d") +
              FromHex("09000000 03 0700000000000000"));
  end.session.Acknowledge({.durable = 258, .allowed = 16385});
  EXPECT_THAT(end.calls, ElementsAre("hello 72623859790382856 collector-7", "258 {}"));
  EXPECT_EQ(end.output, FromHex("09000000 84 0700000000000000"
                                "11000000 82 0201000000000000 0140000000000000"));
}

TEST(SenderSession, EmptyAndLargestEventsAreTaken) {
  const auto end = Open();
  const std::string largest(kStreamEventBytesMax, 'x');
  end->Receive(MessageBytes(1, ""));
  end->Receive(MessageBytes(2, largest));
  ASSERT_THAT(end->calls, SizeIs(2));
  EXPECT_EQ(end->calls[0], "1 ");
  EXPECT_TRUE(end->calls[1] == "2 " + largest);
  std::string too_long = MessageBytes(3, largest).substr(0, kStreamHeaderBytes);
  ++too_long[0];  // of the length
  end->Receive(too_long);
  EXPECT_THAT(end->Said(), ElementsAre("ERROR malformed a frame of type 2 and length 16777217"));
}

TEST(SenderSession, WelcomeMayComeLaterAndPingIsAnsweredMeanwhile) {
  End end(std::nullopt);
  end.Receive(kHello + PingBytes(3));
  EXPECT_THAT(end.Said(), ElementsAre("PONG 3"));
  end.Receive(PongBytes(1) + PingBytes(4));
  EXPECT_THAT(end.Said(), ElementsAre("PONG 4"));
  EXPECT_FALSE(end.session.closing());
  end.session.Welcome({.durable = 0, .allowed = 1});
  EXPECT_THAT(end.Said(), ElementsAre("WELCOME 1 0 1"));
  end.Receive(MessageBytes(1, "{}"));
  EXPECT_THAT(end.calls, ElementsAre("hello 5 collector-7", "1 {}"));
}

TEST(SenderSession, IdThatDoesNotRiseIsAnOrderError) {
  for (uint64_t id : {7, 6, 1}) {
    End end(StreamGrant{.durable = 7, .allowed = 100});
    end.Receive(kHello + MessageBytes(id, "{}") + MessageBytes(8, "{}"));
    EXPECT_THAT(end.calls, ElementsAre("hello 5 collector-7"));
    EXPECT_THAT(end.Said(),
                ElementsAre("WELCOME 1 7 100", absl::StrCat("ERROR order id ", id, " behind 7")));
    EXPECT_THAT(end.refused, ElementsAre(absl::StrCat("order id ", id, " behind 7")));
    EXPECT_TRUE(end.session.parting());
    EXPECT_EQ(end.left(), 0u);
  }
  const auto end = Open();
  end->Receive(MessageBytes(3, "a") + MessageBytes(3, "a"));
  EXPECT_THAT(end->calls, ElementsAre("3 a"));
  EXPECT_THAT(end->Said(), ElementsAre("ERROR order id 3 behind 3"));
}

TEST(SenderSession, WhatIsOutOfTurnIsMalformed) {
  // First: anything but HELLO.
  for (const std::string& first :
       {MessageBytes(1, "{}"), PingBytes(1), PongBytes(1), ErrorBytes(StreamError::kGoing, ""),
        ResumeBytes({}), std::string("GET / HTTP/1.1\r\n")}) {
    End end;
    end.Receive(first);
    EXPECT_THAT(end.Said(), ElementsAre(HasSubstr("ERROR malformed a frame of type ")));
    EXPECT_THAT(end.refused, ElementsAre(HasSubstr("malformed a frame of type ")));
    EXPECT_THAT(end.calls, IsEmpty());
    EXPECT_TRUE(end.session.parting());
  }
  // Between HELLO and WELCOME: another HELLO, and MSG.
  for (const std::string& next : {kHello, MessageBytes(1, "{}")}) {
    End end(std::nullopt);
    end.Receive(kHello + next);
    EXPECT_THAT(end.Said(), ElementsAre(HasSubstr("ERROR malformed")));
    EXPECT_THAT(end.calls, SizeIs(1));
    end.session.Welcome(kPlenty);  // comes too late
    EXPECT_THAT(end.Said(), IsEmpty());
  }
  // Then: another HELLO, and what only nodes and receivers say.
  std::string acknowledge;
  AppendAcknowledge(acknowledge, {.durable = 1, .allowed = 1});
  for (const std::string& next : {kHello, StoredBytes({}), acknowledge}) {
    const auto end = Open();
    end->Receive(MessageBytes(1, "{}") + next + MessageBytes(2, "{}"));
    EXPECT_THAT(end->Said(), ElementsAre(HasSubstr("which is not expected here")));
    EXPECT_THAT(end->calls, ElementsAre("1 {}"));
  }
}

TEST(SenderSession, MalformedFieldsEndTheConnection) {
  for (uint64_t id : {uint64_t{0}, kStreamNumberMax + 1}) {
    const auto end = Open();
    end->Receive(MessageBytes(id, "{}"));
    EXPECT_THAT(end->Said(), ElementsAre("ERROR malformed a frame of type 2 with a number outside "
                                         "of 1 to 2^63 - 1"));
    EXPECT_THAT(end->calls, IsEmpty());
  }
  End magic;
  std::string hello = kHello;
  hello[kStreamHeaderBytes] = 'b';
  magic.Receive(hello);
  EXPECT_THAT(magic.Said(), ElementsAre("ERROR malformed does not begin with \"BTNG\""));
  End text;
  text.Receive(HelloBytes({.source = "\xff"}));
  EXPECT_THAT(text.Said(), ElementsAre(HasSubstr("a text that is not UTF-8")));
  const auto error = Open();
  error->Receive(ErrorBytes(StreamError::kGoing, "\xff"));
  EXPECT_THAT(error->Said(), ElementsAre(HasSubstr("a text that is not UTF-8")));
  EXPECT_THAT(error->calls, IsEmpty());
}

TEST(SenderSession, FiveBytesAreEnoughToRefuseALargeFrame) {
  End end;
  end.Receive(MessageBytes(1, std::string(1000, 'x')).substr(0, kStreamHeaderBytes));
  EXPECT_THAT(end.Said(), ElementsAre(HasSubstr("ERROR malformed a frame of type 2")));
  End asked(std::nullopt);
  asked.Receive(kHello + MessageBytes(1, std::string(1000, 'x')).substr(0, kStreamHeaderBytes));
  EXPECT_THAT(asked.Said(), ElementsAre(HasSubstr("ERROR malformed a frame of type 2")));
}

TEST(SenderSession, AnotherVersionIsToldOurs) {
  End end;
  end.Receive(HelloBytes({.version = 2, .source = "a"}));
  EXPECT_THAT(end.Said(), ElementsAre("ERROR version the node speaks version 1, the sender 2"));
  EXPECT_THAT(end.refused, ElementsAre("version the node speaks version 1, the sender 2"));
  EXPECT_THAT(end.calls, IsEmpty());
  EXPECT_TRUE(end.session.parting());
}

TEST(SenderSession, WrongTokenAndMissingNameAreDenied) {
  for (const char* token : {"", "S3", "s33", "s"}) {
    End end(kPlenty, "s3");
    end.Receive(HelloBytes({.source = "a", .token = token}));
    EXPECT_THAT(end.Said(), ElementsAre("ERROR denied wrong token")) << token;
    EXPECT_THAT(end.refused, ElementsAre("denied wrong token"));
    EXPECT_THAT(end.calls, IsEmpty());
  }
  End right(kPlenty, "s3");
  right.Receive(HelloBytes({.source = "a", .token = "s3"}));
  EXPECT_THAT(right.Said(), ElementsAre(HasSubstr("WELCOME")));
  End unasked;
  unasked.Receive(HelloBytes({.source = "a", .token = "s3"}));
  EXPECT_THAT(unasked.Said(), ElementsAre("ERROR denied wrong token"));
  End nameless;
  nameless.Receive(HelloBytes({.source = ""}));
  EXPECT_THAT(nameless.Said(), ElementsAre("ERROR denied a source has a name"));
}

TEST(SenderSession, HostRefusesAtOnceOrLater) {
  for (StreamError code : {StreamError::kFenced, StreamError::kGoing, StreamError::kDenied}) {
    End end(std::nullopt);
    end.Receive(kHello);
    end.session.Refuse(code, "why", 0);
    end.session.Refuse(StreamError::kRefused, "again", 0);
    EXPECT_THAT(end.Said(),
                ElementsAre(absl::StrCat("ERROR ", std::string(StreamErrorName(code)), " why")));
  }
  const auto end = Open();
  end->on_message = [&](uint64_t id) {
    if (id == 2) end->session.Refuse(StreamError::kFenced, "a newer one came", 0);
  };
  end->Receive(MessageBytes(1, "a") + MessageBytes(2, "b") + MessageBytes(3, "c"));
  end->Receive(MessageBytes(4, "d") + PingBytes(1) + "garbage");
  EXPECT_THAT(end->calls, ElementsAre("1 a", "2 b"));
  EXPECT_THAT(end->Said(), ElementsAre("ERROR fenced a newer one came"));
  EXPECT_THAT(end->refused, IsEmpty());  // the host knows
  end->session.Acknowledge({.durable = 2, .allowed = kPlenty.allowed});
  EXPECT_THAT(end->Said(), IsEmpty());
  EXPECT_EQ(end->left(), 0u);
}

TEST(SenderSession, AfterErrorItReadsOnForASecond) {
  const auto end = Open();
  end->session.Refuse(StreamError::kGoing, "", 10'000);
  EXPECT_TRUE(end->session.parting());
  EXPECT_TRUE(end->session.wants_bytes());
  end->Receive("garbage", 10'900);
  end->session.Heard(10'900);
  end->session.Tick(10'999);
  EXPECT_FALSE(end->session.dead());
  end->session.Tick(11'000);
  EXPECT_TRUE(end->session.dead());
  EXPECT_FALSE(end->session.wants_bytes());
  EXPECT_THAT(end->Said(), ElementsAre("ERROR going "));
}

TEST(SenderSession, ClosedWithoutAWord) {
  const auto end = Open();
  end->on_message = [&](uint64_t) { end->session.Close(); };
  end->Receive(MessageBytes(1, "a") + MessageBytes(2, "b") + PingBytes(1));
  EXPECT_TRUE(end->session.dead());
  EXPECT_THAT(end->calls, ElementsAre("1 a"));
  end->session.Acknowledge({.durable = 1, .allowed = kPlenty.allowed});
  end->session.Refuse(StreamError::kGoing, "", 0);
  end->session.Tick(1'000'000);
  EXPECT_THAT(end->Said(), IsEmpty());
}

TEST(SenderSession, SendersErrorIsTheEnd) {
  const auto end = Open();
  end->Receive(MessageBytes(1, "a") + ErrorBytes(StreamError::kOrder, "copied") +
               MessageBytes(2, "b"));
  EXPECT_THAT(end->calls, ElementsAre("1 a", "error order copied"));
  EXPECT_TRUE(end->session.dead());
  EXPECT_THAT(end->Said(), IsEmpty());
  End early(std::nullopt);
  early.Receive(kHello + ErrorBytes(StreamError::kVersion, "older"));
  EXPECT_THAT(early.calls, ElementsAre("hello 5 collector-7", "error version older"));
}

TEST(SenderSession, AcknowledgesWhatRisesAndNeverGoesBack) {
  const auto end = Open({.durable = 5, .allowed = 10});
  for (uint64_t id = 6; id <= 9; ++id) end->Receive(MessageBytes(id, "x"));
  end->session.Acknowledge({.durable = 5, .allowed = 10});
  EXPECT_THAT(end->Said(), IsEmpty());
  end->session.Acknowledge({.durable = 7, .allowed = 10});
  end->session.Acknowledge({.durable = 7, .allowed = 12});
  end->session.Acknowledge({.durable = 6, .allowed = 13});
  end->session.Acknowledge({.durable = 9, .allowed = 1});
  end->session.Acknowledge({.durable = 8, .allowed = 11});
  EXPECT_THAT(end->Said(), ElementsAre("ACK 7 10", "ACK 7 12", "ACK 7 13", "ACK 9 13"));
  EXPECT_DEATH(end->session.Acknowledge({.durable = 10, .allowed = 13}), "last_id_");
}

TEST(SenderSession, SenderThatIgnoresAllowedIsNotReadFurther) {
  const auto end = Open({.durable = 0, .allowed = 2});
  EXPECT_TRUE(end->session.wants_bytes());
  end->Receive(MessageBytes(1, "a") + MessageBytes(2, "b"));
  EXPECT_TRUE(end->session.wants_bytes());  // PING may come
  end->Receive(PingBytes(1));
  EXPECT_THAT(end->Said(), ElementsAre("PONG 1"));
  EXPECT_FALSE(end->session.overrun());
  const std::string more = MessageBytes(3, "c");
  end->Receive(more.substr(0, kStreamHeaderBytes));
  EXPECT_TRUE(end->session.overrun());
  EXPECT_FALSE(end->session.wants_bytes());
  end->Receive(more.substr(kStreamHeaderBytes) + PingBytes(2));
  EXPECT_THAT(end->calls, ElementsAre("1 a", "2 b"));
  EXPECT_THAT(end->Said(), IsEmpty());
  end->session.Acknowledge({.durable = 1, .allowed = 3});
  end->Again();
  EXPECT_TRUE(end->session.wants_bytes());
  EXPECT_THAT(end->calls, ElementsAre("1 a", "2 b", "3 c"));
  EXPECT_THAT(end->Said(), ElementsAre("ACK 1 3", "PONG 2"));
}

TEST(SenderSession, NothingIsAllowedAtFirst) {
  const auto end = Open({.durable = 0, .allowed = 0});
  end->Receive(MessageBytes(1, "a"));
  EXPECT_TRUE(end->session.overrun());
  end->session.Acknowledge({.durable = 0, .allowed = 1});
  end->Again();
  EXPECT_THAT(end->calls, ElementsAre("1 a"));
}

TEST(SenderSession, NothingIsTakenWhileTheOutputIsFull) {
  const auto end = Open();
  const size_t fits = (kStreamOutputBytesMax + PongBytes(0).size() - 1) / PongBytes(0).size();
  std::string pings;
  for (size_t i = 0; i <= fits; ++i) pings += PingBytes(i);
  end->Receive(pings + MessageBytes(1, "a"));
  EXPECT_TRUE(end->session.output_full());
  EXPECT_FALSE(end->session.wants_bytes());
  EXPECT_LT(end->output.size(), kStreamOutputBytesMax + PongBytes(0).size());
  EXPECT_EQ(end->left(), (PingBytes(0) + MessageBytes(1, "a")).size());
  EXPECT_THAT(end->Said(), SizeIs(fits));
  end->Again();
  EXPECT_TRUE(end->session.wants_bytes());
  EXPECT_THAT(end->Said(), ElementsAre(absl::StrCat("PONG ", fits)));
  EXPECT_THAT(end->calls, ElementsAre("1 a"));
}

TEST(SenderSession, AfterFinAllIsAcknowledged) {
  const auto end = Open();
  end->Receive(MessageBytes(1, "a") + MessageBytes(2, "b"));
  end->Receive(MessageBytes(3, "c").substr(0, 8));  // half of a message is none
  end->session.Finish(0);
  EXPECT_FALSE(end->session.complete());
  EXPECT_FALSE(end->session.wants_bytes());
  end->session.Acknowledge({.durable = 1, .allowed = kPlenty.allowed});
  EXPECT_FALSE(end->session.complete());
  end->session.Acknowledge({.durable = 2, .allowed = kPlenty.allowed});
  EXPECT_TRUE(end->session.complete());
  EXPECT_THAT(end->Said(), ElementsAre("ACK 1 1000000", "ACK 2 1000000"));
}

TEST(SenderSession, AfterFinNobodyIsGivenUp) {
  const auto end = Open();
  end->Receive(MessageBytes(1, "a"));
  end->session.Finish(0);
  for (int64_t now_ms = 0; now_ms < 60'000; now_ms += 500) end->session.Tick(now_ms);
  EXPECT_FALSE(end->session.dead());
  EXPECT_THAT(end->Said(), SizeIs(11));  // a sign of life every 5 s
}

TEST(SenderSession, FinWithNothingToAcknowledge) {
  const auto nothing = Open({.durable = 7, .allowed = 10});
  nothing->session.Finish(0);
  EXPECT_TRUE(nothing->session.complete());
  for (const std::string& before : {std::string(), kHello}) {
    End end(std::nullopt);
    end.Receive(before);
    end.session.Finish(0);
    EXPECT_TRUE(end.session.dead());
    end.session.Welcome(kPlenty);
    EXPECT_THAT(end.Said(), IsEmpty());
  }
  // What was said to it is still to be written.
  End refused;
  refused.Receive("GET / HTTP/1.1\r\n");
  refused.session.Finish(0);
  EXPECT_FALSE(refused.session.dead());
  EXPECT_TRUE(refused.session.complete());
}

TEST(SenderSession, HelloHasTenSeconds) {
  End end(kPlenty, "", 1'000);
  end.Receive(kHello.substr(0, 9), 10'900);
  end.session.Tick(10'999);
  EXPECT_FALSE(end.session.dead());
  EXPECT_THAT(end.Said(), IsEmpty());
  end.session.Tick(11'000);
  EXPECT_TRUE(end.session.dead());
}

TEST(SenderSession, SilentSenderIsAskedAndGivenUp) {
  End end(kPlenty, "", 0);
  end.Receive(kHello, 9'000);
  end.Said();
  end.session.Tick(13'999);
  EXPECT_THAT(end.Said(), IsEmpty());
  end.session.Tick(14'000);
  EXPECT_THAT(end.Said(), ElementsAre("PING 1"));
  end.session.Tick(23'999);
  EXPECT_FALSE(end.session.dead());
  EXPECT_THAT(end.Said(), IsEmpty());  // once
  end.session.Tick(24'000);
  EXPECT_TRUE(end.session.dead());
  EXPECT_THAT(end.Said(), IsEmpty());
}

TEST(SenderSession, AnyByteIsASignOfLife) {
  const auto end = Open();
  const std::string large = MessageBytes(1, std::string(100, 'x'));
  int64_t now_ms = 0;
  for (char byte : large) {
    now_ms += 14'000;
    end->session.Tick(now_ms - 8'000);
    end->session.Tick(now_ms);
    ASSERT_FALSE(end->session.dead());
    end->Receive({&byte, 1}, now_ms);
  }
  EXPECT_THAT(end->calls, SizeIs(1));
  EXPECT_THAT(end->Said(), Contains("PING 100"));
  // The same bytes once more are none.
  end->Receive(large.substr(0, 20), now_ms);
  end->session.Tick(now_ms + 5'000);
  end->Again(now_ms + 14'000);
  end->session.Tick(now_ms + 15'000);
  EXPECT_TRUE(end->session.dead());
}

TEST(SenderSession, OutputTakenAgainIsASignOfLife) {
  const auto end = Open();
  end->session.Tick(5'000);
  end->session.Heard(14'999);
  end->session.Tick(19'998);
  EXPECT_FALSE(end->session.dead());
  end->session.Tick(19'999);
  EXPECT_THAT(end->Said(), ElementsAre("PING 1", "PING 2"));
}

TEST(SenderSession, SenderWaitingForWelcomeIsAskedToo) {
  End end(std::nullopt);
  end.Receive(kHello);
  end.session.Tick(5'000);
  EXPECT_THAT(end.Said(), ElementsAre("PING 1"));
  end.Receive(PongBytes(1), 14'999);
  end.session.Tick(19'000);
  EXPECT_FALSE(end.session.dead());
}

TEST(SenderSession, WhileNotReadTheSenderIsShownSignsOfLife) {
  const auto end = Open();
  end->session.SetReading(false, 1'000);
  std::vector<std::string> said;
  for (int64_t now_ms = 1'000; now_ms <= 61'000; now_ms += 500) end->session.Tick(now_ms);
  EXPECT_FALSE(end->session.dead());
  EXPECT_THAT(end->Said(), SizeIs(12));
  end->session.SetReading(true, 61'000);
  end->session.Tick(65'999);
  EXPECT_THAT(end->Said(), IsEmpty());
  end->session.Tick(66'000);
  EXPECT_THAT(end->Said(), SizeIs(1));
  end->session.Tick(76'000);
  EXPECT_TRUE(end->session.dead());
}

TEST(SenderSession, StopsAskingBesideOutputThatNobodyTakes) {
  const auto end = Open();
  std::string pings;
  for (size_t i = 0; i < kStreamOutputBytesMax / 10; ++i) pings += PingBytes(i);
  end->Receive(pings);
  const size_t before = end->output.size();
  end->session.Tick(5'000);
  EXPECT_EQ(end->output.size(), before);
  end->session.Tick(15'000);
  EXPECT_TRUE(end->session.dead());
}

// --- properties

// A conversation of a sender that may break the rules once.
std::string Conversation(std::mt19937_64& random) {
  std::string bytes = HelloBytes({.incarnation = random(), .source = "s", .token = "t"});
  uint64_t id = 0;
  const size_t frames = random() % 60;
  for (size_t i = 0; i < frames; ++i) {
    switch (random() % 8) {
      case 0:
        bytes += PingBytes(random());
        break;
      case 1:
        bytes += PongBytes(random());
        break;
      default:
        id += 1 + random() % 3;
        bytes += MessageBytes(id, std::string(random() % 80, static_cast<char>('a' + id % 26)));
    }
  }
  switch (random() % 6) {
    case 0:
      bytes += MessageBytes(id, "again");
      break;
    case 1:
      bytes += ErrorBytes(StreamError::kOrder, "mine");
      break;
    case 2:
      bytes += HelloBytes({.source = "s", .token = "t"});
      break;
    case 3:
      bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
      break;
    case 4:
      bytes.resize(random() % bytes.size());
      break;
  }
  return bytes + MessageBytes(1'000'000, "behind");
}

struct Outcome {
  std::vector<std::string> calls;
  std::string output;
  size_t left;
  bool operator==(const Outcome&) const = default;
};

// Everything is acknowledged as it comes; `allowed` stays two ahead of it, so that senders run
// into it often.
Outcome RunPieces(const std::vector<std::string_view>& pieces) {
  End end(StreamGrant{.durable = 0, .allowed = 2}, "t");
  std::string output;
  end.on_message = [&](uint64_t id) {
    if (id % 2 == 0) {
      end.session.Acknowledge({.durable = id, .allowed = end.session.received() + 2});
    }
  };
  for (std::string_view piece : pieces) {
    end.Receive(piece);
    while (end.session.overrun()) {
      end.session.Acknowledge({.durable = 0, .allowed = end.session.received() + 1});
      end.Again();
    }
    output += std::exchange(end.output, "");
  }
  return {end.calls, output, end.left()};
}

TEST(SenderSession, PiecesMakeNoDifference) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    std::mt19937_64 random(seed);
    const std::string bytes = Conversation(random);
    const Outcome whole = RunPieces({bytes});
    EXPECT_EQ(RunPieces(CutAtRandom(bytes, random)), whole) << "seed " << seed;
    // Each place where there can be a seam.
    if (seed % 10 != 0) continue;
    for (size_t at = 1; at < bytes.size(); ++at) {
      const std::string_view view = bytes;
      ASSERT_EQ(RunPieces({view.substr(0, at), view.substr(at)}), whole) << seed << " " << at;
    }
  }
}

TEST(SenderSession, DamagedBytesYieldNoEventThatWasNotSent) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    std::string bytes = kHello;
    std::set<std::string> sent = {"hello 5 collector-7"};
    // Events are told apart by what they are, not by their id, which may be damaged.
    for (uint64_t id = 1; id <= 10; ++id) {
      const std::string event(1 + random() % 40, static_cast<char>('a' + id));
      bytes += MessageBytes(id, event);
      sent.insert(absl::StrCat(id, " ", event));
    }
    // Cut out, inserted, or from the beginning noise.
    const size_t at = random() % bytes.size();
    std::string noise(1 + random() % 30, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    if (seed % 3 == 0) bytes.erase(at);
    if (seed % 3 == 1) bytes.insert(random() % 2 == 0 ? 0 : bytes.size(), noise);
    if (seed % 3 == 2) bytes = noise + noise + noise;
    End end;
    for (std::string_view piece : CutAtRandom(bytes, random)) end.Receive(piece);
    for (const std::string& call : end.calls) EXPECT_TRUE(sent.contains(call)) << call;
    const std::vector<std::string> said = end.Said();
    EXPECT_LE(said.size(), 2u);
  }
}

}  // namespace
}  // namespace bettong::ingest
