#include "ingest/stream_source.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <utility>

#include "base/key_hash.h"
#include "grid/runtime/call_mail.h"
#include "ingest/ingest_testing.h"
#include "ingest/stream_pulse.h"
#include "ingest/stream_testing.h"
#include "ingest/stream_window.h"

namespace bettong::ingest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

// A sender, byte by byte.
class Client {
 public:
  explicit Client(const std::string& address, int receive_bytes = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_bytes > 0) {
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }
  ~Client() { ::close(socket_); }
  // As much as goes without waiting.
  size_t Send(std::string_view bytes) {
    const ssize_t size = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return size < 0 ? 0 : static_cast<size_t>(size);
  }
  void Finish() { ::shutdown(socket_, SHUT_WR); }
  void Reset() {
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    ::close(std::exchange(socket_, -1));
  }
  // All that was said, ever; " END" behind it at the end, " RESET" if it was a bad one.
  std::vector<std::string> Heard() {
    char bytes[65536];
    while (end_.empty()) {
      const ssize_t size = ::recv(socket_, bytes, sizeof(bytes), MSG_DONTWAIT);
      if (size < 0 && errno == EAGAIN) break;
      if (size <= 0) end_ = size == 0 ? "END" : "RESET";
      if (size > 0) heard_.append(bytes, static_cast<size_t>(size));
    }
    std::vector<std::string> lines = DescribeFrames(heard_);
    if (!end_.empty()) lines.push_back(end_);
    return lines;
  }

 private:
  int socket_;
  std::string heard_;
  std::string end_;
};

// An actor that does nothing by itself, but notes its calls.
struct FakeActor final : SourceActor {
  void Connect(SourceLink& to, const StreamHello& hello) override {
    calls.push_back(absl::StrCat("connect ", hello.incarnation));
    link = &to;
    if (on_connect) on_connect();
  }
  void Route(SourceLink& from, uint64_t id, std::string_view event) override {
    EXPECT_EQ(&from, link);
    const std::string beyond(event.data(), event.size() + kFramePaddingBytes);
    events.push_back(absl::StrCat(id, " ", beyond.substr(0, event.size())));
    last_id = id;
  }
  void EndRead(SourceLink&) override {
    ++reads;
    if (on_read) on_read();
  }
  void Disconnect(SourceLink& from) override {
    calls.push_back("disconnect");
    if (&from == link) link = nullptr;
  }

  size_t shard = 0;
  SourceLink* link = nullptr;
  std::vector<std::string> calls;
  std::vector<std::string> events;
  uint64_t last_id = 0;
  size_t reads = 0;
  std::function<void()> on_connect;
  std::function<void()> on_read;
};

struct FakeActors final : SourceActors {
  FakeActors(size_t on_shard, std::function<void(FakeActor&)>& on_make)
      : shard(on_shard), make(on_make) {}
  SourceActor* Find(std::string_view source) override {
    if (source == "stranger") return nullptr;
    FakeActor& actor = actors[std::string(source)];
    actor.shard = shard;
    if (make) make(actor);
    return &actor;
  }

  const size_t shard;
  std::function<void(FakeActor&)>& make;
  std::map<std::string, FakeActor> actors;
};

const std::string kHello = HelloBytes({.incarnation = 5, .source = "collector-7"});
const std::string kWelcome = absl::StrCat("WELCOME 1 0 ", kStreamWindowMessages);

class StreamSourceTest : public ::testing::Test {
 protected:
  void Open(SourceConfig config = {}, size_t shards = 2) {
    node_ = std::make_unique<TestNode>(SampleCatalog(), shards);
    std::vector<grid::ShardLoop*> loops;
    std::vector<SourceActors*> actors;
    for (size_t i = 0; i < shards; ++i) {
      loops.push_back(&node_->shard(i));
      actors.push_back(actors_.emplace_back(std::make_unique<FakeActors>(i, make_)).get());
    }
    config.name = "test";
    config.kind = SourceKind::kBettongStream;
    config.listen = "127.0.0.1:0";
    source_ = std::make_unique<StreamSource>(
        std::move(config), loops, actors, counters_,
        [this](std::string_view line) { log_.emplace_back(line); },
        StreamSourceOptions{.clock = [this] { return now_ms_; },
                            .tick_every = std::chrono::milliseconds(1)});
    ASSERT_TRUE(source_->Open().ok());
    source_->Start();
    node_->Run();
  }
  ~StreamSourceTest() override {
    if (source_ == nullptr) return;
    source_->Stop();
    // Whatever is not acknowledged never will be.
    EXPECT_TRUE(node_->RunUntil([&] {
      for (const auto& actors : actors_) {
        for (auto& [name, actor] : actors->actors) {
          if (actor.link != nullptr) actor.link->Close();
        }
      }
      return source_->drained();
    }));
  }
  bool Until(const std::function<bool()>& done) { return node_->RunUntil(done); }
  // Until the client has heard so many lines.
  bool Hears(Client& client, size_t lines) {
    return Until([&] { return client.Heard().size() >= lines; });
  }
  // The actor, wherever it was made.
  FakeActor* Actor(const std::string& source = "collector-7") {
    for (const auto& actors : actors_) {
      const auto found = actors->actors.find(source);
      if (found != actors->actors.end()) return &found->second;
    }
    return nullptr;
  }
  // Says HELLO, and is welcomed.
  std::unique_ptr<Client> Connected(int receive_bytes = 0) {
    make_ = [](FakeActor& actor) { actor.on_connect = [&actor] { actor.link->Welcome(0); }; };
    auto client = std::make_unique<Client>(source_->address(), receive_bytes);
    client->Send(kHello);
    EXPECT_TRUE(Hears(*client, 1));
    EXPECT_THAT(client->Heard(), ElementsAre(kWelcome));
    return client;
  }
  int64_t open() const { return source_->counters().connections_open.load(); }

  int64_t now_ms_ = 1'000'000;
  std::vector<std::string> log_;
  std::function<void(FakeActor&)> make_;
  std::vector<std::unique_ptr<FakeActors>> actors_;
  std::unique_ptr<TestNode> node_;
  SourceCounters counters_;
  std::unique_ptr<StreamSource> source_;
};

TEST_F(StreamSourceTest, HelloIsAnsweredAndMessagesAreRoutedAndAcknowledged) {
  Open();
  Client client(source_->address());
  client.Send(kHello);
  ASSERT_TRUE(Until([&] { return Actor() != nullptr; }));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5"));
  client.Send(PingBytes(1));  // answered while WELCOME waits
  ASSERT_TRUE(Hears(client, 1));
  Actor()->link->Welcome(7);
  ASSERT_TRUE(Hears(client, 2));
  client.Send(MessageBytes(8, "{}") + MessageBytes(10, ""));
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == 2; }));
  EXPECT_THAT(Actor()->events, ElementsAre("8 {}", "10 "));
  EXPECT_EQ(Actor()->reads, 1u);
  Actor()->link->Acknowledge(10);
  ASSERT_TRUE(Hears(client, 3));
  EXPECT_THAT(client.Heard(),
              ElementsAre("PONG 1", absl::StrCat("WELCOME 1 7 ", kStreamWindowMessages),
                          absl::StrCat("ACK 10 ", kStreamWindowMessages + 2)));
}

TEST_F(StreamSourceTest, ConnectionLivesOnTheShardOfItsSource) {
  Open({}, 4);
  std::vector<std::unique_ptr<Client>> clients;
  std::map<size_t, int> on_shard;
  for (int i = 0; i < 16; ++i) {
    const std::string name = absl::StrCat("collector-", i);
    clients.push_back(std::make_unique<Client>(source_->address()));
    clients.back()->Send(HelloBytes({.incarnation = 1, .source = name}));
    ASSERT_TRUE(Until([&] { return Actor(name) != nullptr && Actor(name)->link != nullptr; }));
    const ShardId home = node_->shard(0).slot_map().ShardOf(SlotOfKey(name));
    EXPECT_EQ(Actor(name)->shard, home.value()) << name;
    ++on_shard[Actor(name)->shard];
  }
  EXPECT_THAT(on_shard, SizeIs(4));
}

TEST_F(StreamSourceTest, HelloMayComeInPiecesAndWithMessagesBehindIt) {
  Open();
  make_ = [](FakeActor& actor) { actor.on_connect = [&actor] { actor.link->Welcome(0); }; };
  Client slow(source_->address());
  for (char byte : kHello) {
    EXPECT_EQ(Actor(), nullptr);
    slow.Send({&byte, 1});
    node_->Run();
  }
  ASSERT_TRUE(Hears(slow, 1));
  Client hasty(source_->address());
  hasty.Send(HelloBytes({.source = "hasty"}) + MessageBytes(1, "a") +
             MessageBytes(2, "bc").substr(0, 9));
  ASSERT_TRUE(Until([&] { return Actor("hasty") != nullptr && !Actor("hasty")->events.empty(); }));
  hasty.Send(MessageBytes(2, "bc").substr(9));
  ASSERT_TRUE(Until([&] { return Actor("hasty")->events.size() == 2; }));
  EXPECT_THAT(Actor("hasty")->events, ElementsAre("1 a", "2 bc"));
}

TEST_F(StreamSourceTest, LargestNameIsHandedOver) {
  Open();
  const std::string name(kStreamTextBytesMax, 'x');
  const std::string hello = HelloBytes({.source = name, .token = ""});
  Client client(source_->address());
  size_t sent = 0;
  ASSERT_TRUE(Until([&] {
    sent += client.Send(std::string_view(hello).substr(sent));
    return Actor(name) != nullptr;
  }));
}

TEST_F(StreamSourceTest, WhatIsNoHelloIsRefusedInWords) {
  Open({.token = "s3"});
  const std::pair<std::string, const char*> cases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "ERROR malformed a frame of type 47"},
      {MessageBytes(1, "{}"), "ERROR malformed a frame of type 2"},
      {HelloBytes({.version = 2, .source = "a"}), "ERROR version the node speaks version 1"},
      {HelloBytes({.source = "a", .token = "s4"}), "ERROR denied wrong token"},
      {HelloBytes({.source = "stranger", .token = "s3"}), "ERROR denied unknown source"},
  };
  for (const auto& [bytes, answer] : cases) {
    Client client(source_->address());
    client.Send(bytes);
    ASSERT_TRUE(Hears(client, 2)) << answer;
    EXPECT_THAT(client.Heard(), ElementsAre(StartsWith(answer), "END"));
    EXPECT_EQ(open(), 1);
    client.Finish();
    ASSERT_TRUE(Until([&] { return open() == 0; }));
  }
  EXPECT_EQ(Actor("a"), nullptr);
  EXPECT_THAT(log_, SizeIs(5));
  EXPECT_THAT(log_, Contains(HasSubstr("(a): refused, ")).Times(0));
  EXPECT_THAT(log_[3], HasSubstr("source test, 127.0.0.1:"));
  EXPECT_THAT(log_[3], HasSubstr("refused, denied: wrong token"));
  EXPECT_THAT(log_[4], HasSubstr("(stranger): refused, denied: unknown source"));
}

TEST_F(StreamSourceTest, AfterErrorTheRestIsReadAndThrownAway) {
  Open();
  const auto client = Connected();
  const std::string junk = MessageBytes(3, std::string(100'000, 'x'));
  client->Send(MessageBytes(2, "a") + MessageBytes(2, "b") + junk + junk);
  ASSERT_TRUE(Hears(*client, 3));
  for (int i = 0; i < 20; ++i) {
    client->Send(junk);
    node_->Run();
  }
  // A reset would have overtaken the ERROR.
  EXPECT_THAT(client->Heard(), ElementsAre(kWelcome, "ERROR order id 2 behind 2", "END"));
  EXPECT_THAT(Actor()->events, ElementsAre("2 a"));
  EXPECT_EQ(open(), 1);
  now_ms_ += kStreamPartingMs;
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect"));
}

TEST_F(StreamSourceTest, ActorFencesClosesAndDenies) {
  Open();
  const auto fenced = Connected();
  Actor()->link->Refuse(StreamError::kFenced, "a newer one came");
  fenced->Send(MessageBytes(1, "late"));
  ASSERT_TRUE(Hears(*fenced, 3));
  EXPECT_THAT(fenced->Heard(), ElementsAre(kWelcome, "ERROR fenced a newer one came", "END"));
  fenced->Finish();
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->events, IsEmpty());

  const auto closed = Connected();
  Actor()->link->Close();
  ASSERT_TRUE(Hears(*closed, 2));
  EXPECT_THAT(closed->Heard(), ElementsAre(kWelcome, "END"));
  ASSERT_TRUE(Until([&] { return open() == 0; }));

  make_ = [](FakeActor& actor) {
    actor.on_connect = [&actor] { actor.link->Refuse(StreamError::kFenced, "older"); };
  };
  Client older(source_->address());
  older.Send(kHello);
  ASSERT_TRUE(Hears(older, 2));
  EXPECT_THAT(older.Heard(), ElementsAre("ERROR fenced older", "END"));
  older.Finish();
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect", "connect 5", "disconnect",
                                          "connect 5", "disconnect"));
}

TEST_F(StreamSourceTest, ActorMayCloseInTheMiddleOfARead) {
  Open();
  const auto client = Connected();
  Actor()->on_read = [&] { Actor()->link->Close(); };
  client->Send(MessageBytes(1, "a") + MessageBytes(2, "b"));
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->events, ElementsAre("1 a", "2 b"));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect"));
}

TEST_F(StreamSourceTest, AfterFinItClosesOnceAllIsAcknowledged) {
  Open();
  const auto client = Connected();
  client->Send(MessageBytes(1, "a") + MessageBytes(2, "b") + MessageBytes(3, "half").substr(0, 15));
  client->Finish();
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == 2; }));
  Actor()->link->Acknowledge(1);
  now_ms_ += 3'600'000;  // it may take its time
  ASSERT_TRUE(Until([&] { return client->Heard().size() >= 3; }));
  EXPECT_EQ(open(), 1);
  Actor()->link->Acknowledge(2);
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->events, ElementsAre("1 a", "2 b"));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect"));
  ASSERT_TRUE(Until([&] { return client->Heard().back() == "END"; }));
  const std::vector<std::string> heard = client->Heard();
  EXPECT_THAT(heard, Contains(StartsWith("ACK 2 ")));
  EXPECT_THAT(heard, Contains(StartsWith("PING ")));
}

TEST_F(StreamSourceTest, BrokenConnectionIsTold) {
  Open();
  const auto client = Connected();
  client->Send(MessageBytes(1, "a") + MessageBytes(2, "half").substr(0, 15));
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == 1; }));
  client->Reset();
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->events, ElementsAre("1 a"));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("(collector-7): Connection reset by peer")));
}

TEST_F(StreamSourceTest, ConnectionMayEndBeforeItsHelloOrItsWelcome) {
  Open();
  for (const std::string& before : {std::string(), kHello.substr(0, 10)}) {
    Client client(source_->address());
    client.Send(before);
    ASSERT_TRUE(Until([&] { return open() == 1; }));
    client.Finish();
    ASSERT_TRUE(Until([&] { return open() == 0; }));
  }
  EXPECT_EQ(Actor(), nullptr);
  Client client(source_->address());
  client.Send(kHello);
  ASSERT_TRUE(Until([&] { return Actor() != nullptr; }));
  client.Finish();
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect"));
  EXPECT_THAT(client.Heard(), ElementsAre("END"));
}

TEST_F(StreamSourceTest, SilenceBeforeHelloEndsAfterTenSeconds) {
  Open();
  Client client(source_->address());
  client.Send(kHello.substr(0, 10));
  ASSERT_TRUE(Until([&] { return open() == 1; }));
  now_ms_ += kStreamGreetingWithinMs - 1;
  node_->Run();
  EXPECT_EQ(open(), 1);
  now_ms_ += 1;
  ASSERT_TRUE(Until([&] { return open() == 0; }));
}

TEST_F(StreamSourceTest, SilentSenderIsAskedAndGivenUp) {
  Open();
  const auto client = Connected();
  now_ms_ += kStreamAskAfterMs;
  ASSERT_TRUE(Hears(*client, 2));
  EXPECT_THAT(client->Heard(), ElementsAre(kWelcome, "PING 1"));
  client->Send(PongBytes(1));
  ASSERT_TRUE(Until([&] { return source_->counters().bytes.load() == kHello.size() + 13; }));
  now_ms_ += kStreamAskAfterMs;
  ASSERT_TRUE(Hears(*client, 3));
  now_ms_ += kStreamAnswerWithinMs;
  ASSERT_TRUE(Until([&] { return open() == 0; }));
  EXPECT_THAT(client->Heard(), ElementsAre(kWelcome, "PING 1", "PING 2", "END"));
  EXPECT_THAT(Actor()->calls, ElementsAre("connect 5", "disconnect"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("no sign of life")));
}

TEST_F(StreamSourceTest, MessagesBeyondTheWindowWaitForAnAcknowledgement) {
  Open();
  const auto client = Connected();
  std::string bytes;
  for (uint64_t id = 1; id <= kStreamWindowMessages + 1; ++id) bytes += MessageBytes(id, "");
  size_t sent = 0;
  ASSERT_TRUE(Until([&] {
    sent += client->Send(std::string_view(bytes).substr(sent));
    return Actor()->events.size() == kStreamWindowMessages && sent == bytes.size();
  }));
  client->Send(PingBytes(1));
  node_->Run();
  EXPECT_THAT(Actor()->events, SizeIs(kStreamWindowMessages));
  now_ms_ += 3'600'000;  // it cannot be heard
  ASSERT_TRUE(Hears(*client, 2));
  EXPECT_EQ(open(), 1);
  Actor()->link->Acknowledge(Actor()->last_id);
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == kStreamWindowMessages + 1; }));
  ASSERT_TRUE(Until([&] {
    const auto heard = client->Heard();
    return std::find(heard.begin(), heard.end(), "PONG 1") != heard.end();
  }));
  EXPECT_THAT(client->Heard(), Contains(absl::StrCat("ACK ", kStreamWindowMessages, " ",
                                                     2 * kStreamWindowMessages)));
}

TEST_F(StreamSourceTest, SoManyBytesAreReadBeforeTheyAreAcknowledged) {
  Open({}, 1);
  const auto client = Connected();
  const std::string event(1u << 20, 'x');
  const size_t fit = kStreamWindowBytes / event.size();
  std::string bytes;
  uint64_t id = 0;
  size_t sent = 0;
  const auto push = [&] {
    if (sent == bytes.size()) bytes = MessageBytes(++id, event), sent = 0;
    sent += client->Send(std::string_view(bytes).substr(sent));
  };
  ASSERT_TRUE(Until([&] { return push(), Actor()->events.size() >= fit; }));
  size_t events = 0;
  for (int quiet = 0; quiet < 100;) {
    push();
    node_->Run();
    quiet = Actor()->events.size() > events ? 0 : quiet + 1;
    events = Actor()->events.size();
  }
  EXPECT_LE(events, fit + 1);
  // Not before half of them are gone.
  Actor()->link->Acknowledge(fit / 2 - 1);
  for (int i = 0; i < 100; ++i) push(), node_->Run();
  EXPECT_EQ(Actor()->events.size(), events);
  Actor()->link->Acknowledge(fit / 2 + 2);
  EXPECT_TRUE(Until([&] { return push(), Actor()->events.size() > events; }));
}

TEST_F(StreamSourceTest, NothingIsReadWhileTheNodeAdmitsNothing) {
  Open({}, 1);
  const auto client = Connected();
  node_->sinks().Hold();
  // Outputs that no sink takes.
  const std::string output = '"' + std::string(1u << 20, 'x') + '"';
  while (!node_->shard(0).OutboxFull()) {
    std::vector<grid::ViewEntry> outputs;
    outputs.push_back({.stream = node_->catalog().dead_letters, .json = output});
    node_->shard(0).Emit(std::move(outputs));
    node_->Run();
  }
  // The read under way may still bring something.
  client->Send(MessageBytes(1, "a"));
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == 1; }));
  ASSERT_TRUE(Until([&] { return source_->admission().admission() == Admission::kOutboxFull; }));
  client->Send(MessageBytes(2, "b"));
  now_ms_ += kStreamAskAfterMs;
  ASSERT_TRUE(Hears(*client, 2));
  now_ms_ += kStreamAnswerWithinMs;
  node_->Run();
  EXPECT_THAT(Actor()->events, SizeIs(1));
  EXPECT_EQ(open(), 1);
  node_->sinks().Release();
  EXPECT_TRUE(Until([&] { return Actor()->events.size() == 2; }));
  EXPECT_EQ(source_->admission().admission(), Admission::kOpen);
}

TEST_F(StreamSourceTest, SenderThatDoesNotReadIsGivenUp) {
  Open({}, 1);
  const auto client = Connected(4096);
  std::string pings;
  for (uint64_t i = 0; i < 1000; ++i) pings += PingBytes(i);
  // Until nothing goes any more: neither the kernel nor the session takes what is to be said.
  size_t sent = 0;
  for (int quiet = 0; quiet < 200;) {
    const size_t size = client->Send(std::string_view(pings).substr(sent % pings.size()));
    sent += size;
    node_->Run();
    quiet = size > 0 ? 0 : quiet + 1;
  }
  EXPECT_EQ(open(), 1);
  EXPECT_TRUE(Until([&] { return now_ms_ += 100, open() == 0; }));
}

TEST_F(StreamSourceTest, TooManyConnectionsAreClosed) {
  Open({.connections_max = 2});
  Client first(source_->address());
  Client second(source_->address());
  ASSERT_TRUE(Until([&] { return open() == 2; }));
  Client third(source_->address());
  ASSERT_TRUE(Hears(third, 1));
  EXPECT_THAT(third.Heard(), ElementsAre("END"));
  EXPECT_EQ(open(), 2);
  EXPECT_THAT(log_, ElementsAre("source test: refused a connection: 2 are open already"));
  first.Finish();
  ASSERT_TRUE(Until([&] { return open() == 1; }));
  Client fourth(source_->address());
  ASSERT_TRUE(Until([&] { return open() == 2; }));
}

TEST_F(StreamSourceTest, StopAcknowledgesWhatWasReadAndSaysGoing) {
  Open();
  const auto client = Connected();
  client->Send(MessageBytes(1, "a") + MessageBytes(2, "b"));
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == 2; }));
  Client greeting(source_->address());
  Client waiting(source_->address());
  waiting.Send(HelloBytes({.source = "waiting"}));
  make_ = nullptr;
  ASSERT_TRUE(Until([&] { return Actor("waiting") != nullptr && open() == 3; }));
  Actor("waiting")->on_connect = nullptr;
  source_->Stop();
  node_->Run();
  client->Send(MessageBytes(3, "c"));
  Actor()->link->Acknowledge(1);
  node_->Run();
  EXPECT_FALSE(source_->drained());
  EXPECT_THAT(Actor()->events, SizeIs(2));
  Actor()->link->Acknowledge(2);
  ASSERT_TRUE(Hears(*client, 5));
  EXPECT_THAT(client->Heard(), ElementsAre(kWelcome, StartsWith("ACK 1 "), StartsWith("ACK 2 "),
                                           "ERROR going the node is shutting down", "END"));
  ASSERT_TRUE(Hears(greeting, 1));
  EXPECT_THAT(greeting.Heard(), ElementsAre("END"));
  now_ms_ += kStreamPartingMs;
  EXPECT_TRUE(Until([&] { return source_->drained(); }));
  EXPECT_THAT(Actor()->events, SizeIs(2));
}

TEST_F(StreamSourceTest, StopTellsThoseThatWaitForWelcome) {
  Open();
  Client client(source_->address());
  client.Send(kHello);
  ASSERT_TRUE(Until([&] { return Actor() != nullptr; }));
  source_->Stop();
  ASSERT_TRUE(Hears(client, 2));
  EXPECT_THAT(client.Heard(), ElementsAre("ERROR going the node is shutting down", "END"));
  Actor()->link->Welcome(0);  // too late
  client.Finish();
  EXPECT_TRUE(Until([&] { return source_->drained(); }));
}

TEST_F(StreamSourceTest, CountsBytesAndConnections) {
  Open();
  const auto client = Connected();
  client->Send(MessageBytes(1, "a"));
  ASSERT_TRUE(Until([&] { return Actor()->events.size() == 1; }));
  EXPECT_EQ(source_->counters().bytes.load(), kHello.size() + MessageBytes(1, "a").size());
  EXPECT_EQ(source_->counters().connections.load(), 1u);
}

TEST_F(StreamSourceTest, NamesInTheLogArePrintable) {
  Open();
  Client client(source_->address());
  client.Send(HelloBytes({.source = "a\nb" + std::string(1000, 'x')}));
  ASSERT_TRUE(Until([&] { return open() == 1 && Actor("a\nb" + std::string(1000, 'x')); }));
  client.Send(MessageBytes(1, ""));
  ASSERT_TRUE(Until([&] { return !log_.empty(); }));
  EXPECT_THAT(log_[0], HasSubstr("(a\\nbxxx"));
  EXPECT_LT(log_[0].size(), 500u);
}

TEST(StreamSourceOpen, SaysWhatIsWrong) {
  TestNode node(SampleCatalog(), 1);
  std::function<void(FakeActor&)> none;
  FakeActors actors(0, none);
  SourceCounters counters;
  StreamSource source({.name = "test", .listen = "nonsense"}, {&node.shard(0)}, {&actors}, counters,
                      nullptr);
  EXPECT_THAT(std::string(source.Open().message()), StartsWith("source test: listen: "));
}

}  // namespace
}  // namespace bettong::ingest
