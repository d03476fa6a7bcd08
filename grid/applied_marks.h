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
#include <vector>

#include "base/simulation.h"
#include "grid/origin.h"

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
    // Of an earlier process, looked up while any of them can come again; null: none can.
    std::unique_ptr<absl::flat_hash_set<Mark>> recovered;
    uint64_t recovered_end = 0;  // above all that the earlier process knew of
  };

  // The message has its effect. `low_water` came with it.
  void Add(uint64_t channel, const Mark& mark, uint64_t low_water) {
    Channel& at = ChannelOf(channel);
    at.marks.push_back(mark);
    at.low_water = std::max(at.low_water, low_water);
    Forget(at);
  }
  // Whether anything of an earlier process can come again.
  bool recovering() const { return recovering_ > 0; }
  // Whether the message has had its effect before this process began. What lies below the low water
  // had, even if its marks are forgotten: the sender promised not to send it, but may have crashed
  // before that was in its log.
  bool Known(uint64_t channel, const Mark& mark, uint64_t low_water) {
    Channel& at = ChannelOf(channel);
    if (at.recovered == nullptr) return false;
    if (low_water >= at.recovered_end) {
      at.recovered.reset();
      --recovering_;
      return false;
    }
    if (BETTONG_PLANTED(high_water_instead_of_applied_set)) {
      return mark.position < at.recovered_end;
    }
    if (BETTONG_PLANTED(low_water_not_trusted)) return at.recovered->contains(mark);
    const bool known = mark.position < at.low_water || at.recovered->contains(mark);
    // What came behind it had come back from its lane before the crash.
    if (!known && mark.position + 1 < at.recovered_end) {
      BETTONG_SOMETIMES(out_of_order_lane_return_across_a_crash);
    }
    return known;
  }

  // From the log.
  void Recover(uint64_t channel, const Mark& mark) {
    Channel& at = Recovered(channel, mark.position + 1);
    if (mark.position < at.low_water || !at.recovered->insert(mark).second) return;
    at.marks.push_back(mark);
  }
  void RecoverLowWater(uint64_t channel, uint64_t low_water) {
    Channel& at = Recovered(channel, low_water);
    at.low_water = std::max(at.low_water, low_water);
    Forget(at);
  }

  void AddRecoveredEnds(RecoveredEnds& ends) const {
    for (const auto& [id, channel] : channels_) {
      uint64_t& end = ends[id];
      end = std::max(end, channel->recovered_end);
    }
  }

  const auto& channels() const { return channels_; }
  // By id: what is written of them is the same wherever the program lies in memory.
  std::vector<std::pair<uint64_t, const Channel*>> ChannelsInOrder() const {
    std::vector<std::pair<uint64_t, const Channel*>> channels;
    for (const auto& [id, channel] : channels_) channels.emplace_back(id, channel.get());
    std::sort(channels.begin(), channels.end());
    return channels;
  }

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
  Channel& Recovered(uint64_t channel, uint64_t end) {
    Channel& at = ChannelOf(channel);
    if (at.recovered == nullptr) {
      at.recovered = std::make_unique<absl::flat_hash_set<Mark>>();
      ++recovering_;
    }
    at.recovered_end = std::max(at.recovered_end, end);
    return at;
  }
  static void Forget(Channel& channel) {
    while (!channel.marks.empty() && channel.marks.front().position < channel.low_water) {
      channel.marks.pop_front();
    }
  }

  absl::flat_hash_map<uint64_t, std::unique_ptr<Channel>> channels_;
  uint64_t last_id_ = 0;
  Channel* last_ = nullptr;
  size_t recovering_ = 0;  // channels with something recovered
};

}  // namespace bettong::grid
