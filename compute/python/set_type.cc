// The handle of a Set field, which feels like set. Operators that make another set make a Python
// set.
#include "compute/python/collection_iterator.h"
#include "compute/python/dictionary_type.h"

namespace bettong::compute::python {
namespace {

using grid::Dictionary;
using grid::Scalar;

constexpr uint32_t kNowhere = Dictionary::kNowhere;

bool IsSet(PyObject* value) {
  if (!IsCollection(value)) return PyAnySet_Check(value);
  const CollectionSite* site = CollectionOf(value);
  if (site == nullptr) PyErr_Clear();  // it raises where it is read
  return site == nullptr || site->spec.kind == grid::CollectionKind::kSet;
}

PyObject* Iterate(PyObject* self) { return MakeIterator(self, Elements::kKeys); }

PyObject* Add(PyObject* self, PyObject* value) {
  CollectionSite* site = CollectionOf(self);
  Scalar key;
  if (site == nullptr || !ToScalar(*site, site->spec.key, value, &key)) return nullptr;
  site = CollectionOf(self);  // converting may have run user code
  if (site == nullptr) return nullptr;
  const size_t size = site->size();
  if (!Check(*site, site->dictionary().Put(key, {}, site->changes))) return nullptr;
  if (site->size() != size) ++site->version;
  Py_RETURN_NONE;
}

PyObject* Discard(PyObject* self, PyObject* value) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const uint32_t position = FindKey(*site, value);
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (position != kNowhere && !EraseKey(*site, position)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Remove(PyObject* self, PyObject* value) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const uint32_t position = FindKey(*site, value);
  if (position == kNowhere) {
    if (PyErr_Occurred() == nullptr) RaiseKeyError(value);
    return nullptr;
  }
  if (!EraseKey(*site, position)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Pop(PyObject* self, PyObject*) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const uint32_t position = site->dictionary().Next(0);
  if (position == kNowhere) {
    PyErr_SetString(PyExc_KeyError, "pop from an empty set");
    return nullptr;
  }
  Ref key(FromScalar(*site, site->spec.key, site->dictionary().KeyAt(position)));
  return key && EraseKey(*site, position) ? key.release() : nullptr;
}

PyObject* Update(PyObject* self, PyObject* args) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  AllOrNothing all(*site);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) {
    if (!UpdateSet(*site, PyTuple_GET_ITEM(args, i))) return nullptr;
  }
  all.Keep();
  Py_RETURN_NONE;
}

bool RemoveAll(CollectionSite& site, PyObject* iterable) {
  AllOrNothing all(site);
  Ref items(PySequence_List(iterable));
  if (!items || !all.CheckTurn()) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    const uint32_t position = FindKey(site, PyList_GET_ITEM(items.get(), i));
    if (PyErr_Occurred() != nullptr || !all.CheckTurn()) return false;
    if (position != kNowhere && !EraseKey(site, position)) return false;
  }
  return all.Keep();
}

PyObject* DifferenceUpdate(PyObject* self, PyObject* args) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  AllOrNothing all(*site);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) {
    if (!RemoveAll(*site, PyTuple_GET_ITEM(args, i))) return nullptr;
  }
  all.Keep();
  Py_RETURN_NONE;
}

template <bool (*kChange)(CollectionSite&, PyObject*)>
PyObject* InPlace(PyObject* self, PyObject* other) {
  if (!IsSet(other)) Py_RETURN_NOTIMPLEMENTED;
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !kChange(*site, other)) return nullptr;
  return Py_NewRef(self);
}

// What is in both stays.
bool KeepOnly(CollectionSite& site, PyObject* other) {
  Ref mine(DictionaryToPlain(site, /*set_as_list=*/false));
  Ref theirs(PySet_New(other));
  Ref gone(mine && theirs ? PyNumber_Subtract(mine.get(), theirs.get()) : nullptr);
  return gone && RemoveAll(site, gone.get());
}

Ref PlainSet(PyObject* value) {
  return Ref(IsCollection(value) ? CollectionToPlain(value) : Py_NewRef(value));
}

template <PyObject* (*kOperation)(PyObject*, PyObject*)>
PyObject* Operate(PyObject* a, PyObject* b) {
  if (!IsSet(a) || !IsSet(b)) Py_RETURN_NOTIMPLEMENTED;
  Ref left = PlainSet(a);
  if (!left) return nullptr;
  Ref right = PlainSet(b);
  return right ? kOperation(left.get(), right.get()) : nullptr;
}

// Methods of set that read only: of a copy.
PyObject* OfCopy(PyObject* self, const char* method, PyObject* args) {
  Ref copy(CollectionToPlain(self));
  Ref function(copy ? PyObject_GetAttrString(copy.get(), method) : nullptr);
  return function ? PyObject_CallObject(function.get(), args) : nullptr;
}
PyObject* Union(PyObject* self, PyObject* args) { return OfCopy(self, "union", args); }
PyObject* Intersection(PyObject* self, PyObject* args) {
  return OfCopy(self, "intersection", args);
}
PyObject* Difference(PyObject* self, PyObject* args) { return OfCopy(self, "difference", args); }
PyObject* IsSubset(PyObject* self, PyObject* args) { return OfCopy(self, "issubset", args); }
PyObject* IsSuperset(PyObject* self, PyObject* args) { return OfCopy(self, "issuperset", args); }
PyObject* IsDisjoint(PyObject* self, PyObject* args) { return OfCopy(self, "isdisjoint", args); }

PyMethodDef kMethods[] = {
    {"add", Add, METH_O, "Adds an element, if it is not in yet."},
    {"discard", Discard, METH_O, "Removes an element, if it is in."},
    {"remove", Remove, METH_O, "Removes an element, or KeyError."},
    {"pop", Pop, METH_NOARGS, "Removes the oldest element and returns it."},
    {"update", Update, METH_VARARGS, "Adds all elements of iterables, or none."},
    {"difference_update", DifferenceUpdate, METH_VARARGS, "Removes all elements of iterables."},
    {"clear", CollectionClear, METH_NOARGS, "Removes all elements."},
    {"copy", CollectionCopy, METH_NOARGS, "A set with the same elements."},
    {"union", Union, METH_VARARGS, "A set with these elements and others."},
    {"intersection", Intersection, METH_VARARGS, "A set with the elements in common."},
    {"difference", Difference, METH_VARARGS, "A set without the elements of others."},
    {"issubset", IsSubset, METH_VARARGS, "Whether all elements are in another."},
    {"issuperset", IsSuperset, METH_VARARGS, "Whether all elements of another are in this."},
    {"isdisjoint", IsDisjoint, METH_VARARGS, "Whether there is no element in common."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("A Set field of an entity.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(CollectionDealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(CollectionRepr)},
    {Py_tp_richcompare, reinterpret_cast<void*>(CollectionCompare)},
    {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
    {Py_tp_iter, reinterpret_cast<void*>(Iterate)},
    {Py_tp_methods, kMethods},
    {Py_nb_or, reinterpret_cast<void*>(Operate<PyNumber_Or>)},
    {Py_nb_and, reinterpret_cast<void*>(Operate<PyNumber_And>)},
    {Py_nb_subtract, reinterpret_cast<void*>(Operate<PyNumber_Subtract>)},
    {Py_nb_xor, reinterpret_cast<void*>(Operate<PyNumber_Xor>)},
    {Py_nb_inplace_or, reinterpret_cast<void*>(InPlace<UpdateSet>)},
    {Py_nb_inplace_subtract, reinterpret_cast<void*>(InPlace<RemoveAll>)},
    {Py_nb_inplace_and, reinterpret_cast<void*>(InPlace<KeepOnly>)},
    {Py_sq_length, reinterpret_cast<void*>(CollectionLength)},
    {Py_sq_contains, reinterpret_cast<void*>(ContainsKey)},
    {0, nullptr},
};

}  // namespace

PyType_Spec kSetSpec = {
    "_bettong.Set",
    sizeof(ContainerObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kSlots,
};

}  // namespace bettong::compute::python
