#include "protocol/commands_hash_scan.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
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

using FieldAndValue = std::pair<std::string_view, std::string_view>;

// The fields of a hash or an entity in one place, to draw from. Good while nothing is written.
class DrawnFields {
 public:
  DrawnFields(KeyTurn& turn, HashView& hash) {
    const bool is_entity = turn.type() == ValueType::kEntity;
    hash.ForEach([&](std::string_view field, std::string_view value) {
      if (is_entity) value = texts_.emplace_back(value);
      fields_.emplace_back(field, value);
    });
  }
  std::vector<FieldAndValue>& fields() { return fields_; }

 private:
  std::deque<std::string> texts_;  // of an entity's values
  std::vector<FieldAndValue> fields_;
};

// Draws from a hash that is not packed without going through it.
class LargeHash {
 public:
  explicit LargeHash(KeyTurn& turn) : turn_(turn) {
    // The end of the positions that fields have: there is one at `low` or behind it, none from
    // `high` on.
    uint64_t low = 0, high = turn.hash_size();
    while (Visit(high)) low = high, high *= 2;
    while (high - low > 1) {
      const uint64_t middle = low + (high - low) / 2;
      (Visit(middle) ? low : high) = middle;
    }
    end_ = high;
  }

  FieldAndValue Draw(Random& random) {
    // Positions may be free: then again, but not for ever. The field behind a large gap is drawn
    // more often at last.
    constexpr int kTries = 64;
    for (int i = 0; i < kTries; ++i) {
      const uint64_t position = random.Below(end_);
      Visit(position);
      const bool is_there = next_ == position + 1 || (next_ == 0 && position + 1 == end_);
      if (is_there) break;
    }
    return found_;
  }

 private:
  // Finds the first field from `position` on.
  bool Visit(uint64_t position) {
    bool found = false;
    next_ = turn_.HashVisit(position, [&](std::string_view field, std::string_view value) {
      found_ = {field, value};
      found = true;
      return false;
    });
    return found;
  }

  KeyTurn& turn_;
  uint64_t end_ = 0;
  uint64_t next_ = 0;
  FieldAndValue found_;
};

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
  const size_t fields_size = hash.size();
  if (!count && fields_size == 0) return reply.Null();
  // Positive: that many different ones. Negative: that many, each drawn anew.
  const bool repeats = count && *count < 0;
  size_t size = !count ? 1 : static_cast<size_t>(repeats ? -*count : *count);
  if (fields_size == 0) size = 0;
  if (!repeats) size = std::min(size, fields_size);
  constexpr size_t kRepeatsMax = 1'000'000;
  if (size > kRepeatsMax && repeats) return turn.ReplyError(kOutOfRange);
  const bool nested = with_values && turn.resp3();
  if (count) reply.Array(with_values && !nested ? size * 2 : size);
  const auto write = [&](const FieldAndValue& drawn) {
    if (nested) reply.Array(2);
    reply.Bulk(drawn.first);
    if (with_values) reply.Bulk(drawn.second);
  };
  // A few of many: without going through all of them.
  constexpr size_t kManyTimes = 8;
  if (turn.type() == ValueType::kHash && fields_size > grid::kPackedHashFieldsMax &&
      size < fields_size / kManyTimes) {
    LargeHash large(turn);
    absl::flat_hash_set<std::string_view> seen;
    for (size_t drawn = 0; drawn < size;) {
      const FieldAndValue one = large.Draw(random);
      if (!repeats && !seen.insert(one.first).second) continue;
      write(one);
      ++drawn;
    }
    return;
  }
  DrawnFields drawn(turn, hash);
  std::vector<FieldAndValue>& fields = drawn.fields();
  for (size_t i = 0; i < size; ++i) {
    if (!repeats) std::swap(fields[i], fields[i + random.Below(fields.size() - i)]);
    write(repeats ? fields[random.Below(fields.size())] : fields[i]);
  }
}

}  // namespace bettong::protocol
