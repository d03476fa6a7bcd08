#include "server/reloader.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "grid/catalog_succession.h"
#include "grid/runtime/call_mail.h"
#include "server/app_loader.h"

namespace bettong::server {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks at the shards.
constexpr std::chrono::microseconds kLookEvery{500};

std::string Since(Clock::time_point begin) {
  return absl::StrCat(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count(), " ms");
}

}  // namespace

std::string ReloadErrorLine(const absl::Status& status) {
  std::string text(status.message());
  absl::StripTrailingAsciiWhitespace(&text);
  return absl::StrCat(text.substr(text.rfind('\n') + 1), "; nothing has changed");
}

absl::Status MigrateRows(compute::TurnHost& host, std::span<const grid::RowToMigrate> rows,
                         std::vector<grid::MigratedRow>& migrated) {
  if (rows.empty()) return absl::OkStatus();
  absl::Status status;
  host.Enter();
  host.BeginMigrate();
  for (size_t i = 0; i < rows.size() && status.ok(); ++i) {
    grid::MigratedRow& made = migrated.emplace_back(grid::MigratedRow{.id = rows[i].id});
    status = host.RunMigrate(rows[i].entity_class, rows[i].key, rows[i].fields, made.delta);
  }
  host.EndMigrate();
  host.Leave();
  return status;
}

// Of one shard: told when all that it has recorded is durable.
class Reloader::DurableWait final : public grid::SourceControl {
 public:
  explicit DurableWait(Reloader& reloader) : reloader_(reloader) {}

  // On the shard's thread.
  void Begin(grid::ShardLoop& shard) {
    source_ = shard.AddSource(this);
    const grid::Credit begun{.source = source_, .delta = +1};
    const grid::Credit durable{.source = source_, .delta = -1};
    shard.SendCredits({&begun, 1});
    shard.ReturnCredits({&durable, 1});
  }
  void End(grid::ShardLoop& shard) { shard.RemoveSource(source_); }
  void OnCredit() override {
    std::lock_guard lock(reloader_.mutex_);
    done_ = true;
    reloader_.wake_.notify_all();
  }
  bool done() const { return done_; }  // under the reloader's mutex

 private:
  Reloader& reloader_;
  grid::SourceRef source_;
  bool done_ = false;
};

Reloader::Reloader(ReloadParts parts)
    : config_(parts.config),
      shards_(std::move(parts.shards)),
      lane_(parts.lane),
      runner_(parts.runner),
      too_old_(parts.too_old),
      catalog_(std::move(parts.catalog)),
      app_paths_(std::move(parts.app_paths)),
      thread_([this] { Run(); }) {}

Reloader::~Reloader() { Stop(); }

void Reloader::Ask(std::vector<std::string> paths, std::function<void(const absl::Status&)> done) {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_.load()) {
      jobs_.push_back({std::move(paths), std::move(done)});
      wake_.notify_all();
      return;
    }
  }
  done(absl::CancelledError("the node is stopping"));
}

void Reloader::Stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_.store(true);
    wake_.notify_all();
  }
  thread_.join();
  for (const Job& job : std::exchange(jobs_, {})) {
    job.done(absl::CancelledError("the node is stopping"));
  }
}

void Reloader::Run() {
  NameThread("reload");
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_.load() || !jobs_.empty(); });
      if (stopping_.load()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    const absl::Status status = Reload(job.paths.empty() ? app_paths_ : job.paths);
    if (status.ok()) {
      reloads_.fetch_add(1, std::memory_order_relaxed);
    } else {
      failures_.fetch_add(1, std::memory_order_relaxed);
      std::string text(status.message());
      absl::StripTrailingAsciiWhitespace(&text);
      LogError("reload", absl::StrCat(text, "\nnothing has changed: the old code runs on"));
    }
    job.done(status);
  }
}

absl::Status Reloader::Reload(const std::vector<std::string>& paths) {
  if (absl::Status status = CheckAppFiles(paths); !status.ok()) return status;
  if (shards_[0]->LogFull()) {
    return absl::UnavailableError(
        "the log's disk is full, and a reload is logged; make room first");
  }
  const auto begun = Clock::now();
  absl::StatusOr<std::shared_ptr<grid::Catalog>> next;
  lane_.Do([&] { next = StageApps(runner_.host(), paths, config_, *catalog_); });
  if (!next.ok()) return next.status();
  const std::string imported = Since(begun);
  const std::string named = absl::StrJoin(paths, ", ");
  // What can be told beforehand holds nobody up.
  absl::Status status = CheckFit(**next);
  std::vector<std::vector<grid::MigratedRow>> migrated;
  if (status.ok()) {
    status = Migrate(**next, std::max<size_t>(kMigrateSampleRows / shards_.size(), 1), migrated);
  }
  const auto held = Clock::now();
  if (status.ok()) {
    OnAllShards([](grid::ShardLoop& shard) { shard.SetHeld(true); });
    status = Drain();
    if (status.ok()) status = CheckFit(**next);
    if (status.ok()) status = Migrate(**next, SIZE_MAX, migrated);
    if (status.ok()) Exchange(*next, migrated, named);
    OnAllShards([](grid::ShardLoop& shard) { shard.SetHeld(false); });
  }
  const std::string held_for = Since(held);
  if (!status.ok()) {
    lane_.Do([&] { runner_.host().DropStaged(); });
    return status;
  }
  app_paths_ = paths;
  WaitUntilDurable();
  LogInfo("reload", absl::StrCat("new code runs: ", named, " (imported in ", imported,
                                 ", held for ", held_for, ")"));
  lane_.Do([&] { runner_.host().Tidy(); });
  return absl::OkStatus();
}

void Reloader::OnAllShards(const std::function<void(grid::ShardLoop&)>& work) {
  std::mutex mutex;
  std::condition_variable done_changed;
  size_t left = shards_.size();
  for (grid::ShardLoop* shard : shards_) {
    shard->Post(shard->id(), std::make_unique<grid::CallMail>([&](grid::ShardLoop& loop) {
                  work(loop);
                  std::lock_guard lock(mutex);
                  if (--left == 0) done_changed.notify_one();
                }));
  }
  std::unique_lock lock(mutex);
  done_changed.wait(lock, [&] { return left == 0; });
}

absl::Status Reloader::CheckFit(const grid::Catalog& next) {
  std::vector<std::vector<uint64_t>> entities(shards_.size());
  std::vector<uint64_t> bytes(shards_.size());
  OnAllShards([&](grid::ShardLoop& loop) {
    const size_t at = loop.id().value();
    for (size_t i = 0; i < catalog_->classes.size(); ++i) {
      entities[at].push_back(loop.shard().entity_count(ClassId(static_cast<uint16_t>(i))));
    }
    if (loop.log() != nullptr) bytes[at] = loop.shard().value_bytes();
  });
  std::vector<uint64_t> all(catalog_->classes.size());
  bool converts = false;
  for (size_t i = 0; i < all.size(); ++i) {
    for (const auto& of_shard : entities) all[i] += of_shard[i];
    converts |= all[i] > 0 && grid::ChangesRows(catalog_->classes[i], next.classes[i]);
  }
  if (absl::Status status = grid::CheckSuccession(*catalog_, next, all); !status.ok())
    return status;
  const uint64_t most = *std::max_element(bytes.begin(), bytes.end());
  if (!converts || most <= kReloadConvertedBytesMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "fields of a class have changed, and a shard with ", most >> 20,
      " MiB of values has too many to convert while it runs (", kReloadConvertedBytesMax >> 20,
      " MiB); start the node anew with the new code, or with more shards"));
}

// A batch of events that is in nobody's hands at the first look is taken in by the second, and then
// something has been lent in between.
absl::Status Reloader::Drain() {
  const auto end = Clock::now() + kReloadDrainLimit;
  std::vector<uint64_t> before, now(shards_.size());
  uint64_t lent = 0;
  while (true) {
    std::atomic<bool> quiet{true};
    std::vector<uint64_t> outstanding(shards_.size());
    OnAllShards([&](grid::ShardLoop& loop) {
      const grid::Shard& shard = loop.shard();
      now[loop.id().value()] = shard.stats().loans;
      outstanding[loop.id().value()] = shard.stats().loans_outstanding;
      if (!shard.quiet()) quiet = false;
    });
    lent = 0;
    for (const uint64_t of_shard : outstanding) lent += of_shard;
    if (quiet && now == before) return absl::OkStatus();
    before = quiet ? now : std::vector<uint64_t>();
    if (stopping_.load()) return absl::CancelledError("the node is stopping");
    if (Clock::now() >= end) break;
    std::this_thread::sleep_for(kLookEvery);
  }
  return absl::DeadlineExceededError(
      absl::StrCat("turns that were under way have not ended in ", kReloadDrainLimit.count() / 1000,
                   " s (", lent, " are left); try again when there is less to do"));
}

// The rows of the live state, or some of them, through the new version's migrate.
absl::Status Reloader::Migrate(const grid::Catalog& next, size_t rows_max,
                               std::vector<std::vector<grid::MigratedRow>>& migrated) {
  std::vector<std::vector<grid::RowToMigrate>> rows(shards_.size());
  OnAllShards([&](grid::ShardLoop& loop) {
    rows[loop.id().value()] = loop.shard().RowsToMigrate(next, rows_max);
  });
  migrated.assign(shards_.size(), {});
  absl::Status status;
  lane_.Do([&] {
    for (size_t i = 0; i < rows.size() && status.ok(); ++i) {
      status = MigrateRows(runner_.host(), rows[i], migrated[i]);
    }
  });
  return status;
}

void Reloader::Exchange(const std::shared_ptr<const grid::Catalog>& next,
                        const std::vector<std::vector<grid::MigratedRow>>& migrated,
                        std::string_view paths) {
  lane_.Do([&] { runner_.Switch(next); });
  const grid::SlotMap& slots = shards_[0]->slot_map();
  const Slot home = SlotOfKey(kReloadEndpoint);
  const std::string what =
      absl::StrCat("reload ", reloads() + 1, " since the start: ", std::string(paths));
  OnAllShards([&](grid::ShardLoop& loop) {
    if (loop.log() != nullptr && slots.ShardOf(home) == loop.id()) {
      loop.shard().SetEndpoint(home, kReloadEndpoint, what);
    }
    loop.SetCatalog(*next, migrated[loop.id().value()]);
  });
  too_old_.SetCatalog(*next);
  catalog_ = next;
}

void Reloader::WaitUntilDurable() {
  std::vector<std::unique_ptr<DurableWait>> waits;
  for (size_t i = 0; i < shards_.size(); ++i) waits.push_back(std::make_unique<DurableWait>(*this));
  OnAllShards([&](grid::ShardLoop& loop) { waits[loop.id().value()]->Begin(loop); });
  bool durable = false;
  {
    std::unique_lock lock(mutex_);
    durable = wake_.wait_for(lock, kReloadDurableLimit, [&] {
      return std::all_of(waits.begin(), waits.end(), [](const auto& wait) { return wait->done(); });
    });
  }
  OnAllShards([&](grid::ShardLoop& loop) { waits[loop.id().value()]->End(loop); });
  if (durable) return;
  LogWarning("reload", "the new code runs, but the log's disk does not have that yet");
}

}  // namespace bettong::server
