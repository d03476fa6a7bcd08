// Turns of functions on streams, which have no entity.
#include "compute/python/ref.h"

#include "compute/python/columns_type.h"
#include "compute/python/fork_guard.h"
#include "compute/python/python_turn_host.h"

namespace bettong::compute::python {

TurnStatus PythonTurnHost::RunFunction(TurnCall& call) {
  const HandlerBinding& function = apps_->functions[call.index];
  method_name_ = &function.name;
  refused_before_ = memory_.refused();
  watchdog_->TurnBegins(method_name_);
  const bool ok = CallFunction(call, function);
  if (IsForkedChild()) EndForkedChild(*method_name_);
  watchdog_->TurnEnds();
  if (!ok) Fail(call);
  // Destructors of user code may run, in no turn.
  watchdog_->TurnBegins(method_name_);
  apps_->events[function.stream].Settle();
  watchdog_->TurnEnds();
  if (out_of_memory_) CollectGarbage();
  return ok ? TurnStatus::kOk : TurnStatus::kRaised;
}

bool PythonTurnHost::CallFunction(TurnCall& call, const HandlerBinding& function) {
  Ref all;
  PyObject* argument;
  if (function.takes == HandlerBinding::Takes::kOne) {
    argument = apps_->events[function.stream].Hydrate(*call.event, function.wanted);
  } else {
    all = AllEvents(call, function);
    argument = all.get();
  }
  if (argument == nullptr) return false;
  turn_->call = &call;
  memory_.Enforce();
  Ref result(PyObject_CallOneArg(function.function.get(), argument));
  const bool ok = static_cast<bool>(result);
  result = Ref();
  memory_.Lift();
  turn_->call = nullptr;
  if (function.takes == HandlerBinding::Takes::kColumns) EndColumns(all.get());
  return ok;
}

}  // namespace bettong::compute::python
