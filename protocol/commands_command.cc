// COMMAND: what the command table tells about itself.
#include <algorithm>
#include <string>
#include <vector>

#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/glob.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

struct FlagName {
  uint32_t flag;
  std::string_view name;
  std::string_view category;  // of access control; empty: none
};

constexpr FlagName kFlagNames[] = {
    {kWrite, "write", "@write"},       {kReadOnly, "readonly", "@read"},
    {kDenyOom, "denyoom", ""},         {kAdmin, "admin", "@admin"},
    {kPubSub, "pubsub", "@pubsub"},    {kBlocking, "blocking", "@blocking"},
    {kFast, "fast", "@fast"},          {kNoAuth, "no_auth", ""},
    {kMovableKeys, "movablekeys", ""},
};

std::vector<std::string> CategoriesOf(const CommandRow& row) {
  std::vector<std::string> categories;
  for (const FlagName& flag : kFlagNames) {
    if ((row.flags & flag.flag) != 0 && !flag.category.empty()) {
      categories.emplace_back(flag.category);
    }
  }
  if ((row.flags & kFast) == 0) categories.emplace_back("@slow");
  if (row.group == "generic") {
    categories.emplace_back("@keyspace");
  } else if (row.group != "server" && row.group != "pubsub" && !row.group.empty()) {
    categories.push_back("@" + std::string(row.group));
  }
  return categories;
}

void DescribeRow(const CommandRow& row, ReplyWriter& reply) {
  reply.Array(10);
  reply.Bulk(LowerCase(row.spec.name));
  reply.Integer(row.arity);
  std::vector<std::string_view> flags;
  for (const FlagName& flag : kFlagNames) {
    if ((row.flags & flag.flag) != 0) flags.push_back(flag.name);
  }
  reply.Set(flags.size());
  for (std::string_view flag : flags) reply.Status(flag);
  reply.Integer(row.keys.first);
  reply.Integer(row.keys.last);
  reply.Integer(row.keys.step);
  const std::vector<std::string> categories = CategoriesOf(row);
  reply.Set(categories.size());
  for (const std::string& category : categories) reply.Status(category);
  reply.Array(0);  // tips
  reply.Array(0);  // key specifications
  reply.Array(0);  // subcommands
}

void DescribeAll(Session& session) {
  ReplyWriter reply = session.reply();
  const auto rows = session.port().table().rows();
  reply.Array(rows.size());
  for (const CommandRow* row : rows) DescribeRow(*row, reply);
}

void DescribeSome(Session& session, Args names) {
  ReplyWriter reply = session.reply();
  reply.Array(names.size());
  for (std::string_view name : names) {
    const CommandRow* row = session.port().table().Find(name);
    row == nullptr ? reply.Null() : DescribeRow(*row, reply);
  }
}

void ReplyDocs(Session& session, Args names) {
  std::vector<const CommandRow*> rows;
  if (names.empty()) {
    const auto all = session.port().table().rows();
    rows.assign(all.begin(), all.end());
  }
  for (std::string_view name : names) {
    if (const CommandRow* row = session.port().table().Find(name)) rows.push_back(row);
  }
  ReplyWriter reply = session.reply();
  reply.Map(rows.size());
  for (const CommandRow* row : rows) {
    reply.Bulk(LowerCase(row->spec.name));
    reply.Map(3);
    reply.Bulk("summary");
    reply.Bulk(row->summary);
    reply.Bulk("since");
    reply.Bulk(row->since);
    reply.Bulk("group");
    reply.Bulk(row->group);
  }
}

void ReplyList(Session& session, Args args) {
  std::string_view pattern, category;
  if (args.size() == 5 && EqualsIgnoreCase(args[2], "FILTERBY")) {
    if (EqualsIgnoreCase(args[3], "PATTERN")) pattern = args[4];
    if (EqualsIgnoreCase(args[3], "ACLCAT")) category = args[4];
  }
  const bool filtered = !pattern.empty() || !category.empty();
  if (args.size() != 2 && !filtered) return session.ReplyError(kSyntaxError);
  std::vector<std::string> names;
  for (const CommandRow* row : session.port().table().rows()) {
    const std::string name = LowerCase(row->spec.name);
    if (!pattern.empty() && !GlobMatch(pattern, name, /*ignore_case=*/true)) continue;
    const std::vector<std::string> all = CategoriesOf(*row);
    const std::string wanted = "@" + LowerCase(category);
    if (!category.empty() && std::find(all.begin(), all.end(), wanted) == all.end()) continue;
    names.push_back(name);
  }
  ReplyWriter reply = session.reply();
  reply.Array(names.size());
  for (const std::string& name : names) reply.Bulk(name);
}

void ReplyKeys(Session& session, Args command) {
  const CommandRow* row = session.port().table().Find(command[0]);
  if (row == nullptr) return session.ReplyError("ERR Invalid command specified");
  const auto count = static_cast<int>(command.size());
  if (row->arity > 0 ? count != row->arity : count < -row->arity) {
    return session.ReplyError("ERR Invalid number of arguments specified for command");
  }
  const KeyArguments keys = KeysOf(*row, command);
  if (keys.count == 0) return session.ReplyError("ERR The command has no key arguments");
  ReplyWriter reply = session.reply();
  reply.Array(keys.count);
  for (size_t i = 0; i < keys.count; ++i) reply.Bulk(command[keys.first + i * keys.step]);
}

constexpr std::string_view kHelp[] = {
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands in this server.",
    "LIST [FILTERBY (PATTERN|ACLCAT) <filter>]",
    "    Return a list of all commands in this server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple commands.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple commands.",
    "GETKEYS <full-command>",
    "    Return the keys from a full command.",
    "HELP",
    "    Print this help.",
};

void RunCommand(Session& session, Args args) {
  if (args.size() == 1) return DescribeAll(session);
  const std::string_view subcommand = args[1];
  if (EqualsIgnoreCase(subcommand, "COUNT") && args.size() == 2) {
    session.reply().Integer(static_cast<int64_t>(session.port().table().rows().size()));
  } else if (EqualsIgnoreCase(subcommand, "INFO")) {
    args.size() == 2 ? DescribeAll(session) : DescribeSome(session, args.subspan(2));
  } else if (EqualsIgnoreCase(subcommand, "DOCS")) {
    ReplyDocs(session, args.subspan(2));
  } else if (EqualsIgnoreCase(subcommand, "LIST")) {
    ReplyList(session, args);
  } else if (EqualsIgnoreCase(subcommand, "GETKEYS")) {
    if (args.size() < 4) return session.ReplyError(WrongArity("command|getkeys"));
    ReplyKeys(session, args.subspan(2));
  } else if (EqualsIgnoreCase(subcommand, "HELP")) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kHelp));
    for (std::string_view line : kHelp) reply.Status(line);
  } else {
    session.ReplyError(UnknownSubcommand(subcommand, "command"));
  }
}

constexpr CommandRow kRows[] = {
    SessionRow("COMMAND", -1, 0, RunCommand,
               {"server", "2.8.13", "Describes the commands of the server."}),
};

}  // namespace

std::span<const CommandRow> CommandCommands() { return kRows; }

}  // namespace bettong::protocol
