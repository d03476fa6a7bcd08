#include "grid/containers/window.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/json_text.h"
#include "base/number_text.h"
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
  const WindowView view = Current();
  const WindowTotals& totals = view.totals;
  absl::StrAppend(&out, "{\"count\":", totals.count);
  if (totals.count == 0) {
    out.push_back('}');
    return;
  }
  absl::StrAppend(&out, ",\"start\":", view.start_ms, ",\"end\":", view.end_ms);
  const auto number = [&](const char* name, uint64_t raw) {
    absl::StrAppend(&out, ",\"", name, "\":");
    spec().is_float ? AppendJsonFloat(FloatOf(raw), out)
                    : AppendInt(static_cast<int64_t>(raw), out);
  };
  const auto floating = [&](const char* name, double value) {
    absl::StrAppend(&out, ",\"", name, "\":");
    AppendJsonFloat(value, out);
  };
  const auto count = static_cast<double>(totals.count);
  if (shape_.sum > 0) {
    out += ",\"sum\":";
    spec().is_float ? AppendJsonFloat(totals.float_sum, out) : AppendWide(totals.int_sum, out);
    floating("mean",
             (spec().is_float ? totals.float_sum : static_cast<double>(totals.int_sum)) / count);
  }
  if (shape_.min > 0) number("min", totals.min);
  if (shape_.max > 0) number("max", totals.max);
  if (shape_.first > 0) number("first", totals.first);
  if (shape_.last > 0) number("last", totals.last);
  if (shape_.variance > 0) floating("variance", totals.squares / count);
  out.push_back('}');
}

uint64_t Window::AppendPage(uint64_t, size_t, std::string& tagged) const {
  const WindowView view = Current();
  const WindowTotals& totals = view.totals;
  std::string pairs;
  TaggedWriter out(pairs);
  uint64_t size = 0;
  const auto integer = [&](const char* name, int64_t value) {
    out.Text(name), out.Int(value), ++size;
  };
  const auto floating = [&](const char* name, double value) {
    out.Text(name), out.Float(value), ++size;
  };
  const auto number = [&](const char* name, uint64_t raw) {
    spec().is_float ? floating(name, FloatOf(raw)) : integer(name, static_cast<int64_t>(raw));
  };
  integer("count", static_cast<int64_t>(totals.count));
  if (totals.count > 0) {
    const auto count = static_cast<double>(totals.count);
    integer("start", view.start_ms), integer("end", view.end_ms);
    if (shape_.sum > 0) {
      const bool fits = totals.int_sum >= INT64_MIN && totals.int_sum <= INT64_MAX;
      if (spec().is_float) {
        floating("sum", totals.float_sum);
      } else if (fits) {
        integer("sum", static_cast<int64_t>(totals.int_sum));
      } else {
        std::string digits;
        AppendWide(totals.int_sum, digits);
        out.Text("sum"), out.Text(digits), ++size;
      }
      floating("mean",
               (spec().is_float ? totals.float_sum : static_cast<double>(totals.int_sum)) / count);
    }
    if (shape_.min > 0) number("min", totals.min);
    if (shape_.max > 0) number("max", totals.max);
    if (shape_.first > 0) number("first", totals.first);
    if (shape_.last > 0) number("last", totals.last);
    if (shape_.variance > 0) floating("variance", totals.squares / count);
  }
  TaggedWriter(tagged).Map(size);
  tagged += pairs;
  return 0;
}

}  // namespace bettong::grid
