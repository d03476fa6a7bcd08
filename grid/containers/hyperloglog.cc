#include "grid/containers/hyperloglog.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace bettong::grid {
namespace {

// Ertl's sigma and tau: sums of series, to the last bit that they change.
double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double sum = x, before = 0, weight = 1;
  while (sum != before) {
    x *= x;
    before = sum;
    sum += x * weight;
    weight += weight;
  }
  return sum;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double sum = 1 - x, before = -1, weight = 1;
  while (sum != before) {
    x = std::sqrt(x);
    before = sum;
    weight *= 0.5;
    sum -= (1 - x) * (1 - x) * weight;
  }
  return sum / 3;
}

}  // namespace

template <typename Visit>
void HyperLogLog::ForEach(const Visit& visit) const {
  for (const uint32_t cell : sparse_) visit(cell >> 8, static_cast<uint8_t>(cell));
  for (uint32_t i = 0; i < dense_.size(); ++i) {
    if (dense_[i] > 0) visit(i, dense_[i]);
  }
}

uint8_t HyperLogLog::At(uint32_t index) const {
  if (is_dense()) return dense_[index];
  const auto at = std::lower_bound(sparse_.begin(), sparse_.end(), index << 8);
  return at != sparse_.end() && *at >> 8 == index ? static_cast<uint8_t>(*at) : 0;
}

void HyperLogLog::MakeDense() {
  dense_.assign(registers(), 0);
  for (const uint32_t cell : sparse_) dense_[cell >> 8] = static_cast<uint8_t>(cell);
  sparse_ = std::vector<uint32_t>();  // its memory, too
}

// To 0, too.
void HyperLogLog::Set(uint32_t index, uint8_t rank) {
  if (is_dense()) {
    dense_[index] = rank;
    return;
  }
  const auto at = std::lower_bound(sparse_.begin(), sparse_.end(), index << 8);
  const bool there = at != sparse_.end() && *at >> 8 == index;
  if (there && rank == 0) {
    sparse_.erase(at);
  } else if (there) {
    *at = index << 8 | rank;
  } else if (rank > 0 && sparse_.size() == sparse_max()) {
    MakeDense();
    dense_[index] = rank;
  } else if (rank > 0) {
    sparse_.insert(at, index << 8 | rank);
  }
}

HyperLogLog::Change HyperLogLog::Add(uint64_t hash) {
  const auto index = static_cast<uint32_t>(hash >> (64 - bits_));
  const uint64_t rest = hash << bits_;
  const int rank = rest == 0 ? 64 - bits_ + 1 : std::countl_zero(rest) + 1;
  const uint8_t before = At(index);
  if (rank <= before) return {};
  Set(index, static_cast<uint8_t>(rank));
  return {.index = index, .before = before, .any = true};
}

void HyperLogLog::TakeBack(const Change& change) {
  if (change.any) Set(change.index, change.before);
}

void HyperLogLog::Merge(const HyperLogLog& other) {
  if (is_dense() && other.is_dense()) {
    for (uint32_t i = 0; i < dense_.size(); ++i) dense_[i] = std::max(dense_[i], other.dense_[i]);
    return;
  }
  other.ForEach([&](uint32_t index, uint8_t rank) {
    if (rank > At(index)) Set(index, rank);
  });
}

double HyperLogLog::Estimate() const {
  const int most = 64 - bits_;
  uint32_t of_rank[66] = {};
  uint32_t set = 0;
  ForEach([&](uint32_t, uint8_t rank) { ++of_rank[rank], ++set; });
  const double m = registers();
  double z = m * Tau(1 - of_rank[most + 1] / m);
  for (int rank = most; rank > 0; --rank) z = 0.5 * (z + of_rank[rank]);
  z += m * Sigma((registers() - set) / m);
  constexpr double kAlpha = 0.72134752044448170368;  // 1 / (2 ln 2)
  return kAlpha * m * m / z;
}

// Varint of how many are set and u8 0, then a varint step from the last index and the rank each; or
// u8 1 and all registers.
void HyperLogLog::Encode(ByteWriter& out) const {
  uint32_t set = 0;
  ForEach([&](uint32_t, uint8_t) { ++set; });
  const bool whole = set > sparse_max();
  out.Fixed(static_cast<uint8_t>(whole));
  if (!whole) out.Varint(set);
  uint32_t next = 0;
  ForEach([&](uint32_t index, uint8_t rank) {
    if (!whole) {
      out.Varint(index - next);
      out.Fixed(rank);
    } else {
      for (; next < index; ++next) out.Fixed(uint8_t{0});
      out.Fixed(rank);
    }
    next = index + 1;
  });
  for (; whole && next < registers(); ++next) out.Fixed(uint8_t{0});
}

bool HyperLogLog::Decode(ByteReader& in) {
  const auto whole = in.Fixed<uint8_t>();
  const auto most = static_cast<uint8_t>(64 - bits_ + 1);
  sparse_.clear(), dense_.clear();
  if (whole == 1) {
    const std::string_view bytes = in.Raw(registers());
    if (!in.ok()) return false;
    dense_.assign(bytes.begin(), bytes.end());
    return std::all_of(dense_.begin(), dense_.end(), [&](uint8_t rank) { return rank <= most; });
  }
  const uint64_t set = in.Varint();
  if (!in.ok() || whole > 1 || set > sparse_max()) return false;
  sparse_.reserve(set);
  uint64_t next = 0;
  for (uint64_t i = 0; i < set; ++i) {
    const uint64_t step = in.Varint();
    const auto rank = in.Fixed<uint8_t>();
    if (!in.ok() || step >= registers() - next || rank == 0 || rank > most) return false;
    sparse_.push_back(static_cast<uint32_t>(next + step) << 8 | rank);
    next += step + 1;
  }
  return true;
}

}  // namespace bettong::grid
