// Fast ways between native numbers and Python's objects for them, for CPython 3.11's layout:
// reading ints of up to 60 bits, and writing over a box that nobody else holds instead of making a
// new one.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>

static_assert(PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030c0000,
              "the layout of int objects differs from version to version: look at boxes.h");
static_assert(PyLong_SHIFT == 30);

namespace bettong::compute::python {

inline constexpr int64_t kSmallIntMin = -5, kSmallIntMax = 256;  // CPython keeps one object each

// The value of an int object of at most two digits (60 bits).
inline bool ReadShortInt(PyObject* object, int64_t* out) {
  const auto* integer = reinterpret_cast<const PyLongObject*>(object);
  const digit* digits = integer->ob_digit;
  switch (Py_SIZE(object)) {
    case 0:
      *out = 0;
      return true;
    case 1:
      *out = digits[0];
      return true;
    case -1:
      *out = -static_cast<int64_t>(digits[0]);
      return true;
    case 2:
      *out = static_cast<int64_t>(uint64_t{digits[1]} << PyLong_SHIFT | digits[0]);
      return true;
    case -2:
      *out = -static_cast<int64_t>(uint64_t{digits[1]} << PyLong_SHIFT | digits[0]);
      return true;
    default:
      return false;
  }
}

// Makes an int object of one or two digits hold `value`, if it has as many. Only for a box whose
// every reference is the caller's: nobody can see it change.
inline bool OverwriteInt(PyObject* box, int64_t value) {
  if (!PyLong_CheckExact(box) || value <= kSmallIntMax || value >> (2 * PyLong_SHIFT) != 0) {
    return false;
  }
  auto* integer = reinterpret_cast<PyLongObject*>(box);
  auto high = static_cast<digit>(value >> PyLong_SHIFT);
  if (Py_SIZE(box) != (high != 0 ? 2 : 1)) return false;
  integer->ob_digit[0] = static_cast<digit>(value & PyLong_MASK);
  if (high != 0) integer->ob_digit[1] = high;
  return true;
}

inline bool OverwriteFloat(PyObject* box, double value) {
  if (!PyFloat_CheckExact(box)) return false;
  reinterpret_cast<PyFloatObject*>(box)->ob_fval = value;
  return true;
}

// Puts an int into a slot whose object, if any, belongs to the slot alone or is let go.
inline bool StoreInt(PyObject*& slot, int64_t value) {
  if (slot != nullptr && Py_REFCNT(slot) == 1 && OverwriteInt(slot, value)) return true;
  PyObject* made = PyLong_FromLongLong(value);
  if (made == nullptr) return false;
  PyObject* old = slot;
  slot = made;
  Py_XDECREF(old);
  return true;
}

inline bool StoreFloat(PyObject*& slot, double value) {
  if (slot != nullptr && Py_REFCNT(slot) == 1 && OverwriteFloat(slot, value)) return true;
  PyObject* made = PyFloat_FromDouble(value);
  if (made == nullptr) return false;
  PyObject* old = slot;
  slot = made;
  Py_XDECREF(old);
  return true;
}

}  // namespace bettong::compute::python
