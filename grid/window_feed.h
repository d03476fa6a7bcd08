// What the engine itself adds to a window: a value of each event that a handler takes, before the
// handler runs. Part of a handler's schema (catalog.h); no language runtime has a part in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "grid/containers/window.h"

namespace bettong::grid {

struct ClassSchema;
struct EventField;
struct EventRecord;
struct EventSchema;

inline constexpr int64_t kFeedScaleMax = 1'000'000'000'000;

struct WindowFeed {
  size_t window = 0;           // the field of the row
  std::optional<size_t> slot;  // the field of the event; none: events are counted
  // Above 0: numbers become exact integers, floor(value * scale + 0.5).
  int64_t scale = 0;

  // Set by Check: how the slot is read.
  enum class Source : uint8_t { kNothing, kInt, kFloat, kHashed };
  Source source = Source::kNothing;

  // Empty, or what is wrong with it for that class and event.
  std::string Check(const ClassSchema& entity_class, const EventSchema& event);
};

enum class FeedResult : uint8_t {
  kOk,         // added; or too late for the window, or null: there is no value
  kNotFinite,  // NaN or infinite
  kTooLarge,   // the integer has more than 64 bits
  kOverflow,   // as Window::Added has it, from here on
  kNoTime,
  kFull,
};

FeedResult FeedWindow(const WindowFeed& feed, const EventRecord& event, TimeMs at_ms,
                      TimeMs watermark_ms, Window& window, ContainerTurn& turn);

// The result in words, for people: "Host.cpu does not take Sample.value = 1e+300: ...".
std::string DescribeFeed(FeedResult result, const WindowFeed& feed, const ClassSchema& entity_class,
                         const EventSchema& event_schema, const EventRecord& event);

}  // namespace bettong::grid
