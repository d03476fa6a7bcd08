#include "base/nearest_name.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/ascii.h"

namespace bettong {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      const size_t change = diagonal + (LowerChar(a[i - 1]) == LowerChar(b[j - 1]) ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, change});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string_view> NearestName(std::string_view name,
                                            std::span<const std::string_view> names) {
  constexpr size_t kNameBytesMax = 64;
  if (name.size() > kNameBytesMax) return std::nullopt;
  std::optional<std::string_view> nearest;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  for (std::string_view candidate : names) {
    if (candidate.size() > kNameBytesMax) continue;
    const size_t distance = EditDistance(name, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace bettong
