// A shard under a test's hand: commands as text with replies as text, events, a manual clock, and a
// compute host whose loans and results can be held back and returned in pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "grid/compute_host.h"
#include "grid/shard.h"
#include "grid/shard_testing_commands.h"
#include "grid/tagged.h"
#include "wal/record_testing.h"

namespace bettong::grid {

// An event for one entity.
struct TestEvent {
  ClassId entity_class;
  std::string key;     // without prefix; ignored for key functions
  std::string script;  // what the handler shall do
  TimeMs time_ms = kNoTime;
  uint16_t handler = 0;
  TurnKind kind = TurnKind::kEvent;
  uint32_t source = 1;
  TimeMs watermark_ms = kNoTime;  // that it brings along
};

struct TestShardOptions {
  bool record_changes = false;
  uint32_t shards = 1;
  uint16_t id = 0;
  uint64_t maxmemory_bytes = 0;
  uint32_t notify_classes = 0;
  uint64_t hash_seed = 5;
};

class TestShard {
 public:
  TestShard(std::shared_ptr<const Catalog> catalog, ComputeHost* host,
            TestShardOptions options = {})
      : catalog_(std::move(catalog)),
        host_(host),
        slot_map_(std::make_shared<SlotMap>(64, options.shards, options.hash_seed)),
        shard_(ShardOptions{.id = ShardId(options.id),
                            .slot_map = slot_map_,
                            .catalog = catalog_,
                            .record_changes = options.record_changes,
                            .maxmemory_bytes = options.maxmemory_bytes,
                            .notify_classes = options.notify_classes}) {}

  Shard& shard() { return shard_; }
  const SlotMap& slot_map() const { return *slot_map_; }

  TimeMs now_ms = 1'000'000;
  bool hold = false;  // loans wait for RunLoans, results for Return

  // --- in

  // Sends a command and answers its reply; "(none)" if it waits.
  std::string Do(std::string_view line, uint64_t connection = 1) {
    uint64_t sequence = Ask(line, connection);
    return Reply(sequence).value_or("(none)");
  }
  // Sends a command; the reply is found under the number answered, once there is one.
  uint64_t Ask(std::string_view line, uint64_t connection = 1, uint16_t home = 0) {
    TestCommandLine command(line, *catalog_, *slot_map_);
    command.message.ticket = Ticket{ConnectionId(connection), ++sequence_, ShardId(home)};
    Send({&command.message, 1});
    return sequence_;
  }
  // Commands in one batch, without an interest in the replies.
  void AskAll(const std::vector<std::string>& lines, uint64_t connection = 1) {
    std::vector<std::unique_ptr<TestCommandLine>> commands;
    std::vector<Message> batch;
    for (const std::string& line : lines) {
      commands.push_back(std::make_unique<TestCommandLine>(line, *catalog_, *slot_map_));
      batch.push_back(commands.back()->message);
      batch.back().ticket = Ticket{ConnectionId(connection), ++sequence_, ShardId(0)};
    }
    Send(batch);
  }
  std::optional<std::string> Reply(uint64_t sequence) const {
    auto at = replies_.find(sequence);
    return at == replies_.end() ? std::nullopt : std::optional(at->second);
  }

  void Events(const std::vector<TestEvent>& events) {
    Message message;
    message.kind = MessageKind::kEvents;
    message.events = MakeBatch(events).release();
    Send({&message, 1});
  }
  void Event(TestEvent event) { Events({std::move(event)}); }

  void Watermark(TimeMs time_ms, uint16_t stream = 0, uint32_t source = 1) {
    WatermarkNote note{.stream = StreamId(stream),
                       .partition = SourceRef{ShardId(0), SourceId(source)},
                       .time_ms = time_ms};
    Message message;
    message.kind = MessageKind::kWatermark;
    message.watermark = &note;
    Send({&message, 1});
  }

  void View(uint16_t stream, std::string json) {
    ViewEntry entry{StreamId(stream), std::move(json), Origin{}};
    Message message;
    message.kind = MessageKind::kViewEntry;
    message.view = &entry;
    Send({&message, 1});
  }

  void Forget(uint64_t connection, uint16_t home = 0) {
    Message message;
    message.kind = MessageKind::kForget;
    message.ticket = Ticket{ConnectionId(connection), 0, ShardId(home)};
    Send({&message, 1});
  }

  // Time passes; with what is then due, slice by slice.
  void AdvanceTo(TimeMs time_ms) {
    now_ms = time_ms;
    Send({});
    Settle();
  }
  // Processes until nothing is due.
  void Settle() {
    for (int i = 0; i < 1'000'000 && shard_.NextWake() <= now_ms; ++i) {
      BETTONG_CHECK(i < 999'999);
      Send({});
    }
  }

  void Send(std::span<const Message> batch) {
    Effects effects;
    shard_.Process(batch, now_ms, effects);
    Take(effects);
    while (!hold && !loans_.empty()) {
      RunLoans(loans_.size());
      Return();
    }
  }

  // --- the lane

  size_t loans() const { return loans_.size(); }
  // Runs the oldest loans; their results wait as one piece.
  void RunLoans(size_t count) {
    std::vector<Loan> batch;
    for (; count > 0; --count) {
      batch.push_back(loans_.front());
      loans_.pop_front();
    }
    auto results = std::make_unique<LoanResults>();
    for (std::span<const Loan> left = batch; !left.empty();)
      left = left.subspan(host_->RunBatch(left, *results));
    result_bytes += results->bytes.size();
    results_.push_back(std::move(results));
  }
  // Returns the oldest piece.
  void Return() {
    std::unique_ptr<LoanResults> results = std::move(results_.front());
    results_.pop_front();
    Message message;
    message.kind = MessageKind::kLoanResults;
    message.results = results.get();
    Effects effects;
    shard_.Process({&message, 1}, now_ms, effects);
    // What the results lie in is gone by the time anybody looks at the effects.
    results.reset();
    Take(effects);
  }
  size_t pieces() const { return results_.size(); }
  void RunAndReturn(size_t count) { RunLoans(count), Return(); }
  // Everything that is out comes back, and what that sets free.
  void Drain() {
    while (!results_.empty()) Return();
    while (!loans_.empty()) RunAndReturn(loans_.size());
  }

  // --- out

  std::vector<std::string> outputs;  // "stream json", cleared by TakeOutputs
  std::vector<Output> output_heads;
  std::vector<uint64_t> replied;           // in the order of the replies
  std::vector<std::string> notifications;  // "channel payload"
  std::vector<std::string> keyed;          // "key handler"
  std::vector<std::string> inputs;         // "stream payload"
  std::vector<StreamInput> input_heads;
  std::vector<wal::OwnedSection> sections;  // with record_changes
  std::map<std::pair<uint16_t, uint32_t>, int64_t> credits;
  size_t result_bytes = 0;  // of all that the host has answered
  size_t batches_out = 0;   // given to the shard and not back yet

  std::vector<std::string> TakeOutputs() { return std::exchange(outputs, {}); }
  std::vector<std::string> TakeNotifications() { return std::exchange(notifications, {}); }

  std::unique_ptr<EventBatch> MakeBatch(const std::vector<TestEvent>& events) {
    auto batch = std::make_unique<EventBatch>();
    for (const TestEvent& event : events) {
      EventRecordBuilder record(batch->records, StreamOf(event), 3);
      record.SetBytes(0, event.key);
      record.SetBytes(1, event.script);
      if (event.time_ms == kNoTime) {
        record.SetNull(2);
      } else {
        record.SetInt(2, event.time_ms);
        record.SetTime(event.time_ms);
      }
      record.Finish();
      reinterpret_cast<EventRecord*>(batch->records.data() + record.offset())->watermark_ms =
          event.watermark_ms;
      EventBatch::Item item{};
      item.record_offset = static_cast<uint32_t>(record.offset());
      item.entity_class = event.entity_class;
      item.handler = event.handler;
      item.kind = event.kind;
      item.source = SourceRef{ShardId(0), SourceId(event.source)};
      if (event.kind == TurnKind::kEvent) {
        std::string key = catalog_->classes[event.entity_class.value()].prefix + ":" + event.key;
        KeyRef ref = slot_map_->Key(key);
        item.key_offset = static_cast<uint32_t>(batch->keys.size());
        item.key_size = static_cast<uint32_t>(key.size()) & 0xffffff;
        item.hash = ref.hash;
        item.slot = ref.slot;
        batch->keys.Append(key);
      }
      batch->items.push_back(item);
    }
    ++batches_out;
    return batch;
  }

 private:
  StreamId StreamOf(const TestEvent& event) const {
    return catalog_->classes[event.entity_class.value()].handlers[event.handler].stream;
  }

  void Take(Effects& effects) {
    auto cut = [](const std::string& bytes, uint32_t begin, uint32_t end) {
      return bytes.substr(begin, end - begin);
    };
    for (const ReplyRange& reply : effects.replies) {
      bool fresh =
          replies_.emplace(reply.ticket.sequence, cut(effects.reply_bytes, reply.begin, reply.end))
              .second;
      BETTONG_CHECK(fresh);
      replied.push_back(reply.ticket.sequence);
    }
    for (const Output& output : effects.outputs) {
      outputs.push_back(catalog_->streams[output.stream.value()].name + " " +
                        cut(effects.output_bytes, output.begin, output.end));
      output_heads.push_back(output);
    }
    for (const StreamInput& input : effects.stream_inputs) {
      inputs.push_back(catalog_->streams[input.stream.value()].name + " " +
                       cut(effects.output_bytes, input.begin, input.end));
      input_heads.push_back(input);
    }
    for (const KeyedEvent& event : effects.keyed_events) {
      keyed.push_back(event.redis_key + " " + std::string(event.record->Bytes(1)));
    }
    for (const Notification& n : effects.notifications) {
      notifications.push_back(cut(effects.notification_bytes, n.channel_begin, n.channel_end) +
                              " " + cut(effects.notification_bytes, n.channel_end, n.payload_end));
    }
    for (const Credit& credit : effects.credits) {
      credits[{credit.source.home.value(), credit.source.source.value()}] += credit.delta;
    }
    if (shard_.recorded_bytes() > 0) {
      wal::LogRecord record;
      shard_.TakeRecord(record);
      for (wal::OwnedSection& section : wal::SectionsOf(record)) {
        sections.push_back(std::move(section));
      }
    }
    for (const Loan& loan : effects.loans) loans_.push_back(loan);
    for (EventBatch* batch : effects.completed) {
      BETTONG_CHECK(batch->outstanding == 0);
      delete batch;
      --batches_out;
    }
  }

  std::shared_ptr<const Catalog> catalog_;
  ComputeHost* host_;
  std::shared_ptr<const SlotMap> slot_map_;
  Shard shard_;
  uint64_t sequence_ = 0;
  std::map<uint64_t, std::string> replies_;
  std::deque<Loan> loans_;
  std::deque<std::unique_ptr<LoanResults>> results_;
};

}  // namespace bettong::grid
