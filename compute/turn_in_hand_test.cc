#include "compute/turn_in_hand.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace bettong::compute {
namespace {

// Lives of a process on one page.
class TurnInHandTest : public testing::Test {
 protected:
  // A process that dies, in this turn or in none.
  void Die(uint64_t name) {
    TurnInHand life;
    life.Attach(page_);
    EXPECT_TRUE(life.Begin(name));
  }

  alignas(8) char page_[TurnInHand::kBytes] = {};
};

TEST_F(TurnInHandTest, TurnIsNotRunAfterTwoDeaths) {
  TurnInHand life;
  EXPECT_FALSE(life.Attach(page_));
  EXPECT_TRUE(life.Begin(7));
  TurnInHand second;
  EXPECT_TRUE(second.Attach(page_));
  EXPECT_EQ(second.suspects(), 1u);
  EXPECT_TRUE(second.IsSuspect(7));
  EXPECT_TRUE(second.Begin(7));
  TurnInHand third;
  EXPECT_TRUE(third.Attach(page_));
  EXPECT_FALSE(third.Begin(7));
  EXPECT_FALSE(third.Begin(7));
  EXPECT_TRUE(third.Begin(8));
  third.End(8);
  EXPECT_EQ(third.refused(), 2u);
  // Its letter may not be durable yet: it stays poison.
  TurnInHand fourth;
  EXPECT_FALSE(fourth.Attach(page_));
  EXPECT_FALSE(fourth.Begin(7));
}

TEST_F(TurnInHandTest, TurnThatEndsIsForgivenAndForgotten) {
  Die(7);
  Die(8);
  TurnInHand life;
  life.Attach(page_);
  EXPECT_EQ(life.suspects(), 2u);
  EXPECT_TRUE(life.Begin(7));
  life.End(7);
  EXPECT_EQ(life.suspects(), 1u);
  EXPECT_FALSE(life.IsSuspect(7));
  TurnInHand next;
  EXPECT_FALSE(next.Attach(page_));
  EXPECT_EQ(next.suspects(), 1u);
  EXPECT_TRUE(next.IsSuspect(8));
}

TEST_F(TurnInHandTest, ADeathInNoTurnOrInOneWithoutANameSuspectsNothing) {
  Die(kNoTurnName);
  TurnInHand life;
  EXPECT_FALSE(life.Attach(page_));
  EXPECT_EQ(life.suspects(), 0u);
  TurnInHand unattached;
  EXPECT_TRUE(unattached.Begin(7));
  unattached.End(7);
}

TEST_F(TurnInHandTest, CallsHaveAnotherChanceAfterEachStart) {
  const uint64_t call = kCallNameBit | 7;
  Die(call);
  Die(call);
  {
    TurnInHand life;
    EXPECT_TRUE(life.Attach(page_));
    EXPECT_FALSE(life.Begin(call));
  }
  Die(call);
  TurnInHand life;
  EXPECT_TRUE(life.Attach(page_));
  EXPECT_FALSE(life.Begin(call));
}

TEST_F(TurnInHandTest, TheOldestSuspectIsForgottenFirst) {
  for (uint64_t name = 1; name <= kSuspectsMax; ++name) Die(name);
  Die(1);  // again: it is the newest now
  Die(1000);
  TurnInHand life;
  life.Attach(page_);
  EXPECT_EQ(life.suspects(), kSuspectsMax);
  EXPECT_FALSE(life.IsSuspect(2));
  EXPECT_TRUE(life.IsSuspect(3));
  EXPECT_TRUE(life.IsSuspect(1000));
  EXPECT_FALSE(life.Begin(1));
}

TEST_F(TurnInHandTest, WhateverElseThePageHoldsItIsMadeNew) {
  for (const char fill : {'\xff', 'B'}) {
    std::memset(page_, fill, sizeof(page_));
    TurnInHand life;
    EXPECT_FALSE(life.Attach(page_));
    EXPECT_EQ(life.suspects(), 0u);
    EXPECT_TRUE(life.Begin(7));
  }
  TurnInHand life;
  EXPECT_TRUE(life.Attach(page_));
  // More suspects than there is room for.
  const uint32_t many = kSuspectsMax + 1;
  std::memcpy(page_ + 12, &many, sizeof(many));
  TurnInHand next;
  EXPECT_FALSE(next.Attach(page_));
  EXPECT_EQ(next.suspects(), 0u);
}

// The bytes of docs/log-format.md.
TEST_F(TurnInHandTest, GoldenBytes) {
  Die(0x0102030405060708);
  Die(0x0102030405060708);
  {
    TurnInHand life;
    life.Attach(page_);
    EXPECT_TRUE(life.Begin(9));
  }
  const std::string expected = std::string("BETTONGH\1\0\0\0\1\0\0\0", 16) +
                               std::string("\x09\0\0\0\0\0\0\0", 8) + std::string(40, '\0') +
                               std::string("\x08\7\6\5\4\3\2\1\2\0\0\0\0\0\0\0", 16);
  EXPECT_EQ(std::string(page_, expected.size()), expected);
  EXPECT_EQ(std::string(page_ + expected.size(), sizeof(page_) - expected.size()),
            std::string(sizeof(page_) - expected.size(), '\0'));
}

}  // namespace
}  // namespace bettong::compute
