// How many seeds a property test runs.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace bettong::wal {

// More of the same: BETTONG_TEST_SEEDS=100000 build/release/test/wal_test
// --gtest_filter=Corruption.*
inline uint64_t Seeds(uint64_t usual) {
  const char* given = std::getenv("BETTONG_TEST_SEEDS");
  return given == nullptr ? usual : std::strtoull(given, nullptr, 10);
}

}  // namespace bettong::wal
