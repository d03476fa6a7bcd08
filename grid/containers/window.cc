#include "grid/containers/window.h"

#include <absl/strings/str_cat.h>

#include <bit>
#include <cmath>
#include <type_traits>
#include <utility>

#include "base/json_text.h"
#include "grid/containers/closing_window.h"
#include "grid/containers/ring_window.h"
#include "grid/tagged.h"

namespace bettong::grid {
namespace {

double FloatOf(uint64_t raw) { return std::bit_cast<double>(raw); }

// An int of up to 128 bits.
void AppendWide(WideInt value, std::string& out) {
  if (value < 0) out.push_back('-');
  std::string digits;
  do {
    const int digit = static_cast<int>(value % 10);
    digits.push_back(static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    value /= 10;
  } while (value != 0);
  out.append(digits.rbegin(), digits.rend());
}

// What there is to tell of the current window: visit(name, value), of a WideInt or a double.
template <typename Visit>
void VisitTotals(const Window& window, const Visit& visit) {
  const WindowShape& shape = window.shape();
  const WindowView view = window.Current();
  const WindowTotals& totals = view.totals;
  visit("count", WideInt{static_cast<int64_t>(totals.count)});
  if (totals.count == 0) return;
  const bool is_float = shape.spec.is_float;
  const auto number = [&](const char* name, uint64_t raw) {
    is_float ? visit(name, FloatOf(raw)) : visit(name, WideInt{static_cast<int64_t>(raw)});
  };
  visit("start", WideInt{view.start_ms});
  visit("end", WideInt{view.end_ms});
  if (shape.sum > 0) {
    is_float ? visit("sum", totals.float_sum) : visit("sum", totals.int_sum);
    visit("mean", MeanOf(shape.spec, totals));
  }
  if (shape.min > 0) number("min", totals.min);
  if (shape.max > 0) number("max", totals.max);
  if (shape.first > 0) number("first", totals.first);
  if (shape.last > 0) number("last", totals.last);
  if (shape.variance > 0) visit("variance", VarianceOf(totals));
  if (shape.sketch == 0) return;
  const PaneSketch sketch = window.CurrentSketch();
  if (shape.spec.distinct_bits > 0) {
    visit("distinct", WideInt{static_cast<int64_t>(std::llround(sketch.Distinct()))});
  }
  if (!shape.quantiles) return;
  visit("p50", sketch.Quantile(0.5).value_or(0));
  visit("p90", sketch.Quantile(0.9).value_or(0));
  visit("p99", sketch.Quantile(0.99).value_or(0));
}

}  // namespace

std::unique_ptr<Window> Window::Make(const WindowShape& shape) {
  if (shape.spec.closes) return std::make_unique<ClosingWindow>(shape);
  return RingWindow::Make(shape);
}

bool Window::ReadValues(const WindowSpec& spec, std::string_view operations,
                        std::vector<uint64_t>& raws) {
  ByteReader in(operations);
  while (!in.empty()) {
    if (spec.closes) {
      ClosingWindow::Operation operation;
      if (!ClosingWindow::ReadOperation(spec, in, operation)) return false;
      if (operation.kind == ClosingWindow::Operation::Kind::kAdd) raws.push_back(operation.raw);
    } else {
      RingWindow::Operation operation;
      if (!RingWindow::ReadOperation(spec, in, operation)) return false;
      raws.push_back(operation.raw);
    }
  }
  return true;
}

// --- text

void Window::AppendJson(std::string& out) const {
  char between = '{';
  VisitTotals(*this, [&](const char* name, auto value) {
    out.push_back(std::exchange(between, ','));
    absl::StrAppend(&out, "\"", name, "\":");
    if constexpr (std::is_same_v<decltype(value), double>) {
      AppendJsonFloat(value, out);
    } else {
      AppendWide(value, out);
    }
  });
  out.push_back('}');
}

uint64_t Window::AppendPage(uint64_t, size_t, std::string& tagged) const {
  std::string pairs;
  TaggedWriter out(pairs);
  uint64_t size = 0;
  VisitTotals(*this, [&](const char* name, auto value) {
    ++size;
    out.Text(name);
    if constexpr (std::is_same_v<decltype(value), double>) {
      out.Float(value);
    } else if (value >= INT64_MIN && value <= INT64_MAX) {
      out.Int(static_cast<int64_t>(value));
    } else {
      std::string digits;
      AppendWide(value, digits);
      out.Text(digits);
    }
  });
  TaggedWriter(tagged).Map(size);
  tagged += pairs;
  return 0;
}

}  // namespace bettong::grid
