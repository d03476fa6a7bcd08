// A field that is more than a number or a text: a window, later lists and maps. It lies on the heap
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
#include <vector>

#include "base/bytes.h"

namespace bettong::grid {

// Of one container in one turn; the lane's, and used again.
struct ContainerTurn {
  std::string operations;      // empty: nothing has changed
  std::vector<uint64_t> undo;  // the container's business

  bool changed() const { return !operations.empty(); }
  void Clear() { operations.clear(), undo.clear(); }
};

class Container {
 public:
  Container() = default;
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  virtual ~Container() = default;

  // Takes the turn's changes back.
  virtual void RollBack(ContainerTurn& turn) = 0;

  // Does what turns have recorded to an equal container; false: malformed.
  virtual bool Replay(std::string_view operations) = 0;
  // The whole, into one that is new; false: malformed.
  virtual void EncodeImage(std::string& out) const = 0;
  virtual bool DecodeImage(std::string_view image) = 0;

  // As a client and a dead letter show it: JSON.
  virtual void AppendJson(std::string& out) const = 0;
};

}  // namespace bettong::grid
