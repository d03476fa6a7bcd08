#include "tests/sim/sim_reminders.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <stdexcept>

#include "base/check.h"
#include "base/simulation.h"
#include "grid/tagged.h"

namespace bettong::sim {
namespace {

using compute::InlineTurn;
using grid::EventFieldType;
using grid::TurnKind;

enum EventSlot : size_t { kKey, kN, kAt, kWhat, kName, kDelay, kChain, kTimerFails, kFails };
enum RowField : size_t { kLastN, kTimers };

constexpr size_t kEntities = 3;
constexpr int64_t kFailingN = 1'000'000;  // and up: events that fail
constexpr char kLast[] = "last";          // comes so late that all timers are due

// A timer's arguments.
struct Setting {
  int64_t n = 0, delay_ms = 0, chain = 0, fails = 0;

  std::string Encode() const {
    std::string tagged;
    grid::TaggedWriter out(tagged);
    out.List(4);
    for (const int64_t each : {n, delay_ms, chain, fails}) out.Int(each);
    return tagged;
  }
  static Setting Decode(std::string_view tagged) {
    grid::TaggedReader in(tagged);
    BETTONG_CHECK(in.Next().size == 4);
    Setting setting;
    for (int64_t* each : {&setting.n, &setting.delay_ms, &setting.chain, &setting.fails}) {
      *each = in.Next().integer;
    }
    return setting;
  }
};

// The code of one of the classes, in one process.
class Code {
 public:
  Code(const char* part, bool by_event) : part_(part), by_event_(by_event) {}

  void Plan(InlineTurn& turn) {
    const grid::EventRecord& event = *turn.event();
    const int64_t n = event.Int(kN);
    const int64_t from_ms = by_event_ ? event.time_ms : turn.now_ms();
    if (n < kFailingN) turn.SetInt(kLastN, n);
    const std::string name(event.Bytes(kName)), what(event.Bytes(kWhat));
    std::string came;
    if (what == "set") {
      const Setting setting{n, event.Int(kDelay), event.Int(kChain), event.Int(kTimerFails)};
      came = absl::StrCat(",\"due\":", Set(turn, name, setting, from_ms));
    } else if (what == "cancel") {
      came = absl::StrCat(",\"was\":", turn.CancelTimer(name) ? 1 : 0);
    } else {
      turn.Delete();
    }
    Emit(turn, absl::StrCat("\"", what, "\":\"", name, "\",\"n\":", n, ",\"now\":", from_ms, came));
    if (event.Int(kFails) == 0 && (n % 6 != 0 || !tries_.Fails(turn.key(), n))) return;
    BETTONG_SOMETIMES(timers_taken_back);
    throw std::runtime_error(absl::StrCat("unplanned ", part_, " ", n));
  }

  void Ring(InlineTurn& turn) {
    const grid::Timer& timer = turn.timer();
    Setting setting = Setting::Decode(timer.arguments);
    if (setting.fails != 0) throw std::runtime_error(absl::StrCat("burst ", part_, " ", setting.n));
    if (!set_.contains(Name(turn, timer.name, setting))) {
      BETTONG_SOMETIMES(timer_of_an_earlier_process_rings);
    }
    Emit(turn, absl::StrCat("\"rang\":\"", timer.name, "\",\"n\":", setting.n,
                            ",\"due\":", timer.due_ms, ",\"now\":", Now(turn)));
    if (setting.chain-- == 0) return;
    const int64_t due_ms = Set(turn, timer.name, setting, by_event_ ? timer.due_ms : turn.now_ms());
    Emit(turn,
         absl::StrCat("\"again\":\"", timer.name, "\",\"n\":", setting.n, ",\"due\":", due_ms));
  }

 private:
  int64_t Now(const InlineTurn& turn) const {
    return by_event_ ? turn.reached_ms() : turn.now_ms();
  }
  static std::string Name(const InlineTurn& turn, const std::string& timer,
                          const Setting& setting) {
    return absl::StrCat(std::string(turn.key()), " ", timer, " ", setting.n);
  }
  // When it is due.
  int64_t Set(InlineTurn& turn, const std::string& name, const Setting& setting, int64_t from_ms) {
    turn.SetTimer(name, setting.delay_ms, setting.Encode());
    set_.insert(Name(turn, name, setting));
    return std::max(from_ms + setting.delay_ms, Now(turn) + 1);
  }
  void Emit(InlineTurn& turn, const std::string& members) const {
    turn.Emit("out", absl::StrCat("{\"part\":\"", part_, "\",\"key\":\"", std::string(turn.key()),
                                  "\",", members, "}"));
  }

  const char* const part_;
  const bool by_event_;
  FirstTries tries_;
  std::set<std::string> set_;
};

void Declare(grid::Catalog& catalog, const char* stream, const char* name, grid::TtlClock clock) {
  const bool by_event = clock == grid::TtlClock::kEvent;
  AddStream(catalog, stream,
            {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt),
             Field("at", EventFieldType::kInt), Field("what", EventFieldType::kText),
             Field("name", EventFieldType::kText), Field("delay", EventFieldType::kInt),
             Field("chain", EventFieldType::kInt), Field("timer_fails", EventFieldType::kInt),
             Field("fails", EventFieldType::kInt)},
            by_event ? static_cast<int>(kAt) : -1)
      .view_entries_max = 0;
  grid::ClassSchema& made = AddClass(catalog, name);
  made.row.fields = {{.name = "n"},
                     {.name = "timers", .type = grid::FieldType::kTimers, .hidden = true}};
  made.clock = clock;
  AddHandler(catalog, made, stream, "plan").on_error = RetryPolicy(2, 20);
}

void Define(const grid::Catalog& catalog, const char* name, std::shared_ptr<Code> code,
            compute::InlineHost& host) {
  ClassId entity_class;
  BETTONG_CHECK(catalog.FindClass(name, &entity_class) != nullptr);
  host.Define(entity_class, TurnKind::kEvent, 0, [code](InlineTurn& turn) { code->Plan(turn); });
  host.Define(entity_class, TurnKind::kTimer, 0, [code](InlineTurn& turn) { code->Ring(turn); });
}

}  // namespace

void DeclareReminders(grid::Catalog& catalog) {
  Declare(catalog, "plans", "Reminder", grid::TtlClock::kWall);
  Declare(catalog, "dates", "Date", grid::TtlClock::kEvent);
}

void DefineReminders(const grid::Catalog& catalog, compute::InlineHost& host) {
  Define(catalog, "reminder", std::make_shared<Code>("reminders", false), host);
  Define(catalog, "date", std::make_shared<Code>("dates", true), host);
}

Reminders::Plan Reminders::MakePlan(Scheduler& scheduler, size_t entity) {
  Plan plan{.name = absl::StrCat("t", scheduler.Below(3)),
            .delay_ms = static_cast<int64_t>(scheduler.Below(scheduler.OneIn(4) ? 3 : 400))};
  if (scheduler.OneIn(5)) plan.chain = static_cast<int64_t>(scheduler.Below(3));
  // One whose timer fails is sure to ring.
  if (entity == 0 && scheduler.OneIn(8)) {
    plan.timer_fails = true;
    plan.chain = 0;
    plan.name = absl::StrCat("f", plans_[absl::StrCat("r", entity)].size());
  } else if (scheduler.OneIn(5)) {
    plan.what = "cancel";
  } else if (entity != 0 && scheduler.OneIn(12)) {
    plan.what = "delete";
  }
  return plan;
}

std::vector<std::string> Reminders::MakeEvents(Scheduler& scheduler, Letters& letters) {
  std::vector<std::string> events;
  const auto add = [&](const std::string& key, int64_t n, int64_t at_ms, const Plan& plan) {
    events.push_back(absl::StrCat(
        "{\"key\":\"", key, "\",\"n\":", n, ",\"at\":", at_ms, ",\"what\":\"", plan.what,
        "\",\"name\":\"", plan.name, "\",\"delay\":", plan.delay_ms, ",\"chain\":", plan.chain,
        ",\"timer_fails\":", plan.timer_fails ? 1 : 0, ",\"fails\":", n < kFailingN ? 0 : 1, "}"));
  };
  int64_t at_ms = 3'000'000;
  for (uint64_t i = scheduler.Between(10, 50); i > 0; --i) {
    at_ms += static_cast<int64_t>(scheduler.Below(scheduler.OneIn(15) ? 600 : 60));
    const size_t entity = scheduler.Below(kEntities);
    const std::string key = absl::StrCat("r", entity);
    const Plan plan = MakePlan(scheduler, entity);
    if (scheduler.OneIn(12)) {
      const int64_t n = kFailingN + ++failing_;
      ++letters[absl::StrCat("unplanned ", part(), " ", n)];
      add(key, n, at_ms, plan);
      continue;
    }
    plans_[key].push_back(plan);
    const auto n = static_cast<int64_t>(plans_[key].size());
    if (plan.timer_fails) ++letters[absl::StrCat("burst ", part(), " ", n)];
    add(key, n, at_ms, plan);
  }
  plans_[kLast].push_back({.what = "cancel", .name = "t0"});
  add(kLast, 1, at_ms + 1'000'000, plans_[kLast].back());
  if (clock_ == Clock::kEvent) over_ms_ = at_ms + 1'000'000;
  return events;
}

// Of the lines of one entity, in order.
class Reminders::Check {
 public:
  Check(const std::vector<Plan>& plans) : plans_(plans) {}

  // Empty, or what is wrong.
  std::string Take(const OutputLine& line) {
    if (line.Has("rang")) return Rang(line);
    if (line.Has("again")) {
      set_[std::string(line.Text("again"))] = {line.Int("n"), line.Int("due"), false};
      return "";
    }
    return Planned(line);
  }

  // `over_ms`: the clock comes no further.
  std::string End(int64_t over_ms) const {
    if (n_ != plans_.size()) return absl::StrCat("has seen ", n_, " plans of ", plans_.size());
    for (const auto& [name, timer] : set_) {
      if (timer.due_ms > over_ms || timer.fails) continue;
      return absl::StrCat("has a timer that did not ring: ", name);
    }
    return "";
  }

 private:
  struct Timer {
    int64_t n = 0, due_ms = 0;
    bool fails = false;
  };

  std::string Planned(const OutputLine& line) {
    if (n_ == plans_.size() || line.Int("n") != static_cast<int64_t>(n_) + 1) {
      return absl::StrCat("has not seen plan ", n_ + 1, " next: ", line.text);
    }
    const Plan& plan = plans_[n_++];
    if (line.Text(plan.what) != plan.name) return "has a plan that nobody sent: " + line.text;
    const int64_t now_ms = line.Int("now");
    const std::string missed = DueBefore(now_ms + 1);
    if (!missed.empty()) return absl::StrCat("has not rung ", missed, ", but: ", line.text);
    if (line.Has("set")) {
      const int64_t due_ms = now_ms + std::max<int64_t>(plan.delay_ms, 1);
      if (line.Int("due") != due_ms) return absl::StrCat("is due at ", due_ms, ", not ", line.text);
      if (set_.contains(plan.name)) BETTONG_SOMETIMES(timer_replaced);
      set_[plan.name] = {line.Int("n"), due_ms, plan.timer_fails};
    } else if (line.Has("cancel")) {
      const bool was = set_.erase(plan.name) > 0;
      if (was) BETTONG_SOMETIMES(timer_cancelled);
      if (was != (line.Int("was") == 1))
        return "knows timers that are not, or not all: " + line.text;
    } else {
      if (!set_.empty()) BETTONG_SOMETIMES(timers_go_with_their_entity);
      set_.clear();
    }
    return "";
  }

  std::string Rang(const OutputLine& line) {
    const auto timer = set_.find(line.Text("rang"));
    if (timer == set_.end() || timer->second.n != line.Int("n") ||
        timer->second.due_ms != line.Int("due")) {
      return "has no such timer, or no longer: " + line.text;
    }
    if (line.Int("now") < timer->second.due_ms) return "rings early: " + line.text;
    const std::string missed = DueBefore(timer->second.due_ms);
    if (!missed.empty()) return absl::StrCat("has not rung ", missed, " first, but: ", line.text);
    set_.erase(timer);
    return "";
  }

  // What should have rung by then; those that fail have.
  std::string DueBefore(int64_t at_ms) {
    std::erase_if(set_, [at_ms](const auto& each) {
      return each.second.fails && each.second.due_ms < at_ms;
    });
    for (const auto& [name, timer] : set_) {
      if (timer.due_ms < at_ms) return name;
    }
    return "";
  }

  const std::vector<Plan>& plans_;
  size_t n_ = 0;
  std::map<std::string, Timer, std::less<>> set_;
};

std::string Reminders::CheckOutputs(const OutputLines& lines) const {
  std::map<std::string, Check, std::less<>> checks;
  for (const auto& [key, plans] : plans_) checks.emplace(key, Check(plans));
  for (const OutputLine& line : lines) {
    const auto check = checks.find(line.Text("key"));
    if (check == checks.end()) return "an entity with timers that nobody knows: " + line.text;
    const std::string wrong = check->second.Take(line);
    if (!wrong.empty()) return absl::StrCat("with timers, ", check->first, " ", wrong);
  }
  for (const auto& [key, check] : checks) {
    const std::string wrong = check.End(over_ms_);
    if (!wrong.empty()) return absl::StrCat("with timers, ", key, " ", wrong);
  }
  return "";
}

std::string Reminders::CheckState(const Rows& rows) const {
  for (const auto& [key, row] : rows) {
    if (!key.starts_with(clock_ == Clock::kWall ? "reminder:" : "date:")) continue;
    if (row[kTimers] <= over_ms_) return absl::StrCat(key, " has a timer left");
  }
  return "";
}

}  // namespace bettong::sim
