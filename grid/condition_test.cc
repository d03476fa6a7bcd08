#include "grid/condition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "grid/condition_testing.h"

namespace bettong::grid::condition_testing {
namespace {

TEST_F(ConditionTest, ReadsTheEventTheEntityAndItsKey) {
  Put({.n = -7,
       .x = 0.5,
       .up = true,
       .name = "a name that is long",
       .maybe = 3,
       .count = 4,
       .load = -2.5,
       .host = "web-01",
       .flag = false,
       .sure = true,
       .key = "k\xff"});
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kN), Int(-7)));
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kX), Float(0.5)));
  EXPECT_TRUE(Holds(Field(kUp)));
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kName), Text("a name that is long")));
  EXPECT_TRUE(Holds(Kind::kEqual, Field(kMaybe), Int(3)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kCount), Int(4)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kLoad), Float(-2.5)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kHost), Text("web-01")));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kFlag), Bool(false)));
  EXPECT_TRUE(Holds(Event(kSure)));
  EXPECT_TRUE(Holds(Kind::kEqual, Key(), Text("k\xff")));
  EXPECT_FALSE(Holds(Kind::kEqual, Key(), Event(kHost)));
  EXPECT_TRUE(Holds(Kind::kNotEqual, Key(), Field(kName)));
}

TEST_F(ConditionTest, ReadsWhatWindowsKeep) {
  Put({.ints = {5, -3, 7}, .floats = {0.5, 2}});
  const auto is = [&](size_t window, WindowPart part, Tree value) {
    return Holds(Kind::kEqual, Of(window, part), std::move(value));
  };
  EXPECT_TRUE(is(kInts, WindowPart::kCount, Int(3)));
  EXPECT_TRUE(is(kInts, WindowPart::kSum, Int(9)));
  EXPECT_TRUE(is(kInts, WindowPart::kMean, Float(3)));
  EXPECT_TRUE(is(kInts, WindowPart::kMin, Int(-3)));
  EXPECT_TRUE(is(kInts, WindowPart::kMax, Int(7)));
  EXPECT_TRUE(is(kInts, WindowPart::kFirst, Int(5)));
  EXPECT_TRUE(is(kInts, WindowPart::kLast, Int(7)));
  EXPECT_TRUE(is(kInts, WindowPart::kStart, Int(-2000)));
  EXPECT_TRUE(is(kInts, WindowPart::kEnd, Int(1000)));
  EXPECT_TRUE(is(kFloats, WindowPart::kSum, Float(2.5)));
  EXPECT_TRUE(is(kFloats, WindowPart::kMean, Float(1.25)));
  EXPECT_TRUE(is(kFloats, WindowPart::kMax, Int(2)));
  EXPECT_TRUE(is(kFloats, WindowPart::kVariance, Float(0.5625)));
  EXPECT_TRUE(is(kBare, WindowPart::kCount, Int(0)));
  EXPECT_TRUE(Holds(Kind::kLess, Of(kFloats, WindowPart::kMean), Of(kInts, WindowPart::kMean)));
}

TEST_F(ConditionTest, OfAnEmptyWindowThereIsACountAndASum) {
  Put({});
  for (const size_t window : {kInts, kFloats}) {
    for (const WindowPart part : {WindowPart::kCount, WindowPart::kSum}) {
      EXPECT_TRUE(Holds(Kind::kEqual, Of(window, part), Int(0)));
    }
    for (int part = static_cast<int>(WindowPart::kMean); part <= static_cast<int>(WindowPart::kEnd);
         ++part) {
      EXPECT_TRUE(Holds(Kind::kEqual, Of(window, static_cast<WindowPart>(part)), None())) << part;
    }
  }
}

TEST_F(ConditionTest, NoneEqualsNoneAndHasNoOrder) {
  Put({});
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kCount), None()));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kCount), Field(kMaybe)));
  EXPECT_FALSE(Holds(Kind::kEqual, Event(kCount), Int(0)));
  EXPECT_TRUE(Holds(Kind::kNotEqual, Event(kCount), Int(0)));
  EXPECT_TRUE(Holds(Kind::kEqual, Event(kHost), None()));
  EXPECT_FALSE(Holds(Kind::kEqual, Event(kHost), Text("")));
  for (const Kind kind : {Kind::kLess, Kind::kLessEqual, Kind::kGreater, Kind::kGreaterEqual}) {
    EXPECT_FALSE(Holds(kind, Event(kCount), Int(0)));
    EXPECT_FALSE(Holds(kind, Int(0), Event(kCount)));
    EXPECT_FALSE(Holds(kind, Event(kCount), Field(kMaybe)));
  }
  for (const Kind kind : {Kind::kAdd, Kind::kSubtract, Kind::kMultiply}) {
    EXPECT_TRUE(Holds(Kind::kEqual, Do(kind, Event(kCount), Float(1)), None()));
  }
  EXPECT_TRUE(Holds(Kind::kEqual, Do(Kind::kNegate, Event(kCount)), None()));
}

TEST_F(ConditionTest, AnIntAndAFloatCompareByTheirExactValues) {
  constexpr int64_t k53 = int64_t{1} << 53;
  Put({.n = k53 + 1, .x = static_cast<double>(k53)});
  EXPECT_TRUE(Holds(Kind::kGreater, Field(kN), Field(kX)));
  EXPECT_FALSE(Holds(Kind::kEqual, Field(kN), Field(kX)));
  EXPECT_TRUE(Holds(Kind::kLess, Field(kX), Field(kN)));
  Put({.n = INT64_MAX, .x = 9223372036854775808.0});
  EXPECT_TRUE(Holds(Kind::kLess, Field(kN), Field(kX)));
  EXPECT_TRUE(Holds(Kind::kEqual, Do(Kind::kAdd, Field(kN), Int(1)), Field(kX)));
  Put({.n = -3, .x = -2.5});
  EXPECT_TRUE(Holds(Kind::kLess, Field(kN), Field(kX)));
  EXPECT_TRUE(Holds(Kind::kGreater, Int(-2), Field(kX)));
  for (const double infinite : {1e300, std::numeric_limits<double>::infinity()}) {
    Put({.n = INT64_MIN, .x = infinite});
    EXPECT_TRUE(Holds(Kind::kLess, Field(kN), Field(kX)));
    EXPECT_TRUE(Holds(Kind::kGreater, Field(kN), Do(Kind::kNegate, Field(kX))));
  }
  Put({.x = std::numeric_limits<double>::quiet_NaN()});
  for (const Kind kind :
       {Kind::kLess, Kind::kLessEqual, Kind::kGreater, Kind::kGreaterEqual, Kind::kEqual}) {
    EXPECT_FALSE(Holds(kind, Field(kX), Field(kX)));
    EXPECT_FALSE(Holds(kind, Int(0), Field(kX)));
    EXPECT_FALSE(Holds(kind, Field(kX), Int(0)));
  }
  EXPECT_TRUE(Holds(Kind::kNotEqual, Field(kX), Field(kX)));
}

// 2^126, of an n of -2^63.
Tree Square() { return Do(Kind::kMultiply, Field(kN), Field(kN)); }

TEST_F(ConditionTest, IntsHave128Bits) {
  Put({.n = INT64_MIN, .up = true});
  const Tree almost = Do(Kind::kAdd, Square(), Do(Kind::kSubtract, Square(), Int(1)));
  EXPECT_TRUE(Holds(Kind::kGreater, almost, Float(0x1p126)));
  EXPECT_EQ(Evaluate(Do(Kind::kGreater, Do(Kind::kAdd, Square(), Square()), Int(0))),
            ConditionResult::kOverflow);
  const Tree least = Do(Kind::kSubtract, Do(Kind::kNegate, Square()), Square());
  EXPECT_TRUE(Holds(Kind::kEqual, least, Float(-0x1p127)));
  EXPECT_EQ(Evaluate(Do(Kind::kLess, Do(Kind::kNegate, least), Int(0))),
            ConditionResult::kOverflow);
  EXPECT_EQ(Evaluate(Do(Kind::kLess, Do(Kind::kMultiply, Square(), Int(-3)), Int(0))),
            ConditionResult::kOverflow);
}

TEST_F(ConditionTest, WhatTheFirstOperandDecidesLeavesTheSecondAlone) {
  Put({.n = INT64_MIN, .up = true});
  const Tree fails = Do(Kind::kGreater, Do(Kind::kAdd, Square(), Square()), Int(0));
  const Tree no = Do(Kind::kEqual, Field(kUp), Bool(false));
  EXPECT_FALSE(Holds(Kind::kAnd, no, fails));
  EXPECT_TRUE(Holds(Kind::kOr, Field(kUp), fails));
  EXPECT_EQ(Evaluate(Do(Kind::kAnd, Field(kUp), fails)), ConditionResult::kOverflow);
  EXPECT_EQ(Evaluate(Do(Kind::kOr, no, fails)), ConditionResult::kOverflow);
  EXPECT_EQ(Evaluate(Do(Kind::kAnd, fails, no)), ConditionResult::kOverflow);
  EXPECT_TRUE(Holds(Kind::kOr, Do(Kind::kAnd, no, fails), Field(kUp)));
  EXPECT_FALSE(Holds(Kind::kAnd, Do(Kind::kOr, Field(kUp), fails), no));
}

TEST_F(ConditionTest, WhatMakesNoSenseIsRefused) {
  const auto compared = [&](Tree tree) { return Check(Do(Kind::kEqual, std::move(tree), Int(1))); };
  EXPECT_EQ(compared(Field(kBlob)), "reads the field 'blob', which is no number and no text");
  EXPECT_EQ(compared(Field(kInts)), "reads the field 'ints', which is no number and no text");
  EXPECT_EQ(compared(Field(9)), "reads a field that the class does not have");
  EXPECT_EQ(compared(Event(kTags)),
            "reads the event's field 'tags', which is no number and no text");
  EXPECT_EQ(compared(Event(6)), "reads a field that the event does not have");
  EXPECT_EQ(compared(Of(kN, WindowPart::kCount)), "reads the count of what is no window");
  EXPECT_EQ(compared(Of(9, WindowPart::kEnd)), "reads the end of what is no window");
  for (int part = static_cast<int>(WindowPart::kSum);
       part <= static_cast<int>(WindowPart::kVariance); ++part) {
    EXPECT_THAT(compared(Of(kBare, static_cast<WindowPart>(part))),
                ::testing::HasSubstr("of 'bare', which does not keep it"));
    EXPECT_EQ(compared(Of(kInts, static_cast<WindowPart>(part))), "");
  }
  EXPECT_EQ(compared(Key()), "compares a text with a number");
  EXPECT_EQ(Check(Do(Kind::kLess, Key(), Text("b"))), "asks for the order of what is no number");
  EXPECT_EQ(Check(Do(Kind::kLess, Field(kN), None())), "asks for the order of what is no number");
  EXPECT_EQ(compared(Do(Kind::kAdd, Key(), Text("b"))), "computes with what is no number");
  EXPECT_EQ(Check(Do(Kind::kAnd, Field(kUp), Field(kN))),
            "has & or | between what are no comparisons, nor bools");
  EXPECT_EQ(Check(Do(Kind::kOr, Event(kFlag), Field(kUp))),
            "has & or | between what are no comparisons, nor bools");
  EXPECT_EQ(Check(Field(kN)), "is no comparison, nor a bool");
  EXPECT_EQ(Check(Event(kFlag)), "is no comparison, nor a bool");
  EXPECT_EQ(Check(Event(kSure)), "");
  EXPECT_EQ(Check(Do(Kind::kLess, Int(1), Int(2))), "reads nothing, and is always the same");
  EXPECT_EQ(Check({{.kind = Kind::kLess}, {Field(kN)}}), "lacks an operand");
  EXPECT_EQ(Check({{.kind = Kind::kNegate}, {Field(kN), Field(kUp)}}), "lacks an operator");
}

TEST_F(ConditionTest, HasSoManyTermsAndNoMore) {
  // n == n & n == n & ...: four terms more each.
  Tree tree = Do(Kind::kEqual, Field(kN), Field(kN));
  for (size_t terms = 3; terms + 4 < kConditionTermsMax; terms += 4) {
    tree = Do(Kind::kAnd, std::move(tree), Do(Kind::kEqual, Field(kN), Field(kN)));
  }
  Put({});
  Tree full = tree;
  full.of[1].of[1] = Do(Kind::kNegate, Field(kN));
  EXPECT_TRUE(Holds(full));  // 256
  full.of[1].of[0] = Do(Kind::kNegate, Field(kN));
  EXPECT_EQ(Check(full), "has up to 256 operands and operators, not 257");
}

TEST_F(ConditionTest, HasSoManyOperandsThatWaitAndNoMore) {
  const auto nested = [](size_t depth) {  // 1 + (1 + (1 + ... n))
    Tree tree = Field(kN);
    for (size_t i = 1; i + 1 < depth; ++i) tree = Do(Kind::kAdd, Int(1), std::move(tree));
    return Do(Kind::kEqual, Int(30), std::move(tree));
  };
  Put({});
  EXPECT_TRUE(Holds(nested(kConditionDepthMax)));
  EXPECT_EQ(Check(nested(kConditionDepthMax + 1)),
            "has more than 32 operands that wait for an operator at once");
  // The first operand of & and | does not wait.
  Tree chain = Field(kUp);
  for (size_t i = 0; i < 2 * kConditionDepthMax; ++i) {
    chain = Do(i % 2 == 0 ? Kind::kAnd : Kind::kOr, Event(kSure), std::move(chain));
  }
  EXPECT_FALSE(Holds(chain));
}

}  // namespace
}  // namespace bettong::grid::condition_testing
