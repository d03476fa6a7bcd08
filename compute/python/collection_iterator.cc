#include "compute/python/collection_iterator.h"

namespace bettong::compute::python {
namespace {

using grid::CollectionKind;
using grid::Dictionary;

struct IteratorObject {
  PyObject_HEAD PyObject* handle;  // null: it has come to its end
  uint64_t version;
  uint32_t position;
  Elements elements;
};

struct ViewObject {
  PyObject_HEAD PyObject* handle;
  Elements elements;
};

IteratorObject* AsIterator(PyObject* self) { return reinterpret_cast<IteratorObject*>(self); }
ViewObject* AsView(PyObject* self) { return reinterpret_cast<ViewObject*>(self); }

PyObject* Pair(const CollectionSite& site, uint32_t position) {
  const Dictionary& dictionary = site.dictionary();
  Ref key(FromScalar(site, dictionary.key_type(), dictionary.KeyAt(position)));
  Ref value(FromScalar(site, dictionary.value_type(), dictionary.ValueAt(position)));
  return key && value ? PyTuple_Pack(2, key.get(), value.get()) : nullptr;
}

PyObject* NextOfDictionary(IteratorObject* self, const CollectionSite& site) {
  const Dictionary& dictionary = site.dictionary();
  const uint32_t position = dictionary.Next(self->position);
  if (position == Dictionary::kNowhere) {
    Py_CLEAR(self->handle);
    return nullptr;
  }
  self->position = position + 1;
  switch (self->elements) {
    case Elements::kKeys:
      return FromScalar(site, dictionary.key_type(), dictionary.KeyAt(position));
    case Elements::kValues:
      return FromScalar(site, dictionary.value_type(), dictionary.ValueAt(position));
    case Elements::kItems:
      break;
  }
  return Pair(site, position);
}

// As Python's do: a list may change meanwhile.
PyObject* Next(PyObject* object) {
  IteratorObject* self = AsIterator(object);
  if (self->handle == nullptr) return nullptr;
  const CollectionSite* site = CollectionOf(self->handle);
  if (site == nullptr) return nullptr;
  const CollectionKind kind = site->spec.kind;
  if (kind != CollectionKind::kList && self->version != site->version) {
    PyErr_Format(PyExc_RuntimeError,
                 kind == CollectionKind::kRing ? "%s mutated during iteration"
                                               : "%s changed size during iteration",
                 site->name.c_str());
    return nullptr;
  }
  if (!site->spec.is_sequence()) return NextOfDictionary(self, *site);
  const grid::Sequence& sequence = site->sequence();
  if (self->position >= sequence.size()) {
    Py_CLEAR(self->handle);
    return nullptr;
  }
  return FromScalar(*site, sequence.type(), sequence.At(self->position++));
}

template <typename Object>
void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(reinterpret_cast<Object*>(self)->handle);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* LengthHint(PyObject* object, PyObject*) {
  const IteratorObject* self = AsIterator(object);
  if (self->handle == nullptr) return PyLong_FromLong(0);
  const CollectionSite* site = CollectionOf(self->handle);
  if (site == nullptr) return nullptr;
  const size_t size = site->size();
  return PyLong_FromSize_t(site->spec.is_sequence() && self->position < size ? size - self->position
                                                                             : size);
}

PyObject* ViewIterator(PyObject* self) {
  return MakeIterator(AsView(self)->handle, AsView(self)->elements);
}

Py_ssize_t ViewLength(PyObject* self) { return CollectionLength(AsView(self)->handle); }

int ViewContains(PyObject* self, PyObject* value) {
  if (AsView(self)->elements == Elements::kKeys) {
    return PySequence_Contains(AsView(self)->handle, value);
  }
  Ref list(PySequence_List(self));
  return list ? PySequence_Contains(list.get(), value) : -1;
}

PyObject* ViewRepr(PyObject* self) {
  static constexpr const char* kNames[] = {"values", "keys", "items"};
  Ref list(PySequence_List(self));
  if (!list) return nullptr;
  return PyUnicode_FromFormat("%s(%R)", kNames[static_cast<size_t>(AsView(self)->elements)],
                              list.get());
}

PyMethodDef kIteratorMethods[] = {
    {"__length_hint__", LengthHint, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kIteratorSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc<IteratorObject>)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(Next)},
    {Py_tp_methods, kIteratorMethods},
    {0, nullptr},
};

PyType_Slot kViewSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc<ViewObject>)},
    {Py_tp_iter, reinterpret_cast<void*>(ViewIterator)},
    {Py_tp_repr, reinterpret_cast<void*>(ViewRepr)},
    {Py_sq_length, reinterpret_cast<void*>(ViewLength)},
    {Py_sq_contains, reinterpret_cast<void*>(ViewContains)},
    {0, nullptr},
};

}  // namespace

PyObject* MakeIterator(PyObject* handle, Elements elements) {
  const CollectionSite* site = CollectionOf(handle);
  if (site == nullptr) return nullptr;
  PyObject* made = site->types.iterator->tp_alloc(site->types.iterator, 0);
  if (made == nullptr) return nullptr;
  AsIterator(made)->handle = Py_NewRef(handle);
  AsIterator(made)->version = site->version;
  AsIterator(made)->elements = elements;
  return made;
}

PyObject* MakeView(PyObject* handle, Elements elements) {
  const CollectionSite* site = CollectionOf(handle);
  if (site == nullptr) return nullptr;
  PyObject* made = site->types.view->tp_alloc(site->types.view, 0);
  if (made == nullptr) return nullptr;
  AsView(made)->handle = Py_NewRef(handle);
  AsView(made)->elements = elements;
  return made;
}

PyType_Spec kCollectionIteratorSpec = {
    "_bettong.CollectionIterator",
    sizeof(IteratorObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kIteratorSlots,
};
PyType_Spec kCollectionViewSpec = {
    "_bettong.CollectionView",
    sizeof(ViewObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kViewSlots,
};

}  // namespace bettong::compute::python
