// Iterators over collections, and what keys(), values() and items() give. Both keep the handle, not
// the collection: after the turn they raise.
#pragma once

#include "compute/python/collection_site.h"

namespace bettong::compute::python {

enum class Elements : uint8_t { kValues, kKeys, kItems };

// A new iterator or view, or null and an exception.
PyObject* MakeIterator(PyObject* handle, Elements elements);
PyObject* MakeView(PyObject* handle, Elements elements);

extern PyType_Spec kCollectionIteratorSpec, kCollectionViewSpec;

}  // namespace bettong::compute::python
