// Map, Set and Counter: values by key, in the order in which the keys came. Keys and values lie in
// one array; a hash index finds them. What is removed leaves a hole, which is closed when the turn
// is over, so that positions are good as long as a turn.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grid/containers/collection.h"

namespace bettong::grid {

class Dictionary final : public Collection {
 public:
  static constexpr uint32_t kNowhere = UINT32_MAX;

  explicit Dictionary(const CollectionSpec& spec);
  ~Dictionary() override;

  size_t size() const override { return store_.live; }
  ScalarType key_type() const { return spec_.key; }
  ScalarType value_type() const { return spec_.value; }

  // A float key is found as Python finds it: -0.0 is 0.0; NaN is itself.
  uint32_t Find(const Scalar& key) const;  // or kNowhere
  // The first position from `position` on that has a key, the last one before `position`; or
  // kNowhere.
  uint32_t Next(uint32_t position) const;
  uint32_t Before(uint32_t position) const;
  uint32_t end() const { return store_.used; }
  Scalar KeyAt(uint32_t position) const { return LoadSlot(at(position), spec_.key); }
  Scalar ValueAt(uint32_t position) const {
    return LoadSlot(at(position) + key_bytes_, spec_.value);
  }

  // The bytes given are not those of an element.
  Edit Put(const Scalar& key, const Scalar& value, ContainerTurn& turn);
  Edit Erase(uint32_t position, ContainerTurn& turn);
  Edit Clear(ContainerTurn& turn);

  // What a turn has recorded, one after the other.
  enum class Op : uint8_t { kPut = 1, kErase, kClear };
  struct Operation {
    Op op = Op::kClear;
    Scalar key;    // of put, erase
    Scalar value;  // of put
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

  // The index holds positions and compares what lies there.
  struct Hash {
    using is_transparent = void;
    size_t operator()(uint32_t position) const { return (*this)(of->KeyAt(position)); }
    size_t operator()(const Scalar& key) const { return HashScalar(of->key_type(), key); }
    const Dictionary* of;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t a, const Scalar& key) const { return SameScalar(of->KeyAt(a), key); }
    bool operator()(const Scalar& key, uint32_t a) const { return SameScalar(of->KeyAt(a), key); }
    const Dictionary* of;
  };
  struct Store {
    explicit Store(const Dictionary* of) : index(0, Hash{of}, Equal{of}) {}
    char* entries = nullptr;
    uint32_t capacity = 0;
    uint32_t used = 0;        // positions, holes among them
    uint32_t live = 0;        // keys
    uint32_t first = 0;       // there is no key before
    uint32_t last = 0;        // nor from here on
    std::vector<bool> holes;  // empty, or one for each position
    absl::flat_hash_set<uint32_t, Hash, Equal> index;
    size_t content_bytes = 0;
    size_t element_heap_bytes = 0;
  };

  char* at(uint32_t position) const { return store_.entries + position * stride_; }
  bool IsHole(uint32_t position) const { return !store_.holes.empty() && store_.holes[position]; }
  Scalar Normal(const Scalar& key) const;
  void Record(Op op, const Scalar* key, const Scalar* value, ContainerTurn& turn) const;
  void Count(const char* slot, ScalarType type, int sign);
  void Save(const char* slot, size_t bytes, ContainerTurn& turn) const;
  void DestroyAt(uint32_t position);
  void Reallocate(uint32_t capacity);
  void Add(const Scalar& key, const Scalar& value);
  void Replace(uint32_t position, const Scalar& value);
  void MakeHole(uint32_t position);
  void CloseHoles();
  void Free(Store& store) const;

  const size_t key_bytes_, value_bytes_, stride_;
  Store store_;
};

}  // namespace bettong::grid
