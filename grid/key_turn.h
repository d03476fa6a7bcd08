// What a command sees of the grid while it runs. A KeyTurn is one turn on one key: reads answer the
// live value (an expired one is already gone), every write is noted as a change for the log, and
// the reply is appended to reply(). A command validates first and writes after: a turn that answers
// an error must not have written.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.h"
#include "base/key_hash.h"
#include "grid/catalog.h"
#include "grid/command.h"
#include "grid/value.h"

namespace bettong::grid {

class Shard;
struct Entry;

// Classes of keyspace notifications, as bits (Redis's NOTIFY_*; the letters are the protocol's).
enum NotifyClass : uint32_t {
  kNotifyKeyspace = 1 << 0,  // K
  kNotifyKeyevent = 1 << 1,  // E
  kNotifyGeneric = 1 << 2,   // g
  kNotifyString = 1 << 3,    // $
  kNotifyHash = 1 << 4,      // h
  kNotifyExpired = 1 << 5,   // x
  kNotifyStream = 1 << 6,    // t
  kNotifyNew = 1 << 7,       // n
  kNotifyEntity = 1 << 8,    // (Bettong) entity life: no letter yet
};

class KeyTurn {
 public:
  KeyTurn(Shard& shard, const KeyRef& key, const Ticket& ticket, std::string& reply);

  TimeMs now_ms() const;
  std::string_view key() const { return key_.text; }
  const Ticket& ticket() const { return ticket_; }
  bool resp3() const { return ticket_.resp3; }
  std::string& reply() { return reply_; }
  const Catalog& catalog() const;

  // Reads.
  ValueType type();  // kNone: no such key
  bool exists() { return type() != ValueType::kNone; }
  TimeMs deadline_ms();             // kNeverExpires without TTL
  TimeMs clock_ms();                // what deadline_ms is measured by: wall or event time
  std::string_view string_value();  // kString only
  size_t hash_size();               // kHash only, like the next two
  std::optional<std::string_view> HashGet(std::string_view field);
  // Visits fields from `cursor` on until visit answers false; answers where to go on, 0 at the end.
  // Fields that stay are visited by whoever goes on so long. A small hash has no positions: it is
  // visited whole, whatever the cursor and visit say.
  uint64_t HashVisit(
      uint64_t cursor,
      const std::function<bool(std::string_view field, std::string_view value)>& visit);
  const StreamValue& stream_value();  // kStream only
  const ClassSchema& entity_class();  // kEntity only, like the next
  const char* entity_row();

  // Writes. PutString replaces whatever is there and sets the deadline.
  void PutString(std::string_view value, TimeMs deadline_ms);
  // Overwrites part of an existing string value, or grows it; deadline unchanged.
  void UpdateString(std::string_view value);
  // Likewise, by bytes at its end.
  void AppendString(std::string_view more);
  void SetDeadline(TimeMs deadline_ms);
  void Delete();
  // Both create or remove the hash as needed; answer how many fields were new / were removed.
  size_t HashSet(std::span<const std::pair<std::string_view, std::string_view>> fields);
  size_t HashDelete(std::span<const std::string_view> fields);
  // Sets one field of an entity from its encoded form (RowSchema::ParseText).
  void EntitySet(size_t field, std::string_view encoded);
  // Creates the stream when missing. `id` must be above last_id. Wakes readers that wait.
  void StreamAppend(StreamEntryId id, StreamEntryForm form, std::string_view payload);
  // Cuts a declared stream's view to what it may hold.
  void BoundView(const StreamSchema& schema);
  void StreamTrim(StreamEntryId first_kept);
  // Answers how many of the entries were there. The stream stays, also without any.
  size_t StreamDelete(std::span<const StreamEntryId> ids);

  // Publishes `event` ("set", "del", "expired") to __keyspace@0__ / __keyevent@0__ if configured.
  void Notify(NotifyClass notify_class, std::string_view event);

  // The reply leaves when everything up to here is durable, whatever the node's durability.
  void ReplyWhenDurable();

  // XADD on a declared stream: hands the entry to the stream's handlers.
  // For an entity, or for what handles an event: JSON of Catalog::messages (entity_message.h).
  void SendMessage(std::string_view json);
  void FeedStream(StreamId stream, StreamEntryId id, std::string_view fields_payload);

  // Blocking reads: nothing is replied now; the command runs again from its start when this key's
  // stream grows, and gets `timeout_reply` at the deadline (kNeverExpires: waits for ever), which
  // stays that of the first run however often it waits again. The
  // args given to the rerun are `args` (so "$" can be resolved to an id first). A ShardTurn's
  // command may wait on several keys: the first that grows reruns it.
  void WaitForAppend(Args args, TimeMs deadline_ms, std::string_view timeout_reply);

  // An error of RESP wording; nothing else may be replied.
  void ReplyError(std::string_view text);  // "-" + text + CRLF

 private:
  friend class Shard;
  Entry* Find();
  void Create(ValueType type, size_t value_bytes, bool with_deadline);
  void Retype(ValueType type);
  void SetDeadlineOnly(TimeMs deadline_ms);

  Shard& shard_;
  KeyRef key_;
  Ticket ticket_;
  std::string& reply_;
  EntryId id_;
  Entry* entry_ = nullptr;
  bool looked_up_ = false;
};

// A command on one shard: a piece of DBSIZE, SCAN, KEYS, FLUSHALL, INFO, or MGET/MSET on its keys.
class ShardTurn {
 public:
  ShardTurn(Shard& shard, const Ticket& ticket, std::string& reply);

  TimeMs now_ms() const;
  const Ticket& ticket() const { return ticket_; }
  std::string& reply() { return reply_; }
  const Catalog& catalog() const;

  // A turn on one of this shard's keys; its replies go to `reply` (by default nowhere useful).
  KeyTurn Key(std::string_view key, std::string& reply);
  bool Owns(std::string_view key) const;

  size_t key_count() const;  // live keys, DBSIZE
  size_t keys_with_deadline() const;
  size_t entity_count(std::optional<ClassId> entity_class = std::nullopt) const;
  size_t used_memory_bytes() const;

  // Visits live keys from `cursor` on, at least `count` slots of the slab if there are as many;
  // answers where to go on, 0 at the end. Keys that stay keep their position.
  uint64_t Scan(uint64_t cursor, size_t count,
                const std::function<void(std::string_view key, ValueType type)>& visit);
  // In the place of a reply: see DurableWait.
  void WaitUntilDurable(TimeMs deadline_ms, bool to_the_end);
  uint64_t scan_end() const;  // above every cursor that Scan answers
  // Removes every key without on_expire; lent entities go when they come back, and only then the
  // command is answered.
  void FlushAll();

 private:
  Shard& shard_;
  Ticket ticket_;
  std::string& reply_;
};

}  // namespace bettong::grid
