#include "protocol/session.h"

#include <algorithm>
#include <utility>

#include "protocol/command_table.h"
#include "protocol/errors.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

constexpr size_t kErrorArgumentsBytesMax = 128;

// Redis prints arguments as C strings.
std::string_view Shown(std::string_view argument, size_t bytes_max) {
  return argument.substr(0, std::min(bytes_max, argument.find('\0')));
}

std::string UnknownCommand(Args args) {
  std::string text = "ERR unknown command '" +
                     std::string(Shown(args[0], kErrorArgumentsBytesMax)) +
                     "', with args beginning with: ";
  std::string shown;
  for (size_t i = 1; i < args.size() && shown.size() < kErrorArgumentsBytesMax; ++i) {
    shown += "'" + std::string(Shown(args[i], kErrorArgumentsBytesMax - shown.size())) + "' ";
  }
  return text + shown;
}

// What a browser tricked into talking to this port sends.
bool IsHttp(std::string_view name) {
  return EqualsIgnoreCase(name, "post") || EqualsIgnoreCase(name, "host:");
}

}  // namespace

Session::Session(ShardPort& port, Transport& transport, ClientInfo info)
    : port_(port), transport_(transport), info_(std::move(info)), replies_(output_) {
  id_ = port_.loop().AddReplySink(this);
  ticket_.connection = id_;
  ticket_.home = port_.loop().id();
  set_authenticated(!port_.requires_password());
  port_.Add(*this);
}

Session::~Session() {
  OnIdle();
  port_.subscribers().RemoveAll(*this);
  port_.Remove(*this);
  port_.loop().RemoveReplySink(id_);
}

void Session::Kill(bool after_reply) {
  closing_ = true;
  if (!after_reply) transport_.CloseNow();
}

void Session::Abandon() {
  if (replies_.idle()) return;
  ForgetWaitingReads();
  port_.batch().Flush();
}

size_t Session::Consume(std::string_view in) {
  consuming_ = true;
  retrying_ = false;
  info_.last_command_ms = now_ms();
  if (replies_.idle()) OnIdle();
  size_t at = 0;
  bool incomplete = false;
  // Running the batch may bring what the session waits for.
  while (!waiting() && !closing_ && !incomplete) {
    AdaptBatch();
    incomplete = FillBatch(in, at);
    port_.batch().Flush();
    port_.batch().Recycle();
  }
  consuming_ = false;
  stopped_ = waiting();
  return at;
}

bool Session::FillBatch(std::string_view in, size_t& at) {
  CommandBatch& batch = port_.batch();
  if (forget_waiting_reads_) ForgetWaitingReads();
  while (!waiting() && !closing_ && batch.size() < batch_commands_max_ &&
         batch.bytes() < kBatchViewBytesMax) {
    const RespParser::Result result = parser_.Next(in.substr(at));
    if (result == RespParser::Result::kIncomplete) return true;
    if (result == RespParser::Result::kCommand) {
      const std::span<std::string_view> args = batch.Views(parser_.arg_count());
      parser_.TakeArgs(in.data() + at, args.data());
      if (!Dispatch(args)) return false;
      CountOpen(parser_.consumed());
    } else if (result == RespParser::Result::kError) {
      FailNow(parser_.error());
      closing_ = true;
    }
    at += parser_.consumed();
    // An inline command's arguments are gone with the next one.
    if (parser_.is_inline()) return false;
  }
  return false;
}

bool Session::waiting() const {
  if (waiting_ || retrying_ || output_bytes() > kOutputPauseBytes) return true;
  if (replies_.idle()) return false;
  // Replies of other shards come later: many may be under way only while they are small.
  const size_t outstanding_max =
      batch_commands_max_ < kBatchCommandsMax ? batch_commands_max_ : kCommandsOutstandingMax;
  return replies_.outstanding() > outstanding_max || open_bytes_ > kCommandBytesOutstandingMax ||
         port_.command_bytes_open() > kPortCommandBytesOutstandingMax;
}

void Session::CountOpen(size_t bytes) {
  open_bytes_ += bytes;
  port_.AddCommandBytesOpen(static_cast<int64_t>(bytes));
}

void Session::AdaptBatch() {
  if (reply_bytes_ > kOutputPauseBytes) {
    batch_commands_max_ = std::max<size_t>(batch_commands_max_ / 4, 1);
  } else if (reply_bytes_ > 0 && batch_commands_max_ < kBatchCommandsMax) {
    batch_commands_max_ = std::min(batch_commands_max_ * 2, kBatchCommandsMax);
  }
  reply_bytes_ = 0;
}

void Session::OnIdle() {
  waiting_ = blocked_ = false;
  port_.AddCommandBytesOpen(-static_cast<int64_t>(open_bytes_));
  open_bytes_ = 0;
}

bool Session::Dispatch(Args args) {
  const size_t slot = port_.table().SlotOf(args[0]);
  const CommandRow* row = port_.table().At(slot);
  if (row == nullptr) {
    if (IsHttp(args[0])) {
      closing_ = true;
    } else {
      FailNow(UnknownCommand(args));
    }
    return true;
  }
  const auto count = static_cast<int>(args.size());
  if (row->arity > 0 ? count != row->arity : count < -row->arity) [[unlikely]] {
    FailNow(WrongArity(row->spec.name));
    return true;
  }
  if (restricted_ && !Permitted(*row, args)) return true;
  if ((row->flags & kQuiet) != 0) {
    port_.batch().Flush();
    if (!replies_.idle()) {
      waiting_ = true;
      return false;
    }
  }
  // While new code takes over, or sinks cannot keep up, what feeds streams waits and everything
  // else goes on. Over the memory limit (of any shard: handlers may run there) it is refused, so
  // that the client hears of it.
  if ((row->flags & kFeedsStreams) != 0) [[unlikely]] {
    if (row->spec.grows_memory && port_.loop().OverMemory()) {
      FailNow(grid::kOutOfMemory);
      return true;
    }
    if (port_.loop().held() || port_.loop().OutboxFull()) {
      transport_.RetryLater();
      retrying_ = true;
      return false;
    }
  }
  // Writes are held back while the disk is far behind; reads go on.
  if (row->spec.writes && port_.loop().LogBehind()) [[unlikely]] {
    transport_.RetryLater();
    retrying_ = true;
    return false;
  }
  info_.last_command = row->spec.name;
  port_.CountCommand(slot);
  Route(*row, args);
  return true;
}

// RESP2 has no way to tell a message from a reply, so a subscribed connection does little else.
bool Session::Permitted(const CommandRow& row, Args args) {
  if (!authenticated_ && (row.flags & kNoAuth) == 0) {
    FailNow(kNoAuthentication);
    return false;
  }
  if (!info_.resp3 && subscription_count() > 0 && (row.flags & kInSubscribed) == 0) {
    FailNow("ERR Can't execute '" + LowerCase(args[0]) +
            "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
            "context");
    return false;
  }
  return true;
}

void Session::NextTicket() {
  ticket_.sequence = replies_.Issue();
  ticket_.part = 0;
  ticket_.resp3 = info_.resp3;
  if (reply_mode_ != ReplyMode::kOn) [[unlikely]] {
    replies_.Discard(ticket_.sequence);
    if (reply_mode_ == ReplyMode::kSkipNext) reply_mode_ = ReplyMode::kOn;
  }
}

void Session::FailNow(std::string_view error) {
  NextTicket();
  scratch_.clear();
  ReplyError(error);
  Reply(ticket_, scratch_);
}

void Session::Route(const CommandRow& row, Args args) {
  switch (row.scope) {
    case Scope::kKey:
      NextTicket();
      RouteToKey(row.spec, args, args[static_cast<size_t>(row.keys.first)]);
      break;
    case Scope::kEachKey:
      RouteEachKey(row, args);
      break;
    case Scope::kKeysTogether:
      RouteKeysTogether(row, args);
      break;
    case Scope::kKeysByShard:
      RouteKeysByShard(row, args);
      break;
    case Scope::kSession:
      port_.batch().Flush();
      RunHere(row, args);
      break;
    case Scope::kRouted:
      RunHere(row, args);
      break;
    case Scope::kEveryShard: {
      NextTicket();
      const uint32_t shards = port_.loop().slot_map().shards();
      ReplyInParts(row, shards);
      for (uint16_t i = 0; i < shards; ++i) RouteToShard(row.spec, args, ShardId(i), i);
      break;
    }
    case Scope::kEveryPort:
      port_.batch().Flush();
      NextTicket();
      port_.AskPorts(row, args, *this);
      break;
  }
}

void Session::RunHere(const CommandRow& row, Args args) {
  // With CLIENT REPLY the mode in force when the command came counts for its reply.
  NextTicket();
  const grid::Ticket ticket = ticket_;
  // What tells of subscriptions is a message more than a reply: it is sent in any mode.
  constexpr uint32_t kSubscribing = kPubSub | kInSubscribed;
  if ((row.flags & kSubscribing) == kSubscribing) replies_.Discard(ticket.sequence, false);
  scratch_.clear();
  reply_later_ = false;
  row.run_session(*this, args);
  if (!reply_later_) Reply(ticket, scratch_);
}

void Session::RouteEachKey(const CommandRow& row, Args args) {
  NextTicket();
  const KeyArguments keys = KeysOf(row, args);
  if (keys.count == 1) {
    RouteToKey(row.spec, args, args[keys.first]);
    return;
  }
  Gather& gather = ReplyInParts(row, 1);
  gather.sums = true;
  gather.parts_missing = keys.count;
  for (size_t i = 0; i < keys.count; ++i) {
    const std::span<std::string_view> one = port_.batch().Views(2);
    one[0] = args[0];
    one[1] = args[keys.first + i * keys.step];
    RouteToKey(row.spec, one, one[1]);
  }
}

void Session::RouteKeysTogether(const CommandRow& row, Args args) {
  const grid::SlotMap& slots = port_.loop().slot_map();
  const KeyArguments keys = KeysOf(row, args);
  // Keys and values in pairs.
  if (keys.step == 2 && (args.size() - keys.first) % 2 != 0) {
    return FailNow(WrongArity(row.spec.name));
  }
  const ShardId shard = slots.ShardOf(SlotOfKey(args[keys.first]));
  for (size_t i = 1; i < keys.count; ++i) {
    if (slots.ShardOf(SlotOfKey(args[keys.first + i * keys.step])) == shard) continue;
    return FailNow(
        "CROSSSLOT Keys in request are on different shards; give them a common {hash tag}");
  }
  NextTicket();
  RouteToShard(row.spec, args, shard);
}

void Session::RouteKeysByShard(const CommandRow& row, Args args) {
  const grid::SlotMap& slots = port_.loop().slot_map();
  const KeyArguments keys = KeysOf(row, args);
  constexpr uint16_t kNone = UINT16_MAX;
  std::vector<uint16_t> part_of_shard(slots.shards(), kNone);
  std::vector<uint16_t> part_of_key(keys.count);
  std::vector<ShardId> shards;
  std::vector<size_t> key_count;
  for (size_t i = 0; i < keys.count; ++i) {
    const ShardId shard = slots.ShardOf(SlotOfKey(args[keys.first + i * keys.step]));
    uint16_t& part = part_of_shard[shard.value()];
    if (part == kNone) {
      part = static_cast<uint16_t>(shards.size());
      shards.push_back(shard);
      key_count.push_back(0);
    }
    part_of_key[i] = part;
    ++key_count[part];
  }
  NextTicket();
  if (shards.size() == 1) {
    RouteToShard(row.spec, args, shards[0]);
    return;
  }
  Gather& gather = ReplyInParts(row, shards.size());
  for (uint16_t part = 0; part < shards.size(); ++part) {
    const std::span<std::string_view> some = port_.batch().Views(1 + key_count[part]);
    size_t at = 0;
    some[at++] = args[0];
    for (size_t i = 0; i < keys.count; ++i) {
      if (part_of_key[i] == part) some[at++] = args[keys.first + i * keys.step];
    }
    RouteToShard(row.spec, some, shards[part], part);
  }
  gather.part_of_key = std::move(part_of_key);
}

Gather& Session::ReplyInParts(const CommandRow& row, size_t parts) {
  auto gather = std::make_unique<Gather>();
  gather->row = &row;
  gather->parts.resize(parts);
  reply_later_ = true;
  return replies_.Expect(ticket_.sequence, std::move(gather));
}

grid::Message& Session::RouteToKey(const grid::CommandSpec& spec, Args args, std::string_view key,
                                   uint16_t part) {
  const grid::SlotMap& slots = port_.loop().slot_map();
  const KeyRef ref = slots.Key(key);
  grid::Message& message = port_.batch().Add(slots.ShardOf(ref.slot));
  message.key = ref;
  message.command = &spec;
  message.args = args;
  message.ticket = ticket_;
  message.ticket.part = part;
  reply_later_ = true;
  return message;
}

grid::Message& Session::RouteToShard(const grid::CommandSpec& spec, Args args, ShardId shard,
                                     uint16_t part) {
  grid::Message& message = port_.batch().Add(shard);
  message.command = &spec;
  message.args = args;
  message.ticket = ticket_;
  message.ticket.part = part;
  reply_later_ = true;
  return message;
}

void Session::Reply(const grid::Ticket& ticket, std::string_view bytes) {
  if (!bytes.empty() && bytes[0] == '-') ++port_.stats().errors;
  reply_bytes_ += bytes.size();
  Gather* complete = replies_.Put(ticket, bytes);
  if (complete != nullptr) [[unlikely]]
    Complete(*complete, ticket);
  if (replies_.idle()) OnIdle();
}

void Session::Complete(Gather& gather, const grid::Ticket& ticket) {
  std::string merged;
  const std::string_view error = gather.Error();
  if (!error.empty()) {
    merged = error;
  } else {
    ReplyWriter reply(merged, ticket.resp3);
    gather.row->merge(gather, reply);
  }
  // The other shards' readers still wait.
  if (gather.first_wins && gather.parts_missing > 0) forget_waiting_reads_ = true;
  replies_.Finish(ticket.sequence, merged);
}

void Session::ForgetWaitingReads() {
  forget_waiting_reads_ = false;
  const uint32_t shards = port_.loop().slot_map().shards();
  for (uint16_t i = 0; i < shards; ++i) {
    grid::Message& message = port_.batch().Add(ShardId(i));
    message.kind = grid::MessageKind::kForget;
    message.ticket = ticket_;
  }
}

void Session::Flush() {
  if (consuming_) return;
  transport_.Send();
  if (stopped_ && !waiting()) {
    stopped_ = false;
    transport_.Resume();
  }
}

void Session::SendPushed() {
  pushed_ = false;
  Flush();
}

ClientLoad Session::load() const {
  return ClientLoad{.channels = channels_.size(),
                    .patterns = patterns_.size(),
                    .input_bytes = transport_.InputBytes(),
                    .output_bytes = output_bytes(),
                    .blocked = blocked_};
}

bool Session::SetName(std::string_view name) {
  if (!IsClientText(name)) {
    ReplyError("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  info_.name = name;
  return true;
}

size_t Session::MemoryBytes() const {
  constexpr size_t kOwnBytes = 2048;  // with the connection's objects
  return kOwnBytes + transport_.InputBytes() + output_.capacity() + unsent_bytes_ +
         replies_.held_bytes();
}

const grid::Catalog& Session::catalog() const { return port_.loop().catalog(); }
TimeMs Session::now_ms() { return port_.loop().now_ms(); }

void Session::set_reply_mode(ReplyMode mode) {
  reply_mode_ = mode;
  if (mode == ReplyMode::kOn) replies_.Discard(ticket_.sequence, false);
}

void Session::set_authenticated(bool authenticated) {
  authenticated_ = authenticated;
  parser_.set_authenticated(authenticated);
  UpdateRestricted();
}

void Session::UpdateRestricted() {
  restricted_ = !authenticated_ || (!info_.resp3 && subscription_count() > 0);
}

}  // namespace bettong::protocol
