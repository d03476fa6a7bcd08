#include "base/log.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace bettong {

void Log(LogLevel level, std::string_view component, std::string_view message) {
  auto now = std::chrono::system_clock::now();
  auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char stamp[40];
  size_t size = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(stamp + size, sizeof(stamp) - size, ".%03dZ", static_cast<int>(ms));
  static constexpr const char* kNames[] = {"info", "warning", "error"};
  std::string line = stamp;
  line += ' ';
  line += kNames[static_cast<int>(level)];
  line += ' ';
  line.append(component);
  line += ": ";
  line.append(message);
  line += '\n';
  // Nothing sensible can be done when stderr is gone.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace bettong
