#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace bettong {

// Values of up to 2^kSubBits have a bucket each (zero shares that of one). Beyond, a bucket is told
// by the position of the highest bit of value - 1 and the kSubBits below it; minus one, so that a
// power of two is the last value of a bucket and not the first of the next.
size_t Histogram::BucketOf(uint64_t value) {
  const uint64_t before = value == 0 ? 0 : value - 1;
  constexpr uint64_t kSubBuckets = 1u << kSubBits;
  if (before < kSubBuckets) return static_cast<size_t>(before);
  const int high = std::bit_width(before) - 1;
  if (high >= kValueBits) return kBuckets - 1;
  const int shift = high - kSubBits;
  return static_cast<size_t>(((static_cast<uint64_t>(shift) + 1) << kSubBits) +
                             ((before >> shift) - kSubBuckets));
}

uint64_t Histogram::UpperBound(size_t bucket) {
  if (bucket == kBuckets - 1) return UINT64_MAX;
  constexpr size_t kSubBuckets = 1u << kSubBits;
  if (bucket < kSubBuckets) return bucket + 1;
  const size_t shift = (bucket >> kSubBits) - 1;
  return static_cast<uint64_t>((bucket & (kSubBuckets - 1)) + kSubBuckets + 1) << shift;
}

Histogram::Counts Histogram::counts() const {
  Counts counts;
  for (size_t i = 0; i < kBuckets; ++i) counts.in_bucket[i] = in_bucket_[i].value();
  counts.sum = sum_.value();
  return counts;
}

void Histogram::Counts::Merge(const Counts& other) {
  for (size_t i = 0; i < kBuckets; ++i) in_bucket[i] += other.in_bucket[i];
  sum += other.sum;
}

uint64_t Histogram::Counts::total() const {
  return std::accumulate(in_bucket.begin(), in_bucket.end(), uint64_t{0});
}

uint64_t Histogram::Counts::AtMost(uint64_t bound) const {
  return std::accumulate(in_bucket.begin(),
                         in_bucket.begin() + static_cast<std::ptrdiff_t>(BucketOf(bound)) + 1,
                         uint64_t{0});
}

}  // namespace bettong
