// What the native types (entity, array, stream) must know of the running turn. One per host; it is
// never freed, because user code may keep streams and stale entities as long as the process lives.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>
#include <optional>
#include <string>

#include "compute/turn_host.h"

namespace bettong::compute::python {

struct TurnState {
  TurnCall* call = nullptr;             // null between turns
  std::optional<int64_t> class_ttl_ms;  // of the entity whose turn it is
  unsigned long thread = 0;             // PyThread_get_thread_ident() of the lane
  PyObject* key = nullptr;              // self.key of this turn, made on first use
  std::string json;                     // scratch for emit, empty while none runs

  // Borrowed from the SDK, which stays imported.
  PyObject* stale_error = nullptr;
  PyObject* outside_error = nullptr;
  PyObject* timeout_error = nullptr;
  PyObject* class_name = nullptr;  // the str "__class__"

  bool InTurn() const { return call != nullptr && PyThread_get_thread_ident() == thread; }
};

}  // namespace bettong::compute::python
