#include "grid/containers/ring_window.h"

#include <algorithm>
#include <array>
#include <utility>

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
  const size_t sketches = shape_.sketch > 0 ? behind()[WordsOf(shape_) - 1] : 0;
  return sizeof(RingWindow) + WordsOf(shape_) * sizeof(uint64_t) + kAllocationBytes + sketches;
}

RingWindow::~RingWindow() {
  if (shape_.sketch == 0) return;
  for (int64_t i = 0; i < shape_.panes; ++i) delete SketchOf(shape_, pane(i));
}

// Most values are of the newest pane, which is found without dividing.
int64_t RingWindow::NumberOf(TimeMs at_ms) const {
  const int64_t pane_ms = spec().pane_ms;
  if (newest_ != kNoPane) {
    const TimeMs begin_ms = newest_ * pane_ms;
    if (at_ms >= begin_ms && at_ms < begin_ms + pane_ms) return newest_;
  }
  return PaneNumber(at_ms, pane_ms);
}

size_t RingWindow::place(int64_t number) const {
  if (shape_.panes == 1) return 0;
  int64_t at = number % shape_.panes;
  if (at < 0) at += shape_.panes;
  return static_cast<size_t>(at) * shape_.words;
}

// --- values

Window::Added RingWindow::Add(uint64_t raw, TimeMs at_ms, TimeMs, ContainerTurn& turn) {
  if (at_ms < -kWindowTimeMax || at_ms > kWindowTimeMax) return Added::kNoTime;
  const int64_t number = NumberOf(at_ms);
  const bool newer = newest_ == kNoPane || number > newest_;
  if (!newer && number <= newest_ - shape_.panes) return Added::kLate;
  uint64_t* const words = pane(number);
  if (!newer && !PaneTakes(shape_, words, raw)) return Added::kOverflow;
  if (turn.WritesOperation()) {
    ByteWriter operation(turn.operations);
    operation.Zigzag(newest_ == kNoPane ? number : number - newest_);
    operation.Varint(static_cast<uint64_t>(at_ms - number * spec().pane_ms));
    WriteNumber(spec().is_wide(), raw, operation);
  }
  if (newer) MoveTo(number, &turn);
  AddTo(number, words, raw, at_ms, newer && shape_.sketch == 0 ? nullptr : &turn);
  return Added::kYes;
}

// Without a turn nothing is saved.
void RingWindow::AddTo(int64_t number, uint64_t* pane, uint64_t raw, TimeMs at_ms,
                       ContainerTurn* turn) {
  if (shape_.sketch > 0) {
    PaneSketch* const before = SketchOf(shape_, pane);
    SketchUndo undo;
    sketch_bytes() +=
        static_cast<uint64_t>(AddToSketch(shape_, pane, raw, turn == nullptr ? nullptr : &undo));
    PaneSketch* const now = std::exchange(SketchOf(shape_, pane), before);
    if (turn != nullptr) Save(number, pane, *turn, undo);
    SketchOf(shape_, pane) = now;
  } else if (turn != nullptr) {
    Save(number, pane, *turn);
  }
  if (number != newest_ && fold().valid()) fold().AddLate(raw, at_ms);
  AddToPane(shape_, pane, raw, at_ms);
}

void RingWindow::MoveTo(int64_t number, ContainerTurn* turn) {
  const int64_t panes = shape_.panes;
  int64_t cleared = panes;
  if (newest_ != kNoPane && number - newest_ < panes) cleared = number - newest_;
  if (has_fold() && newest_ != kNoPane) MoveFold(cleared);
  for (int64_t i = 0; i < cleared; ++i) {
    uint64_t* const words = pane(number - i);
    if (turn != nullptr) Save(number - i, words, *turn);
    if (PaneSketch* sketch = shape_.sketch > 0 ? SketchOf(shape_, words) : nullptr) {
      sketch_bytes() -= sketch->heap_bytes();
      if (turn == nullptr) delete sketch;
    }
    std::fill_n(words, shape_.words, uint64_t{0});
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

uint64_t RingWindow::CurrentCount() const {
  if (newest_ == kNoPane) return 0;
  if (has_fold() && !fold().valid()) return Current().totals.count;
  return PaneCount(pane(newest_)) + (has_fold() ? fold().count() : 0);
}

WideInt RingWindow::CurrentIntSum() const {
  if (newest_ == kNoPane) return 0;
  if (has_fold() && !fold().valid()) return Current().totals.int_sum;
  const auto of_newest = static_cast<int64_t>(pane(newest_)[shape_.sum]);
  return of_newest + (has_fold() ? fold().int_sum() : 0);
}

PaneSketch RingWindow::CurrentSketch() const {
  PaneSketch all(shape_);
  for (int64_t i = 0; i < shape_.panes; ++i) {
    if (const PaneSketch* sketch = SketchOf(shape_, pane(i))) all.Merge(*sketch);
  }
  return all;
}

// --- taking back

// The newest pane's number, the pane's, its words; with sketches, what to do about that.
void RingWindow::Save(int64_t number, const uint64_t* pane, ContainerTurn& turn,
                      const SketchUndo& sketch) const {
  std::array<uint64_t, 2 + WindowShape::kWordsMax> saved;
  saved[0] = static_cast<uint64_t>(newest_);
  saved[1] = static_cast<uint64_t>(number);
  std::copy_n(pane, shape_.words, saved.begin() + 2);
  turn.undo.insert(turn.undo.end(), saved.begin(), saved.begin() + 2 + shape_.words);
  if (shape_.sketch > 0) sketch.Push(turn.undo);
}

void RingWindow::Commit(ContainerTurn& turn) {
  for (size_t at = 0; shape_.sketch > 0 && at < turn.undo.size(); at += undo_words()) {
    uint64_t* saved = turn.undo.data() + at + 2;
    if (!SketchUndo::Read(saved + shape_.words).in_place) delete SketchOf(shape_, saved);
  }
  turn.Clear();
}

void RingWindow::TakeBack(ContainerTurn& turn, size_t undo_left) {
  if (has_fold()) fold().Drop();
  const size_t size = undo_words();
  while (turn.undo.size() > undo_left) {
    uint64_t* saved = turn.undo.data() + turn.undo.size() - size;
    newest_ = static_cast<int64_t>(saved[0]);
    uint64_t* words = pane(static_cast<int64_t>(saved[1]));
    if (shape_.sketch > 0) {
      sketch_bytes() += static_cast<uint64_t>(TakeSketchBack(shape_, words, saved + 2));
    }
    std::copy_n(saved + 2, shape_.words, words);
    turn.undo.resize(turn.undo.size() - size);
  }
}

// --- the log

bool RingWindow::ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation) {
  operation.step = in.Zigzag();
  const uint64_t into_pane = in.Varint();
  operation.into_pane_ms = static_cast<int64_t>(into_pane);
  operation.raw = ReadNumber(spec.is_wide(), in);
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
    AddTo(number, pane(number), operation.raw, begin_ms + operation.into_pane_ms, nullptr);
  }
  return true;
}

// Varint 0: no value yet. Else 1, zigzag newest pane, then each pane, the newest first.
void RingWindow::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(newest_ == kNoPane ? 0 : 1);
  if (newest_ == kNoPane) return;
  bytes.Zigzag(newest_);
  for (int64_t i = 0; i < shape_.panes; ++i) {
    EncodePane(shape_, pane(newest_ - i), bytes);
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
    if (!DecodePane(shape_, in, words)) return false;
    if (shape_.sketch > 0 && words[0] > 0) sketch_bytes() += SketchOf(shape_, words)->heap_bytes();
  }
  return in.ok() && in.empty();
}

}  // namespace bettong::grid
