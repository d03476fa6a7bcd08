// A field that is more than a number or a text: a window, a list, a map. It lies on the heap
// and its row holds a pointer to it. It is never copied: while its entity is lent the lane changes
// it in place, and the shard does not look (docs/decisions/0007-containers.md). So every change is
// recorded twice in the turn's hands: as an operation for the log, which does the same again to an
// equal container, and as what takes it back if the turn fails.
//
// Owned by the committed row; by the loan's results on the way there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace bettong::grid {

// Of one container in one turn; the lane's, and used again. Ends with the container's Commit or
// RollBack: what takes changes back may own memory.
struct ContainerTurn {
  std::string operations;
  std::vector<uint64_t> undo;  // the container's business
  // False: nothing is logged, and windows, which most events change, write no operations. They say
  // that they have changed. (Of collections operations count towards a limit.)
  bool logged = true;
  bool changed_unlogged = false;

  // Of windows, about to change: whether the operation is to be written.
  bool WritesOperation() {
    changed_unlogged |= !logged;
    return logged;
  }
  bool changed() const { return changed_unlogged || !operations.empty(); }
  void Clear() { operations.clear(), undo.clear(), changed_unlogged = false; }

  // Where a part of the turn begins that may be taken back by itself.
  struct Mark {
    size_t operations = 0, undo = 0;
  };
  Mark mark() const { return {operations.size(), undo.size()}; }
};

class Container {
 public:
  Container() = default;
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  virtual ~Container() = default;

  // The turn counts: lets go of what would take it back.
  virtual void Commit(ContainerTurn& turn) { turn.Clear(); }
  // Takes the turn's changes back, or those behind the mark.
  void RollBack(ContainerTurn& turn, const ContainerTurn::Mark& to = {}) {
    TakeBack(turn, to.undo);
    turn.operations.resize(to.operations);
    if (to.undo == 0) turn.changed_unlogged = false;
  }

  // Does what turns have recorded to an equal container; false: malformed.
  virtual bool Replay(std::string_view operations) = 0;
  // The whole, into one that is new; false: malformed.
  virtual void EncodeImage(std::string& out) const = 0;
  virtual bool DecodeImage(std::string_view image) = 0;

  // As a client and a dead letter show it: JSON.
  virtual void AppendJson(std::string& out) const = 0;
  // Some of the elements from `cursor` on, as one tagged value (grid/tagged.h); answers where the
  // next page begins, 0 behind the last. The first begins at 0.
  virtual uint64_t AppendPage(uint64_t cursor, size_t count, std::string& tagged) const = 0;

  // When it wants a turn of its own: a timer, a window that closes. By the clock of its kind.
  virtual TimeMs NextDue() const { return kNeverExpires; }

  // Memory, with the container itself.
  virtual size_t heap_bytes() const = 0;
  // What the shard's sum has of it: told when changes are made, by whoever makes them, so that the
  // shard need not look while the lane is at it. Answers by how much it has grown.
  int64_t SettleBytes() {
    const size_t now = heap_bytes();
    return static_cast<int64_t>(now) - static_cast<int64_t>(std::exchange(settled_bytes_, now));
  }
  size_t settled_bytes() const { return settled_bytes_; }

  // The alarm that the shard has been told to set for NextDue; the business of whoever has the
  // container at hand, lane or shard. It may ring early, and after the container has had its turn.
  struct Alarm {
    TimeMs at_ms = kNeverExpires;
    uint8_t generation = 0;  // tells it from earlier ones
  };
  Alarm alarm;

 private:
  // Until so many words of the undo are left.
  virtual void TakeBack(ContainerTurn& turn, size_t undo_left) = 0;

  size_t settled_bytes_ = 0;
};

}  // namespace bettong::grid
