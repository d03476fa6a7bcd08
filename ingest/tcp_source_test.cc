#include "ingest/tcp_source.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "ingest/ingest_testing.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Sample(const std::string& host, TimeMs ts) {
  return absl::StrCat("{\"host\":\"", host, "\",\"value\":1,\"ts\":", ts, "}\n");
}

class Client {
 public:
  explicit Client(const std::string& address) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
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
    ::close(socket_);
    socket_ = -1;
  }
  bool closed() const {
    pollfd ready{socket_, POLLIN, 0};
    if (::poll(&ready, 1, 0) != 1) return false;
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT) <= 0;
  }

 private:
  int socket_;
};

class TcpSourceTest : public ::testing::Test {
 protected:
  void Open(SourceConfig config = {}, size_t shards = 2, const char* stream = "samples") {
    node_ = std::make_unique<TestNode>(SampleCatalog(), shards);
    config.name = "test";
    config.listen = "127.0.0.1:0";
    source_ =
        std::make_unique<TcpSource>(std::move(config), node_->stream(stream), node_->doors(),
                                    [this](std::string_view line) { log_.emplace_back(line); });
    ASSERT_TRUE(source_->Open().ok());
    source_->Start();
    node_->Run();
  }
  ~TcpSourceTest() override {
    if (source_ == nullptr) return;
    source_->Stop();
    node_->sinks().Release();
    EXPECT_TRUE(node_->RunUntil([&] { return source_->drained(); }));
  }
  size_t expired() const {
    size_t count = 0;
    for (const SeenTurn& turn : node_->turns) count += turn.kind == grid::TurnKind::kExpire;
    return count;
  }
  std::vector<std::string> DeadLetters() {
    return node_->sinks().TakeJson(node_->catalog().dead_letters);
  }

  std::unique_ptr<TestNode> node_;
  std::unique_ptr<TcpSource> source_;
  std::vector<std::string> log_;
};

TEST_F(TcpSourceTest, LinesBecomeEventsAndTheConnectionClosesWhenAllIsDone) {
  Open();
  Client client(source_->address());
  client.Send(Sample("a", 1) + Sample("b", 2) + "{\"host\":\"c\",\"value\":1,\"ts\":3}");
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 2; }));
  EXPECT_FALSE(client.closed());
  client.Finish();  // the last line counts without a newline, too
  ASSERT_TRUE(node_->RunUntil([&] { return client.closed(); }));
  EXPECT_THAT(node_->turns, SizeIs(3));
  EXPECT_EQ(source_->counters().events.load(), 3u);
  EXPECT_EQ(source_->counters().connections_open.load(), 0);
}

TEST_F(TcpSourceTest, ConnectionStaysUntilOutputsAreWritten) {
  Open();
  node_->emit = [&](const SeenTurn&) {
    return std::vector<std::pair<StreamId, std::string>>{{node_->catalog().dead_letters, "{}"}};
  };
  node_->sinks().Hold();
  Client client(source_->address());
  client.Send(Sample("a", 1));
  client.Finish();
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 1; }));
  node_->Run();
  EXPECT_FALSE(client.closed());
  node_->sinks().Release();
  EXPECT_TRUE(node_->RunUntil([&] { return client.closed(); }));
}

TEST_F(TcpSourceTest, ConnectionsAreHandedRound) {
  Open({}, 4, "raw");
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(source_->address()));
    clients.back()->Send(absl::StrCat("{\"name\":", i, "}\n"));
  }
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 8; }));
  uint64_t events = 0;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(node_->gate(i).events(), 2u);
    events += node_->gate(i).events();
  }
  EXPECT_EQ(events, 8u);
}

TEST_F(TcpSourceTest, BrokenConnectionKeepsWhatCameWhole) {
  Open();
  Client client(source_->address());
  client.Send(Sample("a", 1) + "{\"host\":\"half");
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 1; }));
  client.Reset();
  ASSERT_TRUE(node_->RunUntil([&] { return source_->counters().connections_open.load() == 0; }));
  EXPECT_THAT(node_->turns, SizeIs(1));
  EXPECT_THAT(DeadLetters(), SizeIs(0));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("Connection reset by peer")));
}

TEST_F(TcpSourceTest, BadLinesAreRefusedAndTheRestGoesOn) {
  Open({.frame_bytes_max = 100});
  Client client(source_->address());
  client.Send(std::string("\x00\xff\xfe noise\n", 10) + std::string(5000, 'x') + "\n" +
              Sample("a", 1));
  client.Finish();
  ASSERT_TRUE(node_->RunUntil([&] { return client.closed(); }));
  EXPECT_THAT(node_->turns, SizeIs(1));
  EXPECT_THAT(DeadLetters(), ElementsAre(HasSubstr("not valid JSON"),
                                         HasSubstr("line of 5000 bytes is over the limit")));
  EXPECT_EQ(source_->counters().dead_letters.load(), 2u);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("2 frames or events were refused")));
}

TEST_F(TcpSourceTest, LengthOverTheLimitClosesThatConnectionOnly) {
  Open({.framing = Framing::kLength32, .frame_bytes_max = 100});
  Client good(source_->address());
  Client bad(source_->address());
  bad.Send(std::string("\x00\x00\x00\x02{}", 6) + "GET / HTTP/1.1\r\n");
  ASSERT_TRUE(node_->RunUntil([&] { return bad.closed(); }));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("frame length 1195725856 is over max_frame_bytes = 100; "
                                          "connection closed"),
                                HasSubstr("2 frames or events were refused")));
  EXPECT_THAT(DeadLetters(), ElementsAre(HasSubstr("missing, and it has no default"),
                                         HasSubstr("frame length 1195725856 is over the limit")));
  const std::string event = R"({"host":"a","value":1,"ts":1})";
  good.Send(std::string("\0\0\0", 3) + static_cast<char>(event.size()) + event);
  EXPECT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 1; }));
}

TEST_F(TcpSourceTest, ReadingStopsWhileTooManyEventsAreOnTheirWay) {
  Open({}, 1, "raw");
  node_->emit = [&](const SeenTurn&) {
    return std::vector<std::pair<StreamId, std::string>>{{node_->catalog().dead_letters, "{}"}};
  };
  node_->sinks().Hold();
  Client client(source_->address());
  std::string lines;
  for (int i = 0; i < 2000; ++i) lines += "{\"name\":\"x\"}\n";
  size_t sent = 0;
  const auto push = [&] {
    sent += client.Send(std::string_view(lines).substr(sent % lines.size()));
    return sent > 40 * lines.size();
  };
  // The kernel's buffers take some megabytes, the source no more than its window and a read.
  size_t turns = 0;
  for (int quiet = 0; quiet < 200; ++quiet) {
    push();
    node_->Run();
    if (node_->turns.size() != turns) quiet = 0;
    turns = node_->turns.size();
  }
  EXPECT_GT(turns, size_t{kSourceWindowEvents} / 2);  // what is in the views' mail counts, too
  EXPECT_LT(turns, size_t{kSourceWindowEvents} + kReadBytesMax / 13 + 1);
  node_->sinks().Release();
  EXPECT_TRUE(node_->RunUntil([&] { return push() && node_->turns.size() > 2 * turns; }));
}

TEST_F(TcpSourceTest, WatermarkWaitsForAllConnectionsAndTheSlowest) {
  Open({.connections = 2});
  Client first(source_->address());
  first.Send(Sample("a", 1000) + Sample("b", 9000));
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 2; }));
  node_->Run();
  EXPECT_EQ(expired(), 0u);  // the second has not joined
  Client second(source_->address());
  second.Send(Sample("c", 1500));
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 3; }));
  node_->Run();
  EXPECT_EQ(expired(), 0u);  // 1500 - 1000 is within the TTL
  second.Finish();
  EXPECT_TRUE(node_->RunUntil([&] { return expired() == 2; }));
}

TEST_F(TcpSourceTest, IdleConnectionNoLongerHoldsTheWatermark) {
  Open({.idle_ms = 4});
  Client slow(source_->address());
  Client fast(source_->address());
  slow.Send(Sample("a", 1000));
  fast.Send(Sample("b", 1000));
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 2; }));
  node_->now_ms += 3;
  fast.Send(Sample("c", 9000));
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 3; }));
  EXPECT_EQ(expired(), 0u);
  node_->now_ms += 1;
  EXPECT_TRUE(node_->RunUntil([&] { return expired() == 2; }));
}

TEST_F(TcpSourceTest, ManyConnectionsCloseWhileIdleOnesAreLookedFor) {
  Open({.idle_ms = 1});
  constexpr size_t kRounds = 40, kClients = 50;
  for (size_t round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (size_t i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<Client>(source_->address()));
      clients.back()->Send(Sample("a", 1000));
    }
    node_->now_ms += 1;
    for (auto& client : clients) client->Finish();
    clients.clear();
    const size_t turns = (round + 1) * kClients;
    ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() >= turns; }));
  }
  EXPECT_TRUE(node_->RunUntil([&] { return source_->counters().connections_open.load() == 0; }));
}

TEST_F(TcpSourceTest, ConnectionsOverTheLimitAreRefused) {
  Open({.connections_max = 1});
  Client first(source_->address());
  first.Send(Sample("a", 1));
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 1; }));
  Client second(source_->address());
  ASSERT_TRUE(node_->RunUntil([&] { return second.closed(); }));
  EXPECT_THAT(log_, ElementsAre("source test: refused a connection: 1 are open already"));
}

TEST_F(TcpSourceTest, StopEndsReadingAndDrains) {
  Open();
  Client client(source_->address());
  client.Send(Sample("a", 1) + "{\"half");
  ASSERT_TRUE(node_->RunUntil([&] { return node_->turns.size() == 1; }));
  source_->Stop();
  ASSERT_TRUE(node_->RunUntil([&] { return source_->drained(); }));
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(DeadLetters(), SizeIs(0));
}

TEST_F(TcpSourceTest, AddressInUseIsAClearError) {
  Open();
  SourceConfig config{.name = "other", .listen = source_->address()};
  TcpSource other(config, node_->stream("raw"), node_->doors(), nullptr);
  EXPECT_EQ(other.Open().message(), absl::StrCat("source other: listen on ", source_->address(),
                                                 ": Address already in use"));
  SourceConfig wrong{.name = "wrong", .listen = "here"};
  TcpSource third(wrong, node_->stream("raw"), node_->doors(), nullptr);
  EXPECT_EQ(third.Open().message(),
            "source wrong: listen: address 'here': no port (expected host:port)");
}

}  // namespace
}  // namespace bettong::ingest
