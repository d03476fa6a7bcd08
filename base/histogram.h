// How often values of which size came: counts in buckets that are a quarter of a power of two wide,
// from one up to 2^40 and one for all beyond. The unit is the caller's (nanoseconds, milliseconds).
//
// One thread records, without allocation or lock; any thread reads, at any time. What is read while
// somebody records may lack the last values, in counts, sum or both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/published_counter.h"

namespace bettong {

class Histogram {
 public:
  static constexpr int kSubBits = 2;     // 4 buckets a power of two: 25% wide at most
  static constexpr int kValueBits = 40;  // of nanoseconds: 18 minutes
  static constexpr size_t kBuckets = ((kValueBits - kSubBits + 1) << kSubBits) + 1;

  // Buckets hold their upper bound, as Prometheus's do: (bound of the one before, UpperBound].
  static size_t BucketOf(uint64_t value);
  // Of the last one: UINT64_MAX.
  static uint64_t UpperBound(size_t bucket);

  // What has been recorded, as plain numbers.
  struct Counts {
    std::array<uint64_t, kBuckets> in_bucket{};
    uint64_t sum = 0;  // of the values

    void Merge(const Counts& other);
    uint64_t total() const;
    // How many were at most `bound`, which is an UpperBound.
    uint64_t AtMost(uint64_t bound) const;
  };

  // `weight` values of this size.
  void Record(uint64_t value, uint64_t weight = 1) {
    in_bucket_[BucketOf(value)].Add(weight);
    sum_.Add(value * weight);
  }
  Counts counts() const;

 private:
  std::array<PublishedCounter, kBuckets> in_bucket_;
  PublishedCounter sum_;
};

}  // namespace bettong
