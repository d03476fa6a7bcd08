// Windows that close: each stays until the watermark has passed its end, and then counts once, as a
// whole. Panes with values (of a session window: the sessions) by time; there are few.
//
// Whoever has a turn with a watermark closes what is due by then before it adds anything, so that a
// value never gets into a window that the watermark has passed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "grid/containers/window.h"

namespace bettong::grid {

class ClosingWindow final : public Window {
 public:
  explicit ClosingWindow(const WindowShape& shape) : Window(shape) {}
  ~ClosingWindow() override;

  Added Add(uint64_t raw, TimeMs at_ms, TimeMs watermark_ms, ContainerTurn& turn) override;
  WindowView Current() const override;
  PaneSketch CurrentSketch() const override;
  void Commit(ContainerTurn& turn) override;

  TimeMs NextDue() const override;
  WindowView Due() const override;
  void CloseDue(ContainerTurn& turn) override;

  // What a turn has recorded.
  struct Operation {
    enum class Kind : uint8_t { kAdd, kPass, kClose };
    Kind kind = Kind::kAdd;
    int64_t step_ms = 0;  // kAdd: from the beginning of the newest pane, or from 0
    uint64_t raw = 0;     // kAdd
    int64_t pane = 0;     // kPass: windows that end where it begins are closed
  };
  // False: malformed.
  static bool ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation);

  bool Replay(std::string_view operations) override;
  void EncodeImage(std::string& out) const override;
  bool DecodeImage(std::string_view image) override;
  size_t heap_bytes() const override;

 private:
  // Entries are in one array of words: where it begins, where it ends, then the pane's words.
  static constexpr size_t kStart = 0, kEnd = 1, kPane = 2;

  void TakeBack(ContainerTurn& turn, size_t undo_left) override;

  bool session() const { return spec().kind == WindowKind::kSession; }
  size_t entry_words() const { return kPane + shape_.words; }
  size_t size() const { return words_.size() / entry_words(); }
  uint64_t* entry(size_t i) { return words_.data() + i * entry_words(); }
  const uint64_t* entry(size_t i) const { return words_.data() + i * entry_words(); }
  TimeMs start(size_t i) const { return static_cast<TimeMs>(entry(i)[kStart]); }
  TimeMs end(size_t i) const { return static_cast<TimeMs>(entry(i)[kEnd]); }
  TimeMs base_ms() const { return words_.empty() ? 0 : start(size() - 1); }
  // Sessions that a value at that time belongs to.
  struct Range {
    size_t first, last;  // last: not included
    bool empty() const { return first == last; }
  };
  Range SessionsAt(TimeMs at_ms) const;
  // The entries of the window over panes that ends there; of a session window, of the session.
  Range EntriesEndingAt(TimeMs end_ms) const;
  WindowView ViewOf(const Range& entries, TimeMs start_ms, TimeMs end_ms) const;
  PaneSketch SketchOfEntries(const Range& entries) const;

  Added AddToPaneAt(uint64_t raw, TimeMs at_ms, ContainerTurn* turn);
  Added AddToSession(uint64_t raw, TimeMs at_ms, ContainerTurn* turn);
  void Pass(TimeMs passed_ms, ContainerTurn* turn);
  void Close(ContainerTurn* turn);
  void Insert(size_t i, TimeMs start_ms, TimeMs end_ms);
  void Erase(size_t first, size_t count);
  // Into the entry's words, and its sketch.
  void AddTo(size_t i, uint64_t raw, TimeMs at_ms, ContainerTurn* turn);
  // What is about to become of entries: `before` of them will be `after`. Of their sketches: as it
  // says; those of erased entries go with what is saved, or now, without a turn.
  void Save(size_t first, size_t before, size_t after, ContainerTurn* turn,
            const SketchUndo& sketch = {});
  void TakeSketchesBack(size_t first, size_t before, size_t after, const uint64_t* saved);
  size_t tail_words() const { return 4 + (shape_.sketch > 0 ? SketchUndo::kWords : 0); }

  std::vector<uint64_t> words_;
  size_t sketch_bytes_ = 0;  // of all entries
  // Windows that end by then are closed and take no value; not of sessions.
  TimeMs passed_ms_ = kNoTime;
};

}  // namespace bettong::grid
