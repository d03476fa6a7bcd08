// Python numbers as native ones, under the rules of entity fields: an int is 64 bits, a float takes
// ints, neither takes text; numpy's scalars count as numbers, Decimal and Fraction do not.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>

#include "compute/python/boxes.h"

namespace bettong::compute::python {

enum class NumberResult : uint8_t {
  kOk,
  kWrongType,  // no exception set
  kOverflow,   // no exception set
  kRaised,     // an exception of user code (__index__)
};

// An int of 128 bits.
inline PyObject* MakeWideInt(__int128 value) {
  if (value >= INT64_MIN && value <= INT64_MAX) {
    return PyLong_FromLongLong(static_cast<long long>(value));
  }
  return _PyLong_FromByteArray(reinterpret_cast<const unsigned char*>(&value), sizeof(value),
                               /*little_endian=*/1, /*is_signed=*/1);
}

NumberResult ToInt64Slow(PyObject* value, int64_t* out);
NumberResult ToDoubleSlow(PyObject* value, double* out);

inline NumberResult ToInt64(PyObject* value, int64_t* out) {
  if (!PyLong_Check(value)) return ToInt64Slow(value, out);
  if (ReadShortInt(value, out)) return NumberResult::kOk;
  int overflow = 0;
  *out = PyLong_AsLongLongAndOverflow(value, &overflow);
  return overflow == 0 ? NumberResult::kOk : NumberResult::kOverflow;
}

inline NumberResult ToDouble(PyObject* value, double* out) {
  if (!PyFloat_Check(value)) return ToDoubleSlow(value, out);
  *out = PyFloat_AS_DOUBLE(value);
  return NumberResult::kOk;
}

}  // namespace bettong::compute::python
