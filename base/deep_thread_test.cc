#include "base/deep_thread.h"

#include <gtest/gtest.h>

namespace bettong {
namespace {

constexpr size_t kMiB = 1 << 20;

TEST(DeepThread, HasTheStackThatWasAskedFor) {
  size_t stack_bytes = 0;
  int volatile touched = 0;
  DeepThread thread(64 * kMiB, [&] {
    stack_bytes = ThreadStackBytes();
    char volatile deep[40 * kMiB];
    deep[0] = 1;
    touched = deep[0];
  });
  EXPECT_TRUE(thread.joinable());
  thread.join();
  EXPECT_FALSE(thread.joinable());
  EXPECT_GE(stack_bytes, 64 * kMiB);
  EXPECT_LT(stack_bytes, 80 * kMiB);
  EXPECT_EQ(touched, 1);
}

TEST(DeepThread, RunsWithTheUsualStackWhereThereIsNoRoom) {
  size_t stack_bytes = 0;
  DeepThread thread(size_t{1} << 50, [&] { stack_bytes = ThreadStackBytes(); });
  thread.join();
  EXPECT_GT(stack_bytes, 0u);
  EXPECT_LT(stack_bytes, size_t{1} << 40);
}

}  // namespace
}  // namespace bettong
