#include "tests/sim/points.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "base/simulation.h"

namespace bettong::simulation {
namespace {

std::string planted;
std::map<std::string, uint64_t>& Points() {
  static auto& points = *new std::map<std::string, uint64_t>;
  return points;
}

}  // namespace

bool Planted(const char* bug) { return planted == bug; }
void Sometimes(const char* point) { ++Points()[point]; }
void Plant(const char* bug) { planted = bug; }

void PrintPoints() {
  for (const auto& [point, times] : Points()) {
    std::printf("sometimes %s: %llu\n", point.c_str(), static_cast<unsigned long long>(times));
  }
}

}  // namespace bettong::simulation
