// Writes what user code emits as one line of compact JSON: UTF-8, fields in the order they were
// declared or given, floats as Python's json prints them. NaN and infinity are refused.
#pragma once

#include "compute/python/ref.h"

#include <string>

namespace bettong::compute::python {

class JsonWriter {
 public:
  // `event` is the stream's event class, or None.
  JsonWriter(std::string& out, PyObject* event) : out_(out), event_(event) {}

  // False with an exception set; RaiseAt then names the place in it.
  bool WriteEvent(PyObject* event);
  bool WriteFields(PyObject* names, PyObject* const* values, Py_ssize_t count);
  bool WriteValue(PyObject* value);
  // `call`: "alerts.emit()"; `part`: what its places are of, "field".
  void RaiseAt(const std::string& call, const char* part);

 private:
  bool WriteText(PyObject* text);
  bool WriteFloat(double value);
  bool WriteMapping(PyObject* mapping);
  bool WriteSequence(PyObject* sequence);
  bool WriteEventFields(PyObject* event, PyObject* info);
  bool WriteOther(PyObject* value);
  bool WriteKey(PyObject* key);
  bool CheckNames(PyObject* mapping_or_names);
  bool Open(char bracket);
  void Close(char bracket);
  bool Fail(PyObject* type, const char* format, PyObject* value);

  std::string& out_;
  PyObject* event_;
  int depth_ = 0;
  std::string place_;  // of a failure: "values[3].x", built from the inside out
};

// Appends the str as a JSON string; false with an exception if it has no UTF-8 form.
bool AppendJsonText(PyObject* text, std::string& out);

// The declared fields of an event class in order, a dict of name to whether it is required; null
// (no exception) if the class is none.
Ref KnownFields(PyObject* type);

// numpy's scalars stand for the numbers they hold.
bool IsNumpyScalar(PyObject* value);

}  // namespace bettong::compute::python
