#include "compute/python/interpreter.h"

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "compute/python/fork_guard.h"
#include "compute/python/native_module.h"
#include "compute/python/python_memory.h"

namespace bettong::compute::python {
namespace {

constexpr size_t kTracebackBytesMax = 64 << 10;

// A thread's Python state ends with the thread; Python's main one stays.
struct OwnThreadState {
  PyThreadState* state = nullptr;
  bool main = false;

  ~OwnThreadState() {
    if (state == nullptr || main) return;
    PyEval_RestoreThread(state);
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
  }
};

thread_local OwnThreadState own_state;

std::string TextOrEmpty(PyObject* object) {
  if (object == nullptr || !PyUnicode_Check(object)) return "";
  Ref utf8(PyUnicode_AsEncodedString(object, "utf-8", "backslashreplace"));
  if (!utf8) return PyErr_Clear(), "";
  return {PyBytes_AS_STRING(utf8.get()), static_cast<size_t>(PyBytes_GET_SIZE(utf8.get()))};
}

// False if it raises, or is interrupted.
bool Str(PyObject* object, std::string* text) {
  Ref made(object == nullptr ? PyUnicode_FromString("") : PyObject_Str(object));
  if (!made) return PyErr_Clear(), false;
  *text = TextOrEmpty(made.get());
  return true;
}

// With the exception's own text only if that is known to end: `value` is null otherwise.
std::string Traceback(PyObject* type, PyObject* value, PyObject* traceback) {
  Ref module(PyImport_ImportModule("traceback"));
  Ref lines;
  if (module && value != nullptr) {
    lines = Ref(PyObject_CallMethod(module.get(), "format_exception", "OOO", type, value,
                                    traceback == nullptr ? Py_None : traceback));
  } else if (module && traceback != nullptr) {
    lines = Ref(PyObject_CallMethod(module.get(), "format_tb", "O", traceback));
  }
  Ref empty(PyUnicode_FromString(""));
  Ref joined(lines && empty ? PyUnicode_Join(empty.get(), lines.get()) : nullptr);
  std::string text = joined ? TextOrEmpty(joined.get()) : "";
  PyErr_Clear();
  if (text.size() <= kTracebackBytesMax) return text;
  size_t half = kTracebackBytesMax / 2;
  return text.substr(0, half) + "\n... cut ...\n" + text.substr(text.size() - half);
}

absl::Status Failed(const PyStatus& status) {
  return absl::InternalError(
      absl::StrCat("python: start: ", status.err_msg == nullptr ? "failed" : status.err_msg));
}

absl::Status Initialise(const PythonOptions& options) {
  PyPreConfig before;
  PyPreConfig_InitPythonConfig(&before);
  before.parse_argv = 0;
  if (PyStatus status = Py_PreInitialize(&before); PyStatus_Exception(status) != 0) {
    return Failed(status);
  }
  PythonMemory::Get().Hook();
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.parse_argv = 0;
  config.install_signal_handlers = 0;
  config.configure_c_stdio = 0;  // stdout is the node's data channel
  config.buffered_stdio = 0;
  PyStatus status =
      PyConfig_SetBytesString(&config, &config.executable, options.executable.c_str());
  if (PyStatus_Exception(status) == 0) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  return PyStatus_Exception(status) != 0 ? Failed(status) : absl::OkStatus();
}

// Makes `import bettong` find the package, and user output go to stderr.
absl::Status Prepare(const PythonOptions& options) {
  bool ok = true;
  if (!options.sdk_directory.empty()) {
    Ref directory(PyUnicode_DecodeFSDefault(options.sdk_directory.c_str()));
    PyObject* path = PySys_GetObject("path");
    ok = directory && path != nullptr && PyList_Insert(path, 0, directory.get()) == 0;
  }
  if (ok && CallSdk("prepare")) return absl::OkStatus();
  TurnError error = TakeError();
  return absl::UnavailableError(absl::StrCat(
      "python: import the bettong package (",
      options.sdk_directory.empty() ? "not found beside the program" : options.sdk_directory,
      "): ", error.message, "\n", error.traceback));
}

}  // namespace

absl::Status StartInterpreter(const PythonOptions& options) {
  // Called once a process, under the loader's lock.
  SetLogFormat(options.log_format);
  if (PyImport_AppendInittab("_bettong", InitNativeModule) < 0) {
    return absl::InternalError("python: register the native module");
  }
  if (absl::Status status = Initialise(options); !status.ok()) return status;
  own_state.state = PyThreadState_Get();
  own_state.main = true;
  WatchForks();
  absl::Status prepared = Prepare(options);
  PyEval_SaveThread();
  return prepared;
}

PyThreadState* ThreadState() {
  if (own_state.state == nullptr) {
    own_state.state = PyThreadState_New(PyInterpreterState_Main());
  }
  return own_state.state;
}

TurnError TakeError() {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  Ref owned_type(type), owned_value(value), owned_traceback(traceback);
  TurnError error;
  if (type == nullptr) return error;
  if (value != nullptr && traceback != nullptr) PyException_SetTraceback(value, traceback);
  Ref name(PyObject_GetAttrString(type, "__name__"));
  std::string text;
  bool has_text = Str(value, &text);
  if (!has_text) text = "<str() of the exception failed>";
  error.message = TextOrEmpty(name.get());
  if (!text.empty()) absl::StrAppend(&error.message, ": ", text);
  error.traceback = Traceback(type, has_text ? value : nullptr, traceback);
  if (!has_text) absl::StrAppend(&error.traceback, error.message, "\n");
  return error;
}

Ref PathList(const std::vector<std::string>& paths) {
  Ref list(PyList_New(0));
  for (const std::string& path : paths) {
    Ref text(PyUnicode_DecodeFSDefault(path.c_str()));
    if (!list || !text || PyList_Append(list.get(), text.get()) < 0) return Ref();
  }
  return list;
}

Ref CallSdk(const char* function, PyObject* argument) {
  Ref module(PyImport_ImportModule("bettong._host"));
  Ref callable(module ? PyObject_GetAttrString(module.get(), function) : nullptr);
  if (!callable) return Ref();
  return Ref(argument == nullptr ? PyObject_CallNoArgs(callable.get())
                                 : PyObject_CallOneArg(callable.get(), argument));
}

}  // namespace bettong::compute::python
