// Commands on all keys: SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHALL.
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/random.h"
#include "protocol/scan_options.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"
#include "protocol/value_types.h"

namespace bettong::protocol {
namespace {

using grid::ShardTurn;
using grid::ValueType;

ReplyWriter ReplyOf(ShardTurn& turn) { return ReplyWriter(turn.reply(), turn.ticket().resp3); }

void RunDbSize(ShardTurn& turn, Args) {
  ReplyOf(turn).Integer(static_cast<int64_t>(turn.key_count()));
}

void ReplyKeys(ShardTurn& turn, const std::vector<std::string_view>& keys) {
  ReplyWriter reply = ReplyOf(turn);
  reply.Array(keys.size());
  for (std::string_view key : keys) reply.Bulk(key);
}

void RunKeys(ShardTurn& turn, Args args) {
  const std::string_view pattern = args[1];
  std::vector<std::string_view> keys;
  turn.Scan(0, SIZE_MAX, [&](std::string_view key, ValueType) {
    if (pattern == "*" || GlobMatch(pattern, key)) keys.push_back(key);
  });
  ReplyKeys(turn, keys);
}

// --- SCAN. The cursor a client sees is position * shards + shard: the shards are gone through one
// after the other. A shard's part is "+", the next position (8 bytes), then the keys as an array.

void RunScanPart(ShardTurn& turn, Args args) {
  ScanOptions options;
  ParseScanOptions(args, 2, /*of_keys=*/true, options);  // checked by the session
  std::vector<std::string_view> keys;
  const uint64_t next =
      turn.Scan(*ParseCursor(args[1]), options.count, [&](std::string_view key, ValueType type) {
        if (!options.Matches(key)) return;
        if (!options.type.empty() && !EqualsIgnoreCase(options.type, TypeName(type))) return;
        keys.push_back(key);
      });
  turn.reply().push_back('+');
  ByteWriter(turn.reply()).Fixed(next);
  ReplyKeys(turn, keys);
}

void MergeScan(Gather& gather, ReplyWriter& reply) {
  const uint64_t shards = gather.note >> 32;
  const uint64_t shard = gather.note & UINT32_MAX;
  const std::string_view part = gather.parts[0];
  const auto position = LoadUnaligned<uint64_t>(part.data() + 1);
  uint64_t cursor = 0;
  if (position != 0) {
    cursor = position * shards + shard;
  } else if (shard + 1 < shards) {
    cursor = shard + 1;
  }
  reply.Array(2);
  reply.Bulk(std::to_string(cursor));
  reply.out().append(part.substr(1 + sizeof(uint64_t)));
}

extern const CommandRow kScanPart;

void RunScan(Session& session, Args args) {
  const auto cursor = ParseCursor(args[1]);
  if (!cursor) return session.ReplyError("ERR invalid cursor");
  ScanOptions options;
  const std::string_view error = ParseScanOptions(args, 2, /*of_keys=*/true, options);
  if (!error.empty()) return session.ReplyError(error);
  const uint64_t shards = session.port().loop().slot_map().shards();
  const uint64_t shard = *cursor % shards;
  CommandBatch& batch = session.port().batch();
  const std::span<std::string_view> part_args = batch.Views(args.size());
  std::copy(args.begin(), args.end(), part_args.begin());
  part_args[1] = batch.Copy(std::to_string(*cursor / shards));
  session.ReplyInParts(kScanPart, 1).note = shards << 32 | shard;
  session.RouteToShard(kScanPart.spec, part_args, ShardId(static_cast<uint16_t>(shard)));
}

constexpr CommandRow ScanRow() {
  CommandRow row = SessionRow("SCAN", -2, kReadOnly, RunScan,
                              {"generic", "2.8.0", "Goes through the keys, some at a time."});
  row.scope = Scope::kRouted;
  return row;
}

constexpr CommandRow kScanPart =
    ShardRow("SCAN", -2, kReadOnly, Scope::kEveryShard, kNoKeys, RunScanPart, MergeScan, {});

// --- RANDOMKEY. A part is the number of keys and one of them: "*2", integer, bulk; or "*1", 0.

void RunRandomKey(ShardTurn& turn, Args) {
  // A run of neighbours from anywhere in the shard: enough to be unpredictable. The scan's
  // positions are sparse: where there is no key it goes on, from the beginning if need be.
  constexpr size_t kNeighboursMax = 64;
  Random random(turn.ticket(), turn.now_ms());
  std::vector<std::string_view> found;
  uint64_t position = random.Below(turn.scan_end() + 1);
  for (bool again = true; found.empty() && turn.key_count() > 0;) {
    position = turn.Scan(position, kNeighboursMax,
                         [&found](std::string_view key, ValueType) { found.push_back(key); });
    if (position == 0 && !std::exchange(again, false)) break;
  }
  ReplyWriter reply = ReplyOf(turn);
  if (found.empty()) {
    reply.Array(1);
    return reply.Integer(0);
  }
  reply.Array(2);
  reply.Integer(static_cast<int64_t>(turn.key_count()));
  reply.Bulk(found[random.Below(found.size())]);
}

void MergeRandomKey(Gather& gather, ReplyWriter& reply) {
  uint64_t keys = 0;
  std::vector<std::pair<uint64_t, std::string_view>> shards;  // keys up to here, and one of them
  for (std::string_view part : gather.parts) {
    if (TakeHead(part) == 1) continue;
    keys += static_cast<uint64_t>(TakeHead(part));
    shards.emplace_back(keys, part);
  }
  if (keys == 0) return reply.Null();
  const uint64_t drawn = gather.note % keys;
  for (const auto& [end, key] : shards) {
    if (drawn < end) return static_cast<void>(reply.out().append(key));
  }
}

void RunFlushAll(ShardTurn& turn, Args args) {
  const bool option =
      args.size() == 2 && (EqualsIgnoreCase(args[1], "ASYNC") || EqualsIgnoreCase(args[1], "SYNC"));
  if (args.size() > 2 || (args.size() == 2 && !option)) {
    return ReplyOf(turn).Error(kSyntaxError);
  }
  turn.FlushAll();
  ReplyOf(turn).Ok();
}

constexpr CommandRow kRows[] = {
    ShardRow("DBSIZE", 1, kReadOnly | kFast, Scope::kEveryShard, kNoKeys, RunDbSize, MergeSum,
             {"server", "1.0.0", "Returns the number of keys."}),
    ShardRow("KEYS", 2, kReadOnly, Scope::kEveryShard, kNoKeys, RunKeys, MergeArrays,
             {"generic", "1.0.0", "Returns all keys that match a pattern."}),
    ScanRow(),
    ShardRow("RANDOMKEY", 1, kReadOnly, Scope::kEveryShard, kNoKeys, RunRandomKey, MergeRandomKey,
             {"generic", "1.0.0", "Returns one of the keys."}),
    ShardRow("FLUSHALL", -1, kWrite, Scope::kEveryShard, kNoKeys, RunFlushAll, MergeOk,
             {"server", "1.0.0", "Removes all keys, without on_expire."}),
    ShardRow("FLUSHDB", -1, kWrite, Scope::kEveryShard, kNoKeys, RunFlushAll, MergeOk,
             {"server", "1.0.0", "Removes all keys, without on_expire."}),
};

}  // namespace

std::span<const CommandRow> KeyspaceCommands() { return kRows; }

}  // namespace bettong::protocol
