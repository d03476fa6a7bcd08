#include "grid/containers/quantile_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace bettong::grid {
namespace {

// The cubic of the paper's interpolated logarithm, for 1 + s between two powers of two; from 0
// to 1.
constexpr double kA = 6.0 / 35, kB = -3.0 / 5, kC = 10.0 / 7;
double Cubic(double s) { return ((kA * s + kB) * s + kC) * s; }
// Where it grows slowest it does so by this much as the logarithm to base 2: 10/7 ln 2.
constexpr double kLeastSlope = 0.9902102579427789;

constexpr int32_t kZero = QuantileScale::kBucketMax / 2;  // the bucket of 1

// Normal numbers only: what is smaller counts as 0.
double Logarithm(double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1023;
  const double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffu) | 0x3ff0000000000000u);
  return exponent + Cubic(mantissa - 1);
}

double Inverse(double logarithm) {
  const double exponent = std::floor(logarithm);
  const double part = logarithm - exponent;
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (Cubic(middle) < part ? low : high) = middle;
  }
  return std::ldexp(1 + low, static_cast<int>(exponent));
}

}  // namespace

QuantileScale::QuantileScale(uint32_t error_ppm) {
  const double error = error_ppm / 1e6;
  steps_ = 1 / (std::log2((1 + error) / (1 - error)) * kLeastSlope);
}

int32_t QuantileScale::BucketOf(double value) const {
  const double size = std::abs(value);
  if (size < std::numeric_limits<double>::min()) return 0;
  const auto bucket = static_cast<int32_t>(std::ceil(Logarithm(size) * steps_)) + kZero;
  return value < 0 ? -bucket : bucket;
}

double QuantileScale::ValueOf(int32_t bucket) const {
  if (bucket == 0) return 0;
  const double end = std::abs(bucket) - kZero;
  const double low = Inverse((end - 1) / steps_), high = Inverse(end / steps_);
  // As far from either in proportion. The last bucket ends behind the last number.
  const double value = low / (0.5 + 0.5 * low / std::min(high, std::numeric_limits<double>::max()));
  return bucket < 0 ? -value : value;
}

bool QuantileSketch::Takes(int32_t bucket) const {
  if (buckets_.size() < kQuantileBucketsMax) return true;
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), bucket,
                                   [](const Bucket& a, int32_t b) { return a.bucket < b; });
  return at != buckets_.end() && at->bucket == bucket;
}

void QuantileSketch::Add(int32_t bucket) {
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), bucket,
                                   [](const Bucket& a, int32_t b) { return a.bucket < b; });
  ++count_;
  if (at != buckets_.end() && at->bucket == bucket) {
    ++at->count;
    return;
  }
  buckets_.insert(at, {bucket, 1});
  JoinLowest();
}

void QuantileSketch::TakeBack(int32_t bucket) {
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), bucket,
                                   [](const Bucket& a, int32_t b) { return a.bucket < b; });
  --count_;
  if (--at->count == 0) buckets_.erase(at);
}

void QuantileSketch::JoinLowest() {
  if (buckets_.size() <= kQuantileBucketsMax) return;
  const auto over = static_cast<ptrdiff_t>(buckets_.size() - kQuantileBucketsMax);
  for (ptrdiff_t i = 0; i < over; ++i) {
    buckets_[static_cast<size_t>(over)].count += buckets_[static_cast<size_t>(i)].count;
  }
  buckets_.erase(buckets_.begin(), buckets_.begin() + over);
}

void QuantileSketch::Merge(const QuantileSketch& other) {
  std::vector<Bucket> merged;
  merged.reserve(buckets_.size() + other.buckets_.size());
  auto a = buckets_.begin();
  for (const Bucket& b : other.buckets_) {
    while (a != buckets_.end() && a->bucket < b.bucket) merged.push_back(*a++);
    const bool both = a != buckets_.end() && a->bucket == b.bucket;
    merged.push_back({b.bucket, b.count + (both ? a->count : 0)});
    if (both) ++a;
  }
  merged.insert(merged.end(), a, buckets_.end());
  buckets_ = std::move(merged);
  count_ += other.count_;
  JoinLowest();
}

std::optional<int32_t> QuantileSketch::Quantile(double share) const {
  if (count_ == 0) return std::nullopt;
  const double rank = share * static_cast<double>(count_ - 1);
  double below = 0;
  for (const Bucket& bucket : buckets_) {
    below += static_cast<double>(bucket.count);
    if (below > rank) return bucket.bucket;
  }
  return buckets_.back().bucket;
}

// Varint buckets; of each a zigzag step from the one before and a varint count.
void QuantileSketch::Encode(ByteWriter& out) const {
  out.Varint(buckets_.size());
  int32_t before = 0;
  for (const Bucket& bucket : buckets_) {
    out.Zigzag(int64_t{bucket.bucket} - before);
    out.Varint(bucket.count);
    before = bucket.bucket;
  }
}

bool QuantileSketch::Decode(ByteReader& in) {
  buckets_.clear(), count_ = 0;
  const uint64_t size = in.Varint();
  if (!in.ok() || size > kQuantileBucketsMax) return false;
  buckets_.reserve(size);
  int64_t before = 0;
  for (uint64_t i = 0; i < size; ++i) {
    const int64_t step = in.Zigzag();
    const uint64_t count = in.Varint();
    constexpr int64_t kMax = QuantileScale::kBucketMax;
    if (!in.ok() || count == 0 || step < -kMax || step > 2 * kMax || (i > 0 && step <= 0)) {
      return false;
    }
    before += step;
    if (before < -kMax || before > kMax || __builtin_add_overflow(count_, count, &count_)) {
      return false;
    }
    buckets_.push_back({static_cast<int32_t>(before), count});
  }
  return true;
}

}  // namespace bettong::grid
