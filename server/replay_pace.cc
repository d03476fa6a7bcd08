#include "server/replay_pace.h"

#include <simdjson.h>

#include <utility>

#include "base/number_text.h"

namespace bettong::server {

std::optional<double> ParseReplaySpeed(std::string_view text) {
  if (text == "max") return 0;
  if (text.ends_with('x')) text.remove_suffix(1);
  const auto speed = ParseFloat(text);
  if (!speed || *speed < kReplaySpeedMin || *speed > kReplaySpeedMax) return std::nullopt;
  return speed;
}

struct EventTimeReader::Parser {
  simdjson::dom::parser parser;
};

EventTimeReader::EventTimeReader(std::string field)
    : field_(std::move(field)), parser_(std::make_unique<Parser>()) {}
EventTimeReader::~EventTimeReader() = default;

std::optional<TimeMs> EventTimeReader::Read(std::string_view line) {
  int64_t time_ms = 0;
  const auto error = parser_->parser.parse(line.data(), line.size())[field_].get(time_ms);
  return error == simdjson::SUCCESS ? std::optional(time_ms) : std::nullopt;
}

}  // namespace bettong::server
