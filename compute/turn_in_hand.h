// Which turn a lane is at, told to the next process in case this one dies of it, and what earlier
// ones died of: the poison rule of docs/exactly-once.md.
//
// A turn's name is a number (grid/origin.h): one word of a mapped file holds that of the turn in
// hand. A message whose turn was in hand when a process died is a suspect. A suspect whose turn
// ends after all is none any more; one that was in hand at two deaths is poison: its turn is not
// run, it fails.
//
// Attach before the first turn; Begin and End on the lane's thread; the numbers from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/published_counter.h"

namespace bettong::compute {

// Messages that have no name: nobody can tell that they have come again.
inline constexpr uint64_t kNoTurnName = 0;
// Names of calls have this bit, others not.
inline constexpr uint64_t kCallNameBit = uint64_t{1} << 63;
// So many deaths in hand, and it is poison.
inline constexpr uint32_t kPoisonDeaths = 2;
// Suspects that are remembered; beyond them the oldest is forgotten.
inline constexpr size_t kSuspectsMax = 64;

class TurnInHand {
 public:
  static constexpr size_t kBytes = 4096;  // of the file

  // `page`, kBytes that stay good, aligned as a word: what an earlier process left, or zeros, or
  // anything: it is made new then. Answers whether a turn was in hand when that process died.
  bool Attach(std::span<char> page);

  // The turn is about to run. False: it is poison, and must not be run.
  bool Begin(uint64_t name) {
    if (name == kNoTurnName || in_hand_ == nullptr) return true;
    if (!suspects_.empty() && IsPoison(name)) return false;
    in_hand_->store(name, std::memory_order_release);
    return true;
  }
  // It has run.
  void End(uint64_t name) {
    if (name == kNoTurnName || in_hand_ == nullptr) return;
    in_hand_->store(kNoTurnName, std::memory_order_release);
    if (!suspects_.empty()) Acquit(name);
  }
  bool IsSuspect(uint64_t name) const { return Find(name) != nullptr; }
  // The process before died during a turn that may come again.
  bool follows_a_death() const { return follows_a_death_; }

  // Messages that were in hand when a process died, poison among them.
  uint64_t suspects() const { return suspect_count_.load(std::memory_order_relaxed); }
  // Turns that were not run.
  uint64_t refused() const { return refused_.value(); }

 private:
  struct Suspect {
    uint64_t name = kNoTurnName;
    uint32_t deaths = 0;
    uint32_t unused = 0;
  };
  struct Page;

  const Suspect* Find(uint64_t name) const;
  bool IsPoison(uint64_t name);
  void Acquit(uint64_t name);
  void Write();

  Page* page_ = nullptr;
  std::atomic<uint64_t>* in_hand_ = nullptr;
  std::vector<Suspect> suspects_;  // oldest first
  bool follows_a_death_ = false;
  std::atomic<uint64_t> suspect_count_{0};
  PublishedCounter refused_;
};

}  // namespace bettong::compute
