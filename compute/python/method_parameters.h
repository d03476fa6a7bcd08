// What a method takes besides self, and how that is made: of CALL's texts, or of the JSON of a
// message from another entity.
#pragma once

#include "compute/python/ref.h"

#include <string>
#include <string_view>
#include <vector>

#include "compute/python/value_converter.h"
#include "grid/catalog.h"

namespace bettong::compute::python {

class MethodParameters {
 public:
  // From the SDK's Parameters; `method` is "Host.mean". False and an exception where malformed.
  bool Load(const std::string& method, PyObject* described, EventClasses& classes);

  // As SCHEMA shows them.
  std::vector<grid::CommandParameter> Schema() const;

  // Fill `arguments`, behind what is in it. False and `error` ("Host.mean() takes digits: int;
  // ...") where they do not fit; no exception is set then.
  bool FromTexts(std::string_view tagged, std::vector<Ref>& arguments, std::string& error) const;
  // Of a list, and an object or nothing: the latter's values behind, their names as a tuple.
  bool FromJson(std::string_view list, std::string_view named, std::vector<Ref>& arguments,
                Ref& names, std::string& error) const;

  // Whether so many arguments, and then those names (a tuple, or null), fit. False and an
  // exception.
  bool Check(size_t positional, PyObject* names) const;

 private:
  struct Parameter {
    std::string name;
    bool required = true;
    Converter converter;
  };
  bool LoadParameter(PyObject* described, EventClasses& classes, Parameter& parameter);
  size_t Find(std::string_view name) const;  // parameters_.size(): there is none
  std::string Takes() const { return method_ + "() takes " + usage_ + "; "; }
  bool Refuse(const Parameter& parameter, std::string_view shown, const std::string& place,
              std::string& error) const;

  std::string method_;                 // "Host.mean"
  std::string usage_;                  // "digits: int, [base: float]"
  std::vector<Parameter> parameters_;  // those that can be given by name only at the end
  size_t positional_ = 0;              // of these, the others
  bool has_rest_ = false;
  Parameter rest_;
};

}  // namespace bettong::compute::python
