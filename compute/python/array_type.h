// ArrayHandle: what user code sees of an Array field. It points into the working row of the running
// turn; the first write of a turn saves the elements, for roll-back and for the delta.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>
#include <memory>

#include "compute/python/turn_state.h"

namespace bettong::compute::python {

// One array field of one entity class.
struct ArraySite {
  const TurnState* turn = nullptr;
  char* data = nullptr;  // elements in the working row; null between turns
  uint32_t size = 0;
  bool is_float = false;
  bool written = false;               // in this turn; `saved` then holds the elements before it
  uint32_t changed = 0;               // number of elements, known at commit
  std::unique_ptr<uint64_t[]> saved;  // `size` elements, raw

  void SaveOnce() {
    if (written) return;
    written = true;
    __builtin_memcpy(saved.get(), data, size_t{size} * 8);
  }
};

struct ArrayObject {
  PyObject_HEAD ArraySite* site;  // null: stale
  PyObject* stale_error;
};

extern PyType_Spec kArraySpec;

bool IsArray(PyObject* value);
Ref MakeArray(PyTypeObject* type, ArraySite* site, PyObject* stale_error);
// A new list of the elements, or null and an exception (stale).
PyObject* ArrayToList(PyObject* array);

// One element as raw bits; false and an exception (TypeError, OverflowError) if it does not fit.
bool ElementBits(PyObject* value, bool is_float, uint64_t* bits);

}  // namespace bettong::compute::python
