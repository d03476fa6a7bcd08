// CLIENT and its subcommands.
#include <algorithm>
#include <string>
#include <vector>

#include "base/number_text.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

void ReplyId(Session& session, Args) {
  session.reply().Integer(static_cast<int64_t>(session.info().id));
}

void SetName(Session& session, Args args) {
  if (session.SetName(args[2])) session.reply().Ok();
}

void ReplyName(Session& session, Args) {
  if (session.info().name.empty()) return session.reply().Null();
  session.reply().Bulk(session.info().name);
}

void SetInfo(Session& session, Args args) {
  std::string* value = nullptr;
  if (EqualsIgnoreCase(args[2], "lib-name")) value = &session.info().library_name;
  if (EqualsIgnoreCase(args[2], "lib-ver")) value = &session.info().library_version;
  if (value == nullptr) {
    return session.ReplyError("ERR Unrecognized option '" + std::string(args[2]) + "'");
  }
  if (!IsClientText(args[3])) {
    return session.ReplyError("ERR " + LowerCase(args[2]) +
                              " cannot contain spaces, newlines or special characters.");
  }
  *value = args[3];
  session.reply().Ok();
}

void ReplyInfo(Session& session, Args) {
  session.reply().Verbatim(FormatClient(session.info(), session.load(), session.now_ms()));
}

std::optional<bool> ParseOnOff(std::string_view text) {
  if (EqualsIgnoreCase(text, "ON")) return true;
  if (EqualsIgnoreCase(text, "OFF")) return false;
  return std::nullopt;
}

void SetNoEvict(Session& session, Args args) {
  const auto on = ParseOnOff(args[2]);
  if (!on) return session.ReplyError(kSyntaxError);
  session.info().no_evict = *on;
  session.reply().Ok();
}

void SetNoTouch(Session& session, Args args) {
  const auto on = ParseOnOff(args[2]);
  if (!on) return session.ReplyError(kSyntaxError);
  session.info().no_touch = *on;
  session.reply().Ok();
}

void SetReply(Session& session, Args args) {
  using Mode = Session::ReplyMode;
  if (EqualsIgnoreCase(args[2], "ON")) {
    session.set_reply_mode(Mode::kOn);
    session.reply().Ok();
  } else if (EqualsIgnoreCase(args[2], "OFF")) {
    session.set_reply_mode(Mode::kOff);
  } else if (EqualsIgnoreCase(args[2], "SKIP")) {
    if (session.reply_mode() == Mode::kOn) session.set_reply_mode(Mode::kSkipNext);
  } else {
    session.ReplyError(kSyntaxError);
  }
}

void ReplyRedirection(Session& session, Args) { session.reply().Integer(-1); }

// --- CLIENT LIST. Parts are text: Redis lists clients as lines of one bulk.

struct ListFilter {
  bool pubsub_only = false, normal_only = false, none = false;
  std::vector<int64_t> ids;
};

// The error's text, or empty.
std::string ParseListFilter(Args args, ListFilter& filter) {
  if (args.size() == 2) return "";
  if (EqualsIgnoreCase(args[2], "TYPE") && args.size() == 4) {
    filter.pubsub_only = EqualsIgnoreCase(args[3], "pubsub");
    filter.normal_only = EqualsIgnoreCase(args[3], "normal");
    filter.none = EqualsIgnoreCase(args[3], "master") || EqualsIgnoreCase(args[3], "replica") ||
                  EqualsIgnoreCase(args[3], "slave");
    if (filter.pubsub_only || filter.normal_only || filter.none) return "";
    return "ERR Unknown client type '" + std::string(args[3]) + "'";
  }
  if (EqualsIgnoreCase(args[2], "ID") && args.size() > 3) {
    for (std::string_view text : args.subspan(3)) {
      const auto id = ParseInt(text);
      if (!id || *id < 1) return "ERR Invalid client ID";
      filter.ids.push_back(*id);
    }
    return "";
  }
  return std::string(kSyntaxError);
}

void ListHere(ShardPort& port, Args args, std::string& part) {
  ListFilter filter;
  ParseListFilter(args, filter);  // checked by the session
  for (const auto& [connection, session] : port.sessions()) {
    const bool pubsub = session->subscription_count() > 0;
    const auto id = static_cast<int64_t>(session->info().id);
    if (filter.none || (filter.pubsub_only && !pubsub) || (filter.normal_only && pubsub)) continue;
    if (!filter.ids.empty() &&
        std::find(filter.ids.begin(), filter.ids.end(), id) == filter.ids.end()) {
      continue;
    }
    part += FormatClient(session->info(), session->load(), session->now_ms());
  }
}

void MergeList(Gather& gather, ReplyWriter& reply) {
  std::vector<std::string_view> lines;
  for (std::string_view part : gather.parts) {
    while (!part.empty()) {
      const size_t size = part.find('\n') + 1;
      lines.push_back(part.substr(0, size));
      part.remove_prefix(size);
    }
  }
  // "id=7 ...", in order of id.
  std::sort(lines.begin(), lines.end(), [](std::string_view a, std::string_view b) {
    const size_t a_size = a.find(' '), b_size = b.find(' ');
    return a_size != b_size ? a_size < b_size : a < b;
  });
  std::string text;
  for (std::string_view line : lines) text += line;
  reply.Verbatim(text);
}

constexpr CommandRow kListParts = PortRow("CLIENT", -2, kAdmin, ListHere, MergeList, {});

void ListClients(Session& session, Args args) {
  ListFilter filter;
  const std::string error = ParseListFilter(args, filter);
  if (!error.empty()) return session.ReplyError(error);
  session.port().AskPorts(kListParts, args, session);
}

// --- CLIENT KILL. Parts are the numbers of clients closed.

struct KillFilter {
  std::optional<int64_t> id;
  std::string_view address, local_address;
  bool skip_me = true;
};

std::string ParseKillFilter(Args args, KillFilter& filter) {
  if (args.size() == 3) {
    filter.address = args[2];
    filter.skip_me = false;
    return "";
  }
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return std::string(kSyntaxError);
    const std::string_view value = args[i + 1];
    if (EqualsIgnoreCase(args[i], "ID")) {
      filter.id = ParseInt(value);
      if (!filter.id || *filter.id < 1) return "ERR client-id should be greater than 0";
    } else if (EqualsIgnoreCase(args[i], "ADDR")) {
      filter.address = value;
    } else if (EqualsIgnoreCase(args[i], "LADDR")) {
      filter.local_address = value;
    } else if (EqualsIgnoreCase(args[i], "SKIPME") &&
               (EqualsIgnoreCase(value, "yes") || EqualsIgnoreCase(value, "no"))) {
      filter.skip_me = EqualsIgnoreCase(value, "yes");
    } else {
      return std::string(kSyntaxError);
    }
  }
  return "";
}

// args: those of CLIENT KILL, then the asking client's id.
void KillHere(ShardPort& port, Args args, std::string& part) {
  KillFilter filter;
  ParseKillFilter(args.first(args.size() - 1), filter);
  const int64_t asking = *ParseInt(args.back());
  std::vector<Session*> matching;
  for (const auto& [connection, session] : port.sessions()) {
    const ClientInfo& info = session->info();
    const auto id = static_cast<int64_t>(info.id);
    if (filter.id && *filter.id != id) continue;
    if (!filter.address.empty() && filter.address != info.address) continue;
    if (!filter.local_address.empty() && filter.local_address != info.local_address) continue;
    if (filter.skip_me && id == asking) continue;
    matching.push_back(session);
  }
  for (Session* session : matching)
    session->Kill(static_cast<int64_t>(session->info().id) == asking);
  ReplyWriter(part, false).Integer(static_cast<int64_t>(matching.size()));
}

void MergeKill(Gather& gather, ReplyWriter& reply) {
  int64_t killed = 0;
  for (std::string_view part : gather.parts) killed += TakeHead(part);
  const bool old_form = gather.note == 3;
  if (!old_form) return reply.Integer(killed);
  killed > 0 ? reply.Ok() : reply.Error("ERR No such client");
}

constexpr CommandRow kKillParts = PortRow("CLIENT", -2, kAdmin, KillHere, MergeKill, {});

void KillClients(Session& session, Args args) {
  KillFilter filter;
  const std::string error = ParseKillFilter(args, filter);
  if (!error.empty()) return session.ReplyError(error);
  const std::string id = std::to_string(session.info().id);
  std::vector<std::string_view> more(args.begin(), args.end());
  more.push_back(id);
  session.port().AskPorts(kKillParts, more, session, args.size());
}

constexpr std::string_view kHelp[] = {
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME",
    "    Return the name of the current connection.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are: ID, ADDR, LADDR, SKIPME (yes|no).",
    "LIST [options ...]",
    "    Return information about client connections. Options: TYPE (NORMAL|PUBSUB), ID.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr: LIB-NAME or LIB-VER.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "HELP",
    "    Print this help.",
};

void ReplyHelp(Session& session, Args) {
  ReplyWriter reply = session.reply();
  reply.Array(std::size(kHelp));
  for (std::string_view line : kHelp) reply.Status(line);
}

struct Subcommand {
  std::string_view name;
  int arity;  // with CLIENT and the name; negative: at least so many
  void (*run)(Session& session, Args args);
};

constexpr Subcommand kSubcommands[] = {
    {"ID", 2, ReplyId},
    {"SETNAME", 3, SetName},
    {"GETNAME", 2, ReplyName},
    {"SETINFO", 4, SetInfo},
    {"INFO", 2, ReplyInfo},
    {"LIST", -2, ListClients},
    {"KILL", -3, KillClients},
    {"NO-EVICT", 3, SetNoEvict},
    {"NO-TOUCH", 3, SetNoTouch},
    {"REPLY", 3, SetReply},
    {"GETREDIR", 2, ReplyRedirection},
    {"HELP", 2, ReplyHelp},
};

void RunClient(Session& session, Args args) {
  const auto count = static_cast<int>(args.size());
  for (const Subcommand& subcommand : kSubcommands) {
    if (!EqualsIgnoreCase(subcommand.name, args[1])) continue;
    if (subcommand.arity > 0 ? count != subcommand.arity : count < -subcommand.arity) {
      return session.ReplyError(WrongArity("client|" + std::string(subcommand.name)));
    }
    return subcommand.run(session, args);
  }
  session.ReplyError(UnknownSubcommand(args[1], "client"));
}

constexpr CommandRow kRows[] = {
    SessionRow("CLIENT", -2, kAdmin, RunClient,
               {"connection", "2.4.0", "Tells about and changes client connections."}),
};

}  // namespace

std::span<const CommandRow> ClientCommands() { return kRows; }

}  // namespace bettong::protocol
