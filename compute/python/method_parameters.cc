#include "compute/python/method_parameters.h"

#include <algorithm>

#include "compute/python/nesting.h"
#include "compute/python/tagged_values.h"
#include "grid/tagged.h"

namespace bettong::compute::python {

bool MethodParameters::Load(const std::string& method, PyObject* described, EventClasses& classes) {
  method_ = method;
  usage_ = TextAttribute(described, "usage");
  Ref rest = Attribute(described, "rest");
  if (!rest) return false;
  for (const char* which : {"positional", "named"}) {
    positional_ = parameters_.size();
    Ref parameters = Attribute(described, which);
    if (!parameters) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parameters.get()); ++i) {
      Parameter& parameter = parameters_.emplace_back();
      if (!LoadParameter(PyList_GET_ITEM(parameters.get(), i), classes, parameter)) return false;
    }
  }
  has_rest_ = rest.get() != Py_None;
  if (has_rest_ && !LoadParameter(rest.get(), classes, rest_)) return false;
  return PyErr_Occurred() == nullptr;
}

bool MethodParameters::LoadParameter(PyObject* described, EventClasses& classes,
                                     Parameter& parameter) {
  parameter.name = TextAttribute(described, "name");
  parameter.required = BoolAttribute(described, "required");
  Ref type = Attribute(described, "type");
  return type && parameter.converter.Load(type.get(), classes);
}

std::vector<grid::CommandParameter> MethodParameters::Schema() const {
  std::vector<grid::CommandParameter> all;
  for (size_t i = 0; i < positional_; ++i) {
    const Parameter& parameter = parameters_[i];
    all.push_back({parameter.name, parameter.converter.text(), parameter.required});
  }
  if (has_rest_) all.push_back({"*" + rest_.name, rest_.converter.text(), false});
  return all;
}

size_t MethodParameters::Find(std::string_view name) const {
  size_t i = 0;
  while (i < parameters_.size() && parameters_[i].name != name) ++i;
  return i;
}

// With the exception that is set, which is cleared.
bool MethodParameters::Refuse(const Parameter& parameter, std::string_view shown,
                              const std::string& place, std::string& error) const {
  Ref why(TakeErrorText());
  error = Takes();
  if (!shown.empty()) error += "'" + std::string(shown.substr(0, 100)) + "'";
  error += ShownPlace(place) + (shown.empty() && place.empty() ? "it " : " ") +
           std::string(why ? TextOf(why.get()) : "does not fit") + " (" + parameter.name + ")";
  return false;
}

bool MethodParameters::FromTexts(std::string_view tagged, std::vector<Ref>& arguments,
                                 std::string& error) const {
  grid::TaggedReader reader(tagged);
  uint64_t given = tagged.empty() ? 0 : reader.Next().size;
  size_t required = 0;
  for (size_t i = 0; i < positional_; ++i) required += parameters_[i].required ? 1 : 0;
  if (given < required || (given > positional_ && !has_rest_)) {
    error = Takes() + std::to_string(given) +
            (given == 1 ? " argument was given" : " arguments were given");
    return false;
  }
  for (uint64_t i = 0; i < given; ++i) {
    const Parameter& parameter = i < positional_ ? parameters_[i] : rest_;
    std::string_view text = reader.Next().bytes;
    std::string place;
    Ref value = parameter.converter.FromText(text, place);
    if (!value) return Refuse(parameter, text.empty() ? "''" : text, place, error);
    arguments.push_back(std::move(value));
  }
  return true;
}

bool MethodParameters::FromJson(std::string_view list, std::string_view named,
                                std::vector<Ref>& arguments, Ref& names, std::string& error) const {
  const auto malformed = [&] {
    Ref why(TakeErrorText());
    error = Takes() + "the message " + std::string(why ? TextOf(why.get()) : "is malformed");
    return false;
  };
  simdjson::dom::element json;
  if (!ParseDocument(list, json)) return malformed();
  simdjson::dom::array items;
  if (json.get(items) != simdjson::SUCCESS) return malformed();
  size_t given = 0;
  for (const simdjson::dom::element& item : items) {
    if (given >= positional_ && !has_rest_) {
      error = Takes() + "more arguments were given";
      return false;
    }
    const Parameter& parameter = given < positional_ ? parameters_[given] : rest_;
    std::string place;
    Ref value = parameter.converter.FromJson(item, 1, place);
    if (!value) return Refuse(parameter, "", place, error);
    arguments.push_back(std::move(value));
    ++given;
  }
  std::vector<bool> has(parameters_.size());
  for (size_t i = 0; i < positional_; ++i) has[i] = i < given;
  if (!named.empty()) {
    simdjson::dom::object object;
    if (!ParseDocument(named, json) || json.get(object) != simdjson::SUCCESS) return malformed();
    names = Ref(PyTuple_New(static_cast<Py_ssize_t>(object.size())));
    if (!names) return malformed();
    Py_ssize_t at = 0;
    for (const simdjson::dom::key_value_pair& pair : object) {
      const size_t parameter = Find(pair.key);
      if (parameter == parameters_.size() || has[parameter]) {
        error = Takes() + std::string(pair.key) +
                (parameter == parameters_.size() ? "= is none of them" : " is given twice");
        return false;
      }
      has[parameter] = true;
      std::string place;
      Ref value = parameters_[parameter].converter.FromJson(pair.value, 1, place);
      if (!value) return Refuse(parameters_[parameter], "", place, error);
      arguments.push_back(std::move(value));
      PyObject* name = MakeText(pair.key);
      if (name == nullptr) return malformed();
      PyTuple_SET_ITEM(names.get(), at++, name);
    }
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (has[i] || !parameters_[i].required) continue;
    error = Takes() + parameters_[i].name + " is missing";
    return false;
  }
  return true;
}

bool MethodParameters::Check(size_t positional, PyObject* names) const {
  if (positional > positional_ && !has_rest_) {
    PyErr_Format(PyExc_TypeError, "%s() takes %s; %zu argument%s given", method_.c_str(),
                 usage_.c_str(), positional, positional == 1 ? " was" : "s were");
    return false;
  }
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  const size_t placed = std::min(positional, positional_);
  for (size_t i = placed; i < parameters_.size(); ++i) {
    bool given = !parameters_[i].required;
    for (Py_ssize_t k = 0; k < named && !given; ++k) {
      given = PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, k),
                                               parameters_[i].name.c_str()) == 0;
    }
    if (given) continue;
    PyErr_Format(PyExc_TypeError, "%s() takes %s; %s is missing", method_.c_str(), usage_.c_str(),
                 parameters_[i].name.c_str());
    return false;
  }
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* name = PyTuple_GET_ITEM(names, k);
    const std::string_view text = TextOf(name);
    if (text.data() == nullptr) return false;
    const size_t at = Find(text);
    if (at < parameters_.size() && at >= placed) continue;
    PyErr_Format(PyExc_TypeError, "%s() takes %s; %U%s", method_.c_str(), usage_.c_str(), name,
                 at < placed ? " is given twice" : "= is none of them");
    return false;
  }
  return true;
}

}  // namespace bettong::compute::python
