// One client's conversation: bytes in, commands out to the shards, replies back in order. Knows no
// sockets: a Transport carries the bytes. Lives on one shard's thread.
//
// A session that must wait (a blocking command, or one that needs all earlier replies first) stops
// taking commands until it calls Transport::Resume.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "grid/command.h"
#include "grid/runtime/shard_loop.h"
#include "protocol/client_info.h"
#include "protocol/command_row.h"
#include "protocol/names.h"
#include "protocol/reply_queue.h"
#include "protocol/resp_parser.h"

namespace bettong::protocol {

class ShardPort;

// A batch is handed to the shards when it has so many commands, so that what they answer is
// bounded. A session begins with a few and doubles them with every batch; one whose replies come to
// more than kOutputPauseBytes quarters the next.
inline constexpr size_t kBatchCommandsMax = 128;
inline constexpr size_t kBatchCommandsFirst = 4;
// Or when its commands' arguments take so many bytes of views.
inline constexpr size_t kBatchViewBytesMax = 64 * 1024;
// More unsent bytes than this and the session takes no further commands until they are gone.
inline constexpr size_t kOutputPauseBytes = 1u << 20;
// More unanswered commands than this, or more bytes of them, likewise.
inline constexpr size_t kCommandsOutstandingMax = 16 * 1024;
inline constexpr size_t kCommandBytesOutstandingMax = 32u << 20;
// More bytes of unanswered commands of all sessions of a shard: a session that has some takes no
// further ones until its own are answered.
inline constexpr size_t kPortCommandBytesOutstandingMax = 128u << 20;

class Transport {
 public:
  virtual void Send() = 0;        // there is output, or the session is closing
  virtual void Resume() = 0;      // Consume may go on; called from inside other handlers: defer
  virtual void RetryLater() = 0;  // like Resume, a few ms from now
  virtual void CloseNow() = 0;
  virtual size_t InputBytes() const = 0;

 protected:
  ~Transport() = default;
};

class Session final : public grid::ReplySink {
 public:
  Session(ShardPort& port, Transport& transport, ClientInfo info);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes whole commands from `in`; answers how many bytes it is done with. The rest comes again,
  // with more behind it.
  size_t Consume(std::string_view in);
  // The session takes nothing now.
  bool waiting() const;
  // After the output that is there and the replies outstanding, the connection is to be closed.
  bool closing() const { return closing_; }
  bool idle() const { return replies_.idle(); }
  size_t batch_commands_max() const { return batch_commands_max_; }
  // In a blocking read.
  bool blocked() const { return blocked_; }
  void CloseAfterReplies() { closing_ = true; }
  // CLIENT KILL: closes at once, or after the reply when the client kills itself.
  void Kill(bool after_reply);
  // The client is gone: what still waits for it on the shards is dropped.
  void Abandon();
  std::string& output() { return output_; }
  // All that this client has yet to take, replies behind a slower one included.
  size_t output_bytes() const { return output_.size() + unsent_bytes_ + replies_.held_bytes(); }
  // Output that was taken and that the kernel does not have yet.
  void set_unsent_bytes(size_t bytes) { unsent_bytes_ = bytes; }

  // grid::ReplySink
  void Reply(const grid::Ticket& ticket, std::string_view bytes) override;
  void Flush() override;

  // Bytes between replies: messages of channels. Answers whether they are the first since the
  // output was last sent.
  bool Push(std::string_view bytes) {
    output_.append(bytes);
    return !std::exchange(pushed_, true);
  }
  void SendPushed();

  // For commands, while they run.
  ReplyWriter reply() { return ReplyWriter(scratch_, info_.resp3); }
  void ReplyError(std::string_view text) { reply().Error(text); }
  const grid::Ticket& ticket() const { return ticket_; }
  // The reply comes later, through Reply.
  void ReplyLater() { reply_later_ = true; }
  Gather& ReplyInParts(const CommandRow& row, size_t parts);
  // The command may wait for long: the session takes no other until it is answered.
  void Block() { waiting_ = blocked_ = true; }
  // Adds a turn on a key, or of a shard, that answers `part` of the current command.
  grid::Message& RouteToKey(const grid::CommandSpec& spec, Args args, std::string_view key,
                            uint16_t part = 0);
  grid::Message& RouteToShard(const grid::CommandSpec& spec, Args args, ShardId shard,
                              uint16_t part = 0);

  ShardPort& port() { return port_; }
  ConnectionId id() const { return id_; }
  ClientInfo& info() { return info_; }
  // CLIENT SETNAME and HELLO; false: the name is refused and the error replied.
  bool SetName(std::string_view name);
  ClientLoad load() const;
  size_t MemoryBytes() const;  // the session and its buffers, roughly
  const grid::Catalog& catalog() const;
  TimeMs now_ms();

  bool authenticated() const { return authenticated_; }
  void set_authenticated(bool authenticated);
  void set_resp3(bool resp3) { info_.resp3 = resp3, UpdateRestricted(); }

  // Subscriptions of this session; the shard's Subscribers know them too.
  NameSet& subscriptions(bool patterns) { return patterns ? patterns_ : channels_; }
  size_t subscription_count() const { return channels_.size() + patterns_.size(); }
  void UpdateRestricted();

  enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext };
  ReplyMode reply_mode() const { return reply_mode_; }
  void set_reply_mode(ReplyMode mode);

 private:
  // Parses and routes commands from in[at] on until a batch is full; true: what is left is not
  // whole.
  bool FillBatch(std::string_view in, size_t& at);
  // False: the command has to wait and is to be given again.
  bool Dispatch(Args args);
  bool Permitted(const CommandRow& row, Args args);
  void Route(const CommandRow& row, Args args);
  void RouteEachKey(const CommandRow& row, Args args);
  void RouteKeysTogether(const CommandRow& row, Args args);
  void RouteKeysByShard(const CommandRow& row, Args args);
  void RunHere(const CommandRow& row, Args args);
  void FailNow(std::string_view error);
  void NextTicket();
  void Complete(Gather& gather, const grid::Ticket& ticket);
  void ForgetWaitingReads();
  // Takes `bytes` of a command into account until everything is answered.
  void CountOpen(size_t bytes);
  // Before a batch: how large it may be after what the ones before it brought.
  void AdaptBatch();
  void OnIdle();

  ShardPort& port_;
  Transport& transport_;
  ConnectionId id_;
  ClientInfo info_;
  RespParser parser_;
  std::string output_;
  ReplyQueue replies_;
  grid::Ticket ticket_;  // of the command that runs now
  std::string scratch_;
  bool reply_later_ = false;
  bool consuming_ = false;
  bool stopped_ = false;   // Consume ended because the session must wait
  bool waiting_ = false;   // until all replies are out
  bool blocked_ = false;   // waiting_, and it may take long
  bool retrying_ = false;  // until the transport says so
  size_t unsent_bytes_ = 0;
  size_t batch_commands_max_ = kBatchCommandsFirst;
  size_t reply_bytes_ = 0;  // since the last batch began
  size_t open_bytes_ = 0;   // of the commands given since none was unanswered
  bool closing_ = false;
  bool forget_waiting_reads_ = false;  // of a blocking read that is answered
  bool authenticated_ = true;
  bool pushed_ = false;
  bool restricted_ = false;  // not every command is permitted now
  ReplyMode reply_mode_ = ReplyMode::kOn;
  NameSet channels_, patterns_;
};

}  // namespace bettong::protocol
