// What the engine and the Python host library (libbettong_py311.so) agree on. The engine does not
// link Python: it loads the interpreter the user chose, then this library, and calls it through one
// table of functions. Both are built together, so C++ types may cross.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log.h"
#include "compute/turn_host.h"
#include "grid/catalog.h"

namespace bettong::compute {

struct PythonOptions {
  // Path of the interpreter to be, or of its environment, or a name on the PATH: decides prefix and
  // site-packages. Empty: $VIRTUAL_ENV, else /usr/bin/python3.11.
  std::string executable;
  // Directory that holds the `bettong` package; empty: looked for beside the program and its
  // sources, else the interpreter's site-packages must have it.
  std::string sdk_directory;
  // Directory of the host library; empty: $BETTONG_LIB, else the program's own directory.
  std::string library_directory;
  // A turn that runs longer is interrupted and fails; 0: never.
  int64_t handler_timeout_ms = 1000;
  // A turn that still runs after this (stuck in C code, or catching HandlerTimeout) ends the
  // process with code 70. 0: ten times handler_timeout_ms.
  int64_t handler_hard_limit_ms = 0;
  // What Python may hold; beyond it the code that asks for more gets a MemoryError. 0: no limit.
  uint64_t memory_limit_bytes = 0;
  // The library has its own copy of base/log.
  LogFormat log_format = LogFormat::kAuto;
};

// What the apps declare, and the host that runs them. The host belongs to the thread that loaded
// it: Enter, Leave, Run and the destructor are called there.
struct PythonApps {
  std::unique_ptr<TurnHost> host;
  grid::Catalog catalog;
};

// Name and value, for `doctor`.
using PythonInfo = std::vector<std::pair<std::string, std::string>>;

// All zero: nothing is counted (no Python, or one with allocators of its own).
struct PythonMemoryUse {
  uint64_t held_bytes = 0;
  uint64_t limit_bytes = 0;  // 0: none
  uint64_t refused = 0;      // allocations that the limit has not let through
};

struct PythonHostApi {
  uint64_t build = 0;  // kPythonHostBuild, or the library is of another build

  // Starts the interpreter, once a process; later calls answer what the first did. The first
  // calling thread is Python's main thread.
  absl::Status (*start)(const PythonOptions& options) = nullptr;
  // Imports the apps on the calling thread. On failure the message carries Python's traceback.
  absl::StatusOr<PythonApps> (*load_apps)(const std::vector<std::string>& paths,
                                          const PythonOptions& options) = nullptr;
  absl::StatusOr<PythonInfo> (*info)() = nullptr;
  // From any thread, without the GIL.
  PythonMemoryUse (*memory)() = nullptr;
};

// Changes whenever a type above or in turn_host.h does.
inline constexpr uint64_t kPythonHostBuild = (uint64_t{5} << 32) | (sizeof(PythonOptions) << 20) |
                                             (sizeof(TurnCall) << 10) | sizeof(grid::ClassSchema);
inline constexpr const char* kPythonHostEntry = "bettong_python_host";
using PythonHostEntry = const PythonHostApi* (*)();

}  // namespace bettong::compute
