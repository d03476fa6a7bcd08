// The handles of Map and Counter fields, which feel like dict and collections.Counter.
#include <algorithm>
#include <vector>

#include "compute/python/collection_iterator.h"
#include "compute/python/dictionary_type.h"
#include "compute/python/number.h"

namespace bettong::compute::python {
namespace {

using grid::Dictionary;
using grid::Scalar;

constexpr uint32_t kNowhere = Dictionary::kNowhere;

PyObject* ValueAt(const CollectionSite& site, uint32_t position) {
  const Dictionary& dictionary = site.dictionary();
  return FromScalar(site, dictionary.value_type(), dictionary.ValueAt(position));
}

bool Put(PyObject* self, PyObject* key_object, PyObject* value_object) {
  CollectionSite* site = CollectionOf(self);
  Scalar key, value;
  if (site == nullptr || !ToScalar(*site, site->spec.key, key_object, &key) ||
      !ToScalar(*site, site->spec.value, value_object, &value)) {
    return false;
  }
  site = CollectionOf(self);  // converting may have run user code
  if (site == nullptr) return false;
  const size_t size = site->size();
  if (!Check(*site, site->dictionary().Put(key, value, site->changes))) return false;
  if (site->size() != size) ++site->version;
  return true;
}

PyObject* Subscript(PyObject* self, PyObject* key) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const uint32_t position = FindKey(*site, key);
  if (position != kNowhere) return ValueAt(*site, position);
  if (PyErr_Occurred() != nullptr) return nullptr;
  // A Counter has none of what it has not counted.
  if (site->spec.kind == grid::CollectionKind::kCounter) return PyLong_FromLong(0);
  RaiseKeyError(key);
  return nullptr;
}

int AssignSubscript(PyObject* self, PyObject* key, PyObject* value) {
  if (value != nullptr) return Put(self, key, value) ? 0 : -1;
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return -1;
  const uint32_t position = FindKey(*site, key);
  if (position != kNowhere) return EraseKey(*site, position) ? 0 : -1;
  if (PyErr_Occurred() != nullptr) return -1;
  if (site->spec.kind == grid::CollectionKind::kCounter) return 0;
  RaiseKeyError(key);
  return -1;
}

PyObject* Iterate(PyObject* self) { return MakeIterator(self, Elements::kKeys); }
PyObject* Keys(PyObject* self, PyObject*) { return MakeView(self, Elements::kKeys); }
PyObject* Values(PyObject* self, PyObject*) { return MakeView(self, Elements::kValues); }
PyObject* Items(PyObject* self, PyObject*) { return MakeView(self, Elements::kItems); }

bool CheckArguments(const char* name, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most) {
  if (count >= least && count <= most) return true;
  PyErr_Format(PyExc_TypeError, "%s expected %zd to %zd arguments, got %zd", name, least, most,
               count);
  return false;
}

// get(key, default=None)
PyObject* Get(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !CheckArguments("get", count, 1, 2)) return nullptr;
  const uint32_t position = FindKey(*site, args[0]);
  if (position != kNowhere) return ValueAt(*site, position);
  if (PyErr_Occurred() != nullptr) return nullptr;
  return Py_NewRef(count == 2 ? args[1] : Py_None);
}

// setdefault(key, default)
PyObject* SetDefault(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !CheckArguments("setdefault", count, 1, 2)) return nullptr;
  uint32_t position = FindKey(*site, args[0]);
  if (position == kNowhere) {
    if (PyErr_Occurred() != nullptr) return nullptr;
    if (!Put(self, args[0], count == 2 ? args[1] : Py_None)) return nullptr;
    // As it is stored: a float where an int was given.
    position = FindKey(*site, args[0]);
    if (position == kNowhere) return nullptr;
  }
  return ValueAt(*site, position);
}

// pop(key[, default])
PyObject* Pop(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !CheckArguments("pop", count, 1, 2)) return nullptr;
  const uint32_t position = FindKey(*site, args[0]);
  if (position == kNowhere) {
    if (PyErr_Occurred() != nullptr) return nullptr;
    if (count == 2) return Py_NewRef(args[1]);
    RaiseKeyError(args[0]);
    return nullptr;
  }
  Ref value(ValueAt(*site, position));
  return value && EraseKey(*site, position) ? value.release() : nullptr;
}

PyObject* PopItem(PyObject* self, PyObject*) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const Dictionary& dictionary = site->dictionary();
  const uint32_t position = dictionary.Before(dictionary.end());
  if (position == kNowhere) {
    PyErr_SetString(PyExc_KeyError, "popitem(): dictionary is empty");
    return nullptr;
  }
  Ref key(FromScalar(*site, dictionary.key_type(), dictionary.KeyAt(position)));
  Ref value(ValueAt(*site, position));
  if (!key || !value || !EraseKey(*site, position)) return nullptr;
  return PyTuple_Pack(2, key.get(), value.get());
}

PyObject* UpdateBy(PyObject* self, PyObject* args, PyObject* kwargs, int sign) {
  CollectionSite* site = CollectionOf(self);
  PyObject* other = nullptr;
  if (site == nullptr || !PyArg_UnpackTuple(args, "update", 0, 1, &other)) return nullptr;
  AllOrNothing all(*site);
  if (other != nullptr && other != Py_None && !UpdateMapping(*site, other, sign)) return nullptr;
  if (kwargs != nullptr && !UpdateMapping(*site, kwargs, sign)) return nullptr;
  all.Keep();
  Py_RETURN_NONE;
}

PyObject* Update(PyObject* self, PyObject* args, PyObject* kwargs) {
  return UpdateBy(self, args, kwargs, 1);
}
PyObject* Subtract(PyObject* self, PyObject* args, PyObject* kwargs) {
  return UpdateBy(self, args, kwargs, -1);
}

bool IsMapping(PyObject* value) {
  return PyDict_Check(value) || Py_TYPE(value)->tp_iter == Iterate;
}

// A dict with what is in both; the right one's values count.
PyObject* Or(PyObject* left, PyObject* right) {
  if (!IsMapping(left) || !IsMapping(right)) Py_RETURN_NOTIMPLEMENTED;
  Ref made(IsCollection(left) ? CollectionToPlain(left) : PyDict_Copy(left));
  Ref other(IsCollection(right) ? CollectionToPlain(right) : Py_NewRef(right));
  if (!made || !other || PyDict_Update(made.get(), other.get()) < 0) return nullptr;
  return made.release();
}

PyObject* InPlaceOr(PyObject* self, PyObject* other) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr || !UpdateMapping(*site, other, 1)) return nullptr;
  return Py_NewRef(self);
}

// most_common(n=None): the most frequent first, those of one count in the order they came.
PyObject* MostCommon(PyObject* self, PyObject* args) {
  PyObject* wanted = Py_None;
  if (!PyArg_ParseTuple(args, "|O:most_common", &wanted)) return nullptr;
  Py_ssize_t count = PY_SSIZE_T_MAX;
  if (wanted != Py_None) {
    count = PyNumber_AsSsize_t(wanted, nullptr);
    if (count == -1 && PyErr_Occurred() != nullptr) return nullptr;
  }
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const Dictionary& dictionary = site->dictionary();
  std::vector<std::pair<int64_t, uint32_t>> counts;
  counts.reserve(dictionary.size());
  for (uint32_t i = dictionary.Next(0); i != kNowhere; i = dictionary.Next(i + 1)) {
    counts.emplace_back(static_cast<int64_t>(dictionary.ValueAt(i).raw), i);
  }
  const Py_ssize_t size = std::clamp<Py_ssize_t>(count, 0, static_cast<Py_ssize_t>(counts.size()));
  std::partial_sort(counts.begin(), counts.begin() + size, counts.end(),
                    [](const auto& a, const auto& b) {
                      return a.first != b.first ? a.first > b.first : a.second < b.second;
                    });
  Ref list(PyList_New(size));
  for (Py_ssize_t i = 0; list && i < size; ++i) {
    Ref key(FromScalar(*site, dictionary.key_type(), dictionary.KeyAt(counts[i].second)));
    Ref value(PyLong_FromLongLong(counts[i].first));
    PyObject* pair = key && value ? PyTuple_Pack(2, key.get(), value.get()) : nullptr;
    if (pair == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), i, pair);
  }
  return list.release();
}

PyObject* Total(PyObject* self, PyObject*) {
  const CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  const Dictionary& dictionary = site->dictionary();
  __int128 total = 0;
  for (uint32_t i = dictionary.Next(0); i != kNowhere; i = dictionary.Next(i + 1)) {
    total += static_cast<int64_t>(dictionary.ValueAt(i).raw);
  }
  return MakeWideInt(total);
}

#define BETTONG_MAPPING_METHODS                                                               \
  {"get", AsMethod(Get), METH_FASTCALL, "The key's value, or the default."},                  \
      {"setdefault", AsMethod(SetDefault), METH_FASTCALL,                                     \
       "The key's value, which is the default if it had none."},                              \
      {"pop", AsMethod(Pop), METH_FASTCALL, "Removes a key and returns its value."},          \
      {"popitem", PopItem, METH_NOARGS, "Removes the newest key; returns it and its value."}, \
      {"keys", Keys, METH_NOARGS, "The keys, in the order they came."},                       \
      {"values", Values, METH_NOARGS, "The values, in the order of the keys."},               \
      {"items", Items, METH_NOARGS, "Pairs of key and value."},                               \
      {"clear", CollectionClear, METH_NOARGS, "Removes all keys."}, {                         \
    "copy", CollectionCopy, METH_NOARGS, "A dict with the same content."                      \
  }

PyMethodDef kMapMethods[] = {BETTONG_MAPPING_METHODS,
                             {"update", AsMethod(Update), METH_VARARGS | METH_KEYWORDS,
                              "Sets the values of a mapping or of pairs, all or none."},
                             {nullptr, nullptr, 0, nullptr}};

PyMethodDef kCounterMethods[] = {
    BETTONG_MAPPING_METHODS,
    {"update", AsMethod(Update), METH_VARARGS | METH_KEYWORDS,
     "Counts the elements of an iterable, or adds a mapping's counts, all or none."},
    {"subtract", AsMethod(Subtract), METH_VARARGS | METH_KEYWORDS, "As update, downwards."},
    {"most_common", MostCommon, METH_VARARGS, "The n most frequent with their counts."},
    {"total", Total, METH_NOARGS, "The sum of the counts."},
    {nullptr, nullptr, 0, nullptr}};

#define BETTONG_MAPPING_SLOTS                                             \
  {Py_tp_dealloc, reinterpret_cast<void*>(CollectionDealloc)},            \
      {Py_tp_repr, reinterpret_cast<void*>(CollectionRepr)},              \
      {Py_tp_richcompare, reinterpret_cast<void*>(CollectionCompare)},    \
      {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)}, \
      {Py_tp_iter, reinterpret_cast<void*>(Iterate)},                     \
      {Py_sq_contains, reinterpret_cast<void*>(ContainsKey)},             \
      {Py_mp_length, reinterpret_cast<void*>(CollectionLength)},          \
      {Py_mp_subscript, reinterpret_cast<void*>(Subscript)}, {            \
    Py_mp_ass_subscript, reinterpret_cast<void*>(AssignSubscript)         \
  }

PyType_Slot kMapSlots[] = {{Py_tp_doc, const_cast<char*>("A Map field of an entity.")},
                           {Py_tp_methods, kMapMethods},
                           {Py_nb_or, reinterpret_cast<void*>(Or)},
                           {Py_nb_inplace_or, reinterpret_cast<void*>(InPlaceOr)},
                           BETTONG_MAPPING_SLOTS,
                           {0, nullptr}};
PyType_Slot kCounterSlots[] = {{Py_tp_doc, const_cast<char*>("A Counter field of an entity.")},
                               {Py_tp_methods, kCounterMethods},
                               BETTONG_MAPPING_SLOTS,
                               {0, nullptr}};

#undef BETTONG_MAPPING_METHODS
#undef BETTONG_MAPPING_SLOTS

constexpr unsigned kFlags =
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_MAPPING;

}  // namespace

PyType_Spec kMapSpec = {"_bettong.Map", sizeof(ContainerObject), 0, kFlags, kMapSlots};
PyType_Spec kCounterSpec = {"_bettong.Counter", sizeof(ContainerObject), 0, kFlags, kCounterSlots};

}  // namespace bettong::compute::python
