#include "ingest/sinks.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "ingest/ingest_testing.h"
#include "ingest/sink_worker.h"

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::chrono::steady_clock::time_point In(int ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

class Log {
 public:
  LogLine line() {
    return [this](std::string_view text) {
      std::lock_guard lock(mutex_);
      lines_.emplace_back(text);
    };
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

class SinksTest : public ::testing::Test {
 protected:
  SinksTest() : node_(SampleCatalog(), 2) {
    directory_ =
        std::filesystem::temp_directory_path() / absl::StrCat("bettong_sinks_test_", ::getpid());
    std::filesystem::create_directories(directory_);
  }
  ~SinksTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const char* name) const { return (directory_ / name).string(); }
  static std::string Content(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }

  std::unique_ptr<Sinks> OpenSinks(std::vector<SinkConfig> configs) {
    auto sinks =
        Sinks::Open(std::move(configs), {&node_.shard(0), &node_.shard(1)}, {}, log_.line());
    EXPECT_TRUE(sinks.ok()) << sinks.status();
    (*sinks)->Start();
    return *std::move(sinks);
  }
  grid::SinkItem Item(const char* stream, std::string_view json, grid::SourceRef origin = {}) {
    return {node_.stream(stream), PartitionId(0), 1, origin, json};
  }

  TestNode node_;
  Log log_;
  std::filesystem::path directory_;
};

TEST_F(SinksTest, FileGetsLinesAndTheOriginItsCredit) {
  const std::string path = Path("out.jsonl");
  std::ofstream(path) << "before\n";
  auto sinks = OpenSinks({{.name = "out", .kind = SinkKind::kFile, .stream = "raw", .path = path}});
  EXPECT_EQ(sinks->SinksOf(node_.stream("raw")), 1u);
  EXPECT_EQ(sinks->SinksOf(node_.stream("samples")), 0u);
  TestSource source(node_, 1, node_.stream("samples"));
  const grid::Credit two_writes{source.channel.source, 0, 2};
  node_.shard(1).SendCredits({&two_writes, 1});
  const grid::SinkItem items[] = {Item("raw", "{\"a\":1}", source.channel.source),
                                  Item("raw", "{\"a\":2}", source.channel.source)};
  sinks->Write(ShardId(0), items);
  EXPECT_TRUE(node_.RunUntil([&] { return source.outstanding() == 0; }));
  EXPECT_EQ(Content(path), "before\n{\"a\":1}\n{\"a\":2}\n");
  EXPECT_EQ(sinks->BytesPending(ShardId(0)), 0u);
}

TEST_F(SinksTest, TruncatedFileStartsEmpty) {
  const std::string path = Path("out.jsonl");
  std::ofstream(path) << "before\n";
  auto sinks = OpenSinks(
      {{.name = "out", .kind = SinkKind::kFile, .stream = "raw", .path = path, .truncate = true}});
  const grid::SinkItem item = Item("raw", "{}");
  sinks->Write(ShardId(0), {&item, 1});
  EXPECT_TRUE(sinks->Drain(In(5000)));
  EXPECT_EQ(Content(path), "{}\n");
}

TEST_F(SinksTest, StreamsShareASinkAndSinksShareAStream) {
  auto sinks =
      OpenSinks({{.name = "a",
                  .kind = SinkKind::kFile,
                  .stream = "raw",
                  .more_streams = {"samples"},
                  .path = Path("a")},
                 {.name = "b", .kind = SinkKind::kFile, .stream = "raw", .path = Path("b")}});
  TestSource source(node_, 0, node_.stream("samples"));
  const grid::Credit three_writes{source.channel.source, 0, 3};  // one to a and b, one to a
  node_.shard(0).SendCredits({&three_writes, 1});
  const grid::SinkItem items[] = {Item("raw", "1", source.channel.source),
                                  Item("samples", "2", source.channel.source)};
  sinks->Write(ShardId(0), items);
  EXPECT_TRUE(sinks->Drain(In(5000)));
  EXPECT_TRUE(node_.RunUntil([&] { return source.outstanding() == 0; }));
  EXPECT_EQ(Content(Path("a")), "1\n2\n");
  EXPECT_EQ(Content(Path("b")), "1\n");
}

TEST_F(SinksTest, WhatCannotBeOpenedIsRefused) {
  const auto refusal = [&](SinkConfig config) {
    return std::string(
        Sinks::Open({std::move(config)}, {&node_.shard(0)}, {}, nullptr).status().message());
  };
  EXPECT_EQ(
      refusal({.name = "x", .kind = SinkKind::kFile, .stream = "raw", .path = "/no/such/file"}),
      "sink x: open /no/such/file: No such file or directory");
  EXPECT_EQ(refusal({.name = "x", .kind = SinkKind::kTcp, .stream = "raw", .address = "localhost"}),
            "sink x: address 'localhost': no port (expected host:port)");
  EXPECT_EQ(refusal({.name = "x", .stream = "nothing"}),
            "sink x: no app declares the stream 'nothing'");
}

TEST_F(SinksTest, FullDiskKeepsTheOutputAndSaysSo) {
  auto sinks =
      OpenSinks({{.name = "full", .kind = SinkKind::kFile, .stream = "raw", .path = "/dev/full"}});
  const grid::SinkItem item = Item("raw", "{\"a\":1}");
  sinks->Write(ShardId(1), {&item, 1});
  EXPECT_FALSE(sinks->Drain(In(200)));
  EXPECT_EQ(sinks->BytesPending(ShardId(1)), 8u);
  EXPECT_THAT(log_.lines(),
              ElementsAre("sink full: write /dev/full: No space left on device; its output is kept "
                          "and tried again",
                          "sink full: not everything could be written in time"));
  EXPECT_FALSE(sinks->broken());
}

// --- one worker with a writer that does as told

class ScriptedWriter : public SinkWriter {
 public:
  struct State {
    std::mutex mutex;
    std::vector<Outcome> script;  // answers in order; then everything is taken
    std::string written;
  };
  explicit ScriptedWriter(State& state) : state_(state) {}

  Outcome Write(std::span<const iovec> parts) override {
    std::lock_guard lock(state_.mutex);
    std::string all;
    for (const iovec& part : parts) all.append(static_cast<char*>(part.iov_base), part.iov_len);
    Outcome outcome{.bytes = all.size()};
    if (!state_.script.empty()) {
      outcome = state_.script.front();
      state_.script.erase(state_.script.begin());
    }
    state_.written.append(all.substr(0, outcome.bytes));
    return outcome;
  }

 private:
  State& state_;
};

std::string WriteByScript(std::vector<SinkWriter::Outcome> script,
                          const std::vector<std::string>& chunks, Log& log) {
  ScriptedWriter::State state;
  state.script = std::move(script);
  SinkWorker worker(
      "s", std::make_unique<ScriptedWriter>(state), [](SinkChunk* chunk) { delete chunk; },
      log.line());
  for (const std::string& lines : chunks) {
    auto* chunk = new SinkChunk;
    chunk->lines = lines;
    worker.Send(chunk);
  }
  worker.Start();
  EXPECT_TRUE(worker.Drain(In(10'000)));
  return state.written;
}

TEST(SinkWorker, PartialWritesGoOnWhereTheyStopped) {
  Log log;
  EXPECT_EQ(WriteByScript({{.bytes = 1}, {.bytes = 0}, {.bytes = 7}, {.bytes = 2}},
                          {"one\n", "two\n", "three\n"}, log),
            "one\ntwo\nthree\n");
  EXPECT_THAT(log.lines(), ElementsAre());
}

TEST(SinkWorker, FailedWritesAreTriedAgainAndLoggedOnce) {
  Log log;
  const SinkWriter::Outcome failure{.status = absl::UnavailableError("write x: boom")};
  EXPECT_EQ(WriteByScript({{.bytes = 2}, failure, failure, {.bytes = 3}}, {"one\n", "two\n"}, log),
            "one\ntwo\n");
  EXPECT_THAT(log.lines(), ElementsAre("sink s: write x: boom; its output is kept and tried again",
                                       "sink s: writes again"));
}

TEST(SinkWorker, LineLostHalfwayIsWrittenFromItsStart) {
  Log log;
  EXPECT_EQ(
      WriteByScript({{.bytes = 6}, {.status = absl::UnavailableError("x"), .line_lost = true}},
                    {"one\ntwo\nthree\n"}, log),
      "one\ntwtwo\nthree\n");
  EXPECT_EQ(WriteByScript({{.bytes = 4}, {.line_lost = true}}, {"one\ntwo\n"}, log), "one\ntwo\n");
}

TEST(SinkWorker, ClosedPipeIsHopeless) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  SinkWorker worker(
      "pipe", MakeDescriptorWriter("the pipe", ends[1], true),
      [](SinkChunk* chunk) { delete chunk; }, nullptr);
  worker.Start();
  auto* chunk = new SinkChunk;
  chunk->lines = "one\n";
  worker.Send(chunk);
  EXPECT_TRUE(worker.Drain(In(5000)));
  EXPECT_FALSE(worker.broken());
  ::close(ends[0]);
  chunk = new SinkChunk;
  chunk->lines = "two\n";
  chunk->sinks_left = 1;
  worker.Send(chunk);
  EXPECT_FALSE(worker.Drain(In(100)));
  EXPECT_TRUE(worker.broken());
}

TEST(SinkWorker, SlowPipeBlocksNobodyAndGetsWholeLines) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  SinkWorker worker(
      "pipe", MakeDescriptorWriter("the pipe", ends[1], true),
      [](SinkChunk* chunk) { delete chunk; }, nullptr);
  worker.Start();
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    auto* chunk = new SinkChunk;
    chunk->lines = absl::StrCat(i, std::string(100, 'x'), "\n");
    chunk->sinks_left = 1;
    expected += chunk->lines;
    worker.Send(chunk);
  }
  EXPECT_FALSE(worker.Drain(In(100)));  // the pipe is full, its reader asleep
  std::string got;
  char buffer[65536];
  while (got.size() < expected.size()) {
    const ssize_t size = ::read(ends[0], buffer, sizeof(buffer));
    ASSERT_GT(size, 0);
    got.append(buffer, static_cast<size_t>(size));
  }
  EXPECT_EQ(got, expected);
  EXPECT_TRUE(worker.Drain(In(5000)));
  ::close(ends[0]);
}

// --- TCP

class Receiver {
 public:
  explicit Receiver(uint16_t port = 0)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 5), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Receiver() { ::close(listener_); }
  uint16_t port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int Accept() {
    pollfd ready{listener_, POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 10'000), 1);
    return ::accept(listener_, nullptr, nullptr);
  }
  static std::string ReadLines(int socket, size_t count) {
    std::string got;
    char buffer[4096];
    while (std::count(got.begin(), got.end(), '\n') < static_cast<ptrdiff_t>(count)) {
      pollfd ready{socket, POLLIN, 0};
      if (::poll(&ready, 1, 10'000) != 1) return got + "(timed out)";
      const ssize_t size = ::read(socket, buffer, sizeof(buffer));
      if (size <= 0) return got + "(closed)";
      got.append(buffer, static_cast<size_t>(size));
    }
    return got;
  }

 private:
  int listener_;
  uint16_t port_ = 0;
};

TEST_F(SinksTest, TcpSinkConnectsAgainWhenItsReceiverComesBack) {
  auto receiver = std::make_unique<Receiver>();
  const uint16_t port = receiver->port();
  auto sinks = OpenSinks(
      {{.name = "tcp", .kind = SinkKind::kTcp, .stream = "raw", .address = receiver->address()}});
  const auto write = [&](std::string_view json) {
    const grid::SinkItem item = Item("raw", json);
    sinks->Write(ShardId(0), {&item, 1});
  };
  write("one");
  int socket = receiver->Accept();
  EXPECT_EQ(Receiver::ReadLines(socket, 1), "one\n");
  EXPECT_TRUE(sinks->Drain(In(5000)));

  ::close(socket);
  receiver.reset();
  write("two");
  EXPECT_FALSE(sinks->Drain(In(100)));
  EXPECT_GT(sinks->BytesPending(ShardId(0)), 0u);

  receiver = std::make_unique<Receiver>(port);
  write("three");
  socket = receiver->Accept();
  EXPECT_EQ(Receiver::ReadLines(socket, 2), "two\nthree\n");
  EXPECT_TRUE(sinks->Drain(In(5000)));
  ::close(socket);
  const std::vector<std::string> log = log_.lines();
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[0], absl::StrCat("sink tcp: connect to 127.0.0.1:", port,
                                 ": Connection refused; its output is kept and tried again"));
  EXPECT_EQ(log[2], "sink tcp: writes again");
}

}  // namespace
}  // namespace bettong::ingest
