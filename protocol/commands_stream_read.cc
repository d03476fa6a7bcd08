#include "protocol/commands_stream_read.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_batch.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/stream_entry.h"
#include "protocol/stream_id.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::ShardTurn;
using grid::StreamEntryId;
using grid::ValueType;

// What a shard is asked, as arguments: the name, COUNT (0: all), the time to wait until ("" to not
// wait, 0 for ever), then keys, then as many ids.
constexpr size_t kPartCount = 1, kPartDeadline = 2, kPartKeys = 3;

// The entries to reply from one stream: a range of positions.
struct Found {
  std::string_view key;
  const grid::StreamValue* stream;
  size_t begin, end;
};

// The id to read beyond; nullopt: nothing new can be there yet ("$").
std::optional<StreamEntryId> After(std::string_view text, const grid::StreamValue* stream) {
  if (text == "$") return std::nullopt;
  if (text == "+") {
    // The last entry, if there is one.
    if (stream == nullptr || stream->entries.empty()) return std::nullopt;
    return PreviousStreamId(stream->entries.back().id);
  }
  return ParseStreamId(text, 0);
}

void Wait(ShardTurn& shard, Args args, std::span<const std::string_view> keys) {
  // "$" and "+" mean the last entry there is now, not the one there will be at the next try.
  std::vector<std::string> ids;
  ids.reserve(keys.size());
  std::vector<std::string_view> again(args.begin(), args.end());
  for (size_t i = 0; i < keys.size(); ++i) {
    std::string_view& id = again[kPartKeys + keys.size() + i];
    if (id != "$" && id != "+") continue;
    KeyTurn turn = shard.Key(keys[i], shard.reply());
    ids.push_back(FormatStreamId(turn.exists() ? turn.stream_value().last_id : StreamEntryId{}));
    id = ids.back();
  }
  const TimeMs deadline_ms = *ParseInt(args[kPartDeadline]);
  std::string timeout_reply;
  ReplyWriter(timeout_reply, shard.ticket().resp3).NullArray();
  for (std::string_view key : keys) {
    shard.Key(key, shard.reply())
        .WaitForAppend(again, deadline_ms == 0 ? kNeverExpires : deadline_ms, timeout_reply);
  }
}

void ReadHere(ShardTurn& shard, Args args) {
  const auto count = static_cast<size_t>(*ParseInt(args[kPartCount]));
  const size_t streams = (args.size() - kPartKeys) / 2;
  const Args keys = args.subspan(kPartKeys, streams);
  std::vector<Found> found;
  for (size_t i = 0; i < streams; ++i) {
    KeyTurn turn = shard.Key(keys[i], shard.reply());
    if (turn.exists() && turn.type() != ValueType::kStream) return ReplyWrongType(turn);
    if (!turn.exists()) continue;
    const grid::StreamValue& stream = turn.stream_value();
    const auto after = After(args[kPartKeys + streams + i], &stream);
    const auto first = after ? NextStreamId(*after) : std::nullopt;
    if (!first) continue;
    const size_t begin = stream.LowerBound(*first);
    size_t size = stream.entries.size() - begin;
    if (count > 0) size = std::min(size, count);
    if (size > 0) found.push_back({keys[i], &stream, begin, begin + size});
  }
  ReplyWriter reply(shard.reply(), shard.ticket().resp3);
  if (found.empty()) {
    if (args[kPartDeadline].empty()) return reply.NullArray();
    return Wait(shard, args, keys);
  }
  reply.resp3() ? reply.Map(found.size()) : reply.Array(found.size());
  StreamEntryWriter writer(reply);
  for (const Found& stream : found) {
    if (!reply.resp3()) reply.Array(2);
    reply.Bulk(stream.key);
    reply.Array(stream.end - stream.begin);
    for (size_t i = stream.begin; i < stream.end; ++i) writer.Write(stream.stream->entries[i]);
  }
}

// The stream's name at the head of an answer, which is moved behind it.
std::string_view TakeName(std::string_view& answer) {
  const auto size = static_cast<size_t>(TakeHead(answer));
  const std::string_view name = answer.substr(0, size);
  answer.remove_prefix(size + 2);
  return name;
}

// The shards' answers, in the order of the request (gather.args: its keys). Each has its own
// streams in that order, without those that have nothing.
void MergeRead(Gather& gather, ReplyWriter& reply) {
  size_t streams = 0;
  std::vector<std::string_view> rests(gather.parts.size());
  for (size_t i = 0; i < rests.size(); ++i) {
    std::string_view part = gather.parts[i];
    if (part.empty() || IsNullReply(part)) continue;
    streams += static_cast<size_t>(TakeHead(part));
    rests[i] = part;
  }
  if (streams == 0) return reply.NullArray();
  reply.resp3() ? reply.Map(streams) : reply.Array(streams);
  for (size_t i = 0; i < gather.args.size() && streams > 0; ++i) {
    std::string_view& rest = rests[gather.part_of_key[i]];
    if (rest.empty()) continue;
    std::string_view behind = rest;
    if (!reply.resp3()) TakeHead(behind);  // a stream is a pair
    if (TakeName(behind) != gather.args[i]) continue;
    behind.remove_prefix(ValueSize(behind));
    reply.out().append(rest.substr(0, rest.size() - behind.size()));
    rest = behind;
    --streams;
  }
}

constexpr CommandRow kParts = [] {
  CommandRow row{.spec = MakeSpec("XREAD", kReadOnly)};
  row.spec.run_shard = ReadHere;
  row.merge = MergeRead;
  return row;
}();

struct ReadRequest {
  size_t count = 0;
  std::optional<TimeMs> deadline_ms;  // 0: waits for ever
  Args keys, ids;
};

// The error's text, or empty.
std::string ParseRead(Args args, TimeMs now_ms, ReadRequest& request) {
  for (size_t i = 1; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (EqualsIgnoreCase(args[i], "BLOCK") && more) {
      const auto timeout_ms = ParseInt(args[++i]);
      TimeMs deadline_ms = 0;
      if (!timeout_ms) return "ERR timeout is not an integer or out of range";
      if (*timeout_ms < 0) return "ERR timeout is negative";
      // One more, as the millisecond of now_ms is not over: nobody waits less than asked.
      if (*timeout_ms > 0 && __builtin_add_overflow(now_ms + 1, *timeout_ms, &deadline_ms)) {
        return "ERR timeout is out of range";
      }
      request.deadline_ms = deadline_ms;
    } else if (EqualsIgnoreCase(args[i], "COUNT") && more) {
      const auto count = ParseInt(args[++i]);
      if (!count) return std::string(kNotAnInteger);
      request.count = *count < 0 ? 0 : static_cast<size_t>(*count);
    } else if (EqualsIgnoreCase(args[i], "STREAMS") && more) {
      const size_t left = args.size() - i - 1;
      if (left % 2 != 0) {
        return "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
               "specified.";
      }
      request.keys = args.subspan(i + 1, left / 2);
      request.ids = args.subspan(i + 1 + left / 2);
      break;
    } else {
      return std::string(kSyntaxError);
    }
  }
  if (request.keys.empty()) return std::string(kSyntaxError);
  for (std::string_view id : request.ids) {
    if (id == ">") {
      return "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
             "<consumer> option.";
    }
    if (id != "$" && id != "+" && !ParseStreamId(id, 0)) return std::string(kInvalidStreamId);
  }
  return "";
}

// The positions, in the request, of the keys that a shard has.
std::vector<std::vector<size_t>> ByShard(const grid::SlotMap& slots, Args keys) {
  std::vector<std::vector<size_t>> positions(slots.shards());
  for (size_t i = 0; i < keys.size(); ++i) {
    positions[slots.ShardOf(SlotOfKey(keys[i])).value()].push_back(i);
  }
  return positions;
}

}  // namespace

// Streams of several shards are read in parts. A blocking read is complete with the first part that
// has entries.
void RunXRead(Session& session, Args args) {
  ReadRequest request;
  const std::string error = ParseRead(args, session.now_ms(), request);
  if (!error.empty()) return session.ReplyError(error);
  CommandBatch& batch = session.port().batch();
  const auto positions = ByShard(session.port().loop().slot_map(), request.keys);
  const auto shards = static_cast<size_t>(std::count_if(
      positions.begin(), positions.end(), [](const auto& some) { return !some.empty(); }));
  Gather* gather = nullptr;
  if (shards > 1) {
    gather = &session.ReplyInParts(kParts, shards);
    gather->first_wins = request.deadline_ms.has_value();
    gather->args.assign(request.keys.begin(), request.keys.end());
    gather->part_of_key.resize(request.keys.size());
  }
  uint16_t part = 0;
  for (uint16_t shard = 0; shard < positions.size(); ++shard) {
    const std::vector<size_t>& some = positions[shard];
    if (some.empty()) continue;
    const std::span<std::string_view> out = batch.Views(kPartKeys + 2 * some.size());
    out[0] = args[0];
    out[kPartCount] = batch.Copy(std::to_string(request.count));
    out[kPartDeadline] =
        request.deadline_ms ? batch.Copy(std::to_string(*request.deadline_ms)) : "";
    for (size_t i = 0; i < some.size(); ++i) {
      out[kPartKeys + i] = request.keys[some[i]];
      if (gather != nullptr) gather->part_of_key[some[i]] = part;
      out[kPartKeys + some.size() + i] = request.ids[some[i]];
    }
    session.RouteToShard(kParts.spec, out, ShardId(shard), part++);
  }
  if (request.deadline_ms) session.Block();
}

CommandRow::KeyRange XReadKeys(Args args) {
  for (size_t i = 1; i + 1 < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "STREAMS")) return {i + 1, (args.size() - i - 1) / 2};
  }
  return {};
}

}  // namespace bettong::protocol
