#include "compute/python/columns_type.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "compute/python/event_binding.h"

namespace bettong::compute::python {
namespace {

struct ColumnsObject {
  PyObject_HEAD const EventClass* event_class;
  EventBinding* binding;
  const grid::EventRecord* const* events;  // null: the turn is over
  size_t count;
  PyObject* made;         // dict of the columns so far, by name
  PyObject* stale_error;  // borrowed
};

ColumnsObject* Self(PyObject* self) { return reinterpret_cast<ColumnsObject*>(self); }

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(Self(self)->made);
  type->tp_free(self);
  Py_DECREF(type);
}

bool InTurn(const ColumnsObject* self) {
  if (self->events != nullptr) return true;
  PyErr_SetString(self->stale_error,
                  "these columns were kept after their turn had ended; keep their arrays instead");
  return false;
}

Py_ssize_t Length(PyObject* self) {
  return InTurn(Self(self)) ? static_cast<Py_ssize_t>(Self(self)->count) : -1;
}

// Numbers in memory of numpy's: an array of `dtype`, filled by `value`.
template <typename T, typename ValueOf>
Ref NumberColumn(PyObject* numpy, const char* dtype, size_t count, const ValueOf& value) {
  Ref bytes(PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count * sizeof(T))));
  if (!bytes) return bytes;
  char* data = PyByteArray_AS_STRING(bytes.get());
  for (size_t i = 0; i < count; ++i) {
    const T each = value(i);
    std::memcpy(data + i * sizeof(T), &each, sizeof(T));
  }
  return Ref(PyObject_CallMethod(numpy, "frombuffer", "Os", bytes.get(), dtype));
}

Ref ObjectColumn(const ColumnsObject* self, PyObject* numpy, size_t field) {
  Ref array(PyObject_CallMethod(numpy, "empty", "ns", static_cast<Py_ssize_t>(self->count), "O"));
  for (size_t i = 0; array && i < self->count; ++i) {
    Ref value = self->binding->MakeField(*self->events[i], field);
    if (!value || PySequence_SetItem(array.get(), static_cast<Py_ssize_t>(i), value.get()) < 0) {
      return Ref();
    }
  }
  return array;
}

Ref MakeColumn(const ColumnsObject* self, size_t field) {
  Ref numpy(PyImport_ImportModule("numpy"));
  if (!numpy) return numpy;
  const auto& event = [&](size_t i) -> const grid::EventRecord& { return *self->events[i]; };
  bool any_null = false;
  for (size_t i = 0; i < self->count; ++i) any_null |= event(i).IsNull(field);
  const Converter::Kind kind = self->event_class->fields()[field].converter.kind();
  if (kind == Converter::Kind::kFloat) {
    return NumberColumn<double>(numpy.get(), "f8", self->count, [&](size_t i) {
      return event(i).IsNull(field) ? std::numeric_limits<double>::quiet_NaN()
                                    : event(i).Float(field);
    });
  }
  if (kind == Converter::Kind::kInt && !any_null) {
    return NumberColumn<int64_t>(numpy.get(), "i8", self->count,
                                 [&](size_t i) { return event(i).Int(field); });
  }
  if (kind == Converter::Kind::kBool && !any_null) {
    return NumberColumn<char>(numpy.get(), "?", self->count,
                              [&](size_t i) { return static_cast<char>(event(i).Bool(field)); });
  }
  return ObjectColumn(self, numpy.get(), field);
}

PyObject* GetColumn(PyObject* object, PyObject* name) {
  ColumnsObject* self = Self(object);
  const std::string_view text = TextOf(name);
  if (text.data() == nullptr) return nullptr;
  if (text.starts_with("__")) return PyObject_GenericGetAttr(object, name);
  if (!InTurn(self)) return nullptr;
  if (PyObject* made = PyDict_GetItemWithError(self->made, name)) return Py_NewRef(made);
  if (PyErr_Occurred() != nullptr) return nullptr;
  const auto& fields = self->event_class->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name != text) continue;
    Ref column = MakeColumn(self, i);
    if (!column || PyDict_SetItem(self->made, name, column.get()) < 0) return nullptr;
    return column.release();
  }
  PyErr_Format(PyExc_AttributeError, "%.200s has no field %R, and its columns have none",
               self->event_class->type()->tp_name, name);
  return nullptr;
}

PyMethodDef kMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "Columns[Sample], for annotations."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("The events of a turn as numpy arrays, one for each field.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_getattro, reinterpret_cast<void*>(GetColumn)},
    {Py_sq_length, reinterpret_cast<void*>(Length)},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};

}  // namespace

PyType_Spec kColumnsSpec = {
    "_bettong.Columns",
    sizeof(ColumnsObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kSlots,
};

Ref MakeColumns(PyObject* type, const EventClass& event_class, EventBinding& binding,
                std::span<const grid::EventRecord* const> events, PyObject* stale_error) {
  auto* of = reinterpret_cast<PyTypeObject*>(type);
  Ref made(of->tp_alloc(of, 0));
  if (!made) return made;
  ColumnsObject* self = Self(made.get());
  self->made = PyDict_New();
  if (self->made == nullptr) return Ref();
  self->event_class = &event_class;
  self->binding = &binding;
  self->events = events.data();
  self->count = events.size();
  self->stale_error = stale_error;
  return made;
}

void EndColumns(PyObject* columns) { Self(columns)->events = nullptr; }

}  // namespace bettong::compute::python
