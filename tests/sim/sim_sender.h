// A sender of the stream protocol: keeps each event until it is acknowledged, sends what is not
// again after every connection, and believes every word it is told.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "ingest/source_actor.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_node.h"

namespace bettong::sim {

class SimSender {
 public:
  SimSender(Scheduler& scheduler, SimNode& node, size_t source, std::string name,
            std::vector<std::string> events);
  ~SimSender();

  // Connects when the node is up, and works on until everything is acknowledged.
  void Run();
  // The connection breaks; the node hears of it, or is gone.
  void Cut(bool node_is_gone);
  // A new process takes over, with what the old one had kept.
  void Restart();

  bool done() const { return kept_.empty(); }
  std::string Describe() const;
  // What was promised to it and broken; empty: nothing.
  const std::string& complaint() const { return complaint_; }
  uint64_t resent() const { return resent_; }

 private:
  struct Event {
    uint64_t id;
    std::string text;
  };
  class Link;

  void Connect();
  void SendSome();
  void OnWelcome(uint64_t durable);
  void OnAcknowledged(uint64_t durable);
  void OnClosed();
  void Forget(uint64_t durable);

  static constexpr uint64_t kWindow = 48;

  Scheduler& scheduler_;
  SimNode& node_;
  const size_t source_;
  const std::string name_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  uint64_t incarnation_ = 1;
  std::deque<Event> kept_;  // not acknowledged
  uint64_t acknowledged_ = 0;
  uint64_t sent_ = 0;          // the highest id ever
  uint64_t sent_on_link_ = 0;  // the highest id on this connection
  uint64_t resent_ = 0;
  std::unique_ptr<Link> link_;
  bool connecting_ = false;
  bool open_ = false;
  bool sending_ = false;
  std::string complaint_;
};

}  // namespace bettong::sim
