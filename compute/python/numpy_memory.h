// Counts the data of numpy's arrays as memory of Python, through numpy's own hook for that
// (PyDataMem_SetHandler, since 1.22): numpy takes it from malloc, past Python's allocators.
//
// A context variable of numpy holds the handler, so it applies to the thread that installs it: the
// lane. Arrays keep the handler that they were made with.
#pragma once

#include "compute/python/ref.h"

namespace bettong::compute::python {

class NumpyMemory {
 public:
  // On the lane, with the GIL, between turns. Cheap as long as nobody has imported numpy, and when
  // it is done.
  void Install() {
    if (!installed_) Look();
  }

 private:
  void Look();

  bool installed_ = false;
};

}  // namespace bettong::compute::python
