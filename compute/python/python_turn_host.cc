#include "compute/python/python_turn_host.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "compute/python/interpreter.h"
#include "compute/python/tagged_values.h"
#include "grid/dead_letter.h"

namespace bettong::compute::python {

namespace {

// Kept for the life of the process: streams and entities that user code holds on to point to it.
TurnState* NewTurnState() {
  static auto* const all = new std::vector<std::unique_ptr<TurnState>>();
  return all->emplace_back(std::make_unique<TurnState>()).get();
}

}  // namespace

absl::StatusOr<PythonApps> PythonTurnHost::Load(const std::vector<std::string>& paths,
                                                const PythonOptions& options) {
  auto host = std::make_unique<PythonTurnHost>(options);
  absl::StatusOr<grid::Catalog> catalog = host->LoadApps(paths);
  if (!catalog.ok()) return catalog.status();
  return PythonApps{std::move(host), *std::move(catalog)};
}

PythonTurnHost::PythonTurnHost(const PythonOptions& options)
    : options_(options), turn_(NewTurnState()), state_(ThreadState()) {}

PythonTurnHost::~PythonTurnHost() {
  BETTONG_CHECK(state_ == ThreadState());
  watchdog_.reset();  // its threads may be waiting for the GIL
  GilScope gil;
  apps_.Unbind();
  apps_ = Apps();
  arguments_.clear();
  turn_->json = std::string();
  if (!CallSdk("finish")) PyErr_Clear();
}

bool PythonTurnHost::Start() {
  Ref sdk(PyImport_ImportModule("bettong"));
  if (!sdk) return false;
  turn_->thread = PyThread_get_thread_ident();
  turn_->stale_error = Attribute(sdk.get(), "StaleEntityError").release();
  turn_->outside_error = Attribute(sdk.get(), "OutsideTurnError").release();
  turn_->timeout_error = Attribute(sdk.get(), "HandlerTimeout").release();
  turn_->class_name = PyUnicode_InternFromString("__class__");
  return PyErr_Occurred() == nullptr;
}

absl::StatusOr<grid::Catalog> PythonTurnHost::LoadApps(const std::vector<std::string>& paths) {
  {
    GilScope gil;
    Ref list(PyList_New(0));
    for (const std::string& path : paths) {
      Ref text(PyUnicode_DecodeFSDefault(path.c_str()));
      if (!list || !text || PyList_Append(list.get(), text.get()) < 0) break;
    }
    std::string error;
    bool loaded = false;
    if (PyErr_Occurred() == nullptr && Start()) {
      Ref description = CallSdk("load", list.get());
      if (description && PyUnicode_Check(description.get())) {
        error = TextOf(description.get());
      } else {
        loaded = description && apps_.Load(description.get(), turn_, error);
      }
    }
    if (!loaded) {
      if (!error.empty()) return absl::InvalidArgumentError(error);
      TurnError raised = TakeError();
      return absl::InvalidArgumentError(raised.traceback.empty() ? raised.message
                                                                 : raised.traceback);
    }
  }
  watchdog_ = std::make_unique<Watchdog>(
      Watchdog::Options{options_.handler_timeout_ms, options_.handler_hard_limit_ms}, turn_->thread,
      turn_->timeout_error);
  return apps_.catalog;
}

void PythonTurnHost::Enter() { PyEval_RestoreThread(state_); }

void PythonTurnHost::Leave() { PyEval_SaveThread(); }

TurnStatus PythonTurnHost::Run(TurnCall& call) {
  ClassBinding& binding = *apps_.classes[call.entity_class.value()];
  turn_->call = &call;
  turn_->class_ttl_ms = binding.ttl_ms;
  TurnStatus status =
      call.kind == grid::TurnKind::kKeys ? RunKeys(call, binding) : RunMethod(call, binding);
  turn_->call = nullptr;
  Py_CLEAR(turn_->key);
  return status;
}

TurnStatus PythonTurnHost::RunKeys(TurnCall& call, ClassBinding& binding) {
  HandlerBinding& handler = binding.handlers[call.index];
  EventBinding& event = apps_.events[handler.stream];
  method_name_ = &handler.name;
  OutputSink* outputs = std::exchange(call.outputs, nullptr);  // key functions emit nothing
  watchdog_->TurnBegins(method_name_);
  size_t reply_size = call.reply->size();
  bool ok = false;
  if (PyObject* instance = event.Hydrate(*call.event)) {
    Ref result(PyObject_CallOneArg(handler.key_function.get(), instance));
    ok = result && WriteKeys(result.get(), *call.reply);
  }
  watchdog_->TurnEnds();
  if (!ok) {
    call.reply->resize(reply_size);
    Fail(call);
  }
  event.Settle();
  call.outputs = outputs;
  return ok ? TurnStatus::kOk : TurnStatus::kRaised;
}

TurnStatus PythonTurnHost::RunMethod(TurnCall& call, ClassBinding& binding) {
  // args[0] is the entity, filled in by Call.
  PyObject* args[2] = {nullptr, nullptr};
  switch (call.kind) {
    case grid::TurnKind::kEvent: {
      HandlerBinding& handler = binding.handlers[call.index];
      EventBinding& event = apps_.events[handler.stream];
      method_name_ = &handler.name;
      args[1] = event.Hydrate(*call.event, handler.wanted);
      if (args[1] == nullptr) return Fail(call), TurnStatus::kRaised;
      TurnStatus status = Call(call, binding, handler.function.get(), args, 2);
      event.Settle();
      return status;
    }
    case grid::TurnKind::kCreate:
    case grid::TurnKind::kExpire: {
      MethodBinding& method =
          call.kind == grid::TurnKind::kCreate ? binding.on_create : binding.on_expire;
      if (!method.function) return TurnStatus::kOk;
      method_name_ = &method.name;
      return Call(call, binding, method.function.get(), args, 1);
    }
    case grid::TurnKind::kCall: {
      CommandBinding& command = binding.commands[call.index];
      method_name_ = &binding.command_names[call.index];
      arguments_.clear();
      if (!command.Convert(call.arguments, arguments_, call.error.message)) {
        return TurnStatus::kRaised;  // without a traceback: user code has not run
      }
      call_args_.assign(1, nullptr);
      for (const Ref& argument : arguments_) call_args_.push_back(argument.get());
      TurnStatus status =
          Call(call, binding, command.function(), call_args_.data(), call_args_.size());
      arguments_.clear();
      return status;
    }
    case grid::TurnKind::kKeys:
      break;
  }
  return TurnStatus::kOk;
}

TurnStatus PythonTurnHost::Call(TurnCall& call, ClassBinding& binding, PyObject* function,
                                PyObject* const* args, size_t count) {
  RowBinding& row = binding.row;
  char* data = call.row->row.get();
  auto** slots = const_cast<PyObject**>(args);
  watchdog_->TurnBegins(method_name_);
  bool ok = false;
  size_t reply_size = call.reply == nullptr ? 0 : call.reply->size();
  slots[0] = row.Hydrate(data);
  if (slots[0] != nullptr) {
    Ref result(PyObject_Vectorcall(function, args, count, nullptr));
    ok = static_cast<bool>(result);
    if (ok && call.kind == grid::TurnKind::kCall) ok = WriteTagged(result.get(), *call.reply);
    result = Ref();
    ok = ok && row.Commit(data, call.delta);
  }
  watchdog_->TurnEnds();
  if (!ok) {
    if (call.reply != nullptr) call.reply->resize(reply_size);
    row.RollBack();
    Fail(call);
  }
  row.Release();
  return ok ? TurnStatus::kOk : TurnStatus::kRaised;
}

// Puts the exception into words. User code (__str__) may run, so the watchdog is on.
void PythonTurnHost::Fail(TurnCall& call) {
  bool timeout = PyErr_ExceptionMatches(turn_->timeout_error) != 0;
  TurnCall* running = std::exchange(turn_->call, nullptr);  // it emits nothing
  watchdog_->TurnBegins(method_name_);
  call.error = TakeError();
  watchdog_->TurnEnds();
  turn_->call = running;
  call.requests = TurnRequests();
  if (timeout) {
    call.error.message = absl::StrCat("HandlerTimeout: ", *method_name_, " ran longer than ",
                                      watchdog_->timeout_ms(), " ms");
  }
  // Events leave theirs in a dead letter; a caller is told the error only.
  bool called = call.kind == grid::TurnKind::kCall ||
                (call.kind == grid::TurnKind::kCreate && call.event == nullptr);
  if (called) LogTraceback(call);
}

void PythonTurnHost::LogTraceback(const TurnCall& call) {
  std::optional<uint64_t> left_out = call_tracebacks_.Admit(LogLimit::Clock::now());
  if (!left_out) return;
  std::string traceback = grid::CutText(call.error.traceback, kCallTracebackBytesMax);
  absl::StripTrailingAsciiWhitespace(&traceback);
  std::string_view key = call.row->redis_key.substr(0, 128);
  std::string line = absl::StrCat("CALL of ", *method_name_, " on '",
                                  absl::Utf8SafeCEscape({key.data(), key.size()}), "' raised");
  if (*left_out > 0)
    absl::StrAppend(&line, " (as did ", *left_out, " before it that are not shown)");
  LogWarning("python", absl::StrCat(line, ":\n", traceback));
}

}  // namespace bettong::compute::python
