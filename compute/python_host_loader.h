// Finds the user's interpreter and loads the Python host library for it. Process-wide: there is one
// Python in a process, and it stays until the process ends.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compute/python_host_api.h"

namespace bettong::compute {

// The interpreter that the options and the environment name, checked to be of the right version.
struct PythonChoice {
  std::string executable;
  std::string chosen_by;  // "--python", "VIRTUAL_ENV" or "default"
  std::string libpython;
  std::string sdk_directory;  // that holds the `bettong` package; empty: none beside the program
};
absl::StatusOr<PythonChoice> ChoosePython(const PythonOptions& options);

// Starts Python on the calling thread (which becomes its main thread) if that has not been done,
// and imports the apps. The calling thread is the only one that may use the host.
absl::StatusOr<PythonApps> LoadPythonApps(const std::vector<std::string>& paths,
                                          const PythonOptions& options);

// Of the Python that has been started; from any thread.
PythonMemoryUse MemoryOfPython();

// What `doctor` says about Python: one line an entry, failures included.
PythonInfo DescribePython(const PythonOptions& options);

}  // namespace bettong::compute
