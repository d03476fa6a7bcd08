#include "grid/containers/closing_window.h"

#include <algorithm>
#include <utility>

#include "grid/row_number.h"

namespace bettong::grid {

ClosingWindow::~ClosingWindow() {
  for (size_t i = 0; shape_.sketch > 0 && i < size(); ++i) {
    delete SketchOf(shape_, entry(i) + kPane);
  }
}

// --- values

Window::Added ClosingWindow::Add(uint64_t raw, TimeMs at_ms, TimeMs watermark_ms,
                                 ContainerTurn& turn) {
  if (at_ms < -kWindowTimeMax || at_ms > kWindowTimeMax) return Added::kNoTime;
  const TimeMs base = base_ms();
  const bool passes = watermark_ms != kNoTime && watermark_ms <= kWindowTimeMax;
  if (session()) {
    // Those that are there are open; a new one may be closed already.
    const bool closed = passes && at_ms + spec().size_ms <= watermark_ms;
    if (closed && SessionsAt(at_ms).empty()) return Added::kLate;
  } else {
    const int64_t pane_ms = spec().pane_ms;
    const TimeMs last_end_ms = PaneNumber(at_ms, pane_ms) * pane_ms + spec().size_ms;
    const int64_t passed_pane = passes ? PaneNumber(watermark_ms, pane_ms) : 0;
    const bool moves = passes && passed_pane * pane_ms > passed_ms_;
    const TimeMs passed_ms = moves ? passed_pane * pane_ms : passed_ms_;
    if (last_end_ms <= passed_ms) return Added::kLate;
    if (moves) {
      if (turn.WritesOperation()) {
        ByteWriter operation(turn.operations);
        operation.Fixed(Operation::Kind::kPass);
        operation.Zigzag(passed_pane);
      }
      Pass(passed_ms, &turn);
    }
  }
  const Added added = session() ? AddToSession(raw, at_ms, &turn) : AddToPaneAt(raw, at_ms, &turn);
  if (added != Added::kYes || !turn.WritesOperation()) return added;
  ByteWriter operation(turn.operations);
  operation.Fixed(Operation::Kind::kAdd);
  operation.Zigzag(at_ms - base);
  WriteNumber(spec().is_wide(), raw, operation);
  return Added::kYes;
}

Window::Added ClosingWindow::AddToPaneAt(uint64_t raw, TimeMs at_ms, ContainerTurn* turn) {
  const TimeMs start_ms = PaneNumber(at_ms, spec().pane_ms) * spec().pane_ms;
  size_t i = size();
  while (i > 0 && start(i - 1) >= start_ms) --i;
  const bool there = i < size() && start(i) == start_ms;
  if (there && !PaneTakes(shape_, entry(i) + kPane, raw)) return Added::kOverflow;
  if (!there && size() == kOpenPanesMax) return Added::kFull;
  if (!there) {
    Save(i, 0, 1, turn);
    Insert(i, start_ms, start_ms + spec().pane_ms);
    turn = nullptr;  // all of it is new
  }
  AddTo(i, raw, at_ms, turn);
  return Added::kYes;
}

void ClosingWindow::AddTo(size_t i, uint64_t raw, TimeMs at_ms, ContainerTurn* turn) {
  uint64_t* pane = entry(i) + kPane;
  if (shape_.sketch > 0) {
    PaneSketch* const before = SketchOf(shape_, pane);
    SketchUndo undo;
    sketch_bytes_ +=
        static_cast<size_t>(AddToSketch(shape_, pane, raw, turn == nullptr ? nullptr : &undo));
    PaneSketch* const now = std::exchange(SketchOf(shape_, pane), before);
    if (turn != nullptr) Save(i, 1, 1, turn, undo);
    SketchOf(shape_, pane) = now;
  } else {
    Save(i, 1, 1, turn);
  }
  AddToPane(shape_, pane, raw, at_ms);
}

ClosingWindow::Range ClosingWindow::SessionsAt(TimeMs at_ms) const {
  Range range{size(), size()};
  while (range.last > 0 && start(range.last - 1) >= at_ms + spec().size_ms) --range.last;
  range.first = range.last;
  while (range.first > 0 && end(range.first - 1) > at_ms) --range.first;
  return range;
}

// All sessions that the value belongs to become one.
Window::Added ClosingWindow::AddToSession(uint64_t raw, TimeMs at_ms, ContainerTurn* turn) {
  const TimeMs end_ms = at_ms + spec().size_ms;
  const Range range = SessionsAt(at_ms);
  const auto [first, last] = range;
  if (range.empty() && size() == kOpenPanesMax) return Added::kFull;
  if (last - first == 1) {
    if (!PaneTakes(shape_, entry(first) + kPane, raw)) return Added::kOverflow;
    AddTo(first, raw, at_ms, turn);
    entry(first)[kStart] = static_cast<uint64_t>(std::min(start(first), at_ms));
    entry(first)[kEnd] = static_cast<uint64_t>(std::max(end(first), end_ms));
    return Added::kYes;
  }
  std::vector<uint64_t> joined(entry_words(), 0);
  joined[kStart] = static_cast<uint64_t>(at_ms), joined[kEnd] = static_cast<uint64_t>(end_ms);
  for (size_t i = first; i < last; ++i) {
    joined[kStart] = static_cast<uint64_t>(std::min(static_cast<TimeMs>(joined[kStart]), start(i)));
    joined[kEnd] = static_cast<uint64_t>(std::max(static_cast<TimeMs>(joined[kEnd]), end(i)));
    if (!JoinPanes(shape_, joined.data() + kPane, entry(i) + kPane)) return Added::kOverflow;
  }
  if (!PaneTakes(shape_, joined.data() + kPane, raw)) return Added::kOverflow;
  if (shape_.sketch > 0 && !range.empty()) {
    PaneSketch*& sketch = SketchOf(shape_, joined.data() + kPane);
    sketch = new PaneSketch(SketchOfEntries(range));
    sketch_bytes_ += sketch->heap_bytes();
  }
  Save(first, last - first, 1, turn);
  Erase(first, last - first);
  words_.insert(words_.begin() + static_cast<ptrdiff_t>(first * entry_words()), joined.begin(),
                joined.end());
  AddTo(first, raw, at_ms, nullptr);
  return Added::kYes;
}

void ClosingWindow::Insert(size_t i, TimeMs start_ms, TimeMs end_ms) {
  words_.insert(words_.begin() + static_cast<ptrdiff_t>(i * entry_words()), entry_words(), 0);
  entry(i)[kStart] = static_cast<uint64_t>(start_ms);
  entry(i)[kEnd] = static_cast<uint64_t>(end_ms);
}

void ClosingWindow::Erase(size_t first, size_t count) {
  const auto at = words_.begin() + static_cast<ptrdiff_t>(first * entry_words());
  words_.erase(at, at + static_cast<ptrdiff_t>(count * entry_words()));
}

ClosingWindow::Range ClosingWindow::EntriesEndingAt(TimeMs end_ms) const {
  Range range{0, 0};
  if (session()) {
    while (range.first < size() && end(range.first) != end_ms) ++range.first;
    range.last = std::min(range.first + 1, size());
    return range;
  }
  range.last = size();
  while (range.last > 0 && start(range.last - 1) >= end_ms) --range.last;
  range.first = range.last;
  while (range.first > 0 && start(range.first - 1) >= end_ms - spec().size_ms) --range.first;
  return range;
}

WindowView ClosingWindow::ViewOf(const Range& entries, TimeMs start_ms, TimeMs end_ms) const {
  WindowView view{.empty = false, .start_ms = start_ms, .end_ms = end_ms};
  for (size_t i = entries.first; i < entries.last; ++i) {
    MergePane(shape_, entry(i) + kPane, view.totals);
  }
  return view;
}

PaneSketch ClosingWindow::SketchOfEntries(const Range& entries) const {
  PaneSketch all(shape_);
  for (size_t i = entries.first; i < entries.last; ++i) {
    all.Merge(*SketchOf(shape_, entry(i) + kPane));
  }
  return all;
}

WindowView ClosingWindow::Current() const {
  if (words_.empty()) return {};
  const size_t last = size() - 1;
  const TimeMs end_ms = end(last);
  return ViewOf(EntriesEndingAt(end_ms), session() ? start(last) : end_ms - spec().size_ms, end_ms);
}

PaneSketch ClosingWindow::CurrentSketch() const {
  return words_.empty() ? PaneSketch(shape_) : SketchOfEntries(EntriesEndingAt(end(size() - 1)));
}

// --- closing

TimeMs ClosingWindow::NextDue() const {
  if (words_.empty()) return kNeverExpires;
  if (session() || passed_ms_ == kNoTime) return end(0);
  return std::max(end(0), passed_ms_ + spec().pane_ms);
}

WindowView ClosingWindow::Due() const {
  if (words_.empty()) return {};
  const TimeMs end_ms = NextDue();
  const Range entries = EntriesEndingAt(end_ms);
  WindowView view = ViewOf(entries, session() ? start(0) : end_ms - spec().size_ms, end_ms);
  if (shape_.sketch > 0) view.sketch = std::make_shared<PaneSketch>(SketchOfEntries(entries));
  return view;
}

void ClosingWindow::CloseDue(ContainerTurn& turn) {
  if (words_.empty()) return;
  if (turn.WritesOperation()) ByteWriter(turn.operations).Fixed(Operation::Kind::kClose);
  Close(&turn);
}

void ClosingWindow::Close(ContainerTurn* turn) {
  if (!session()) return Pass(NextDue(), turn);
  Save(0, 1, 0, turn);
  Erase(0, 1);
}

void ClosingWindow::Pass(TimeMs passed_ms, ContainerTurn* turn) {
  size_t over = 0;
  while (over < size() && start(over) + spec().size_ms <= passed_ms) ++over;
  Save(0, over, 0, turn);
  Erase(0, over);
  passed_ms_ = passed_ms;
}

// --- taking back

void ClosingWindow::Save(size_t first, size_t before, size_t after, ContainerTurn* turn,
                         const SketchUndo& sketch) {
  for (size_t i = first; shape_.sketch > 0 && !sketch.in_place && i < first + before; ++i) {
    // Of one that gets another, what that has grown by is counted already.
    if (before != 1 || after != 1)
      sketch_bytes_ -= SketchOf(shape_, entry(i) + kPane)->heap_bytes();
    if (turn == nullptr) delete SketchOf(shape_, entry(i) + kPane);
  }
  if (turn == nullptr) return;
  std::vector<uint64_t>& undo = turn->undo;
  const uint64_t* words = entry(first);
  undo.insert(undo.end(), words, words + before * entry_words());
  if (shape_.sketch > 0) sketch.Push(undo);
  undo.insert(undo.end(), {first, before, after, static_cast<uint64_t>(passed_ms_)});
}

void ClosingWindow::Commit(ContainerTurn& turn) {
  std::vector<uint64_t>& undo = turn.undo;
  for (size_t left = undo.size(); shape_.sketch > 0 && left > 0;) {
    uint64_t* tail = undo.data() + left - tail_words();
    const size_t before = tail[SketchUndo::kWords + 1];
    uint64_t* saved = tail - before * entry_words();
    for (size_t i = 0; !SketchUndo::Read(tail).in_place && i < before; ++i) {
      delete SketchOf(shape_, saved + i * entry_words() + kPane);
    }
    left -= tail_words() + before * entry_words();
  }
  turn.Clear();
}

void ClosingWindow::TakeSketchesBack(size_t first, size_t before, size_t after,
                                     const uint64_t* saved) {
  const SketchUndo undo = SketchUndo::Read(saved + before * entry_words());
  for (size_t i = first; i < first + after; ++i) {
    PaneSketch* const sketch = SketchOf(shape_, entry(i) + kPane);
    sketch_bytes_ -= sketch->heap_bytes();
    undo.in_place ? sketch->TakeBack(undo.change) : delete sketch;
  }
  for (size_t i = 0; i < before; ++i) {
    sketch_bytes_ += SketchOf(shape_, saved + i * entry_words() + kPane)->heap_bytes();
  }
}

void ClosingWindow::TakeBack(ContainerTurn& turn, size_t undo_left) {
  std::vector<uint64_t>& undo = turn.undo;
  while (undo.size() > undo_left) {
    const uint64_t* tail = undo.data() + undo.size() - 4;
    const size_t first = tail[0], before = tail[1] * entry_words(), after = tail[2];
    passed_ms_ = static_cast<TimeMs>(tail[3]);
    const uint64_t* saved = undo.data() + undo.size() - tail_words() - before;
    if (shape_.sketch > 0) TakeSketchesBack(first, tail[1], after, saved);
    Erase(first, after);
    words_.insert(words_.begin() + static_cast<ptrdiff_t>(first * entry_words()), saved,
                  saved + before);
    undo.resize(undo.size() - tail_words() - before);
  }
}

// --- the log

bool ClosingWindow::ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation) {
  operation.kind = in.Fixed<Operation::Kind>();
  switch (operation.kind) {
    case Operation::Kind::kAdd:
      operation.step_ms = in.Zigzag();
      operation.raw = ReadNumber(spec.is_wide(), in);
      return in.ok();
    case Operation::Kind::kPass:
      operation.pane = in.Zigzag();
      return in.ok() && spec.kind != WindowKind::kSession;
    case Operation::Kind::kClose:
      return in.ok();
  }
  return false;
}

bool ClosingWindow::Replay(std::string_view operations) {
  ByteReader in(operations);
  Operation operation;
  while (!in.empty()) {
    if (!ReadOperation(spec(), in, operation)) return false;
    TimeMs time_ms = 0;
    switch (operation.kind) {
      case Operation::Kind::kAdd: {
        if (__builtin_add_overflow(base_ms(), operation.step_ms, &time_ms) ||
            time_ms < -kWindowTimeMax || time_ms > kWindowTimeMax) {
          return false;
        }
        const Added added = session() ? AddToSession(operation.raw, time_ms, nullptr)
                                      : AddToPaneAt(operation.raw, time_ms, nullptr);
        if (added != Added::kYes) return false;
        break;
      }
      case Operation::Kind::kPass:
        if (__builtin_mul_overflow(operation.pane, spec().pane_ms, &time_ms) ||
            time_ms <= passed_ms_ || time_ms > kWindowTimeMax) {
          return false;
        }
        Pass(time_ms, nullptr);
        break;
      case Operation::Kind::kClose:
        if (words_.empty()) return false;
        Close(nullptr);
        break;
    }
  }
  return true;
}

// u8 1 and zigzag passed, or u8 0; varint entries, then of each: zigzag beginning, of a session
// varint length, varint count, the pane's other words.
void ClosingWindow::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Fixed(static_cast<uint8_t>(passed_ms_ != kNoTime));
  if (passed_ms_ != kNoTime) bytes.Zigzag(passed_ms_);
  bytes.Varint(size());
  for (size_t i = 0; i < size(); ++i) {
    bytes.Zigzag(start(i));
    if (session()) bytes.Varint(static_cast<uint64_t>(end(i) - start(i)));
    EncodePane(shape_, entry(i) + kPane, bytes);
  }
}

bool ClosingWindow::DecodeImage(std::string_view image) {
  ByteReader in(image);
  const auto passed = in.Fixed<uint8_t>();
  const TimeMs passed_ms = passed == 1 ? in.Zigzag() : kNoTime;
  const uint64_t count = in.Varint();
  const bool aligned = passed == 0 || (!session() && passed_ms % spec().pane_ms == 0);
  if (!in.ok() || passed > 1 || !aligned || passed_ms > kWindowTimeMax || count > kOpenPanesMax) {
    return false;
  }
  TimeMs before_ms = INT64_MIN;  // the end of the entry before
  for (uint64_t i = 0; i < count; ++i) {
    const TimeMs start_ms = in.Zigzag();
    const uint64_t length = session() ? in.Varint() : static_cast<uint64_t>(spec().pane_ms);
    if (!in.ok() || start_ms < -2 * kWindowTimeMax + 1 || start_ms > kWindowTimeMax ||
        length > 2 * static_cast<uint64_t>(kWindowTimeMax) || start_ms < before_ms ||
        (!session() && start_ms % spec().pane_ms != 0)) {
      return false;
    }
    before_ms = start_ms + static_cast<TimeMs>(length);
    if (!session() && passed_ms != kNoTime && start_ms + spec().size_ms <= passed_ms) return false;
    Insert(i, start_ms, before_ms);
    uint64_t* pane = entry(i) + kPane;
    if (!DecodePane(shape_, in, pane) || PaneCount(pane) == 0) return false;
    if (shape_.sketch > 0) sketch_bytes_ += SketchOf(shape_, pane)->heap_bytes();
  }
  passed_ms_ = passed_ms;
  return in.ok() && in.empty();
}

size_t ClosingWindow::heap_bytes() const {
  constexpr size_t kAllocationBytes = 16;
  return sizeof(ClosingWindow) + words_.capacity() * sizeof(uint64_t) + 2 * kAllocationBytes +
         sketch_bytes_;
}

}  // namespace bettong::grid
