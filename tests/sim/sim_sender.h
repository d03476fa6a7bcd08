// A sender of the stream protocol, byte by byte: keeps each event until it is acknowledged, sends
// what is not again after every connection, and believes every word it is told.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/stream_wire.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_wire.h"

namespace bettong::sim {

class SimSender final : public WireEnd {
 public:
  SimSender(Scheduler& scheduler, SimNode& node, size_t source, std::string name,
            std::vector<std::string> events);
  ~SimSender();

  // Connects when the node is up, and works on until everything is acknowledged.
  void Run();
  // The connection breaks; the node may hear of it at once, or by the next one only.
  void Cut();
  // A new process takes over, with what the old one had kept.
  void Restart();

  bool done() const { return kept_.empty(); }
  std::string Describe() const;
  // What was promised to it and broken; empty: nothing.
  const std::string& complaint() const { return complaint_; }

 private:
  struct Event {
    uint64_t id;
    std::string text;
  };

  // The process before the last Restart, which does not know that it is over.
  class Older;

  // WireEnd.
  void OnBytes(std::string_view bytes) override;
  void OnFinished() override { LeaveWire(); }
  void OnBroken() override { LeaveWire(); }

  void Connect();
  void LeaveWire();
  void Take(const ingest::StreamFrame& frame);
  void SendSome();
  void OnWelcome(const ingest::StreamGrant& grant);
  void OnAcknowledged(const ingest::StreamGrant& grant);
  void Forget(uint64_t durable);
  void Complain(const std::string& what);
  void LetOlderTry();

  static constexpr uint64_t kWindow = 48;

  Scheduler& scheduler_;
  SimNode& node_;
  const size_t source_;
  const std::string name_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  uint64_t incarnation_ = 1;
  std::deque<Event> kept_;  // not acknowledged
  uint64_t acknowledged_ = 0;
  uint64_t sent_ = 0;  // the highest id ever
  bool connecting_ = false;
  bool sending_ = false;
  std::string complaint_;
  std::unique_ptr<Older> older_;

  // Of a connection.
  std::shared_ptr<SimWire> wire_;
  std::string in_;
  bool open_ = false;
  uint64_t allowed_ = 0;
  uint64_t count_ = 0;         // of messages sent
  uint64_t sent_on_wire_ = 0;  // the highest id
};

}  // namespace bettong::sim
