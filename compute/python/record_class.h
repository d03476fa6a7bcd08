// A record class of the SDK, as the elements of a collection: instances to and from bytes.
#pragma once

#include "compute/python/ref.h"

#include <string>
#include <string_view>
#include <vector>

#include "grid/containers/record_shape.h"

namespace bettong::compute::python {

struct CollectionSite;

class RecordClass {
 public:
  // False and an exception.
  bool Load(PyObject* cls, const grid::RecordShape& shape);
  bool loaded() const { return static_cast<bool>(cls_); }

  // A copy that cannot be changed; null and an exception.
  PyObject* Make(const CollectionSite& site, std::string_view bytes) const;
  bool IsInstance(PyObject* value) const {
    return PyObject_TypeCheck(value, reinterpret_cast<PyTypeObject*>(cls_.get()));
  }
  // Of an instance; false and an exception. User code may have run.
  bool Encode(const CollectionSite& site, PyObject* record, std::string& bytes) const;

 private:
  struct Field {
    grid::ScalarType type;
    Py_ssize_t slot;
  };
  Ref cls_, element_;
  std::vector<Field> fields_;
};

}  // namespace bettong::compute::python
