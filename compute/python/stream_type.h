// StreamBase: the native base of the SDK's Stream, for emit().
#pragma once

#include "compute/python/ref.h"

#include "base/ids.h"

namespace bettong::compute::python {

struct TurnState;

struct StreamObject {
  PyObject_HEAD PyObject* name;
  PyObject* event;  // event class or None
  TurnState* turn;  // null until bound by a host
  StreamId stream;
};

extern PyType_Spec kStreamBaseSpec;

}  // namespace bettong::compute::python
