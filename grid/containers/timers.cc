#include "grid/containers/timers.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/json_text.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace {

enum class Operation : uint8_t { kSet, kDrop };

size_t TextBytes(const Timer& timer) {
  return timer.name.size() + timer.method.size() + timer.arguments.size();
}

void Write(const Timer& timer, ByteWriter& out) {
  out.Bytes(timer.name);
  out.Zigzag(timer.due_ms);
  out.Bytes(timer.method);
  out.Bytes(timer.arguments);
}

bool Read(ByteReader& in, Timer& timer) {
  timer.name = in.Bytes();
  timer.due_ms = in.Zigzag();
  timer.method = in.Bytes();
  timer.arguments = in.Bytes();
  return in.ok() && TextBytes(timer) <= kTimerBytesMax;
}

}  // namespace

size_t Timers::Find(std::string_view name) const {
  const auto at =
      std::find_if(timers_.begin(), timers_.end(), [&](const Timer& t) { return t.name == name; });
  return static_cast<size_t>(at - timers_.begin());
}

// The earliest; of several, the one that was set first.
size_t Timers::Next() const {
  const auto at =
      std::min_element(timers_.begin(), timers_.end(),
                       [](const Timer& a, const Timer& b) { return a.due_ms < b.due_ms; });
  return static_cast<size_t>(at - timers_.begin());
}

TimeMs Timers::NextDue() const { return timers_.empty() ? kNeverExpires : timers_[Next()].due_ms; }

Timers::SetResult Timers::Set(Timer timer, ContainerTurn& turn) {
  if (TextBytes(timer) > kTimerBytesMax) return SetResult::kTooLarge;
  const size_t at = Find(timer.name);
  if (at == timers_.size() && at == kTimersMax) return SetResult::kFull;
  ByteWriter out(turn.operations);
  out.Fixed(Operation::kSet);
  Write(timer, out);
  TakeOut(at, /*added=*/true, turn);
  timers_.push_back(std::move(timer));
  return SetResult::kSet;
}

bool Timers::Cancel(std::string_view name, ContainerTurn& turn) {
  const size_t at = Find(name);
  if (at == timers_.size()) return false;
  ByteWriter out(turn.operations);
  out.Fixed(Operation::kDrop);
  out.Bytes(name);
  TakeOut(at, /*added=*/false, turn);
  return true;
}

Timer Timers::Take(ContainerTurn& turn) {
  BETTONG_CHECK(!timers_.empty());
  Timer timer = timers_[Next()];
  Cancel(timer.name, turn);
  return timer;
}

// --- taking back

// The one at `at`, if there is one.
void Timers::TakeOut(size_t at, bool added, ContainerTurn& turn) {
  const bool some = at < timers_.size();
  turn.undo.insert(turn.undo.end(), {added, some, at});
  if (!some) return;
  taken_.push_back(std::move(timers_[at]));
  timers_.erase(timers_.begin() + static_cast<ptrdiff_t>(at));
}

void Timers::Commit(ContainerTurn& turn) {
  taken_.clear();
  turn.Clear();
}

void Timers::TakeBack(ContainerTurn& turn, size_t undo_left) {
  while (turn.undo.size() > undo_left) {
    const uint64_t* undo = turn.undo.data() + turn.undo.size() - 3;
    if (undo[0] != 0) timers_.pop_back();
    if (undo[1] != 0) {
      timers_.insert(timers_.begin() + static_cast<ptrdiff_t>(undo[2]), std::move(taken_.back()));
      taken_.pop_back();
    }
    turn.undo.resize(turn.undo.size() - 3);
  }
}

// --- the log

bool Timers::Replay(std::string_view operations) {
  ByteReader in(operations);
  while (!in.empty()) {
    Timer timer;
    switch (in.Fixed<Operation>()) {
      case Operation::kSet: {
        if (!Read(in, timer)) return false;
        const size_t at = Find(timer.name);
        if (at == timers_.size() && at == kTimersMax) return false;
        if (at < timers_.size()) timers_.erase(timers_.begin() + static_cast<ptrdiff_t>(at));
        timers_.push_back(std::move(timer));
        break;
      }
      case Operation::kDrop: {
        const size_t at = Find(in.Bytes());
        if (!in.ok() || at == timers_.size()) return false;
        timers_.erase(timers_.begin() + static_cast<ptrdiff_t>(at));
        break;
      }
      default:
        return false;
    }
  }
  return true;
}

void Timers::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(timers_.size());
  for (const Timer& timer : timers_) Write(timer, bytes);
}

bool Timers::DecodeImage(std::string_view image) {
  ByteReader in(image);
  const uint64_t count = in.Varint();
  if (!in.ok() || count > kTimersMax) return false;
  std::vector<Timer> timers(count);
  for (Timer& timer : timers) {
    if (!Read(in, timer)) return false;
  }
  if (!in.empty()) return false;
  timers_ = std::move(timers);
  return true;
}

// --- what is shown

bool Timers::AppendOperations(std::string_view operations, std::string& out) {
  ByteReader in(operations);
  out.push_back('{');
  while (!in.empty()) {
    if (out.back() != '{') out.push_back(',');
    const auto operation = in.Fixed<Operation>();
    if (operation == Operation::kDrop) {
      AppendJsonString(in.Bytes(), out);
      out += ":null";
    } else {
      Timer timer;
      if (operation != Operation::kSet || !Read(in, timer)) return false;
      AppendJsonString(timer.name, out);
      absl::StrAppend(&out, ":", timer.due_ms);
    }
  }
  out.push_back('}');
  return in.ok();
}

void Timers::AppendJson(std::string& out) const {
  out.push_back('{');
  for (const Timer& timer : timers_) {
    if (out.back() != '{') out.push_back(',');
    AppendJsonString(timer.name, out);
    absl::StrAppend(&out, ":", timer.due_ms);
  }
  out.push_back('}');
}

uint64_t Timers::AppendPage(uint64_t cursor, size_t count, std::string& tagged) const {
  const size_t begin = std::min<size_t>(cursor, timers_.size());
  const size_t end = begin + std::min(count, timers_.size() - begin);
  TaggedWriter out(tagged);
  out.Map(end - begin);
  for (size_t i = begin; i < end; ++i) {
    out.Text(timers_[i].name);
    out.Int(timers_[i].due_ms);
  }
  return end == timers_.size() ? 0 : end;
}

size_t Timers::heap_bytes() const {
  constexpr size_t kAllocationBytes = 16;
  size_t bytes = sizeof(Timers) + kAllocationBytes;
  if (timers_.capacity() > 0) bytes += timers_.capacity() * sizeof(Timer) + kAllocationBytes;
  for (const Timer& timer : timers_) bytes += TextBytes(timer);
  return bytes;
}

}  // namespace bettong::grid
