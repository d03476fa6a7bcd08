#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <ctime>

#include "base/json_text.h"

namespace bettong {
namespace {

std::atomic<LogFormat> log_format{LogFormat::kAuto};

std::string Stamp(std::chrono::system_clock::time_point time) {
  auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char stamp[40];
  size_t size = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(stamp + size, sizeof(stamp) - size, ".%03dZ", static_cast<int>(ms));
  return stamp;
}

}  // namespace

void SetLogFormat(LogFormat format) { log_format = format; }

void Log(LogLevel level, std::string_view component, std::string_view message) {
  LogFormat format = log_format;
  if (format == LogFormat::kAuto) {
    format = isatty(STDERR_FILENO) ? LogFormat::kText : LogFormat::kJson;
  }
  const std::string entry =
      FormatLogEntry(format, std::chrono::system_clock::now(), level, component, message);
  // Nothing sensible can be done when stderr is gone.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, entry.data(), entry.size());
}

std::string FormatLogEntry(LogFormat format, std::chrono::system_clock::time_point time,
                           LogLevel level, std::string_view component, std::string_view message) {
  static constexpr const char* kNames[] = {"info", "warning", "error"};
  const char* name = kNames[static_cast<int>(level)];
  std::string entry;
  if (format == LogFormat::kText) {
    entry.append(Stamp(time)).append(" ").append(name).append(" ");
    return entry.append(component).append(": ").append(message).append("\n");
  }
  entry.append("{\"time\": \"").append(Stamp(time)).append("\", \"level\": \"").append(name);
  entry.append("\", \"component\": ");
  AppendJsonString(component, entry);
  entry.append(", \"message\": ");
  AppendJsonString(message, entry);
  return entry.append("}\n");
}

}  // namespace bettong
