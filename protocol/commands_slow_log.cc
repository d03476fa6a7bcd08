// SLOWLOG: turns of the app that took too long. Entries look as Redis's do, with the method and the
// key in the place of the command and its arguments.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/number_text.h"
#include "base/slow_log.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

// As in Redis.
constexpr size_t kGetCountDefault = 10;

constexpr std::string_view kHelp[] = {
    "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET [<count>]",
    "    Return the turns that took longer than python.slow_handler, the newest first: 10 unless",
    "    count says how many, -1 all. Of each: id, Unix time in seconds, duration in microseconds,",
    "    method and key; two empty texts in the place of a client's address and name.",
    "LEN",
    "    Return how many there are.",
    "RESET",
    "    Forget them.",
    "HELP",
    "    Print this help.",
};

void Get(Session& session, const SlowLog& log, size_t count) {
  const std::vector<SlowLogEntry> entries = log.Last(count);
  ReplyWriter reply = session.reply();
  reply.Array(entries.size());
  for (const SlowLogEntry& entry : entries) {
    reply.Array(6);
    reply.Integer(static_cast<int64_t>(entry.id));
    reply.Integer(entry.at_ms / 1000);
    reply.Integer(entry.took_ms * 1000);
    reply.Array(entry.on.empty() ? 1 : 2);
    reply.Bulk(entry.what);
    if (!entry.on.empty()) reply.Bulk(entry.on);
    reply.Bulk("");
    reply.Bulk("");
  }
}

void RunSlowLog(Session& session, Args args) {
  const auto is = [&](std::string_view name) { return EqualsIgnoreCase(args[1], name); };
  SlowLog& log = session.port().node().services.slow_log();
  if (is("GET")) {
    if (args.size() > 3) return session.ReplyError(WrongArity("slowlog|get"));
    size_t count = kGetCountDefault;
    if (args.size() == 3) {
      const auto asked = ParseInt(args[2]);
      if (!asked) return session.ReplyError(kNotAnInteger);
      if (*asked < -1) {
        return session.ReplyError("ERR count should be greater than or equal to -1");
      }
      count = *asked == -1 ? SIZE_MAX : static_cast<size_t>(*asked);
    }
    return Get(session, log, count);
  }
  if (is("HELP") && args.size() == 2) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kHelp));
    for (const std::string_view line : kHelp) reply.Status(line);
    return;
  }
  if (is("LEN") || is("RESET")) {
    if (args.size() > 2)
      return session.ReplyError(WrongArity(is("LEN") ? "slowlog|len" : "slowlog|reset"));
    if (is("LEN")) return session.reply().Integer(static_cast<int64_t>(log.size()));
    log.Reset();
    return session.reply().Status("OK");
  }
  session.ReplyError(UnknownSubcommand(args[1], "slowlog"));
}

constexpr CommandRow kRows[] = {
    SessionRow("SLOWLOG", -2, kAdmin, RunSlowLog,
               {"server", "2.2.12", "Lists the turns of the app that took too long."}),
};

}  // namespace

std::span<const CommandRow> SlowLogCommands() { return kRows; }

}  // namespace bettong::protocol
