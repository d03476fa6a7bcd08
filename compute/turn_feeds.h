// What the engine adds to the windows of an entity when an event reaches it (grid/window_feed.h),
// before the handler runs. The runner's; what it does counts and is undone with the turn.
#pragma once

#include <string>
#include <vector>

#include "compute/turn_host.h"
#include "grid/loan.h"

namespace bettong::compute {

class TurnFeeds {
 public:
  // `logged`: see grid::ContainerTurn.
  explicit TurnFeeds(bool logged) : logged_(logged) {}

  // For a turn of the event: all of the handler's feeds, or nothing that the turn has fed so far.
  // False: the turn fails, and why.
  bool Feed(const grid::Loan& loan, const grid::EventRecord& event, const grid::Catalog& catalog,
            TurnError& error);

  // The turn fails, or it counts; what is fed after that is another turn's. Nothing, where nothing
  // was fed.
  void TakeBack();
  // Appends what was added, as a delta of the row, if it was anything; answers by how much the
  // windows have grown.
  int64_t Commit(std::string& delta);

 private:
  struct Fed {
    size_t field = 0;
    grid::Window* window = nullptr;
    grid::ContainerTurn changes;
  };
  const bool logged_;
  // The first `size_` are this turn's; the others keep their memory for later ones.
  std::vector<Fed> fed_;
  size_t size_ = 0;
};

}  // namespace bettong::compute
