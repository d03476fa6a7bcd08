// What the handles of container fields (windows, collections) have in common: where the container
// of the entity is whose turn it is, and what the turn has done to it.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>

#include "compute/python/turn_state.h"
#include "grid/containers/container.h"

namespace bettong::compute::python {

// One container field of one entity class. Owned by its RowBinding.
struct ContainerSite {
  virtual ~ContainerSite() = default;

  // A turn begins.
  void Begin(grid::Container* of_the_entity, bool logged) {
    container = of_the_entity;
    changes.logged = logged;
    ++version;
    ++turns;
  }

  // In a turn, on the thread that it runs on.
  bool MayBeUsed() const { return container != nullptr && turn->OnLane(); }

  grid::Container* container = nullptr;  // null between turns
  grid::ContainerTurn changes;           // of this turn
  TurnState* turn = nullptr;
  uint64_t turns = 0;    // that have begun
  uint64_t version = 0;  // another one for each turn, and for changes that handles ask about
};

// A handle: what user code gets for the field.
struct ContainerObject {
  PyObject_HEAD ContainerSite* site;  // null: stale
  PyObject* stale_error;
  // A bound method that is called so often that it is kept at hand (add() of windows); or null. It
  // owns the handle, as the handle owns it.
  PyObject* method;
};

// Whether user code has kept the handle, or its method. `own`: the references that are not user
// code's.
inline bool IsKept(PyObject* handle, Py_ssize_t own) {
  PyObject* method = reinterpret_cast<ContainerObject*>(handle)->method;
  if (method == nullptr) return Py_REFCNT(handle) != own;
  return Py_REFCNT(handle) != own + 1 || Py_REFCNT(method) != 1;
}

// The handle is stale from now on.
inline void Detach(PyObject* handle) {
  auto* container = reinterpret_cast<ContainerObject*>(handle);
  container->site = nullptr;
  Py_CLEAR(container->method);
}

// Whether a handle that may not be used is on the wrong thread; then that is the exception.
inline bool RaisedOffLane(PyObject* handle) {
  const ContainerSite* site = reinterpret_cast<ContainerObject*>(handle)->site;
  if (site == nullptr || site->turn->OnLane()) return false;
  site->turn->RaiseOffLane();
  return true;
}

inline Ref MakeHandle(PyTypeObject* type, ContainerSite* site, PyObject* stale_error) {
  Ref made(type->tp_alloc(type, 0));
  if (made) {
    auto* handle = reinterpret_cast<ContainerObject*>(made.get());
    handle->site = site;
    handle->stale_error = stale_error;
  }
  return made;
}

}  // namespace bettong::compute::python
