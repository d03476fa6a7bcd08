#include "protocol/commands_hash_scan.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/number_text.h"
#include "grid/hash_value.h"
#include "protocol/errors.h"
#include "protocol/hash_view.h"
#include "protocol/random.h"
#include "protocol/reply_writer.h"
#include "protocol/scan_options.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::ValueType;

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

constexpr std::string_view kOutOfRange = "ERR value is out of range";

using OwnedFields = std::vector<std::pair<std::string, std::string>>;

OwnedFields AllFields(HashView& hash) {
  OwnedFields fields;
  hash.ForEach([&fields](std::string_view field, std::string_view value) {
    fields.emplace_back(field, value);
  });
  return fields;
}

}  // namespace

// As in Redis, a small hash comes in one piece whatever COUNT says.
void RunHScan(KeyTurn& turn, grid::Args args) {
  const auto cursor = ParseCursor(args[2]);
  if (!cursor) return turn.ReplyError("ERR invalid cursor");
  ScanOptions options;
  const std::string_view error = ParseScanOptions(args, 3, /*of_keys=*/false, options);
  if (!error.empty()) return turn.ReplyError(error);
  HashView hash(turn);
  if (!hash.Open()) return;

  std::vector<std::string> out;
  const auto add = [&](std::string_view field, std::string_view value) {
    if (!options.Matches(field)) return;
    out.emplace_back(field);
    if (!options.no_values) out.emplace_back(value);
  };
  uint64_t next = 0;
  if (turn.type() == ValueType::kHash && hash.size() > grid::kPackedHashFieldsMax) {
    size_t left = options.count;
    next = turn.HashVisit(*cursor, [&](std::string_view field, std::string_view value) {
      add(field, value);
      return --left > 0;
    });
  } else if (*cursor == 0) {
    hash.ForEach(add);
  }
  ReplyWriter reply = ReplyOf(turn);
  reply.Array(2);
  reply.Bulk(std::to_string(next));
  reply.Array(out.size());
  for (const std::string& text : out) reply.Bulk(text);
}

void RunHRandField(KeyTurn& turn, grid::Args args) {
  std::optional<int64_t> count;
  bool with_values = false;
  if (args.size() > 2) {
    count = ParseInt(args[2]);
    if (!count) return turn.ReplyError(kNotAnInteger);
    if (args.size() > 4 || (args.size() == 4 && !EqualsIgnoreCase(args[3], "WITHVALUES"))) {
      return turn.ReplyError(kSyntaxError);
    }
    with_values = args.size() == 4;
    if (*count == INT64_MIN) {
      return turn.ReplyError(
          "ERR value is out of range, value must between -9223372036854775807 and "
          "9223372036854775807");
    }
    if (with_values && (*count < -(INT64_MAX / 2) || *count > INT64_MAX / 2)) {
      return turn.ReplyError(kOutOfRange);
    }
  }
  HashView hash(turn);
  if (!hash.Open()) return;
  ReplyWriter reply = ReplyOf(turn);
  Random random(turn.ticket(), turn.now_ms());
  OwnedFields fields = AllFields(hash);
  if (!count) {
    if (fields.empty()) return reply.Null();
    return reply.Bulk(fields[random.Below(fields.size())].first);
  }
  // Positive: that many different ones. Negative: that many, each drawn anew.
  const bool repeats = *count < 0;
  size_t size = repeats ? static_cast<size_t>(-*count) : static_cast<size_t>(*count);
  if (fields.empty()) size = 0;
  if (!repeats) size = std::min(size, fields.size());
  constexpr size_t kRepeatsMax = 1'000'000;
  if (size > kRepeatsMax && repeats) return turn.ReplyError(kOutOfRange);
  const bool nested = with_values && turn.resp3();
  reply.Array(with_values && !nested ? size * 2 : size);
  for (size_t i = 0; i < size; ++i) {
    if (!repeats) std::swap(fields[i], fields[i + random.Below(fields.size() - i)]);
    const auto& [field, value] = repeats ? fields[random.Below(fields.size())] : fields[i];
    if (nested) reply.Array(2);
    reply.Bulk(field);
    if (with_values) reply.Bulk(value);
  }
}

}  // namespace bettong::protocol
