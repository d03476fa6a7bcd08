#include "compute/python/conditions.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "compute/python/value_converter.h"

namespace bettong::compute::python {
namespace {

using Kind = grid::ConditionTerm::Kind;
using grid::WindowPart;

constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"none", Kind::kNone},
    {"bool", Kind::kBool},
    {"int", Kind::kInt},
    {"float", Kind::kFloat},
    {"text", Kind::kText},
    {"event", Kind::kEventField},
    {"field", Kind::kField},
    {"key", Kind::kKey},
    {"window", Kind::kWindow},
    {"negate", Kind::kNegate},
    {"add", Kind::kAdd},
    {"subtract", Kind::kSubtract},
    {"multiply", Kind::kMultiply},
    {"less", Kind::kLess},
    {"less_equal", Kind::kLessEqual},
    {"greater", Kind::kGreater},
    {"greater_equal", Kind::kGreaterEqual},
    {"equal", Kind::kEqual},
    {"not_equal", Kind::kNotEqual},
    {"and", Kind::kAnd},
    {"or", Kind::kOr},
};

constexpr std::pair<std::string_view, WindowPart> kParts[] = {
    {"count", WindowPart::kCount}, {"sum", WindowPart::kSum},
    {"mean", WindowPart::kMean},   {"min", WindowPart::kMin},
    {"max", WindowPart::kMax},     {"first", WindowPart::kFirst},
    {"last", WindowPart::kLast},   {"variance", WindowPart::kVariance},
    {"start", WindowPart::kStart}, {"end", WindowPart::kEnd},
};

// False with an exception: the SDK and this library are of different versions.
template <typename Table, typename Value>
bool Look(const Table& table, std::string_view name, Value& value) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const auto& entry) { return entry.first == name; });
  if (found == std::end(table)) {
    PyErr_Format(PyExc_ValueError, "when=: the node knows no term '%s'", std::string(name).c_str());
    return false;
  }
  value = found->second;
  return true;
}

bool LoadTerm(PyObject* described, const grid::RowSchema& row, grid::ConditionTerm& term) {
  if (!Look(kKinds, TextAttribute(described, "kind"), term.kind)) return false;
  Ref value = Attribute(described, "value");
  if (!value) return false;
  switch (term.kind) {
    case Kind::kBool:
      term.integer = value.get() == Py_True ? 1 : 0;
      break;
    case Kind::kInt:
      term.integer = PyLong_AsLongLong(value.get());
      break;
    case Kind::kFloat:
      term.real = PyFloat_AsDouble(value.get());
      break;
    case Kind::kText:
      term.text = std::string(TextOf(value.get()));
      break;
    case Kind::kEventField:
      term.at = PyLong_AsSize_t(value.get());
      break;
    case Kind::kWindow:
      if (!Look(kParts, TextAttribute(described, "part"), term.part)) return false;
      [[fallthrough]];
    case Kind::kField:
      if (row.Find(TextOf(value.get()), &term.at) == nullptr) term.at = SIZE_MAX;
      break;
    default:
      break;
  }
  return PyErr_Occurred() == nullptr;
}

}  // namespace

bool LoadCondition(PyObject* described, const grid::RowSchema& row, grid::Condition& condition) {
  Ref terms = Attribute(described, "when");
  if (!terms) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(terms.get()); ++i) {
    grid::ConditionTerm& term = condition.terms.emplace_back();
    if (!LoadTerm(PyList_GET_ITEM(terms.get(), i), row, term)) return false;
  }
  return true;
}

}  // namespace bettong::compute::python
