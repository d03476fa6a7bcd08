// Writes metrics in Prometheus's text format 0.0.4 (docs/metrics.md). A family is begun once, its
// samples follow at once.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/histogram.h"

namespace bettong::server {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

enum class MetricType { kCounter, kGauge, kHistogram };

// Names of labels are of letters and underscores; values may be anything.
using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// How a histogram is exported: how many of its units are a second (or another base unit), and the
// powers of two of its unit that the bounds go from and to, one more half-way between each two.
struct HistogramScale {
  double units_per_base;
  int first_bit;
  int last_bit;
};
inline constexpr HistogramScale kNsScale{1e9, 10, 37};  // 1 us to 137 s
inline constexpr HistogramScale kMsScale{1e3, 0, 17};   // 1 ms to 131 s

class MetricsText {
 public:
  void Family(std::string_view name, MetricType type, std::string_view help);
  // Of the family begun last.
  void Sample(MetricLabels labels, uint64_t value);
  void Sample(MetricLabels labels, double value);
  void Sample(MetricLabels labels, const Histogram::Counts& counts, const HistogramScale& scale);

  std::string Take() { return std::move(text_); }

 private:
  void Line(std::string_view suffix, MetricLabels labels, std::string_view bound,
            std::string_view value);

  std::string text_;
  std::string name_;
};

}  // namespace bettong::server
