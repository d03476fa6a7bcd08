// The node's own log on stderr, one line an entry. On a terminal "TIME LEVEL component: message",
// as it is (a message may have lines of its own); elsewhere a JSON object with these four as
// strings.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace bettong {

enum class LogLevel { kInfo, kWarning, kError };
enum class LogFormat { kAuto, kText, kJson };  // kAuto: text on a terminal

// For the process, whose stderr it is; kAuto before. The Python host library has a copy of its own
// of this, too, and is told through PythonOptions.
void SetLogFormat(LogFormat format);

// Thread-safe; one write per entry.
void Log(LogLevel level, std::string_view component, std::string_view message);

// The entry as it is written, newline included. `format` is not kAuto.
std::string FormatLogEntry(LogFormat format, std::chrono::system_clock::time_point time,
                           LogLevel level, std::string_view component, std::string_view message);

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
