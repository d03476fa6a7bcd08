#include "grid/containers/ring_window.h"

#include <algorithm>

#include "base/bytes.h"
#include "grid/row_number.h"

namespace bettong::grid {

void* RingWindow::operator new(size_t size, const WindowShape& shape) {
  return ::operator new(size + WordsOf(shape) * sizeof(uint64_t));
}

std::unique_ptr<RingWindow> RingWindow::Make(const WindowShape& shape) {
  std::unique_ptr<RingWindow> window(new (shape) RingWindow(shape));
  std::fill_n(window->behind(), WordsOf(shape), uint64_t{0});
  return window;
}

size_t RingWindow::heap_bytes() const {
  constexpr size_t kAllocationBytes = 16;
  return sizeof(RingWindow) + WordsOf(shape_) * sizeof(uint64_t) + kAllocationBytes;
}

size_t RingWindow::place(int64_t number) const {
  int64_t at = number % shape_.panes;
  if (at < 0) at += shape_.panes;
  return static_cast<size_t>(at) * shape_.words;
}

// --- values

Window::Added RingWindow::Add(uint64_t raw, TimeMs at_ms, TimeMs, ContainerTurn& turn) {
  if (at_ms < -kWindowTimeMax || at_ms > kWindowTimeMax) return Added::kNoTime;
  const int64_t number = PaneNumber(at_ms, spec().pane_ms);
  const bool newer = newest_ == kNoPane || number > newest_;
  if (!newer && number <= newest_ - shape_.panes) return Added::kLate;
  if (!newer && !PaneTakes(shape_, pane(number), raw)) return Added::kOverflow;
  ByteWriter operation(turn.operations);
  operation.Zigzag(newest_ == kNoPane ? number : number - newest_);
  operation.Varint(static_cast<uint64_t>(at_ms - number * spec().pane_ms));
  WriteNumber(spec().is_float, raw, operation);
  if (newer) {
    MoveTo(number, &turn);
  } else {
    Save(number, turn);
  }
  AddTo(number, raw, at_ms);
  return Added::kYes;
}

void RingWindow::AddTo(int64_t number, uint64_t raw, TimeMs at_ms) {
  if (number != newest_ && fold().valid()) fold().AddLate(raw, at_ms);
  AddToPane(shape_, pane(number), raw, at_ms);
}

void RingWindow::MoveTo(int64_t number, ContainerTurn* turn) {
  const int64_t panes = shape_.panes;
  int64_t cleared = panes;
  if (newest_ != kNoPane && number - newest_ < panes) cleared = number - newest_;
  if (has_fold() && newest_ != kNoPane) MoveFold(cleared);
  for (int64_t i = 0; i < cleared; ++i) {
    if (turn != nullptr) Save(number - i, *turn);
    std::fill_n(pane(number - i), shape_.words, uint64_t{0});
  }
  newest_ = number;
}

// Before the oldest panes are cleared; one less than are, if all are.
void RingWindow::MoveFold(int64_t cleared) {
  PaneFold folded = fold();
  if (cleared == shape_.panes) return folded.Store({});
  for (int64_t i = shape_.panes - 1; folded.valid() && i >= shape_.panes - cleared; --i) {
    folded.TakeOldest(pane(newest_ - i));
  }
  if (folded.valid()) folded.AddNewer(pane(newest_));
}

WindowView RingWindow::Current() const {
  WindowView view;
  if (newest_ == kNoPane) return view;
  view.empty = false;
  view.end_ms = (newest_ + 1) * spec().pane_ms;
  view.start_ms = view.end_ms - spec().size_ms;
  if (has_fold()) {
    PaneFold folded = fold();
    if (folded.valid()) {
      folded.Load(view.totals);
    } else {
      for (int64_t i = shape_.panes - 1; i > 0; --i) {
        MergePane(shape_, pane(newest_ - i), view.totals);
      }
      folded.Store(view.totals);
    }
  }
  MergePane(shape_, pane(newest_), view.totals);
  return view;
}

// --- taking back

// The newest pane's number, the pane's, its words.
void RingWindow::Save(int64_t number, ContainerTurn& turn) const {
  turn.undo.push_back(static_cast<uint64_t>(newest_));
  turn.undo.push_back(static_cast<uint64_t>(number));
  const uint64_t* words = pane(number);
  turn.undo.insert(turn.undo.end(), words, words + shape_.words);
}

void RingWindow::TakeBack(ContainerTurn& turn, size_t undo_left) {
  if (has_fold()) fold().Drop();
  const size_t size = 2 + shape_.words;
  while (turn.undo.size() > undo_left) {
    const uint64_t* saved = turn.undo.data() + turn.undo.size() - size;
    newest_ = static_cast<int64_t>(saved[0]);
    std::copy_n(saved + 2, shape_.words, pane(static_cast<int64_t>(saved[1])));
    turn.undo.resize(turn.undo.size() - size);
  }
}

// --- the log

bool RingWindow::ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation) {
  operation.step = in.Zigzag();
  const uint64_t into_pane = in.Varint();
  operation.into_pane_ms = static_cast<int64_t>(into_pane);
  operation.raw = ReadNumber(spec.is_float, in);
  return in.ok() && into_pane < static_cast<uint64_t>(spec.pane_ms);
}

bool RingWindow::Replay(std::string_view operations) {
  ByteReader in(operations);
  Operation operation;
  while (!in.empty()) {
    if (!ReadOperation(spec(), in, operation)) return false;
    int64_t number = operation.step;
    TimeMs begin_ms;
    if ((newest_ != kNoPane && __builtin_add_overflow(newest_, number, &number)) ||
        __builtin_mul_overflow(number, spec().pane_ms, &begin_ms) ||
        begin_ms < -2 * kWindowTimeMax + 1 || begin_ms > kWindowTimeMax) {
      return false;
    }
    if (newest_ == kNoPane || number > newest_) {
      MoveTo(number, nullptr);
    } else if (number <= newest_ - shape_.panes ||
               !PaneTakes(shape_, pane(number), operation.raw)) {
      return false;
    }
    AddTo(number, operation.raw, begin_ms + operation.into_pane_ms);
  }
  return true;
}

// Varint 0: no value yet. Else 1, zigzag newest pane, then of each pane, the newest first: varint
// count, and if that is not 0 its other words.
void RingWindow::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(newest_ == kNoPane ? 0 : 1);
  if (newest_ == kNoPane) return;
  bytes.Zigzag(newest_);
  for (int64_t i = 0; i < shape_.panes; ++i) {
    const uint64_t* words = pane(newest_ - i);
    bytes.Varint(words[0]);
    if (words[0] == 0) continue;
    for (uint32_t k = 1; k < shape_.words; ++k) bytes.Fixed(words[k]);
  }
}

bool RingWindow::DecodeImage(std::string_view image) {
  ByteReader in(image);
  const uint64_t some = in.Varint();
  if (some == 0) return in.ok() && in.empty();
  newest_ = in.Zigzag();
  if (has_fold()) fold().Drop();
  TimeMs end_ms;
  if (some > 1 || newest_ < INT64_MIN / 2 || newest_ > INT64_MAX / 2 ||
      __builtin_mul_overflow(newest_ + 1, spec().pane_ms, &end_ms) ||
      end_ms < -2 * kWindowTimeMax + 1 || end_ms > 2 * (kWindowTimeMax - 1)) {
    newest_ = kNoPane;
    return false;
  }
  for (int64_t i = 0; i < shape_.panes; ++i) {
    uint64_t* words = pane(newest_ - i);
    words[0] = in.Varint();
    if (words[0] == 0) continue;
    for (uint32_t k = 1; k < shape_.words; ++k) words[k] = in.Fixed<uint64_t>();
  }
  return in.ok() && in.empty();
}

}  // namespace bettong::grid
