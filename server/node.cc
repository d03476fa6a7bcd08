#include "server/node.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <random>

#include "base/host_port.h"
#include "base/log.h"
#include "base/thread_name.h"
#include "compute/turn_runner.h"
#include "grid/runtime/call_mail.h"
#include "grid/runtime/recovery.h"
#include "ingest/kafka/kafka_sink.h"
#include "server/app_loader.h"
#include "server/cli.h"
#include "server/recovery_progress.h"
#include "server/source_lines.h"

namespace bettong::server {
namespace {

// A shard's log of so few segments needs no round of the checkpoint.
constexpr uint64_t kSegmentsWithoutRound = 2;

std::string RandomHex(size_t digits) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::random_device random;
  std::string text;
  while (text.size() < digits) text.push_back(kHex[random() % 16]);
  return text;
}

// What is on disk is not known any more: nothing may be acknowledged, and only a new start can
// tell.
void LogFailed(const absl::Status& status) {
  LogError("log", absl::StrCat(status.message(),
                               "; nothing more can be made durable. The process ends; what was "
                               "acknowledged is recovered at the next start"));
  ::_exit(kExitLogFailed);
}

absl::StatusOr<std::unique_ptr<compute::TurnHost>> NativeHost(
    const NativeApp& native, const NodeConfig& config,
    const std::shared_ptr<grid::Catalog>& catalog) {
  std::unique_ptr<compute::TurnHost> host = native(catalog);
  if (absl::Status status = FinishCatalog(config, *catalog); !status.ok()) return status;
  return host;
}

void LogIngest(std::string_view line) { LogWarning("ingest", line); }

uint64_t RandomSeed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

}  // namespace

Node::Node(NodeConfig config) : config_(std::move(config)) {
  // Apps may change the working directory, which files of the log must not follow.
  std::error_code unknown;
  if (auto path = std::filesystem::absolute(config_.data_dir, unknown); !unknown) {
    config_.data_dir = path.lexically_normal().string();
  }
  identity_.run_id = RandomHex(40);
  identity_.version = BETTONG_VERSION;
  std::error_code error;
  identity_.executable = std::filesystem::read_symlink("/proc/self/exe", error).string();
  identity_.config_file = config_.config_file;
  identity_.directory = std::filesystem::current_path(error).string();
  identity_.start_time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count();
}

Node::~Node() {
  Stop();
  if (http_ != nullptr) http_->Stop();  // a node that was opened and never started
  // What refers to the shards goes before them.
  sources_.clear();
  stream_inputs_.clear();
  kafka_sources_.clear();
  resp_.reset();
  lane_.reset();
  logs_.clear();
  shards_.clear();
}

absl::StatusOr<std::unique_ptr<Node>> Node::Make(NodeConfig config,
                                                 std::vector<std::string> app_paths,
                                                 const NativeApp& native) {
  std::unique_ptr<Node> node(new Node(std::move(config)));
  absl::Status status = node->LoadApps(std::move(app_paths), native);
  if (status.ok()) status = CheckStreams(node->config_, *node->catalog_);
  if (status.ok()) status = ingest::Sinks::Check(node->config_.sinks);
  if (!status.ok()) return status;
  return node;
}

// The apps are loaded on the lane's thread, which from then on is the only one that runs them.
absl::Status Node::LoadApps(std::vector<std::string> app_paths, const NativeApp& native) {
  app_paths_ = app_paths;
  auto catalog = std::make_shared<grid::Catalog>();
  catalog_ = catalog;
  if (app_paths.empty() && !native) {
    catalog->Finish();
    return absl::OkStatus();
  }
  absl::Status status = CheckAppFiles(app_paths);
  if (!status.ok()) return status;
  lane_ = std::make_unique<grid::Lane>([&]() -> std::unique_ptr<grid::ComputeHost> {
    absl::StatusOr<std::unique_ptr<compute::TurnHost>> host =
        native ? NativeHost(native, config_, catalog)
               : server::LoadApps(app_paths, config_, *catalog);
    if (!host.ok()) {
      status = host.status();
      return nullptr;
    }
    auto runner = std::make_unique<compute::TurnRunner>(
        catalog_, *std::move(host),
        compute::TurnRunnerOptions{.in_hand = &in_hand_,
                                   .counters = &turn_counters_,
                                   .slow_log = &slow_log_,
                                   .slow_ms = config_.slow_handler_ms,
                                   .logged = config_.durability != Durability::kOff,
                                   .origin_places = &origin_places_});
    runner_ = runner.get();
    return runner;
  });
  lane_->WaitUntilReady();
  return status;
}

absl::Status Node::OpenDataDirectory() {
  if (config_.durability == Durability::kOff) return absl::OkStatus();
  files_ = MakePosixFileSystem();
  wal::NodeFile fresh;
  std::random_device random;
  for (char& byte : fresh.node) byte = static_cast<char>(random());
  fresh.partitions = kPartitionsDefault;
  auto directory = wal::DataDirectory::Open(*files_, config_.data_dir, fresh);
  if (!directory.ok()) return directory.status();
  directory_ = *std::move(directory);
  return absl::OkStatus();
}

absl::Status Node::Recover() {
  if (directory_ == nullptr) return absl::OkStatus();
  std::vector<grid::Shard*> shards;
  for (auto& shard : shards_) shards.push_back(&shard->shard());
  RecoveryProgress shown;
  grid::RecoveryOptions options;
  options.now_ms = shards_[0]->now_ms();
  options.segment_bytes = config_.segment_bytes;
  // Only senders that keep what is not acknowledged have a backlog that may refresh what came due.
  const bool replayable =
      std::any_of(config_.sources.begin(), config_.sources.end(),
                  [](const auto& source) { return source.kind != ingest::SourceKind::kTcp; });
  if (replayable) options.grace_ms = config_.recovery_grace_ms;
  options.accept_loss = config_.accept_loss;
  for (const auto& sink : config_.sinks) options.sink_endpoints.push_back("sink:" + sink.name);
  options.progress = [&](const wal::HistoryProgress& at) {
    shown.Show(at);
    readiness_.SetRecovery(at.bytes_total == 0 ? 0.0
                                               : static_cast<double>(at.bytes_done) /
                                                     static_cast<double>(at.bytes_total));
  };
  if (lane_ != nullptr) {
    options.migrate = [this](ClassId entity_class, std::string_view key, std::string_view fields,
                             std::string& delta) {
      absl::Status status;
      lane_->Do([&] {
        compute::TurnHost& host = runner_->host();
        host.Enter();
        status = host.RunMigrate(entity_class, key, fields, delta);
        host.Leave();
      });
      return status;
    };
  }
  readiness_.SetRecovery(0);
  auto recovered = grid::Recover(*files_, *directory_, shards, shards_[0]->slot_map(), options);
  shown.Clear();
  if (!recovered.ok()) return recovered.status();
  for (const std::string& note : recovered->notes) LogWarning("log", note);
  if (!recovered->fresh) shown.Report(shards, recovered->log_bytes);
  grace_ = options.grace_ms > 0 && !recovered->fresh;
  rounds_ = std::move(recovered->rounds);
  for (size_t i = 0; i < shards_.size(); ++i) {
    logs_.push_back(std::make_unique<wal::CommitThread>(std::move(recovered->committers[i]),
                                                        absl::StrCat("log-", i)));
    shards_[i]->SetLog({.log = logs_[i].get(),
                        .bytes_before = recovered->log_bytes / shards_.size(),
                        .round_bytes_min = kSegmentsWithoutRound * config_.segment_bytes});
    shards_[i]->SetRecovered(std::move(recovered->outboxes[i]));
  }
  return absl::OkStatus();
}

absl::Status Node::OpenTurnInHand() {
  if (directory_ == nullptr || lane_ == nullptr) return absl::OkStatus();
  auto file = MappedFile::Open(directory_->path() + "/lane-00", compute::TurnInHand::kBytes);
  if (!file.ok()) return file.status();
  in_hand_file_ = *std::move(file);
  if (in_hand_.Attach(in_hand_file_->bytes())) {
    LogWarning(
        "lane",
        "the last process died during a turn of the app. If it was an acknowledged event's, a "
        "stream entry's or an expiry, it is run again now; a turn that two processes have died "
        "in is not run any more, and becomes a dead letter");
  }
  return absl::OkStatus();
}

absl::Status Node::Open() {
  absl::Status status = OpenHttp();
  if (status.ok()) status = OpenParts();
  return status;
}

absl::Status Node::OpenHttp() {
  view_.readiness = &readiness_;
  view_.identity = &identity_;
  if (!config_.http_enabled) return absl::OkStatus();
  auto listen = ParseHostPort(config_.http_listen);
  if (!listen.ok()) return listen.status();
  auto server = HttpServer::Listen(listen->host, listen->port);
  if (!server.ok()) return server.status();
  http_ = *std::move(server);
  pages_ = std::make_unique<HttpPages>(view_, http_->io());
  http_->Start(
      [this](const std::string& path, HttpReply reply) { pages_->Answer(path, std::move(reply)); });
  return absl::OkStatus();
}

absl::Status Node::OpenParts() {
  if (absl::Status status = OpenDataDirectory(); !status.ok()) return status;
  const uint32_t partitions =
      directory_ == nullptr ? kPartitionsDefault : directory_->node().partitions;
  auto slot_map = std::make_shared<grid::SlotMap>(partitions, config_.shards, RandomSeed());
  const ingest::LogLine log = LogIngest;
  if (!config_.unhandled_output.empty()) AddOutputSink();
  std::vector<grid::ShardLoop*> shards;
  for (uint32_t i = 0; i < config_.shards; ++i) {
    grid::ShardLoopOptions options;
    options.shard.id = ShardId(static_cast<uint16_t>(i));
    options.shard.slot_map = slot_map;
    options.shard.catalog = catalog_;
    options.shard.maxmemory_bytes = config_.maxmemory_bytes / config_.shards;
    options.shard.record_changes = directory_ != nullptr;
    options.shard.origin_places = &origin_places_;
    options.lane = lane_.get();
    options.replies_when_durable = config_.durability == Durability::kSync;
    options.log_failed = LogFailed;
    options.disk_full = [this](bool full) { NoteDiskFull(full); };
    shards_.push_back(std::make_unique<grid::ShardLoop>(std::move(options)));
    shards.push_back(shards_.back().get());
  }
  too_old_ = std::make_unique<ingest::TooOldEvents>(*catalog_, log);
  for (grid::ShardLoop* shard : shards) {
    shard->SetShards(shards);
    auto gate = std::make_unique<ingest::Gate>(
        *shard, ingest::GateOptions{
                    .client_idle_ms = config_.bounded_input ? 0 : ingest::kClientIdleMsDefault,
                    // Bounded input is history.
                    .too_old = config_.bounded_input ? nullptr : too_old_.get(),
                    .log = log});
    doors_.push_back(ingest::ShardDoor{shard, gate.get()});
    shard->SetGate(std::move(gate));
  }
  if (absl::Status status = Recover(); !status.ok()) return status;
  if (absl::Status status = OpenTurnInHand(); !status.ok()) return status;
  if (lane_ != nullptr) lane_->SetShards(shards);
  ingest::SinksOptions how;
  how.files = files_.get();
  how.node_id = NodeId();
  how.make_kafka_sink = [&how, log](ingest::SinkConfig sink, ingest::StreamSinkOptions options,
                                    const std::string& state, ingest::KafkaSink::Written written) {
    if (sink.kafka.exactly_once && sink.kafka.transactional_id.empty()) {
      sink.kafka.transactional_id =
          absl::StrCat("bettong-", absl::BytesToHexString(how.node_id), "-", sink.name);
    }
    return std::make_unique<ingest::KafkaSink>(sink, std::move(options), state, std::move(written),
                                               log);
  };
  auto sinks = ingest::Sinks::Open(config_.sinks, shards, how, log);
  if (!sinks.ok()) return sinks.status();
  sinks_ = *std::move(sinks);
  for (grid::ShardLoop* shard : shards) shard->SetSinks(sinks_.get());
  sinks_->Start();
  for (const auto& config : config_.sources) {
    if (absl::Status status = OpenSource(config); !status.ok()) return status;
  }
  if (!config_.resp_enabled) return absl::OkStatus();
  auto listen = ParseHostPort(config_.resp_listen);
  if (!listen.ok()) return listen.status();
  auto server = protocol::RespServer::Listen(shards, listen->host, listen->port, *this);
  if (!server.ok()) return server.status();
  resp_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status Node::OpenSource(const ingest::SourceConfig& config) {
  StreamId stream;
  catalog_->FindStream(config.stream, &stream);
  if (config.kind == ingest::SourceKind::kTcp) {
    sources_.push_back(std::make_unique<ingest::TcpSource>(config, stream, doors_, LogIngest));
    return sources_.back()->Open();
  }
  if (config.kind == ingest::SourceKind::kKafka) {
    kafka_sources_.push_back(
        std::make_unique<ingest::KafkaSource>(config, stream, doors_, LogIngest));
    return kafka_sources_.back()->Open();
  }
  StreamInput& input = *stream_inputs_.emplace_back(std::make_unique<StreamInput>());
  std::vector<grid::ShardLoop*> shards;
  std::vector<ingest::SourceActors*> actors;
  for (const ingest::ShardDoor& door : doors_) {
    input.actors.push_back(std::make_unique<ingest::StreamActors>(door, config.name, stream,
                                                                  input.counters, LogIngest));
    shards.push_back(door.shard);
    actors.push_back(input.actors.back().get());
  }
  input.source = std::make_unique<ingest::StreamSource>(
      config, std::move(shards), std::move(actors), input.counters, LogIngest);
  return input.source->Open();
}

// The data directory's; a node without one is another each time it starts.
std::string Node::NodeId() const {
  if (directory_ != nullptr) {
    const wal::NodeUuid& node = directory_->node().node;
    return {node.data(), node.size()};
  }
  std::string id;
  std::random_device random;
  while (id.size() < sizeof(wal::NodeUuid)) id.push_back(static_cast<char>(random()));
  return id;
}

// Once for all shards.
void Node::NoteDiskFull(bool full) {
  if (full && disks_full_.fetch_add(1) == 0) {
    LogWarning("log", absl::StrCat("the disk of ", config_.data_dir,
                                   " is full: sources are not read, writes are answered with "
                                   "MISCONF and expiries wait until there is room again"));
  } else if (!full && disks_full_.fetch_sub(1) == 1) {
    LogInfo("log", "there is room on the disk again");
  }
}

// `run --output`: one sink for all streams that have no handler.
void Node::AddOutputSink() {
  ingest::SinkConfig sink;
  sink.name = "output";
  bool to_stdout = config_.unhandled_output == "-";
  sink.kind = to_stdout ? ingest::SinkKind::kStdout : ingest::SinkKind::kFile;
  sink.path = config_.unhandled_output;
  sink.truncate = true;
  for (const grid::StreamSchema& stream : catalog_->streams) {
    if (stream.has_handlers() || stream.name == grid::kDeadLetterStream) continue;
    (sink.stream.empty() ? sink.stream : sink.more_streams.emplace_back()) = stream.name;
  }
  if (!sink.stream.empty()) config_.sinks.push_back(std::move(sink));
}

void Node::EndBoundedInput(const std::function<bool()>& give_up) {
  OnEveryShard(
      [&](grid::ShardLoop& shard) { doors_[shard.id().value()].gate->LeaveClientInputs(); });
  WaitUntilIdle(std::chrono::hours(24), give_up);
}

void Node::Start() {
  if (lane_ != nullptr) {
    std::vector<grid::ShardLoop*> shards;
    for (auto& shard : shards_) shards.push_back(shard.get());
    reloader_ = std::make_unique<Reloader>(ReloadParts{.config = config_,
                                                       .shards = std::move(shards),
                                                       .lane = *lane_,
                                                       .runner = *runner_,
                                                       .too_old = *too_old_,
                                                       .catalog = catalog_,
                                                       .app_paths = app_paths_});
  }
  SetView();
  for (auto& shard : shards_) {
    threads_.emplace_back([&shard] { shard->Run(); });
  }
  for (auto& source : sources_) source->Start();
  for (auto& input : stream_inputs_) input->source->Start();
  for (auto& source : kafka_sources_) source->Start();
  if (config_.watch_apps && reloader_ != nullptr) {
    watch_ = std::make_unique<AppWatch>(app_paths_,
                                        [this] { reloader_->Ask({}, [](const absl::Status&) {}); });
  }
  if (grace_) grace_watch_ = std::thread([this] { WatchGrace(); });
  readiness_.Set(NodeState::kReady);
}

// Before the shards' threads, which read it, too.
void Node::SetView() {
  for (auto& shard : shards_) view_.shards.push_back(shard.get());
  const auto view = [&](auto& source) -> SourceView& {
    return view_.sources.emplace_back(
        SourceView{source.config().name, &source.counters(), &source.admission()});
  };
  for (auto& source : sources_) view(*source);
  for (auto& input : stream_inputs_) view(*input->source);
  for (auto& source : kafka_sources_) view(*source).kafka = source.get();
  view_.doors = doors_;
  view_.too_old = too_old_.get();
  view_.data_dir = config_.data_dir;
  view_.lane = lane_.get();
  view_.in_hand = &in_hand_;
  view_.turn_counters = &turn_counters_;
  view_.sinks = sinks_.get();
  view_.resp = resp_.get();
}

void Node::WatchGrace() {
  NameThread("grace");
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(config_.recovery_grace_ms);
  for (int looks = 0; looks < kGraceLooks;) {
    std::this_thread::sleep_for(kGraceLookEvery);
    if (stopping_.load() || std::chrono::steady_clock::now() >= end) return;
    bool caught_up = true;
    OnEveryShard([&](grid::ShardLoop& shard) {
      for (const auto& input : stream_inputs_) {
        caught_up = caught_up && input->actors[shard.id().value()]->caught_up();
      }
      for (const auto& source : kafka_sources_) {
        caught_up = caught_up && source->caught_up(shard.id().value());
      }
    });
    looks = caught_up ? looks + 1 : 0;
  }
  OnEveryShard([](grid::ShardLoop& shard) {
    shard.shard().EndSparing();
    shard.Submit({});
  });
  LogInfo("node", "all senders have caught up: what came due while the node was down expires now");
}

void Node::OnEveryShard(const std::function<void(grid::ShardLoop&)>& work) {
  for (auto& shard : shards_) {
    std::mutex mutex;
    std::condition_variable done_changed;
    bool done = false;
    shard->Post(shard->id(), std::make_unique<grid::CallMail>([&](grid::ShardLoop& loop) {
                  work(loop);
                  std::lock_guard lock(mutex);
                  done = true;
                  done_changed.notify_one();
                }));
    std::unique_lock lock(mutex);
    done_changed.wait(lock, [&] { return done; });
  }
}

bool Node::WaitUntilIdle(std::chrono::milliseconds limit, const std::function<bool()>& give_up) {
  auto end = std::chrono::steady_clock::now() + limit;
  // One idle round may have missed what was between two shards; two in a row cannot.
  for (int idle_rounds = 0; idle_rounds < 2;) {
    bool idle = true;
    OnEveryShard([&](grid::ShardLoop& shard) { idle = idle && shard.Idle(); });
    idle_rounds = idle ? idle_rounds + 1 : 0;
    if (idle) continue;
    if (std::chrono::steady_clock::now() >= end || (give_up && give_up())) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void Node::Stop(std::chrono::milliseconds drain_limit) {
  if (threads_.empty()) return;
  stopping_ = true;
  watch_.reset();
  if (reloader_ != nullptr) reloader_->Stop();
  if (grace_watch_.joinable()) grace_watch_.join();
  readiness_.Set(NodeState::kStopping);
  for (auto& source : sources_) source->Stop();
  for (auto& input : stream_inputs_) input->source->Stop();
  for (auto& source : kafka_sources_) source->Stop();
  OnEveryShard([](grid::ShardLoop& shard) {
    shard.shard().EndRetries();
    shard.Submit({});
  });
  // Of a full disk nothing more is to be had, as a rule.
  const auto full_limit = std::chrono::steady_clock::now() + kDrainFullLimit;
  const auto give_up = [&] {
    return shards_[0]->LogFull() && std::chrono::steady_clock::now() >= full_limit;
  };
  if (!WaitUntilIdle(drain_limit, give_up)) {
    if (shards_[0]->LogFull()) {
      LogWarning("log",
                 "shutdown: the disk is full: what is not on it yet is lost, but for events "
                 "that their senders keep");
    } else if (drain_limit == kDrainLimit) {
      LogWarning("node", "shutdown: some turns did not end within 3 s and are abandoned");
    }
  }
  if (resp_ != nullptr) resp_->Stop(std::chrono::milliseconds(500));
  sinks_->Drain(std::chrono::steady_clock::now() + std::chrono::milliseconds(1000));
  if (http_ != nullptr) http_->Stop();
  if (lane_ != nullptr) lane_->Stop();
  for (auto& shard : shards_) shard->Stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (auto& log : logs_) log->Stop();
  sinks_->Stop();
}

std::string Node::ReadyLine() const {
  std::string line = "ready";
  if (resp_ != nullptr) {
    auto listen = ParseHostPort(config_.resp_listen);
    absl::StrAppend(&line, " resp=", FormatHostPort(listen->host, resp_->port()));
  }
  for (const auto& source : sources_) {
    absl::StrAppend(&line, " source.", source->config().name, "=", source->address());
  }
  for (const auto& input : stream_inputs_) {
    absl::StrAppend(&line, " source.", input->source->config().name, "=", input->source->address());
  }
  if (http_ != nullptr) {
    auto listen = ParseHostPort(config_.http_listen);
    absl::StrAppend(&line, " http=", FormatHostPort(listen->host, http_->port()));
  }
  return line;
}

NodeTotals Node::Totals() {
  NodeTotals totals;
  OnEveryShard([&](grid::ShardLoop& shard) {
    const grid::ShardStats& stats = shard.shard().stats();
    totals.outputs += stats.outputs - stats.dead_letters;
    totals.dead_letters += stats.dead_letters;
    totals.entities += shard.shard().entity_count();
  });
  totals.events = EventsAdmitted();
  return totals;
}

protocol::NodeSettings Node::initial_settings() const {
  protocol::NodeSettings settings;
  settings.maxmemory_bytes = config_.maxmemory_bytes;
  settings.notify_keyspace_events = config_.notify_keyspace_events;
  settings.password = config_.password;
  settings.clients_max = config_.clients_max;
  return settings;
}

void Node::RequestShutdown() {
  if (!shutdown_requested_.exchange(true) && shutdown_handler_) shutdown_handler_();
}

void Node::RequestReload(std::vector<std::string> paths,
                         std::function<void(std::string error)> done) {
  if (reloader_ == nullptr) return NodeServices::RequestReload(std::move(paths), std::move(done));
  reloader_->Ask(std::move(paths), [done = std::move(done)](const absl::Status& status) {
    done(status.ok() ? "" : ReloadErrorLine(status));
  });
}

uint64_t Node::EventsAdmitted() {
  uint64_t events = 0;
  for (const ingest::ShardDoor& door : doors_) events += door.gate->admitted();
  return events;
}

std::vector<std::pair<std::string, std::string>> Node::InfoLines() {
  std::vector<std::pair<std::string, std::string>> lines = too_old_->InfoLines();
  if (reloader_ != nullptr) {
    lines.emplace_back("reloads", std::to_string(reloader_->reloads()));
    lines.emplace_back("reloads_failed", std::to_string(reloader_->failures()));
  }
  AddSourceLines(view_.sources, lines);
  return lines;
}

}  // namespace bettong::server
