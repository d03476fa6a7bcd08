// Clients of the Redis protocol, as far as a shard can tell: registers that only rise, whose
// replies are believed, and writes of all kinds that nobody checks but the replay.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grid/runtime/shard_loop.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_node.h"

namespace bettong::sim {

class SimClient final : public grid::ReplySink {
 public:
  // `durable`: a reply means that what it tells survives.
  SimClient(Scheduler& scheduler, SimNode& node, bool durable);

  void OnUp();
  void OnDown();
  bool idle() const;
  const std::string& complaint() const { return complaint_; }

  // grid::ReplySink
  void Reply(const grid::Ticket& ticket, std::string_view bytes) override;
  void Flush() override {}

 private:
  struct Register {
    uint64_t sent = 0;
    uint64_t replied = 0;
    bool asked = false;  // a write is under way
  };
  static constexpr size_t kRegisters = 4;

  void Step();
  void Ask(const std::string& line, uint64_t sequence);
  void ReadBack();

  Scheduler& scheduler_;
  SimNode& node_;
  const bool durable_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<Register> registers_{kRegisters};
  ConnectionId connection_;
  uint64_t left_;  // of all writes
  uint64_t noise_ = 0;
  uint64_t reads_left_ = 0;
  std::string complaint_;
};

}  // namespace bettong::sim
