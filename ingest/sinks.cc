#include "ingest/sinks.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace bettong::ingest {

class Sinks::CreditMail : public grid::Mail {
 public:
  void Add(const grid::Credit& credit) { credits_.push_back(credit); }
  void Deliver(grid::ShardLoop& shard) override { shard.SendCredits(credits_); }

 private:
  std::vector<grid::Credit> credits_;
};

namespace {

absl::Status OfSink(const SinkConfig& config, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("sink ", config.name, ": ", status.message()));
}

}  // namespace

Sinks::Sinks(size_t stream_count, size_t shard_count, LogLine log)
    : log_(std::move(log)), pending_(shard_count), workers_of_(stream_count) {}

Sinks::~Sinks() { Stop(); }

absl::StatusOr<std::unique_ptr<Sinks>> Sinks::Open(std::vector<SinkConfig> configs,
                                                   const grid::Catalog& catalog, size_t shard_count,
                                                   LogLine log) {
  std::unique_ptr<Sinks> sinks(new Sinks(catalog.streams.size(), shard_count, std::move(log)));
  for (const SinkConfig& config : configs) {
    absl::StatusOr<std::unique_ptr<SinkWriter>> writer = OpenSinkWriter(config);
    if (!writer.ok()) return OfSink(config, writer.status());
    sinks->workers_.push_back(std::make_unique<SinkWorker>(
        config.name, *std::move(writer),
        [self = sinks.get()](SinkChunk* chunk) { self->OnWritten(chunk); }, sinks->log_));
    sinks->names_.push_back(config.name);
    std::vector<std::string> streams = config.more_streams;
    streams.push_back(config.stream);
    for (const std::string& stream : streams) {
      StreamId id;
      if (catalog.FindStream(stream, &id) == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("sink ", config.name, ": no app declares the stream '", stream, "'"));
      }
      sinks->workers_of_[id.value()].push_back(sinks->workers_.back().get());
    }
  }
  return sinks;
}

absl::Status Sinks::Check(const std::vector<SinkConfig>& configs) {
  for (const SinkConfig& config : configs) {
    absl::Status status = CheckSinkTarget(config);
    if (!status.ok()) return OfSink(config, status);
  }
  return absl::OkStatus();
}

void Sinks::Start(std::vector<grid::ShardLoop*> shards) {
  shards_ = std::move(shards);
  for (const auto& worker : workers_) worker->Start();
}

bool Sinks::Drain(std::chrono::steady_clock::time_point deadline) {
  bool drained = true;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i]->Drain(deadline)) continue;
    drained = false;
    if (log_) log_(absl::StrCat("sink ", names_[i], ": not everything could be written in time"));
  }
  return drained;
}

void Sinks::Stop() {
  for (const auto& worker : workers_) worker->Stop();
}

bool Sinks::broken() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->broken(); });
}

std::vector<SinkSample> Sinks::Sample() const {
  std::vector<SinkSample> samples;
  for (size_t i = 0; i < workers_.size(); ++i) {
    samples.push_back({names_[i], workers_[i]->bytes_pending(), workers_[i]->bytes_written()});
  }
  return samples;
}

void Sinks::Write(ShardId from, std::span<const grid::SinkItem> items) {
  // One chunk for each run of outputs of one stream.
  for (size_t begin = 0; begin < items.size();) {
    const StreamId stream = items[begin].stream;
    const auto& workers = workers_of_[stream.value()];
    auto* chunk = new SinkChunk;  // deleted by OnWritten of the last worker
    chunk->from = from;
    chunk->sinks_left.store(workers.size(), std::memory_order_relaxed);
    size_t end = begin;
    for (; end < items.size() && items[end].stream == stream; ++end) {
      chunk->lines.append(items[end].json).push_back('\n');
      grid::AddWriteCredit(chunk->credits, items[end].origin, -1);
    }
    pending_[from.value()].bytes.fetch_add(chunk->lines.size(), std::memory_order_relaxed);
    for (SinkWorker* worker : workers) worker->Send(chunk);
    begin = end;
  }
}

// On a worker's thread.
void Sinks::OnWritten(SinkChunk* chunk) {
  if (chunk->sinks_left.fetch_sub(1) > 1) return;
  pending_[chunk->from.value()].bytes.fetch_sub(chunk->lines.size(), std::memory_order_relaxed);
  std::vector<std::unique_ptr<CreditMail>> mails(shards_.size());
  for (const grid::Credit& credit : chunk->credits) {
    auto& mail = mails[credit.source.home.value()];
    if (mail == nullptr) mail = std::make_unique<CreditMail>();
    mail->Add(credit);
  }
  delete chunk;
  for (size_t i = 0; i < mails.size(); ++i) {
    if (mails[i] != nullptr) {
      shards_[i]->Post(ShardId(static_cast<uint16_t>(i)), std::move(mails[i]));
    }
  }
}

}  // namespace bettong::ingest
