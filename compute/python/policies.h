// What handlers and classes declare about turns that are not to be, read from the SDK's
// description.
#pragma once

#include "compute/python/ref.h"

#include "grid/failure_policy.h"
#include "grid/rate_limit.h"

namespace bettong::compute::python {

// Of `described.on_error`: a word, or a Retry. False with an exception set.
bool LoadFailurePolicy(PyObject* described, grid::FailurePolicy& policy);
// Of a handler's `limit` and `over`; the limit's field is the caller's business. Likewise.
bool LoadRateLimit(PyObject* described, grid::RateLimit& limit);

}  // namespace bettong::compute::python
