// A port without sockets or threads: some shards of one node, and clients whose bytes the test
// reads and writes. Everything runs on the test's thread, when Run says so.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grid/runtime/shard_loop.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"

namespace bettong::protocol {

class TestServices final : public NodeServices {
 public:
  const NodeIdentity& identity() const override { return identity_; }
  NodeSettings initial_settings() const override { return settings; }
  SlowLog& slow_log() override { return slow; }
  void RequestShutdown() override { shutdown_requested = true; }

  NodeSettings settings;
  SlowLog slow;
  bool shutdown_requested = false;

 private:
  NodeIdentity identity_{.run_id = std::string(40, 'f'), .version = "test"};
};

// Answers a call with a list: the key and the arguments.
class EchoHost final : public grid::ComputeHost {
 public:
  size_t RunBatch(std::span<const grid::Loan> loans, grid::LoanResults& results) override;
};

class TestPort;

class TestClient final : public Transport {
 public:
  TestClient(TestPort& port, size_t shard);

  // Sends bytes and answers what comes back once everything has run.
  std::string Send(std::string_view bytes);
  // Sends bytes; what they ask of other shards does not run yet.
  void Give(std::string_view bytes);
  // Sends a command, as an array.
  std::string Call(const std::vector<std::string>& args);
  // What has come back since the last call.
  std::string Take();

  Session& session() { return *session_; }
  void Disconnect();
  bool closed() const { return closed_; }
  // The kernel takes nothing.
  bool stuck = false;

  void Send() override;
  void Resume() override { resume_ = true; }
  void RetryLater() override { retry_ = true; }
  void CloseNow() override { closed_ = true; }
  size_t InputBytes() const override { return input_.size(); }

 private:
  friend class TestPort;
  void Feed();

  TestPort& port_;
  std::string input_;
  std::string received_;
  bool resume_ = false;
  bool retry_ = false;
  bool closed_ = false;
  std::unique_ptr<Session> session_;
};

class TestPort {
 public:
  explicit TestPort(size_t shards, std::shared_ptr<const grid::Catalog> catalog = nullptr,
                    NodeSettings settings = {});
  ~TestPort();

  TestClient& Connect(size_t shard = 0);
  // Until nothing is left to do.
  void Run();
  void AdvanceTime(int64_t ms) { now_ms += ms; }

  ShardPort& port(size_t shard) { return *node->ports[shard]; }
  // The shard that has the key.
  size_t ShardOf(std::string_view key) const;
  // A key that the shard has: "key:N".
  std::string KeyOn(size_t shard, int number = 0) const;
  // Makes an entity with default values.
  void CreateEntity(std::string_view key);

  TimeMs now_ms = 1'700'000'000'000;
  TestServices services;
  std::shared_ptr<const grid::Catalog> catalog;
  std::shared_ptr<const grid::SlotMap> slots;
  EchoHost host;
  std::vector<std::unique_ptr<grid::ShardLoop>> loops;
  std::unique_ptr<PortNode> node;
  std::vector<std::unique_ptr<TestClient>> clients;
};

// An entity class Host (prefix "host") with a field of every type and the commands echo and make
// (which creates); streams "alerts" and "samples", the latter with a handler.
std::shared_ptr<const grid::Catalog> HostCatalog();

std::string Encode(const std::vector<std::string>& args);

}  // namespace bettong::protocol
