#include "ingest/sinks.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/key_hash.h"
#include "base/simulation.h"
#include "grid/runtime/call_mail.h"
#include "ingest/sink_worker.h"
#include "ingest/stream_sink.h"

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

class Sinks::Newcomer final : public grid::SourceControl {
 public:
  Newcomer(grid::ShardLoop& home, std::string endpoint, std::string state)
      : home_(home), endpoint_(std::move(endpoint)), state_(std::move(state)) {}

  void StartWhenKnown(SinkRunner& runner) {
    runner_ = &runner;
    home_.Post(home_.id(), std::make_unique<grid::CallMail>([this](grid::ShardLoop& loop) {
                 source_ = loop.AddSource(this);
                 const grid::Credit begun{.source = source_, .delta = +1};
                 const grid::Credit durable{.source = source_, .delta = -1};
                 loop.SendCredits({&begun, 1});
                 loop.SetEndpoint(SlotOfKey(endpoint_), endpoint_, state_, {&durable, 1});
               }));
  }
  void OnCredit() override {
    home_.RemoveSource(source_);
    runner_->Start();
  }

 private:
  grid::ShardLoop& home_;
  const std::string endpoint_;
  const std::string state_;
  grid::SourceRef source_;
  SinkRunner* runner_ = nullptr;
};

Sinks::Sinks(std::vector<grid::ShardLoop*> shards, LogLine log)
    : log_(std::move(log)),
      pending_(shards.size()),
      shards_(std::move(shards)),
      runners_of_(shards_[0]->catalog().streams.size()) {}

Sinks::~Sinks() { Stop(); }

absl::StatusOr<std::unique_ptr<Sinks>> Sinks::Open(std::vector<SinkConfig> configs,
                                                   std::vector<grid::ShardLoop*> shards,
                                                   const SinksOptions& options, LogLine log) {
  std::unique_ptr<Sinks> sinks(new Sinks(std::move(shards), std::move(log)));
  const grid::Catalog& catalog = sinks->shards_[0]->catalog();
  for (const SinkConfig& config : configs) {
    absl::StatusOr<std::unique_ptr<SinkRunner>> runner =
        sinks->MakeRunner(config, options, *sinks->loads_.emplace_back(std::make_unique<Load>()));
    if (!runner.ok()) return OfSink(config, runner.status());
    sinks->runners_.push_back(*std::move(runner));
    sinks->newcomers_.resize(sinks->runners_.size());
    sinks->names_.push_back(config.name);
    std::vector<std::string> streams = config.more_streams;
    streams.push_back(config.stream);
    for (const std::string& stream : streams) {
      StreamId id;
      if (catalog.FindStream(stream, &id) == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("sink ", config.name, ": no app declares the stream '", stream, "'"));
      }
      sinks->runners_of_[id.value()].push_back(
          {sinks->runners_.back().get(), sinks->loads_.back().get()});
    }
  }
  return sinks;
}

absl::StatusOr<std::unique_ptr<SinkRunner>> Sinks::MakeRunner(const SinkConfig& config,
                                                              const SinksOptions& options,
                                                              Load& load) {
  if (config.kind == SinkKind::kFile && options.files != nullptr) {
    return MakeFileSink(config, options, load);
  }
  if (config.kind == SinkKind::kBettongStream) return MakeStreamSink(config, options, load);
  if (config.kind == SinkKind::kKafka) return MakeKafkaSink(config, options, load);
  absl::StatusOr<std::unique_ptr<SinkWriter>> writer = OpenSinkWriter(config);
  if (!writer.ok()) return writer.status();
  return std::make_unique<SinkWorker>(
      config.name, *std::move(writer),
      [this, &load](SinkChunk* chunk) {
        load.Wrote(chunk->lines.size());
        OnWritten(chunk);
      },
      log_);
}

absl::StatusOr<std::unique_ptr<SinkRunner>> Sinks::MakeFileSink(const SinkConfig& config,
                                                                const SinksOptions& options,
                                                                Load& load) {
  const std::string endpoint = "sink:" + config.name;
  std::optional<FileOutputState> state;
  const std::string* const known =
      HomeOf(endpoint).shard().FindEndpoint(SlotOfKey(endpoint), endpoint);
  if (known != nullptr) {
    state = FileOutputState::Decode(*known);
    if (!state) {
      return absl::DataLossError("the log holds a state of it that this program does not know");
    }
  }
  std::string note;
  auto output = FileOutput::Open(*options.files, config.path, config.truncate, state, note);
  if (!output.ok()) return output.status();
  if (!note.empty() && log_) log_(absl::StrCat("sink ", config.name, ": ", note));
  std::string opened = (*output)->state().Encode();
  newcomers_.push_back(
      known != nullptr && *known == opened
          ? nullptr
          : std::make_unique<Newcomer>(HomeOf(endpoint), endpoint, std::move(opened)));
  FileSink::Written written = [this, &load, endpoint](std::string now,
                                                      std::vector<SinkChunk*> chunks) {
    for (const SinkChunk* chunk : chunks) load.Wrote(chunk->lines.size());
    OnWrittenWithState(endpoint, std::move(now), std::move(chunks));
  };
  if (options.make_file_sink) {
    return options.make_file_sink(config.name, *std::move(output), std::move(written));
  }
  return std::make_unique<FileSink>(config.name, *std::move(output), std::move(written), log_);
}

std::unique_ptr<SinkRunner> Sinks::MakeStreamSink(const SinkConfig& config,
                                                  const SinksOptions& options, Load& load) {
  std::function<void(SinkChunk*)> stored = [this, &load](SinkChunk* chunk) {
    load.Wrote(chunk->lines.size());
    OnWritten(chunk);
  };
  if (options.make_stream_sink) {
    return options.make_stream_sink(config, KeptOptions(options), std::move(stored));
  }
  return std::make_unique<StreamSink>(config, KeptOptions(options), std::move(stored), log_);
}

absl::StatusOr<std::unique_ptr<SinkRunner>> Sinks::MakeKafkaSink(const SinkConfig& config,
                                                                 const SinksOptions& options,
                                                                 Load& load) {
  if (!options.make_kafka_sink) {
    return absl::UnimplementedError("kind = \"kafka\" is for nodes that serve");
  }
  const std::string endpoint = "sink:" + config.name;
  const std::string* const known =
      HomeOf(endpoint).shard().FindEndpoint(SlotOfKey(endpoint), endpoint);
  FileSink::Written written = [this, &load, endpoint](std::string state,
                                                      std::vector<SinkChunk*> chunks) {
    for (const SinkChunk* chunk : chunks) load.Wrote(chunk->lines.size());
    OnWrittenWithState(endpoint, std::move(state), std::move(chunks));
  };
  StreamSinkOptions kept = KeptOptions(options);
  kept.framed = false;
  return options.make_kafka_sink(config, std::move(kept), known == nullptr ? std::string() : *known,
                                 std::move(written));
}

StreamSinkOptions Sinks::KeptOptions(const SinksOptions& options) const {
  StreamSinkOptions kept;
  kept.node_id = options.node_id;
  for (const grid::StreamSchema& stream : shards_[0]->catalog().streams) {
    kept.stream_names.push_back(stream.name);
  }
  const grid::SlotMap& slots = shards_[0]->slot_map();
  for (uint16_t i = 0; i < slots.partitions(); ++i) {
    const PartitionId partition(i);
    kept.given_before.push_back(
        shards_[slots.ShardOf(partition).value()]->shard().last_output(partition));
  }
  return kept;
}

grid::ShardLoop& Sinks::HomeOf(std::string_view endpoint) const {
  return *shards_[shards_[0]->slot_map().ShardOf(SlotOfKey(endpoint)).value()];
}

absl::Status Sinks::Check(const std::vector<SinkConfig>& configs) {
  for (const SinkConfig& config : configs) {
    absl::Status status = CheckSinkTarget(config);
    if (!status.ok()) return OfSink(config, status);
  }
  return absl::OkStatus();
}

void Sinks::Start() {
  for (size_t i = 0; i < runners_.size(); ++i) {
    if (newcomers_[i] != nullptr && !BETTONG_PLANTED(sink_writes_before_it_is_known)) {
      newcomers_[i]->StartWhenKnown(*runners_[i]);
    } else {
      runners_[i]->Start();
    }
  }
}

bool Sinks::Drain(std::chrono::steady_clock::time_point deadline) {
  bool drained = true;
  for (size_t i = 0; i < runners_.size(); ++i) {
    if (runners_[i]->Drain(deadline)) continue;
    drained = false;
    if (log_) log_(absl::StrCat("sink ", names_[i], ": not everything could be written in time"));
  }
  return drained;
}

void Sinks::Stop() {
  for (const auto& runner : runners_) runner->Stop();
}

bool Sinks::broken() const {
  return std::any_of(runners_.begin(), runners_.end(),
                     [](const auto& runner) { return runner->broken(); });
}

std::vector<SinkSample> Sinks::Sample() const {
  std::vector<SinkSample> samples;
  for (size_t i = 0; i < loads_.size(); ++i) {
    samples.push_back({names_[i], loads_[i]->bytes_pending.load(std::memory_order_relaxed),
                       loads_[i]->bytes_written.value()});
  }
  return samples;
}

void Sinks::Write(ShardId from, std::span<const grid::SinkItem> items) {
  // One chunk for each run of outputs of one stream.
  for (size_t begin = 0; begin < items.size();) {
    const StreamId stream = items[begin].stream;
    const auto& runners = runners_of_[stream.value()];
    auto* chunk = new SinkChunk;  // deleted by Drop, of the last sink
    chunk->stream = stream;
    chunk->from = from;
    chunk->sinks_left.store(runners.size(), std::memory_order_relaxed);
    size_t end = begin;
    for (; end < items.size() && items[end].stream == stream; ++end) {
      chunk->lines.append(items[end].json).push_back('\n');
      chunk->items.push_back({items[end].partition, items[end].sequence, chunk->lines.size()});
      grid::AddWriteCredit(chunk->credits, items[end].origin, -1);
    }
    pending_[from.value()].bytes.fetch_add(chunk->lines.size(), std::memory_order_relaxed);
    // A sink may be through with the chunk before the next has it; the last one deletes it.
    const size_t bytes = chunk->lines.size();
    for (const Taker& taker : runners) {
      taker.load->bytes_pending.fetch_add(bytes, std::memory_order_relaxed);
      taker.runner->Send(chunk);
    }
    begin = end;
  }
}

// On a sink's thread, like the rest.
void Sinks::OnWritten(SinkChunk* chunk) {
  std::vector<std::unique_ptr<CreditMail>> mails(shards_.size());
  for (const grid::Credit& credit : chunk->credits) {
    auto& mail = mails[credit.source.home.value()];
    if (mail == nullptr) mail = std::make_unique<CreditMail>();
    mail->Add(credit);
  }
  Drop(chunk);
  for (size_t i = 0; i < mails.size(); ++i) {
    if (mails[i] != nullptr) {
      shards_[i]->Post(ShardId(static_cast<uint16_t>(i)), std::move(mails[i]));
    }
  }
}

void Sinks::OnWrittenWithState(const std::string& endpoint, std::string state,
                               std::vector<SinkChunk*> chunks) {
  std::vector<grid::Credit> credits;
  for (SinkChunk* chunk : chunks) {
    credits.insert(credits.end(), chunk->credits.begin(), chunk->credits.end());
    Drop(chunk);
  }
  if (BETTONG_PLANTED(sink_confirms_before_its_state_is_durable)) {
    for (grid::ShardLoop* shard : shards_) {
      std::vector<grid::Credit> own;
      for (const grid::Credit& credit : credits) {
        if (credit.source.home == shard->id()) own.push_back(credit);
      }
      shard->Post(shard->id(), std::make_unique<grid::CallMail>(
                                   [own](grid::ShardLoop& loop) { loop.SendCredits(own); }));
    }
    credits.clear();
  }
  grid::ShardLoop& home = HomeOf(endpoint);
  home.Post(home.id(),
            std::make_unique<grid::CallMail>([endpoint, state = std::move(state),
                                              credits = std::move(credits)](grid::ShardLoop& loop) {
              loop.SetEndpoint(SlotOfKey(endpoint), endpoint, state, credits);
            }));
}

void Sinks::Drop(SinkChunk* chunk) {
  const ShardId from = chunk->from;
  const size_t bytes = chunk->lines.size();
  if (chunk->sinks_left.fetch_sub(1) > 1) return;
  delete chunk;
  pending_[from.value()].bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace bettong::ingest
