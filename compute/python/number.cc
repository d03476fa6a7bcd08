#include "compute/python/number.h"

#include "compute/python/json_writer.h"

namespace bettong::compute::python {

NumberResult ToInt64Slow(PyObject* value, int64_t* out) {
  if (!PyIndex_Check(value)) return NumberResult::kWrongType;
  Ref index(PyNumber_Index(value));
  if (!index) return NumberResult::kRaised;
  return ToInt64(index.get(), out);
}

NumberResult ToDoubleSlow(PyObject* value, double* out) {
  if (!PyLong_Check(value) && !PyIndex_Check(value) && !IsNumpyScalar(value)) {
    return NumberResult::kWrongType;
  }
  *out = PyFloat_AsDouble(value);
  if (*out != -1.0 || PyErr_Occurred() == nullptr) return NumberResult::kOk;
  if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear();
    return NumberResult::kOverflow;
  }
  return NumberResult::kRaised;
}

}  // namespace bettong::compute::python
