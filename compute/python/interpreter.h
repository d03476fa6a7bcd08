// The process's Python: started once, never ended (extension modules do not survive that), used by
// any number of hosts one after another.
#pragma once

#include "compute/python/ref.h"

#include <string>
#include <vector>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compute/python/turn_state.h"
#include "compute/python_host_api.h"
#include "compute/turn_host.h"

namespace bettong::compute::python {

// Starts Python on this thread, which becomes its main thread; the GIL is free afterwards.
absl::Status StartInterpreter(const PythonOptions& options);

// This thread's Python thread state, made on first use, with the GIL free.
PyThreadState* ThreadState();

// Holds the GIL in a scope, on a thread with a ThreadState.
class GilScope {
 public:
  GilScope() { PyEval_RestoreThread(ThreadState()); }
  ~GilScope() { PyEval_SaveThread(); }
  GilScope(const GilScope&) = delete;
  GilScope& operator=(const GilScope&) = delete;
};

// The current exception in words, cleared: "ZeroDivisionError: division by zero" and the traceback
// as Python prints it. Runs user code (__str__).
TurnError TakeError();

// The files as Python names them; null and an exception.
Ref PathList(const std::vector<std::string>& paths);

// Calls bettong._host.<function>(argument...); null and an exception.
Ref CallSdk(const char* function, PyObject* argument = nullptr);

}  // namespace bettong::compute::python
