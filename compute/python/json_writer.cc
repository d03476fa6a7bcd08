#include "compute/python/json_writer.h"

#include <cmath>
#include <cstring>
#include <string_view>

#include "compute/python/array_type.h"
#include "compute/python/collection_site.h"
#include "compute/python/nesting.h"

namespace bettong::compute::python {
namespace {

constexpr const char* kKnownFields = "__bettong_known__";  // dict: field name -> is it required

void AppendEscaped(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    out.push_back('\\');
    switch (c) {
      case '"':
      case '\\':
        out.push_back(static_cast<char>(c));
        break;
      case '\n':
        out.push_back('n');
        break;
      case '\r':
        out.push_back('r');
        break;
      case '\t':
        out.push_back('t');
        break;
      case '\b':
        out.push_back('b');
        break;
      case '\f':
        out.push_back('f');
        break;
      default:
        out.append("u00");
        out.push_back(kHex[c >> 4]);
        out.push_back(kHex[c & 15]);
    }
  }
  out.append(text, plain);
  out.push_back('"');
}

std::string FieldPlace(PyObject* name) {
  std::string place = ".";
  std::string_view text = TextOf(name);
  if (text.data() == nullptr) PyErr_Clear();
  return place.append(text);
}

}  // namespace

Ref KnownFields(PyObject* type) {
  Ref known(PyObject_GetAttrString(type, kKnownFields));
  if (!known || !PyDict_CheckExact(known.get())) {
    PyErr_Clear();
    return Ref();
  }
  return known;
}

bool IsNumpyScalar(PyObject* value) {
  return std::strncmp(Py_TYPE(value)->tp_name, "numpy.", 6) == 0 &&
         Py_TYPE(value)->tp_as_number != nullptr &&
         std::strcmp(Py_TYPE(value)->tp_name, "numpy.ndarray") != 0;
}

bool AppendJsonText(PyObject* text, std::string& out) {
  std::string_view utf8 = TextOf(text);
  if (utf8.data() == nullptr) return false;
  AppendEscaped(utf8, out);
  return true;
}

bool JsonWriter::Open(char bracket) {
  if (!MayNest(depth_)) return false;
  ++depth_;
  out_.push_back(bracket);
  return true;
}

void JsonWriter::Close(char bracket) {
  --depth_;
  out_.push_back(bracket);
}

bool JsonWriter::Fail(PyObject* type, const char* format, PyObject* value) {
  PyErr_Format(type, format, value);
  return false;
}

void JsonWriter::RaiseAt(const std::string& call, const char* part) {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Ref owned_type(type), owned_value(value), owned_traceback(traceback);
  if (type != PyExc_TypeError && type != PyExc_ValueError) {
    PyErr_Restore(owned_type.release(), owned_value.release(), owned_traceback.release());
    return;
  }
  std::string_view place = place_;
  if (place.starts_with('.')) place.remove_prefix(1);
  const std::string where = place.empty() ? "" : std::string(part) + " " + ShownPlace(place) + " ";
  PyErr_Format(type, "%s: %s%S", call.c_str(), where.c_str(), value == nullptr ? Py_None : value);
}

bool JsonWriter::WriteEvent(PyObject* event) {
  Ref known = KnownFields(reinterpret_cast<PyObject*>(Py_TYPE(event)));
  if (known) {
    if (event_ != Py_None && PyObject_IsInstance(event, event_) != 1) {
      PyErr_Format(PyExc_TypeError, "expected %.200s, got %.200s",
                   reinterpret_cast<PyTypeObject*>(event_)->tp_name, Py_TYPE(event)->tp_name);
      return false;
    }
    return WriteEventFields(event, known.get());
  }
  if (!PyDict_Check(event)) {
    PyErr_Format(PyExc_TypeError, "expected an event, a dict or fields by name, got %.200s",
                 Py_TYPE(event)->tp_name);
    return false;
  }
  return CheckNames(event) && WriteMapping(event);
}

bool JsonWriter::WriteFields(PyObject* names, PyObject* const* values, Py_ssize_t count) {
  if (!CheckNames(names)) return false;
  if (!Open('{')) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    if (i > 0) out_.push_back(',');
    if (!AppendJsonText(name, out_)) return false;
    out_.push_back(':');
    if (!WriteValue(values[i])) {
      place_.insert(0, FieldPlace(name));
      return false;
    }
  }
  Close('}');
  return true;
}

// On a stream with an event class, fields given by name must be those of the class.
bool JsonWriter::CheckNames(PyObject* given) {
  if (event_ == Py_None) return true;
  const char* cls = reinterpret_cast<PyTypeObject*>(event_)->tp_name;
  Ref known = KnownFields(event_);
  if (!known) return true;
  PyObject *name = nullptr, *required = nullptr;
  Ref names(given == nullptr ? PyTuple_New(0) : PySequence_Tuple(given));
  if (!names) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.get()); ++i) {
    name = PyTuple_GET_ITEM(names.get(), i);
    int found = PyDict_Contains(known.get(), name);
    if (found < 0) return false;
    if (found == 0) {
      PyErr_Format(PyExc_TypeError, "%.200s has no field %R", cls, name);
      return false;
    }
  }
  for (Py_ssize_t at = 0; PyDict_Next(known.get(), &at, &name, &required);) {
    if (required != Py_True) continue;
    int found = PySequence_Contains(names.get(), name);
    if (found < 0) return false;
    if (found == 0) {
      PyErr_Format(PyExc_TypeError, "%.200s needs the field %R", cls, name);
      return false;
    }
  }
  return true;
}

bool JsonWriter::WriteEventFields(PyObject* event, PyObject* known) {
  if (!Open('{')) return false;
  PyObject *name = nullptr, *required = nullptr;
  bool first = true;
  for (Py_ssize_t at = 0; PyDict_Next(known, &at, &name, &required);) {
    if (!first) out_.push_back(',');
    first = false;
    Ref value(PyObject_GetAttr(event, name));
    if (!value) return false;
    if (!AppendJsonText(name, out_)) return false;
    out_.push_back(':');
    if (!WriteValue(value.get())) {
      place_.insert(0, FieldPlace(name));
      return false;
    }
  }
  Close('}');
  return true;
}

bool JsonWriter::WriteValue(PyObject* value) {
  if (PyUnicode_Check(value)) return WriteText(value);
  if (value == Py_None) return out_.append("null"), true;
  if (value == Py_True) return out_.append("true"), true;
  if (value == Py_False) return out_.append("false"), true;
  if (PyLong_Check(value)) {
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
      char digits[24];
      int size = std::snprintf(digits, sizeof(digits), "%lld", number);
      out_.append(digits, static_cast<size_t>(size));
      return true;
    }
    Ref text(PyLong_Type.tp_repr(value));
    if (!text) return false;
    out_.append(TextOf(text.get()));
    return true;
  }
  if (PyFloat_Check(value)) return WriteFloat(PyFloat_AS_DOUBLE(value));
  return WriteOther(value);
}

bool JsonWriter::WriteOther(PyObject* value) {
  if (PyDict_Check(value)) return WriteMapping(value);
  if (PyList_Check(value) || PyTuple_Check(value)) return WriteSequence(value);
  if (PyBytes_Check(value)) {
    Ref text(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), nullptr));
    if (text) return WriteText(text.get());
    PyErr_Clear();
    return Fail(PyExc_ValueError,
                "holds bytes that are not UTF-8 text, which JSON cannot carry%.0R", value);
  }
  if (IsArray(value)) {
    Ref list(ArrayToList(value));
    return list && WriteSequence(list.get());
  }
  if (IsCollection(value)) {
    Ref plain(CollectionToPlain(value, /*set_as_list=*/true));
    return plain && WriteOther(plain.get());
  }
  if (Ref known = KnownFields(reinterpret_cast<PyObject*>(Py_TYPE(value)))) {
    return WriteEventFields(value, known.get());
  }
  const bool array = std::strcmp(Py_TYPE(value)->tp_name, "numpy.ndarray") == 0;
  if (array || IsNumpyScalar(value)) {
    Ref plain(PyObject_CallMethod(value, array ? "tolist" : "item", nullptr));
    if (!plain) return false;
    if (std::strncmp(Py_TYPE(plain.get())->tp_name, "numpy.", 6) != 0) {
      return WriteValue(plain.get());
    }
  }
  return Fail(PyExc_TypeError, "is of a type that JSON cannot carry: %R",
              reinterpret_cast<PyObject*>(Py_TYPE(value)));
}

bool JsonWriter::WriteText(PyObject* text) {
  if (AppendJsonText(text, out_)) return true;
  PyErr_Clear();
  return Fail(PyExc_ValueError, "holds text with lone surrogates, which UTF-8 cannot carry%.0R",
              text);
}

bool JsonWriter::WriteFloat(double value) {
  if (!std::isfinite(value)) {
    Ref number(PyFloat_FromDouble(value));
    return Fail(PyExc_ValueError, "is %R, which JSON cannot carry", number.get());
  }
  char* text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, nullptr);
  if (text == nullptr) return false;
  out_.append(text);
  PyMem_Free(text);
  return true;
}

// Keys as Python's json writes them: text, numbers, true, false and null.
bool JsonWriter::WriteKey(PyObject* key) {
  if (PyUnicode_Check(key)) return WriteText(key);
  if (key != Py_None && !PyLong_Check(key) && !PyFloat_Check(key)) {
    return Fail(PyExc_TypeError, "has a key that JSON cannot carry: %R", key);
  }
  out_.push_back('"');
  if (!WriteValue(key)) return false;
  out_.push_back('"');
  return true;
}

bool JsonWriter::WriteMapping(PyObject* mapping) {
  if (!Open('{')) return false;
  PyObject *key = nullptr, *value = nullptr;
  bool first = true;
  Py_ssize_t size = PyDict_GET_SIZE(mapping);
  for (Py_ssize_t at = 0; PyDict_Next(mapping, &at, &key, &value);) {
    if (!first) out_.push_back(',');
    first = false;
    Ref keep_key = Ref::Borrowed(key), keep_value = Ref::Borrowed(value);
    if (!WriteKey(key)) return false;
    out_.push_back(':');
    if (!WriteValue(value)) {
      place_.insert(0, PyUnicode_Check(key) ? FieldPlace(key) : "[...]");
      return false;
    }
    if (PyDict_GET_SIZE(mapping) != size) {
      PyErr_SetString(PyExc_RuntimeError, "dictionary changed size while it was emitted");
      return false;
    }
  }
  Close('}');
  return true;
}

bool JsonWriter::WriteSequence(PyObject* sequence) {
  if (!Open('[')) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); ++i) {
    if (i > 0) out_.push_back(',');
    Ref item = Ref::Borrowed(PySequence_Fast_GET_ITEM(sequence, i));
    if (!WriteValue(item.get())) {
      place_.insert(0, "[" + std::to_string(i) + "]");
      return false;
    }
  }
  Close(']');
  return true;
}

}  // namespace bettong::compute::python
