#include "protocol/decimal.h"

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/number_text.h"

namespace bettong::protocol {
namespace {

constexpr size_t kDecimalTextMax = 5 * 1024;  // the largest 80-bit float has 4933 digits

}  // namespace

std::optional<long double> ParseDecimal(std::string_view text) {
  if (text.empty() || text.size() >= kDecimalTextMax) return std::nullopt;
  if (std::isspace(static_cast<unsigned char>(text[0]))) return std::nullopt;
  const std::string copy(text);
  errno = 0;
  char* end = nullptr;
  const long double value = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

std::string FormatDecimal(long double value) {
  char digits[kDecimalTextMax];
  const int size = std::snprintf(digits, sizeof(digits), "%.17Lf", value);
  std::string text(digits, static_cast<size_t>(size));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

void AppendDouble(double value, std::string& out) {
  if (std::isnan(value)) {
    out.append("nan");
  } else if (std::isinf(value)) {
    out.append(value > 0 ? "inf" : "-inf");
  } else {
    AppendFloat(value, out);
  }
}

}  // namespace bettong::protocol
