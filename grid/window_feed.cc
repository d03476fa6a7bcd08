#include "grid/window_feed.h"

#include <absl/strings/str_cat.h>

#include <bit>
#include <cmath>

#include "base/number_text.h"
#include "grid/catalog.h"
#include "grid/event.h"

namespace bettong::grid {
namespace {

constexpr double kInt64Bound = 9223372036854775808.0;  // 2^63

// The value as an int or a float window has it.
FeedResult RawOf(const WindowFeed& feed, const EventRecord& event, bool is_float, uint64_t* raw) {
  if (feed.source == WindowFeed::Source::kNothing) {
    *raw = 0;
    return FeedResult::kOk;
  }
  if (feed.source == WindowFeed::Source::kHashed) {
    *raw = HashOfBytes(event.Bytes(*feed.slot));
    return FeedResult::kOk;
  }
  if (feed.source == WindowFeed::Source::kInt) {
    int64_t value = event.Int(*feed.slot);
    if (feed.scale > 0 && __builtin_mul_overflow(value, feed.scale, &value)) {
      return FeedResult::kTooLarge;
    }
    *raw = is_float ? std::bit_cast<uint64_t>(static_cast<double>(value))
                    : static_cast<uint64_t>(value);
    return FeedResult::kOk;
  }
  const double value = event.Float(*feed.slot);
  if (!std::isfinite(value)) return FeedResult::kNotFinite;
  if (is_float) {
    *raw = std::bit_cast<uint64_t>(value);
    return FeedResult::kOk;
  }
  const double scaled = std::floor(value * static_cast<double>(feed.scale) + 0.5);
  if (!(scaled >= -kInt64Bound && scaled < kInt64Bound)) return FeedResult::kTooLarge;
  *raw = static_cast<uint64_t>(static_cast<int64_t>(scaled));
  return FeedResult::kOk;
}

}  // namespace

std::string WindowFeed::Check(const ClassSchema& entity_class, const EventSchema& event) {
  const auto& fields = entity_class.row.fields;
  if (window >= fields.size() || fields[window].type != FieldType::kWindow) {
    return "only a window takes values of events";
  }
  const WindowSpec& spec = fields[window].window;
  const std::string what = fields[window].name + ": ";
  source = Source::kNothing;
  if (scale < 0 || scale > kFeedScaleMax) {
    return absl::StrCat(what, "a scale is 1 to ", kFeedScaleMax, ", not ", scale);
  }
  if (scale > 0 && spec.is_float) return what + "a scale makes ints, the window is of floats";
  if (!slot) return scale > 0 ? what + "a scale without a value" : "";
  if (*slot >= event.fields.size()) return what + "the event has no such field";
  const EventFieldType type = event.fields[*slot].type;
  if (spec.hashed != HashedValue::kNo) {
    if (scale > 0) return what + "a scale makes ints, the window is of texts or bytes";
    const bool fits = spec.hashed == HashedValue::kText ? type == EventFieldType::kText
                                                        : type == EventFieldType::kBytes;
    source = Source::kHashed;
    return fits ? ""
                : what + "the event's field '" + event.fields[*slot].name + "' is of another type";
  }
  switch (type) {
    case EventFieldType::kInt:
    case EventFieldType::kBool:
      source = Source::kInt;
      return "";
    case EventFieldType::kFloat:
      source = Source::kFloat;
      if (spec.is_float || scale > 0) return "";
      return what + "a window of ints takes floats with a scale only";
    case EventFieldType::kText:
    case EventFieldType::kBytes:
    case EventFieldType::kList:
    case EventFieldType::kObject:
    case EventFieldType::kAny:
      break;
  }
  return what + "the event's field '" + event.fields[*slot].name + "' is no number";
}

FeedResult FeedWindow(const WindowFeed& feed, const EventRecord& event, TimeMs at_ms,
                      TimeMs watermark_ms, Window& window, ContainerTurn& turn) {
  if (feed.slot && event.IsNull(*feed.slot)) return FeedResult::kOk;
  uint64_t raw = 0;
  const FeedResult result = RawOf(feed, event, window.spec().is_float, &raw);
  if (result != FeedResult::kOk) return result;
  switch (window.Add(raw, at_ms, watermark_ms, turn)) {
    case Window::Added::kYes:
    case Window::Added::kLate:
      return FeedResult::kOk;
    case Window::Added::kOverflow:
      return FeedResult::kOverflow;
    case Window::Added::kNoTime:
      return FeedResult::kNoTime;
    case Window::Added::kFull:
      return FeedResult::kFull;
  }
  return FeedResult::kOk;
}

std::string DescribeFeed(FeedResult result, const WindowFeed& feed, const ClassSchema& entity_class,
                         const EventSchema& event_schema, const EventRecord& event) {
  std::string text = absl::StrCat(entity_class.name, ".", entity_class.row.fields[feed.window].name,
                                  " does not take ", event_schema.name);
  if (feed.slot) {
    absl::StrAppend(&text, ".", event_schema.fields[*feed.slot].name, " = ");
    if (feed.source == WindowFeed::Source::kHashed) {
      absl::StrAppend(&text, "...");  // it may be long
    } else if (feed.source == WindowFeed::Source::kInt) {
      absl::StrAppend(&text, event.Int(*feed.slot));
    } else {
      AppendFloat(event.Float(*feed.slot), text);
    }
  }
  switch (result) {
    case FeedResult::kOk:
      break;
    case FeedResult::kNotFinite:
      return text + ": a window takes finite numbers";
    case FeedResult::kTooLarge:
      return absl::StrCat(text, ": times ", feed.scale, " it does not fit into 64 bits");
    case FeedResult::kOverflow:
      return text + ": the sum of the window's pane would not fit into 64 bits";
    case FeedResult::kNoTime:
      return text + ": the event's time is out of range";
    case FeedResult::kFull:
      return absl::StrCat(text, ": ", kOpenPanesMax,
                          " panes or sessions wait for the watermark already");
  }
  return text;
}

}  // namespace bettong::grid
