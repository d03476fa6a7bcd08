#include "compute/python/window_type.h"

#include <absl/strings/str_cat.h>

#include <bit>
#include <cmath>
#include <cstddef>

#include "compute/python/array_type.h"
#include "compute/python/number.h"

namespace bettong::compute::python {
namespace {

using grid::WindowSpec;
using grid::WindowTotals;

constexpr char kTimeOutOfRange[] = "the time of the value, in ms, is out of range";

[[gnu::cold]] WindowSite* RaiseStale(PyObject* self) {
  if (RaisedOffLane(self)) return nullptr;
  PyErr_SetString(reinterpret_cast<ContainerObject*>(self)->stale_error,
                  "this window was used after its turn had ended; keep its values instead");
  return nullptr;
}

// The site while the window may be used, or null and an exception.
inline WindowSite* SiteOf(PyObject* self) {
  auto* site = static_cast<WindowSite*>(reinterpret_cast<ContainerObject*>(self)->site);
  return site != nullptr && site->MayBeUsed() ? site : RaiseStale(self);
}

PyObject* Number(const WindowSpec& spec, uint64_t raw) {
  return spec.is_float ? PyFloat_FromDouble(std::bit_cast<double>(raw))
                       : PyLong_FromLongLong(static_cast<int64_t>(raw));
}

// The time that a value counts for: the one given, the event's, or now.
bool TimeOf(const WindowSite& site, PyObject* at, TimeMs* at_ms) {
  if (at == nullptr || at == Py_None) {
    const TurnCall* call = site.turn->call;
    if (call == nullptr) {
      PyErr_SetString(PyExc_ValueError, "add() outside of a turn needs a time: at=");
      return false;
    }
    const bool event = call->event != nullptr && call->event->time_ms != kNoTime;
    *at_ms = event ? call->event->time_ms : call->now_ms;
    return true;
  }
  const NumberResult result = ToInt64(at, at_ms);
  if (result == NumberResult::kOk) return true;
  if (result == NumberResult::kWrongType) {
    PyErr_Format(PyExc_TypeError, "at= is a time in ms, an int, not %.200s", Py_TYPE(at)->tp_name);
  } else if (result != NumberResult::kRaised) {
    PyErr_SetString(PyExc_OverflowError, kTimeOutOfRange);
  }
  return false;
}

// A text or bytes, as a window knows them.
bool HashOf(const WindowSpec& spec, PyObject* value, uint64_t* raw) {
  const bool text = spec.hashed == grid::HashedValue::kText;
  if (text ? !PyUnicode_Check(value) : !PyBytes_Check(value)) {
    PyErr_Format(PyExc_TypeError, "a window of %s takes no %.200s", text ? "str" : "bytes",
                 Py_TYPE(value)->tp_name);
    return false;
  }
  Py_ssize_t size = 0;
  const char* data = text ? PyUnicode_AsUTF8AndSize(value, &size) : PyBytes_AS_STRING(value);
  if (data == nullptr) return false;
  if (!text) size = PyBytes_GET_SIZE(value);
  *raw = grid::HashOfBytes({data, static_cast<size_t>(size)});
  return true;
}

bool ValueOf(const WindowSpec& spec, PyObject* value, uint64_t* raw) {
  if (spec.hashed != grid::HashedValue::kNo) return HashOf(spec, value, raw);
  int64_t integer = 0;
  double real = 0;
  const NumberResult result = spec.is_float ? ToDouble(value, &real) : ToInt64(value, &integer);
  *raw = spec.is_float ? std::bit_cast<uint64_t>(real) : static_cast<uint64_t>(integer);
  if (result == NumberResult::kOk) {
    if (!spec.is_float || std::isfinite(real)) return true;
    PyErr_SetString(PyExc_ValueError, "a window takes finite numbers");
    return false;
  }
  if (result == NumberResult::kWrongType) {
    PyErr_Format(PyExc_TypeError, "a window of %s takes %s, not %.200s",
                 spec.is_float ? "float" : "int", spec.is_float ? "numbers" : "ints",
                 Py_TYPE(value)->tp_name);
  } else if (result == NumberResult::kOverflow) {
    PyErr_SetString(PyExc_OverflowError, "the value does not fit into 64 bits");
  }
  return false;
}

PyObject* Add(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  const bool at_named =
      named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "at") == 0;
  if (count < 1 || count + named > 2 || (named > 0 && !at_named)) {
    PyErr_SetString(PyExc_TypeError, "add() takes a value, and a time: add(value, at=ms)");
    return nullptr;
  }
  WindowSite* site = SiteOf(self);
  TimeMs at_ms = 0;
  uint64_t raw = 0;
  if (site == nullptr || !ValueOf(site->window()->spec(), args[0], &raw) ||
      !TimeOf(*site, count + named == 2 ? args[1] : nullptr, &at_ms)) {
    return nullptr;
  }
  site = SiteOf(self);  // converting may have run user code
  if (site == nullptr) return nullptr;
  if (site->closed != nullptr) {
    PyErr_Format(PyExc_TypeError, "this window has closed; add to self.%s", site->name.c_str());
    return nullptr;
  }
  ++site->version;
  const TurnCall* call = site->turn->call;
  const TimeMs reached_ms = call == nullptr ? kNoTime : call->reached_ms;
  const grid::Window::Added added = site->window()->Add(raw, at_ms, reached_ms, site->changes);
  if (added == grid::Window::Added::kFull) {
    PyErr_Format(PyExc_OverflowError,
                 "the window has no room: %zu panes or sessions wait for the watermark already",
                 grid::kOpenPanesMax);
    return nullptr;
  }
  if (added == grid::Window::Added::kOverflow) {
    PyErr_SetString(PyExc_OverflowError, "the sum of the window's pane does not fit into 64 bits");
    return nullptr;
  }
  if (added == grid::Window::Added::kNoTime) {
    PyErr_SetString(PyExc_OverflowError, kTimeOutOfRange);
    return nullptr;
  }
  return PyBool_FromLong(added == grid::Window::Added::kYes);
}

// --- what is kept

template <uint8_t kKept>
bool Keeps(const WindowSpec& spec, const char* name) {
  if ((spec.keeps & kKept) != 0) return true;
  PyErr_Format(PyExc_AttributeError, "the window does not keep %s: name it in its keep=", name);
  return false;
}

// None of a window without values.
template <uint8_t kKept, typename Make>
PyObject* Get(PyObject* self, const char* name, const Make& make) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr || (kKept != 0 && !Keeps<kKept>(site->window()->spec(), name)))
    return nullptr;
  const WindowTotals& totals = site->View().totals;
  if (totals.count == 0) Py_RETURN_NONE;
  return make(*site->window(), totals);
}

PyObject* Count(PyObject* self, void*) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  return PyLong_FromUnsignedLongLong(site->closed != nullptr ? site->closed->totals.count
                                                             : site->window()->CurrentCount());
}
PyObject* Sum(PyObject* self, void*) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr || !Keeps<grid::kKeepSum>(site->window()->spec(), "sum")) return nullptr;
  if (site->window()->spec().is_float) return PyFloat_FromDouble(site->View().totals.float_sum);
  return MakeWideInt(site->closed != nullptr ? site->closed->totals.int_sum
                                             : site->window()->CurrentIntSum());
}
PyObject* Mean(PyObject* self, void*) {
  return Get<grid::kKeepSum>(self, "sum", [](const grid::Window& window, const WindowTotals& of) {
    return PyFloat_FromDouble(MeanOf(window.spec(), of));
  });
}
PyObject* Min(PyObject* self, void*) {
  return Get<grid::kKeepMin>(self, "min", [](const grid::Window& window, const WindowTotals& of) {
    return Number(window.spec(), of.min);
  });
}
PyObject* Max(PyObject* self, void*) {
  return Get<grid::kKeepMax>(self, "max", [](const grid::Window& window, const WindowTotals& of) {
    return Number(window.spec(), of.max);
  });
}
PyObject* First(PyObject* self, void*) {
  return Get<grid::kKeepFirst>(self, "first",
                               [](const grid::Window& window, const WindowTotals& of) {
                                 return Number(window.spec(), of.first);
                               });
}
PyObject* Last(PyObject* self, void*) {
  return Get<grid::kKeepLast>(self, "last", [](const grid::Window& window, const WindowTotals& of) {
    return Number(window.spec(), of.last);
  });
}
PyObject* Variance(PyObject* self, void*) {
  return Get<grid::kKeepVariance>(self, "variance",
                                  [](const grid::Window&, const WindowTotals& of) {
                                    return PyFloat_FromDouble(VarianceOf(of));
                                  });
}
PyObject* Distinct(PyObject* self, void*) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (site->window()->spec().distinct_bits == 0) {
    PyErr_SetString(
        PyExc_AttributeError,
        "the window does not count different values: say distinct=0.02, or another error");
    return nullptr;
  }
  return PyLong_FromLongLong(std::llround(site->Sketch().Distinct()));
}
PyObject* Quantile(PyObject* self, PyObject* argument) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (site->window()->spec().quantile_error_ppm == 0) {
    PyErr_SetString(PyExc_AttributeError,
                    "the window does not keep quantiles: say quantiles=0.01, or another error");
    return nullptr;
  }
  double share = 0;
  const NumberResult result = ToDouble(argument, &share);
  if (result == NumberResult::kRaised) return nullptr;
  if (result != NumberResult::kOk || !(share >= 0 && share <= 1)) {
    PyErr_Format(result == NumberResult::kWrongType ? PyExc_TypeError : PyExc_ValueError,
                 "quantile() takes a number from 0 to 1, not %R", argument);
    return nullptr;
  }
  site = SiteOf(self);  // converting may have run user code
  if (site == nullptr) return nullptr;
  const std::optional<double> value = site->Sketch().Quantile(share);
  if (!value) Py_RETURN_NONE;
  return PyFloat_FromDouble(*value);
}
PyObject* Name(PyObject* self, void*) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  return PyUnicode_FromStringAndSize(site->name.data(), static_cast<Py_ssize_t>(site->name.size()));
}
PyObject* Start(PyObject* self, void*) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (site->View().empty) Py_RETURN_NONE;
  return PyLong_FromLongLong(site->View().start_ms);
}
PyObject* End(PyObject* self, void*) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  if (site->View().empty) Py_RETURN_NONE;
  return PyLong_FromLongLong(site->View().end_ms);
}

// What handlers read most, found by the name's address: Python's own search in the type costs three
// times as much as the answer. Beside a search of one's own Python does not specialise calls of
// methods: add() is kept at hand, bound.
struct Names {
  PyObject* count = PyUnicode_InternFromString("count");
  PyObject* sum = PyUnicode_InternFromString("sum");
  PyObject* add = PyUnicode_InternFromString("add");
  PyObject* max = PyUnicode_InternFromString("max");
  PyObject* min = PyUnicode_InternFromString("min");
  PyObject* mean = PyUnicode_InternFromString("mean");
  PyObject* end = PyUnicode_InternFromString("end");
  PyObject* start = PyUnicode_InternFromString("start");
};

PyMethodDef kAdd = {
    "add", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Add)),
    METH_FASTCALL | METH_KEYWORDS,
    "Counts a value, at the event's time, or at=ms. False: too late for the window."};

PyObject* GetAttribute(PyObject* self, PyObject* name) {
  static const Names names;
  if (name == names.count) return Count(self, nullptr);
  if (name == names.sum) return Sum(self, nullptr);
  if (name == names.add) {
    auto* handle = reinterpret_cast<ContainerObject*>(self);
    if (handle->site == nullptr) return PyObject_GenericGetAttr(self, name);  // stale
    if (handle->method == nullptr) handle->method = PyCFunction_New(&kAdd, self);
    return Py_XNewRef(handle->method);
  }
  if (name == names.end) return End(self, nullptr);
  if (name == names.start) return Start(self, nullptr);
  if (name == names.max) return Max(self, nullptr);
  if (name == names.min) return Min(self, nullptr);
  if (name == names.mean) return Mean(self, nullptr);
  return PyObject_GenericGetAttr(self, name);
}

PyObject* Repr(PyObject* self) {
  WindowSite* site = SiteOf(self);
  if (site == nullptr) return nullptr;
  std::string json;
  if (site->closed == nullptr) {
    site->window()->AppendJson(json);
  } else {
    json = absl::StrCat(site->name, " [", site->closed->start_ms, ", ", site->closed->end_ms, ")");
  }
  return PyUnicode_FromFormat("<window %s>", json.c_str());
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef kMethods[] = {
    kAdd,
    {"quantile", Quantile, METH_O,
     "The value below which that share of them lies, within the error of quantiles=; or None."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kProperties[] = {
    {"count", Count, nullptr, "How many values.", nullptr},
    {"sum", Sum, nullptr, "Their sum.", nullptr},
    {"mean", Mean, nullptr, "Their mean, or None.", nullptr},
    {"min", Min, nullptr, "The least, or None.", nullptr},
    {"max", Max, nullptr, "The greatest, or None.", nullptr},
    {"first", First, nullptr, "The earliest by time, or None.", nullptr},
    {"last", Last, nullptr, "The latest by time, or None.", nullptr},
    {"variance", Variance, nullptr, "Their variance (of a whole population), or None.", nullptr},
    {"distinct", Distinct, nullptr, "How many different values, within distinct=.", nullptr},
    {"name", Name, nullptr, "The field's name.", nullptr},
    {"start", Start, nullptr, "Where the window begins, ms; None before the first value.", nullptr},
    {"end", End, nullptr, "Where the window ends, ms, not included; None likewise.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("A window field of an entity.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_getattro, reinterpret_cast<void*>(GetAttribute)},
    {Py_tp_repr, reinterpret_cast<void*>(Repr)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {0, nullptr},
};

}  // namespace

PyType_Spec kWindowSpec = {
    "_bettong.Window",
    sizeof(ContainerObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kSlots,
};

}  // namespace bettong::compute::python
