// The builtin module `_bettong`: the native types that the SDK derives from.
#pragma once

#include "compute/python/ref.h"

namespace bettong::compute::python {

// For PyImport_AppendInittab, before Python starts.
PyObject* InitNativeModule();

}  // namespace bettong::compute::python
