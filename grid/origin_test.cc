#include "grid/origin.h"

#include <gtest/gtest.h>

#include "grid/catalog.h"

namespace bettong::grid {
namespace {

class HandlerTargetTest : public ::testing::Test {
 protected:
  uint64_t Target(size_t handler) { return HandlerTarget(class_, class_.handlers[handler]); }

  ClassSchema class_ = {.name = "Gauge",
                        .handlers = {{.stream = StreamId(0), .method = "read"},
                                     {.stream = StreamId(1), .method = "note"},
                                     {.stream = StreamId(0), .method = "late", .late = true},
                                     {.stream = StreamId(0), .method = "check"},
                                     {.stream = StreamId(0), .method = "later", .late = true},
                                     {.stream = StreamId(0), .method = "last", .late = true}}};
};

// An event that comes again after a crash may be late by then: its effect is the same one.
TEST_F(HandlerTargetTest, ALateHandlerHasThatOfTheHandlerOfItsStreamInWhosePlaceItStands) {
  EXPECT_EQ(Target(2), Target(0));
  EXPECT_EQ(Target(4), Target(3));
}

TEST_F(HandlerTargetTest, HandlersThatMayTakeTheSameEventHaveDifferentOnes) {
  EXPECT_NE(Target(0), Target(1));
  EXPECT_NE(Target(0), Target(3));
  EXPECT_NE(Target(2), Target(4));
  EXPECT_NE(Target(4), Target(5));
  EXPECT_NE(Target(5), Target(0));
}

TEST_F(HandlerTargetTest, ItGoesByNames) {
  const uint64_t before = Target(0);
  class_.handlers.insert(class_.handlers.begin(), {.stream = StreamId(0), .method = "another"});
  EXPECT_EQ(Target(1), before);
  class_.name = "Other";
  EXPECT_NE(Target(1), before);
}

TEST(FunctionTarget, ALateFunctionHasThatOfTheFunctionOfItsStreamInWhosePlaceItStands) {
  const Catalog catalog{.functions = {{.name = "other", .stream = StreamId(1)},
                                      {.name = "late", .stream = StreamId(0), .late = true},
                                      {.name = "take", .stream = StreamId(0)},
                                      {.name = "later", .stream = StreamId(0), .late = true}}};
  const auto target = [&](size_t i) { return FunctionTarget(catalog, catalog.functions[i]); };
  EXPECT_EQ(target(1), target(2));
  EXPECT_NE(target(0), target(2));
  EXPECT_NE(target(3), target(2));
}

}  // namespace
}  // namespace bettong::grid
