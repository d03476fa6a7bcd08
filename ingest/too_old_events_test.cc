#include "ingest/too_old_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bettong::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

class TooOldEventsTest : public ::testing::Test {
 protected:
  static grid::Catalog Streams() {
    grid::Catalog catalog;
    catalog.streams = {
        {.name = "a", .max_age_ms = 1500}, {.name = "b"}, {.name = "c", .max_age_ms = 1}};
    return catalog;
  }

  std::vector<std::string> said;
  TooOldEvents events{Streams(), [this](std::string_view line) { said.emplace_back(line); }};
  const StreamId a{0}, c{2};
};

TEST_F(TooOldEventsTest, CountsByStreamOfThoseWithAMaxAge) {
  events.Add(a, 3, 2000, 10);
  events.Add(a, 4, 2000, 20);
  EXPECT_THAT(events.Counts(), ElementsAre(Pair("a", 7u), Pair("c", 0u)));
  EXPECT_THAT(events.InfoLines(),
              ElementsAre(Pair("stream_a_too_old", "7"), Pair("stream_c_too_old", "0")));
}

TEST_F(TooOldEventsTest, ABurstIsSaidOnce) {
  for (int i = 0; i < 100; ++i) events.Add(a, 1, 2500 + i, 1000 + i * (kTooOldQuietMs - 1));
  EXPECT_THAT(said, ElementsAre("stream a: events older than max_age (1.5 s) come in and are "
                                "dropped, the first ones up to 2.5 s old; "
                                "bettong_events_too_old_total counts them"));
}

TEST_F(TooOldEventsTest, TheNextBurstAndAnotherStreamsAreSaidAgain) {
  events.Add(a, 5, 2000, 1000);
  events.Add(c, 1, 2000, 1001);
  events.Add(a, 1, 2000, 1000 + kTooOldQuietMs - 1);
  EXPECT_THAT(said, SizeIs(2));
  events.Add(a, 1, 2000, 1000 + 2 * kTooOldQuietMs - 1);
  ASSERT_THAT(said, SizeIs(3));
  EXPECT_THAT(said[2], HasSubstr("s old; 6 before; "));
}

}  // namespace
}  // namespace bettong::ingest
