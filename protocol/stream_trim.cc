#include "protocol/stream_trim.h"

#include <algorithm>

#include "base/number_text.h"
#include "protocol/errors.h"
#include "protocol/stream_id.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

constexpr size_t kApproximateRemovedMax = 10'000;  // without LIMIT

}  // namespace

std::string_view ParseStreamTrimming(grid::Args args, size_t& next, StreamTrimming& trimming) {
  for (; next < args.size(); ++next) {
    const bool is_length = EqualsIgnoreCase(args[next], "MAXLEN");
    const bool is_id = EqualsIgnoreCase(args[next], "MINID");
    const size_t more = args.size() - next - 1;
    if ((is_length || is_id) && more >= 1) {
      if (trimming.any()) {
        return "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
      }
      if (more >= 2 && (args[next + 1] == "~" || args[next + 1] == "=")) {
        trimming.approximate = args[++next] == "~";
      }
      const std::string_view threshold = args[++next];
      if (is_length) {
        const auto entries = ParseInt(threshold);
        if (!entries) return kNotAnInteger;
        if (*entries < 0) return "ERR The MAXLEN argument must be >= 0.";
        trimming.entries_max = static_cast<size_t>(*entries);
      } else {
        trimming.id_min = ParseStreamId(threshold, 0);
        if (!trimming.id_min) return kInvalidStreamId;
      }
    } else if (EqualsIgnoreCase(args[next], "LIMIT") && more >= 1) {
      const auto limit = ParseInt(args[++next]);
      if (!limit) return kNotAnInteger;
      if (*limit < 0) return "ERR The LIMIT argument must be >= 0.";
      trimming.limit = static_cast<size_t>(*limit);
    } else {
      break;
    }
  }
  return {};
}

std::string_view CheckStreamTrimming(const StreamTrimming& trimming) {
  if (trimming.limit.value_or(0) > 0 && !trimming.any()) {
    return "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
  }
  if (trimming.limit && !trimming.approximate) {
    return "ERR syntax error, LIMIT cannot be used without the special ~ option";
  }
  return {};
}

size_t TrimStream(grid::KeyTurn& turn, const StreamTrimming& trimming) {
  const auto& entries = turn.stream_value().entries;
  size_t removed = 0;
  if (trimming.entries_max && entries.size() > *trimming.entries_max) {
    removed = entries.size() - *trimming.entries_max;
  }
  if (trimming.id_min) removed = turn.stream_value().LowerBound(*trimming.id_min);
  if (trimming.approximate) {
    const size_t limit = trimming.limit.value_or(kApproximateRemovedMax);
    if (limit > 0) removed = std::min(removed, limit);
  }
  if (removed == 0) return 0;
  const auto first_kept = removed < entries.size() ? std::optional(entries[removed].id)
                                                   : NextStreamId(entries.back().id);
  if (!first_kept) return 0;
  turn.StreamTrim(*first_kept);
  turn.Notify(grid::kNotifyStream, "xtrim");
  return removed;
}

}  // namespace bettong::protocol
