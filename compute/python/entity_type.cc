#include "compute/python/entity_type.h"

#include <cmath>
#include <cstddef>

#include "base/ids.h"
#include "compute/python/turn_state.h"

namespace bettong::compute::python {
namespace {

constexpr double kTtlMsMax = 9007199254740992.0;  // 2^53, as in the SDK

// The running turn of this entity, or null and an exception.
TurnState* TurnOf(PyObject* self) {
  TurnState* turn = reinterpret_cast<EntityObject*>(self)->turn;
  if (turn != nullptr && turn->InTurn() && turn->call->row != nullptr) return turn;
  PyErr_SetString(turn == nullptr ? PyExc_RuntimeError : turn->outside_error,
                  "an entity can be used only while one of its methods runs, on that thread");
  return nullptr;
}

PyObject* GetKey(PyObject* self, void*) {
  TurnState* turn = TurnOf(self);
  if (turn == nullptr) return nullptr;
  if (turn->key == nullptr) turn->key = MakeKeyText(turn->call->row->key());
  Py_XINCREF(turn->key);
  return turn->key;
}

PyObject* GetNow(PyObject* self, void*) {
  TurnState* turn = TurnOf(self);
  return turn == nullptr ? nullptr : PyLong_FromLongLong(turn->call->now_ms);
}

PyObject* GetTtl(PyObject* self, void*) {
  TurnState* turn = TurnOf(self);
  if (turn == nullptr) return nullptr;
  std::optional<int64_t> ttl_ms = turn->class_ttl_ms;
  if (turn->call->row->has_own_ttl) ttl_ms = turn->call->row->ttl_ms;
  if (turn->call->requests.ttl_assigned) ttl_ms = turn->call->requests.ttl_ms;
  if (!ttl_ms || *ttl_ms == kNeverExpires) Py_RETURN_NONE;
  return PyFloat_FromDouble(static_cast<double>(*ttl_ms) / 1000);
}

// A timedelta or seconds, as milliseconds; NaN and an exception where it is neither.
double DurationMs(PyObject* value) {
  if (PyObject_HasAttrString(value, "total_seconds")) {
    Ref seconds(PyObject_CallMethod(value, "total_seconds", nullptr));
    return seconds ? PyFloat_AsDouble(seconds.get()) * 1000 : NAN;
  }
  if ((PyFloat_Check(value) || PyLong_Check(value)) && !PyBool_Check(value)) {
    return PyFloat_AsDouble(value) * 1000;
  }
  PyErr_Format(PyExc_TypeError, "self.ttl must be a timedelta or seconds, not %.200s",
               Py_TYPE(value)->tp_name);
  return NAN;
}

int SetTtl(PyObject* self, PyObject* value, void*) {
  TurnState* turn = TurnOf(self);
  if (turn == nullptr) return -1;
  int64_t ttl_ms = kNeverExpires;
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "self.ttl cannot be deleted; assign None: no TTL");
    return -1;
  }
  if (value != Py_None) {
    double ms = DurationMs(value);
    if (PyErr_Occurred() != nullptr) return -1;
    if (!(ms >= 0.5 && ms <= kTtlMsMax)) {
      PyErr_Format(PyExc_ValueError, "self.ttl is out of range: %R", value);
      return -1;
    }
    ttl_ms = std::llround(ms);
  }
  turn->call->requests.ttl_assigned = true;
  turn->call->requests.ttl_ms = ttl_ms;
  return 0;
}

PyObject* Touch(PyObject* self, PyObject*) {
  TurnState* turn = TurnOf(self);
  if (turn == nullptr) return nullptr;
  turn->call->requests.touch = true;
  Py_RETURN_NONE;
}

PyObject* Delete(PyObject* self, PyObject*) {
  TurnState* turn = TurnOf(self);
  if (turn == nullptr) return nullptr;
  turn->call->requests.remove = true;
  Py_RETURN_NONE;
}

PyObject* Refuse(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError,
               "%.200s is an entity class: the node creates its entities, by their key",
               type->tp_name);
  return nullptr;
}

PyGetSetDef kGetSet[] = {
    {"key", GetKey, nullptr, "The entity's key, without the class's prefix.", nullptr},
    {"now", GetNow, nullptr, "The turn's wall clock time, in ms since the epoch.", nullptr},
    {"ttl", GetTtl, SetTtl, "The idle time after which the entity expires, in seconds.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef kMethods[] = {
    {"touch", Touch, METH_NOARGS, "Lets the TTL begin anew."},
    {"delete", Delete, METH_NOARGS, "Removes the entity at the end of this turn."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("What every entity has, besides its fields.")},
    {Py_tp_new, reinterpret_cast<void*>(Refuse)},
    {Py_tp_getset, kGetSet},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};

}  // namespace

PyType_Spec kEntityBaseSpec = {
    "_bettong.EntityBase",
    sizeof(EntityObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    kSlots,
};

}  // namespace bettong::compute::python
