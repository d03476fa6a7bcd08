#include "compute/python/value_converter.h"

#include <structmember.h>

#include <charconv>

#include "compute/python/nesting.h"

namespace bettong::compute::python {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

Converter::Kind KindOf(std::string_view name) {
  using Kind = Converter::Kind;
  if (name == "int") return Kind::kInt;
  if (name == "float") return Kind::kFloat;
  if (name == "bool") return Kind::kBool;
  if (name == "text") return Kind::kText;
  if (name == "bytes") return Kind::kBytes;
  if (name == "list") return Kind::kList;
  if (name == "dict") return Kind::kDict;
  if (name == "event") return Kind::kEvent;
  return Kind::kAny;
}

const char* JsonTypeName(const element& json) {
  switch (json.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::INT64:
      return "an int";
    case element_type::UINT64:
      return "an int of more than 64 bits";
    case element_type::DOUBLE:
      return "a float";
    case element_type::STRING:
      return "text";
    case element_type::BOOL:
      return "a bool";
    case element_type::NULL_VALUE:
      return "null";
  }
  return "something else";
}

Ref ListOf(const element& json, const Converter* item, int depth, std::string& place) {
  if (!MayNest(depth)) return Ref();
  Ref list(PyList_New(0));
  size_t index = 0;
  for (element child : simdjson::dom::array(json)) {
    Ref value = item->FromJson(child, depth + 1, place);
    if (!value) {
      place.insert(0, "[" + std::to_string(index) + "]");
      return Ref();
    }
    if (!list || PyList_Append(list.get(), value.get()) < 0) return Ref();
    ++index;
  }
  return list;
}

Ref DictOf(const element& json, const Converter* item, int depth, std::string& place) {
  if (!MayNest(depth)) return Ref();
  Ref dict(PyDict_New());
  for (auto [name, child] : simdjson::dom::object(json)) {
    Ref key(MakeText(name));
    Ref value = item->FromJson(child, depth + 1, place);
    if (!value) {
      place.insert(0, "." + std::string(name));
      return Ref();
    }
    if (!dict || !key || PyDict_SetItem(dict.get(), key.get(), value.get()) < 0) return Ref();
  }
  return dict;
}

const Converter& AnyConverter() {
  static const Converter* const kAny = new Converter();
  return *kAny;
}

Ref AnyOf(const element& json, int depth, std::string& place) {
  switch (json.type()) {
    case element_type::ARRAY:
      return ListOf(json, &AnyConverter(), depth, place);
    case element_type::OBJECT:
      return DictOf(json, &AnyConverter(), depth, place);
    case element_type::INT64:
      return Ref(PyLong_FromLongLong(int64_t(json)));
    case element_type::UINT64:
      return Ref(PyLong_FromUnsignedLongLong(uint64_t(json)));
    case element_type::DOUBLE:
      return Ref(PyFloat_FromDouble(double(json)));
    case element_type::STRING:
      return Ref(MakeText(std::string_view(json)));
    case element_type::BOOL:
      return Ref(PyBool_FromLong(bool(json)));
    case element_type::NULL_VALUE:
      break;
  }
  return Ref::Borrowed(Py_None);
}

}  // namespace

Ref Attribute(PyObject* object, const char* name) {
  if (PyErr_Occurred() != nullptr) return Ref();
  return Ref(PyObject_GetAttrString(object, name));
}

std::string TextAttribute(PyObject* object, const char* name) {
  Ref text = Attribute(object, name);
  return text ? std::string(TextOf(text.get())) : std::string();
}

bool BoolAttribute(PyObject* object, const char* name) {
  return Attribute(object, name).get() == Py_True;
}

Py_ssize_t SlotOffset(PyObject* cls, const std::string& name) {
  // From the class's own dictionary or a base's: the descriptor itself, not what it answers.
  PyObject* mro = reinterpret_cast<PyTypeObject*>(cls)->tp_mro;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); ++i) {
    auto* base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(mro, i));
    PyObject* found = PyDict_GetItemString(base->tp_dict, name.c_str());
    if (found == nullptr) continue;
    if (Py_TYPE(found) != &PyMemberDescr_Type) break;
    return reinterpret_cast<PyMemberDescrObject*>(found)->d_member->offset;
  }
  PyErr_Format(PyExc_TypeError, "%.200s.%s is hidden by something else of this name",
               reinterpret_cast<PyTypeObject*>(cls)->tp_name, name.c_str());
  return -1;
}

bool Converter::Load(PyObject* value_type, EventClasses& classes) {
  kind_ = KindOf(TextAttribute(value_type, "kind"));
  text_ = TextAttribute(value_type, "text");
  optional_ = BoolAttribute(value_type, "optional");
  if (kind_ == Kind::kList || kind_ == Kind::kDict) {
    Ref item = Attribute(value_type, "item");
    item_ = std::make_unique<Converter>();
    if (!item || !item_->Load(item.get(), classes)) return false;
  }
  if (kind_ == Kind::kEvent) {
    Ref cls = Attribute(value_type, "cls");
    event_ = cls ? EventClass::Find(cls.get(), classes) : nullptr;
  }
  return PyErr_Occurred() == nullptr;
}

Ref Converter::Mismatch(const element& json) const {
  PyErr_Format(PyExc_TypeError, "must be %s, not %s", text_.c_str(), JsonTypeName(json));
  return Ref();
}

Ref Converter::FromJson(const element& json, int depth, std::string& place) const {
  if (kind_ == Kind::kAny) return AnyOf(json, depth, place);
  if (json.is_null()) return optional_ ? Ref::Borrowed(Py_None) : Mismatch(json);
  switch (kind_) {
    case Kind::kInt:
      return json.is_int64() ? Ref(PyLong_FromLongLong(int64_t(json))) : Mismatch(json);
    case Kind::kFloat:
      return json.is_number() ? Ref(PyFloat_FromDouble(double(json))) : Mismatch(json);
    case Kind::kBool:
      return json.is_bool() ? Ref(PyBool_FromLong(bool(json))) : Mismatch(json);
    case Kind::kText:
      return json.is_string() ? Ref(MakeText(std::string_view(json))) : Mismatch(json);
    case Kind::kBytes: {
      if (!json.is_string()) return Mismatch(json);
      std::string_view text(json);
      return Ref(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
    }
    case Kind::kList:
      return json.is_array() ? ListOf(json, item_.get(), depth, place) : Mismatch(json);
    case Kind::kDict:
      return json.is_object() ? DictOf(json, item_.get(), depth, place) : Mismatch(json);
    case Kind::kEvent:
      return json.is_object() ? event_->FromJson(simdjson::dom::object(json), depth, place)
                              : Mismatch(json);
    case Kind::kAny:
      break;
  }
  return Mismatch(json);
}

namespace {

// By Python's own reader: slower, and without a limit for integers. `text` is valid JSON but for
// such numbers.
Ref ParseByPython(std::string_view text) {
  Ref module(PyImport_ImportModule("json"));
  Ref json_text = module ? Ref(MakeText(text)) : Ref();
  if (!json_text) return Ref();
  return Ref(PyObject_CallMethod(module.get(), "loads", "O", json_text.get()));
}

simdjson::error_code Parse(std::string_view text, element& json) {
  // One parser and buffer a thread: simdjson reads up to SIMDJSON_PADDING bytes past the end.
  thread_local simdjson::dom::parser parser;
  thread_local std::string padded;
  padded.assign(text);
  padded.append(simdjson::SIMDJSON_PADDING, '\0');
  return parser.parse(padded.data(), text.size(), false).get(json);
}

bool Raise(simdjson::error_code error) {
  // Whatever is too deep for the parser is too deep for us.
  static_assert(kNestingMax < simdjson::DEFAULT_MAX_DEPTH);
  if (error == simdjson::DEPTH_ERROR && !MayNest(kNestingMax)) return false;
  if (error == simdjson::NUMBER_ERROR) {
    PyErr_SetString(PyExc_TypeError, "has a number of more than 64 bits");
  } else {
    PyErr_Format(PyExc_ValueError, "is not JSON: %s", simdjson::error_message(error));
  }
  return false;
}

}  // namespace

bool ParseDocument(std::string_view text, element& json) {
  const simdjson::error_code error = Parse(text, json);
  return error == simdjson::SUCCESS || Raise(error);
}

Ref ParseJson(std::string_view text, const Converter* converter, std::string& place) {
  element json;
  const simdjson::error_code error = Parse(text, json);
  const bool any = converter == nullptr || converter->kind() == Converter::Kind::kAny;
  // An integer of more than 64 bits, or a number beyond a double.
  if (error == simdjson::NUMBER_ERROR && any) return ParseByPython(text);
  if (error != simdjson::SUCCESS) {
    Raise(error);
    return Ref();
  }
  return converter == nullptr ? AnyOf(json, 0, place) : converter->FromJson(json, 0, place);
}

Ref Converter::TextToBool(std::string_view text) const {
  for (std::string_view yes : {"1", "true", "True", "yes", "on"}) {
    if (text == yes) return Ref::Borrowed(Py_True);
  }
  for (std::string_view no : {"0", "false", "False", "no", "off"}) {
    if (text == no) return Ref::Borrowed(Py_False);
  }
  PyErr_SetString(PyExc_TypeError, "is not a bool");
  return Ref();
}

Ref Converter::TextToNumber(std::string_view text) const {
  const char* end = text.data() + text.size();
  if (kind_ == Kind::kInt) {
    int64_t value = 0;
    auto [at, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && at == end) return Ref(PyLong_FromLongLong(value));
    PyErr_SetString(PyExc_TypeError, "is not an int of 64 bits");
    return Ref();
  }
  double value = 0;
  auto [at, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && at == end) return Ref(PyFloat_FromDouble(value));
  PyErr_SetString(PyExc_TypeError, "is not a float");
  return Ref();
}

Ref Converter::FromText(std::string_view text, std::string& place) const {
  auto size = static_cast<Py_ssize_t>(text.size());
  bool none = text.empty() || text == "null" || text == "None";
  if (optional_ && none && kind_ != Kind::kText && kind_ != Kind::kBytes) {
    return Ref::Borrowed(Py_None);
  }
  switch (kind_) {
    case Kind::kInt:
    case Kind::kFloat:
      return TextToNumber(text);
    case Kind::kBool:
      return TextToBool(text);
    case Kind::kBytes:
      return Ref(PyBytes_FromStringAndSize(text.data(), size));
    case Kind::kText:
    case Kind::kAny: {
      Ref made(MakeText(text));
      if (made) return made;
      PyErr_Clear();
      PyErr_SetString(PyExc_TypeError, "is not UTF-8 text");
      return Ref();
    }
    case Kind::kList:
    case Kind::kDict:
    case Kind::kEvent:
      break;
  }
  return ParseJson(text, this, place);
}

EventClass* EventClass::Find(PyObject* cls, EventClasses& classes) {
  auto& known = classes[cls];
  if (known == nullptr) {
    auto made = std::make_unique<EventClass>();
    if (!made->Load(cls, classes)) {
      classes.erase(cls);
      return nullptr;
    }
    classes[cls] = std::move(made);
  }
  return classes[cls].get();
}

bool EventClass::Load(PyObject* cls, EventClasses& classes) {
  type_ = Ref::Borrowed(cls);
  Ref info = Attribute(cls, "__bettong_event__");
  Ref fields = info ? Attribute(info.get(), "fields") : Ref();
  if (!fields) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields.get()); ++i) {
    PyObject* described = PyTuple_GET_ITEM(fields.get(), i);
    Field& field = fields_.emplace_back();
    field.name = TextAttribute(described, "name");
    field.required = BoolAttribute(described, "required");
    field.default_value = Attribute(described, "default");
    field.default_json = TextAttribute(described, "default_json");
    Ref type = Attribute(described, "type");
    if (!type || !field.converter.Load(type.get(), classes)) return false;
    field.slot = SlotOffset(cls, field.name);
    if (field.slot < 0) return false;
  }
  Ref time = Attribute(info.get(), "time_index");
  if (time && time.get() != Py_None) time_field_ = static_cast<int>(PyLong_AsLong(time.get()));
  return PyErr_Occurred() == nullptr;
}

Ref EventClass::FromJson(const simdjson::dom::object& object, int depth, std::string& place) const {
  if (!MayNest(depth)) return Ref();
  Ref made = NewInstance();
  if (!made) return made;
  for (const Field& field : fields_) {
    element json;
    Ref value;
    if (object.at_key(field.name).get(json) == simdjson::SUCCESS) {
      value = field.converter.FromJson(json, depth + 1, place);
    } else if (!field.required) {
      PyObject* initial = field.default_value.get();
      value = PyList_CheckExact(initial) || PyDict_CheckExact(initial)
                  ? Ref(PyObject_CallMethod(initial, "copy", nullptr))
                  : Ref::Borrowed(initial);
    } else {
      PyErr_SetString(PyExc_TypeError, "is missing");
    }
    if (!value) {
      place.insert(0, "." + field.name);
      return Ref();
    }
    SlotAt(made.get(), field.slot) = value.release();
  }
  return made;
}

}  // namespace bettong::compute::python
