#include "grid/runtime/outbox.h"

#include <utility>

#include "base/simulation.h"
namespace bettong::grid {

OutboxBatch& Outbox::Add(std::string bytes, std::vector<Output> outputs,
                         std::vector<StreamInput> inputs) {
  OutboxBatch& batch = *batches_.emplace_back(std::make_unique<OutboxBatch>(*this, loop_));
  batch.span = loop_.AddSource(&batch);
  batch.bytes = std::move(bytes);
  batch.outputs = std::move(outputs);
  batch.inputs = std::move(inputs);
  bytes_.fetch_add(batch.bytes.size(), std::memory_order_relaxed);
  const Credit unsent{.source = batch.span, .delta = +1};
  loop_.SendCredits({&unsent, 1});
  return batch;
}

void Outbox::Sent(OutboxBatch& batch) {
  if (BETTONG_PLANTED(outbox_trimmed_early)) {
    for (const Output& output : batch.outputs) {
      loop_.shard().Confirm(output.partition, output.sequence);
    }
  }
  const Credit unsent{.source = batch.span, .delta = -1};
  loop_.SendCredits({&unsent, 1});
}

void OutboxBatch::OnCredit() {
  if (!done_ && loop_.Outstanding(span) == 0) outbox_.OnDone(*this);
}

void Outbox::OnDone(OutboxBatch& batch) {
  batch.done_ = true;
  if (BETTONG_PLANTED(confirmed_out_of_order)) {
    for (const Output& output : batch.outputs) {
      loop_.shard().Confirm(output.partition, output.sequence);
    }
  }
  bytes_.fetch_sub(batch.bytes.size(), std::memory_order_relaxed);
  while (!batches_.empty() && batches_.front()->done_) {
    const std::unique_ptr<OutboxBatch> front = std::move(batches_.front());
    batches_.pop_front();
    loop_.RemoveSource(front->span);
    for (const Output& output : front->outputs) {
      loop_.shard().Confirm(output.partition, output.sequence);
    }
    for (const StreamInput& input : front->inputs) {
      loop_.shard().Confirm(input.partition, input.sequence);
    }
  }
}

void Outbox::WriteTo(Shard& shard) const {
  for (const std::unique_ptr<OutboxBatch>& batch : batches_) {
    shard.WriteEmitted(batch->outputs, batch->inputs, batch->bytes);
  }
}

}  // namespace bettong::grid
