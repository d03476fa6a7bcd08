#include "grid/window_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "grid/catalog.h"
#include "grid/event.h"

namespace bettong::grid {
namespace {

using ::testing::HasSubstr;

constexpr size_t kInts = 0, kFloats = 1, kName = 2;          // fields of the class
constexpr size_t kCount = 0, kLoad = 1, kHost = 2, kUp = 3;  // fields of the event

class WindowFeedTest : public ::testing::Test {
 protected:
  WindowFeedTest() {
    const WindowSpec ints = {.is_float = false, .keeps = kKeepAll, .size_ms = 20, .pane_ms = 10};
    const WindowSpec floats = {.size_ms = 20, .pane_ms = 10};
    class_.name = "Host";
    class_.row.fields = {{.name = "ints", .type = FieldType::kWindow, .window = ints},
                         {.name = "floats", .type = FieldType::kWindow, .window = floats},
                         {.name = "name", .type = FieldType::kText}};
    event_ = {.name = "Sample",
              .fields = {{.name = "count", .type = EventFieldType::kInt, .optional = true},
                         {.name = "load", .type = EventFieldType::kFloat},
                         {.name = "host", .type = EventFieldType::kText},
                         {.name = "up", .type = EventFieldType::kBool}}};
    EXPECT_EQ(class_.row.Finish(), "");
  }

  std::string Check(WindowFeed feed) { return feed.Check(class_, event_); }
  // What the window holds after one such event, as text; or why it does not take it.
  std::string Feed(WindowFeed feed, int64_t count, double load, bool null = false) {
    EXPECT_EQ(Check(feed), "");
    feed.Check(class_, event_);
    ByteBuffer buffer;
    EventRecordBuilder builder(buffer, StreamId(0), event_.fields.size());
    null ? builder.SetNull(kCount) : builder.SetInt(kCount, count);
    builder.SetFloat(kLoad, load), builder.SetBytes(kHost, "a"), builder.SetBool(kUp, true);
    builder.Finish();
    const auto& event = *reinterpret_cast<const EventRecord*>(buffer.data());
    const auto window = Window::Make(*class_.row.fields[feed.window].shape);
    ContainerTurn turn;
    const FeedResult result = FeedWindow(feed, event, /*at_ms=*/5, kNoTime, *window, turn);
    if (result != FeedResult::kOk) {
      EXPECT_FALSE(turn.changed());
      return DescribeFeed(result, feed, class_, event_, event);
    }
    std::string json;
    window->AppendJson(json);
    const WindowTotals totals = window->Current().totals;
    if (totals.count == 0) return "nothing";
    return window->spec().is_float ? std::to_string(totals.float_sum)
                                   : std::to_string(static_cast<int64_t>(totals.int_sum));
  }

  ClassSchema class_;
  EventSchema event_;
};

TEST_F(WindowFeedTest, TakesNumbersAsTheyAre) {
  EXPECT_EQ(Feed({.window = kInts, .slot = kCount}, -7, 0), "-7");
  EXPECT_EQ(Feed({.window = kInts, .slot = kUp}, 0, 0), "1");
  EXPECT_EQ(Feed({.window = kFloats, .slot = kCount}, 7, 0), "7.000000");
  EXPECT_EQ(Feed({.window = kFloats, .slot = kLoad}, 0, -0.25), "-0.250000");
}

TEST_F(WindowFeedTest, NullIsNoValueAndAnEventByItselfIsOne) {
  EXPECT_EQ(Feed({.window = kInts, .slot = kCount}, 0, 0, /*null=*/true), "nothing");
  EXPECT_EQ(Feed({.window = kInts}, 0, 0, /*null=*/true), "0");
}

TEST_F(WindowFeedTest, AScaleMakesTheNearestIntegerHalvesUpwards) {
  const auto scaled = [&](double load, int64_t scale) {
    return Feed({.window = kInts, .slot = kLoad, .scale = scale}, 0, load);
  };
  EXPECT_EQ(scaled(57.3, 10), "573");
  EXPECT_EQ(scaled(0.249, 10), "2");
  EXPECT_EQ(scaled(0.25, 10), "3");
  EXPECT_EQ(scaled(-0.25, 10), "-2");
  EXPECT_EQ(scaled(-0.3, 10), "-3");
  EXPECT_EQ(scaled(-57.3, 10), "-573");
  EXPECT_EQ(scaled(-0.04, 10), "0");
  EXPECT_EQ(scaled(1e6, kFeedScaleMax), "1000000000000000000");
  EXPECT_EQ(Feed({.window = kInts, .slot = kCount, .scale = 100}, -3, 0), "-300");
}

TEST_F(WindowFeedTest, WhatDoesNotFitIsNotTaken) {
  const WindowFeed scaled = {.window = kInts, .slot = kLoad, .scale = 10};
  // The double below 2^63, and the next one.
  const double fits = std::nextafter(9223372036854775808.0, 0);
  EXPECT_EQ(Feed({.window = kInts, .slot = kLoad, .scale = 1}, 0, fits), "9223372036854774784");
  EXPECT_THAT(Feed({.window = kInts, .slot = kLoad, .scale = 1}, 0, 9223372036854775808.0),
              HasSubstr("64 bits"));
  EXPECT_EQ(Feed({.window = kInts, .slot = kLoad, .scale = 1}, 0, -9223372036854775808.0),
            "-9223372036854775808");
  EXPECT_EQ(Feed(scaled, 0, 1e300),
            "Host.ints does not take Sample.load = 1e+300: times 10 it does not fit into 64 bits");
  EXPECT_THAT(Feed(scaled, 0, std::numeric_limits<double>::quiet_NaN()),
              HasSubstr("a window takes finite numbers"));
  EXPECT_THAT(Feed({.window = kFloats, .slot = kLoad}, 0, -std::numeric_limits<double>::infinity()),
              HasSubstr("a window takes finite numbers"));
  EXPECT_EQ(Feed({.window = kInts, .slot = kCount, .scale = 10}, INT64_MAX / 10, 0),
            "9223372036854775800");
  EXPECT_EQ(
      Feed({.window = kInts, .slot = kCount, .scale = 10}, INT64_MAX / 10 + 1, 0),
      "Host.ints does not take Sample.count = 922337203685477581: times 10 it does not fit into "
      "64 bits");
}

TEST_F(WindowFeedTest, WhatMakesNoSenseIsRefused) {
  EXPECT_EQ(Check({.window = kName, .slot = kCount}), "only a window takes values of events");
  EXPECT_EQ(Check({.window = 3}), "only a window takes values of events");
  EXPECT_EQ(Check({.window = kInts, .slot = 4}), "ints: the event has no such field");
  EXPECT_EQ(Check({.window = kInts, .slot = kHost}), "ints: the event's field 'host' is no number");
  EXPECT_EQ(Check({.window = kInts, .slot = kLoad}),
            "ints: a window of ints takes floats with a scale only");
  EXPECT_EQ(Check({.window = kFloats, .slot = kLoad, .scale = 10}),
            "floats: a scale makes ints, the window is of floats");
  EXPECT_EQ(Check({.window = kInts, .scale = 1}), "ints: a scale without a value");
  EXPECT_EQ(Check({.window = kInts, .slot = kLoad, .scale = -1}),
            "ints: a scale is 1 to 1000000000000, not -1");
  EXPECT_EQ(Check({.window = kInts, .slot = kLoad, .scale = kFeedScaleMax}), "");
  EXPECT_EQ(Check({.window = kInts, .slot = kLoad, .scale = kFeedScaleMax + 1}),
            "ints: a scale is 1 to 1000000000000, not 1000000000001");
}

}  // namespace
}  // namespace bettong::grid
