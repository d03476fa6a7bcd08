#include "ingest/client_inputs.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace bettong::ingest {

ClientInputs::ClientInputs(grid::ShardLoop& shard, int64_t idle_ms,
                           std::function<void(const grid::WatermarkNote&)> tell,
                           std::function<void()> flush)
    : shard_(shard),
      idle_ms_(idle_ms),
      tell_(std::move(tell)),
      flush_(std::move(flush)),
      timer_(shard.executor().MakeTimer()) {}

ClientInputs::Seen ClientInputs::See(StreamId stream, TimeMs time_ms) {
  auto input = std::find_if(inputs_.begin(), inputs_.end(),
                            [&](const Input& each) { return each.stream == stream; });
  if (input == inputs_.end()) {
    inputs_.push_back({.stream = stream, .partition = shard_.AddSource(nullptr)});
    input = inputs_.end() - 1;
  }
  input->seen_ms = std::max(input->seen_ms, time_ms);
  input->touched = touched_ = true;
  return {input->partition, input->seen_ms};
}

void ClientInputs::Announce() {
  if (!touched_) return;
  touched_ = false;
  for (Input& input : inputs_) {
    if (!std::exchange(input.touched, false)) continue;
    input.active_wall_ms = shard_.now_ms();
    if (input.joined && input.announced_ms == input.seen_ms) continue;
    input.joined = true;
    input.announced_ms = input.seen_ms;
    tell_({.kind = grid::WatermarkNote::Kind::kAdvance,
           .stream = input.stream,
           .partition = input.partition,
           .time_ms = input.seen_ms});
  }
  ArmTimer();
}

void ClientInputs::LeaveAll() {
  Announce();
  for (Input& input : inputs_) Leave(input, input.seen_ms);
}

void ClientInputs::Leave(Input& input, TimeMs seen_ms) {
  if (!std::exchange(input.joined, false)) return;
  tell_({.kind = grid::WatermarkNote::Kind::kLeave,
         .stream = input.stream,
         .partition = input.partition,
         .time_ms = seen_ms});
}

void ClientInputs::ArmTimer() {
  if (idle_ms_ <= 0 || timer_armed_) return;
  timer_armed_ = true;
  timer_->Arm(std::chrono::milliseconds(std::max<int64_t>(idle_ms_ / 4, 1)), [this] { OnTimer(); });
}

void ClientInputs::OnTimer() {
  timer_armed_ = false;
  const TimeMs now_ms = shard_.now_ms();
  bool waiting = false;
  for (Input& input : inputs_) {
    if (input.joined && now_ms - input.active_wall_ms >= idle_ms_) Leave(input, kNoTime);
    waiting |= input.joined;
  }
  if (waiting) ArmTimer();
  flush_();
}

}  // namespace bettong::ingest
