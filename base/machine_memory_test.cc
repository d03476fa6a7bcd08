#include "base/machine_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace bettong {
namespace {

uint64_t WithLimit(const std::string& text) {
  const std::string path = testing::TempDir() + "memory.max";
  std::ofstream(path) << text;
  const uint64_t bytes = MachineMemoryBytes(path);
  std::filesystem::remove(path);
  return bytes;
}

TEST(MachineMemory, IsTheLessOfTheMachinesAndTheContainers) {
  const uint64_t machine = MachineMemoryBytes("/no/such/file");
  EXPECT_GT(machine, 64u << 20);
  EXPECT_EQ(WithLimit("1048576\n"), 1u << 20);
  EXPECT_EQ(WithLimit("max\n"), machine);
  EXPECT_EQ(WithLimit("9223372036854771712\n"), machine);
  EXPECT_EQ(WithLimit("18446744073709551616\n"), machine);
  EXPECT_EQ(WithLimit(""), machine);
}

}  // namespace
}  // namespace bettong
