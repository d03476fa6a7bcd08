// EntityBase: the native base of entity classes. It holds no field; fields are slots of the classes
// that the SDK makes. Instances are made by RowBinding only.
#pragma once

#include "compute/python/ref.h"

namespace bettong::compute::python {

struct TurnState;

struct EntityObject {
  PyObject_HEAD TurnState* turn;  // null until bound by a host
};

extern PyType_Spec kEntityBaseSpec;

}  // namespace bettong::compute::python
