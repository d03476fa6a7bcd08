// WindowHandle: what user code sees of a window field, Sliding or Tumbling. It points to the window
// of the entity whose turn it is; what the turn adds is recorded for the log and for roll-back.
#pragma once

#include "compute/python/ref.h"

#include "compute/python/turn_state.h"
#include "grid/containers/window.h"

namespace bettong::compute::python {

// One window field of one entity class.
struct WindowSite {
  grid::Window* window = nullptr;  // null between turns
  grid::ContainerTurn changes;     // of this turn
  TurnState* turn = nullptr;
  grid::WindowTotals totals;  // worked out once for all that a turn asks, until it adds again
  bool totals_known = false;

  // A turn begins.
  void SetWindow(grid::Window* of_the_entity) {
    window = of_the_entity;
    totals_known = false;
  }
  const grid::WindowTotals& Totals() {
    if (!totals_known) totals = window->Totals();
    totals_known = true;
    return totals;
  }
};

struct WindowObject {
  PyObject_HEAD WindowSite* site;  // null: stale
  PyObject* stale_error;
};

extern PyType_Spec kWindowSpec;

Ref MakeWindow(PyTypeObject* type, WindowSite* site, PyObject* stale_error);

}  // namespace bettong::compute::python
