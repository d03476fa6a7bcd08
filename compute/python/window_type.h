// WindowHandle: what user code sees of a window field, Sliding or Tumbling. It points to the window
// of the entity whose turn it is; what the turn adds is recorded for the log and for roll-back.
#pragma once

#include "compute/python/ref.h"

#include <memory>
#include <new>
#include <optional>
#include <string>

#include "compute/python/container_site.h"
#include "grid/containers/window.h"

namespace bettong::compute::python {

// One window field of one entity class.
struct WindowSite final : ContainerSite {
  grid::Window* window() const { return static_cast<grid::Window*>(container); }
  const grid::WindowView& View() {
    if (closed != nullptr) return *closed;
    if (view_version == version) return view;
    view_version = version;
    std::destroy_at(&view);
    return *::new (&view) grid::WindowView(window()->Current());  // made in place
  }

  const grid::PaneSketch& Sketch() {
    if (closed != nullptr) return *closed->sketch;
    if (sketch_version != version || !sketch) sketch = window()->CurrentSketch();
    sketch_version = version;
    return *sketch;
  }

  std::string name;                          // of the field
  const grid::WindowView* closed = nullptr;  // what on_close is given; it takes no values
  grid::WindowView view;  // worked out once for all that a turn asks, until it adds again
  uint64_t view_version = 0;
  std::optional<grid::PaneSketch> sketch;  // likewise
  uint64_t sketch_version = 0;
};

extern PyType_Spec kWindowSpec;

}  // namespace bettong::compute::python
