#include "server/metrics_text.h"

#include <array>
#include <cmath>

#include "base/number_text.h"
#include "base/utf8.h"

namespace bettong::server {
namespace {

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::string text;
  AppendFloat(value, text);
  return text;
}

// The format's own escapes; a name may come from a configuration or an app, in any bytes.
void AppendEscaped(std::string_view value, bool quotes, std::string& out) {
  for (size_t i = 0; i < value.size();) {
    const size_t bytes = Utf8SequenceBytes(value.substr(i));
    if (bytes == 0) {
      out += "\xef\xbf\xbd";
      ++i;
      continue;
    }
    if (value[i] == '\\') {
      out += "\\\\";
    } else if (value[i] == '\n') {
      out += "\\n";
    } else if (value[i] == '"' && quotes) {
      out += "\\\"";
    } else {
      out.append(value, i, bytes);
    }
    i += bytes;
  }
}

}  // namespace

void MetricsText::Family(std::string_view name, MetricType type, std::string_view help) {
  static constexpr std::array<std::string_view, 3> kTypes = {"counter", "gauge", "histogram"};
  name_ = name;
  text_.append("# HELP ").append(name).append(" ");
  AppendEscaped(help, false, text_);
  text_.append("\n# TYPE ").append(name).append(" ");
  text_.append(kTypes[static_cast<size_t>(type)]).append("\n");
}

void MetricsText::Line(std::string_view suffix, MetricLabels labels, std::string_view bound,
                       std::string_view value) {
  text_.append(name_).append(suffix);
  char before = '{';
  for (const auto& [name, label] : labels) {
    text_.push_back(before);
    text_.append(name).append("=\"");
    AppendEscaped(label, true, text_);
    text_.push_back('"');
    before = ',';
  }
  if (!bound.empty()) {
    text_.push_back(before);
    text_.append("le=\"").append(bound).append("\"");
    before = ',';
  }
  if (before == ',') text_.push_back('}');
  text_.append(" ").append(value).append("\n");
}

void MetricsText::Sample(MetricLabels labels, uint64_t value) {
  Line("", labels, "", std::to_string(value));
}

void MetricsText::Sample(MetricLabels labels, double value) {
  Line("", labels, "", NumberText(value));
}

void MetricsText::Sample(MetricLabels labels, const Histogram::Counts& counts,
                         const HistogramScale& scale) {
  uint64_t at_most = 0;
  size_t bucket = 0;
  const auto line = [&](uint64_t bound) {
    for (; bucket < Histogram::kBuckets && Histogram::UpperBound(bucket) <= bound; ++bucket) {
      at_most += counts.in_bucket[bucket];
    }
    Line("_bucket", labels, NumberText(static_cast<double>(bound) / scale.units_per_base),
         std::to_string(at_most));
  };
  for (int bit = scale.first_bit; bit <= scale.last_bit; ++bit) {
    line(uint64_t{1} << bit);
    // Between one and two there is nothing.
    if (bit > 0 && bit < scale.last_bit) line(uint64_t{3} << (bit - 1));
  }
  const std::string total = std::to_string(counts.total());
  Line("_bucket", labels, "+Inf", total);
  Line("_sum", labels, "", NumberText(static_cast<double>(counts.sum) / scale.units_per_base));
  Line("_count", labels, "", total);
}

}  // namespace bettong::server
