#include "compute/python/policies.h"

#include "compute/python/value_converter.h"

namespace bettong::compute::python {
namespace {

unsigned long NumberAttribute(PyObject* object, const char* name) {
  Ref value = Attribute(object, name);
  return value ? PyLong_AsUnsignedLong(value.get()) : 0;
}

}  // namespace

bool LoadFailurePolicy(PyObject* described, grid::FailurePolicy& policy) {
  using Kind = grid::FailurePolicy::Kind;
  Ref declared = Attribute(described, "on_error");
  if (!declared) return false;
  if (PyUnicode_Check(declared.get())) {
    policy.kind = TextOf(declared.get()) == "skip" ? Kind::kSkip : Kind::kDeadLetter;
    return true;
  }
  policy.kind = Kind::kRetry;
  policy.retries_max = static_cast<uint16_t>(NumberAttribute(declared.get(), "times"));
  policy.backoff_ms = static_cast<uint32_t>(NumberAttribute(declared.get(), "backoff_ms"));
  policy.backoff_ms_max = static_cast<uint32_t>(NumberAttribute(declared.get(), "backoff_max_ms"));
  Ref factor = Attribute(declared.get(), "factor");
  if (factor) policy.factor = PyFloat_AsDouble(factor.get());
  return PyErr_Occurred() == nullptr;
}

bool LoadRateLimit(PyObject* described, grid::RateLimit& limit) {
  Ref declared = Attribute(described, "limit");
  Ref over = declared ? Attribute(described, "over") : Ref();
  if (!over) return false;
  if (declared.get() == Py_None) return true;
  limit.count = static_cast<uint32_t>(NumberAttribute(declared.get(), "count"));
  limit.per_ms = static_cast<int64_t>(NumberAttribute(declared.get(), "per_ms"));
  if (TextOf(over.get()) == "dead-letter") limit.over = grid::RateLimit::Over::kDeadLetter;
  return PyErr_Occurred() == nullptr;
}

}  // namespace bettong::compute::python
