// Python values in the tagged encoding of replies and keys.
#pragma once

#include "compute/python/ref.h"

#include <string>
#include <string_view>
#include <vector>

namespace bettong::compute::python {

// False and an exception if the value has no such form, or is nested too deeply.
bool WriteTagged(PyObject* value, std::string& out);

// Arguments that are kept for a later call, as a tagged list: None, bool, int of 64 bits, float,
// str, bytes, lists (tuples become lists) and dicts of these. False and an exception.
bool WriteArguments(PyObject* const* arguments, size_t count, std::string& out);
// The same again. False and an exception: malformed, or out of memory.
Ref ReadTagged(std::string_view tagged);

bool ReadArguments(std::string_view tagged, std::vector<Ref>& arguments);

// What a key function returned, as a tagged list of texts; false and an exception.
bool WriteKeys(PyObject* result, std::string& out);

// str() of the current exception, which is cleared; null if even that failed.
PyObject* TakeErrorText();

}  // namespace bettong::compute::python
