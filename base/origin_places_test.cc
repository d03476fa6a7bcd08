#include "base/origin_places.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

TEST(OriginPlaces, TellsWhereAMessageComesFrom) {
  OriginPlaces places;
  places.Set(7, R"("topic":"metrics","partition":3)");
  EXPECT_EQ(places.Find(7, 1), R"({"topic":"metrics","partition":3,"offset":0})");
  EXPECT_EQ(places.Find(7, 18), R"({"topic":"metrics","partition":3,"offset":17})");
}

TEST(OriginPlaces, KnowsNothingOfOthers) {
  OriginPlaces places;
  places.Set(7, R"("topic":"metrics","partition":3)");
  EXPECT_EQ(places.Find(8, 18), "");
  EXPECT_EQ(places.Find(0, 0), "");
}

TEST(OriginPlaces, ALaterNameStandsInThePlaceOfTheFirst) {
  OriginPlaces places;
  places.Set(7, R"("topic":"metrics")");
  places.Set(7, R"("topic":"samples")");
  EXPECT_EQ(places.Find(7, 2), R"({"topic":"samples","offset":1})");
}

}  // namespace
}  // namespace bettong
