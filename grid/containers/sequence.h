// Ring and List: elements by position. They lie in one circular buffer, so that both ends are
// cheap; in the middle the shorter side moves. A Ring that is full drops its first element for a
// new one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "grid/containers/collection.h"

namespace bettong::grid {

class Sequence final : public Collection {
 public:
  explicit Sequence(const CollectionSpec& spec)
      : Collection(spec), type_(spec.value), slot_bytes_(SlotBytes(spec.value)) {}
  ~Sequence() override { Free(store_); }

  size_t size() const override { return store_.size; }
  ScalarType type() const { return type_; }
  Scalar At(size_t index) const { return LoadSlot(slot(index), type_); }  // index < size()
  // Numbers from `first` on that lie in one piece, 8 bytes each; at most `count`.
  std::string_view Run(size_t first, size_t count) const;

  // The value's bytes are not those of an element. Append drops the first of a full Ring; insert
  // before `index`, up to size().
  Edit Append(const Scalar& value, ContainerTurn& turn);
  Edit Insert(size_t index, const Scalar& value, ContainerTurn& turn);
  Edit Set(size_t index, const Scalar& value, ContainerTurn& turn);
  Edit Erase(size_t index, ContainerTurn& turn);
  Edit Clear(ContainerTurn& turn);

  // What a turn has recorded, one after the other.
  enum class Op : uint8_t { kAppend = 1, kRotate, kInsert, kSet, kErase, kClear };
  struct Operation {
    Op op = Op::kClear;
    uint64_t index = 0;  // of insert, set, erase
    Scalar value;        // of append, rotate (append, and the first goes), insert, set
  };
  // False: malformed.
  static bool ReadOperation(const CollectionSpec& spec, ByteReader& in, Operation& operation);

  void Commit(ContainerTurn& turn) override;
  bool Replay(std::string_view operations) override;
  void EncodeImage(std::string& out) const override;
  bool DecodeImage(std::string_view image) override;
  void AppendJson(std::string& out) const override;
  uint64_t AppendPage(uint64_t cursor, size_t count, std::string& tagged) const override;
  size_t heap_bytes() const override;

 private:
  void TakeBack(ContainerTurn& turn, size_t undo_left) override;

  struct Store {
    char* slots = nullptr;
    uint32_t head = 0, size = 0, capacity = 0;
    size_t content_bytes = 0;
    size_t element_heap_bytes = 0;
  };

  char* slot(size_t index) const {
    size_t at = store_.head + index;
    if (at >= store_.capacity) at -= store_.capacity;
    return store_.slots + at * slot_bytes_;
  }
  Edit Check(const Scalar& value, size_t freed_bytes, const ContainerTurn& turn) const;
  void Record(Op op, size_t index, const Scalar* value, ContainerTurn& turn) const;
  // The slot's content goes into the undo, which owns it then.
  void Save(const char* at, ContainerTurn& turn) const;
  void Count(const char* at, int sign);

  void Reallocate(size_t capacity);
  // Opens a gap, or closes the one at `index`; the slot itself is nobody's.
  char* OpenGap(size_t index);
  void CloseGap(size_t index);
  void Place(size_t index, const Scalar& value) { Adopt(OpenGap(index), value); }
  void Adopt(char* at, const Scalar& value);
  void Shrink();
  void Free(Store& store) const;

  const ScalarType type_;
  const size_t slot_bytes_;
  Store store_;
};

}  // namespace bettong::grid
