// How many different values there were: HyperLogLog (Flajolet et al., 2007) with the estimator of
// Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which is unbiased
// from nothing to 2^64. The standard error is 1.04 / sqrt(2^bits).
//
// A register says how many zeros the rarest hash of its share began with. As long as few are set
// they are a sorted list, else a byte each. Two sketches are merged by the greater of each
// register.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace bettong::grid {

inline constexpr uint8_t kDistinctBitsMin = 4, kDistinctBitsMax = 16;

class HyperLogLog {
 public:
  // bits: 2^bits registers.
  explicit HyperLogLog(uint8_t bits) : bits_(bits) {}

  // What adding a hash has changed of it, to take it back.
  struct Change {
    uint32_t index = 0;
    uint8_t before = 0;
    bool any = false;
  };
  Change Add(uint64_t hash);
  void TakeBack(const Change& change);
  // Of as many bits.
  void Merge(const HyperLogLog& other);

  double Estimate() const;

  // By what the registers hold, however they are kept.
  void Encode(ByteWriter& out) const;
  bool Decode(ByteReader& in);
  size_t heap_bytes() const { return sparse_.capacity() * sizeof(uint32_t) + dense_.capacity(); }

 private:
  uint32_t registers() const { return 1u << bits_; }
  // So many are a list: a quarter of the bytes that all have.
  uint32_t sparse_max() const { return registers() / 16; }
  bool is_dense() const { return !dense_.empty(); }
  uint8_t At(uint32_t index) const;
  void Set(uint32_t index, uint8_t rank);
  void MakeDense();
  template <typename Visit>  // visit(index, rank) of those that are set, in order
  void ForEach(const Visit& visit) const;

  uint8_t bits_;
  std::vector<uint32_t> sparse_;  // index << 8 | rank, sorted
  std::vector<uint8_t> dense_;    // empty: sparse
};

}  // namespace bettong::grid
