// A command of an entity class: CALL's texts into arguments, what it returned into a reply.
#pragma once

#include "compute/python/ref.h"

#include <string>
#include <string_view>
#include <vector>

#include "compute/python/value_converter.h"
#include "grid/catalog.h"

namespace bettong::compute::python {

class CommandBinding {
 public:
  // From the SDK's Command. False and an exception where it is malformed.
  bool Load(const std::string& class_name, PyObject* described, EventClasses& classes);

  PyObject* function() const { return function_.get(); }
  const grid::CommandSchema& schema() const { return schema_; }

  // Fills `arguments` from a tagged list, behind what is in it. False and `error`
  // ("Host.mean() takes (digits: int), ...") where they do not fit; no exception is set then.
  bool Convert(std::string_view tagged, std::vector<Ref>& arguments, std::string& error) const;

 private:
  struct Parameter {
    std::string name;
    bool required = true;
    Converter converter;
  };
  bool LoadParameter(PyObject* described, EventClasses& classes, Parameter& parameter);

  std::string name_;   // "Host.mean"
  std::string usage_;  // "digits: int, [base: float]"
  Ref function_;
  std::vector<Parameter> parameters_;
  bool has_rest_ = false;
  Parameter rest_;
  grid::CommandSchema schema_;
};

}  // namespace bettong::compute::python
