// Hot reload: another version of the apps beside the one that runs.
#include "compute/python/ref.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compute/python/interpreter.h"
#include "compute/python/python_turn_host.h"

namespace bettong::compute::python {
namespace {

const std::string kStaging = "the import of the app's new version";
const std::string kFreeing = "the end of an app's old version";

template <typename Named>
Ref NamesOf(const std::vector<Named>& all) {
  Ref list(PyList_New(0));
  for (const Named& each : all) {
    Ref name(
        PyUnicode_FromStringAndSize(each.name.data(), static_cast<Py_ssize_t>(each.name.size())));
    if (!list || !name || PyList_Append(list.get(), name.get()) < 0) return Ref();
  }
  return list;
}

// What the SDK must know of the version that runs: (paths, streams, classes, classes with timers).
Ref StageArguments(const std::vector<std::string>& paths, const grid::Catalog& current) {
  std::vector<grid::ClassSchema> timed;
  for (const grid::ClassSchema& entity_class : current.classes) {
    if (entity_class.row.timers() != nullptr) timed.push_back(entity_class);
  }
  Ref files = PathList(paths), streams = NamesOf(current.streams);
  Ref classes = NamesOf(current.classes), timers = NamesOf(timed);
  if (!files || !streams || !classes || !timers) return Ref();
  return Ref(PyTuple_Pack(4, files.get(), streams.get(), classes.get(), timers.get()));
}

// None of it raises, but for want of memory.
void Must(const char* function) {
  if (!CallSdk(function)) BETTONG_CHECK(false);
}

}  // namespace

absl::StatusOr<grid::Catalog> PythonTurnHost::Stage(const std::vector<std::string>& paths,
                                                    const grid::Catalog& current) {
  BETTONG_CHECK(staged_ == nullptr);
  const int64_t limit_ms = kStageTimeouts * std::max<int64_t>(options_.handler_timeout_ms, 0);
  // Its threads may wait for the GIL: it goes without.
  Watchdog watchdog({.timeout_ms = limit_ms}, turn_->thread, turn_->timeout_error);
  GilScope gil;
  auto staged = std::make_unique<Apps>();
  Must("begin_stage");
  watchdog.TurnBegins(&kStaging);
  Ref arguments = StageArguments(paths, current);
  Ref description = arguments ? CallSdk("stage", arguments.get()) : Ref();
  watchdog.TurnEnds();
  absl::Status status = TakeDescription(description, &current, *staged);
  if (absl::StrContains(status.message(), "HandlerTimeout")) {
    status = absl::InvalidArgumentError(
        absl::StrCat(status.message(), "\nthe import ran longer than ", limit_ms, " ms"));
  }
  if (!status.ok()) {
    Must("fail_stage");
    Free(std::move(staged));
    return status;
  }
  Must("end_stage");
  staged_ = std::move(staged);
  return staged_->catalog;
}

void PythonTurnHost::Switch() {
  GilScope gil;
  Must("switch");
  std::unique_ptr<Apps> before = std::exchange(apps_, std::move(staged_));
  Free(std::move(before));
}

void PythonTurnHost::DropStaged() {
  if (staged_ == nullptr) return;
  GilScope gil;
  Must("drop_staged");
  Free(std::move(staged_));
}

// Destructors of user code may run.
void PythonTurnHost::Free(std::unique_ptr<Apps> apps) {
  watchdog_->TurnBegins(&kFreeing);
  apps->Unbind();
  apps.reset();
  watchdog_->TurnEnds();
}

void PythonTurnHost::Tidy() {
  GilScope gil;
  watchdog_->TurnBegins(&kFreeing);
  if (!CallSdk("tidy")) PyErr_Clear();
  watchdog_->TurnEnds();
}

}  // namespace bettong::compute::python
