#include "base/log.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

constexpr auto kTime =
    std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'007));

TEST(Log, TextIsLeftAsItIs) {
  EXPECT_EQ(FormatLogEntry(LogFormat::kText, kTime, LogLevel::kWarning, "python", "a\n  \"b\""),
            "2023-11-14T22:13:20.007Z warning python: a\n  \"b\"\n");
}

TEST(Log, JsonIsOneLineWhateverTheMessage) {
  EXPECT_EQ(FormatLogEntry(LogFormat::kJson, kTime, LogLevel::kError, "node", "a\n\"b\" \xff"),
            "{\"time\": \"2023-11-14T22:13:20.007Z\", \"level\": \"error\", \"component\": "
            "\"node\", \"message\": \"a\\n\\\"b\\\" \xef\xbf\xbd\"}\n");
}

}  // namespace
}  // namespace bettong
