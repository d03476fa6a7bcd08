// How much memory this process may hope for.
#pragma once

#include <cstdint>
#include <string>

namespace bettong {

// The machine's memory, or what the control group of the process may have (a container's limit), if
// that is less. `cgroup_file`: memory.max of control groups version 2; without one the machine's.
uint64_t MachineMemoryBytes(const std::string& cgroup_file = "/sys/fs/cgroup/memory.max");

}  // namespace bettong
