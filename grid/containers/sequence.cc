#include "grid/containers/sequence.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace {

constexpr size_t kFirstCapacity = 4;
// Below this no memory is given back.
constexpr size_t kShrinkAbove = 32;

// The last word of each undo: where, and what has been done.
enum class Done : uint8_t { kAppended, kRotated, kInserted, kSet, kErased, kCleared };
constexpr uint64_t UndoWord(Done done, size_t index) {
  return static_cast<uint64_t>(index) << 8 | static_cast<uint8_t>(done);
}
constexpr Done DoneOf(uint64_t word) { return static_cast<Done>(word & 0xff); }

bool HasIndex(Sequence::Op op) {
  return op == Sequence::Op::kInsert || op == Sequence::Op::kSet || op == Sequence::Op::kErase;
}
bool HasValue(Sequence::Op op) { return op != Sequence::Op::kErase && op != Sequence::Op::kClear; }

}  // namespace

// --- memory

void Sequence::Free(Store& store) const {
  if (IsBytes(type_)) {
    for (uint32_t i = 0; i < store.size; ++i) {
      DestroySlot(store.slots + (store.head + i) % store.capacity * slot_bytes_, type_);
    }
  }
  std::free(store.slots);
  store = Store();
}

void Sequence::Reallocate(size_t capacity) {
  auto* slots = static_cast<char*>(std::malloc(capacity * slot_bytes_));
  BETTONG_CHECK(slots != nullptr);
  const size_t first = std::min<size_t>(store_.size, store_.capacity - store_.head);
  if (store_.size > 0) {
    std::memcpy(slots, store_.slots + store_.head * slot_bytes_, first * slot_bytes_);
    std::memcpy(slots + first * slot_bytes_, store_.slots, (store_.size - first) * slot_bytes_);
  }
  std::free(store_.slots);
  store_.slots = slots;
  store_.head = 0;
  store_.capacity = static_cast<uint32_t>(capacity);
}

char* Sequence::OpenGap(size_t index) {
  if (store_.size == store_.capacity) {
    const size_t grown = store_.capacity + store_.capacity / 2 + kFirstCapacity;
    const bool ring = spec_.kind == CollectionKind::kRing && store_.size < spec_.elements_max;
    Reallocate(ring ? std::min<size_t>(grown, spec_.elements_max) : grown);
  }
  ++store_.size;
  if (index < store_.size / 2) {
    store_.head = store_.head == 0 ? store_.capacity - 1 : store_.head - 1;
    for (size_t i = 0; i < index; ++i) std::memcpy(slot(i), slot(i + 1), slot_bytes_);
  } else {
    for (size_t i = store_.size - 1; i > index; --i) std::memcpy(slot(i), slot(i - 1), slot_bytes_);
  }
  return slot(index);
}

void Sequence::CloseGap(size_t index) {
  if (index < store_.size / 2) {
    for (size_t i = index; i > 0; --i) std::memcpy(slot(i), slot(i - 1), slot_bytes_);
    store_.head = store_.head + 1 == store_.capacity ? 0 : store_.head + 1;
  } else {
    for (size_t i = index; i + 1 < store_.size; ++i) std::memcpy(slot(i), slot(i + 1), slot_bytes_);
  }
  --store_.size;
}

void Sequence::Adopt(char* at, const Scalar& value) {
  InitSlot(at, type_, value);
  Count(at, +1);
}

void Sequence::Count(const char* at, int sign) {
  const size_t content = ContentBytes(type_, LoadSlot(at, type_));
  const size_t heap = SlotHeapBytes(at, type_);
  store_.content_bytes += sign > 0 ? content : -content;
  store_.element_heap_bytes += sign > 0 ? heap : -heap;
}

void Sequence::Shrink() {
  if (store_.capacity > kShrinkAbove && store_.size < store_.capacity / 4) {
    Reallocate(store_.size + store_.size / 2 + kFirstCapacity);
  }
}

size_t Sequence::heap_bytes() const {
  size_t bytes = sizeof(Sequence) + kAllocationBytes + store_.element_heap_bytes;
  if (store_.slots != nullptr) bytes += store_.capacity * slot_bytes_ + kAllocationBytes;
  return bytes;
}

std::string_view Sequence::Run(size_t first, size_t count) const {
  if (first >= store_.size) return {};
  const char* at = slot(first);
  const auto to_end =
      static_cast<size_t>(store_.slots + store_.capacity * slot_bytes_ - at) / slot_bytes_;
  return {at, std::min({to_end, count, store_.size - first}) * slot_bytes_};
}

// --- changes

Edit Sequence::Check(const Scalar& value, size_t freed_bytes, const ContainerTurn& turn) const {
  if (value.bytes.size() > kElementBytesMax) return Edit::kElementTooLong;
  if (store_.content_bytes - freed_bytes + ContentBytes(type_, value) > kCollectionBytesMax) {
    return Edit::kTooLarge;
  }
  if (turn.operations.size() + value.bytes.size() > kTurnOperationBytesMax) {
    return Edit::kTurnTooLarge;
  }
  return Edit::kDone;
}

void Sequence::Record(Op op, size_t index, const Scalar* value, ContainerTurn& turn) const {
  ByteWriter out(turn.operations);
  out.Fixed(op);
  if (HasIndex(op)) out.Varint(index);
  if (value != nullptr) WriteScalar(type_, *value, out);
}

void Sequence::Save(const char* at, ContainerTurn& turn) const {
  for (size_t i = 0; i < slot_bytes_; i += 8) {
    turn.undo.push_back(LoadUnaligned<uint64_t>(at + i));
  }
}

Edit Sequence::Append(const Scalar& value, ContainerTurn& turn) {
  const bool ring = spec_.kind == CollectionKind::kRing;
  if (!ring && store_.size >= spec_.elements_max) return Edit::kFull;
  const bool full = store_.size >= spec_.elements_max;
  const size_t freed = full ? ContentBytes(type_, At(0)) : 0;
  if (const Edit edit = Check(value, freed, turn); edit != Edit::kDone) return edit;
  // Of a class that had room for more when they were written.
  while (store_.size > spec_.elements_max) Erase(0, turn);
  Record(full ? Op::kRotate : Op::kAppend, 0, &value, turn);
  if (full) {
    Count(slot(0), -1);
    Save(slot(0), turn);
    CloseGap(0);
  }
  turn.undo.push_back(UndoWord(full ? Done::kRotated : Done::kAppended, 0));
  Place(store_.size, value);
  return Edit::kDone;
}

Edit Sequence::Insert(size_t index, const Scalar& value, ContainerTurn& turn) {
  if (store_.size >= spec_.elements_max) return Edit::kFull;
  if (const Edit edit = Check(value, 0, turn); edit != Edit::kDone) return edit;
  Record(Op::kInsert, index, &value, turn);
  turn.undo.push_back(UndoWord(Done::kInserted, index));
  Place(index, value);
  return Edit::kDone;
}

Edit Sequence::Set(size_t index, const Scalar& value, ContainerTurn& turn) {
  const size_t freed = ContentBytes(type_, At(index));
  if (const Edit edit = Check(value, freed, turn); edit != Edit::kDone) return edit;
  Record(Op::kSet, index, &value, turn);
  char* at = slot(index);
  Count(at, -1);
  Save(at, turn);
  turn.undo.push_back(UndoWord(Done::kSet, index));
  Adopt(at, value);
  return Edit::kDone;
}

Edit Sequence::Erase(size_t index, ContainerTurn& turn) {
  if (turn.operations.size() > kTurnOperationBytesMax) return Edit::kTurnTooLarge;
  Record(Op::kErase, index, nullptr, turn);
  Count(slot(index), -1);
  Save(slot(index), turn);
  turn.undo.push_back(UndoWord(Done::kErased, index));
  CloseGap(index);
  return Edit::kDone;
}

Edit Sequence::Clear(ContainerTurn& turn) {
  if (store_.size == 0) return Edit::kDone;
  if (turn.operations.size() > kTurnOperationBytesMax) return Edit::kTurnTooLarge;
  Record(Op::kClear, 0, nullptr, turn);
  turn.undo.push_back(reinterpret_cast<uint64_t>(new Store(std::exchange(store_, Store()))));
  turn.undo.push_back(UndoWord(Done::kCleared, 0));
  return Edit::kDone;
}

// --- the end of a turn

void Sequence::Commit(ContainerTurn& turn) {
  size_t at = turn.undo.size();
  const size_t slot_words = slot_bytes_ / 8;
  while (at > 0) {
    switch (DoneOf(turn.undo[--at])) {
      case Done::kAppended:
      case Done::kInserted:
        break;
      case Done::kRotated:
      case Done::kSet:
      case Done::kErased:
        at -= slot_words;
        DestroySlot(reinterpret_cast<char*>(turn.undo.data() + at), type_);
        break;
      case Done::kCleared: {
        auto* old = reinterpret_cast<Store*>(turn.undo[--at]);
        Free(*old);
        delete old;
        break;
      }
    }
  }
  turn.Clear();
  Shrink();
}

void Sequence::TakeBack(ContainerTurn& turn, size_t undo_left) {
  size_t at = turn.undo.size();
  const size_t slot_words = slot_bytes_ / 8;
  const auto drop = [this](size_t index) {
    Count(slot(index), -1);
    DestroySlot(slot(index), type_);
  };
  const auto restore = [&](char* to) {
    at -= slot_words;
    std::memcpy(to, turn.undo.data() + at, slot_bytes_);
    Count(to, +1);
  };
  while (at > undo_left) {
    const uint64_t word = turn.undo[--at];
    const auto index = static_cast<size_t>(word >> 8);
    switch (DoneOf(word)) {
      case Done::kAppended:
      case Done::kRotated:
        drop(store_.size - 1);
        CloseGap(store_.size - 1);
        if (DoneOf(word) == Done::kRotated) restore(OpenGap(0));
        break;
      case Done::kInserted:
        drop(index);
        CloseGap(index);
        break;
      case Done::kSet:
        drop(index);
        restore(slot(index));
        break;
      case Done::kErased:
        restore(OpenGap(index));
        break;
      case Done::kCleared: {
        auto* old = reinterpret_cast<Store*>(turn.undo[--at]);
        Free(store_);
        store_ = *old;
        delete old;
        break;
      }
    }
  }
  turn.undo.resize(undo_left);
}

// --- the log

bool Sequence::ReadOperation(const CollectionSpec& spec, ByteReader& in, Operation& operation) {
  operation.op = in.Fixed<Op>();
  if (operation.op < Op::kAppend || operation.op > Op::kClear) return false;
  operation.index = HasIndex(operation.op) ? in.Varint() : 0;
  if (HasValue(operation.op)) operation.value = spec.ReadValue(in);
  return in.ok();
}

bool Sequence::Replay(std::string_view operations) {
  ByteReader in(operations);
  Operation next;
  const auto remove = [this](size_t index) {
    Count(slot(index), -1);
    DestroySlot(slot(index), type_);
    CloseGap(index);
  };
  while (!in.empty()) {
    if (!ReadOperation(spec_, in, next)) return false;
    const bool appends = next.op == Op::kAppend || next.op == Op::kInsert;
    if (appends && store_.size >= kCollectionElementsMax) return false;
    switch (next.op) {
      case Op::kAppend:
        Place(store_.size, next.value);
        break;
      case Op::kRotate:
        if (store_.size == 0) return false;
        remove(0);
        Place(store_.size, next.value);
        break;
      case Op::kInsert:
        if (next.index > store_.size) return false;
        Place(next.index, next.value);
        break;
      case Op::kSet:
        if (next.index >= store_.size) return false;
        Count(slot(next.index), -1);
        DestroySlot(slot(next.index), type_);
        Adopt(slot(next.index), next.value);
        break;
      case Op::kErase:
        if (next.index >= store_.size) return false;
        remove(next.index);
        break;
      case Op::kClear:
        Free(store_);
        break;
    }
  }
  Shrink();
  return true;
}

// Varint number of elements, the elements.
void Sequence::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(store_.size);
  for (size_t i = 0; i < store_.size; ++i) WriteScalar(type_, At(i), bytes);
}

bool Sequence::DecodeImage(std::string_view image) {
  ByteReader in(image);
  const uint64_t count = in.Varint();
  // Each has a byte at least.
  if (!in.ok() || count > kCollectionElementsMax || count > in.rest().size()) return false;
  Free(store_);
  if (count > 0) Reallocate(count);
  for (uint64_t i = 0; i < count; ++i) {
    const Scalar value = spec_.ReadValue(in);
    if (!in.ok()) return false;
    Place(i, value);
  }
  return in.empty();
}

// --- text

void Sequence::AppendJson(std::string& out) const {
  out.push_back('[');
  for (size_t i = 0; i < store_.size; ++i) {
    if (i > 0) out.push_back(',');
    spec_.AppendValueJson(At(i), out);
  }
  out.push_back(']');
}

uint64_t Sequence::AppendPage(uint64_t cursor, size_t count, std::string& tagged) const {
  const size_t begin = std::min<uint64_t>(cursor, store_.size);
  const size_t end = begin + std::min(count, store_.size - begin);
  TaggedWriter(tagged).List(end - begin);
  for (size_t i = begin; i < end; ++i) spec_.AppendValueTagged(At(i), tagged);
  return end == store_.size ? 0 : end;
}

}  // namespace bettong::grid
