// What the handles of Ring, List, Map, Set and Counter share: elements between Python and the
// native collection, errors, and what a handle is as a plain list, dict or set.
#pragma once

#include "compute/python/container_site.h"
#include "compute/python/record_class.h"

#include <string>

#include "grid/containers/dictionary.h"
#include "grid/containers/sequence.h"

namespace bettong::compute::python {

// The native types of the module that the app imports.
struct CollectionTypes {
  PyTypeObject *ring = nullptr, *list = nullptr, *map = nullptr, *set = nullptr, *counter = nullptr;
  PyTypeObject *iterator = nullptr, *view = nullptr;

  PyTypeObject* Of(grid::CollectionKind kind) const;
};

// One collection field of one entity class. `version` moves on when keys come or go, and with any
// change of a Ring: what makes an iterator raise.
struct CollectionSite final : ContainerSite {
  CollectionSite(const grid::CollectionSpec& of, std::string field, const CollectionTypes& native)
      : spec(of), name(std::move(field)), types(native) {}

  grid::Sequence& sequence() const { return *static_cast<grid::Sequence*>(container); }
  grid::Dictionary& dictionary() const { return *static_cast<grid::Dictionary*>(container); }
  size_t size() const { return static_cast<grid::Collection*>(container)->size(); }

  const grid::CollectionSpec spec;
  const std::string name;  // "Host.names"
  const CollectionTypes types;
  RecordClass record;           // of values that are records
  mutable std::string encoded;  // the record that ToScalar was last given
};

// The site while the collection may be used, or null and an exception.
CollectionSite* RaiseStaleCollection(PyObject* self);
inline CollectionSite* CollectionOf(PyObject* self) {
  auto* site = static_cast<CollectionSite*>(reinterpret_cast<ContainerObject*>(self)->site);
  return site != nullptr && site->MayBeUsed() ? site : RaiseStaleCollection(self);
}

PyObject* FromScalar(const CollectionSite& site, grid::ScalarType type, const grid::Scalar& value);
// What is stored; its bytes are the object's, or good until the next record is converted. False and
// an exception (TypeError, OverflowError, ValueError). User code may have run: ask for the site
// again.
bool ToScalar(const CollectionSite& site, grid::ScalarType type, PyObject* value,
              grid::Scalar* scalar);
// What is only looked for. False without an exception: there can be none such; with one where
// Python has it too (what cannot be hashed).
bool ToLookup(const CollectionSite& site, grid::ScalarType type, PyObject* value,
              grid::Scalar* scalar);

// True if it is done, else an exception.
bool Check(const CollectionSite& site, grid::Edit edit);

// Takes back what has been done to the collection since it was made, unless Keep() is said.
class AllOrNothing {
 public:
  explicit AllOrNothing(CollectionSite& site)
      : site_(site), turns_(site.turns), mark_(site.changes.mark()) {}
  AllOrNothing(const AllOrNothing&) = delete;
  AllOrNothing& operator=(const AllOrNothing&) = delete;
  ~AllOrNothing() {
    if (kept_ || !InTurn()) return;
    site_.container->RollBack(site_.changes, mark_);
    ++site_.version;
  }
  bool Keep() { return kept_ = true; }
  // Whether the turn goes on, where code of the user's has run; else an exception.
  bool CheckTurn() const {
    if (InTurn()) return true;
    PyErr_Format(PyExc_RuntimeError, "the turn of %s ended meanwhile", site_.name.c_str());
    return false;
  }

 private:
  bool InTurn() const { return site_.container != nullptr && site_.turns == turns_; }

  CollectionSite& site_;
  const uint64_t turns_;
  const grid::ContainerTurn::Mark mark_;
  bool kept_ = false;
};

bool IsCollection(PyObject* value);
// A new list, dict or set (or list of a set's elements) with the same; null and an exception.
PyObject* CollectionToPlain(PyObject* collection, bool set_as_list = false);
PyObject* SequenceToList(const CollectionSite& site, size_t first, size_t count, Py_ssize_t step);
PyObject* DictionaryToPlain(const CollectionSite& site, bool set_as_list);

// `self.names = [...]`: the field's content becomes that of the value; null: it was deleted. False
// and an exception whose message lacks nothing.
bool AssignCollection(CollectionSite& site, PyObject* value);
bool ExtendSequence(CollectionSite& site, PyObject* iterable);
// From a mapping or pairs; a Counter adds `sign` times to what is there.
bool UpdateMapping(CollectionSite& site, PyObject* other, int sign);
bool UpdateSet(CollectionSite& site, PyObject* iterable);

// Of all five types.
void CollectionDealloc(PyObject* self);
PyObject* CollectionRepr(PyObject* self);
Py_ssize_t CollectionLength(PyObject* self);
PyObject* CollectionCopy(PyObject* self, PyObject*);
PyObject* CollectionClear(PyObject* self, PyObject*);
// Compared as the plain ones are.
PyObject* CollectionCompare(PyObject* self, PyObject* other, int op);

extern PyType_Spec kRingSpec, kListSpec, kMapSpec, kSetSpec, kCounterSpec;

}  // namespace bettong::compute::python
