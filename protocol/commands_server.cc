// Commands about the node: INFO, SHUTDOWN, TIME and the like. CONFIG, COMMAND and CLUSTER have
// files of their own.
#include <algorithm>
#include <cstring>

#include "base/number_text.h"
#include "grid/key_turn.h"
#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/info.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

// A longer timeout than this never comes.
constexpr int64_t kWaitMsMax = int64_t{1} << 50;

// A part is "+" and the shard's numbers as they lie in memory.
void CountHere(ShardPort& port, Args, std::string& part) {
  const InfoNumbers numbers = CountInfo(port);
  part.push_back('+');
  part.append(reinterpret_cast<const char*>(&numbers), sizeof(numbers));
}

void MergeInfo(Gather& gather, ReplyWriter& reply) {
  InfoNumbers sum;
  for (const std::string& part : gather.parts) {
    InfoNumbers numbers;
    std::memcpy(&numbers, part.data() + 1, sizeof(numbers));
    sum.Add(numbers);
  }
  const std::vector<std::string_view> sections(gather.args.begin() + 1, gather.args.end());
  reply.Verbatim(FormatInfo(*gather.node, sum, sections));
}

void RunTime(Session& session, Args) {
  const TimeMs now_ms = session.now_ms();
  ReplyWriter reply = session.reply();
  reply.Array(2);
  reply.BulkInteger(now_ms / 1000);
  reply.BulkInteger(now_ms % 1000 * 1000);
}

// Answers nothing: the connection ends when the node does.
void RunShutdown(Session& session, Args args) {
  for (std::string_view option : args.subspan(1)) {
    if (EqualsIgnoreCase(option, "ABORT")) {
      return session.ReplyError("ERR No shutdown in progress.");
    }
    const bool known = EqualsIgnoreCase(option, "SAVE") || EqualsIgnoreCase(option, "NOSAVE") ||
                       EqualsIgnoreCase(option, "NOW") || EqualsIgnoreCase(option, "FORCE");
    if (!known) return session.ReplyError(kSyntaxError);
  }
  session.port().node().services.RequestShutdown();
}

void RunWait(Session& session, Args args) {
  const auto timeout_ms = ParseInt(args[2]);
  if (!ParseInt(args[1])) return session.ReplyError(kNotAnInteger);
  if (!timeout_ms) return session.ReplyError("ERR timeout is not an integer or out of range");
  if (*timeout_ms < 0) return session.ReplyError("ERR timeout is negative");
  session.reply().Integer(0);
}

// Of each shard: ":1" when all that it has recorded is durable.
void RunWaitAofPart(grid::ShardTurn& turn, Args args) {
  turn.WaitUntilDurable(*ParseInt(args[1]), args[2] == "1");
}

void MergeWaitAof(Gather& gather, ReplyWriter& reply) {
  const bool all = std::all_of(gather.parts.begin(), gather.parts.end(),
                               [](const std::string& part) { return part == ":1\r\n"; });
  reply.Array(2);
  reply.Integer(all ? 1 : 0);
  reply.Integer(0);
}

constexpr CommandRow kWaitAofPart =
    ShardRow("WAITAOF", 4, 0, Scope::kEveryShard, kNoKeys, RunWaitAofPart, MergeWaitAof, {});

// There are no replicas: who waits for some waits until the timeout.
void RunWaitAof(Session& session, Args args) {
  const auto local = ParseInt(args[1]);
  const auto replicas = ParseInt(args[2]);
  const auto timeout_ms = ParseInt(args[3]);
  if (!local) return session.ReplyError(kNotAnInteger);
  if (*local < 0 || *local > 1) {
    return session.ReplyError("ERR value is out of range, must be between 0 and 1");
  }
  if (!replicas || *replicas < 0) {
    return session.ReplyError("ERR value is out of range, must be positive");
  }
  if (!timeout_ms) return session.ReplyError("ERR timeout is not an integer or out of range");
  if (*timeout_ms < 0) return session.ReplyError("ERR timeout is negative");
  grid::ShardLoop& loop = session.port().loop();
  if (loop.log() == nullptr) {
    if (*local == 1) {
      return session.ReplyError(
          "ERR WAITAOF cannot be used when numlocal is set but the node keeps everything in memory "
          "only (--no-data)");
    }
    ReplyWriter reply = session.reply();
    reply.Array(2);
    reply.Integer(0);
    return reply.Integer(0);
  }
  const bool at_once = *local == 0 && *replicas == 0;
  TimeMs deadline_ms = kNeverExpires;
  if (at_once) deadline_ms = session.now_ms();
  if (!at_once && *timeout_ms > 0 && *timeout_ms < kWaitMsMax) {
    deadline_ms = session.now_ms() + *timeout_ms;
  }
  const std::span<std::string_view> part = session.port().batch().Views(3);
  part[0] = args[0];
  part[1] = session.port().batch().Copy(std::to_string(deadline_ms));
  part[2] = *replicas > 0 ? "1" : "0";
  const auto shards = static_cast<uint16_t>(loop.shard_count());
  session.ReplyInParts(kWaitAofPart, shards);
  for (uint16_t i = 0; i < shards; ++i) {
    session.RouteToShard(kWaitAofPart.spec, part, ShardId(i), i);
  }
  session.Block();
}

void RunModule(Session& session, Args args) {
  if (EqualsIgnoreCase(args[1], "LIST") && args.size() == 2) return session.reply().Array(0);
  session.ReplyError("ERR modules cannot be loaded: computations are apps in Python or C++");
}

constexpr CommandRow kRows[] = {
    PortRow("INFO", -1, kReadOnly, CountHere, MergeInfo,
            {"server", "1.0.0", "Returns statistics about the node."}),
    SessionRow("TIME", 1, kFast, RunTime, {"server", "2.6.0", "Returns the time of the node."}),
    SessionRow("SHUTDOWN", -1, kAdmin, RunShutdown,
               {"server", "1.0.0", "Shuts the node down in good order."}),
    SessionRow("WAIT", 3, 0, RunWait,
               {"generic", "3.0.0", "Returns the number of replicas, which is 0."}),
    SessionRow("WAITAOF", 4, kBlocking | kQuiet, RunWaitAof,
               {"generic", "7.2.0",
                "Waits until all that this connection has written is on the node's disk."}),
    SessionRow("MODULE", -2, kAdmin, RunModule,
               {"server", "4.0.0", "Lists modules, of which there are none."}),
};

}  // namespace

std::span<const CommandRow> ServerCommands() { return kRows; }

}  // namespace bettong::protocol
