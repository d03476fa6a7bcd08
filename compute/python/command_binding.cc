#include "compute/python/command_binding.h"

#include "compute/python/nesting.h"
#include "compute/python/tagged_values.h"
#include "grid/tagged.h"

namespace bettong::compute::python {

bool CommandBinding::Load(const std::string& class_name, PyObject* described,
                          EventClasses& classes) {
  schema_.name = TextAttribute(described, "name");
  schema_.create = BoolAttribute(described, "create");
  schema_.returns = TextAttribute(described, "returns");
  name_ = class_name + "." + schema_.name;
  usage_ = TextAttribute(described, "usage");
  function_ = Attribute(described, "function");
  Ref parameters = Attribute(described, "parameters");
  Ref rest = Attribute(described, "rest");
  if (!parameters || !rest) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parameters.get()); ++i) {
    Parameter& parameter = parameters_.emplace_back();
    if (!LoadParameter(PyList_GET_ITEM(parameters.get(), i), classes, parameter)) return false;
    schema_.parameters.push_back({parameter.name, parameter.converter.text(), parameter.required});
  }
  has_rest_ = rest.get() != Py_None;
  if (has_rest_) {
    if (!LoadParameter(rest.get(), classes, rest_)) return false;
    schema_.parameters.push_back({"*" + rest_.name, rest_.converter.text(), false});
  }
  return PyErr_Occurred() == nullptr;
}

bool CommandBinding::LoadParameter(PyObject* described, EventClasses& classes,
                                   Parameter& parameter) {
  parameter.name = TextAttribute(described, "name");
  parameter.required = BoolAttribute(described, "required");
  Ref type = Attribute(described, "type");
  return type && parameter.converter.Load(type.get(), classes);
}

bool CommandBinding::Convert(std::string_view tagged, std::vector<Ref>& arguments,
                             std::string& error) const {
  grid::TaggedReader reader(tagged);
  uint64_t given = tagged.empty() ? 0 : reader.Next().size;
  size_t required = 0;
  for (const Parameter& parameter : parameters_) required += parameter.required ? 1 : 0;
  if (given < required || (given > parameters_.size() && !has_rest_)) {
    error = name_ + "() takes " + usage_ + "; " + std::to_string(given) +
            (given == 1 ? " argument was given" : " arguments were given");
    return false;
  }
  for (uint64_t i = 0; i < given; ++i) {
    const Parameter& parameter = i < parameters_.size() ? parameters_[i] : rest_;
    std::string_view text = reader.Next().bytes;
    std::string place;
    Ref value = parameter.converter.FromText(text, place);
    if (!value) {
      Ref why(TakeErrorText());
      error = name_ + "() takes " + usage_ + "; '" + std::string(text.substr(0, 100)) + "'" +
              ShownPlace(place) + " " + std::string(why ? TextOf(why.get()) : "does not fit") +
              " (" + parameter.name + ")";
      return false;
    }
    arguments.push_back(std::move(value));
  }
  return true;
}

}  // namespace bettong::compute::python
