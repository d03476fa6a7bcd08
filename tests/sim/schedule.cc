#include "tests/sim/schedule.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <simdjson.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/simulated_disk.h"
#include "base/simulation.h"
#include "grid/runtime/outbox.h"
#include "tests/sim/disk_faults.h"
#include "tests/sim/sim_app.h"
#include "tests/sim/sim_caller.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_receiver.h"
#include "tests/sim/sim_sender.h"
#include "tests/sim/sim_sendings.h"

namespace bettong::sim {
namespace {

constexpr uint64_t kFaultsUntilUs = 1'500'000;
constexpr uint64_t kCalmUntilUs = 300'000;
constexpr uint64_t kCallsFailForUs = 200'000;  // that do not fail once only
constexpr uint64_t kRestUs = 30'000'000;       // to come to rest after the last fault
constexpr uint64_t kStepsMax = 2'000'000;
constexpr int kWaits = 5;

class Schedule {
 public:
  Schedule(uint64_t seed, const ScheduleOptions& given)
      : seed_(seed),
        given_(given),
        faults_until_us_(calm() ? kCalmUntilUs : kFaultsUntilUs),
        scheduler_(seed),
        disk_(seed ^ 0x5eed),
        disk_faults_(scheduler_, disk_),
        app_(DrawApp(scheduler_)),
        catalog_(MakeCatalog(app_)) {
    NodeOptions options;
    options.log_per_partition = scheduler_.OneIn(4);
    options.sync = scheduler_.OneIn(2);
    receiver_ = std::make_unique<SimReceiver>(scheduler_);
    options.receiver = receiver_.get();
    options.disk_faults = &disk_faults_;
    node_ = std::make_unique<SimNode>(scheduler_, disk_, catalog_, options);
    for (Sending& each : DrawSendings(scheduler_, app_, expected_)) {
      senders_.push_back(std::make_unique<SimSender>(
          scheduler_, *node_, each.source, std::move(each.sender), std::move(each.events)));
    }
    client_ = std::make_unique<SimClient>(scheduler_, *node_, options.sync);
    caller_ = std::make_unique<SimCaller>(scheduler_, *node_, expected_, options.sync);
  }

  ScheduleResult Run();

 private:
  bool calm() const { return given_.failing_call.has_value(); }
  void PlanFaults();
  void PlanOneCrash();
  void PlanFailingCall();
  void NoteStruck();
  // Most of the work is done early on.
  uint64_t FaultAtUs() {
    return scheduler_.Below(scheduler_.OneIn(3) ? faults_until_us_ : faults_until_us_ / 5);
  }
  void Plan(uint64_t at_us, std::function<void()> fault) {
    scheduler_.After(at_us, 50, alive_, std::move(fault));
  }
  void StartNode();
  void OnRefused(const absl::Status& status, const SimulatedDisk::Image& before);
  void CrashNode(bool power);
  void OnLogFailed();
  void CrashDisk(bool power);
  void ReviveTails();
  void Watch();
  bool AtRest() const;
  std::string WhyNotAtRest() const;
  void CheckReplay();
  void CheckEnd();
  void Violate(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }

  const uint64_t seed_;
  const ScheduleOptions given_;
  const uint64_t faults_until_us_;
  Scheduler scheduler_;
  SimulatedDisk disk_;
  DiskFaults disk_faults_;
  const AppOptions app_;
  const std::shared_ptr<const grid::Catalog> catalog_;
  std::unique_ptr<SimReceiver> receiver_;
  std::unique_ptr<SimNode> node_;
  Expected expected_;
  std::vector<std::unique_ptr<SimSender>> senders_;
  std::unique_ptr<SimClient> client_;
  std::unique_ptr<SimCaller> caller_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool faults_ = true;
  bool fail_power_ = false;  // what comes of a failing call is a power failure
  bool dying_ = false;       // its log has failed; the process is about to end
  uint32_t shards_ = 0;
  uint64_t crashes_ = 0;
  uint64_t rounds_ = 0;  // of the checkpoint, of this life of the node
  struct LostSector {
    std::string path;
    size_t at;
    std::string now, before;
  };
  std::vector<LostSector> lost_;
  std::string struck_;  // as ScheduleResult's, like ended_
  bool ended_ = false;
  std::string violation_;
};

void Schedule::PlanFaults() {
  for (uint64_t crashes = scheduler_.Between(1, 5); crashes > 0; --crashes) {
    Plan(FaultAtUs(), [this] {
      if (!faults_) return;
      if (scheduler_.OneIn(2)) return CrashNode(scheduler_.OneIn(2));
      PlanFailingCall();
    });
  }
  for (uint64_t cuts = scheduler_.Below(5); cuts > 0; --cuts) {
    Plan(FaultAtUs(), [this] {
      SimSender& sender = *senders_[scheduler_.Below(senders_.size())];
      if (scheduler_.OneIn(3)) {
        sender.Restart();
      } else {
        sender.Cut();
      }
    });
  }
  for (uint64_t cuts = scheduler_.Below(4); cuts > 0; --cuts) {
    Plan(FaultAtUs(), [this] {
      if (scheduler_.OneIn(2)) return receiver_->Crash();
      receiver_->Cut();
    });
  }
  if (scheduler_.OneIn(4)) {
    const uint64_t at_us = FaultAtUs();
    Plan(at_us,
         [this] { disk_.set_capacity_bytes(disk_.used_bytes() + scheduler_.Below(100'000)); });
    Plan(at_us + scheduler_.Below(400'000), [this] { disk_.set_capacity_bytes(UINT64_MAX); });
  }
  if (scheduler_.OneIn(8)) {
    const uint64_t at_us = FaultAtUs();
    Plan(at_us, [this] { disk_faults_.set_slow(true); });
    Plan(at_us + scheduler_.Below(500'000), [this] { disk_faults_.set_slow(false); });
  }
}

// For what fails by number: so that starting again is among it.
void Schedule::PlanOneCrash() {
  fail_power_ = scheduler_.OneIn(2);
  disk_faults_.FailAt(*given_.failing_call);
  disk_faults_.Record(given_.calls);
  Plan(20'000 + scheduler_.Below(60'000), [this, power = scheduler_.OneIn(2)] {
    if (node_->up() && !dying_) CrashNode(power);
  });
}

void Schedule::NoteStruck() {
  if (!disk_faults_.struck() || !struck_.empty()) return;
  struck_ = disk_faults_.where();
  if (!calm()) return;
  Plan(kCallsFailForUs, [this] {
    if (!dying_) disk_faults_.Clear();
  });
}

// The process ends in the middle of what it does with the disk, or is told of an error.
void Schedule::PlanFailingCall() {
  if (disk_faults_.flipped() || dying_) return;
  FailingCall call{.number = disk_.operations() + 1 + scheduler_.Below(200)};
  call.syncs_only = scheduler_.OneIn(2);
  call.once = scheduler_.OneIn(3);
  if (call.once && scheduler_.OneIn(2)) call.error = DiskError::kNoSpace;
  disk_faults_.Clear();
  disk_faults_.FailAt(call);
  fail_power_ = scheduler_.OneIn(2);
}

void Schedule::StartNode() {
  if (node_->up()) return;
  const uint32_t shards_before = shards_;
  shards_ = static_cast<uint32_t>(scheduler_.Between(1, 4));
  const SimulatedDisk::Image before =
      disk_faults_.flipped() ? disk_.TakeImage() : SimulatedDisk::Image();
  const absl::Status status = node_->Start(shards_);
  if (!status.ok()) {
    node_->Drop();
    return OnRefused(status, before);
  }
  if (disk_faults_.flipped()) {
    BETTONG_SOMETIMES(bit_flip_harmless);
    disk_faults_.KeepFlip();
  }
  if (shards_before != 0 && shards_before != shards_) BETTONG_SOMETIMES(resharded_restart);
  client_->OnUp();
  caller_->OnUp();
  for (const auto& sender : senders_) sender->Run();
}

void Schedule::OnRefused(const absl::Status& status, const SimulatedDisk::Image& before) {
  const bool full = absl::IsResourceExhausted(status);
  if (disk_faults_.struck()) {
    ended_ = true;
    CrashNode(fail_power_);
  } else if (full) {
    BETTONG_SOMETIMES(start_on_a_full_disk_refused);
  } else if (disk_faults_.flipped()) {
    BETTONG_SOMETIMES(bit_flip_refused);
    const bool changed = disk_.TakeImage() != before;
    disk_.Kill();
    if (changed) {
      return Violate(absl::StrCat(disk_faults_.flip(), ": the node refuses it, and changes it (",
                                  std::string(status.message()), ")"));
    }
    disk_faults_.Unflip();
  } else {
    return Violate(absl::StrCat("the node does not start: ", std::string(status.message())));
  }
  Plan(1'000 + scheduler_.Below(50'000), [this] { StartNode(); });
}

void Schedule::CrashNode(bool power) {
  const bool was_up = node_->up();
  // What a bit that turned over comes to is seen at the next start; beside lost writes nobody could
  // tell (docs/log-format.md, "What no reader can see").
  if (!was_up && disk_faults_.flipped()) return;
  const bool clean = was_up && !power && !disk_faults_.struck();
  NoteStruck();
  // What fails by number may be still to come.
  if (!calm() || disk_faults_.struck()) disk_faults_.Clear();
  dying_ = false;
  ++crashes_;
  scheduler_.Trace(power ? 77 : 78);
  client_->OnDown();
  caller_->OnDown();
  node_->Drop();
  CrashDisk(power);
  if (!was_up) return;
  if (clean && !calm() && scheduler_.OneIn(5)) disk_faults_.Flip(kDataPath);
  Plan(scheduler_.Below(300'000), [this] { StartNode(); });
}

// Nothing more may come of that log. The process ends, at once or when other threads have gone on
// for a moment.
void Schedule::OnLogFailed() {
  if (!disk_faults_.struck()) {
    return Violate(absl::StrCat("the log failed by itself: ", node_->failed()));
  }
  if (dying_) return;
  BETTONG_SOMETIMES(log_failed_and_recovered);
  ended_ = true;
  if (scheduler_.OneIn(2)) return CrashNode(fail_power_);
  dying_ = true;
  Plan(scheduler_.Below(3'000), [this, life = crashes_] {
    if (life == crashes_) CrashNode(fail_power_);
  });
}

void Schedule::CrashDisk(bool power) {
  ReviveTails();
  if (!power) {
    disk_.Kill();
    if (scheduler_.OneIn(2)) disk_.EvictCleanPages();
    return;
  }
  if (scheduler_.OneIn(4)) return disk_.Crash();
  const SimulatedDisk::Image before = disk_.TakeImage();
  disk_.Crash();
  for (const auto& [path, now] : disk_.TakeImage()) {
    const auto then = before.find(path);
    if (!path.ends_with(".log") || then == before.end() || then->second.size() != now.size()) {
      continue;
    }
    for (size_t at = 0; at < now.size(); at += SimulatedDisk::kSectorBytes) {
      std::string is = now.substr(at, SimulatedDisk::kSectorBytes);
      std::string was = then->second.substr(at, SimulatedDisk::kSectorBytes);
      if (is != was) lost_.push_back({path, at, std::move(is), std::move(was)});
    }
  }
}

// What was lost in a crash before the last one comes back, where nothing has been written since: a
// tail that was cut must stay cut.
void Schedule::ReviveTails() {
  if (lost_.empty()) return;
  SimulatedDisk::Image image = disk_.TakeImage();
  for (const LostSector& lost : std::exchange(lost_, {})) {
    // A sector that was written again and synced, even with the same bytes, has no past.
    if (disk_.Written(lost.path, lost.at)) continue;
    std::string& contents = image[lost.path];
    if (contents.compare(lost.at > contents.size() ? contents.size() : lost.at, lost.now.size(),
                         lost.now) != 0) {
      continue;
    }
    BETTONG_SOMETIMES(lost_tail_comes_back);
    contents.replace(lost.at, lost.now.size(), lost.before);
    disk_.SetContents(lost.path, contents);
  }
}

// After each step: what must hold at any time.
void Schedule::Watch() {
  NoteStruck();
  if (!node_->failed().empty()) OnLogFailed();
  // Just behind the end of a round is a good moment.
  if (faults_ && !dying_ && node_->up() &&
      node_->rounds() > std::exchange(rounds_, node_->rounds()) && scheduler_.OneIn(12)) {
    BETTONG_SOMETIMES(crash_behind_a_round);
    CrashNode(scheduler_.OneIn(2));
  }
  for (const auto& sender : senders_) {
    if (!sender->complaint().empty()) Violate(sender->complaint());
  }
  if (!client_->complaint().empty()) Violate(client_->complaint());
  if (!caller_->complaint().empty()) Violate(caller_->complaint());
  if (!receiver_->complaint().empty()) Violate(receiver_->complaint());
}

bool Schedule::AtRest() const {
  if (!node_->up() || dying_ || !client_->idle() || !caller_->idle() || node_->disk_full())
    return false;
  for (const auto& sender : senders_) {
    if (!sender->done()) return false;
  }
  return node_->Idle();
}

std::string Schedule::WhyNotAtRest() const {
  if (!node_->up()) return ": it is down";
  std::string why;
  if (!client_->idle()) why += ", its client waits";
  if (!caller_->idle()) why += ", its caller waits";
  for (const auto& sender : senders_) {
    if (!sender->done()) absl::StrAppend(&why, ", ", sender->Describe());
  }
  for (size_t i = 0; i < node_->shards(); ++i) {
    grid::ShardLoop& loop = node_->loop(i);
    if (loop.Idle()) continue;
    absl::StrAppend(&why, ", shard ", i, " (loans ", loop.shard().stats().loans_outstanding,
                    ", log ", loop.log()->idle() ? "idle" : "busy", ", outbox ",
                    loop.outbox().empty() ? "empty" : "not empty", ", wakes in ",
                    loop.shard().NextWake() - scheduler_.NowMs(), ")");
  }
  return why;
}

// What the log holds is what the shards hold.
void Schedule::CheckReplay() {
  const uint64_t live = node_->Digest();
  const auto shards = static_cast<uint32_t>(scheduler_.Between(1, 4));
  const auto replayed = node_->DigestOfLog(shards, seed_);
  if (!replayed.ok()) {
    return Violate(absl::StrCat("replay: ", std::string(replayed.status().message())));
  }
  if (*replayed != live) Violate("the log, replayed, gives another state than the live one");
}

void Schedule::CheckEnd() {
  CheckReplay();
  const std::string found = CheckOutputs(expected_, disk_.Contents(kOutPath));
  if (!found.empty()) Violate(found);
  const std::string received = CheckOutputs(expected_, receiver_->lines());
  if (!received.empty()) Violate("at the receiver: " + received);
  const std::string state = CheckState(expected_, *node_);
  if (!state.empty()) Violate(state);
}

ScheduleResult Schedule::Run() {
  calm() ? PlanOneCrash() : PlanFaults();
  StartNode();
  uint64_t rest_until_us = faults_until_us_ + kRestUs;
  int waits = 0;
  while (violation_.empty()) {
    if (faults_ && scheduler_.now_us() >= faults_until_us_) {
      // A fault that has not come yet does not come.
      faults_ = false;
      if (!calm() && !dying_) disk_faults_.Clear();
    }
    if (!faults_ && AtRest()) {
      if (waits == kWaits || (waits > 0 && node_->Sleeps())) break;
      // Sessions are over; what is due by now shows. Timers may set others.
      ++waits;
      scheduler_.SkipTo(scheduler_.now_us() + 1'000'000);
      for (size_t i = 0; i < node_->shards(); ++i) {
        node_->loop(i).Defer([loop = &node_->loop(i)] { loop->Submit({}); });
      }
      rest_until_us = scheduler_.now_us() + kRestUs;
    }
    const bool stepped = scheduler_.Step();
    if (!stepped && faults_) {
      scheduler_.SkipTo(faults_until_us_);
      continue;
    }
    if (!stepped && AtRest()) continue;
    if (!stepped || scheduler_.steps() > kStepsMax ||
        (!faults_ && scheduler_.now_us() > rest_until_us)) {
      Violate(absl::StrCat("the node does not come to rest", WhyNotAtRest()));
      break;
    }
    Watch();
    if (scheduler_.OneIn(4000) && AtRest()) CheckReplay();
  }
  if (violation_.empty()) CheckEnd();
  return {.trace = scheduler_.trace(),
          .steps = scheduler_.steps(),
          .crashes = crashes_,
          .struck = struck_,
          .ended = ended_,
          .violation = violation_};
}

}  // namespace

ScheduleResult RunSchedule(uint64_t seed, const ScheduleOptions& options) {
  return Schedule(seed, options).Run();
}

}  // namespace bettong::sim
