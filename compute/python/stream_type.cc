#include "compute/python/stream_type.h"

#include <structmember.h>

#include <string>

#include "compute/python/json_writer.h"
#include "compute/python/turn_state.h"

namespace bettong::compute::python {
namespace {

StreamObject* Self(PyObject* self) { return reinterpret_cast<StreamObject*>(self); }

int Init(PyObject* self, PyObject* args, PyObject* kwargs) {
  PyObject* name = nullptr;
  PyObject* event = nullptr;
  static const char* const kNames[] = {"name", "event", nullptr};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UO", const_cast<char**>(kNames), &name, &event)) {
    return -1;
  }
  Py_XSETREF(Self(self)->name, Py_NewRef(name));
  Py_XSETREF(Self(self)->event, Py_NewRef(event));
  return 0;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(Self(self)->name);
  Py_VISIT(Self(self)->event);
  return 0;
}

int Clear(PyObject* self) {
  Py_CLEAR(Self(self)->name);
  Py_CLEAR(Self(self)->event);
  return 0;
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// emit(event) | emit(mapping) | emit(**fields)
PyObject* Emit(PyObject* object, PyObject* const* args, Py_ssize_t positional, PyObject* names) {
  StreamObject* self = Self(object);
  TurnState* turn = self->turn;
  if (turn == nullptr || !turn->InTurn() || turn->call->outputs == nullptr) {
    PyErr_Format(turn == nullptr ? PyExc_RuntimeError : turn->outside_error,
                 "%U.emit() works only while a handler or command runs, on that thread",
                 self->name);
    return nullptr;
  }
  Py_ssize_t keywords = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (positional + (keywords > 0 ? 1 : 0) != 1 && !(positional == 0 && keywords == 0)) {
    PyErr_Format(PyExc_TypeError, "%U.emit() takes one event, or its fields by name", self->name);
    return nullptr;
  }
  // Writing may run user code, which may emit: then its event stands behind the half of this one.
  const size_t begin = turn->json.size();
  JsonWriter writer(turn->json, self->event);
  bool written = positional == 1 ? writer.WriteEvent(args[0])
                                 : writer.WriteFields(names, args + positional, keywords);
  const bool taken = written && turn->call->outputs->Emit(
                                    self->stream, std::string_view(turn->json).substr(begin));
  turn->json.resize(begin);
  if (!written) {
    writer.RaiseAt(std::string(PyUnicode_AsUTF8(self->name)) + ".emit()", "field");
    return nullptr;
  }
  if (!taken) {
    PyErr_Format(PyExc_RuntimeError, "%U.emit(): a turn may emit %zd MiB, and this is more",
                 self->name, static_cast<Py_ssize_t>(kTurnOutputBytesMax >> 20));
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef kMethods[] = {
    {"emit", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Emit)),
     METH_FASTCALL | METH_KEYWORDS,
     "Sends an event once this turn has succeeded; a turn that fails emits nothing."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef kMembers[] = {
    {"name", T_OBJECT, offsetof(StreamObject, name), READONLY, "The stream's name."},
    {"event", T_OBJECT, offsetof(StreamObject, event), READONLY, "The event class, or None."},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_doc, const_cast<char*>("The native part of a stream.")},
    {Py_tp_init, reinterpret_cast<void*>(Init)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Clear)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {0, nullptr},
};

}  // namespace

PyType_Spec kStreamBaseSpec = {
    "_bettong.StreamBase",
    sizeof(StreamObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    kSlots,
};

}  // namespace bettong::compute::python
