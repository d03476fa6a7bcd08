// Channels: SUBSCRIBE, PUBLISH and their relatives. Declared streams are published to channels of
// their names by the shards.
#include <map>
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

// One confirmation per name: what was done, the name, the subscriptions left.
void Confirm(Session& session, std::string_view what, std::optional<std::string_view> name) {
  ReplyWriter reply = session.reply();
  reply.Push(3);
  reply.Bulk(what);
  if (name) {
    reply.Bulk(*name);
  } else {
    reply.Null();
  }
  reply.Integer(static_cast<int64_t>(session.subscription_count()));
}

void Subscribe(Session& session, Args args, bool patterns) {
  for (std::string_view name : args.subspan(1)) {
    session.port().subscribers().Add(session, name, patterns);
    Confirm(session, patterns ? "psubscribe" : "subscribe", name);
  }
}

void Unsubscribe(Session& session, Args args, bool patterns) {
  const std::string_view what = patterns ? "punsubscribe" : "unsubscribe";
  std::vector<std::string> names;
  if (args.size() > 1) {
    names.assign(args.begin() + 1, args.end());
  } else {
    const NameSet& all = session.subscriptions(patterns);
    names.assign(all.begin(), all.end());
  }
  if (names.empty()) return Confirm(session, what, std::nullopt);
  for (const std::string& name : names) {
    session.port().subscribers().Remove(session, name, patterns);
    Confirm(session, what, name);
  }
}

void RunSubscribe(Session& session, Args args) { Subscribe(session, args, false); }
void RunPSubscribe(Session& session, Args args) { Subscribe(session, args, true); }
void RunUnsubscribe(Session& session, Args args) { Unsubscribe(session, args, false); }
void RunPUnsubscribe(Session& session, Args args) { Unsubscribe(session, args, true); }

void PublishHere(ShardPort& port, Args args, std::string& part) {
  const size_t receivers = port.subscribers().Publish(args[1], args[2]);
  if (receivers > 0) port.FlushSubscribersSoon();
  ReplyWriter(part, false).Integer(static_cast<int64_t>(receivers));
}

// --- PUBSUB. Parts of CHANNELS are arrays of names, those of NUMPAT integers, those of NUMSUB
// arrays of counts in the order of the names asked for.

enum class PubSubQuestion : uint8_t { kNone, kChannels, kNumPat, kNumSub };

PubSubQuestion QuestionOf(Args args) {
  if (EqualsIgnoreCase(args[1], "CHANNELS") && args.size() <= 3) return PubSubQuestion::kChannels;
  if (EqualsIgnoreCase(args[1], "NUMPAT") && args.size() == 2) return PubSubQuestion::kNumPat;
  if (EqualsIgnoreCase(args[1], "NUMSUB")) return PubSubQuestion::kNumSub;
  return PubSubQuestion::kNone;
}

void TellPubSub(ShardPort& port, Args args, std::string& part) {
  ReplyWriter reply(part, false);
  const LocalSubscribers& subscribers = port.subscribers();
  switch (QuestionOf(args)) {
    case PubSubQuestion::kChannels: {
      std::vector<std::string_view> names;
      for (const auto& [name, sessions] : subscribers.channels()) {
        if (args.size() == 2 || GlobMatch(args[2], name)) names.push_back(name);
      }
      reply.Array(names.size());
      for (std::string_view name : names) reply.Bulk(name);
      return;
    }
    case PubSubQuestion::kNumPat: {
      std::vector<std::string_view> names;
      for (const auto& [name, sessions] : subscribers.patterns()) names.push_back(name);
      reply.Array(names.size());
      for (std::string_view name : names) reply.Bulk(name);
      return;
    }
    case PubSubQuestion::kNumSub:
      reply.Array((args.size() - 2) * 2);
      for (std::string_view name : args.subspan(2)) {
        const auto found = subscribers.channels().find(name);
        reply.Bulk(name);
        reply.Integer(
            found == subscribers.channels().end() ? 0 : static_cast<int64_t>(found->second.size()));
      }
      return;
    case PubSubQuestion::kNone:
      return;
  }
}

std::string_view TakeBulk(std::string_view& bytes) {
  const auto size = static_cast<size_t>(TakeHead(bytes));
  const std::string_view text = bytes.substr(0, size);
  bytes.remove_prefix(size + 2);
  return text;
}

std::vector<std::string_view> DistinctNames(const Gather& gather) {
  std::map<std::string_view, bool> names;
  for (std::string_view part : gather.parts) {
    for (int64_t left = TakeHead(part); left > 0; --left) names[TakeBulk(part)] = true;
  }
  std::vector<std::string_view> distinct;
  for (const auto& [name, seen] : names) distinct.push_back(name);
  return distinct;
}

void MergePubSub(Gather& gather, ReplyWriter& reply) {
  switch (static_cast<PubSubQuestion>(gather.note)) {
    case PubSubQuestion::kChannels: {
      const std::vector<std::string_view> names = DistinctNames(gather);
      reply.Array(names.size());
      for (std::string_view name : names) reply.Bulk(name);
      return;
    }
    case PubSubQuestion::kNumPat:
      return reply.Integer(static_cast<int64_t>(DistinctNames(gather).size()));
    default:
      break;
  }
  std::vector<std::pair<std::string_view, int64_t>> counts;
  for (std::string_view part : gather.parts) {
    const auto names = static_cast<size_t>(TakeHead(part)) / 2;
    counts.resize(names);
    for (auto& [name, count] : counts) {
      name = TakeBulk(part);
      count += TakeHead(part);
    }
  }
  reply.Array(counts.size() * 2);
  for (const auto& [name, count] : counts) {
    reply.Bulk(name);
    reply.Integer(count);
  }
}

constexpr std::string_view kPubSubHelp[] = {
    "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "HELP",
    "    Print this help.",
};

constexpr CommandRow kPubSubParts = PortRow("PUBSUB", -2, kPubSub, TellPubSub, MergePubSub, {});

void RunPubSub(Session& session, Args args) {
  if (EqualsIgnoreCase(args[1], "HELP")) {
    ReplyWriter reply = session.reply();
    reply.Array(std::size(kPubSubHelp));
    for (std::string_view line : kPubSubHelp) reply.Status(line);
    return;
  }
  if (EqualsIgnoreCase(args[1], "NUMPAT") && args.size() != 2) {
    return session.ReplyError(WrongArity("pubsub|numpat"));
  }
  const PubSubQuestion question = QuestionOf(args);
  if (question == PubSubQuestion::kNone) {
    return session.ReplyError(UnknownSubcommand(args[1], "pubsub"));
  }
  session.port().AskPorts(kPubSubParts, args, session, static_cast<uint64_t>(question));
}

constexpr uint32_t kSubscribing = kPubSub | kInSubscribed | kQuiet;

constexpr CommandRow kRows[] = {
    SessionRow("SUBSCRIBE", -2, kSubscribing, RunSubscribe,
               {"pubsub", "2.0.0", "Listens for messages of channels."}),
    SessionRow("PSUBSCRIBE", -2, kSubscribing, RunPSubscribe,
               {"pubsub", "2.0.0", "Listens for messages of channels that match patterns."}),
    SessionRow("UNSUBSCRIBE", -1, kSubscribing, RunUnsubscribe,
               {"pubsub", "2.0.0", "Stops listening for messages of channels."}),
    SessionRow("PUNSUBSCRIBE", -1, kSubscribing, RunPUnsubscribe,
               {"pubsub", "2.0.0", "Stops listening for messages of patterns."}),
    PortRow("PUBLISH", 3, kPubSub | kFast | kForSubscribers, PublishHere, MergeSum,
            {"pubsub", "2.0.0", "Sends a message to a channel."}),
    SessionRow("PUBSUB", -2, kPubSub, RunPubSub,
               {"pubsub", "2.8.0", "Tells about channels and their subscribers."}),
};

}  // namespace

std::span<const CommandRow> PubSubCommands() { return kRows; }

}  // namespace bettong::protocol
