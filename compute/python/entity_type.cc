#include "compute/python/entity_type.h"

#include <cmath>
#include <cstddef>
#include <string>

#include "base/ids.h"
#include "compute/python/number.h"
#include "compute/python/tagged_values.h"
#include "compute/python/turn_state.h"
#include "compute/python/value_converter.h"

namespace bettong::compute::python {
namespace {

constexpr double kTtlMsMax = 9007199254740992.0;  // 2^53, as in the SDK

// The running turn of this entity, or null and an exception.
TurnState* TurnOf(PyObject* self) {
  TurnState* turn = reinterpret_cast<EntityObject*>(self)->turn;
  if (turn != nullptr && turn->InTurn() && turn->instance == self) return turn;
  if (turn != nullptr && turn->InTurn() && turn->instance != nullptr) {
    PyErr_SetString(turn->stale_error,
                    "an entity was used in the turn of another: it, or a method of it, was kept "
                    "after its own turn had ended; keep its values instead");
    return nullptr;
  }
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
double DurationMs(PyObject* value, const char* what) {
  if (PyObject_HasAttrString(value, "total_seconds")) {
    Ref seconds(PyObject_CallMethod(value, "total_seconds", nullptr));
    return seconds ? PyFloat_AsDouble(seconds.get()) * 1000 : NAN;
  }
  if ((PyFloat_Check(value) || PyLong_Check(value)) && !PyBool_Check(value)) {
    return PyFloat_AsDouble(value) * 1000;
  }
  PyErr_Format(PyExc_TypeError, "%s must be a timedelta or seconds, not %.200s", what,
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
    double ms = DurationMs(value, "self.ttl");
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

// --- timers

TurnTimers* TimersOf(TurnState* turn) {
  if (turn == nullptr) return nullptr;
  if (turn->call->timers != nullptr) return turn->call->timers;
  PyErr_SetString(PyExc_RuntimeError,
                  "the class has no timers: no method of it says self.after or self.at; say "
                  "timers=True in the class's header");
  return nullptr;
}

// A method of the entity, or its name.
bool MethodNameOf(PyObject* self, PyObject* method, std::string& name) {
  if (PyUnicode_Check(method)) {
    name = TextOf(method);
    if (PyObject_HasAttr(reinterpret_cast<PyObject*>(Py_TYPE(self)), method)) return true;
    PyErr_Format(PyExc_AttributeError, "%.200s has no method %R", Py_TYPE(self)->tp_name, method);
    return false;
  }
  if (PyMethod_Check(method) && PyMethod_GET_SELF(method) == self) {
    Ref text(PyObject_GetAttrString(method, "__name__"));
    if (!text || !PyUnicode_Check(text.get())) return false;
    name = TextOf(text.get());
    return true;
  }
  PyErr_Format(PyExc_TypeError, "a timer runs a method of its own entity (self.quiet), not %R",
               method);
  return false;
}

// after(delay, method, *args, name=None) and at(time, method, *args, name=None), without the time.
PyObject* SetTimer(PyObject* self, TurnTimers& timers, TimeMs due_ms, PyObject* const* args,
                   Py_ssize_t count, PyObject* names) {
  grid::Timer timer;
  timer.due_ms = due_ms;
  if (!MethodNameOf(self, args[1], timer.method)) return nullptr;
  timer.name = timer.method;
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(names, i);
    PyObject* value = args[count + i];
    if (PyUnicode_CompareWithASCIIString(keyword, "name") != 0) {
      PyErr_Format(PyExc_TypeError, "a timer's method takes no keyword arguments: %U=", keyword);
      return nullptr;
    }
    if (!PyUnicode_Check(value) || TextOf(value).data() == nullptr) {
      if (PyErr_Occurred() == nullptr) {
        PyErr_Format(PyExc_TypeError, "a timer's name is a str, not %.200s",
                     Py_TYPE(value)->tp_name);
      }
      return nullptr;
    }
    timer.name = TextOf(value);
  }
  if (!WriteArguments(args + 2, static_cast<size_t>(count - 2), timer.arguments)) return nullptr;
  switch (timers.Set(std::move(timer))) {
    case grid::Timers::SetResult::kSet:
      Py_RETURN_NONE;
    case grid::Timers::SetResult::kFull:
      PyErr_Format(PyExc_OverflowError, "an entity has at most %zu timers", grid::kTimersMax);
      return nullptr;
    case grid::Timers::SetResult::kTooLarge:
      PyErr_Format(PyExc_OverflowError,
                   "a timer's name and arguments together have at most %zu bytes",
                   grid::kTimerBytesMax);
      return nullptr;
  }
  return nullptr;
}

PyObject* After(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  TurnState* turn = TurnOf(self);
  TurnTimers* timers = TimersOf(turn);
  if (timers == nullptr) return nullptr;
  if (count < 2) {
    PyErr_SetString(PyExc_TypeError,
                    "self.after() takes a delay and a method: "
                    "self.after(30, self.quiet, ..., name=...)");
    return nullptr;
  }
  const double ms = DurationMs(args[0], "the delay of self.after()");
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (!(ms >= 0 && ms <= kTtlMsMax)) {
    PyErr_Format(PyExc_ValueError, "the delay of self.after() is out of range: %R", args[0]);
    return nullptr;
  }
  if (timers->from_ms == kNoTime) {
    PyErr_SetString(PyExc_RuntimeError,
                    "self.after() of a class with clock=\"event\" counts from event time, which no "
                    "event has told yet; use self.at()");
    return nullptr;
  }
  const TimeMs due_ms = timers->from_ms + std::llround(ms);
  return SetTimer(self, *timers, due_ms, args, count, names);
}

PyObject* At(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  TurnState* turn = TurnOf(self);
  TurnTimers* timers = TimersOf(turn);
  if (timers == nullptr) return nullptr;
  if (count < 2) {
    PyErr_SetString(PyExc_TypeError,
                    "self.at() takes a time in ms and a method: "
                    "self.at(self.now + 30_000, self.quiet, ..., name=...)");
    return nullptr;
  }
  int64_t due_ms = 0;
  const NumberResult result = ToInt64(args[0], &due_ms);
  if (result == NumberResult::kRaised) return nullptr;
  if (result != NumberResult::kOk || due_ms < -grid::kWindowTimeMax ||
      due_ms > grid::kWindowTimeMax) {
    PyErr_Format(PyExc_ValueError, "the time of self.at() is an int, ms since the epoch, not %R",
                 args[0]);
    return nullptr;
  }
  return SetTimer(self, *timers, due_ms, args, count, names);
}

PyObject* Cancel(PyObject* self, PyObject* method) {
  TurnState* turn = TurnOf(self);
  TurnTimers* timers = TimersOf(turn);
  if (timers == nullptr) return nullptr;
  std::string name;
  if (PyUnicode_Check(method)) {
    name = TextOf(method);
  } else if (!MethodNameOf(self, method, name)) {
    return nullptr;
  }
  return PyBool_FromLong(timers->Cancel(name));
}

PyObject* GetTimers(PyObject* self, void*) {
  TurnState* turn = TurnOf(self);
  TurnTimers* timers = TimersOf(turn);
  if (timers == nullptr) return nullptr;
  Ref all(PyDict_New());
  for (const grid::Timer& timer : timers->all->all()) {
    Ref name(PyUnicode_DecodeUTF8(timer.name.data(), static_cast<Py_ssize_t>(timer.name.size()),
                                  nullptr));
    Ref due(PyLong_FromLongLong(timer.due_ms));
    if (!all || !name || !due || PyDict_SetItem(all.get(), name.get(), due.get()) < 0) {
      return nullptr;
    }
  }
  return all.release();
}

PyObject* Refuse(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError,
               "%.200s is an entity class: the node creates its entities, by their key",
               type->tp_name);
  return nullptr;
}

PyCFunction Fast(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyGetSetDef kGetSet[] = {
    {"key", GetKey, nullptr, "The entity's key, without the class's prefix.", nullptr},
    {"now", GetNow, nullptr, "The turn's wall clock time, in ms since the epoch.", nullptr},
    {"ttl", GetTtl, SetTtl, "The idle time after which the entity expires, in seconds.", nullptr},
    {"timers", GetTimers, nullptr, "The timers that are set: when each is due, by name.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef kMethods[] = {
    {"touch", Touch, METH_NOARGS, "Lets the TTL begin anew."},
    {"after", Fast(After), METH_FASTCALL | METH_KEYWORDS,
     "Runs a method once that time has passed: after(delay, method, *args, name=None)."},
    {"at", Fast(At), METH_FASTCALL | METH_KEYWORDS,
     "Runs a method at that time: at(ms, method, *args, name=None)."},
    {"cancel", Cancel, METH_O, "Drops a timer, by name or method; False: there was none."},
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
