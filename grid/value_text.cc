#include "grid/value_text.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <chrono>

#include "base/json_text.h"
#include "base/utf8.h"

namespace bettong::grid {
namespace {

constexpr size_t kHexBytesMax = 32;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

bool IsText(std::string_view bytes) {
  return IsUtf8(bytes) && std::all_of(bytes.begin(), bytes.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return (byte >= ' ' && byte != 0x7f) || byte == '\n' || byte == '\r' || byte == '\t';
         });
}

void AppendTimeText(TimeMs time_ms, std::string& out) {
  if (time_ms == kNeverExpires) {
    out += "never";
    return;
  }
  if (time_ms == kNoTime) {
    out += "none";
    return;
  }
  // What no calendar is made for.
  constexpr TimeMs kYear10000Ms = 253'402'300'800'000;
  if (time_ms < 0 || time_ms >= kYear10000Ms) {
    absl::StrAppend(&out, time_ms, "ms");
    return;
  }
  using std::chrono::days, std::chrono::milliseconds;
  const std::chrono::sys_time<milliseconds> at{milliseconds(time_ms)};
  const auto day = std::chrono::floor<days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{at - day};
  absl::StrAppendFormat(&out, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                        time.hours().count(), time.minutes().count(), time.seconds().count(),
                        time.subseconds().count());
}

void AppendBytesText(std::string_view bytes, std::string& out) {
  if (!IsText(bytes)) {
    absl::StrAppend(&out, "0x", absl::BytesToHexString(View(bytes.substr(0, kHexBytesMax))));
    if (bytes.size() > kHexBytesMax) absl::StrAppend(&out, "… (", bytes.size(), " bytes)");
    return;
  }
  size_t kept = bytes.size();
  if (kept > kTextBytesMax) {
    for (kept = kTextBytesMax; kept > 0 && (bytes[kept] & 0xc0) == 0x80;) --kept;
  }
  AppendJsonString(bytes.substr(0, kept), out);
  if (kept < bytes.size()) absl::StrAppend(&out, "… (", bytes.size(), " bytes)");
}

void AppendBytesJson(std::string_view bytes, std::string& out) {
  if (IsUtf8(bytes)) return AppendJsonString(bytes, out);
  absl::StrAppend(&out, "{\"hex\":\"", absl::BytesToHexString(View(bytes)), "\"}");
}

}  // namespace bettong::grid
