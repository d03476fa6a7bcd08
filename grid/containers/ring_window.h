// A window of which only the current one matters: a ring by pane number, in one piece of memory.
// Adding a value costs the same however many panes there are.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "grid/containers/window.h"

namespace bettong::grid {

class RingWindow final : public Window {
 public:
  static std::unique_ptr<RingWindow> Make(const WindowShape& shape);
  static void operator delete(void* memory) { ::operator delete(memory); }

  Added Add(uint64_t raw, TimeMs at_ms, TimeMs watermark_ms, ContainerTurn& turn) override;
  WindowView Current() const override;

  // What a turn has recorded, one value added after the other.
  struct Operation {
    int64_t step = 0;  // of the pane from the newest; from 0 if there was none
    int64_t into_pane_ms = 0;
    uint64_t raw = 0;
  };
  // False: malformed.
  static bool ReadOperation(const WindowSpec& spec, ByteReader& in, Operation& operation);

  bool Replay(std::string_view operations) override;
  void EncodeImage(std::string& out) const override;
  bool DecodeImage(std::string_view image) override;
  size_t heap_bytes() const override;

 private:
  static constexpr int64_t kNoPane = INT64_MIN;

  explicit RingWindow(const WindowShape& shape) : Window(shape) {}
  static void* operator new(size_t size, const WindowShape& shape);
  void TakeBack(ContainerTurn& turn, size_t undo_left) override;

  uint64_t* words() { return reinterpret_cast<uint64_t*>(this + 1); }
  const uint64_t* words() const { return reinterpret_cast<const uint64_t*>(this + 1); }
  size_t place(int64_t number) const;
  uint64_t* pane(int64_t number) { return words() + place(number); }
  const uint64_t* pane(int64_t number) const { return words() + place(number); }
  void Save(int64_t number, ContainerTurn& turn) const;
  // Makes the pane the newest; those skipped are empty.
  void MoveTo(int64_t number, ContainerTurn* turn);

  // In one piece with the panes' words, which come behind it: few lines of memory are all cold.
  int64_t newest_ = kNoPane;
};

}  // namespace bettong::grid
