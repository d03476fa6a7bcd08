#include "grid/containers/dictionary.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace {

constexpr uint32_t kFirstCapacity = 4;
// So many holes are nothing to be closed for.
constexpr uint32_t kHolesMin = 32;

// The last word of each undo: where, and what has been done.
enum class Done : uint8_t { kAdded, kReplaced, kErased, kCleared };
constexpr uint64_t UndoWord(Done done, uint32_t position) {
  return uint64_t{position} << 8 | static_cast<uint8_t>(done);
}
constexpr Done DoneOf(uint64_t word) { return static_cast<Done>(word & 0xff); }

}  // namespace

Dictionary::Dictionary(const CollectionSpec& spec)
    : Collection(spec),
      key_bytes_(SlotBytes(spec.key)),
      value_bytes_(SlotBytes(spec.value)),
      stride_(key_bytes_ + value_bytes_),
      store_(this) {}

Dictionary::~Dictionary() { Free(store_); }

// --- memory

void Dictionary::Free(Store& store) const {
  if (IsBytes(spec_.key) || IsBytes(spec_.value)) {
    for (uint32_t i = 0; i < store.used; ++i) {
      if (!store.holes.empty() && store.holes[i]) continue;
      char* entry = store.entries + i * stride_;
      DestroySlot(entry, spec_.key);
      DestroySlot(entry + key_bytes_, spec_.value);
    }
  }
  std::free(store.entries);
  store.entries = nullptr;
}

void Dictionary::Reallocate(uint32_t capacity) {
  auto* entries = static_cast<char*>(std::realloc(store_.entries, capacity * stride_));
  BETTONG_CHECK(entries != nullptr);
  store_.entries = entries;
  store_.capacity = capacity;
}

size_t Dictionary::heap_bytes() const {
  size_t bytes = sizeof(Dictionary) + kAllocationBytes + store_.element_heap_bytes;
  if (store_.entries != nullptr) bytes += store_.capacity * stride_ + kAllocationBytes;
  if (store_.index.capacity() > 0) {
    bytes += store_.index.capacity() * (sizeof(uint32_t) + 1) + 2 * kAllocationBytes;
  }
  return bytes + store_.holes.capacity() / 8;
}

void Dictionary::Count(const char* slot, ScalarType type, int sign) {
  const size_t content = ContentBytes(type, LoadSlot(slot, type));
  const size_t heap = SlotHeapBytes(slot, type);
  store_.content_bytes += sign > 0 ? content : -content;
  store_.element_heap_bytes += sign > 0 ? heap : -heap;
}

// The entry's memory is somebody else's, or destroyed, by now.
void Dictionary::MakeHole(uint32_t position) {
  if (store_.holes.empty()) store_.holes.resize(store_.used);
  store_.holes[position] = true;
  --store_.live;
  while (store_.first < store_.last && store_.holes[store_.first]) ++store_.first;
  while (store_.last > store_.first && store_.holes[store_.last - 1]) --store_.last;
}

// Between turns.
void Dictionary::CloseHoles() {
  const uint32_t holes = store_.used - store_.live;
  if (store_.live == 0 && store_.capacity > kHolesMin) {
    Free(store_);
    store_ = Store(this);
    return;
  }
  if (holes < kHolesMin || holes < store_.live) return;
  uint32_t to = 0;
  for (uint32_t i = 0; i < store_.used; ++i) {
    if (!IsHole(i)) std::memmove(at(to++), at(i), stride_);
  }
  store_.used = store_.last = to;
  store_.first = 0;
  store_.holes = {};
  Reallocate(to + to / 2 + kFirstCapacity);
  store_.index = absl::flat_hash_set<uint32_t, Hash, Equal>(to, Hash{this}, Equal{this});
  for (uint32_t i = 0; i < to; ++i) store_.index.insert(i);
}

// --- finding

Scalar Dictionary::Normal(const Scalar& key) const {
  if (spec_.key != ScalarType::kFloat) return key;
  const auto value = std::bit_cast<double>(key.raw);
  if (value == 0) return {.raw = 0};
  return value == value ? key : Scalar{.raw = 0x7ff8000000000000};
}

uint32_t Dictionary::Find(const Scalar& key) const {
  const auto found = store_.index.find(Normal(key));
  return found == store_.index.end() ? kNowhere : *found;
}

uint32_t Dictionary::Next(uint32_t position) const {
  for (uint32_t i = std::max(position, store_.first); i < store_.last; ++i) {
    if (!IsHole(i)) return i;
  }
  return kNowhere;
}

uint32_t Dictionary::Before(uint32_t position) const {
  for (uint32_t i = std::min(position, store_.last); i > store_.first; --i) {
    if (!IsHole(i - 1)) return i - 1;
  }
  return kNowhere;
}

// --- changes

void Dictionary::Record(Op op, const Scalar* key, const Scalar* value, ContainerTurn& turn) const {
  ByteWriter out(turn.operations);
  out.Fixed(op);
  if (key != nullptr) WriteScalar(spec_.key, *key, out);
  if (value != nullptr) WriteScalar(spec_.value, *value, out);
}

void Dictionary::Save(const char* slot, size_t bytes, ContainerTurn& turn) const {
  for (size_t i = 0; i < bytes; i += 8) {
    turn.undo.push_back(LoadUnaligned<uint64_t>(slot + i));
  }
}

void Dictionary::Add(const Scalar& key, const Scalar& value) {
  if (store_.used == store_.capacity) {
    Reallocate(store_.capacity + store_.capacity / 2 + kFirstCapacity);
  }
  const uint32_t position = store_.used++;
  if (!store_.holes.empty()) store_.holes.push_back(false);
  char* entry = at(position);
  InitSlot(entry, spec_.key, key);
  InitSlot(entry + key_bytes_, spec_.value, value);
  Count(entry, spec_.key, +1);
  Count(entry + key_bytes_, spec_.value, +1);
  ++store_.live;
  store_.last = store_.used;
  store_.index.insert(position);
}

void Dictionary::Replace(uint32_t position, const Scalar& value) {
  InitSlot(at(position) + key_bytes_, spec_.value, value);
  Count(at(position) + key_bytes_, spec_.value, +1);
}

Edit Dictionary::Put(const Scalar& given, const Scalar& value, ContainerTurn& turn) {
  const Scalar key = Normal(given);
  const auto found = store_.index.find(key);
  const bool is_new = found == store_.index.end();
  if (is_new && store_.live >= spec_.elements_max) return Edit::kFull;
  if (std::max(key.bytes.size(), value.bytes.size()) > kElementBytesMax) {
    return Edit::kElementTooLong;
  }
  const size_t freed = is_new ? 0 : ContentBytes(spec_.value, ValueAt(*found));
  const size_t more =
      ContentBytes(spec_.value, value) + (is_new ? ContentBytes(spec_.key, key) : 0);
  if (store_.content_bytes - freed + more > kCollectionBytesMax) return Edit::kTooLarge;
  if (turn.operations.size() + key.bytes.size() + value.bytes.size() > kTurnOperationBytesMax) {
    return Edit::kTurnTooLarge;
  }
  if (!is_new && SameScalar(ValueAt(*found), value)) return Edit::kDone;
  Record(Op::kPut, &key, &value, turn);
  if (is_new) {
    turn.undo.push_back(UndoWord(Done::kAdded, 0));
    Add(key, value);
    return Edit::kDone;
  }
  char* slot = at(*found) + key_bytes_;
  Count(slot, spec_.value, -1);
  Save(slot, value_bytes_, turn);
  turn.undo.push_back(UndoWord(Done::kReplaced, *found));
  Replace(*found, value);
  return Edit::kDone;
}

Edit Dictionary::Erase(uint32_t position, ContainerTurn& turn) {
  if (turn.operations.size() > kTurnOperationBytesMax) return Edit::kTurnTooLarge;
  const Scalar key = KeyAt(position);
  Record(Op::kErase, &key, nullptr, turn);
  store_.index.erase(store_.index.find(key));
  char* entry = at(position);
  Count(entry, spec_.key, -1);
  Count(entry + key_bytes_, spec_.value, -1);
  Save(entry, stride_, turn);
  turn.undo.push_back(UndoWord(Done::kErased, position));
  MakeHole(position);
  return Edit::kDone;
}

Edit Dictionary::Clear(ContainerTurn& turn) {
  if (store_.live == 0) return Edit::kDone;
  if (turn.operations.size() > kTurnOperationBytesMax) return Edit::kTurnTooLarge;
  Record(Op::kClear, nullptr, nullptr, turn);
  turn.undo.push_back(reinterpret_cast<uint64_t>(new Store(std::exchange(store_, Store(this)))));
  turn.undo.push_back(UndoWord(Done::kCleared, 0));
  return Edit::kDone;
}

// --- the end of a turn

void Dictionary::Commit(ContainerTurn& turn) {
  size_t word = turn.undo.size();
  const auto destroy = [&](ScalarType type, size_t bytes) {
    word -= bytes / 8;
    DestroySlot(reinterpret_cast<char*>(turn.undo.data() + word), type);
  };
  while (word > 0) {
    switch (DoneOf(turn.undo[--word])) {
      case Done::kAdded:
        break;
      case Done::kErased:
        destroy(spec_.value, value_bytes_);
        destroy(spec_.key, key_bytes_);
        break;
      case Done::kReplaced:
        destroy(spec_.value, value_bytes_);
        break;
      case Done::kCleared: {
        auto* old = reinterpret_cast<Store*>(turn.undo[--word]);
        Free(*old);
        delete old;
        break;
      }
    }
  }
  turn.Clear();
  CloseHoles();
}

void Dictionary::DestroyAt(uint32_t position) {
  char* entry = at(position);
  Count(entry, spec_.key, -1);
  Count(entry + key_bytes_, spec_.value, -1);
  DestroySlot(entry, spec_.key);
  DestroySlot(entry + key_bytes_, spec_.value);
}

void Dictionary::TakeBack(ContainerTurn& turn, size_t undo_left) {
  size_t word = turn.undo.size();
  const auto restore = [&](char* slot, ScalarType type, size_t bytes) {
    word -= bytes / 8;
    std::memcpy(slot, turn.undo.data() + word, bytes);
    Count(slot, type, +1);
  };
  while (word > undo_left) {
    const uint64_t last = turn.undo[--word];
    const auto position = static_cast<uint32_t>(last >> 8);
    switch (DoneOf(last)) {
      case Done::kAdded: {
        const uint32_t newest = store_.used - 1;
        store_.index.erase(store_.index.find(KeyAt(newest)));
        DestroyAt(newest);
        --store_.used, --store_.live;
        if (!store_.holes.empty()) store_.holes.pop_back();
        store_.last = store_.used;
        store_.first = std::min(store_.first, store_.used);
        break;
      }
      case Done::kReplaced: {
        char* slot = at(position) + key_bytes_;
        Count(slot, spec_.value, -1);
        DestroySlot(slot, spec_.value);
        restore(slot, spec_.value, value_bytes_);
        break;
      }
      case Done::kErased:
        restore(at(position) + key_bytes_, spec_.value, value_bytes_);
        restore(at(position), spec_.key, key_bytes_);
        store_.holes[position] = false;
        ++store_.live;
        store_.first = std::min(store_.first, position);
        store_.last = std::max(store_.last, position + 1);
        store_.index.insert(position);
        break;
      case Done::kCleared: {
        auto* old = reinterpret_cast<Store*>(turn.undo[--word]);
        Free(store_);
        store_ = std::move(*old);
        delete old;
        break;
      }
    }
  }
  turn.undo.resize(undo_left);
}

// --- the log

bool Dictionary::ReadOperation(const CollectionSpec& spec, ByteReader& in, Operation& operation) {
  operation.op = in.Fixed<Op>();
  if (operation.op < Op::kPut || operation.op > Op::kClear) return false;
  if (operation.op != Op::kClear) operation.key = ReadScalar(spec.key, in);
  if (operation.op == Op::kPut) operation.value = spec.ReadValue(in);
  return in.ok();
}

bool Dictionary::Replay(std::string_view operations) {
  ByteReader in(operations);
  Operation next;
  while (!in.empty()) {
    if (!ReadOperation(spec_, in, next)) return false;
    if (next.op == Op::kClear) {
      Free(store_);
      store_ = Store(this);
      continue;
    }
    next.key = Normal(next.key);
    const auto found = store_.index.find(next.key);
    if (next.op == Op::kPut && found == store_.index.end()) {
      if (store_.live >= kCollectionElementsMax) return false;
      Add(next.key, next.value);
      continue;
    }
    if (found == store_.index.end()) return false;
    const uint32_t position = *found;
    if (next.op == Op::kPut) {
      char* slot = at(position) + key_bytes_;
      Count(slot, spec_.value, -1);
      DestroySlot(slot, spec_.value);
      Replace(position, next.value);
    } else {
      store_.index.erase(found);
      DestroyAt(position);
      MakeHole(position);
    }
  }
  CloseHoles();
  return true;
}

// Varint number of keys, then key and value of each.
void Dictionary::EncodeImage(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(store_.live);
  for (uint32_t i = Next(0); i != kNowhere; i = Next(i + 1)) {
    WriteScalar(spec_.key, KeyAt(i), bytes);
    WriteScalar(spec_.value, ValueAt(i), bytes);
  }
}

bool Dictionary::DecodeImage(std::string_view image) {
  ByteReader in(image);
  const uint64_t count = in.Varint();
  // Each has a byte at least.
  if (!in.ok() || count > kCollectionElementsMax || count > in.rest().size()) return false;
  Free(store_);
  store_ = Store(this);
  if (count > 0) Reallocate(static_cast<uint32_t>(count));
  store_.index.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const Scalar key = Normal(ReadScalar(spec_.key, in));
    const Scalar value = spec_.ReadValue(in);
    if (!in.ok() || store_.index.contains(key)) return false;
    Add(key, value);
  }
  return in.empty();
}

// --- text

void Dictionary::AppendJson(std::string& out) const {
  const bool values = spec_.value != ScalarType::kNone;
  out.push_back(values ? '{' : '[');
  const size_t begin = out.size();
  for (uint32_t i = Next(0); i != kNowhere; i = Next(i + 1)) {
    if (out.size() > begin) out.push_back(',');
    if (!values) {
      AppendScalarJson(spec_.key, KeyAt(i), out);
      continue;
    }
    AppendKeyJson(spec_.key, KeyAt(i), out);
    out.push_back(':');
    spec_.AppendValueJson(ValueAt(i), out);
  }
  out.push_back(values ? '}' : ']');
}

uint64_t Dictionary::AppendPage(uint64_t cursor, size_t count, std::string& tagged) const {
  const bool values = spec_.value != ScalarType::kNone;
  uint64_t found = 0;
  uint32_t position = cursor < store_.used ? Next(static_cast<uint32_t>(cursor)) : kNowhere;
  std::string elements;
  for (; position != kNowhere && found < count; ++found, position = Next(position + 1)) {
    AppendScalarTagged(spec_.key, KeyAt(position), elements);
    if (values) spec_.AppendValueTagged(ValueAt(position), elements);
  }
  TaggedWriter out(tagged);
  values ? out.Map(found) : out.List(found);
  tagged += elements;
  return position == kNowhere ? 0 : position;
}

}  // namespace bettong::grid
