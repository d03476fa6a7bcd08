#include "tests/sim/sim_meters.h"

#include <absl/strings/str_cat.h>

#include <stdexcept>

#include "base/check.h"
#include "base/simulation.h"

namespace bettong::sim {
namespace {

using compute::InlineTurn;
using grid::EventFieldType;
using grid::TurnKind;
using grid::WindowKind;

enum EventSlot : size_t { kKey, kN, kAt, kValue, kFails };
enum RowField : size_t { kLastN, kRecent, kSlide, kTumble, kVisit };

constexpr int64_t kTtlMs = 220;  // shorter than some windows
constexpr int64_t kPaneMs = 100, kRecentMs = 200, kSlideMs = 300, kTumbleMs = 250, kGapMs = 120;
constexpr int64_t kFailingN = 1'000'000;  // and up: samples that fail
constexpr char kLast[] = "last";          // comes so late that all others are over
constexpr const char* kFieldNames[] = {"n", "recent", "slide", "tumble", "visit"};

void Emit(InlineTurn& turn, const std::string& members) {
  turn.Emit("out", absl::StrCat("{\"part\":\"meters\",\"key\":\"", std::string(turn.key()), "\",",
                                members, "}"));
}

void Sample(InlineTurn& turn, FirstTries& tries) {
  int64_t first = 0;
  ForEachEvent(turn, [&](const grid::EventRecord& event) {
    const int64_t n = event.Int(kN);
    if (first == 0) first = n;
    const bool taken =
        turn.AddToWindow(kSlide, event.Int(kValue), event.time_ms) == grid::Window::Added::kYes &&
        turn.AddToWindow(kVisit, event.Int(kValue), event.time_ms) == grid::Window::Added::kYes;
    if (!taken) Bad(turn, absl::StrCat("sample ", n, " is too late for a window"));
    turn.SetInt(kLastN, n);
    if (event.Int(kFails) == 0 && (n % 6 != 0 || !tries.Fails(turn.key(), n))) return;
    BETTONG_SOMETIMES(values_of_windows_taken_back);
    throw std::runtime_error(absl::StrCat("wrong sample ", n));
  });
  Emit(turn, absl::StrCat("\"first\":", first, ",\"n\":", turn.Int(kLastN), ",",
                          TotalsOf(turn.Window(kRecent).Current()).Json()));
}

void Close(InlineTurn& turn) {
  Emit(turn, absl::StrCat("\"closed\":\"", kFieldNames[turn.field()], "\",",
                          TotalsOf(turn.closed()).Json()));
}

}  // namespace

void DeclareMeters(grid::Catalog& catalog, int64_t lateness_ms, uint32_t batch_max) {
  grid::StreamSchema& samples =
      AddStream(catalog, "samples",
                {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt),
                 Field("at", EventFieldType::kInt), Field("value", EventFieldType::kInt),
                 Field("fails", EventFieldType::kInt)},
                kAt);
  samples.view_entries_max = 0;
  samples.lateness_ms = lateness_ms;
  grid::ClassSchema& meter = AddClass(catalog, "Meter");
  const auto window = [](RowField field, WindowKind kind, int64_t size_ms, int64_t pane_ms) {
    return grid::FieldSchema{.name = kFieldNames[field],
                             .type = grid::FieldType::kWindow,
                             .window = {.kind = kind,
                                        .is_float = false,
                                        .closes = field != kRecent,
                                        .size_ms = size_ms,
                                        .pane_ms = pane_ms}};
  };
  meter.row.fields = {{.name = kFieldNames[kLastN]},
                      window(kRecent, WindowKind::kSliding, kRecentMs, kPaneMs),
                      window(kSlide, WindowKind::kSliding, kSlideMs, kPaneMs),
                      window(kTumble, WindowKind::kTumbling, kTumbleMs, kTumbleMs),
                      window(kVisit, WindowKind::kSession, kGapMs, kGapMs)};
  meter.ttl_ms = kTtlMs;
  meter.clock = grid::TtlClock::kEvent;
  meter.has_on_expire = meter.has_on_close = true;
  grid::HandlerSchema& handler = AddHandler(catalog, meter, "samples", "sample");
  handler.on_error = RetryPolicy(2, 20);
  handler.batch_max = batch_max;
  handler.feeds = {{.window = kRecent, .slot = kValue}, {.window = kTumble, .slot = kValue}};
}

void DefineMeters(const grid::Catalog& catalog, compute::InlineHost& host) {
  ClassId meter;
  BETTONG_CHECK(catalog.FindClass("meter", &meter) != nullptr);
  host.Define(meter, TurnKind::kEvent, 0,
              [tries = FirstTries()](InlineTurn& turn) mutable { Sample(turn, tries); });
  host.Define(meter, TurnKind::kExpire, 0,
              [](InlineTurn& turn) { Emit(turn, absl::StrCat("\"ended\":", turn.Int(kLastN))); });
  for (const size_t field : {kSlide, kTumble, kVisit}) {
    host.Define(meter, TurnKind::kClose, field, Close);
  }
}

std::string Meters::Sample(Scheduler& scheduler, const std::string& key, int64_t at_ms,
                           Letters& letters) {
  Meter& meter = meters_[key];
  const auto value = static_cast<int64_t>(scheduler.Below(100)) - 50;
  const bool fails = scheduler.OneIn(12) && key != kLast;
  int64_t n = kFailingN + failing_;
  if (fails) {
    n = kFailingN + ++failing_;
    ++letters[absl::StrCat("wrong sample ", n)];
  } else {
    // One that fails makes nobody live longer.
    if (meter.lives.empty() || at_ms > meter.last_ms + kTtlMs) meter.lives.emplace_back();
    meter.lives.back().push_back({at_ms, value});
    meter.last_ms = at_ms;
    n = 0;
    for (const Life& life : meter.lives) n += static_cast<int64_t>(life.size());
  }
  return absl::StrCat("{\"key\":\"", key, "\",\"n\":", n, ",\"at\":", at_ms, ",\"value\":", value,
                      ",\"fails\":", fails ? 1 : 0, "}");
}

std::vector<std::string> Meters::MakeEvents(Scheduler& scheduler, int64_t lateness_ms,
                                            Letters& letters) {
  lateness_ms_ = lateness_ms;
  std::vector<std::string> events;
  int64_t at_ms = 1'000'000 + static_cast<int64_t>(scheduler.Below(1'000));
  for (uint64_t i = scheduler.Between(10, 60); i > 0; --i) {
    at_ms += static_cast<int64_t>(scheduler.Below(scheduler.OneIn(15) ? 1'500 : 60));
    events.push_back(Sample(scheduler, absl::StrCat("m", scheduler.Below(3)), at_ms, letters));
  }
  events.push_back(Sample(scheduler, kLast, at_ms + 1'000'000, letters));
  return events;
}

Meters::Closings Meters::ClosingsOf(const Meter& meter) {
  Closings closings;
  for (size_t i = 0; i < meter.lives.size(); ++i) {
    const auto add = [&](RowField field, const std::vector<Totals>& windows) {
      for (const Totals& each : windows) closings[kFieldNames[field]].push_back({each, i});
    };
    add(kSlide, SlidingWindows(meter.lives[i], kSlideMs, kPaneMs));
    add(kTumble, SlidingWindows(meter.lives[i], kTumbleMs, kTumbleMs));
    add(kVisit, Sessions(meter.lives[i], kGapMs));
  }
  return closings;
}

// Of the lines of one meter, in order.
class Meters::Check {
 public:
  Check(const Meter& meter, int64_t lateness_ms)
      : meter_(meter), lateness_ms_(lateness_ms), closings_(ClosingsOf(meter)) {}

  // Empty, or what is wrong.
  std::string Take(const OutputLine& line) {
    if (line.Has("closed")) return Closed(line);
    if (line.Has("ended")) {
      return ++ended_ > meter_.lives.size() ? "ends once too often: " + line.text : "";
    }
    return Sampled(line);
  }

  // The last one lives on.
  std::string End(bool is_last) {
    for (const auto& [field, expected] : closings_) {
      const size_t wanted = is_last ? 0 : expected.size();
      if (closed_[field] == wanted) continue;
      return absl::StrCat("has closed ", closed_[field], " windows ", field, ", not ", wanted);
    }
    const size_t lives = is_last ? 0 : meter_.lives.size();
    if (ended_ == lives) return "";
    return absl::StrCat("has ended ", ended_, " times, not ", lives);
  }

 private:
  std::string Closed(const OutputLine& line) {
    const std::string field(line.Text("closed"));
    const size_t i = closed_[field]++;
    const std::vector<Closing>& expected = closings_[field];
    if (i >= expected.size()) return "closes once too often: " + line.text;
    const std::string wanted = expected[i].totals.Json();
    if (line.text.find(wanted + "}") != std::string::npos) return "";
    return absl::StrCat("has ", wanted, " next, not ", line.text);
  }

  // Each once; what is over by then has closed, and nothing else.
  std::string Sampled(const OutputLine& line) {
    if (line.Int("first") != n_ + 1) return absl::StrCat("sample ", n_ + 1, " not: ", line.text);
    n_ = line.Int("n");
    size_t life = 0;
    auto left = static_cast<size_t>(n_);
    while (life < meter_.lives.size() && left > meter_.lives[life].size()) {
      left -= meter_.lives[life++].size();
    }
    if (life == meter_.lives.size()) return "a sample that nobody sent: " + line.text;
    if (ended_ != life) return absl::StrCat("has ended ", ended_, " times before ", line.text);
    const Life samples(meter_.lives[life].begin(),
                       meter_.lives[life].begin() + static_cast<ptrdiff_t>(left));
    const int64_t at_ms = samples.back().at_ms;
    const int64_t end_ms = (at_ms / kPaneMs + 1) * kPaneMs;
    const std::string recent = TotalsOf(samples, end_ms - kRecentMs, end_ms).Json();
    if (line.text.find(recent) == std::string::npos) {
      return absl::StrCat("finds, instead of ", recent, ", ", line.text);
    }
    for (const auto& [field, expected] : closings_) {
      size_t least = 0, most = 0;
      for (const Closing& each : expected) {
        least +=
            each.life < life || (each.life == life && each.totals.end_ms <= at_ms - lateness_ms_);
        most += each.life < life || (each.life == life && each.totals.end_ms <= at_ms);
      }
      if (closed_[field] >= least && closed_[field] <= most) continue;
      return absl::StrCat("has closed ", closed_[field], " windows ", field, ", not ", least,
                          " to ", most, ", before ", line.text);
    }
    return "";
  }

  const Meter& meter_;
  const int64_t lateness_ms_;
  Closings closings_;
  std::map<std::string, size_t> closed_;  // by field
  size_t ended_ = 0;
  int64_t n_ = 0;
};

std::string Meters::CheckOutputs(const OutputLines& lines) const {
  std::map<std::string, Check, std::less<>> checks;
  for (const auto& [key, meter] : meters_) checks.emplace(key, Check(meter, lateness_ms_));
  for (const OutputLine& line : lines) {
    const auto check = checks.find(line.Text("key"));
    if (check == checks.end()) return "a meter that nobody knows: " + line.text;
    const std::string wrong = check->second.Take(line);
    if (!wrong.empty()) return absl::StrCat("meter ", check->first, " ", wrong);
  }
  for (auto& [key, check] : checks) {
    const std::string wrong = check.End(key == kLast);
    if (!wrong.empty()) return absl::StrCat("meter ", key, " ", wrong);
  }
  return "";
}

std::string Meters::CheckState(const Rows& rows) const {
  for (const auto& [key, row] : rows) {
    if (key.starts_with("meter:") && key != absl::StrCat("meter:", kLast)) {
      return absl::StrCat(key, " has not ended");
    }
  }
  return "";
}

}  // namespace bettong::sim
