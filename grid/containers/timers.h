// The timers of one entity: each by its name, when it is due, which method it runs and with which
// arguments. Few, in the order of their setting. A field of the row that no client sees
// (FieldType::kTimers).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grid/containers/container.h"

namespace bettong::grid {

inline constexpr size_t kTimersMax = 256;  // of one entity
// Of a timer's name, its method's and the arguments, together.
inline constexpr size_t kTimerBytesMax = 4096;

struct Timer {
  std::string name;
  TimeMs due_ms = 0;
  std::string method;
  std::string arguments;  // a tagged list
};

class Timers final : public Container {
 public:
  enum class SetResult : uint8_t { kSet, kFull, kTooLarge };
  // In the place of the timer of this name, if there is one.
  SetResult Set(Timer timer, ContainerTurn& turn);
  // False: there is none.
  bool Cancel(std::string_view name, ContainerTurn& turn);
  // Takes the timer that is due next out. There is one.
  Timer Take(ContainerTurn& turn);

  TimeMs NextDue() const override;
  const std::vector<Timer>& all() const { return timers_; }

  void Commit(ContainerTurn& turn) override;
  // What a turn has recorded, as JSON: when each is due, or null. False: malformed.
  static bool AppendOperations(std::string_view operations, std::string& out);
  bool Replay(std::string_view operations) override;
  void EncodeImage(std::string& out) const override;
  bool DecodeImage(std::string_view image) override;
  // {"quiet":1700000000000}: when each is due.
  void AppendJson(std::string& out) const override;
  // Pairs of name and time.
  uint64_t AppendPage(uint64_t cursor, size_t count, std::string& tagged) const override;
  size_t heap_bytes() const override;

 private:
  void TakeBack(ContainerTurn& turn, size_t undo_left) override;

  size_t Find(std::string_view name) const;
  void TakeOut(size_t at, bool added, ContainerTurn& turn);
  size_t Next() const;

  std::vector<Timer> timers_;
  // Those that changes of the turn have taken out. A change's undo is three words: whether it has
  // added one, at the end; whether it has taken one out; where that was.
  std::vector<Timer> taken_;
};

}  // namespace bettong::grid
