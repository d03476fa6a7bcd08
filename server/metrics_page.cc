#include "server/metrics_page.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>

#include "base/number_text.h"

namespace bettong::server {
namespace {

std::optional<double> ParseValue(std::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return ParseFloat(text);
}

// Reads {a="b",c="d"} off the front of `line`; false if it is none.
bool TakeLabels(std::string_view& line, MetricsPage::Sample& sample) {
  if (!line.starts_with('{')) return true;
  line.remove_prefix(1);
  while (!line.starts_with('}')) {
    const size_t equals = line.find("=\"");
    if (equals == std::string_view::npos) return false;
    auto& [name, value] = sample.labels.emplace_back();
    name = line.substr(0, equals);
    line.remove_prefix(equals + 2);
    while (!line.empty() && line[0] != '"') {
      if (line[0] == '\\' && line.size() > 1) {
        line.remove_prefix(1);
        value.push_back(line[0] == 'n' ? '\n' : line[0]);
      } else {
        value.push_back(line[0]);
      }
      line.remove_prefix(1);
    }
    if (line.empty()) return false;
    line.remove_prefix(1);
    if (line.starts_with(',')) line.remove_prefix(1);
  }
  line.remove_prefix(1);
  return true;
}

// Of a histogram's buckets: how many at most `bound`, by bound.
using Buckets = std::map<double, double>;

Buckets BucketsOf(const MetricsPage& page, const std::string& name) {
  Buckets buckets;
  for (const MetricsPage::Sample& sample : page.samples(name + "_bucket")) {
    buckets[ParseValue(sample.label("le")).value_or(0)] += sample.value;
  }
  return buckets;
}

}  // namespace

std::string_view MetricsPage::Sample::label(std::string_view name) const {
  for (const auto& [key, text] : labels) {
    if (key == name) return text;
  }
  return {};
}

absl::StatusOr<MetricsPage> MetricsPage::Parse(std::string_view text) {
  MetricsPage page;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const size_t name_size = line.find_first_of("{ ");
    const std::string name(line.substr(0, name_size));
    line.remove_prefix(std::min(name_size, line.size()));
    Sample sample;
    const bool labelled = TakeLabels(line, sample);
    const auto value = line.starts_with(' ') ? ParseValue(line.substr(1)) : std::nullopt;
    if (!labelled || !value || name.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, " is no metric"));
    }
    sample.value = *value;
    page.samples_[name].push_back(std::move(sample));
  }
  return page;
}

const std::vector<MetricsPage::Sample>& MetricsPage::samples(std::string_view name) const {
  static const std::vector<Sample> none;
  const auto found = samples_.find(name);
  return found == samples_.end() ? none : found->second;
}

double MetricsPage::Sum(std::string_view name, std::initializer_list<Label> labels) const {
  double sum = 0;
  for (const Sample& sample : samples(name)) {
    if (std::all_of(labels.begin(), labels.end(), [&](const Label& label) {
          return sample.label(label.first) == label.second;
        })) {
      sum += sample.value;
    }
  }
  return sum;
}

std::optional<double> QuantileBetween(const MetricsPage& before, const MetricsPage& after,
                                      const std::string& name, double quantile) {
  const Buckets old = BucketsOf(before, name);
  Buckets buckets = BucketsOf(after, name);
  for (auto& [bound, count] : buckets) {
    if (const auto found = old.find(bound); found != old.end()) count -= found->second;
  }
  if (buckets.empty() || buckets.rbegin()->second <= 0) return std::nullopt;
  const double rank = quantile * buckets.rbegin()->second;
  double low = 0, below = 0;
  for (const auto& [bound, count] : buckets) {
    if (count >= rank) {
      if (bound == std::numeric_limits<double>::infinity() || count == below) return low;
      return low + (bound - low) * (rank - below) / (count - below);
    }
    low = bound;
    below = count;
  }
  return low;
}

}  // namespace bettong::server
