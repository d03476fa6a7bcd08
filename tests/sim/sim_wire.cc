#include "tests/sim/sim_wire.h"

#include <utility>

#include "base/simulation.h"

namespace bettong::sim {

void SimWire::Write(Side side, std::string_view bytes) {
  Direction& to = directions_[1 - side];
  if (to.reader == nullptr || to.finished || bytes.empty()) return;
  to.bytes.append(bytes);
  DeliverLater(to);
}

void SimWire::Finish(Side side) {
  Direction& to = directions_[1 - side];
  if (std::exchange(to.finished, true)) return;
  DeliverLater(to);
}

void SimWire::Leave(Side side, bool sent) {
  directions_[side].reader = nullptr;
  Direction& to = directions_[1 - side];
  to.finished = to.broken = true;
  if (!sent && !to.bytes.empty()) {
    // What has got through so far has; the rest never will.
    BETTONG_SOMETIMES(connection_cut_inside_of_what_was_sent);
    to.bytes.resize(scheduler_.Below(to.bytes.size()));
  }
  DeliverLater(to);
}

void SimWire::GoDead() {
  for (Direction& to : directions_) {
    to.reader = nullptr;
    to.bytes.clear();
  }
}

void SimWire::DeliverLater(Direction& to) {
  if (to.reader == nullptr || std::exchange(to.scheduled, true)) return;
  const uint64_t delay_us = scheduler_.OneIn(60) ? scheduler_.Below(30'000) : scheduler_.Below(500);
  scheduler_.After(delay_us, who_, alive_, [self = shared_from_this(), &to] {
    to.scheduled = false;
    self->Deliver(to);
  });
}

void SimWire::Deliver(Direction& to) {
  if (to.reader == nullptr) return;
  if (!to.bytes.empty()) {
    if (to.reader->reads()) {
      const size_t most = scheduler_.OneIn(4) ? 1 + scheduler_.Below(40) : to.bytes.size();
      const std::string piece = to.bytes.substr(0, most);
      to.bytes.erase(0, piece.size());
      to.reader->OnBytes(piece);
    }
    if (to.reader == nullptr) return;
    if (!to.bytes.empty()) return DeliverLater(to);
  }
  if (!to.finished) return;
  WireEnd* const reader = to.reader;
  if (to.broken) {
    to.reader = nullptr;
    return reader->OnBroken();
  }
  to.finished = false;  // told once
  reader->OnFinished();
}

}  // namespace bettong::sim
