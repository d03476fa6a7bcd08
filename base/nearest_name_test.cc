#include "base/nearest_name.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

TEST(NearestName, OnlySlipsAreTakenForNames) {
  constexpr std::string_view kNames[] = {"shards", "maxmemory", "listen"};
  EXPECT_EQ(NearestName("shard", kNames), "shards");
  EXPECT_EQ(NearestName("MaxMemry", kNames), "maxmemory");
  EXPECT_EQ(NearestName("lsiten", kNames), "listen");
  EXPECT_EQ(NearestName("password", kNames), std::nullopt);
  EXPECT_EQ(NearestName(std::string(1000, 'x'), kNames), std::nullopt);
  EXPECT_EQ(NearestName("shards", {}), std::nullopt);
}

}  // namespace
}  // namespace bettong
