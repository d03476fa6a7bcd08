// Quantiles within a relative error of the value: DDSketch (Masson, Rim and Lee, VLDB 2019). Values
// are counted in buckets whose bounds grow by the same factor, so that any value of a bucket is
// within the error of the one that is told for it. Two sketches are merged by adding their buckets
// up.
//
// The logarithm is the paper's interpolated one, a cubic between powers of two: arithmetic that
// gives the same bits everywhere, for one bucket in a hundred more.
//
// Beyond kQuantileBucketsMax buckets the two lowest become one, as in the paper: then the lowest
// quantiles are told too high, and the others stay right.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace bettong::grid {

inline constexpr uint32_t kQuantileErrorMinPpm = 1'000, kQuantileErrorMaxPpm = 100'000;
inline constexpr size_t kQuantileBucketsMax = 2048;

// Where buckets of a relative error begin and end.
class QuantileScale {
 public:
  explicit QuantileScale(uint32_t error_ppm);

  // Of the bucket with the value; ascending with it, 0 for 0.
  int32_t BucketOf(double value) const;
  // What is told of a bucket: off by no more than the error from any value in it.
  double ValueOf(int32_t bucket) const;

  static constexpr int32_t kBucketMax = 1 << 21;

 private:
  double steps_;  // buckets between two powers of two
};

class QuantileSketch {
 public:
  uint64_t count() const { return count_; }

  // Whether it has room for the value without joining buckets.
  bool Takes(int32_t bucket) const;
  void Add(int32_t bucket);
  // Of what was added last, when it had room.
  void TakeBack(int32_t bucket);
  void Merge(const QuantileSketch& other);

  // The bucket of the value below which that share of them is, 0 to 1; nullopt without values.
  std::optional<int32_t> Quantile(double share) const;

  void Encode(ByteWriter& out) const;
  bool Decode(ByteReader& in);
  size_t heap_bytes() const { return buckets_.capacity() * sizeof(Bucket); }

 private:
  struct Bucket {
    int32_t bucket;
    uint64_t count;
  };
  void JoinLowest();

  uint64_t count_ = 0;
  std::vector<Bucket> buckets_;  // sorted, none empty
};

}  // namespace bettong::grid
