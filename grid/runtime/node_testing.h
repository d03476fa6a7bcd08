// A node under a test's hand: shards on threads of their own, a lane with a CountingHost or one
// inline per shard, and gates that route what is fed or emitted to the owners of the keys. Nothing
// sleeps: tests wait for mail, replies and credits.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "grid/counting_host_testing.h"
#include "grid/event.h"
#include "grid/runtime/lane.h"
#include "grid/runtime/shard_loop.h"
#include "grid/shard_testing_commands.h"

namespace bettong::grid {

// Runs a function on the receiving shard's thread.
class FunctionMail : public Mail {
 public:
  explicit FunctionMail(std::function<void(ShardLoop&)> work) : work_(std::move(work)) {}
  void Deliver(ShardLoop& shard) override { work_(shard); }

 private:
  std::function<void(ShardLoop&)> work_;
};

// Something that happens on one thread and is waited for on another.
class Signal {
 public:
  void Raise() {
    std::lock_guard lock(mutex_);
    raised_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return raised_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool raised_ = false;
};

// Routes "KEY SCRIPT" as events for the counters; what is emitted into the stream as well.
class TestGate : public StreamGate {
 public:
  explicit TestGate(ShardLoop& shard) : shard_(shard), outgoing_(shard.shard_count()) {}

  void Add(std::string_view key, std::string_view script, SourceRef origin) {
    std::string redis_key = shard_.catalog().classes[0].prefix + ":" + std::string(key);
    KeyRef ref = shard_.slot_map().Key(redis_key);
    auto& batch = outgoing_[shard_.slot_map().ShardOf(ref.slot).value()];
    if (batch == nullptr) batch = std::make_unique<EventBatch>();
    EventRecordBuilder record(batch->records, kCountedEvents, 3);
    record.SetBytes(0, key);
    record.SetBytes(1, script);
    record.SetNull(2);
    record.Finish();
    batch->items.push_back(
        EventBatch::Item{.record_offset = static_cast<uint32_t>(record.offset()),
                         .key_offset = static_cast<uint32_t>(batch->keys.size()),
                         .key_size = static_cast<uint32_t>(redis_key.size()) & 0xffffff,
                         .kind = TurnKind::kEvent,
                         .hash = ref.hash,
                         .slot = ref.slot,
                         .source = origin});
    batch->keys.Append(redis_key);
    AddCredit(credits_, origin, +1);
  }

  void RouteJson(StreamId, std::string_view text, const Origin& origin) override {
    size_t space = text.find(' ');
    Add(text.substr(0, space), text.substr(space + 1), origin.source);
  }
  void RouteFields(StreamId, std::string_view, StreamEntryId, const Origin&) override {}
  void RouteKeyed(const KeyedEvent&) override {}
  void OnKeysDone(uint64_t) override {}
  void SetHeld(bool) override {}
  void OnCatalogChanged() override {}

  void Flush() override {
    shard_.SendCredits(std::exchange(credits_, {}));
    for (size_t i = 0; i < outgoing_.size(); ++i) {
      if (outgoing_[i] == nullptr) continue;
      auto batch = std::make_shared<std::unique_ptr<EventBatch>>(std::move(outgoing_[i]));
      ShardId to(static_cast<uint16_t>(i));
      if (to == shard_.id()) {
        Submit(shard_, std::move(*batch));
      } else {
        shard_.Post(to, std::make_unique<FunctionMail>(
                            [batch](ShardLoop& shard) { Submit(shard, std::move(*batch)); }));
      }
    }
  }

 private:
  static void Submit(ShardLoop& shard, std::unique_ptr<EventBatch> batch) {
    Message message;
    message.kind = MessageKind::kEvents;
    message.events = batch.release();
    shard.Submit({&message, 1});
  }

  ShardLoop& shard_;
  std::vector<std::unique_ptr<EventBatch>> outgoing_;
  std::vector<Credit> credits_;
};

struct TestNodeOptions {
  uint32_t shards = 2;
  bool inline_hosts = false;  // otherwise one lane
  std::string prefix = "counter";
  CountingHost::Observer observer;
  uint32_t notify_classes = 0;
  std::function<TimeMs()> clock;  // the system's if there is none
  uint64_t hash_seed = 5;
};

class TestNode {
 public:
  explicit TestNode(TestNodeOptions options = {}) : catalog_(MakeCountingCatalog(options.prefix)) {
    slot_map_ = std::make_shared<SlotMap>(kPartitionsDefault, options.shards, options.hash_seed);
    if (!options.inline_hosts) {
      lane_ = std::make_unique<Lane>(
          [this, &options] { return std::make_unique<CountingHost>(catalog_, options.observer); });
      BETTONG_CHECK(lane_->WaitUntilReady());
    }
    std::vector<ShardLoop*> shards;
    for (uint32_t i = 0; i < options.shards; ++i) {
      ShardLoopOptions loop;
      loop.shard.id = ShardId(static_cast<uint16_t>(i));
      loop.shard.slot_map = slot_map_;
      loop.shard.catalog = catalog_;
      loop.shard.notify_classes = options.notify_classes;
      loop.lane = lane_.get();
      loop.clock = options.clock;
      if (options.inline_hosts) {
        hosts_.push_back(std::make_unique<CountingHost>(catalog_, options.observer));
        loop.inline_host = hosts_.back().get();
      }
      shards_.push_back(std::make_unique<ShardLoop>(std::move(loop)));
      shards.push_back(shards_.back().get());
    }
    for (ShardLoop* shard : shards) {
      shard->SetShards(shards);
      shard->SetGate(std::make_unique<TestGate>(*shard));
    }
    if (lane_ != nullptr) lane_->SetShards(shards);
  }
  ~TestNode() {
    StopShards();
    lane_.reset();
  }

  void Start() {
    for (auto& shard : shards_) threads_.emplace_back([&shard] { shard->Run(); });
  }
  // Whatever is under way. The lane goes on by itself.
  void StopShards() {
    for (auto& shard : shards_) shard->Stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  ShardLoop& shard(size_t index) { return *shards_[index]; }
  size_t shard_count() const { return shards_.size(); }
  Lane& lane() { return *lane_; }
  std::shared_ptr<const Catalog> catalog() const { return catalog_; }
  const SlotMap& slot_map() const { return *slot_map_; }

  // Posts work to the shard.
  void Post(size_t shard, std::function<void(ShardLoop&)> work) {
    shards_[0]->Post(ShardId(static_cast<uint16_t>(shard)),
                     std::make_unique<FunctionMail>(std::move(work)));
  }
  // Runs work on the shard's thread and waits for what it answers.
  template <typename Work>
  auto On(size_t shard, Work work) {
    using Answer = decltype(work(*shards_[shard]));
    std::promise<Answer> answer;
    Post(shard, [&](ShardLoop& loop) {
      if constexpr (std::is_void_v<Answer>) {
        work(loop);
        answer.set_value();
      } else {
        answer.set_value(work(loop));
      }
    });
    return answer.get_future().get();
  }

  // "FIELD counter:KEY count"'s reply and the like, as the owner has it now.
  std::string Field(const std::string& key, const std::string& field = "count");
  uint64_t events() {
    uint64_t sum = 0;
    for (size_t i = 0; i < shards_.size(); ++i)
      sum += On(i, [](ShardLoop& shard) { return shard.shard().stats().events; });
    return sum;
  }
  ShardId OwnerOf(const std::string& key) const {
    return slot_map_->ShardOf(SlotOfKey(catalog_->classes[0].prefix + ":" + key));
  }

 private:
  std::shared_ptr<const Catalog> catalog_;
  std::shared_ptr<const SlotMap> slot_map_;
  std::vector<std::unique_ptr<CountingHost>> hosts_;
  std::unique_ptr<Lane> lane_;
  std::vector<std::unique_ptr<ShardLoop>> shards_;
  std::vector<std::thread> threads_;
};

// An input channel of one shard, which knows when everything it fed is complete.
class TestSource final : public SourceControl {
 public:
  TestSource(TestNode& node, size_t home) : node_(node), home_(home) {
    ref_ = node_.On(home_, [this](ShardLoop& shard) { return shard.AddSource(this); });
  }

  // Feeds (key, script) events, in order, as one piece.
  void Feed(std::vector<std::pair<std::string, std::string>> events) {
    {
      std::lock_guard lock(mutex_);
      fed_ += 1;
    }
    node_.Post(home_, [this, events = std::move(events)](ShardLoop& shard) {
      for (const auto& [key, script] : events)
        static_cast<TestGate*>(shard.gate())->Add(key, script, ref_);
      shard.gate()->Flush();
      std::lock_guard lock(mutex_);
      sent_ += 1;
      outstanding_ = shard.Outstanding(ref_);
      changed_.notify_all();
    });
  }
  // Until nothing that was fed has a consequence left.
  void WaitUntilDone() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return sent_ == fed_ && outstanding_ == 0; });
  }

  void OnCredit() override {
    std::lock_guard lock(mutex_);
    outstanding_ = node_.shard(home_).Outstanding(ref_);
    changed_.notify_all();
  }
  SourceRef ref() const { return ref_; }

 private:
  TestNode& node_;
  size_t home_;
  SourceRef ref_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int fed_ = 0, sent_ = 0;
  int64_t outstanding_ = 0;
};

// A client's connection on one shard; commands go to the owners of their keys.
class TestConnection final : public ReplySink {
 public:
  TestConnection(TestNode& node, size_t home) : node_(node), home_(home) {
    id_ = node_.On(home_, [this](ShardLoop& shard) { return shard.AddReplySink(this); });
  }

  // Sends the commands in order; answers the sequence of the first.
  uint64_t Ask(std::vector<std::string> lines) {
    uint64_t first = next_sequence_;
    next_sequence_ += lines.size();
    node_.Post(home_, [this, first, lines = std::move(lines)](ShardLoop& shard) {
      uint64_t sequence = first;
      std::vector<std::unique_ptr<TestCommandLine>> commands;
      std::vector<std::vector<Message>> by_owner(shard.shard_count());
      for (const std::string& line : lines) {
        commands.push_back(
            std::make_unique<TestCommandLine>(line, shard.catalog(), shard.slot_map()));
        Message& message = commands.back()->message;
        message.ticket = Ticket{id_, sequence++, shard.id()};
        by_owner[shard.slot_map().ShardOf(message.key.slot).value()].push_back(message);
      }
      for (size_t i = 0; i < by_owner.size(); ++i) {
        ShardId to(static_cast<uint16_t>(i));
        if (to != shard.id() && !by_owner[i].empty()) shard.SendCommands(to, by_owner[i]);
      }
      if (!by_owner[home_].empty()) shard.Submit(by_owner[home_]);
    });
    return first;
  }
  // All replies so far, in the order of arrival, once there are so many.
  std::vector<std::pair<uint64_t, std::string>> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return replies_.size() >= count; });
    return replies_;
  }
  std::string Do(std::string line) {
    uint64_t sequence = Ask({std::move(line)});
    std::unique_lock lock(mutex_);
    for (;;) {
      for (const auto& [of, reply] : replies_) {
        if (of == sequence) return reply;
      }
      changed_.wait(lock);
    }
  }
  void Close() {
    node_.On(home_, [this](ShardLoop& shard) { shard.RemoveReplySink(id_); });
  }

  void Reply(const Ticket& ticket, std::string_view bytes) override {
    std::lock_guard lock(mutex_);
    replies_.emplace_back(ticket.sequence, bytes);
  }
  void Flush() override {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }

 private:
  TestNode& node_;
  size_t home_;
  ConnectionId id_;
  uint64_t next_sequence_ = 1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<uint64_t, std::string>> replies_;
};

inline std::string TestNode::Field(const std::string& key, const std::string& field) {
  TestConnection connection(*this, 0);
  std::string reply =
      connection.Do("FIELD " + catalog_->classes[0].prefix + ":" + key + " " + field);
  connection.Close();
  return reply;
}

}  // namespace bettong::grid
