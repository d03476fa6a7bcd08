// A page of metrics, read back: what `bettong top` computes with. Reads what MetricsText writes.
#pragma once

#include <absl/status/statusor.h>

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bettong::server {

class MetricsPage {
 public:
  using Label = std::pair<std::string_view, std::string_view>;
  struct Sample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;

    // Empty without the label.
    std::string_view label(std::string_view name) const;
  };

  // Errors name the line.
  static absl::StatusOr<MetricsPage> Parse(std::string_view text);

  const std::vector<Sample>& samples(std::string_view name) const;
  // Over all samples that have these labels; 0 without any.
  double Sum(std::string_view name, std::initializer_list<Label> labels = {}) const;

 private:
  std::map<std::string, std::vector<Sample>, std::less<>> samples_;
};

// The quantile of what a histogram has recorded between two pages, all its series together, as
// Prometheus's histogram_quantile computes it; nothing if nothing was recorded.
std::optional<double> QuantileBetween(const MetricsPage& before, const MetricsPage& after,
                                      const std::string& name, double quantile);

}  // namespace bettong::server
