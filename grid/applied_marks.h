// Which messages have had their effect on one partition: per channel the low water (the sender will
// never send what is below again) and the marks above it, in order of completion. While a process
// lives no message comes twice, so they are kept for the log's checkpoint only; what was recovered
// is looked up until the sender's low water has passed it. Owned by the shard.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

namespace bettong::grid {

class AppliedMarks {
 public:
  struct Mark {
    uint64_t position, target;
    bool operator==(const Mark&) const = default;
    template <typename H>
    friend H AbslHashValue(H hash, const Mark& mark) {
      return H::combine(std::move(hash), mark.position, mark.target);
    }
  };
  struct Channel {
    uint64_t low_water = 0;
    std::deque<Mark> marks;
    // Of an earlier process; null when none can come again.
    std::unique_ptr<absl::flat_hash_set<Mark>> recovered;
    uint64_t recovered_highest = 0;
  };

  void Add(uint64_t channel, uint64_t position, uint64_t target) {
    Channel& at = ChannelOf(channel);
    at.marks.push_back(Mark{position, target});
    Forget(at);
  }
  // A message of the channel says so. Marks below are forgotten.
  void RaiseLowWater(uint64_t channel, uint64_t position) {
    Channel& at = ChannelOf(channel);
    if (position <= at.low_water) return;
    at.low_water = position;
    Forget(at);
    if (at.recovered != nullptr && at.recovered_highest < position) at.recovered.reset();
  }
  // Whether the message has had its effect before this process began.
  bool Known(uint64_t channel, uint64_t position, uint64_t target) {
    Channel& at = ChannelOf(channel);
    return at.recovered != nullptr && at.recovered->contains(Mark{position, target});
  }

  // From the log. True: a mark that was not there yet.
  bool Recover(uint64_t channel, uint64_t position, uint64_t target) {
    Channel& at = ChannelOf(channel);
    if (position < at.low_water) return false;
    if (at.recovered == nullptr) at.recovered = std::make_unique<absl::flat_hash_set<Mark>>();
    if (!at.recovered->insert(Mark{position, target}).second) return false;
    at.recovered_highest = std::max(at.recovered_highest, position);
    at.marks.push_back(Mark{position, target});
    return true;
  }
  void RecoverLowWater(uint64_t channel, uint64_t position) { RaiseLowWater(channel, position); }

  const auto& channels() const { return channels_; }

 private:
  Channel& ChannelOf(uint64_t channel) {
    if (channel != last_id_ || last_ == nullptr) {
      auto& slot = channels_[channel];
      if (slot == nullptr) slot = std::make_unique<Channel>();
      last_id_ = channel;
      last_ = slot.get();
    }
    return *last_;
  }
  static void Forget(Channel& channel) {
    while (!channel.marks.empty() && channel.marks.front().position < channel.low_water) {
      channel.marks.pop_front();
    }
  }

  absl::flat_hash_map<uint64_t, std::unique_ptr<Channel>> channels_;
  uint64_t last_id_ = 0;
  Channel* last_ = nullptr;
};

}  // namespace bettong::grid
