// What a handler's `when=` says, as the SDK has traced it.
#pragma once

#include "compute/python/ref.h"

#include "grid/condition.h"
#include "grid/row_schema.h"

namespace bettong::compute::python {

// From a Handler of the SDK. False with an exception set.
bool LoadCondition(PyObject* described, const grid::RowSchema& row, grid::Condition& condition);

}  // namespace bettong::compute::python
