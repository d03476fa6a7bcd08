#include "compute/python/collection_site.h"

#include <cmath>
#include <cstring>

#include "compute/python/number.h"

namespace bettong::compute::python {

using grid::CollectionKind;
using grid::Dictionary;
using grid::Edit;
using grid::Scalar;
using grid::ScalarType;

PyTypeObject* CollectionTypes::Of(CollectionKind kind) const {
  switch (kind) {
    case CollectionKind::kRing:
      return ring;
    case CollectionKind::kList:
      return list;
    case CollectionKind::kMap:
      return map;
    case CollectionKind::kSet:
      return set;
    case CollectionKind::kCounter:
      break;
  }
  return counter;
}

[[gnu::cold]] CollectionSite* RaiseStaleCollection(PyObject* self) {
  if (RaisedOffLane(self)) return nullptr;
  PyErr_SetString(reinterpret_cast<ContainerObject*>(self)->stale_error,
                  "this collection was used after its turn had ended; keep a copy instead: list(), "
                  "dict() or set() of it");
  return nullptr;
}

// --- elements

PyObject* FromScalar(const CollectionSite& site, ScalarType type, const Scalar& value) {
  switch (type) {
    case ScalarType::kInt:
      return PyLong_FromLongLong(static_cast<int64_t>(value.raw));
    case ScalarType::kFloat: {
      double number;
      std::memcpy(&number, &value.raw, sizeof(number));
      return PyFloat_FromDouble(number);
    }
    case ScalarType::kBool:
      return PyBool_FromLong(value.raw != 0);
    case ScalarType::kText:
      return MakeText(value.bytes);
    case ScalarType::kBytes:
      return PyBytes_FromStringAndSize(value.bytes.data(),
                                       static_cast<Py_ssize_t>(value.bytes.size()));
    case ScalarType::kRecord:
      return site.record.Make(site, value.bytes);
    case ScalarType::kNone:
      break;
  }
  Py_RETURN_NONE;
}

namespace {

NumberResult ToRaw(ScalarType type, PyObject* value, uint64_t* raw) {
  int64_t integer = 0;
  double real = 0;
  NumberResult result = NumberResult::kWrongType;
  if (type == ScalarType::kInt) {
    result = ToInt64(value, &integer);
  } else if (type == ScalarType::kFloat) {
    result = ToDouble(value, &real);
    std::memcpy(&integer, &real, sizeof(real));
  } else if (PyBool_Check(value)) {
    result = NumberResult::kOk;
    integer = value == Py_True;
  }
  *raw = static_cast<uint64_t>(integer);
  return result;
}

bool IsOfBytes(ScalarType type, PyObject* value) {
  return type == ScalarType::kText ? PyUnicode_Check(value) : PyBytes_Check(value);
}

// Its data() is null, and an exception set, where a str has no UTF-8 form.
std::string_view BytesOf(ScalarType type, PyObject* value) {
  if (type == ScalarType::kText) return TextOf(value);
  return {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))};
}

}  // namespace

bool ToScalar(const CollectionSite& site, ScalarType type, PyObject* value, Scalar* scalar) {
  NumberResult result = NumberResult::kWrongType;
  if (type == ScalarType::kRecord) {
    if (site.record.IsInstance(value)) {
      // A local one: __index__ may put another record in.
      std::string bytes;
      if (!site.record.Encode(site, value, bytes)) return false;
      site.encoded = std::move(bytes);
      scalar->bytes = site.encoded;
      return true;
    }
  } else if (!grid::IsBytes(type)) {
    result = ToRaw(type, value, &scalar->raw);
  } else if (IsOfBytes(type, value)) {
    scalar->bytes = BytesOf(type, value);
    if (scalar->bytes.data() != nullptr) return true;
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%s takes no text with lone surrogates", site.name.c_str());
    return false;
  }
  if (result == NumberResult::kOk) return true;
  const std::string expected(type == ScalarType::kRecord ? site.spec.record->name
                                                         : std::string(grid::NameOf(type)));
  if (result == NumberResult::kWrongType) {
    PyErr_Format(PyExc_TypeError, "%s takes %s, not %.200s", site.name.c_str(), expected.c_str(),
                 value == Py_None ? "None" : Py_TYPE(value)->tp_name);
  } else if (result == NumberResult::kOverflow) {
    PyErr_Format(PyExc_OverflowError,
                 type == ScalarType::kInt ? "%s: the int does not fit into 64 bits"
                                          : "%s: the int is too large for a float",
                 site.name.c_str());
  }
  return false;
}

bool ToLookup(const CollectionSite& site, ScalarType type, PyObject* value, Scalar* scalar) {
  if (type == ScalarType::kRecord) {
    if (!site.record.IsInstance(value)) return false;
    if (ToScalar(site, type, value, scalar)) return true;
    PyErr_Clear();  // what cannot be stored is not there
    return false;
  }
  if (grid::IsBytes(type)) {
    if (IsOfBytes(type, value)) {
      scalar->bytes = BytesOf(type, value);
      if (scalar->bytes.data() != nullptr) return true;
      PyErr_Clear();
      return false;
    }
  } else if (type == ScalarType::kInt && PyFloat_Check(value)) {
    // 1.0 is found as 1.
    const double real = PyFloat_AS_DOUBLE(value);
    if (real != std::floor(real) || std::abs(real) >= 0x1p63) return false;
    scalar->raw = static_cast<uint64_t>(static_cast<int64_t>(real));
    return true;
  } else if (PyLong_Check(value) || PyFloat_Check(value)) {
    if (type == ScalarType::kBool && !PyBool_Check(value)) {
      double real = 0;
      if (ToDouble(value, &real) != NumberResult::kOk || (real != 0 && real != 1)) return false;
      scalar->raw = real == 1;
      return true;
    }
    return ToRaw(type, value, &scalar->raw) == NumberResult::kOk;
  }
  // What cannot be hashed raises.
  (void)PyObject_Hash(value);
  return false;
}

bool Check(const CollectionSite& site, Edit edit) {
  const char* name = site.name.c_str();
  switch (edit) {
    case Edit::kDone:
      return true;
    case Edit::kFull:
      PyErr_Format(PyExc_OverflowError, "%s is full: it has room for %u elements", name,
                   site.spec.elements_max);
      break;
    case Edit::kElementTooLong:
      PyErr_Format(PyExc_OverflowError, "%s: an element is longer than %zu bytes", name,
                   grid::kElementBytesMax);
      break;
    case Edit::kTooLarge:
      PyErr_Format(PyExc_OverflowError, "%s would hold more than %zu bytes", name,
                   grid::kCollectionBytesMax);
      break;
    case Edit::kTurnTooLarge:
      PyErr_Format(PyExc_OverflowError, "one turn changes more than %zu bytes of %s",
                   grid::kTurnOperationBytesMax, name);
      break;
  }
  return false;
}

// --- plain ones

PyObject* SequenceToList(const CollectionSite& site, size_t first, size_t count, Py_ssize_t step) {
  const grid::Sequence& sequence = site.sequence();
  Ref list(PyList_New(static_cast<Py_ssize_t>(count)));
  if (!list) return nullptr;
  auto at = static_cast<Py_ssize_t>(first);
  for (size_t i = 0; i < count; ++i, at += step) {
    PyObject* item = FromScalar(site, sequence.type(), sequence.At(static_cast<size_t>(at)));
    if (item == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), item);
  }
  return list.release();
}

PyObject* DictionaryToPlain(const CollectionSite& site, bool set_as_list) {
  const Dictionary& dictionary = site.dictionary();
  const bool set = site.spec.kind == CollectionKind::kSet;
  Ref plain(!set ? PyDict_New() : set_as_list ? PyList_New(0) : PySet_New(nullptr));
  if (!plain) return nullptr;
  for (uint32_t i = dictionary.Next(0); i != Dictionary::kNowhere; i = dictionary.Next(i + 1)) {
    Ref key(FromScalar(site, dictionary.key_type(), dictionary.KeyAt(i)));
    if (!key) return nullptr;
    if (set) {
      const int added =
          set_as_list ? PyList_Append(plain.get(), key.get()) : PySet_Add(plain.get(), key.get());
      if (added < 0) return nullptr;
      continue;
    }
    Ref value(FromScalar(site, dictionary.value_type(), dictionary.ValueAt(i)));
    if (!value || PyDict_SetItem(plain.get(), key.get(), value.get()) < 0) return nullptr;
  }
  return plain.release();
}

bool IsCollection(PyObject* value) { return Py_TYPE(value)->tp_dealloc == CollectionDealloc; }

PyObject* CollectionToPlain(PyObject* collection, bool set_as_list) {
  const CollectionSite* site = CollectionOf(collection);
  if (site == nullptr) return nullptr;
  if (site->spec.is_sequence()) return SequenceToList(*site, 0, site->size(), 1);
  return DictionaryToPlain(*site, set_as_list);
}

// --- whole ones

bool ExtendSequence(CollectionSite& site, PyObject* iterable) {
  AllOrNothing all(site);
  // A copy: what is iterated may be this, or change while elements are converted.
  Ref items(PySequence_List(iterable));
  if (!items || !all.CheckTurn()) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    Scalar value;
    if (!ToScalar(site, site.spec.value, PyList_GET_ITEM(items.get(), i), &value)) return false;
    if (!all.CheckTurn() || !Check(site, site.sequence().Append(value, site.changes))) return false;
  }
  ++site.version;
  return all.Keep();
}

bool UpdateSet(CollectionSite& site, PyObject* iterable) {
  AllOrNothing all(site);
  Ref items(PySequence_List(iterable));
  if (!items || !all.CheckTurn()) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    Scalar key;
    if (!ToScalar(site, site.spec.key, PyList_GET_ITEM(items.get(), i), &key)) return false;
    if (!all.CheckTurn() || !Check(site, site.dictionary().Put(key, {}, site.changes)))
      return false;
  }
  ++site.version;
  return all.Keep();
}

namespace {

bool PutOne(CollectionSite& site, const AllOrNothing& all, PyObject* key_object,
            PyObject* value_object, int sign) {
  Scalar key, value;
  if (!ToScalar(site, site.spec.key, key_object, &key)) return false;
  if (!ToScalar(site, site.spec.value, value_object, &value) || !all.CheckTurn()) return false;
  Dictionary& dictionary = site.dictionary();
  if (sign != 0) {
    const uint32_t position = dictionary.Find(key);
    const auto old = position == Dictionary::kNowhere
                         ? int64_t{0}
                         : static_cast<int64_t>(dictionary.ValueAt(position).raw);
    int64_t product = 0, sum = 0;
    if (__builtin_mul_overflow(static_cast<int64_t>(value.raw), int64_t{sign}, &product) ||
        __builtin_add_overflow(old, product, &sum)) {
      PyErr_Format(PyExc_OverflowError, "%s: the count does not fit into 64 bits",
                   site.name.c_str());
      return false;
    }
    value.raw = static_cast<uint64_t>(sum);
  }
  return Check(site, dictionary.Put(key, value, site.changes));
}

}  // namespace

bool UpdateMapping(CollectionSite& site, PyObject* other, int sign) {
  const bool counter = site.spec.kind == CollectionKind::kCounter;
  AllOrNothing all(site);
  Ref plain;
  if (PyDict_CheckExact(other)) {
    plain = Ref(PyDict_Copy(other));
  } else if (IsCollection(other)) {
    plain = Ref(CollectionToPlain(other));
  } else if (PyObject_HasAttrString(other, "keys") != 0) {
    plain = Ref(PyDict_New());
    if (plain && PyDict_Update(plain.get(), other) < 0) return false;
  } else if (counter) {
    plain = Ref(PySequence_List(other));
  } else {
    plain = Ref(PyDict_New());
    if (plain && PyDict_MergeFromSeq2(plain.get(), other, 1) < 0) return false;
  }
  if (!plain || !all.CheckTurn()) return false;
  if (PyDict_CheckExact(plain.get())) {
    PyObject *key = nullptr, *value = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(plain.get(), &at, &key, &value);) {
      if (!PutOne(site, all, key, value, counter ? sign : 0)) return false;
    }
  } else {
    Ref items(PySequence_List(plain.get())), one(PyLong_FromLong(1));
    if (!items || !one) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
      if (!PutOne(site, all, PyList_GET_ITEM(items.get(), i), one.get(), sign)) return false;
    }
  }
  ++site.version;
  return all.Keep();
}

namespace {

const char* PlainName(CollectionKind kind) {
  switch (kind) {
    case CollectionKind::kRing:
    case CollectionKind::kList:
      return "a list or another iterable";
    case CollectionKind::kSet:
      return "a set or another iterable";
    case CollectionKind::kMap:
    case CollectionKind::kCounter:
      break;
  }
  return "a dict";
}

bool MayBeAssigned(CollectionKind kind, PyObject* value) {
  if (value == nullptr || PyUnicode_Check(value) || PyBytes_Check(value)) return false;
  if (kind == CollectionKind::kMap || kind == CollectionKind::kCounter) {
    return PyObject_HasAttrString(value, "keys") != 0;
  }
  return Py_TYPE(value)->tp_iter != nullptr || PySequence_Check(value) != 0;
}

}  // namespace

bool AssignCollection(CollectionSite& site, PyObject* value) {
  const CollectionKind kind = site.spec.kind;
  if (!MayBeAssigned(kind, value)) {
    PyErr_Format(PyExc_TypeError, "%s must be %s, not %.200s", site.name.c_str(), PlainName(kind),
                 value == nullptr   ? "deleted"
                 : value == Py_None ? "None"
                                    : Py_TYPE(value)->tp_name);
    return false;
  }
  const bool mapping = kind == CollectionKind::kMap || kind == CollectionKind::kCounter;
  AllOrNothing all(site);
  // A copy first: it may be made of what is there.
  Ref copy(mapping ? PyDict_New() : PySequence_List(value));
  if (!copy) return false;
  if (mapping) {
    Ref plain(IsCollection(value) ? CollectionToPlain(value) : Py_NewRef(value));
    if (!plain || PyDict_Update(copy.get(), plain.get()) < 0) return false;
  }
  if (!all.CheckTurn()) return false;
  if (site.spec.is_sequence()) {
    return Check(site, site.sequence().Clear(site.changes)) && ExtendSequence(site, copy.get()) &&
           all.Keep();
  }
  if (!Check(site, site.dictionary().Clear(site.changes))) return false;
  return (mapping ? UpdateMapping(site, copy.get(), 1) : UpdateSet(site, copy.get())) && all.Keep();
}

// --- of all types

void CollectionDealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* CollectionRepr(PyObject* self) {
  Ref plain(CollectionToPlain(self, /*set_as_list=*/true));
  if (!plain) return nullptr;
  const char* name = std::strrchr(Py_TYPE(self)->tp_name, '.');
  return PyUnicode_FromFormat("%s(%R)", name == nullptr ? Py_TYPE(self)->tp_name : name + 1,
                              plain.get());
}

Py_ssize_t CollectionLength(PyObject* self) {
  const CollectionSite* site = CollectionOf(self);
  return site == nullptr ? -1 : static_cast<Py_ssize_t>(site->size());
}

PyObject* CollectionCopy(PyObject* self, PyObject*) { return CollectionToPlain(self); }

PyObject* CollectionClear(PyObject* self, PyObject*) {
  CollectionSite* site = CollectionOf(self);
  if (site == nullptr) return nullptr;
  ++site->version;
  const Edit edit = site->spec.is_sequence() ? site->sequence().Clear(site->changes)
                                             : site->dictionary().Clear(site->changes);
  if (!Check(*site, edit)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* CollectionCompare(PyObject* self, PyObject* other, int op) {
  Ref mine(CollectionToPlain(self));
  Ref theirs(IsCollection(other) ? CollectionToPlain(other) : Py_NewRef(other));
  if (!mine || !theirs) return nullptr;
  return PyObject_RichCompare(mine.get(), theirs.get(), op);
}

}  // namespace bettong::compute::python
