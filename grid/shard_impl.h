// The shard's insides, for the files that implement it: shard.cc (messages, time),
// shard_entities.cc (loans and their results), shard_retries.cc, shard_commands.cc (commands,
// queues, waiting readers), key_turn.cc, shard_apply.cc (changes). One thread; nothing here is
// visible outside of grid/.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "grid/alarms.h"
#include "grid/applied_marks.h"
#include "grid/change.h"
#include "grid/entry_reader.h"
#include "grid/journal.h"
#include "grid/key_table.h"
#include "grid/key_turn.h"
#include "grid/loan_state.h"
#include "grid/origin.h"
#include "grid/retries.h"
#include "grid/shard.h"
#include "grid/timing_wheel.h"
#include "grid/waiting_readers.h"
#include "grid/watermarks.h"

namespace bettong::grid {

// Due records handled per Process call: the most that other traffic waits for an expiry burst.
inline constexpr size_t kExpirySliceRecords = 64;
// The same in a call that has messages: a burst of expiries must not tax every batch with a slice.
// While a shard falls behind, each call handles twice as many as the one before, but not more than
// it had messages: to a single command it adds four.
inline constexpr size_t kExpirySliceBesideRecords = 4;
inline constexpr size_t kExpirySliceBesideRecordsMax = 256;
// And for each record filed since, so that no traffic can file faster than the shard expires: it is
// moved to a finer level up to four times (a quarter each) and fired once.
inline constexpr size_t kExpiryUnitsPerFiled = 2;
// A wheel is swept when it holds more than twice as many records as keys have deadlines, and so
// many on top: a key's record stays when the key is deleted or persisted.
inline constexpr size_t kStaleRecordsMin = 64u << 10;
// A working row larger than this is given back with the loan.
inline constexpr size_t kLoanRowBytesKeptMax = 4096;
// Of one that is about to be used, fetched ahead.
inline constexpr size_t kLoanRowBytesAhead = 256;
// Entities whose turns are tried again per Process call.
inline constexpr size_t kRetriesSlice = 64;
// Records looked at for each one filed, while a wheel needs it.
inline constexpr size_t kSweptPerFiled = 4;

struct ImageCursor;
class Replay;
class RowReader;
struct UnreadRow;

class Shard::Impl {
 public:
  Impl(Shard& shard, ShardOptions options);
  ~Impl();

  void Process(std::span<const Message> batch, TimeMs now_ms, Effects& effects);
  TimeMs NextWake() const;
  absl::Status Apply(const wal::Section& section, bool whole);
  void FinishRecovery(wal::Epoch epoch, TimeMs now_ms, RecoveredOutbox& outbox);
  uint64_t Digest() const;
  uint64_t LedgerDigest() const;

  // --- keys (shard.cc)
  // The live value's entry, or nullptr: phantoms and expired values do not exist.
  Entry* FindLive(const KeyRef& key, EntryId* id = nullptr);
  bool Expired(Entry* entry) const;
  bool Live(Entry* entry) const { return !entry->has(kPhantom) && !Expired(entry); }
  void SetDeadline(EntryId id, TimeMs deadline_ms);
  void RemoveEntry(EntryId id);
  // Counters of what exists; a phantom does not.
  void CountKey(Entry* entry, int delta);
  // The data and the shard itself: more than nothing even when it holds nothing.
  uint64_t used_bytes() const;

  // --- expiry (shard.cc)
  // It came due while the node was down, and its events may still be under way.
  bool Spared(const Entry* entry) const {
    return now_ms_ < spare_until_ms_ && entry->deadline_ms() <= spared_ms_;
  }
  void EndSparing();
  TimingWheel& WheelOf(Entry* entry);
  // `work`: how much the call has done beside; 0: nothing.
  void AdvanceTime(size_t work);
  // Files the entry's deadline under a new generation.
  void FileDeadline(EntryId id);
  void SweepWheel(TimingWheel& wheel, size_t filed_records);
  void OnRecordDue(EntryId id, uint8_t generation);
  void ExpireNow(EntryId id);
  void Ring(EntryId id, uint8_t generation);
  void SetAlarms(EntryId id);
  void SetAllAlarms();
  void SweepAlarms(size_t filed_records);

  // --- entities (shard_entities.cc)
  void OnEvents(EventBatch* batch);
  // `retries`: how often its turn has been tried again before.
  void OnEvent(EventBatch* batch, uint32_t item, uint16_t retries = 0);
  void OnCall(const Message& message);
  void RunCall(const KeyRef& key, ClassId entity_class, std::unique_ptr<PendingCall> call);
  // Whether the key's prefix is this class's; an error if not.
  bool OwnsKey(ClassId entity_class, std::string_view key, std::string& error) const;
  // The entity's entry for a turn of the class that owns the key; missing, it is made as a phantom
  // if `create` says so, otherwise id 0. Id 0 and an error if another value lies there.
  EntryId EntityForTurn(const KeyRef& key, ClassId entity_class, bool create, std::string& error);
  // The loan, for what is the kind's own.
  Loan& Lend(EntryId id, TurnKind kind, ClassId entity_class, const EventRecord* event = nullptr);
  LoanState& FreeLoan(Entry* entry);
  void OnLoanResults(LoanResults& results);
  void WriteAwaitedImage(EntryId id);
  // `containers`: of an entity that the changes create.
  void ApplyEntityChanges(EntryId id, PartitionId partition, std::string_view changes,
                          std::span<std::unique_ptr<Container>> containers);
  void ReturnLoan(EntryId id);

  // --- turns that are tried again (shard_retries.cc)
  // A loan's result has come that says so; more of the entity may still be at the lane.
  void OnRetry(const LoanResult& result);
  void OnReturned(const LoanResult& result);
  // The last of these is back.
  void Rest(EntryId id);
  void RetryDue();
  void EndRetries();
  // The retry that the key waits for.
  void RetryNow(EntryId id);
  // Whether its sender gives the event again after a start, unless it has been applied.
  // For a handler that does not take late events, of a stream where they become letters. The door
  // lets it through where it may have been handled in time, before a crash.
  bool IsRefused(const EventBatch::Item& item, const EventRecord& event) const {
    if (!event.IsLate()) return false;
    const StreamSchema& stream = catalog_.streams[event.stream.value()];
    if (stream.late_events != LateEvents::kDeadLetter) return false;
    if (item.kind == TurnKind::kFunction) return !catalog_.functions[item.handler].late;
    return item.kind == TurnKind::kEvent &&
           !catalog_.classes[item.entity_class.value()].handlers[item.handler].late;
  }
  // Where the mark of the event's turn, and what that emits, belongs.
  PartitionId PartitionOfTurn(const EventBatch& batch, const EventBatch::Item& item) const {
    return item.kind == TurnKind::kFunction ? PartitionOfOrigin(batch.origin(item))
                                            : slot_map_.PartitionOf(item.slot);
  }
  bool ComesAgain(const EventBatch::Item& item) const {
    return item.channel > 0 && options_.record_changes;
  }

  void OnKeys(const LoanResult& result, const LoanResults& results);
  void Hold(EventBatch* batch);
  void CompleteEvent(EventBatch* batch);
  LoanState& LoanOf(Entry* entry) const { return *loans_[LoanNumber(entry)]; }
  uint32_t LoanNumber(Entry* entry) const {
    return entry->loan() < Entry::kLoanElsewhere ? entry->loan() : loans_elsewhere_.at(entry);
  }
  void Release(EntryId id);
  void RunWaiting(const std::string& redis_key, std::unique_ptr<WaitingQueue> waiting);
  // The entity's own TTL; it has the flag kOwnTtl.
  int64_t OwnTtl(EntryId id) const { return own_ttls_.at(id.value()); }

  // --- commands (shard_commands.cc)
  void PrefetchCommands(std::span<const Message> batch);
  void OnCommand(const Message& message);
  void RunKeyCommand(const CommandSpec& spec, const KeyRef& key, Args args, const Ticket& ticket);
  void RunShardCommand(const CommandSpec& spec, Args args, const Ticket& ticket);
  void RunOwned(std::unique_ptr<OwnedCommand> command);
  void ReplyTagged(const CommandSpec& spec, const Ticket& ticket, std::string_view tagged);
  void FinishReply(const Ticket& ticket, size_t begin);
  void WakeReaders();
  void TimeOutReaders();
  void FlushAll(const Ticket& ticket);
  void FlushedOne(PendingFlush& flush);

  // --- streams and outputs (shard.cc)
  void OnViewEntry(const ViewEntry& entry);
  void AppendToStream(EntryId id, const KeyRef& key, StreamEntryId entry_id, StreamEntryForm form,
                      std::string_view payload);
  void TrimStream(EntryId id, const KeyRef& key, StreamEntryId first_kept);
  // Answers how many of the entries were there.
  size_t DeleteFromStream(EntryId id, const KeyRef& key, std::span<const StreamEntryId> ids);
  void BoundView(EntryId id, const KeyRef& key, const StreamSchema& schema);
  void AddOutput(StreamId stream, PartitionId partition, SourceRef origin, std::string_view json);
  void OnEmit(const ViewEntry& entry);
  void Notify(NotifyClass notify_class, std::string_view event, std::string_view key);
  void DeadLetterEvent(EventBatch* batch, uint32_t item, std::string_view error);
  std::string RenderLetter(const Catalog& catalog, const EventBatch& batch,
                           const EventBatch::Item& item, std::string_view error);
  void EndEvent(EventBatch* batch, uint32_t item, std::string_view letter);

  // --- changes (shard_apply.cc)
  // Where to write a change of this key, or nullptr when changes are not recorded.
  std::string* Change(const KeyRef& key, ChangeOp op);
  // A change of an entity's row, by the schema that its class has now.
  std::string* RowChange(const KeyRef& key, ChangeOp op, ClassId entity_class);

  enum class Applied : uint8_t { kDone, kNoBase, kMalformed };
  absl::Status ApplyEntries(const wal::Section& section, bool whole);
  Applied ApplyEntry(PartitionId id, const LogEntry& entry);
  Applied ApplyOne(PartitionId partition, const KeyRef& key, const LogEntry& change);
  Applied ApplyRow(PartitionId partition, const KeyRef& key, bool create, std::string_view payload);
  Applied LearnClass(PartitionId partition, const std::string& name, std::string_view schema);
  Applied ApplyUnread(PartitionId partition, const KeyRef& key, bool create,
                      std::unique_ptr<UnreadRow> fresh, std::string_view payload);
  absl::Status CheckAllRead(const Migrate& migrate) const;
  void TakeMigrated();
  void InsertPieces(EntryId id, std::span<const LogEntry::StreamItem> pieces);

  // --- the checkpoint (shard_checkpoint.cc)
  void BeginRound();
  bool WriteImages(size_t bytes);
  size_t WriteImage(EntryId id, Entry* entry);
  size_t WriteDeadline(const KeyRef& key, const Entry* entry);
  size_t ContinueImage();
  void EndRound();
  void NoteWatermarks();
  void NoteWatermarksBeside(PartitionId partition);
  void NoteConfirmed();

  // --- another catalog (shard_reload.cc)
  std::vector<RowToMigrate> RowsToMigrate(const Catalog& next, size_t rows_max) const;
  void SetCatalog(const Catalog& next, std::span<const MigratedRow> migrated);
  // Of the classes that have been there before.
  void DeriveFromCatalog();
  uint64_t EventsAtRest() const;
  void TellResting(const Catalog& before);

  // --- messages that may come twice (shard_marks.cc)
  // Whether it has had its effect before this process began.
  bool Repeated(PartitionId partition, const Origin& origin, uint64_t target);
  void NoteApplied(PartitionId partition, const Origin& origin, uint64_t target);
  uint64_t TargetOf(const EventBatch& batch, const EventBatch::Item& item) const;
  // Where that is written down which belongs to no key: what could not be decoded, failed keys.
  PartitionId PartitionOfOrigin(const Origin& origin) const;

  Shard& shard_;
  ShardOptions options_;
  Catalog catalog_;  // exchanged in place by SetCatalog; nothing keeps a pointer into it
  const SlotMap& slot_map_;
  KeyTable table_;
  Watermarks watermarks_;
  TimingWheel wheel_;
  std::vector<std::unique_ptr<TimingWheel>> event_wheels_;  // per class; null for wall-clock ones
  Alarms alarms_;
  Retries retries_;
  bool retries_end_ = false;                         // the node is about to stop
  size_t filed_records_ = 0;                         // since the wheels were last looked at
  size_t slice_beside_ = kExpirySliceBesideRecords;  // of the next call that has messages
  absl::flat_hash_map<uint32_t, int64_t> own_ttls_;  // entry id -> ttl, with kOwnTtl

  std::vector<std::unique_ptr<LoanState>> loans_;
  std::vector<uint32_t> free_loans_;
  size_t loan_row_bytes_ = 0;  // of the working rows kept in loans_
  // Numbers that do not fit into an entry: more than 65,535 entities are lent at a time.
  absl::flat_hash_map<const Entry*, uint32_t> loans_elsewhere_;
  EventBatch* held_batches_ = nullptr;  // not complete, the newest first; owned

  WaitingReaders readers_;
  std::vector<std::string> grown_streams_;  // with readers waiting, appended to in this batch
  // The command being run, for WaitForAppend; waiting_ is set when it asked to wait.
  const CommandSpec* running_ = nullptr;
  std::optional<WaitingReader> waiting_;
  // Set when it was FLUSHALL and some keys are lent: it is answered when they are gone, too.
  std::shared_ptr<PendingFlush> flushing_;
  // Set while a reader that was woken runs again: the deadline it came with.
  std::optional<TimeMs> reader_deadline_ms_;
  bool reply_when_durable_ = false;          // of the command being run
  std::optional<DurableWait> durable_wait_;  // likewise

  PartitionId own_partition_;                            // one of this shard's, for what has no key
  std::vector<uint64_t> output_sequences_;               // per partition
  std::vector<AppliedMarks> marks_;                      // per partition
  std::shared_ptr<const RecoveredEnds> recovered_ends_;  // of the node; null: it has begun anew
  bool refuses_late_ = false;  // streams whose late events become letters, there are
  std::vector<std::map<std::string, std::string, std::less<>>>
      endpoints_;                               // per partition, by name
  std::vector<uint64_t> confirmed_;             // per partition: the last output that all have...
  std::vector<uint64_t> confirmed_noted_;       // ...as the log has it
  std::vector<std::vector<uint64_t>> targets_;  // hashes of the handlers' names, by class
  std::vector<uint64_t> function_targets_;      // FunctionTarget, by number
  Journal journal_;
  std::vector<TimeMs> watermarks_noted_;  // by stream: what the log has
  std::unique_ptr<ImageCursor> images_;   // while a round is under way
  std::unique_ptr<Replay> replay_;        // while sections are being applied
  TimeMs spared_ms_ = kNoTime;            // entities due by then are not...
  TimeMs spare_until_ms_ = kNoTime;       // ...expired before this
  std::vector<EntryId> spared_;           // of these
  bool read_only_ = false;
  bool held_ = false;
#ifdef BETTONG_SIMULATION
  std::vector<std::function<void()>> late_marks_;  // of a planted bug
#endif

  // Of PrefetchCommands: fields of large hashes.
  std::vector<std::pair<const BigHash*, uint32_t>> fields_ahead_;

  TimeMs now_ms_ = 0;
  Effects* effects_ = nullptr;
  std::string scratch_;

  size_t live_keys_ = 0;
  size_t keys_with_deadline_ = 0;
  std::vector<size_t> entities_by_class_;
  size_t entities_ = 0;
  ShardStats stats_;
  Histogram expiry_lag_ms_;
};

}  // namespace bettong::grid
