#include "protocol/stream_id.h"

#include <charconv>

namespace bettong::protocol {

using grid::StreamEntryId;

namespace {

// As Redis does: a plus and zeros may lead.
std::optional<uint64_t> ParseUnsigned(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string FormatStreamId(StreamEntryId id) {
  return std::to_string(id.ms) + "-" + std::to_string(id.sequence);
}

std::optional<StreamEntryId> ParseStreamId(std::string_view text, uint64_t missing_sequence) {
  const size_t dash = text.find('-');
  const auto ms = ParseUnsigned(text.substr(0, dash));
  if (!ms) return std::nullopt;
  if (dash == std::string_view::npos) return StreamEntryId{*ms, missing_sequence};
  const auto sequence = ParseUnsigned(text.substr(dash + 1));
  if (!sequence) return std::nullopt;
  return StreamEntryId{*ms, *sequence};
}

std::optional<NewStreamId> ParseNewStreamId(std::string_view text) {
  if (text == "*") return NewStreamId{.auto_ms = true, .auto_sequence = true};
  if (text.ends_with("-*")) {
    const auto ms = ParseUnsigned(text.substr(0, text.size() - 2));
    if (!ms) return std::nullopt;
    return NewStreamId{.id = {*ms, 0}, .auto_sequence = true};
  }
  const auto id = ParseStreamId(text, 0);
  if (!id) return std::nullopt;
  return NewStreamId{.id = *id};
}

std::optional<StreamBound> ParseStreamBound(std::string_view text, uint64_t missing_sequence) {
  if (text == "-") return StreamBound{.id = {0, 0}};
  if (text == "+") return StreamBound{.id = grid::kStreamIdMax};
  StreamBound bound;
  if (!text.empty() && text[0] == '(') {
    bound.exclusive = true;
    text.remove_prefix(1);
  }
  const auto id = ParseStreamId(text, missing_sequence);
  if (!id) return std::nullopt;
  bound.id = *id;
  return bound;
}

std::optional<StreamEntryId> NextStreamId(StreamEntryId id) {
  if (id.sequence != UINT64_MAX) return StreamEntryId{id.ms, id.sequence + 1};
  if (id.ms != UINT64_MAX) return StreamEntryId{id.ms + 1, 0};
  return std::nullopt;
}

std::optional<StreamEntryId> PreviousStreamId(StreamEntryId id) {
  if (id.sequence != 0) return StreamEntryId{id.ms, id.sequence - 1};
  if (id.ms != 0) return StreamEntryId{id.ms - 1, UINT64_MAX};
  return std::nullopt;
}

}  // namespace bettong::protocol
