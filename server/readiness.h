// How far a node is: what /readyz answers. Set by the thread that opens and stops the node (or
// recovers it), read by any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>

namespace bettong::server {

enum class NodeState : uint8_t { kStarting, kRecovering, kReady, kStopping };

class Readiness {
 public:
  void Set(NodeState state) { state_.store(state); }
  // Recovering, and so much of it done: 0 to 1.
  void SetRecovery(double fraction) {
    fraction_.store(std::clamp(fraction, 0.0, 1.0));
    state_.store(NodeState::kRecovering);
  }

  NodeState state() const { return state_.load(); }
  double recovery_fraction() const { return fraction_.load(); }
  // The shards' threads run: what concerns them may be asked of them.
  bool shards_run() const { return state() >= NodeState::kReady; }

  // "starting", "recovering (42%)", "ready", "stopping".
  std::string Describe() const {
    switch (state()) {
      case NodeState::kStarting:
        return "starting";
      case NodeState::kRecovering:
        return "recovering (" + std::to_string(static_cast<int>(recovery_fraction() * 100)) + "%)";
      case NodeState::kReady:
        return "ready";
      case NodeState::kStopping:
        return "stopping";
    }
    return "";
  }

 private:
  std::atomic<NodeState> state_{NodeState::kStarting};
  std::atomic<double> fraction_{0};
};

}  // namespace bettong::server
