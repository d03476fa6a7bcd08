// Entity classes whose methods do what a script says: the text comes with the event or the call, so
// that a test says what happens where it happens.
//
//   add N      count += N               note TEXT    note = TEXT
//   null       maybe = null             maybe N      maybe = N
//   pane I N   panes[I] = N             emit TEXT    "TEXT" into the stream out
//   window N T the value N into the window, at T ms
//   ring N     the value N into the ring     list VERB I TEXT  append, insert, set, erase, clear
//   put K N    map[K] = N; erase K; forget clears the map
//   closing N T the value N into the tumbling and the session window that close, at T ms
//   after MS NAME SCRIPT  a timer that runs the script; cancel NAME
//   again TEXT "TEXT" into the stream events, which has handlers
//   touch      delete      ttl N        as in Python
//   raise TEXT ends the turn with an exception
//   reply TEXT answers a CALL           keys A B ..  the keys of a key function
//   time       emits now_ms
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/number_text.h"
#include "compute/inline_host.h"
#include "compute/turn_runner.h"
#include "grid/tagged.h"

namespace bettong::compute {

// Classes: fields and handlers are the same, life differs.
inline constexpr ClassId kWall{0};   // TTL 1000 ms wall clock, on_create, on_expire
inline constexpr ClassId kEvent{1};  // TTL 1000 ms event time, on_expire; handles two streams
inline constexpr ClassId kPlain{2};  // no TTL, no hooks
inline constexpr ClassId kQuiet{3};  // TTL 1000 ms wall clock, no hooks: expires on the shard alone
inline constexpr ClassId kLarge{4};  // as kWall, its row outside of the entry
inline constexpr ClassId kNested{5};    // as kPlain, with the prefix "plain:in"
inline constexpr ClassId kCalm{6};      // TTL 1000 ms event time, no hooks
inline constexpr ClassId kWindowed{7};  // as kWall, with a window and a half
inline constexpr size_t kScriptedClasses = 8;
inline constexpr size_t kScriptedClassesBare = 7;  // without containers

inline constexpr size_t kCount = 0, kNote = 1, kMaybe = 2, kPanes = 3, kWindow = 4, kRatios = 5,
                        kRing = 6, kList = 7, kMap = 8, kClosing = 9, kSession = 10, kTimers = 11,
                        kFed = 12;
inline constexpr int64_t kScriptedTtlMs = 1000;

// `change` has its way with the catalog before it is finished.
inline std::shared_ptr<const grid::Catalog> MakeScriptedCatalog(
    const std::function<void(grid::Catalog&)>& change = nullptr) {
  using grid::EventFieldType;
  using grid::FieldType;
  auto catalog = std::make_shared<grid::Catalog>();
  grid::EventSchema event{
      .name = "Ev",
      .fields = {{.name = "key", .type = EventFieldType::kText},
                 {.name = "script", .type = EventFieldType::kText},
                 {.name = "ts", .type = EventFieldType::kInt, .optional = true}},
      .time_field = 2};
  catalog->streams = {
      {.name = "events", .event = event}, {.name = "more", .event = event}, {.name = "out"}};
  const char* names[kScriptedClasses] = {"Wall",  "Event",  "Plain", "Quiet",
                                         "Large", "Nested", "Calm",  "Windowed"};
  for (size_t i = 0; i < kScriptedClasses; ++i) {
    grid::ClassSchema& c = catalog->classes.emplace_back();
    c.name = names[i];
    c.prefix = grid::SnakeCase(names[i]);
    c.row.fields = {{.name = "count"},
                    {.name = "note", .type = FieldType::kText},
                    {.name = "maybe", .optional = true},
                    {.name = "panes",
                     .type = FieldType::kIntArray,
                     .array_size = i == kLarge.value() ? 200u : 3u}};
    if (i == kWindowed.value()) {
      const grid::WindowSpec last = {
          .is_float = false, .keeps = grid::kKeepAll, .size_ms = 300, .pane_ms = 100};
      const grid::WindowSpec ratios = {
          .kind = grid::WindowKind::kTumbling, .size_ms = 250, .pane_ms = 250};
      c.row.fields.push_back({.name = "last", .type = FieldType::kWindow, .window = last});
      c.row.fields.push_back({.name = "ratios", .type = FieldType::kWindow, .window = ratios});
      using grid::CollectionKind;
      using grid::ScalarType;
      const grid::CollectionSpec ring = {
          .kind = CollectionKind::kRing, .value = ScalarType::kInt, .elements_max = 5};
      const grid::CollectionSpec list = {
          .kind = CollectionKind::kList, .value = ScalarType::kText, .elements_max = 40};
      const grid::CollectionSpec map = {.kind = CollectionKind::kMap,
                                        .key = ScalarType::kText,
                                        .value = ScalarType::kInt,
                                        .elements_max = 100};
      c.row.fields.push_back({.name = "ring", .type = FieldType::kCollection, .collection = ring});
      c.row.fields.push_back({.name = "list", .type = FieldType::kCollection, .collection = list});
      c.row.fields.push_back({.name = "map", .type = FieldType::kCollection, .collection = map});
      const grid::WindowSpec closing = {.is_float = false,
                                        .closes = true,
                                        .keeps = grid::kKeepAll,
                                        .size_ms = 200,
                                        .pane_ms = 100};
      const grid::WindowSpec session = {.kind = grid::WindowKind::kSession,
                                        .is_float = false,
                                        .closes = true,
                                        .size_ms = 150,
                                        .pane_ms = 150};
      c.row.fields.push_back({.name = "closing", .type = FieldType::kWindow, .window = closing});
      c.row.fields.push_back({.name = "session", .type = FieldType::kWindow, .window = session});
      c.row.fields.push_back({.name = "timers", .type = FieldType::kTimers});
      c.row.fields.push_back({.name = "fed", .type = FieldType::kWindow, .window = last});
      c.has_on_close = true;
    }
    if (i != kPlain.value() && i != kNested.value()) c.ttl_ms = kScriptedTtlMs;
    bool event_clock = i == kEvent.value() || i == kCalm.value();
    if (event_clock) c.clock = grid::TtlClock::kEvent;
    c.has_on_create = i == kWall.value() || i == kLarge.value() || i == kWindowed.value();
    c.has_on_expire = c.has_on_create || i == kEvent.value();
    c.handlers = {{.stream = StreamId(0), .method = "on_event"}};
    // The event's own time, which not every event has.
    if (i == kWindowed.value()) c.handlers[0].feeds = {{.window = kFed, .slot = 2}};
    if (i == kEvent.value()) c.handlers.push_back({.stream = StreamId(1), .method = "on_more"});
    c.commands = {{.name = "run"}, {.name = "make", .create = true}};
  }
  catalog->classes[kNested.value()].prefix = "plain:in";
  if (change) change(*catalog);
  std::string error = catalog->Finish();
  if (!error.empty()) throw std::logic_error(error);
  return catalog;
}

// "append I TEXT" and the like, at positions that are in the list as it is.
inline void ChangeList(InlineTurn& turn, const std::string& rest) {
  std::istringstream words(rest);
  std::string what, text;
  size_t index = 0;
  words >> what >> index >> text;
  grid::Sequence& list = turn.Sequence(kList);
  grid::ContainerTurn& changes = turn.ChangesOf(kList);
  if (what == "append") {
    list.Append({.bytes = text}, changes);
  } else if (what == "insert") {
    list.Insert(index % (list.size() + 1), {.bytes = text}, changes);
  } else if (what == "clear") {
    list.Clear(changes);
  } else if (list.size() > 0) {
    what == "set" ? list.Set(index % list.size(), {.bytes = text}, changes)
                  : list.Erase(index % list.size(), changes);
  }
}

// Runs a script on a turn.
inline void RunScript(InlineTurn& turn, std::string_view script) {
  std::istringstream lines{std::string(script)};
  for (std::string line; std::getline(lines, line, ';');) {
    std::istringstream words(line);
    std::string verb;
    words >> verb >> std::ws;
    std::string rest;
    std::getline(words, rest);
    auto number = [&] { return std::stoll(rest); };
    if (verb == "add") {
      turn.SetInt(kCount, turn.Int(kCount) + number());
    } else if (verb == "note") {
      turn.SetText(kNote, rest);
    } else if (verb == "null") {
      turn.SetNull(kMaybe);
    } else if (verb == "maybe") {
      turn.SetInt(kMaybe, number());
    } else if (verb == "pane") {
      size_t space = rest.find(' ');
      turn.SetIntAt(kPanes, std::stoul(rest.substr(0, space)), std::stoll(rest.substr(space)));
    } else if (verb == "window") {
      size_t space = rest.find(' ');
      const int64_t value = std::stoll(rest.substr(0, space));
      const TimeMs at_ms = std::stoll(rest.substr(space));
      turn.AddToWindow(kWindow, value, at_ms);
      if (value % 2 == 0) turn.AddToWindow(kRatios, static_cast<double>(value) / 8, at_ms);
    } else if (verb == "ring") {
      turn.Sequence(kRing).Append({.raw = static_cast<uint64_t>(number())}, turn.ChangesOf(kRing));
    } else if (verb == "list") {
      ChangeList(turn, rest);
    } else if (verb == "put") {
      const size_t space = rest.find(' ');
      const auto value = static_cast<uint64_t>(std::stoll(rest.substr(space)));
      turn.Dictionary(kMap).Put({.bytes = std::string_view(rest).substr(0, space)}, {.raw = value},
                                turn.ChangesOf(kMap));
    } else if (verb == "erase") {
      grid::Dictionary& map = turn.Dictionary(kMap);
      const uint32_t position = map.Find({.bytes = rest});
      if (position != map.kNowhere) map.Erase(position, turn.ChangesOf(kMap));
    } else if (verb == "forget") {
      turn.Dictionary(kMap).Clear(turn.ChangesOf(kMap));
    } else if (verb == "closing") {
      size_t space = rest.find(' ');
      const int64_t value = std::stoll(rest.substr(0, space));
      turn.AddToWindow(kClosing, value, std::stoll(rest.substr(space)));
      turn.AddToWindow(kSession, value, std::stoll(rest.substr(space)));
    } else if (verb == "after") {
      std::istringstream parts(rest);
      int64_t after_ms = 0;
      std::string name, then;
      parts >> after_ms >> name;
      std::getline(parts, then, ';');
      turn.SetTimer(name, after_ms, then);
    } else if (verb == "cancel") {
      turn.CancelTimer(rest);
    } else if (verb == "emit" || verb == "again") {
      std::string json;
      AppendJsonString(rest, json);
      turn.Emit(verb == "emit" ? "out" : "events", json);
    } else if (verb == "time") {
      turn.Emit("out", std::to_string(turn.now_ms()));
    } else if (verb == "count") {
      turn.Emit("out", std::to_string(turn.Int(kCount)));
    } else if (verb == "touch") {
      turn.Touch();
    } else if (verb == "delete") {
      turn.Delete();
    } else if (verb == "ttl") {
      turn.SetTtl(number());
    } else if (verb == "raise") {
      throw std::runtime_error(rest);
    } else if (verb == "reply") {
      turn.reply().clear();
      grid::TaggedWriter(turn.reply()).Text(rest);
    } else if (verb == "keys") {
      std::vector<std::string> keys;
      std::istringstream names(rest);
      for (std::string name; names >> name;) keys.push_back(name);
      grid::TaggedWriter out(turn.reply());
      out.List(keys.size());
      for (const std::string& key : keys) out.Text(key);
    } else if (!verb.empty()) {
      throw std::logic_error("no such verb: " + verb);
    }
  }
}

class ScriptedHost {
 public:
  explicit ScriptedHost(const std::function<void(grid::Catalog&)>& change = nullptr,
                        bool logged = true)
      : catalog_(MakeScriptedCatalog(change)) {
    auto host = std::make_unique<InlineHost>(catalog_);
    using grid::TurnKind;
    for (size_t i = 0; i < catalog_->functions.size(); ++i) {
      host->Define(ClassId(0), TurnKind::kFunction, i, [this, i](InlineTurn& turn) {
        log.push_back(catalog_->functions[i].name + " " +
                      std::to_string(std::max<size_t>(turn.events().size(), 1)));
        if (turn.events().empty()) return RunScript(turn, turn.event()->Bytes(1));
        for (const grid::EventRecord* event : turn.events()) RunScript(turn, event->Bytes(1));
      });
    }
    for (uint16_t i = 0; i < kScriptedClasses; ++i) {
      ClassId id(i);
      const grid::ClassSchema& c = catalog_->classes[i];
      for (size_t handler = 0; handler < c.handlers.size(); ++handler) {
        host->Define(id, TurnKind::kEvent, handler, [this](InlineTurn& turn) {
          log.push_back("event " + std::string(turn.key()));
          RunScript(turn, turn.event()->Bytes(1));
          if (failures > 0) --failures, throw std::runtime_error("not yet");
        });
        host->Define(id, TurnKind::kKeys, handler,
                     [](InlineTurn& turn) { RunScript(turn, turn.event()->Bytes(1)); });
      }
      for (size_t command = 0; command < c.commands.size(); ++command) {
        host->Define(id, TurnKind::kCall, command, [this](InlineTurn& turn) {
          log.push_back("call " + std::string(turn.key()));
          grid::TaggedWriter(turn.reply()).Int(turn.Int(kCount));
          grid::TaggedReader arguments(turn.arguments());
          arguments.Next();
          RunScript(turn, arguments.Next().bytes);
        });
      }
      for (const size_t field : {kClosing, kSession}) {
        host->Define(id, TurnKind::kClose, field, [this](InlineTurn& turn) {
          const grid::WindowView& closed = turn.closed();
          log.push_back("close " + std::string(turn.key()) + " " +
                        (turn.field() == kClosing ? "closing " : "session ") +
                        std::to_string(closed.start_ms) + " " + std::to_string(closed.end_ms) +
                        " " + std::to_string(closed.totals.count) + " " +
                        std::to_string(static_cast<int64_t>(closed.totals.int_sum)));
          RunScript(turn, on_close);
        });
      }
      host->Define(id, TurnKind::kTimer, 0, [this](InlineTurn& turn) {
        log.push_back("timer " + std::string(turn.key()) + " " + turn.timer().name);
        RunScript(turn, turn.timer().arguments);
      });
      host->Define(id, TurnKind::kCreate, 0, [this](InlineTurn& turn) {
        log.push_back("create " + std::string(turn.key()));
        RunScript(turn, on_create);
      });
      host->Define(id, TurnKind::kExpire, 0, [this](InlineTurn& turn) {
        log.push_back("expire " + std::string(turn.key()));
        RunScript(turn, on_expire);
      });
    }
    runner_ = std::make_unique<TurnRunner>(
        catalog_, std::move(host), TurnRunnerOptions{.counters = &counters, .logged = logged});
  }

  const std::shared_ptr<const grid::Catalog>& catalog() const { return catalog_; }
  grid::ComputeHost* get() { return runner_.get(); }

  std::string on_create;  // scripts
  std::string on_expire;
  std::string on_close;
  int failures = 0;  // so many turns of events raise at their end
  TurnCounters counters;
  std::vector<std::string> log;  // methods run: "event KEY", "expire KEY", ...

  std::vector<std::string> TakeLog() { return std::exchange(log, {}); }

 private:
  std::shared_ptr<const grid::Catalog> catalog_;
  std::unique_ptr<TurnRunner> runner_;
};

}  // namespace bettong::compute
