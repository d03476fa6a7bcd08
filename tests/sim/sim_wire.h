// A connection between two machines of the simulator. What one end writes arrives at the other in
// order, in pieces of any size, late. When it breaks, what is on its way is lost, in the middle of
// a frame if it so happens.
//
// Shared by its two ends, each of which leaves it in its own time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tests/sim/scheduler.h"

namespace bettong::sim {

class WireEnd {
 public:
  // Takes all of it.
  virtual void OnBytes(std::string_view bytes) = 0;
  // The other end has closed its direction, and all that it wrote has come.
  virtual void OnFinished() = 0;
  // The connection is gone.
  virtual void OnBroken() = 0;
  // While it does not, bytes wait.
  virtual bool reads() const { return true; }

 protected:
  ~WireEnd() = default;
};

class SimWire : public std::enable_shared_from_this<SimWire> {
 public:
  enum Side : uint8_t { kFrom, kTo };  // who connected, and to whom

  SimWire(Scheduler& scheduler, uint32_t who) : scheduler_(scheduler), who_(who) {}

  void Attach(Side side, WireEnd* end) { directions_[side].reader = end; }
  // From this side on.
  void Write(Side side, std::string_view bytes);
  size_t on_its_way_bytes(Side side) const { return directions_[1 - side].bytes.size(); }
  // This side will write no more.
  void Finish(Side side);
  // This side is gone, and hears nothing any more. `sent`: what it had written still comes.
  void Leave(Side side, bool sent);
  // Neither side hears anything any more, nor is told.
  void GoDead();

 private:
  // Towards the reader.
  struct Direction {
    WireEnd* reader = nullptr;
    std::string bytes;
    bool finished = false, broken = false;
    bool scheduled = false;
  };

  void DeliverLater(Direction& to);
  void Deliver(Direction& to);

  Scheduler& scheduler_;
  const uint32_t who_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Direction directions_[2];  // by the side of the reader
};

}  // namespace bettong::sim
