// The loaded apps as the host runs them: per entity class its flyweight, handlers and commands, per
// stream its event class; and the catalog that the rest of the node works with.
#pragma once

#include "compute/python/ref.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/python/event_binding.h"
#include "compute/python/mailbox_type.h"
#include "compute/python/method_parameters.h"
#include "compute/python/row_binding.h"
#include "compute/python/turn_state.h"
#include "compute/python/value_converter.h"
#include "grid/catalog.h"

namespace bettong::compute::python {

// A handler of a class, or a function on a stream.
struct HandlerBinding {
  std::string name;  // "Host.sample"
  size_t stream = 0;
  uint64_t wanted = EventBinding::kAllFields;  // the event's fields that the function reads
  enum class Takes : uint8_t { kOne, kList, kColumns };
  Takes takes = Takes::kOne;
  Ref function;
  Ref key_function;  // null: the key is a field, or there is none
};

struct MethodBinding {
  std::string name;
  Ref function;  // null: the class has none
};

// A method that is given arguments from outside: a command, or what a message or timer may run.
struct CallableBinding : MethodBinding {
  MethodParameters parameters;
  std::string unsendable;  // why no message can run it; empty: one can
};

struct ClassBinding {
  ClassBinding(TurnState* turn, const RowBinding::Types& types) : row(turn, types) {}

  RowBinding row;
  std::optional<int64_t> ttl_ms;
  std::vector<HandlerBinding> handlers;
  std::vector<CallableBinding> commands;
  MethodBinding on_create, on_expire, on_close, migrate;
  std::map<std::string, CallableBinding, std::less<>> methods;  // by name, for timers and messages
  std::string prefix;
};

// A version of the apps. Its parts refer to each other: it stays where it was loaded.
struct Apps {
  Apps() = default;
  Apps(const Apps&) = delete;
  Apps& operator=(const Apps&) = delete;

  grid::Catalog catalog;
  EventClasses event_classes;
  std::vector<EventBinding> events;                    // by stream id
  std::vector<std::unique_ptr<ClassBinding>> classes;  // by class id; null: retired
  std::vector<HandlerBinding> functions;               // as Catalog::functions
  Ref streams;    // list of all Stream objects bound to the host
  Ref mailboxes;  // list of the classes' mailboxes, likewise

  // From the SDK's Description; `before`: the catalog that it has been told of, if any. False with
  // an exception, or with `error` filled.
  bool Load(PyObject* description, const grid::Catalog* before, TurnState* turn,
            std::string& error);
  // Streams emit no more.
  void Unbind();

 private:
  bool LoadStream(PyObject* described, TurnState* turn);
  bool LoadClass(PyObject* described, TurnState* turn, const RowBinding::Types& types);
  bool LoadFields(PyObject* info, grid::RowSchema& row, RowBinding& binding);
  bool LoadRecord(PyObject* described, PyObject* type, PyObject* initial, grid::RowSchema& row);
  bool LoadFunction(PyObject* described);
  bool LoadHandler(PyObject* described, ClassBinding& binding, grid::ClassSchema& schema);
  bool LoadCommand(PyObject* described, ClassBinding& binding, grid::ClassSchema& schema);
  bool LoadFeeds(PyObject* described, const grid::RowSchema& row, grid::HandlerSchema& handler);
  bool LoadMethods(PyObject* described, const std::string& class_name, ClassBinding& binding);
  bool BindMailbox(PyObject* cls, TurnState* turn, ClassBinding& binding);
  bool LoadMethod(PyObject* described, const char* name, const std::string& class_name,
                  MethodBinding& method);
};

}  // namespace bettong::compute::python
