// What Map, Counter and Set handles share: looking up and removing keys.
#pragma once

#include "compute/python/collection_site.h"

namespace bettong::compute::python {

// The key's position, or kNowhere; with an exception if it cannot be hashed.
inline uint32_t FindKey(const CollectionSite& site, PyObject* key) {
  grid::Scalar wanted;
  if (!ToLookup(site, site.spec.key, key, &wanted) || site.container == nullptr)
    return grid::Dictionary::kNowhere;
  return site.dictionary().Find(wanted);
}

inline bool EraseKey(CollectionSite& site, uint32_t position) {
  ++site.version;
  return Check(site, site.dictionary().Erase(position, site.changes));
}

// As dict does: with the key itself, which may be a tuple.
inline void RaiseKeyError(PyObject* key) {
  Ref arguments(PyTuple_Pack(1, key));
  if (arguments) PyErr_SetObject(PyExc_KeyError, arguments.get());
}

inline int ContainsKey(PyObject* self, PyObject* key) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return -1;
  const bool found = FindKey(*site, key) != grid::Dictionary::kNowhere;
  return PyErr_Occurred() != nullptr ? -1 : found;
}

template <typename Function>
PyCFunction AsMethod(Function* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace bettong::compute::python
