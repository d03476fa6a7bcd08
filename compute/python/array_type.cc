#include "compute/python/array_type.h"

#include <algorithm>

#include "base/bytes.h"
#include "compute/python/number.h"

namespace bettong::compute::python {
namespace {

[[gnu::cold]] ArraySite* RaiseStale(PyObject* self) {
  const ArraySite* site = reinterpret_cast<ArrayObject*>(self)->site;
  if (site != nullptr && !site->turn->OnLane()) return site->turn->RaiseOffLane(), nullptr;
  PyErr_SetString(reinterpret_cast<ArrayObject*>(self)->stale_error,
                  "this array was used after its turn had ended; keep array.tolist() instead");
  return nullptr;
}

// The site while the array may be used, or null and an exception.
inline ArraySite* SiteOf(PyObject* self) {
  ArraySite* site = reinterpret_cast<ArrayObject*>(self)->site;
  return site != nullptr && site->data != nullptr && site->turn->OnLane() ? site : RaiseStale(self);
}

// An index as code usually has it: an exact, short int, negative from the end. False: look closer.
inline bool FastIndex(const ArraySite& site, PyObject* key, size_t* index) {
  int64_t value = 0;
  if (!PyLong_CheckExact(key) || !ReadShortInt(key, &value)) return false;
  if (value < 0) value += site.size;
  *index = static_cast<size_t>(value);
  return *index < site.size;
}

PyObject* Box(const ArraySite& site, size_t index) {
  const char* at = site.data + index * 8;
  return site.is_float ? PyFloat_FromDouble(LoadUnaligned<double>(at))
                       : PyLong_FromLongLong(LoadUnaligned<int64_t>(at));
}

Py_ssize_t Length(PyObject* self) {
  auto* array = reinterpret_cast<ArrayObject*>(self);
  return array->site == nullptr ? (SiteOf(self), -1) : static_cast<Py_ssize_t>(array->site->size);
}

PyObject* Item(PyObject* self, Py_ssize_t index) {
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (index < 0 || index >= static_cast<Py_ssize_t>(site->size)) {
    PyErr_SetString(PyExc_IndexError, "array index out of range");
    return nullptr;
  }
  return Box(*site, static_cast<size_t>(index));
}

bool Store(ArraySite* site, Py_ssize_t index, PyObject* value) {
  if (index < 0) index += site->size;
  if (index < 0 || index >= static_cast<Py_ssize_t>(site->size)) {
    PyErr_SetString(PyExc_IndexError, "array assignment index out of range");
    return false;
  }
  uint64_t bits = 0;
  if (!ElementBits(value, site->is_float, &bits)) return false;
  site->SaveOnce();
  StoreUnaligned(site->data + index * 8, bits);
  return true;
}

PyObject* Slice(const ArraySite& site, Py_ssize_t start, Py_ssize_t count, Py_ssize_t step) {
  Ref list(PyList_New(count));
  if (!list) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i, start += step) {
    PyObject* item = Box(site, static_cast<size_t>(start));
    if (item == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), i, item);
  }
  return list.release();
}

PyObject* Subscript(PyObject* self, PyObject* key) {
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  size_t fast = 0;
  if (FastIndex(*site, key, &fast)) return Box(*site, fast);
  if (PyIndex_Check(key)) {
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred() != nullptr) return nullptr;
    return Item(self, index < 0 ? index + site->size : index);
  }
  if (!PySlice_Check(key)) {
    PyErr_Format(PyExc_TypeError, "array indices are integers or slices, not %.200s",
                 Py_TYPE(key)->tp_name);
    return nullptr;
  }
  Py_ssize_t start = 0, stop = 0, step = 0;
  if (PySlice_Unpack(key, &start, &stop, &step) < 0) return nullptr;
  Py_ssize_t count = PySlice_AdjustIndices(site->size, &start, &stop, step);
  return Slice(*site, start, count, step);
}

int AssignSubscript(PyObject* self, PyObject* key, PyObject* value) {
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return -1;
  size_t fast = 0;
  if (value != nullptr && FastIndex(*site, key, &fast)) {
    return Store(site, static_cast<Py_ssize_t>(fast), value) ? 0 : -1;
  }
  if (value == nullptr || !PyIndex_Check(key)) {
    PyErr_SetString(PyExc_TypeError, value == nullptr
                                         ? "an array has a fixed size: elements cannot be deleted"
                                         : "array elements are assigned by integer index");
    return -1;
  }
  Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) return -1;
  return Store(site, index, value) ? 0 : -1;
}

int Contains(PyObject* self, PyObject* value) {
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return -1;
  for (size_t i = 0; i < site->size; ++i) {
    Ref item(Box(*site, i));
    if (!item) return -1;
    int equal = PyObject_RichCompareBool(item.get(), value, Py_EQ);
    if (equal != 0) return equal;
  }
  return 0;
}

PyObject* ToList(PyObject* self, PyObject*) { return ArrayToList(self); }

// An int array's sum in full: 4096 elements of 64 bits fit easily.
PyObject* BigSum(const ArraySite& site) {
  __int128 sum = 0;
  for (size_t i = 0; i < site.size; ++i) sum += LoadUnaligned<int64_t>(site.data + i * 8);
  if (sum >= INT64_MIN && sum <= INT64_MAX) return PyLong_FromLongLong(static_cast<int64_t>(sum));
  Ref high(PyLong_FromLongLong(static_cast<int64_t>(sum >> 64)));
  Ref low(PyLong_FromUnsignedLongLong(static_cast<uint64_t>(sum)));
  Ref shift(PyLong_FromLong(64));
  if (!high || !low || !shift) return nullptr;
  Ref shifted(PyNumber_Lshift(high.get(), shift.get()));
  return shifted ? PyNumber_Add(shifted.get(), low.get()) : nullptr;
}

PyObject* Sum(PyObject* self, PyObject*) {
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (!site->is_float) return BigSum(*site);
  double sum = 0;
  for (size_t i = 0; i < site->size; ++i) sum += LoadUnaligned<double>(site->data + i * 8);
  return PyFloat_FromDouble(sum);
}

template <typename T, typename Better>
size_t Best(const ArraySite& site, Better better) {
  size_t best = 0;
  for (size_t i = 1; i < site.size; ++i) {
    if (better(LoadUnaligned<T>(site.data + i * 8), LoadUnaligned<T>(site.data + best * 8)))
      best = i;
  }
  return best;
}

template <template <typename> typename Better>
PyObject* Extreme(PyObject* self, PyObject*) {
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  return Box(*site, site->is_float ? Best<double>(*site, Better<double>())
                                   : Best<int64_t>(*site, Better<int64_t>()));
}

PyObject* Fill(PyObject* self, PyObject* value) {
  ArraySite* site = SiteOf(self);
  uint64_t bits = 0;
  if (site == nullptr || !ElementBits(value, site->is_float, &bits)) return nullptr;
  site->SaveOnce();
  for (size_t i = 0; i < site->size; ++i) StoreUnaligned(site->data + i * 8, bits);
  Py_RETURN_NONE;
}

// __array__(dtype=None, copy=None): a numpy array over a copy, so that nothing points into the row.
PyObject* ToNumpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* const kNames[] = {"dtype", "copy", nullptr};
  PyObject *dtype = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO", const_cast<char**>(kNames), &dtype,
                                   &copy)) {
    return nullptr;
  }
  ArraySite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (copy == Py_False) {
    PyErr_SetString(PyExc_ValueError, "an entity's array can only be copied into numpy");
    return nullptr;
  }
  Ref bytes(PyByteArray_FromStringAndSize(site->data, static_cast<Py_ssize_t>(site->size) * 8));
  Ref numpy(PyImport_ImportModule("numpy"));
  if (!bytes || !numpy) return nullptr;
  Ref made(PyObject_CallMethod(numpy.get(), "frombuffer", "Os", bytes.get(),
                               site->is_float ? "<f8" : "<i8"));
  if (!made || dtype == Py_None) return made.release();
  return PyObject_CallMethod(made.get(), "astype", "O", dtype);
}

PyObject* Repr(PyObject* self) {
  Ref list(ArrayToList(self));
  return list ? PyUnicode_FromFormat("Array(%R)", list.get()) : nullptr;
}

PyObject* Compare(PyObject* self, PyObject* other, int op) {
  bool comparable = IsArray(other) || PyList_Check(other) || PyTuple_Check(other);
  if ((op != Py_EQ && op != Py_NE) || !comparable) Py_RETURN_NOTIMPLEMENTED;
  Ref mine(ArrayToList(self));
  Ref theirs(PySequence_List(other));
  if (!mine || !theirs) return nullptr;
  return PyObject_RichCompare(mine.get(), theirs.get(), op);
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef kMethods[] = {
    {"tolist", ToList, METH_NOARGS, "A list with a copy of the elements."},
    {"sum", Sum, METH_NOARGS, "The sum of the elements."},
    {"max", Extreme<std::greater>, METH_NOARGS, "The greatest element."},
    {"min", Extreme<std::less>, METH_NOARGS, "The least element."},
    {"fill", Fill, METH_O, "Sets every element."},
    {"__array__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(ToNumpy)),
     METH_VARARGS | METH_KEYWORDS, "A numpy array with a copy of the elements."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("An Array field of an entity.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(Repr)},
    {Py_tp_richcompare, reinterpret_cast<void*>(Compare)},
    {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
    {Py_tp_methods, kMethods},
    {Py_sq_length, reinterpret_cast<void*>(Length)},
    {Py_sq_item, reinterpret_cast<void*>(Item)},
    {Py_sq_contains, reinterpret_cast<void*>(Contains)},
    {Py_mp_length, reinterpret_cast<void*>(Length)},
    {Py_mp_subscript, reinterpret_cast<void*>(Subscript)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(AssignSubscript)},
    {0, nullptr},
};

}  // namespace

PyType_Spec kArraySpec = {
    "_bettong.Array",
    sizeof(ArrayObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE,
    kSlots,
};

bool IsArray(PyObject* value) {
  // The one type whose deallocator is ours; there is one such type per interpreter.
  return Py_TYPE(value)->tp_dealloc == Dealloc;
}

Ref MakeArray(PyTypeObject* type, ArraySite* site, PyObject* stale_error) {
  Ref made(type->tp_alloc(type, 0));
  if (made) {
    auto* array = reinterpret_cast<ArrayObject*>(made.get());
    array->site = site;
    array->stale_error = stale_error;
  }
  return made;
}

PyObject* ArrayToList(PyObject* array) {
  ArraySite* site = SiteOf(array);
  return site == nullptr ? nullptr : Slice(*site, 0, site->size, 1);
}

bool ElementBits(PyObject* value, bool is_float, uint64_t* bits) {
  int64_t integer = 0;
  double real = 0;
  NumberResult result = is_float ? ToDouble(value, &real) : ToInt64(value, &integer);
  __builtin_memcpy(bits, is_float ? static_cast<const void*>(&real) : &integer, 8);
  if (result == NumberResult::kOk) return true;
  if (result == NumberResult::kWrongType) {
    PyErr_Format(PyExc_TypeError, "an element must be %s, not %.200s", is_float ? "float" : "int",
                 Py_TYPE(value)->tp_name);
  } else if (result == NumberResult::kOverflow) {
    PyErr_SetString(PyExc_OverflowError, is_float ? "an element is too large for a float"
                                                  : "an element does not fit into 64 bits");
  }
  return false;
}

}  // namespace bettong::compute::python
