#include "tests/sim/sim_gauges.h"

#include <absl/strings/str_cat.h>
#include <simdjson.h>

#include <algorithm>
#include <stdexcept>

#include "base/check.h"
#include "base/simulation.h"
#include "tests/sim/sim_windows.h"

namespace bettong::sim {
namespace {

using compute::InlineTurn;
using grid::EventFieldType;
using grid::TurnKind;
using grid::WindowKind;

enum EventSlot : size_t { kKey, kN, kAt, kValue };
// The engine feeds one of two windows that are alike.
enum RowField : size_t { kCount, kTumble, kFed, kVisit };

constexpr int64_t kTumbleMs = 250, kGapMs = 120;
constexpr char kLast[] = "last";  // comes so late that all others are over
constexpr const char* kFieldNames[] = {"count", "tumble", "fed", "visit"};

void Emit(InlineTurn& turn, const std::string& members) {
  turn.Emit("out", absl::StrCat("{\"part\":\"gauges\",\"key\":\"", std::string(turn.key()), "\",",
                                members, "}"));
}

// The numbers of readings rise. That none is left out is looked after in the end.
void Count(InlineTurn& turn) {
  const int64_t n = turn.event()->Int(kN);
  if (n <= turn.Int(kCount)) Bad(turn, absl::StrCat(n, " after ", turn.Int(kCount)));
  turn.SetInt(kCount, n);
}

void Read(InlineTurn& turn, FirstTries& tries) {
  Count(turn);
  const int64_t n = turn.event()->Int(kN);
  const TimeMs at_ms = turn.event()->time_ms;
  const auto took = [&](RowField field) {
    const auto added = turn.AddToWindow(field, turn.event()->Int(kValue), at_ms);
    return added == grid::Window::Added::kYes ? 1 : 0;
  };
  const int tumble = took(kTumble), visit = took(kVisit);
  Emit(turn, absl::StrCat("\"n\":", n, ",\"late\":0,\"tumble\":", tumble, ",\"visit\":", visit));
  if (n % 6 == 0 && tries.Fails(turn.key(), n)) throw std::runtime_error("not yet");
}

void ReadLate(InlineTurn& turn) {
  BETTONG_SOMETIMES(event_is_late);
  Count(turn);
  Emit(turn, absl::StrCat("\"n\":", turn.Int(kCount), ",\"late\":1"));
}

void Close(InlineTurn& turn) {
  Emit(turn, absl::StrCat("\"closed\":\"", kFieldNames[turn.field()], "\",",
                          TotalsOf(turn.closed()).Json()));
}

// Open windows, and what they have taken. All sessions, and tumbling windows as sessions of a fixed
// place.
class OpenWindows {
 public:
  explicit OpenWindows(bool sessions) : sessions_(sessions) {}

  void Add(int64_t at_ms, int64_t value) {
    Totals made{.start_ms = at_ms, .end_ms = at_ms + kGapMs};
    if (!sessions_) {
      made.start_ms = at_ms / kTumbleMs * kTumbleMs;
      made.end_ms = made.start_ms + kTumbleMs;
    }
    made.Add(value);
    int joined = 0;
    for (auto each = open_.begin(); each != open_.end();) {
      if (each->end_ms <= made.start_ms || each->start_ms >= made.end_ms) {
        ++each;
        continue;
      }
      made = Join(made, *each);
      each = open_.erase(each);
      if (++joined == 2) BETTONG_SOMETIMES(value_joins_two_sessions);
    }
    open_.push_back(made);
  }
  // It closes; empty, or what should have.
  std::string Close(const OutputLine& line) {
    const auto first = std::min_element(
        open_.begin(), open_.end(),
        [](const Totals& left, const Totals& right) { return left.end_ms < right.end_ms; });
    if (first == open_.end()) return "has no window that could close: " + line.text;
    const std::string wanted = first->Json();
    closed_ms_ = first->end_ms;
    open_.erase(first);
    if (line.text.find(wanted + "}") != std::string::npos) return "";
    return absl::StrCat("has ", wanted, " next, not ", line.text);
  }
  // A tumbling window that has closed takes nothing any more.
  bool IsClosed(int64_t at_ms) const { return !sessions_ && at_ms < closed_ms_; }
  bool empty() const { return open_.empty(); }

 private:
  static Totals Join(const Totals& left, const Totals& right) {
    return {.start_ms = std::min(left.start_ms, right.start_ms),
            .end_ms = std::max(left.end_ms, right.end_ms),
            .count = left.count + right.count,
            .sum = left.sum + right.sum,
            .min = std::min(left.min, right.min),
            .max = std::max(left.max, right.max)};
  }

  const bool sessions_;
  int64_t closed_ms_ = 0;
  std::vector<Totals> open_;
};

}  // namespace

void DeclareGauges(grid::Catalog& catalog, const GaugeOptions& options) {
  grid::StreamSchema& readings =
      AddStream(catalog, "readings",
                {Field("key", EventFieldType::kText), Field("n", EventFieldType::kInt),
                 Field("at", EventFieldType::kInt), Field("value", EventFieldType::kInt)},
                kAt);
  readings.view_entries_max = 0;
  readings.lateness_ms = options.lateness_ms;
  if (options.late_letters) readings.late_events = grid::LateEvents::kDeadLetter;
  grid::ClassSchema& gauge = AddClass(catalog, "Gauge");
  const auto window = [](RowField field, WindowKind kind, int64_t size_ms) {
    return grid::FieldSchema{.name = kFieldNames[field],
                             .type = grid::FieldType::kWindow,
                             .window = {.kind = kind,
                                        .is_float = false,
                                        .closes = true,
                                        .size_ms = size_ms,
                                        .pane_ms = size_ms}};
  };
  gauge.row.fields = {{.name = kFieldNames[kCount]},
                      window(kTumble, WindowKind::kTumbling, kTumbleMs),
                      window(kFed, WindowKind::kTumbling, kTumbleMs),
                      window(kVisit, WindowKind::kSession, kGapMs)};
  gauge.has_on_close = true;
  grid::HandlerSchema& handler = AddHandler(catalog, gauge, "readings", "read");
  handler.on_error = RetryPolicy(2, 20);
  handler.feeds = {{.window = kFed, .slot = kValue}};
  if (!options.late_letters) AddHandler(catalog, gauge, "readings", "read_late").late = true;
}

void DefineGauges(const grid::Catalog& catalog, compute::InlineHost& host) {
  ClassId gauge;
  BETTONG_CHECK(catalog.FindClass("gauge", &gauge) != nullptr);
  host.Define(gauge, TurnKind::kEvent, 0,
              [tries = FirstTries()](InlineTurn& turn) mutable { Read(turn, tries); });
  if (catalog.classes[gauge.value()].handlers.size() > 1) {
    host.Define(gauge, TurnKind::kEvent, 1, ReadLate);
  }
  for (const size_t field : {kTumble, kFed, kVisit}) {
    host.Define(gauge, TurnKind::kClose, field, Close);
  }
}

std::string Gauges::Read(const std::string& key, const Reading& reading) {
  readings_[key].push_back(reading);
  return absl::StrCat("{\"key\":\"", key, "\",\"n\":", readings_[key].size(),
                      ",\"at\":", reading.at_ms, ",\"value\":", reading.value, "}");
}

bool Gauges::ReadLetter(const std::string& line, OutputLine& late) {
  simdjson::dom::parser letters, readings;
  simdjson::dom::element letter, reading;
  std::string_view error, event, key;
  int64_t n = 0;
  if (letters.parse(line).get(letter) != simdjson::SUCCESS ||
      letter["error"].get(error) != simdjson::SUCCESS || !error.starts_with("the event is late") ||
      letter["event"].get(reading) != simdjson::SUCCESS) {
    return false;
  }
  // The door writes it as the text that came, an entity that refuses it as JSON.
  if (reading.get(event) == simdjson::SUCCESS &&
      readings.parse(event.data(), event.size()).get(reading) != simdjson::SUCCESS) {
    return false;
  }
  if (reading["key"].get(key) != simdjson::SUCCESS || reading["n"].get(n) != simdjson::SUCCESS) {
    return false;
  }
  late = {.text = line, .ints = {{"n", n}, {"late", 1}}, .texts = {{"key", std::string(key)}}};
  return true;
}

std::vector<std::string> Gauges::MakeEvents(Scheduler& scheduler, const GaugeOptions& options) {
  const int64_t lateness_ms = options.lateness_ms;
  late_letters_ = options.late_letters;
  std::vector<std::string> events;
  int64_t newest_ms = 2'000'000;
  for (uint64_t i = scheduler.Between(10, 60); i > 0; --i) {
    Reading reading{.at_ms = newest_ms, .value = static_cast<int64_t>(scheduler.Below(100)) - 50};
    if (scheduler.OneIn(3)) {
      reading.at_ms -= static_cast<int64_t>(scheduler.Below(2 * lateness_ms + 100));
    } else {
      reading.at_ms += static_cast<int64_t>(scheduler.Below(scheduler.OneIn(15) ? 600 : 60));
    }
    if (!events.empty() && reading.at_ms < newest_ms) {
      reading.late = reading.at_ms < newest_ms - lateness_ms ? Late::kCertainly : Late::kMaybe;
    }
    newest_ms = events.empty() ? reading.at_ms : std::max(newest_ms, reading.at_ms);
    events.push_back(Read(absl::StrCat("g", scheduler.Below(3)), reading));
  }
  events.push_back(Read(kLast, {.at_ms = newest_ms + 1'000'000}));
  return events;
}

// Of the lines of one gauge, in order.
class Gauges::Check {
 public:
  // `in_order`: those that are late, too.
  Check(const std::vector<Reading>& readings, bool in_order)
      : readings_(readings), in_order_(in_order), seen_(readings.size()) {}

  // Empty, or what is wrong.
  std::string Take(const OutputLine& line) {
    if (line.Has("closed")) return windows_.at(std::string(line.Text("closed"))).Close(line);
    const auto n = static_cast<size_t>(line.Int("n"));
    const bool late = line.Int("late") == 1;
    if (n == 0 || n > readings_.size() || seen_[n - 1]) return "has read it before: " + line.text;
    seen_[n - 1] = true;
    if (in_order_ ? n != last_ + 1 : !late && n < last_) {
      return absl::StrCat("has read last ", last_, ", now ", line.text);
    }
    if (in_order_ || !late) last_ = n;
    const Reading& reading = readings_[n - 1];
    if ((late && reading.late == Late::kNever) || (!late && reading.late == Late::kCertainly)) {
      return absl::StrCat(late ? "has late: " : "has in time: ", line.text);
    }
    if (late) return "";
    // The watermark that it came with is not beyond it: nothing that it belongs to is closed.
    for (const char* field : {kFieldNames[kTumble], kFieldNames[kVisit]}) {
      if (line.Int(field) != 1) return absl::StrCat("has a window closed already: ", line.text);
    }
    for (auto& [field, windows] : windows_) {
      if (windows.IsClosed(reading.at_ms)) return "has closed it, but took: " + line.text;
      windows.Add(reading.at_ms, reading.value);
    }
    return "";
  }

  std::string End(bool is_last) const {
    const auto missed = std::find(seen_.begin(), seen_.end(), false);
    if (missed != seen_.end()) {
      return absl::StrCat("has not read ", missed - seen_.begin() + 1, " of ", readings_.size());
    }
    for (const auto& [field, windows] : windows_) {
      if (windows.empty() == is_last)
        return absl::StrCat("has windows ", field, is_last ? " closed" : " open");
    }
    return "";
  }

 private:
  const std::vector<Reading>& readings_;
  const bool in_order_;
  std::vector<bool> seen_;
  size_t last_ = 0;
  std::map<std::string, OpenWindows> windows_ = {{kFieldNames[kTumble], OpenWindows(false)},
                                                 {kFieldNames[kFed], OpenWindows(false)},
                                                 {kFieldNames[kVisit], OpenWindows(true)}};
};

std::string Gauges::CheckOutputs(const OutputLines& lines) const {
  std::map<std::string, Check, std::less<>> checks;
  for (const auto& [key, readings] : readings_)
    checks.emplace(key, Check(readings, !late_letters_));
  for (const OutputLine& line : lines) {
    const auto check = checks.find(line.Text("key"));
    if (check == checks.end()) return "a gauge that nobody knows: " + line.text;
    const std::string wrong = check->second.Take(line);
    if (!wrong.empty()) return absl::StrCat("gauge ", check->first, " ", wrong);
  }
  for (const auto& [key, check] : checks) {
    const std::string wrong = check.End(key == kLast);
    if (!wrong.empty()) return absl::StrCat("gauge ", key, " ", wrong);
  }
  return "";
}

std::string Gauges::CheckState(const Rows& rows) const {
  for (const auto& [key, readings] : readings_) {
    const auto row = rows.find("gauge:" + key);
    if (late_letters_ && row == rows.end()) continue;
    if (row == rows.end() ||
        (!late_letters_ && row->second[0] != static_cast<int64_t>(readings.size()))) {
      return absl::StrCat("gauge ", key, " has not counted ", readings.size(), " readings");
    }
    for (const size_t field : {kTumble, kFed, kVisit}) {
      if (key != kLast && row->second[field] != kNeverExpires) {
        return absl::StrCat("gauge ", key, " has a window open: ", kFieldNames[field]);
      }
    }
  }
  return "";
}

}  // namespace bettong::sim
