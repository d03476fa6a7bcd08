// Sinks that keep everything in memory, for tests: takes every stream, and reports outputs written
// at once, or only when told to.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "grid/runtime/shard_loop.h"

namespace bettong::ingest {

class CollectSinks : public grid::SinkSet {
 public:
  struct Item {
    StreamId stream;
    std::string json;
    bool operator==(const Item&) const = default;
  };

  // Before the shards run.
  void Start(std::vector<grid::ShardLoop*> shards) { shards_ = std::move(shards); }

  size_t SinksOf(StreamId) const override { return 1; }
  void Write(ShardId from, std::span<const grid::SinkItem> items) override {
    std::lock_guard lock(mutex_);
    for (const grid::SinkItem& item : items) {
      items_.push_back({item.stream, std::string(item.json)});
      grid::AddWriteCredit(unreported_, item.origin, -1);
      bytes_pending_.resize(std::max(bytes_pending_.size(), size_t{from.value()} + 1));
      bytes_pending_[from.value()] += item.json.size();
    }
    if (!holding_) ReportLocked();
  }
  size_t BytesPending(ShardId from) const override {
    std::lock_guard lock(mutex_);
    return from.value() < bytes_pending_.size() ? bytes_pending_[from.value()] : 0;
  }

  // While held, outputs are taken but not reported as written.
  void Hold() {
    std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void Release() {
    std::lock_guard lock(mutex_);
    holding_ = false;
    ReportLocked();
  }

  // What came so far, in order; `Take` forgets it.
  std::vector<Item> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }
  std::vector<std::string> TakeJson(StreamId stream) {
    std::vector<std::string> json;
    for (Item& item : Take()) {
      if (item.stream == stream) json.push_back(std::move(item.json));
    }
    return json;
  }

 private:
  class CreditMail : public grid::Mail {
   public:
    explicit CreditMail(grid::Credit credit) : credit_(credit) {}
    void Deliver(grid::ShardLoop& shard) override { shard.SendCredits({&credit_, 1}); }

   private:
    const grid::Credit credit_;
  };

  void ReportLocked() {
    for (const grid::Credit& credit : std::exchange(unreported_, {})) {
      const ShardId home = credit.source.home;
      shards_[home.value()]->Post(home, std::make_unique<CreditMail>(credit));
    }
    bytes_pending_.clear();
  }

  std::vector<grid::ShardLoop*> shards_;
  mutable std::mutex mutex_;
  bool holding_ = false;
  std::vector<Item> items_;
  std::vector<grid::Credit> unreported_;
  std::vector<size_t> bytes_pending_;
};

}  // namespace bettong::ingest
