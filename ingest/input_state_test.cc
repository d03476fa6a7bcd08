#include "ingest/input_state.h"

#include <gtest/gtest.h>

namespace bettong::ingest {
namespace {

TEST(InputStateTest, ComesBackFromTheLog) {
  for (const InputState& state :
       {InputState{}, InputState{.incarnation = 7, .durable = UINT64_MAX},
        InputState{.incarnation = 1, .durable = 12, .fingerprint = 0x1234567890abcdef}}) {
    EXPECT_EQ(InputState::Decode(state.Encode()), state);
  }
}

// As logs have it that were written before there were fingerprints.
TEST(InputStateTest, WithoutAFingerprintItIsWrittenAsItAlwaysWas) {
  const InputState state{.incarnation = 2, .durable = 3};
  EXPECT_EQ(state.Encode(), std::string("\1\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0", 17));
}

TEST(InputStateTest, WhatIsNoneIsRefused) {
  const std::string encoded = InputState{.incarnation = 2, .durable = 3, .fingerprint = 4}.Encode();
  for (size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_EQ(InputState::Decode(encoded.substr(0, size)), std::nullopt) << size;
  }
  EXPECT_EQ(InputState::Decode(encoded + "x"), std::nullopt);
  EXPECT_EQ(InputState::Decode("\3" + encoded.substr(1)), std::nullopt);
}

}  // namespace
}  // namespace bettong::ingest
