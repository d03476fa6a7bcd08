// What turns of a shard's partitions have emitted, until everyone it is for has it: handlers, views
// and sinks. A batch holds what one record of the log made durable; its consequences carry its
// source, and when none is left the batch is done. Batches leave in order, and what has left is
// confirmed in the log. Only with a log; owned by the shard's loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grid/effects.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::grid {

class Outbox;

// Outputs that became durable together.
class OutboxBatch final : public SourceControl {
 public:
  OutboxBatch(Outbox& outbox, ShardLoop& loop) : outbox_(outbox), loop_(loop) {}
  void OnCredit() override;

  SourceRef span;  // that its consequences carry
  std::string bytes;
  std::vector<Output> outputs;
  std::vector<StreamInput> inputs;

 private:
  friend class Outbox;
  Outbox& outbox_;
  ShardLoop& loop_;
  bool done_ = false;
};

class Outbox {
 public:
  explicit Outbox(ShardLoop& loop) : loop_(loop) {}

  // Takes over outputs and inputs that are durable. The batch is not done before Sent.
  OutboxBatch& Add(std::string bytes, std::vector<Output> outputs, std::vector<StreamInput> inputs);
  // All consequences have been counted; those left report to the batch's source.
  void Sent(OutboxBatch& batch);

  bool empty() const { return batches_.empty(); }
  // Bytes of what is not done. From any thread.
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // Writes what is not confirmed into a round of the checkpoint.
  void WriteTo(Shard& shard) const;

 private:
  friend class OutboxBatch;
  void OnDone(OutboxBatch& batch);

  ShardLoop& loop_;
  std::deque<std::unique_ptr<OutboxBatch>> batches_;
  std::atomic<size_t> bytes_{0};
};

}  // namespace bettong::grid
