// The table of functions that the engine calls; see compute/python_host_api.h.
#include "compute/python/ref.h"

#include "compute/python/interpreter.h"
#include "compute/python/python_memory.h"
#include "compute/python/python_turn_host.h"
#include "compute/python_host_api.h"

namespace bettong::compute::python {
namespace {

absl::StatusOr<PythonInfo> Info() {
  GilScope gil;
  Ref described = CallSdk("info");
  if (!described) return absl::InternalError(TakeError().message);
  PythonInfo info;
  PyObject *name = nullptr, *value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(described.get(), &at, &name, &value);) {
    info.emplace_back(std::string(TextOf(name)), std::string(TextOf(value)));
  }
  return info;
}

PythonMemoryUse Memory() {
  const PythonMemory& memory = PythonMemory::Get();
  if (!memory.counts()) return {};
  return {memory.held_bytes(), memory.limit_bytes(), memory.refused()};
}

constexpr PythonHostApi kApi = {
    .build = kPythonHostBuild,
    .start = StartInterpreter,
    .load_apps = PythonTurnHost::Load,
    .info = Info,
    .memory = Memory,
};

}  // namespace
}  // namespace bettong::compute::python

extern "C" __attribute__((visibility("default"))) const bettong::compute::PythonHostApi*
bettong_python_host() {
  return &bettong::compute::python::kApi;
}
