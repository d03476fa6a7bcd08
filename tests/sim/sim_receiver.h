// The other side of a bettong-stream sink: a process with a store of its own, which may crash as
// well. It takes outputs in, stores them some time later, says so, and believes nothing: what comes
// twice on a connection, or again though it has said that it has it, is a complaint.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stream_wire.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_wire.h"

namespace bettong::sim {

class SimReceiver {
 public:
  explicit SimReceiver(Scheduler& scheduler);
  ~SimReceiver();

  bool up() const { return up_; }
  // A node connects.
  void Accept(std::shared_ptr<SimWire> wire);
  // What is not stored is lost.
  void Crash();
  // The connection ends.
  void Cut();

  // All outputs stored, a line each, in the order in which they were.
  const std::string& lines() const { return lines_; }
  const std::string& complaint() const { return complaint_; }
  void Complain(std::string what);

 private:
  class Connection;
  struct Pending {
    ingest::StreamPosition position;
    std::string line;
  };

  void Take(const ingest::StreamOutput& output);
  void StoreLater();
  void Store();

  Scheduler& scheduler_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool up_ = true;
  // The store.
  std::string node_id_;
  std::map<uint16_t, uint64_t> stored_;  // by partition
  std::string lines_;
  // The process.
  std::unique_ptr<Connection> connection_;
  std::map<uint16_t, uint64_t> taken_;
  std::vector<Pending> pending_;
  bool storing_ = false;
  std::string complaint_;
};

}  // namespace bettong::sim
