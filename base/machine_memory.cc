#include "base/machine_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace bettong {

uint64_t MachineMemoryBytes(const std::string& cgroup_file) {
  const auto machine =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream in(cgroup_file);
  uint64_t limit = 0;
  // "max" where there is no limit.
  return in >> limit && limit > 0 ? std::min(machine, limit) : machine;
}

}  // namespace bettong
