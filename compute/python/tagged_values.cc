#include "compute/python/tagged_values.h"

#include <cstring>

#include "compute/python/array_type.h"
#include "compute/python/collection_site.h"
#include "compute/python/json_writer.h"
#include "compute/python/nesting.h"
#include "grid/tagged.h"

namespace bettong::compute::python {
namespace {

using grid::TaggedWriter;

// `depth`: how many lists, maps and events there are around the value.
bool WriteValue(PyObject* value, int depth, std::string& out);

bool WriteInt(PyObject* value, std::string& out) {
  int overflow = 0;
  long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0) {
    TaggedWriter(out).Int(number);
    return true;
  }
  Ref text(PyLong_Type.tp_repr(value));
  if (!text) return false;
  TaggedWriter(out).Text(TextOf(text.get()));
  return true;
}

bool WriteText(PyObject* value, std::string& out) {
  Ref utf8(PyUnicode_AsEncodedString(value, "utf-8", "surrogateescape"));
  if (!utf8) return false;
  TaggedWriter(out).Text(
      {PyBytes_AS_STRING(utf8.get()), static_cast<size_t>(PyBytes_GET_SIZE(utf8.get()))});
  return true;
}

bool WriteDict(PyObject* dict, int depth, std::string& out) {
  if (!MayNest(depth, "the result ")) return false;
  Ref items(PyDict_Items(dict));
  if (!items) return false;
  Py_ssize_t size = PyList_GET_SIZE(items.get());
  TaggedWriter(out).Map(static_cast<uint64_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* item = PyList_GET_ITEM(items.get(), i);
    if (!WriteValue(PyTuple_GET_ITEM(item, 0), depth + 1, out)) return false;
    if (!WriteValue(PyTuple_GET_ITEM(item, 1), depth + 1, out)) return false;
  }
  return true;
}

bool WriteList(PyObject* iterable, int depth, std::string& out) {
  if (!MayNest(depth, "the result ")) return false;
  Ref items(PySequence_Tuple(iterable));
  if (!items) return false;
  Py_ssize_t size = PyTuple_GET_SIZE(items.get());
  TaggedWriter(out).List(static_cast<uint64_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (!WriteValue(PyTuple_GET_ITEM(items.get(), i), depth + 1, out)) return false;
  }
  return true;
}

// An event is a map of its fields.
bool WriteEvent(PyObject* event, PyObject* known, int depth, std::string& out) {
  if (!MayNest(depth, "the result ")) return false;
  TaggedWriter(out).Map(static_cast<uint64_t>(PyDict_GET_SIZE(known)));
  PyObject *name = nullptr, *required = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(known, &at, &name, &required);) {
    Ref value(PyObject_GetAttr(event, name));
    if (!value || !WriteText(name, out) || !WriteValue(value.get(), depth + 1, out)) return false;
  }
  return true;
}

bool IsOfNumpy(PyObject* value) { return std::strncmp(Py_TYPE(value)->tp_name, "numpy.", 6) == 0; }

bool WriteContainer(PyObject* value, int depth, std::string& out) {
  if (PyDict_Check(value)) return WriteDict(value, depth, out);
  if (PyList_Check(value) || PyTuple_Check(value) || PyAnySet_Check(value)) {
    return WriteList(value, depth, out);
  }
  if (IsArray(value)) {
    Ref list(ArrayToList(value));
    return list && WriteList(list.get(), depth, out);
  }
  if (IsCollection(value)) {
    Ref plain(CollectionToPlain(value));
    return plain && WriteContainer(plain.get(), depth, out);
  }
  if (Ref known = KnownFields(reinterpret_cast<PyObject*>(Py_TYPE(value)))) {
    return WriteEvent(value, known.get(), depth, out);
  }
  if (IsOfNumpy(value)) {
    Ref plain(PyObject_CallMethod(value, "tolist", nullptr));
    if (!plain) return false;
    if (!IsOfNumpy(plain.get())) return WriteValue(plain.get(), depth, out);
  }
  PyErr_Format(PyExc_TypeError,
               "a command cannot return %.200s; return None, bool, int, float, str, bytes, a list, "
               "tuple, set or dict of these, or an Event",
               Py_TYPE(value)->tp_name);
  return false;
}

bool WriteValue(PyObject* value, int depth, std::string& out) {
  TaggedWriter writer(out);
  if (value == Py_None) return writer.Nil(), true;
  if (PyBool_Check(value)) return writer.Bool(value == Py_True), true;
  if (PyLong_Check(value)) return WriteInt(value, out);
  if (PyFloat_Check(value)) return writer.Float(PyFloat_AS_DOUBLE(value)), true;
  if (PyUnicode_Check(value)) return WriteText(value, out);
  if (PyBytes_Check(value)) {
    writer.Bytes({PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))});
    return true;
  }
  return WriteContainer(value, depth, out);
}

}  // namespace

namespace {

bool WriteArgument(PyObject* value, int depth, std::string& out);

bool WriteArgumentItems(PyObject* items, int depth, std::string& out) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); ++i) {
    if (!WriteArgument(PyTuple_GET_ITEM(items, i), depth, out)) return false;
  }
  return true;
}

bool WriteArgument(PyObject* value, int depth, std::string& out) {
  constexpr char kWhat[] = "the argument ";
  TaggedWriter writer(out);
  if (value == Py_None) return writer.Nil(), true;
  if (PyBool_Check(value)) return writer.Bool(value == Py_True), true;
  if (PyLong_Check(value)) {
    const long long number = PyLong_AsLongLong(value);
    if (number == -1 && PyErr_Occurred() != nullptr) return false;
    return writer.Int(number), true;
  }
  if (PyFloat_Check(value)) return writer.Float(PyFloat_AS_DOUBLE(value)), true;
  if (PyUnicode_Check(value)) {
    const std::string_view text = TextOf(value);
    if (text.data() == nullptr) return false;
    return writer.Text(text), true;
  }
  if (PyBytes_Check(value)) {
    writer.Bytes({PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))});
    return true;
  }
  if (PyList_Check(value) || PyTuple_Check(value)) {
    Ref items(PySequence_Tuple(value));
    if (!items || !MayNest(depth, kWhat)) return false;
    writer.List(static_cast<uint64_t>(PyTuple_GET_SIZE(items.get())));
    return WriteArgumentItems(items.get(), depth + 1, out);
  }
  if (PyDict_Check(value)) {
    Ref pairs(PyDict_Items(value));
    if (!pairs || !MayNest(depth, kWhat)) return false;
    writer.Map(static_cast<uint64_t>(PyList_GET_SIZE(pairs.get())));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pairs.get()); ++i) {
      if (!WriteArgumentItems(PyList_GET_ITEM(pairs.get(), i), depth + 1, out)) return false;
    }
    return true;
  }
  PyErr_Format(PyExc_TypeError,
               "an argument of a later call is None, bool, int, float, str, bytes, or a list or "
               "dict of these, not %.200s",
               Py_TYPE(value)->tp_name);
  return false;
}

Ref ReadValue(grid::TaggedReader& in) {
  const grid::TaggedItem item = in.Next();
  const auto size = static_cast<Py_ssize_t>(item.bytes.size());
  switch (item.tag) {
    case grid::Tag::kNil:
      return Ref::Borrowed(Py_None);
    case grid::Tag::kTrue:
      return Ref::Borrowed(Py_True);
    case grid::Tag::kFalse:
      return Ref::Borrowed(Py_False);
    case grid::Tag::kInt:
      return Ref(PyLong_FromLongLong(item.integer));
    case grid::Tag::kFloat:
      return Ref(PyFloat_FromDouble(item.real));
    case grid::Tag::kText:
      return Ref(PyUnicode_DecodeUTF8(item.bytes.data(), size, nullptr));
    case grid::Tag::kBytes:
      return Ref(PyBytes_FromStringAndSize(item.bytes.data(), size));
    case grid::Tag::kList: {
      Ref list(PyList_New(0));
      for (uint64_t i = 0; list && in.ok() && i < item.size; ++i) {
        Ref element = ReadValue(in);
        if (!element || PyList_Append(list.get(), element.get()) < 0) return Ref();
      }
      return list;
    }
    case grid::Tag::kMap: {
      Ref dict(PyDict_New());
      for (uint64_t i = 0; dict && in.ok() && i < item.size; ++i) {
        Ref key = ReadValue(in);
        Ref value = key ? ReadValue(in) : Ref();
        if (!value || PyDict_SetItem(dict.get(), key.get(), value.get()) < 0) return Ref();
      }
      return dict;
    }
    case grid::Tag::kError:
    case grid::Tag::kStatus:
      break;
  }
  PyErr_SetString(PyExc_RuntimeError, "the arguments are not what was recorded");
  return Ref();
}

}  // namespace

bool WriteArguments(PyObject* const* arguments, size_t count, std::string& out) {
  TaggedWriter(out).List(count);
  for (size_t i = 0; i < count; ++i) {
    if (!WriteArgument(arguments[i], 0, out)) return false;
  }
  return true;
}

Ref ReadTagged(std::string_view tagged) {
  grid::TaggedReader in(tagged);
  return ReadValue(in);
}

bool ReadArguments(std::string_view tagged, std::vector<Ref>& arguments) {
  grid::TaggedReader in(tagged);
  const grid::TaggedItem list = in.Next();
  for (uint64_t i = 0; in.ok() && i < list.size; ++i) {
    Ref value = ReadValue(in);
    if (!value) return false;
    arguments.push_back(std::move(value));
  }
  if (in.ok()) return true;
  PyErr_SetString(PyExc_RuntimeError, "the arguments are not what was recorded");
  return false;
}

bool WriteTagged(PyObject* value, std::string& out) { return WriteValue(value, 0, out); }

namespace {

bool WriteKey(PyObject* key, std::string& out) {
  TaggedWriter writer(out);
  if (PyUnicode_Check(key)) return WriteText(key, out);
  if (PyBytes_Check(key)) {
    writer.Text({PyBytes_AS_STRING(key), static_cast<size_t>(PyBytes_GET_SIZE(key))});
    return true;
  }
  if ((PyLong_Check(key) || PyIndex_Check(key)) && !PyBool_Check(key)) {
    Ref number(PyNumber_Index(key));
    Ref text(number ? PyLong_Type.tp_repr(number.get()) : nullptr);
    return text && WriteText(text.get(), out);
  }
  PyErr_Format(PyExc_TypeError, "a key is str, int or bytes, not %.200s", Py_TYPE(key)->tp_name);
  return false;
}

}  // namespace

bool WriteKeys(PyObject* result, std::string& out) {
  if (PyUnicode_Check(result) || PyBytes_Check(result) || PyLong_Check(result)) {
    TaggedWriter(out).List(1);
    return WriteKey(result, out);
  }
  if (result == Py_None) {
    PyErr_SetString(PyExc_TypeError,
                    "the key function returned None; return an empty list to skip an event");
    return false;
  }
  Ref keys(PySequence_Tuple(result));
  if (!keys) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError) || Py_TYPE(result)->tp_iter != nullptr) {
      return false;
    }
    PyErr_Clear();
    TaggedWriter(out).List(1);
    return WriteKey(result, out);
  }
  Py_ssize_t size = PyTuple_GET_SIZE(keys.get());
  TaggedWriter(out).List(static_cast<uint64_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (!WriteKey(PyTuple_GET_ITEM(keys.get(), i), out)) return false;
  }
  return true;
}

PyObject* TakeErrorText() {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Ref owned_type(type), owned_value(value), owned_traceback(traceback);
  PyObject* text = value == nullptr ? nullptr : PyObject_Str(value);
  if (text == nullptr) PyErr_Clear();
  return text;
}

}  // namespace bettong::compute::python
