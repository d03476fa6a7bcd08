// A client that calls methods of entities and feeds a stream that has handlers. One request of each
// counter at a time; what it has no answer to when the node goes may have happened or not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grid/runtime/shard_loop.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_app.h"
#include "tests/sim/sim_node.h"

namespace bettong::sim {

class SimCaller final : public grid::ReplySink {
 public:
  // `sync`: every reply means that what it tells survives.
  SimCaller(Scheduler& scheduler, SimNode& node, Expected& expected, bool sync);

  void OnUp();
  void OnDown();
  bool idle() const;
  const std::string& complaint() const { return complaint_; }

  // grid::ReplySink
  void Reply(const grid::Ticket& ticket, std::string_view bytes) override;
  void Flush() override {}

 private:
  struct Counter {
    std::string key;
    bool asked = false;
    bool fails = false;      // the call under way
    int64_t last_reply = 0;  // in this life of the node; 0: none
  };
  static constexpr size_t kCounters = 3;

  void Step();
  void Call(size_t i);
  void Feed(size_t i);
  void OnCalled(size_t i, std::string_view bytes);
  void OnFed(size_t i, std::string_view bytes);
  void Complain(size_t i, std::string_view what, std::string_view bytes);

  Scheduler& scheduler_;
  SimNode& node_;
  Expected& expected_;
  const bool sync_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<Counter> counters_{kCounters};
  ConnectionId connection_;
  uint64_t left_;  // of all requests
  uint64_t entries_ = 0;
  std::string complaint_;
};

}  // namespace bettong::sim
