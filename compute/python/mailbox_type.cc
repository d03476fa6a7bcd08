#include "compute/python/mailbox_type.h"

#include <string>

#include "compute/python/apps.h"
#include "compute/python/json_writer.h"
#include "compute/python/turn_state.h"
#include "grid/entity_message.h"

namespace bettong::compute::python {
namespace {

struct MailboxObject {
  PyObject_HEAD PyObject* cls;
  PyTypeObject* address_type;
  TurnState* turn;
  const ClassBinding* binding;  // null: unbound
  StreamId messages;
};

// An entity's address; with a method, what sends a message when it is called.
struct AddressObject {
  PyObject_HEAD MailboxObject* mailbox;
  PyObject* key;     // str
  PyObject* method;  // str, or null
};

MailboxObject* AsMailbox(PyObject* self) { return reinterpret_cast<MailboxObject*>(self); }
AddressObject* AsAddress(PyObject* self) { return reinterpret_cast<AddressObject*>(self); }

const char* NameOf(const MailboxObject* mailbox) {
  return reinterpret_cast<PyTypeObject*>(mailbox->cls)->tp_name;
}

// --- the mailbox of a class

int TraverseMailbox(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(AsMailbox(self)->cls);
  Py_VISIT(AsMailbox(self)->address_type);
  return 0;
}

int ClearMailbox(PyObject* self) {
  Py_CLEAR(AsMailbox(self)->cls);
  Py_CLEAR(AsMailbox(self)->address_type);
  return 0;
}

void DeallocMailbox(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  ClearMailbox(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* NewAddress(MailboxObject* mailbox, PyObject* key, PyObject* method) {
  PyObject* made = mailbox->address_type->tp_alloc(mailbox->address_type, 0);
  if (made == nullptr) return nullptr;
  AsAddress(made)->mailbox = AsMailbox(Py_NewRef(reinterpret_cast<PyObject*>(mailbox)));
  AsAddress(made)->key = Py_NewRef(key);
  AsAddress(made)->method = Py_XNewRef(method);
  return made;
}

// A key is str, int or bytes, as events bring it.
PyObject* AddressOf(PyObject* self, PyObject* key) {
  MailboxObject* mailbox = AsMailbox(self);
  Ref text;
  if (PyUnicode_Check(key)) {
    text = Ref(PyUnicode_FromObject(key));
  } else if (PyLong_Check(key) && !PyBool_Check(key)) {
    text = Ref(PyLong_Type.tp_repr(key));
  } else if (PyBytes_Check(key)) {
    text = Ref(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), nullptr));
  } else {
    PyErr_Format(PyExc_TypeError, "%s[...]: a key is str, int or bytes, not %.200s",
                 NameOf(mailbox), Py_TYPE(key)->tp_name);
  }
  if (!text) return nullptr;
  const std::string_view utf8 = TextOf(text.get());
  if (utf8.data() == nullptr) return nullptr;
  if (utf8.empty() || utf8.size() > grid::kEventKeyBytesMax) {
    PyErr_Format(PyExc_ValueError, "%s[...]: a key has 1 to %zu bytes, not %zu", NameOf(mailbox),
                 grid::kEventKeyBytesMax, utf8.size());
    return nullptr;
  }
  return NewAddress(mailbox, text.get(), nullptr);
}

PyType_Slot kMailboxSlots[] = {
    {Py_tp_doc, const_cast<char*>("Where entities of a class are sent messages.")},
    {Py_tp_traverse, reinterpret_cast<void*>(TraverseMailbox)},
    {Py_tp_clear, reinterpret_cast<void*>(ClearMailbox)},
    {Py_tp_dealloc, reinterpret_cast<void*>(DeallocMailbox)},
    {Py_mp_subscript, reinterpret_cast<void*>(AddressOf)},
    {0, nullptr},
};

// --- the address of an entity, and a method of it

int TraverseAddress(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<PyObject*>(AsAddress(self)->mailbox));
  return 0;
}

void DeallocAddress(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_XDECREF(reinterpret_cast<PyObject*>(AsAddress(self)->mailbox));
  Py_XDECREF(AsAddress(self)->key);
  Py_XDECREF(AsAddress(self)->method);
  type->tp_free(self);
  Py_DECREF(type);
}

const CallableBinding* FindMethod(const MailboxObject* mailbox, PyObject* name) {
  if (mailbox->binding == nullptr) {
    PyErr_Format(PyExc_RuntimeError, "%s[...]: the app it belongs to is not loaded any more",
                 NameOf(mailbox));
    return nullptr;
  }
  const std::string_view text = TextOf(name);
  if (text.data() == nullptr) return nullptr;
  const auto method = mailbox->binding->methods.find(text);
  if (method != mailbox->binding->methods.end()) return &method->second;
  PyErr_Format(
      PyExc_AttributeError,
      "%s[...].%U: the class has no such method; what can be reached of another entity are "
      "its methods, by messages",
      NameOf(mailbox), name);
  return nullptr;
}

PyObject* GetMethod(PyObject* self, PyObject* name) {
  AddressObject* address = AsAddress(self);
  const std::string_view text = TextOf(name);
  if (text.data() == nullptr) return nullptr;
  // What Python itself asks of any object.
  if (address->method != nullptr || text.starts_with("__")) {
    return PyObject_GenericGetAttr(self, name);
  }
  if (FindMethod(address->mailbox, name) == nullptr) return nullptr;
  return NewAddress(address->mailbox, address->key, name);
}

PyObject* Repr(PyObject* self) {
  const AddressObject* address = AsAddress(self);
  return address->method == nullptr
             ? PyUnicode_FromFormat("%s[%R]", NameOf(address->mailbox), address->key)
             : PyUnicode_FromFormat("%s[%R].%U", NameOf(address->mailbox), address->key,
                                    address->method);
}

PyObject* Send(PyObject* self, PyObject* args, PyObject* kwargs) {
  const AddressObject* address = AsAddress(self);
  const MailboxObject* mailbox = address->mailbox;
  if (address->method == nullptr) {
    PyErr_Format(PyExc_TypeError, "%R is the address of an entity; call a method of it", self);
    return nullptr;
  }
  const CallableBinding* method = FindMethod(mailbox, address->method);
  if (method == nullptr) return nullptr;
  TurnState* turn = mailbox->turn;
  if (!turn->InTurn() || turn->call->outputs == nullptr) {
    PyErr_Format(turn->outside_error,
                 "%R() works only while a handler or command runs, on that thread", self);
    return nullptr;
  }
  if (!method->unsendable.empty()) {
    PyErr_Format(PyExc_TypeError, "%R() cannot be sent: %s", self, method->unsendable.c_str());
    return nullptr;
  }
  const bool named = kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0;
  Ref names(named ? PySequence_Tuple(kwargs) : nullptr);
  if (named && !names) return nullptr;
  if (!method->parameters.Check(static_cast<size_t>(PyTuple_GET_SIZE(args)), names.get())) {
    return nullptr;
  }
  std::string arguments;  // writing them may run user code, which may send
  JsonWriter writer(arguments, Py_None);
  bool written = writer.WriteValue(args);
  const size_t named_at = arguments.size();
  if (written && named) written = writer.WriteValue(kwargs);
  if (!written) {
    writer.RaiseAt(method->name + "()", "argument");
    return nullptr;
  }
  const TurnCall& call = *turn->call;
  grid::EntityMessage message;
  message.prefix = mailbox->binding->prefix;
  message.key = TextOf(address->key);
  message.method = TextOf(address->method);
  message.arguments_json = std::string_view(arguments).substr(0, named_at);
  message.named_json = std::string_view(arguments).substr(named_at);
  message.time_ms = call.event != nullptr ? call.event->time_ms : call.reached_ms;
  std::string json;
  grid::AppendMessageJson(message, json);
  if (!call.outputs->Emit(mailbox->messages, json)) {
    PyErr_Format(PyExc_RuntimeError, "%R(): a turn may emit %zd MiB, and this is more", self,
                 static_cast<Py_ssize_t>(kTurnOutputBytesMax >> 20));
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyType_Slot kAddressSlots[] = {
    {Py_tp_doc, const_cast<char*>("An entity that may be sent messages, or a method of it.")},
    {Py_tp_traverse, reinterpret_cast<void*>(TraverseAddress)},
    {Py_tp_dealloc, reinterpret_cast<void*>(DeallocAddress)},
    {Py_tp_getattro, reinterpret_cast<void*>(GetMethod)},
    {Py_tp_call, reinterpret_cast<void*>(Send)},
    {Py_tp_repr, reinterpret_cast<void*>(Repr)},
    {0, nullptr},
};

}  // namespace

PyType_Spec kMailboxSpec = {
    "_bettong.Mailbox",
    sizeof(MailboxObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kMailboxSlots,
};

PyType_Spec kAddressSpec = {
    "_bettong.Address",
    sizeof(AddressObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    kAddressSlots,
};

Ref MakeMailbox(PyObject* cls, TurnState* turn, const ClassBinding& binding, StreamId messages) {
  Ref native(PyImport_ImportModule("_bettong"));
  Ref type = native ? Attribute(native.get(), "Mailbox") : Ref();
  Ref address = type ? Attribute(native.get(), "Address") : Ref();
  if (!address) return Ref();
  auto* mailbox_type = reinterpret_cast<PyTypeObject*>(type.get());
  Ref made(mailbox_type->tp_alloc(mailbox_type, 0));
  if (!made) return made;
  MailboxObject* mailbox = AsMailbox(made.get());
  mailbox->cls = Py_NewRef(cls);
  mailbox->address_type = reinterpret_cast<PyTypeObject*>(address.release());
  mailbox->turn = turn;
  mailbox->binding = &binding;
  mailbox->messages = messages;
  return made;
}

void UnbindMailbox(PyObject* mailbox) { AsMailbox(mailbox)->binding = nullptr; }

}  // namespace bettong::compute::python
