#include "protocol/stream_id.h"

#include <gtest/gtest.h>

namespace bettong::protocol {
namespace {

using grid::StreamEntryId;

TEST(StreamId, Parses) {
  EXPECT_EQ(ParseStreamId("5-3", 0), (StreamEntryId{5, 3}));
  EXPECT_EQ(ParseStreamId("5", 7), (StreamEntryId{5, 7}));
  EXPECT_EQ(ParseStreamId("+005-010", 0), (StreamEntryId{5, 10}));
  EXPECT_EQ(ParseStreamId("18446744073709551615-18446744073709551615", 0), grid::kStreamIdMax);
  for (const char* bad :
       {"", "-", "+", "5-", "-5", "a-1", "1-a", "1--1", "++1", "18446744073709551616", "1-2-3"}) {
    EXPECT_FALSE(ParseStreamId(bad, 0)) << bad;
  }
}

TEST(StreamId, NeighboursCarry) {
  EXPECT_EQ(NextStreamId({5, UINT64_MAX}), (StreamEntryId{6, 0}));
  EXPECT_EQ(PreviousStreamId({6, 0}), (StreamEntryId{5, UINT64_MAX}));
  EXPECT_FALSE(NextStreamId(grid::kStreamIdMax));
  EXPECT_FALSE(PreviousStreamId({0, 0}));
}

TEST(StreamId, BoundsMayBeExclusive) {
  EXPECT_TRUE(ParseStreamBound("(5-1", 0)->exclusive);
  EXPECT_EQ(ParseStreamBound("+", 0)->id, grid::kStreamIdMax);
  EXPECT_FALSE(ParseStreamBound("(+", 0));
}

TEST(StreamId, NewOnesMayBeLeftToTheServer) {
  EXPECT_TRUE(ParseNewStreamId("*")->auto_ms);
  EXPECT_TRUE(ParseNewStreamId("5-*")->auto_sequence);
  EXPECT_FALSE(ParseNewStreamId("5-*")->auto_ms);
  EXPECT_FALSE(ParseNewStreamId("x-*"));
}

}  // namespace
}  // namespace bettong::protocol
