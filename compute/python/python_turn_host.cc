#include "compute/python/python_turn_host.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/deep_thread.h"
#include "base/log.h"
#include "compute/python/columns_type.h"
#include "compute/python/fork_guard.h"
#include "compute/python/interpreter.h"
#include "compute/python/tagged_values.h"
#include "grid/compute_host.h"
#include "grid/dead_letter.h"
#include "grid/entity_message.h"

namespace bettong::compute::python {

namespace {

// sys.setrecursionlimit() is held to what the lane's stack has room for: a level is a frame of
// Python, or one of C code that calls Python (sorted() with a key function takes 5 KiB).
constexpr size_t kStackBytesPerLevel = 8 << 10;
constexpr size_t kRecursionDefault = 1000;  // Python's own
constexpr size_t kRecursionMax = 30'000;
static_assert(kRecursionMax * kStackBytesPerLevel < grid::kLaneStackBytes);

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
  if (staged_ != nullptr) staged_->Unbind();
  staged_.reset();
  apps_->Unbind();
  apps_.reset();
  arguments_.clear();
  turn_->json = std::string();
  if (!CallSdk("finish")) PyErr_Clear();
}

bool PythonTurnHost::Start() {
  Ref sdk(PyImport_ImportModule("bettong"));
  if (!sdk) return false;
  turn_->thread = PyThread_get_thread_ident();
  turn_->lane = __builtin_thread_pointer();
  turn_->stale_error = Attribute(sdk.get(), "StaleEntityError").release();
  turn_->outside_error = Attribute(sdk.get(), "OutsideTurnError").release();
  turn_->timeout_error = Attribute(sdk.get(), "HandlerTimeout").release();
  turn_->class_name = PyUnicode_InternFromString("__class__");
  Ref native(PyImport_ImportModule("_bettong"));
  if (native) columns_type_ = Attribute(native.get(), "Columns").release();
  if (PyErr_Occurred() != nullptr) return false;
  const size_t room = ThreadStackBytes() / kStackBytesPerLevel;
  Ref levels(PyLong_FromSize_t(std::clamp(room, kRecursionDefault, kRecursionMax)));
  return levels && CallSdk("limit_recursion", levels.get());
}

absl::Status PythonTurnHost::LimitMemory() {
  const uint64_t limit = options_.memory_limit_bytes, held = memory_.held_bytes();
  if (limit != 0 && held >= limit) {
    return absl::UnavailableError(absl::StrCat("python: memory_limit is ", limit,
                                               " bytes, but Python holds ", held,
                                               " before it has loaded any app: set "
                                               "python.memory_limit to more, or to 0: no limit"));
  }
  return memory_.SetLimit(limit);
}

absl::StatusOr<grid::Catalog> PythonTurnHost::LoadApps(const std::vector<std::string>& paths) {
  if (absl::Status limited = LimitMemory(); !limited.ok()) return limited;
  refused_before_ = memory_.refused();
  {
    GilScope gil;
    Ref list = PathList(paths);
    Ref description = list && Start() ? CallSdk("load", list.get()) : Ref();
    if (absl::Status status = TakeDescription(description, nullptr, *apps_); !status.ok()) {
      return status;
    }
  }
  watchdog_ = std::make_unique<Watchdog>(
      Watchdog::Options{options_.handler_timeout_ms, options_.handler_hard_limit_ms}, turn_->thread,
      turn_->timeout_error);
  return apps_->catalog;
}

absl::Status PythonTurnHost::TakeDescription(const Ref& description, const grid::Catalog* before,
                                             Apps& apps) {
  const MemoryLimitLifted lifted;
  std::string error;
  if (description && PyUnicode_Check(description.get())) {
    error = TextOf(description.get());
  } else if (description && apps.Load(description.get(), before, turn_, error)) {
    return absl::OkStatus();
  }
  if (error.empty()) {
    TurnError raised = TakeError();
    error = raised.traceback.empty() ? raised.message : raised.traceback;
  }
  if (memory_.refused() != refused_before_) {
    absl::StrAppend(&error, "python.memory_limit, ", memory_.limit_bytes(),
                    " bytes, has no room for what the apps ask for as they are imported; set it "
                    "to more");
  }
  return absl::InvalidArgumentError(error);
}

void PythonTurnHost::Enter() {
  PyEval_RestoreThread(state_);
  memory_.Lift();
  numpy_.Install();
}

void PythonTurnHost::Leave() {
  memory_.Enforce();
  PyEval_SaveThread();
}

TurnStatus PythonTurnHost::Run(TurnCall& call) {
  if (call.kind == grid::TurnKind::kFunction) return RunFunction(call);
  ClassBinding& binding = *apps_->classes[call.entity_class.value()];
  method_name_ = MethodName(call, binding);
  if (method_name_ == nullptr && call.kind == grid::TurnKind::kTimer) {
    call.error.message = call.error.traceback =
        absl::StrCat("AttributeError: the class has no method '", call.timer->method,
                     "' (any more), which the timer '", call.timer->name, "' should run");
    return TurnStatus::kRaised;
  }
  if (method_name_ == nullptr && call.kind == grid::TurnKind::kMessage) {
    call.error.message = call.error.traceback =
        absl::StrCat("AttributeError: the class has no method '",
                     std::string(grid::MessageText(*call.event, grid::MessageField::kMethod)),
                     "' (any more), which a message should run");
    return TurnStatus::kRaised;
  }
  if (method_name_ == nullptr) return TurnStatus::kOk;
  size_t reply_size = call.reply == nullptr ? 0 : call.reply->size();
  refused_before_ = memory_.refused();
  watchdog_->TurnBegins(method_name_);
  bool ok = RunMethod(call, binding);
  if (IsForkedChild()) EndForkedChild(*method_name_);
  watchdog_->TurnEnds();
  if (!ok) {
    if (call.reply != nullptr) call.reply->resize(reply_size);
    if (call.row != nullptr) binding.row.RollBack();
    if (PyErr_Occurred() != nullptr) Fail(call);
  }
  Release(call, binding);
  if (out_of_memory_) CollectGarbage();
  return ok ? TurnStatus::kOk : TurnStatus::kRaised;
}

// Null where the class has no such method.
const std::string* PythonTurnHost::MethodName(const TurnCall& call, const ClassBinding& binding) {
  switch (call.kind) {
    case grid::TurnKind::kEvent:
    case grid::TurnKind::kKeys:
      return &binding.handlers[call.index].name;
    case grid::TurnKind::kCall:
      return &binding.commands[call.index].name;
    case grid::TurnKind::kCreate:
      return binding.on_create.function ? &binding.on_create.name : nullptr;
    case grid::TurnKind::kExpire:
      return binding.on_expire.function ? &binding.on_expire.name : nullptr;
    case grid::TurnKind::kClose:
      return binding.on_close.function ? &binding.on_close.name : nullptr;
    case grid::TurnKind::kTimer:
    case grid::TurnKind::kMessage: {
      const auto method =
          binding.methods.find(call.kind == grid::TurnKind::kTimer
                                   ? std::string_view(call.timer->method)
                                   : grid::MessageText(*call.event, grid::MessageField::kMethod));
      return method == binding.methods.end() ? nullptr : &method->second.name;
    }
    case grid::TurnKind::kFunction:
    case grid::TurnKind::kDue:
      break;
  }
  return nullptr;
}

bool PythonTurnHost::RunMethod(TurnCall& call, ClassBinding& binding) {
  // args[0] is the entity, filled in by Call.
  PyObject* args[2] = {nullptr, nullptr};
  switch (call.kind) {
    case grid::TurnKind::kEvent: {
      HandlerBinding& handler = binding.handlers[call.index];
      if (handler.takes != HandlerBinding::Takes::kOne) return CallWithAll(call, binding, handler);
      args[1] = apps_->events[handler.stream].Hydrate(*call.event, handler.wanted);
      return args[1] != nullptr && Call(call, binding, handler.function.get(), args, 2);
    }
    case grid::TurnKind::kKeys: {
      // The key is not known yet, so that this is not a turn: it emits nothing.
      HandlerBinding& handler = binding.handlers[call.index];
      args[1] = apps_->events[handler.stream].Hydrate(*call.event);
      if (args[1] == nullptr) return false;
      memory_.Enforce();
      Ref result(PyObject_CallOneArg(handler.key_function.get(), args[1]));
      const bool ok = result && WriteKeys(result.get(), *call.reply);
      result = Ref();
      memory_.Lift();
      return ok;
    }
    case grid::TurnKind::kCreate:
      return Call(call, binding, binding.on_create.function.get(), args, 1);
    case grid::TurnKind::kExpire:
      return Call(call, binding, binding.on_expire.function.get(), args, 1);
    case grid::TurnKind::kClose: {
      const Ref closed = binding.row.MakeClosed(call.row->row.get(), call.index, *call.closed);
      args[1] = closed.get();
      const bool ok =
          args[1] != nullptr && Call(call, binding, binding.on_close.function.get(), args, 2);
      binding.row.EndClosed(closed);
      return ok;
    }
    case grid::TurnKind::kTimer: {
      if (!ReadArguments(call.timer->arguments, arguments_)) return false;
      call_args_.assign(1, nullptr);
      for (const Ref& argument : arguments_) call_args_.push_back(argument.get());
      return Call(call, binding, binding.methods.find(call.timer->method)->second.function.get(),
                  call_args_.data(), call_args_.size());
    }
    case grid::TurnKind::kMessage: {
      using grid::MessageField;
      const grid::EventRecord& message = *call.event;
      const CallableBinding& method =
          binding.methods.find(grid::MessageText(message, MessageField::kMethod))->second;
      Ref names;
      if (!method.parameters.FromJson(grid::MessageText(message, MessageField::kArguments),
                                      grid::MessageText(message, MessageField::kNamed), arguments_,
                                      names, call.error.message)) {
        return false;
      }
      call_args_.assign(1, nullptr);
      for (const Ref& argument : arguments_) call_args_.push_back(argument.get());
      return Call(call, binding, method.function.get(), call_args_.data(), call_args_.size(),
                  names.get());
    }
    case grid::TurnKind::kFunction:
    case grid::TurnKind::kDue:
      break;
    case grid::TurnKind::kCall: {
      const CallableBinding& command = binding.commands[call.index];
      if (!command.parameters.FromTexts(call.arguments, arguments_, call.error.message)) {
        return false;  // without a traceback: user code has not run
      }
      call_args_.assign(1, nullptr);
      for (const Ref& argument : arguments_) call_args_.push_back(argument.get());
      return Call(call, binding, command.function.get(), call_args_.data(), call_args_.size());
    }
  }
  return false;
}

Ref PythonTurnHost::AllEvents(const TurnCall& call, const HandlerBinding& handler) {
  EventBinding& events = apps_->events[handler.stream];
  if (handler.takes == HandlerBinding::Takes::kColumns) {
    return MakeColumns(columns_type_, *events.event_class(), events, call.events,
                       turn_->stale_error);
  }
  Ref all(PyList_New(static_cast<Py_ssize_t>(call.events.size())));
  for (size_t i = 0; all && i < call.events.size(); ++i) {
    Ref event = events.Make(*call.events[i]);
    if (!event) return Ref();
    PyList_SET_ITEM(all.get(), static_cast<Py_ssize_t>(i), event.release());
  }
  return all;
}

// Of a handler that takes several events.
bool PythonTurnHost::CallWithAll(TurnCall& call, ClassBinding& binding,
                                 const HandlerBinding& handler) {
  const Ref all = AllEvents(call, handler);
  if (!all) return false;
  PyObject* args[2] = {nullptr, all.get()};
  const bool ok = Call(call, binding, handler.function.get(), args, 2);
  if (handler.takes == HandlerBinding::Takes::kColumns) EndColumns(all.get());
  return ok;
}

// The turn proper: what user code emits and asks for counts from here to the end of this function,
// and the limit of memory holds. `names`: of the last arguments, or null.
bool PythonTurnHost::Call(TurnCall& call, ClassBinding& binding, PyObject* function,
                          PyObject* const* args, size_t count, PyObject* names) {
  char* data = call.row->row.get();
  auto** slots = const_cast<PyObject**>(args);
  slots[0] = binding.row.Hydrate(data, call.logged);
  if (slots[0] == nullptr) return false;
  turn_->call = &call;
  turn_->instance = slots[0];
  turn_->class_ttl_ms = binding.ttl_ms;
  const size_t named = names == nullptr ? 0 : static_cast<size_t>(PyTuple_GET_SIZE(names));
  memory_.Enforce();
  Ref result(PyObject_Vectorcall(function, args, count - named, names));
  bool ok = static_cast<bool>(result);
  if (ok && call.kind == grid::TurnKind::kCall) ok = WriteTagged(result.get(), *call.reply);
  result = Ref();
  ok = ok && binding.row.Commit(data, call.delta);
  memory_.Lift();
  turn_->call = nullptr;
  turn_->instance = nullptr;
  Py_CLEAR(turn_->key);
  return ok;
}

// Destructors of user code may run, in no turn: they emit nothing, but the watchdog is on.
void PythonTurnHost::Release(const TurnCall& call, ClassBinding& binding) {
  watchdog_->TurnBegins(method_name_);
  if (call.row != nullptr) binding.row.Release();
  if (call.kind == grid::TurnKind::kEvent || call.kind == grid::TurnKind::kKeys) {
    apps_->events[binding.handlers[call.index].stream].Settle();
  }
  arguments_.clear();
  watchdog_->TurnEnds();
}

// Puts the exception into words. User code (__str__) may run, likewise.
void PythonTurnHost::Fail(TurnCall& call) {
  bool timeout = PyErr_ExceptionMatches(turn_->timeout_error) != 0;
  out_of_memory_ = PyErr_ExceptionMatches(PyExc_MemoryError) != 0;
  const bool limited = out_of_memory_ && memory_.refused() != refused_before_;
  watchdog_->TurnBegins(method_name_);
  call.error = TakeError();
  watchdog_->TurnEnds();
  call.requests = TurnRequests();
  if (timeout) {
    call.error.message = absl::StrCat("HandlerTimeout: ", *method_name_, " ran longer than ",
                                      watchdog_->timeout_ms(), " ms");
  }
  if (limited) {
    absl::StrAppend(&call.error.message, ": python.memory_limit, ", memory_.limit_bytes(),
                    " bytes, has no room for what ", *method_name_,
                    " asks for; set it to more, or hold less");
  }
  // Events leave theirs in a dead letter; a caller is told the error only.
  bool called = call.kind == grid::TurnKind::kCall ||
                (call.kind == grid::TurnKind::kCreate && call.event == nullptr);
  if (called) LogTraceback(call);
}

// What a turn has failed to make room for is often garbage in cycles by now (tracebacks, frames).
void PythonTurnHost::CollectGarbage() {
  out_of_memory_ = false;
  watchdog_->TurnBegins(method_name_);
  PyGC_Collect();
  watchdog_->TurnEnds();
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
