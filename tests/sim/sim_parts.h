// What the parts of the simulated app (sim_app.h) share: how they declare their streams and
// classes, and what is looked at when a schedule is over.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compute/inline_host.h"
#include "grid/catalog.h"

namespace bettong::sim {

// Dead letters: a piece of its text -> how many.
using Letters = std::map<std::string, int64_t>;

// A line of the sink, as a part of the app has emitted it.
struct OutputLine {
  std::string text;
  std::map<std::string, int64_t, std::less<>> ints;
  std::map<std::string, std::string, std::less<>> texts;

  bool Has(std::string_view name) const { return ints.contains(name) || texts.contains(name); }
  // -1, or empty: there is none of that name.
  int64_t Int(std::string_view name) const;
  std::string_view Text(std::string_view name) const;
};
using OutputLines = std::vector<OutputLine>;

// Of an entity in the end: its numbers, those of an array one by one; for what may become due the
// time when it does, or kNeverExpires.
using Rows = std::map<std::string, std::vector<int64_t>, std::less<>>;

grid::EventField Field(const char* name, grid::EventFieldType type);
// A stream whose events are this; `time_field` -1: they carry no time.
grid::StreamSchema& AddStream(grid::Catalog& catalog, const char* name,
                              std::vector<grid::EventField> fields, int time_field = -1);
grid::ClassSchema& AddClass(grid::Catalog& catalog, const char* name);
// Handles the stream's events by their first field.
grid::HandlerSchema& AddHandler(const grid::Catalog& catalog, grid::ClassSchema& entity_class,
                                std::string_view stream, const char* method);
grid::FailurePolicy RetryPolicy(uint16_t retries_max, uint32_t backoff_ms);

// Emits a complaint: something that cannot be.
void Bad(compute::InlineTurn& turn, const std::string& what);
// Calls use(event) for each event of the turn.
template <typename Use>
void ForEachEvent(const compute::InlineTurn& turn, const Use& use) {
  if (turn.events().empty()) return use(*turn.event());
  for (const grid::EventRecord* event : turn.events()) use(*event);
}

// What a process has tried, so that some turns fail at first: a fault that passes.
class FirstTries {
 public:
  explicit FirstTries(int count = 1) : count_(count) {}

  // Whether it has not been tried so often yet. Is tried with that.
  bool Fails(std::string_view key, int64_t n) {
    return ++(*tried_)[{std::string(key), n}] <= count_;
  }

 private:
  int count_;
  std::shared_ptr<std::map<std::pair<std::string, int64_t>, int>> tried_ =
      std::make_shared<std::map<std::pair<std::string, int64_t>, int>>();
};

}  // namespace bettong::sim
