// DEADLETTER: the letters of the stream bettong:dead-letters (docs/dead-letters.md), listed,
// shown, retried and dropped.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/number_text.h"
#include "grid/catalog.h"
#include "grid/dead_letter.h"
#include "grid/entity_message.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/stream_entry.h"
#include "protocol/stream_id.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::KeyTurn;
using grid::StreamEntry;
using grid::StreamEntryId;
using grid::ValueType;

// Without COUNT.
constexpr size_t kListCountDefault = 100;
// Of an error in a list; DEADLETTER GET has all of it.
constexpr size_t kListErrorBytesMax = 256;
// What a list tells of a letter, besides its id.
constexpr std::string_view kListFields[] = {"stream", "class", "key", "handler", "error"};

ReplyWriter ReplyOf(KeyTurn& turn) { return ReplyWriter(turn.reply(), turn.resp3()); }

std::string NoSuchLetter(std::string_view id) {
  return "ERR no such dead letter: '" + std::string(id) +
         "' (DEADLETTER LIST tells which there are)";
}

// The letters there are; null: there are none, or (`failed`) the error has been replied.
const grid::StreamValue* Letters(KeyTurn& turn, bool& failed) {
  failed = turn.exists() && turn.type() != ValueType::kStream;
  if (failed) ReplyWrongType(turn);
  return turn.exists() && !failed ? &turn.stream_value() : nullptr;
}

const StreamEntry* Letter(KeyTurn& turn, StreamEntryId id) {
  if (!turn.exists()) return nullptr;
  const grid::StreamValue& letters = turn.stream_value();
  const size_t at = letters.LowerBound(id);
  return at < letters.entries.size() && letters.entries[at].id == id ? &letters.entries[at]
                                                                     : nullptr;
}

const StreamEntryPair* Find(std::span<const StreamEntryPair> pairs, std::string_view field) {
  const auto at = std::find_if(pairs.begin(), pairs.end(),
                               [&](const StreamEntryPair& pair) { return pair.field == field; });
  return at == pairs.end() || at->is_null ? nullptr : &*at;
}

bool Has(std::span<const StreamEntryPair> pairs, std::string_view field, std::string_view value) {
  const StreamEntryPair* pair = Find(pairs, field);
  return pair != nullptr && pair->value == value;
}

void RunLen(KeyTurn& turn, Args) {
  bool failed = false;
  const grid::StreamValue* letters = Letters(turn, failed);
  if (failed) return;
  ReplyOf(turn).Integer(letters == nullptr ? 0 : static_cast<int64_t>(letters->entries.size()));
}

struct ListRequest {
  std::optional<std::string_view> entity_class, stream;
  size_t count = kListCountDefault;
  StreamEntryId from;
};

// The error's text, or empty.
std::string_view ParseList(Args args, ListRequest& request) {
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return kSyntaxError;
    const std::string_view value = args[i + 1];
    if (EqualsIgnoreCase(args[i], "CLASS")) {
      request.entity_class = value;
    } else if (EqualsIgnoreCase(args[i], "STREAM")) {
      request.stream = value;
    } else if (EqualsIgnoreCase(args[i], "COUNT")) {
      const auto count = ParseInt(value);
      if (!count) return kNotAnInteger;
      if (*count < 1) return "ERR COUNT must be positive";
      request.count = static_cast<size_t>(*count);
    } else if (EqualsIgnoreCase(args[i], "FROM")) {
      const auto bound = ParseStreamBound(value, 0);
      const auto from = !bound             ? std::nullopt
                        : bound->exclusive ? NextStreamId(bound->id)
                                           : std::optional(bound->id);
      if (!from) return kInvalidStreamId;
      request.from = *from;
    } else {
      return kSyntaxError;
    }
  }
  return {};
}

void WriteListed(StreamEntryId id, std::span<const StreamEntryPair> pairs, ReplyWriter& reply) {
  reply.Map(1 + std::size(kListFields));
  reply.Bulk("id");
  reply.Bulk(FormatStreamId(id));
  for (const std::string_view field : kListFields) {
    reply.Bulk(field);
    const StreamEntryPair* pair = Find(pairs, field);
    if (pair == nullptr) {
      reply.Null();
    } else if (field == "error") {
      reply.Bulk(grid::CutText(pair->value, kListErrorBytesMax));
    } else {
      reply.Bulk(pair->value);
    }
  }
}

void RunList(KeyTurn& turn, Args args) {
  ListRequest request;
  if (const auto error = ParseList(args, request); !error.empty()) return turn.ReplyError(error);
  bool failed = false;
  const grid::StreamValue* letters = Letters(turn, failed);
  if (failed) return;
  std::string listed;
  ReplyWriter out(listed, turn.resp3());
  size_t count = 0;
  StreamEntryPairs reader;
  for (size_t i = letters == nullptr ? 0 : letters->LowerBound(request.from);
       letters != nullptr && i < letters->entries.size() && count < request.count; ++i) {
    const StreamEntry& letter = letters->entries[i];
    const auto pairs = reader.Read(letter);
    if (request.entity_class && !Has(pairs, "class", *request.entity_class)) continue;
    if (request.stream && !Has(pairs, "stream", *request.stream)) continue;
    WriteListed(letter.id, pairs, out);
    ++count;
  }
  ReplyOf(turn).Array(count);
  turn.reply() += listed;
}

void RunGet(KeyTurn& turn, Args args) {
  const auto id = ParseStreamId(args[2], 0);
  if (!id) return turn.ReplyError(kInvalidStreamId);
  bool failed = false;
  const grid::StreamValue* letters = Letters(turn, failed);
  if (failed) return;
  const StreamEntry* letter = letters == nullptr ? nullptr : Letter(turn, *id);
  if (letter == nullptr) return turn.ReplyError(NoSuchLetter(args[2]));
  StreamEntryPairs reader;
  const auto pairs = reader.Read(*letter);
  ReplyWriter reply = ReplyOf(turn);
  reply.Map(1 + pairs.size());
  reply.Bulk("id");
  reply.Bulk(FormatStreamId(*id));
  for (const StreamEntryPair& pair : pairs) {
    reply.Bulk(pair.field);
    pair.is_null ? reply.Null() : reply.Bulk(pair.value);
  }
}

// Which letters DROP and RETRY mean: id [id ...] | CLASS class | ALL. False: an error was replied.
bool Choose(KeyTurn& turn, Args args, std::vector<StreamEntryId>& ids) {
  const bool all = EqualsIgnoreCase(args[2], "ALL");
  const bool by_class = EqualsIgnoreCase(args[2], "CLASS");
  if ((all && args.size() != 3) || (by_class && args.size() != 4)) {
    turn.ReplyError(kSyntaxError);
    return false;
  }
  if (!all && !by_class) {
    for (const std::string_view text : args.subspan(2)) {
      const auto id = ParseStreamId(text, 0);
      if (!id) {
        turn.ReplyError(kInvalidStreamId);
        return false;
      }
      ids.push_back(*id);
    }
  }
  bool failed = false;
  const grid::StreamValue* letters = Letters(turn, failed);
  if (failed) return false;
  StreamEntryPairs reader;
  for (size_t i = 0; letters != nullptr && (all || by_class) && i < letters->entries.size(); ++i) {
    const StreamEntry& letter = letters->entries[i];
    if (by_class && !Has(reader.Read(letter), "class", args[3])) continue;
    ids.push_back(letter.id);
  }
  return true;
}

// DEADLETTER DROP id [id ...] | CLASS class | ALL
void RunDrop(KeyTurn& turn, Args args) {
  std::vector<StreamEntryId> ids;
  if (!Choose(turn, args, ids)) return;
  const size_t dropped = turn.exists() ? turn.StreamDelete(ids) : 0;
  if (dropped > 0) turn.Notify(grid::kNotifyStream, "xdel");
  ReplyOf(turn).Integer(static_cast<int64_t>(dropped));
}

std::string_view ValueOf(std::span<const StreamEntryPair> pairs, std::string_view field) {
  const StreamEntryPair* pair = Find(pairs, field);
  return pair == nullptr ? std::string_view() : pair->value;
}

// What sends a letter's event on its way again, into `json`. What it cannot be for, or empty.
std::string_view RetryOf(std::span<const StreamEntryPair> pairs, const grid::Catalog& catalog,
                         std::string& json) {
  const std::string_view event = ValueOf(pairs, "event");
  const std::string_view entity_class = ValueOf(pairs, "class");
  grid::EventAgain again;
  again.stream = ValueOf(pairs, "stream");
  again.event = event;
  if (again.stream.empty() || event.empty()) {
    return "it is of no event: what ends with an entity or a window cannot run again";
  }
  if (Find(pairs, "event_base64") != nullptr) return "its event is not UTF-8";
  if (event.ends_with(grid::kCutTextEnd)) return "it holds only the beginning of its event";
  if (again.stream == grid::kMessageStream) {
    json = event;
    return {};
  }
  StreamId stream;
  if (catalog.FindStream(again.stream, &stream) == nullptr)
    return "its stream is not there any more";
  if (!entity_class.empty()) {
    const grid::ClassSchema* schema = catalog.FindClass(entity_class);
    if (schema == nullptr) return "its class is not there any more";
    again.prefix = schema->prefix;
    again.key = ValueOf(pairs, "key");
    again.handler = ValueOf(pairs, "handler");
  } else if (const std::string_view function = ValueOf(pairs, "handler"); !function.empty()) {
    if (catalog.FindFunction(stream, function) == nullptr) {
      return "its function is not there any more";
    }
    again.handler = function;
  }
  AppendMessageJson(again, json);
  return {};
}

// DEADLETTER RETRY id [id ...] | CLASS class | ALL. Of letters that are named, all or none; else
// those that cannot be retried stay.
void RunRetry(KeyTurn& turn, Args args) {
  std::vector<StreamEntryId> ids, retried;
  if (!Choose(turn, args, ids)) return;
  const bool named = !EqualsIgnoreCase(args[2], "ALL") && !EqualsIgnoreCase(args[2], "CLASS");
  std::vector<std::string> messages;
  StreamEntryPairs reader;
  for (const StreamEntryId id : ids) {
    if (std::find(retried.begin(), retried.end(), id) != retried.end()) continue;
    const StreamEntry* letter = Letter(turn, id);
    if (letter == nullptr) return turn.ReplyError(NoSuchLetter(FormatStreamId(id)));
    std::string json;
    const std::string_view wrong = RetryOf(reader.Read(*letter), turn.catalog(), json);
    if (!wrong.empty() && named) {
      return turn.ReplyError("ERR the dead letter '" + FormatStreamId(id) +
                             "' cannot be retried: " + std::string(wrong));
    }
    if (!wrong.empty()) continue;
    messages.push_back(std::move(json));
    retried.push_back(id);
  }
  for (const std::string& json : messages) turn.SendMessage(json);
  if (!retried.empty()) {
    turn.StreamDelete(retried);
    turn.Notify(grid::kNotifyStream, "xdel");
  }
  ReplyOf(turn).Integer(static_cast<int64_t>(retried.size()));
}

constexpr grid::CommandSpec SubcommandSpec(uint32_t flags, void (*run)(KeyTurn&, Args)) {
  grid::CommandSpec spec = MakeSpec("DEADLETTER", flags);
  spec.run_key = run;
  return spec;
}

struct Subcommand {
  std::string_view name, lower;
  size_t args_min, args_max;
  grid::CommandSpec spec;
};

constexpr Subcommand kSubcommands[] = {
    {"LIST", "deadletter|list", 2, SIZE_MAX, SubcommandSpec(kReadOnly, RunList)},
    {"GET", "deadletter|get", 3, 3, SubcommandSpec(kReadOnly, RunGet)},
    {"RETRY", "deadletter|retry", 3, SIZE_MAX, SubcommandSpec(kWrite, RunRetry)},
    {"DROP", "deadletter|drop", 3, SIZE_MAX, SubcommandSpec(kWrite, RunDrop)},
    {"LEN", "deadletter|len", 2, 2, SubcommandSpec(kReadOnly, RunLen)},
};

constexpr std::string_view kHelp[] = {
    "DEADLETTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "LIST [CLASS class] [STREAM stream] [COUNT n] [FROM id]",
    "    List letters, oldest first, 100 unless COUNT says how many; FROM (id: behind this one.",
    "GET id",
    "    Show all that a letter tells.",
    "RETRY id [id ...] | CLASS class | ALL",
    "    Remove letters and run what they are about again; the reply is how many they were.",
    "DROP id [id ...] | CLASS class | ALL",
    "    Remove letters; the reply is how many there were.",
    "LEN",
    "    Tell how many letters there are.",
    "HELP",
    "    Print this help.",
};

void RunDeadLetter(Session& session, Args args) {
  if (EqualsIgnoreCase(args[1], "HELP")) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kHelp));
    for (const std::string_view line : kHelp) reply.Status(line);
    return;
  }
  for (const Subcommand& each : kSubcommands) {
    if (!EqualsIgnoreCase(args[1], each.name)) continue;
    if (args.size() < each.args_min || args.size() > each.args_max) {
      return session.ReplyError(WrongArity(each.lower));
    }
    session.RouteToKey(each.spec, args, grid::kDeadLetterStream);
    return;
  }
  session.ReplyError(UnknownSubcommand(args[1], "deadletter"));
}

constexpr CommandRow kRows[] = {
    [] {
      CommandRow row =
          SessionRow("DEADLETTER", -2, kWrite, RunDeadLetter,
                     {"bettong", "1.0.0", "Lists, shows, retries and drops dead letters."});
      row.scope = Scope::kRouted;
      return row;
    }(),
};

}  // namespace

std::span<const CommandRow> DeadLetterCommands() { return kRows; }

}  // namespace bettong::protocol
