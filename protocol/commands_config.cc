// CONFIG.
#include "protocol/command_table.h"
#include "protocol/config_parameters.h"
#include "protocol/errors.h"
#include "protocol/glob.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

void GetParameters(Session& session, Args patterns) {
  std::vector<std::pair<std::string, std::string>> found;
  const PortNode& node = session.port().node();
  for (auto& parameter : ConfigParameters(node, node.Settings())) {
    for (std::string_view pattern : patterns) {
      if (!GlobMatch(pattern, parameter.first, /*ignore_case=*/true)) continue;
      found.push_back(std::move(parameter));
      break;
    }
  }
  ReplyWriter reply = session.reply();
  reply.Map(found.size());
  for (const auto& [name, value] : found) {
    reply.Bulk(name);
    reply.Bulk(value);
  }
}

void ApplyHere(ShardPort& port, Args, std::string& part) {
  port.ApplySettings();
  ReplyWriter(part, false).Ok();
}

void ResetHere(ShardPort& port, Args, std::string& part) {
  port.ResetStats();
  ReplyWriter(part, false).Ok();
}

constexpr CommandRow kApply = PortRow("CONFIG", -2, kAdmin, ApplyHere, MergeOk, {});
constexpr CommandRow kReset = PortRow("CONFIG", -2, kAdmin, ResetHere, MergeOk, {});

// All parameters are changed, or none.
void SetParameters(Session& session, Args pairs) {
  PortNode& node = session.port().node();
  const std::string error = node.ChangeSettings([&](NodeSettings& settings) -> std::string {
    for (size_t i = 0; i < pairs.size(); i += 2) {
      for (size_t k = 0; k < i; k += 2) {
        if (!EqualsIgnoreCase(pairs[k], pairs[i])) continue;
        return "ERR CONFIG SET failed (possibly related to argument '" + std::string(pairs[i]) +
               "') - duplicate parameter";
      }
      std::string wrong = SetConfigParameter(pairs[i], pairs[i + 1], node, settings);
      if (!wrong.empty()) return wrong;
    }
    return "";
  });
  if (!error.empty()) return session.ReplyError(error);
  session.port().AskPorts(kApply, {}, session);
}

constexpr std::string_view kHelp[] = {
    "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "HELP",
    "    Print this help.",
};

void RunConfig(Session& session, Args args) {
  if (EqualsIgnoreCase(args[1], "GET")) {
    if (args.size() < 3) return session.ReplyError(WrongArity("config|get"));
    GetParameters(session, args.subspan(2));
  } else if (EqualsIgnoreCase(args[1], "SET")) {
    if (args.size() < 4 || args.size() % 2 != 0) {
      return session.ReplyError(WrongArity("config|set"));
    }
    SetParameters(session, args.subspan(2));
  } else if (EqualsIgnoreCase(args[1], "RESETSTAT")) {
    if (args.size() != 2) return session.ReplyError(WrongArity("config|resetstat"));
    session.port().node().connections_received.store(0);
    session.port().node().connections_rejected.store(0);
    session.port().AskPorts(kReset, {}, session);
  } else if (EqualsIgnoreCase(args[1], "REWRITE")) {
    session.ReplyError("ERR The server is running without a config file that it may rewrite");
  } else if (EqualsIgnoreCase(args[1], "HELP")) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kHelp));
    for (std::string_view line : kHelp) reply.Status(line);
  } else {
    session.ReplyError(UnknownSubcommand(args[1], "config"));
  }
}

constexpr CommandRow kRows[] = {
    SessionRow("CONFIG", -2, kAdmin, RunConfig,
               {"server", "2.0.0", "Reads and changes parameters."}),
};

}  // namespace

std::span<const CommandRow> ConfigCommands() { return kRows; }

}  // namespace bettong::protocol
