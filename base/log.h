// The node's own log: one line per entry on stderr, "TIME LEVEL component: message".
#pragma once

#include <string_view>

namespace bettong {

enum class LogLevel { kInfo, kWarning, kError };

// Thread-safe; one write per line.
void Log(LogLevel level, std::string_view component, std::string_view message);

inline void LogInfo(std::string_view component, std::string_view message) {
  Log(LogLevel::kInfo, component, message);
}
inline void LogWarning(std::string_view component, std::string_view message) {
  Log(LogLevel::kWarning, component, message);
}
inline void LogError(std::string_view component, std::string_view message) {
  Log(LogLevel::kError, component, message);
}

}  // namespace bettong
