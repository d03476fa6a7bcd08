// BETTONG_CHECK: a bug crashes, in release too, with the place and the condition.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace bettong {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace bettong

#define BETTONG_CHECK(condition)                \
  (__builtin_expect(!!(condition), 1) ? (void)0 \
                                      : ::bettong::CheckFailed(#condition, __FILE__, __LINE__))
