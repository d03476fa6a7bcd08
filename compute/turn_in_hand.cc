#include "compute/turn_in_hand.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"

namespace bettong::compute {
namespace {

constexpr char kMagic[8] = {'B', 'E', 'T', 'T', 'O', 'N', 'G', 'H'};
constexpr uint32_t kVersion = 1;

}  // namespace

// The file: docs/log-format.md. A process that is killed while it changes the suspects may leave
// one twice, or none of two: it is a hint, and the next death tells.
struct TurnInHand::Page {
  char magic[8];
  uint32_t version;
  uint32_t suspects;
  std::atomic<uint64_t> in_hand;
  char unused[40];
  Suspect suspect[kSuspectsMax];
};

bool TurnInHand::Attach(std::span<char> page) {
  static_assert(sizeof(Page) <= kBytes && sizeof(std::atomic<uint64_t>) == sizeof(uint64_t));
  static_assert(std::atomic<uint64_t>::is_always_lock_free);
  BETTONG_CHECK(page.size() == kBytes);
  page_ = std::launder(reinterpret_cast<Page*>(page.data()));
  const bool known = std::memcmp(page_->magic, kMagic, sizeof(kMagic)) == 0 &&
                     page_->version == kVersion && page_->suspects <= kSuspectsMax;
  if (!known) {
    std::fill(page.begin(), page.end(), '\0');
    std::memcpy(page_->magic, kMagic, sizeof(kMagic));
    page_->version = kVersion;
  }
  in_hand_ = &page_->in_hand;
  suspects_.assign(page_->suspect, page_->suspect + page_->suspects);
  // A call that was refused is given another chance by each start: its caller may try again, and
  // nothing else would ever end its refusal.
  for (Suspect& suspect : suspects_) {
    if ((suspect.name & kCallNameBit) != 0) {
      suspect.deaths = std::min(suspect.deaths, kPoisonDeaths - 1);
    }
  }
  const uint64_t name = in_hand_->load(std::memory_order_acquire);
  if (name != kNoTurnName) {
    const auto at = std::find_if(suspects_.begin(), suspects_.end(),
                                 [&](const Suspect& suspect) { return suspect.name == name; });
    Suspect found{.name = name};
    if (at != suspects_.end()) {
      found = *at;
      suspects_.erase(at);
    } else if (suspects_.size() == kSuspectsMax) {
      suspects_.erase(suspects_.begin());
    }
    ++found.deaths;
    suspects_.push_back(found);
  }
  Write();
  in_hand_->store(kNoTurnName, std::memory_order_release);
  follows_a_death_ = name != kNoTurnName;
  return follows_a_death_;
}

const TurnInHand::Suspect* TurnInHand::Find(uint64_t name) const {
  for (const Suspect& suspect : suspects_) {
    if (suspect.name == name) return &suspect;
  }
  return nullptr;
}

bool TurnInHand::IsPoison(uint64_t name) {
  const Suspect* suspect = Find(name);
  if (suspect == nullptr || suspect->deaths < kPoisonDeaths) return false;
  refused_.Add(1);
  return true;
}

void TurnInHand::Acquit(uint64_t name) {
  const Suspect* suspect = Find(name);
  if (suspect == nullptr) return;
  suspects_.erase(suspects_.begin() + (suspect - suspects_.data()));
  Write();
}

void TurnInHand::Write() {
  std::copy(suspects_.begin(), suspects_.end(), page_->suspect);
  page_->suspects = static_cast<uint32_t>(suspects_.size());
  suspect_count_.store(suspects_.size(), std::memory_order_relaxed);
}

}  // namespace bettong::compute
