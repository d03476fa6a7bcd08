// From decoded events and CALL's texts to Python values, by the SDK's ValueType of a field or
// argument. JSON is parsed by simdjson; objects of event classes are filled slot by slot, without
// running user code.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <simdjson.h>

namespace bettong::compute::python {

class EventClass;

// All event classes that the loaded apps use, by Python class.
using EventClasses = std::unordered_map<PyObject*, std::unique_ptr<EventClass>>;

class Converter {
 public:
  enum class Kind : uint8_t { kInt, kFloat, kBool, kText, kBytes, kList, kDict, kEvent, kAny };

  // From a ValueType of the SDK. False and an exception where that is malformed.
  bool Load(PyObject* value_type, EventClasses& classes);

  Kind kind() const { return kind_; }
  bool optional() const { return optional_; }
  const std::string& text() const { return text_; }  // the annotation as written

  // Null and an exception on a mismatch (TypeError), or when `json`, within `depth` lists, dicts
  // and events, is nested too deeply (ValueError); then `place` says where: "[3].x".
  Ref FromJson(const simdjson::dom::element& json, int depth, std::string& place) const;
  // CALL's arguments: text converted by the annotation.
  Ref FromText(std::string_view text, std::string& place) const;

 private:
  Ref Mismatch(const simdjson::dom::element& json) const;
  Ref TextToBool(std::string_view text) const;
  Ref TextToNumber(std::string_view text) const;

  Kind kind_ = Kind::kAny;
  bool optional_ = false;
  std::string text_;
  std::unique_ptr<Converter> item_;
  const EventClass* event_ = nullptr;
};

// Good until the thread parses the next one. False and an exception.
bool ParseDocument(std::string_view text, simdjson::dom::element& json);

// JSON text as Python values; null and an exception. Uses a parser of the calling thread.
Ref ParseJson(std::string_view text, const Converter* converter, std::string& place);

// One event class, and how to fill its instances.
class EventClass {
 public:
  struct Field {
    std::string name;
    Py_ssize_t slot = 0;  // byte offset of the slot in an instance
    Converter converter;
    bool required = true;
    Ref default_value;
    std::string default_json;
  };

  static EventClass* Find(PyObject* cls, EventClasses& classes);  // null and an exception

  PyTypeObject* type() const { return reinterpret_cast<PyTypeObject*>(type_.get()); }
  const std::vector<Field>& fields() const { return fields_; }
  int time_field() const { return time_field_; }

  Ref NewInstance() const { return Ref(type()->tp_alloc(type(), 0)); }
  Ref FromJson(const simdjson::dom::object& object, int depth, std::string& place) const;

 private:
  bool Load(PyObject* cls, EventClasses& classes);

  Ref type_;
  std::vector<Field> fields_;
  int time_field_ = -1;
};

// Byte offset of `name`'s slot in instances of `cls`, or -1 and an exception.
Py_ssize_t SlotOffset(PyObject* cls, const std::string& name);

inline PyObject*& SlotAt(PyObject* object, Py_ssize_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset);
}

// Reading the SDK's descriptions. All answer a default and leave an exception set on failure;
// callers check PyErr_Occurred() once at the end.
Ref Attribute(PyObject* object, const char* name);
std::string TextAttribute(PyObject* object, const char* name);
bool BoolAttribute(PyObject* object, const char* name);

}  // namespace bettong::compute::python
