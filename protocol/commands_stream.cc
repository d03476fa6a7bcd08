// Streams: XADD, XLEN, XRANGE and their relatives; XREAD is in commands_stream_read.cc.
#include <algorithm>

#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/commands_stream_read.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/stream_entry.h"
#include "protocol/stream_id.h"
#include "protocol/stream_trim.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

constexpr TimeMs kDeclaredIdAheadMaxMs = 24 * 3600 * 1000;

using grid::KeyTurn;
using grid::StreamEntryId;
using grid::ValueType;

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

// The id of the next entry, or the error has been replied.
std::optional<StreamEntryId> ChooseId(KeyTurn& turn, const NewStreamId& asked) {
  const StreamEntryId last = turn.exists() ? turn.stream_value().last_id : StreamEntryId{};
  StreamEntryId id = asked.id;
  if (asked.auto_ms) id.ms = std::max(static_cast<uint64_t>(turn.now_ms()), last.ms);
  if (last == grid::kStreamIdMax) {
    turn.ReplyError("ERR The stream has exhausted the last possible ID, unable to add more items");
    return std::nullopt;
  }
  if (asked.auto_sequence) {
    // Redis moves on to the next ms only for "*".
    if (id.ms == last.ms) {
      if (last.sequence == UINT64_MAX && asked.auto_ms) return NextStreamId(last);
      id.sequence = last.sequence == UINT64_MAX ? last.sequence : last.sequence + 1;
    }
  }
  if (id <= last) {
    turn.ReplyError(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return std::nullopt;
  }
  return id;
}

void RunXAdd(KeyTurn& turn, Args args) {
  bool create = true;
  StreamTrimming trimming;
  size_t next = 2;
  for (;;) {
    const size_t before = next;
    if (next < args.size() && EqualsIgnoreCase(args[next], "NOMKSTREAM")) {
      create = false;
      ++next;
    }
    const std::string_view error = ParseStreamTrimming(args, next, trimming);
    if (!error.empty()) return turn.ReplyError(error);
    if (next == before) break;
  }
  if (const auto wrong = CheckStreamTrimming(trimming); !wrong.empty()) {
    return turn.ReplyError(wrong);
  }
  // Redis's order: the id's form, the number of fields, the id's value, the key's type.
  if (next >= args.size()) return turn.ReplyError(WrongArity("xadd"));
  const auto asked = ParseNewStreamId(args[next]);
  if (!asked) return turn.ReplyError(kInvalidStreamId);
  if (args.size() - next < 3 || (args.size() - next) % 2 == 0) {
    return turn.ReplyError(WrongArity("xadd"));
  }
  if (!asked->auto_ms && !asked->auto_sequence && asked->id == StreamEntryId{}) {
    return turn.ReplyError("ERR The ID specified in XADD must be greater than 0-0");
  }
  if (turn.exists() && turn.type() != ValueType::kStream) return ReplyWrongType(turn);
  StreamId stream;
  const grid::StreamSchema* schema = turn.catalog().FindStream(turn.key(), &stream);
  if (!turn.exists()) {
    if (!create) return ReplyOf(turn).Null();
    if (schema == nullptr && RefusesNewKey(turn)) return;
  }
  const auto id = ChooseId(turn, *asked);
  if (!id) return;
  // What apps emit into a declared stream gets ids by the clock, above this one.
  if (schema != nullptr && id->ms > static_cast<uint64_t>(turn.now_ms() + kDeclaredIdAheadMaxMs)) {
    return turn.ReplyError("ERR The ID specified in XADD lies more than a day ahead, and '" +
                           std::string(turn.key()) + "' is a stream of an app");
  }

  FieldsPayload payload((args.size() - next - 1) / 2);
  for (size_t i = next + 1; i < args.size(); i += 2) payload.Add(args[i], args[i + 1]);
  if (schema == nullptr || schema->view_entries_max > 0) {
    turn.StreamAppend(*id, grid::StreamEntryForm::kFields, payload.bytes());
    turn.Notify(grid::kNotifyStream, "xadd");
    TrimStream(turn, trimming);
    if (schema != nullptr) turn.BoundView(*schema);
  }
  if (schema != nullptr && schema->has_handlers()) {
    turn.FeedStream(stream, *id, payload.bytes());
  }
  if (schema != nullptr && schema->adds_are_durable) turn.ReplyWhenDurable();
  ReplyOf(turn).Bulk(FormatStreamId(*id));
}

void RunXLen(KeyTurn& turn, Args) {
  if (!turn.exists()) return ReplyOf(turn).Integer(0);
  if (turn.type() != ValueType::kStream) return ReplyWrongType(turn);
  ReplyOf(turn).Integer(static_cast<int64_t>(turn.stream_value().entries.size()));
}

struct Range {
  StreamEntryId first, last;
  std::optional<size_t> count;
};

// False: the error has been replied.
bool ParseRange(KeyTurn& turn, Args args, bool reversed, Range& range) {
  const auto start = ParseStreamBound(args[reversed ? 3 : 2], 0);
  const auto end = ParseStreamBound(args[reversed ? 2 : 3], UINT64_MAX);
  if (!start || !end) {
    turn.ReplyError(kInvalidStreamId);
    return false;
  }
  const auto first = start->exclusive ? NextStreamId(start->id) : start->id;
  const auto last = end->exclusive ? PreviousStreamId(end->id) : end->id;
  if (!first || !last) {
    turn.ReplyError(first ? "ERR invalid end ID for the interval"
                          : "ERR invalid start ID for the interval");
    return false;
  }
  range.first = *first;
  range.last = *last;
  for (size_t i = 4; i < args.size(); i += 2) {
    if (!EqualsIgnoreCase(args[i], "COUNT") || i + 1 == args.size()) {
      turn.ReplyError(kSyntaxError);
      return false;
    }
    const auto count = ParseInt(args[i + 1]);
    if (!count) {
      turn.ReplyError(kNotAnInteger);
      return false;
    }
    range.count = *count < 0 ? 0 : static_cast<size_t>(*count);
  }
  return true;
}

void ReplyRange(KeyTurn& turn, Args args, bool reversed) {
  Range range;
  if (!ParseRange(turn, args, reversed, range)) return;
  ReplyWriter reply = ReplyOf(turn);
  if (!turn.exists()) return reply.Array(0);
  if (turn.type() != ValueType::kStream) return ReplyWrongType(turn);
  if (range.count == 0) return reply.NullArray();
  const grid::StreamValue& stream = turn.stream_value();
  const size_t begin = stream.LowerBound(range.first);
  const auto after = NextStreamId(range.last);
  const size_t end = after ? stream.LowerBound(*after) : stream.entries.size();
  const size_t size = begin < end ? std::min(end - begin, range.count.value_or(SIZE_MAX)) : 0;
  reply.Array(size);
  StreamEntryWriter writer(reply);
  for (size_t i = 0; i < size; ++i) {
    writer.Write(stream.entries[reversed ? end - 1 - i : begin + i]);
  }
}

void RunXRange(KeyTurn& turn, Args args) { ReplyRange(turn, args, false); }
void RunXRevRange(KeyTurn& turn, Args args) { ReplyRange(turn, args, true); }

void RunXTrim(KeyTurn& turn, Args args) {
  StreamTrimming trimming;
  size_t next = 2;
  const std::string_view error = ParseStreamTrimming(args, next, trimming);
  if (!error.empty()) return turn.ReplyError(error);
  if (next != args.size()) return turn.ReplyError(kSyntaxError);
  if (!trimming.any() && trimming.limit.value_or(0) == 0) {
    return turn.ReplyError(
        "ERR syntax error, XTRIM must be called with a trimming strategy: MAXLEN or MINID");
  }
  if (const auto wrong = CheckStreamTrimming(trimming); !wrong.empty()) {
    return turn.ReplyError(wrong);
  }
  if (!turn.exists()) return ReplyOf(turn).Integer(0);
  if (turn.type() != ValueType::kStream) return ReplyWrongType(turn);
  ReplyOf(turn).Integer(static_cast<int64_t>(TrimStream(turn, trimming)));
}

// --- XINFO STREAM

void RunXInfoStream(KeyTurn& turn, Args) {
  if (!turn.exists()) return turn.ReplyError("ERR no such key");
  if (turn.type() != ValueType::kStream) return ReplyWrongType(turn);
  const grid::StreamValue& stream = turn.stream_value();
  ReplyWriter reply = ReplyOf(turn);
  StreamEntryWriter writer(reply);
  const auto entry = [&](std::string_view name, size_t index) {
    reply.Bulk(name);
    stream.entries.empty() ? reply.Null() : writer.Write(stream.entries[index]);
  };
  const auto number = [&](std::string_view name, uint64_t value) {
    reply.Bulk(name);
    reply.Integer(static_cast<int64_t>(value));
  };
  const auto id = [&](std::string_view name, StreamEntryId value) {
    reply.Bulk(name);
    reply.Bulk(FormatStreamId(value));
  };
  reply.Map(10);
  number("length", stream.entries.size());
  number("radix-tree-keys", stream.entries.empty() ? 0 : 1);
  number("radix-tree-nodes", 1);
  id("last-generated-id", stream.last_id);
  id("max-deleted-entry-id", stream.max_deleted_id);
  number("entries-added", stream.entries_added);
  id("recorded-first-entry-id",
     stream.entries.empty() ? StreamEntryId{} : stream.entries.front().id);
  number("groups", 0);
  entry("first-entry", 0);
  entry("last-entry", stream.entries.empty() ? 0 : stream.entries.size() - 1);
}

constexpr grid::CommandSpec kXInfoStream = [] {
  grid::CommandSpec spec = MakeSpec("XINFO", kReadOnly);
  spec.run_key = RunXInfoStream;
  return spec;
}();

constexpr std::string_view kXInfoHelp[] = {
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "STREAM <key>",
    "    Show information about the stream.",
    "HELP",
    "    Print this help.",
};

void RunXInfo(Session& session, Args args) {
  if (EqualsIgnoreCase(args[1], "HELP")) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kXInfoHelp));
    for (std::string_view line : kXInfoHelp) reply.Status(line);
  } else if (!EqualsIgnoreCase(args[1], "STREAM")) {
    session.ReplyError(UnknownSubcommand(args[1], "xinfo"));
  } else if (args.size() != 3) {
    session.ReplyError(args.size() < 3 ? WrongArity("xinfo|stream") : std::string(kSyntaxError));
  } else {
    session.RouteToKey(kXInfoStream, args, args[2]);
  }
}

constexpr CommandRow RoutedRow(CommandRow row, KeyPositions keys,
                               CommandRow::KeyRange (*find_keys)(Args args)) {
  row.scope = Scope::kRouted;
  row.keys = keys;
  row.find_keys = find_keys;
  return row;
}

constexpr CommandRow kRows[] = {
    KeyRow("XADD", -5, kWrite | kDenyOom | kFast | kFeedsStreams, RunXAdd,
           {"stream", "5.0.0", "Adds an entry to a stream; handlers of a declared stream get it."}),
    KeyRow("XLEN", 2, kReadOnly | kFast, RunXLen,
           {"stream", "5.0.0", "Returns the number of entries in a stream."}),
    KeyRow("XRANGE", -4, kReadOnly, RunXRange,
           {"stream", "5.0.0", "Returns the entries of a range of ids."}),
    KeyRow("XREVRANGE", -4, kReadOnly, RunXRevRange,
           {"stream", "5.0.0", "Returns the entries of a range of ids, from the last one on."}),
    KeyRow("XTRIM", -4, kWrite, RunXTrim,
           {"stream", "5.0.0", "Removes entries from the beginning of a stream."}),
    RoutedRow(SessionRow("XREAD", -4, kReadOnly | kBlocking | kMovableKeys, RunXRead,
                         {"stream", "5.0.0", "Returns entries of streams beyond given ids."}),
              kNoKeys, XReadKeys),
    RoutedRow(
        SessionRow("XINFO", -2, kReadOnly, RunXInfo, {"stream", "5.0.0", "Tells about a stream."}),
        {2, 2, 1}, nullptr),
};

}  // namespace

std::span<const CommandRow> StreamCommands() { return kRows; }

}  // namespace bettong::protocol
