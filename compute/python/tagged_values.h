// Python values in the tagged encoding of replies and keys.
#pragma once

#include "compute/python/ref.h"

#include <string>

namespace bettong::compute::python {

// False and an exception if the value has no such form, or is nested too deeply.
bool WriteTagged(PyObject* value, std::string& out);

// What a key function returned, as a tagged list of texts; false and an exception.
bool WriteKeys(PyObject* result, std::string& out);

// str() of the current exception, which is cleared; null if even that failed.
PyObject* TakeErrorText();

}  // namespace bettong::compute::python
