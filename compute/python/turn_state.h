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
  PyObject* instance = nullptr;         // the entity whose turn it is, borrowed
  unsigned long thread = 0;             // PyThread_get_thread_ident() of the lane
  const void* lane = nullptr;           // the same thread, as OnLane tells it
  PyObject* key = nullptr;              // self.key of this turn, made on first use
  std::string json;                     // scratch for emit, empty while none runs

  // Borrowed from the SDK, which stays imported.
  PyObject* stale_error = nullptr;
  PyObject* outside_error = nullptr;
  PyObject* timeout_error = nullptr;
  PyObject* class_name = nullptr;  // the str "__class__"

  // Whether this is the thread that turns run on. Fields' handles ask it with every use.
  bool OnLane() const { return __builtin_thread_pointer() == lane; }
  void RaiseOffLane() const {
    PyErr_SetString(outside_error,
                    "a field of an entity was used on another thread than its turn runs on; give "
                    "threads a copy: list(), dict(), tolist()");
  }
  bool InTurn() const { return call != nullptr && OnLane(); }
};

}  // namespace bettong::compute::python
