// The handles of Ring and List fields, which feel like collections.deque and list.
#include <algorithm>
#include <cstring>

#include "compute/python/boxes.h"
#include "compute/python/collection_iterator.h"
#include "compute/python/dictionary_type.h"

namespace bettong::compute::python {
namespace {

using grid::Scalar;
using grid::ScalarType;
using grid::Sequence;

const char* TypeName(const CollectionSite& site) {
  return site.spec.kind == grid::CollectionKind::kRing ? "ring" : "list";
}

// An index into what is there, negative from the end; -1 and an exception if it is none.
Py_ssize_t IndexOf(const CollectionSite& site, PyObject* key, const char* what) {
  int64_t fast = 0;
  Py_ssize_t index = 0;
  if (PyLong_CheckExact(key) && ReadShortInt(key, &fast)) {
    index = static_cast<Py_ssize_t>(fast);
  } else {
    index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred() != nullptr) return -1;
    if (site.container == nullptr) {
      PyErr_SetString(PyExc_RuntimeError, "the turn ended while an index was worked out");
      return -1;
    }
  }
  const auto size = static_cast<Py_ssize_t>(site.size());
  if (index < 0) index += size;
  if (index >= 0 && index < size) return index;
  PyErr_Format(PyExc_IndexError, "%s %sindex out of range", TypeName(site), what);
  return -1;
}

PyObject* ItemAt(const CollectionSite& site, Py_ssize_t index) {
  const Sequence& sequence = site.sequence();
  return FromScalar(site, sequence.type(), sequence.At(static_cast<size_t>(index)));
}

PyObject* Item(PyObject* self, Py_ssize_t index) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  if (index < 0 || index >= static_cast<Py_ssize_t>(site->size())) {
    PyErr_Format(PyExc_IndexError, "%s index out of range", TypeName(*site));
    return nullptr;
  }
  return ItemAt(*site, index);
}

PyObject* Subscript(PyObject* self, PyObject* key) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  if (PySlice_Check(key)) {
    Py_ssize_t start = 0, stop = 0, step = 0;
    if (PySlice_Unpack(key, &start, &stop, &step) < 0) return nullptr;
    site = CollectionOf(self);  // __index__ may have run
    if (site == nullptr) return nullptr;
    const auto size = static_cast<Py_ssize_t>(site->size());
    const Py_ssize_t count = PySlice_AdjustIndices(size, &start, &stop, step);
    return SequenceToList(*site, static_cast<size_t>(start), static_cast<size_t>(count), step);
  }
  if (!PyIndex_Check(key)) {
    PyErr_Format(PyExc_TypeError, "%s indices must be integers or slices, not %.200s",
                 TypeName(*site), Py_TYPE(key)->tp_name);
    return nullptr;
  }
  const Py_ssize_t index = IndexOf(*site, key, "");
  return index < 0 ? nullptr : ItemAt(*site, index);
}

bool DeleteSlice(CollectionSite& site, PyObject* slice) {
  Py_ssize_t start = 0, stop = 0, step = 0;
  AllOrNothing all(site);
  if (PySlice_Unpack(slice, &start, &stop, &step) < 0 || !all.CheckTurn()) return false;
  const auto size = static_cast<Py_ssize_t>(site.size());
  const Py_ssize_t count = PySlice_AdjustIndices(size, &start, &stop, step);
  // From the end, so that the others stay where they are.
  const Py_ssize_t last = start + (count - 1) * step;
  for (Py_ssize_t i = 0; i < count; ++i) {
    const Py_ssize_t index = step > 0 ? last - i * step : start + i * step;
    if (!Check(site, site.sequence().Erase(static_cast<size_t>(index), site.changes))) return false;
  }
  return all.Keep();
}

int AssignSubscript(PyObject* self, PyObject* key, PyObject* value) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return -1;
  const bool list = site->spec.kind == grid::CollectionKind::kList;
  if (value == nullptr && list && PySlice_Check(key)) return DeleteSlice(*site, key) ? 0 : -1;
  if (!PyIndex_Check(key) || (value == nullptr && !list)) {
    PyErr_Format(PyExc_TypeError,
                 value == nullptr && !list ? "elements of a %s cannot be deleted"
                                           : "elements of a %s are assigned by integer index",
                 TypeName(*site));
    return -1;
  }
  Scalar scalar;
  if (value != nullptr && !ToScalar(*site, site->spec.value, value, &scalar)) return -1;
  site = CollectionOf(self);
  if (site == nullptr) return -1;
  const Py_ssize_t index = IndexOf(*site, key, "assignment ");
  if (index < 0) return -1;
  ++site->version;
  Sequence& sequence = site->sequence();
  const auto at = static_cast<size_t>(index);
  return Check(*site, value == nullptr ? sequence.Erase(at, site->changes)
                                       : sequence.Set(at, scalar, site->changes))
             ? 0
             : -1;
}

// The first index of such an element in [begin, end), or SIZE_MAX. False: an exception.
bool FindElement(const CollectionSite& site, PyObject* value, size_t begin, size_t end,
                 size_t* found) {
  *found = SIZE_MAX;
  Scalar wanted;
  const ScalarType type = site.spec.value;
  if (!ToLookup(site, type, value, &wanted)) {
    if (PyErr_Occurred() == nullptr) return true;
    // A list compares what cannot be hashed, too; it equals none of these.
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return false;
    PyErr_Clear();
    return true;
  }
  double number = 0;
  std::memcpy(&number, &wanted.raw, sizeof(number));
  for (size_t i = begin; i < std::min(end, site.size()); ++i) {
    const Scalar element = site.sequence().At(i);
    bool same = grid::SameScalar(element, wanted);
    if (type == ScalarType::kFloat) {
      double other = 0;
      std::memcpy(&other, &element.raw, sizeof(other));
      same = other == number;
    }
    if (!same) continue;
    *found = i;
    return true;
  }
  return true;
}

int Contains(PyObject* self, PyObject* value) {
  const CollectionSite* site = CollectionOf(self);
  size_t found = 0;
  if (site == nullptr || !FindElement(*site, value, 0, SIZE_MAX, &found)) return -1;
  return found != SIZE_MAX;
}

PyObject* Iterate(PyObject* self) { return MakeIterator(self, Elements::kValues); }

PyObject* Append(PyObject* self, PyObject* value) {
  CollectionSite* site = CollectionOf(self);
  Scalar scalar;
  if (site == nullptr || !ToScalar(*site, site->spec.value, value, &scalar)) return nullptr;
  site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  ++site->version;
  if (!Check(*site, site->sequence().Append(scalar, site->changes))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Extend(PyObject* self, PyObject* iterable) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !ExtendSequence(*site, iterable)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* InPlaceConcat(PyObject* self, PyObject* iterable) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !ExtendSequence(*site, iterable)) return nullptr;
  return Py_NewRef(self);
}

PyObject* Concat(PyObject* self, PyObject* other) {
  Ref mine(IsCollection(self) ? CollectionToPlain(self) : Py_NewRef(self));
  Ref theirs(IsCollection(other) ? CollectionToPlain(other) : Py_NewRef(other));
  return mine && theirs ? PySequence_Concat(mine.get(), theirs.get()) : nullptr;
}

PyObject* Insert(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  if (count != 2) {
    PyErr_Format(PyExc_TypeError, "insert expected 2 arguments, got %zd", count);
    return nullptr;
  }
  Py_ssize_t index = PyNumber_AsSsize_t(args[0], nullptr);
  Scalar scalar;
  if ((index == -1 && PyErr_Occurred() != nullptr) ||
      !ToScalar(*site, site->spec.value, args[1], &scalar)) {
    return nullptr;
  }
  site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const auto size = static_cast<Py_ssize_t>(site->size());
  if (index < 0) index = std::max<Py_ssize_t>(index + size, 0);
  index = std::min(index, size);
  if (!Check(*site, site->sequence().Insert(static_cast<size_t>(index), scalar, site->changes))) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* Pop(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "pop expected at most 1 argument, got %zd", count);
    return nullptr;
  }
  if (site->size() == 0) {
    PyErr_SetString(PyExc_IndexError, "pop from empty list");
    return nullptr;
  }
  const Py_ssize_t index =
      count == 0 ? static_cast<Py_ssize_t>(site->size()) - 1 : IndexOf(*site, args[0], "pop ");
  if (index < 0) return nullptr;
  Ref item(ItemAt(*site, index));
  if (!item || !Check(*site, site->sequence().Erase(static_cast<size_t>(index), site->changes))) {
    return nullptr;
  }
  return item.release();
}

PyObject* Remove(PyObject* self, PyObject* value) {
  CollectionSite* site = CollectionOf(self);
  size_t found = 0;
  if (site == nullptr || !FindElement(*site, value, 0, SIZE_MAX, &found)) return nullptr;
  if (found == SIZE_MAX) {
    PyErr_SetString(PyExc_ValueError, "list.remove(x): x not in list");
    return nullptr;
  }
  if (!Check(*site, site->sequence().Erase(found, site->changes))) return nullptr;
  Py_RETURN_NONE;
}

// index(value[, start[, stop]])
PyObject* Index(PyObject* self, PyObject* args) {
  PyObject* value = nullptr;
  Py_ssize_t start = 0, stop = PY_SSIZE_T_MAX;
  if (!PyArg_ParseTuple(args, "O|nn:index", &value, &start, &stop)) return nullptr;
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const auto size = static_cast<Py_ssize_t>(site->size());
  if (start < 0) start = std::max<Py_ssize_t>(start + size, 0);
  if (stop < 0) stop = std::max<Py_ssize_t>(stop + size, 0);
  size_t found = 0;
  if (!FindElement(*site, value, static_cast<size_t>(start), static_cast<size_t>(stop), &found)) {
    return nullptr;
  }
  if (found != SIZE_MAX) return PyLong_FromSize_t(found);
  PyErr_Format(PyExc_ValueError, "%R is not in list", value);
  return nullptr;
}

PyObject* CountOf(PyObject* self, PyObject* value) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  size_t count = 0, found = 0;
  for (size_t at = 0;; at = found + 1, ++count) {
    if (!FindElement(*site, value, at, SIZE_MAX, &found)) return nullptr;
    if (found == SIZE_MAX) return PyLong_FromSize_t(count);
  }
}

// Done to a copy, which then takes the content's place.
PyObject* Rearrange(PyObject* self, const char* method, PyObject* args, PyObject* kwargs) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  Ref list(CollectionToPlain(self)), function, result;
  if (list) function = Ref(PyObject_GetAttrString(list.get(), method));
  if (function) result = Ref(PyObject_Call(function.get(), args, kwargs));
  site = result ? CollectionOf(self) : nullptr;
  if (site == nullptr) return nullptr;
  if (!AssignCollection(*site, list.get())) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Sort(PyObject* self, PyObject* args, PyObject* kwargs) {
  return Rearrange(self, "sort", args, kwargs);
}

PyObject* Reverse(PyObject* self, PyObject*) {
  Ref none(PyTuple_New(0));
  return none ? Rearrange(self, "reverse", none.get(), nullptr) : nullptr;
}

// The numbers as they lie there; bools one byte each.
Ref RawBytes(const CollectionSite& site) {
  const Sequence& sequence = site.sequence();
  const bool flags = sequence.type() == ScalarType::kBool;
  const size_t size = sequence.size();
  Ref bytes(
      PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size * (flags ? 1 : 8))));
  if (!bytes) return bytes;
  char* to = PyByteArray_AS_STRING(bytes.get());
  if (flags) {
    for (size_t i = 0; i < size; ++i) to[i] = static_cast<char>(sequence.At(i).raw);
    return bytes;
  }
  for (size_t done = 0; done < size;) {
    const std::string_view run = sequence.Run(done, size);
    std::memcpy(to + done * 8, run.data(), run.size());
    done += run.size() / 8;
  }
  return bytes;
}

// __array__(dtype=None, copy=None): a numpy array with a copy of the elements.
PyObject* ToNumpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* const kNames[] = {"dtype", "copy", nullptr};
  PyObject *dtype = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO", const_cast<char**>(kNames), &dtype,
                                   &copy)) {
    return nullptr;
  }
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  if (copy == Py_False) {
    PyErr_Format(PyExc_ValueError, "%s can only be copied into numpy", site->name.c_str());
    return nullptr;
  }
  // Whoever calls this has it imported.
  Ref numpy(PyImport_ImportModule("numpy"));
  if (!numpy) return nullptr;
  const ScalarType type = site->spec.value;
  Ref made;
  if (grid::IsBytes(type)) {
    Ref list(CollectionToPlain(self));
    if (list) made = Ref(PyObject_CallMethod(numpy.get(), "array", "O", list.get()));
  } else {
    Ref bytes = RawBytes(*site);
    const char* of = type == ScalarType::kInt ? "<i8" : type == ScalarType::kFloat ? "<f8" : "?";
    if (bytes) made = Ref(PyObject_CallMethod(numpy.get(), "frombuffer", "Os", bytes.get(), of));
  }
  if (!made || dtype == Py_None) return made.release();
  return PyObject_CallMethod(made.get(), "astype", "O", dtype);
}

#define BETTONG_SEQUENCE_METHODS                                                         \
  {"append", Append, METH_O, "Adds an element at the end."},                             \
      {"extend", Extend, METH_O, "Adds all elements of an iterable, or none."},          \
      {"clear", CollectionClear, METH_NOARGS, "Removes all elements."},                  \
      {"index", Index, METH_VARARGS, "Where the first such element is, or ValueError."}, \
      {"count", CountOf, METH_O, "How many such elements there are."},                   \
      {"copy", CollectionCopy, METH_NOARGS, "A list with a copy of the elements."},      \
      {"tolist", CollectionCopy, METH_NOARGS, "A list with a copy of the elements."}, {  \
    "__array__", AsMethod(ToNumpy), METH_VARARGS | METH_KEYWORDS,                        \
        "A numpy array with a copy of the elements."                                     \
  }

PyMethodDef kRingMethods[] = {BETTONG_SEQUENCE_METHODS, {nullptr, nullptr, 0, nullptr}};

PyMethodDef kListMethods[] = {
    BETTONG_SEQUENCE_METHODS,
    {"insert", AsMethod(Insert), METH_FASTCALL, "Adds an element before an index."},
    {"pop", AsMethod(Pop), METH_FASTCALL,
     "Removes and returns the last element, or that at index."},
    {"remove", Remove, METH_O, "Removes the first such element, or ValueError."},
    {"sort", AsMethod(Sort), METH_VARARGS | METH_KEYWORDS, "Sorts in place, as list.sort."},
    {"reverse", Reverse, METH_NOARGS, "Reverses in place."},
    {nullptr, nullptr, 0, nullptr}};

PyObject* RingMaximum(PyObject* self, void*) {
  const CollectionSite* site = CollectionOf(self);
  return site == nullptr ? nullptr : PyLong_FromUnsignedLong(site->spec.elements_max);
}

PyGetSetDef kRingProperties[] = {
    {"maxlen", RingMaximum, nullptr, "How many elements it has room for.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

#define BETTONG_SEQUENCE_SLOTS                                            \
  {Py_tp_dealloc, reinterpret_cast<void*>(CollectionDealloc)},            \
      {Py_tp_repr, reinterpret_cast<void*>(CollectionRepr)},              \
      {Py_tp_richcompare, reinterpret_cast<void*>(CollectionCompare)},    \
      {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)}, \
      {Py_tp_iter, reinterpret_cast<void*>(Iterate)},                     \
      {Py_sq_length, reinterpret_cast<void*>(CollectionLength)},          \
      {Py_sq_item, reinterpret_cast<void*>(Item)},                        \
      {Py_sq_contains, reinterpret_cast<void*>(Contains)},                \
      {Py_sq_concat, reinterpret_cast<void*>(Concat)},                    \
      {Py_sq_inplace_concat, reinterpret_cast<void*>(InPlaceConcat)},     \
      {Py_mp_length, reinterpret_cast<void*>(CollectionLength)},          \
      {Py_mp_subscript, reinterpret_cast<void*>(Subscript)}, {            \
    Py_mp_ass_subscript, reinterpret_cast<void*>(AssignSubscript)         \
  }

PyType_Slot kRingSlots[] = {{Py_tp_doc, const_cast<char*>("A Ring field of an entity.")},
                            {Py_tp_methods, kRingMethods},
                            {Py_tp_getset, kRingProperties},
                            BETTONG_SEQUENCE_SLOTS,
                            {0, nullptr}};
PyType_Slot kListSlots[] = {{Py_tp_doc, const_cast<char*>("A List field of an entity.")},
                            {Py_tp_methods, kListMethods},
                            BETTONG_SEQUENCE_SLOTS,
                            {0, nullptr}};

#undef BETTONG_SEQUENCE_METHODS
#undef BETTONG_SEQUENCE_SLOTS

constexpr unsigned kFlags =
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE;

}  // namespace

PyType_Spec kRingSpec = {"_bettong.Ring", sizeof(ContainerObject), 0, kFlags, kRingSlots};
PyType_Spec kListSpec = {"_bettong.List", sizeof(ContainerObject), 0, kFlags, kListSlots};

}  // namespace bettong::compute::python
