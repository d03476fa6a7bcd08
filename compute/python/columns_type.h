// Columns: the events of a turn as numpy arrays, one for each field that the handler asks for. Made
// for a turn; good until it ends.
#pragma once

#include "compute/python/ref.h"

#include <span>

#include "compute/python/value_converter.h"
#include "grid/event.h"

namespace bettong::compute::python {

class EventBinding;

extern PyType_Spec kColumnsSpec;

// `type`: of kColumnsSpec. Null and an exception on failure. All is borrowed until EndColumns.
Ref MakeColumns(PyObject* type, const EventClass& event_class, EventBinding& binding,
                std::span<const grid::EventRecord* const> events, PyObject* stale_error);
// The turn is over: user code that kept it is told so.
void EndColumns(PyObject* columns);

}  // namespace bettong::compute::python
