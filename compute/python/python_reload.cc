// Hot reload: another version of the apps beside the one that runs.
#include "compute/python/ref.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compute/python/interpreter.h"
#include "compute/python/python_turn_host.h"
#include "compute/python/tagged_values.h"

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
  refused_before_ = memory_.refused();
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

// What migrate imports late is of its own version.
void PythonTurnHost::BeginMigrate() {
  if (staged_ != nullptr) Must("exchange");
}
void PythonTurnHost::EndMigrate() { BeginMigrate(); }

absl::Status PythonTurnHost::RunMigrate(ClassId entity_class, std::string_view key,
                                        std::string_view fields, std::string& delta) {
  Apps& apps = staged_ != nullptr ? *staged_ : *apps_;
  ClassBinding& binding = *apps.classes[entity_class.value()];
  const grid::RowSchema& schema = apps.catalog.classes[entity_class.value()].row;
  watchdog_->TurnBegins(&binding.migrate.name);
  absl::Status status;
  if (!CallMigrate(binding, schema, fields, delta)) {
    const TurnError raised = TakeError();
    status =
        absl::InvalidArgumentError(absl::StrCat(raised.traceback, binding.migrate.name, " of '",
                                                std::string(key), "' failed: ", raised.message));
  }
  watchdog_->TurnEnds();
  return status;
}

bool PythonTurnHost::CallMigrate(ClassBinding& binding, const grid::RowSchema& schema,
                                 std::string_view fields, std::string& delta) {
  Ref old = ReadTagged(fields);
  Ref read_only(old ? PyDictProxy_New(old.get()) : nullptr);
  if (!read_only) return false;
  memory_.Enforce();
  Ref made(PyObject_CallOneArg(binding.migrate.function.get(), read_only.get()));
  memory_.Lift();
  if (!made) return false;
  if (PyDict_Check(made.get()) == 0) {
    PyErr_Format(PyExc_TypeError, "migrate answers a dict of new fields, not %.200s",
                 Py_TYPE(made.get())->tp_name);
    return false;
  }
  auto row = std::make_unique<char[]>(schema.row_bytes());
  schema.InitDefaults(row.get(), ClassId(0));
  schema.MakeContainers(row.get());
  const bool ok = AssignFields(made.get(), binding, schema, row.get(), delta);
  if (!ok) binding.row.RollBack();
  binding.row.Release();
  schema.Destroy(row.get());
  return ok;
}

// By way of an instance, as handlers assign: the same types are taken, in the same words.
bool PythonTurnHost::AssignFields(PyObject* made, ClassBinding& binding,
                                  const grid::RowSchema& schema, char* row, std::string& delta) {
  PyObject* instance = binding.row.Hydrate(row, /*logged=*/true);
  if (instance == nullptr) return false;
  TurnCall call;  // what containers have grown by is told to it
  turn_->call = &call;
  PyObject *name = nullptr, *value = nullptr;
  std::vector<std::string> named;
  bool ok = true;
  for (Py_ssize_t at = 0; ok && PyDict_Next(made, &at, &name, &value) != 0;) {
    if (PyUnicode_Check(name) == 0) {
      PyErr_SetString(PyExc_TypeError, "migrate answers fields by their names");
      ok = false;
      break;
    }
    named.emplace_back(TextOf(name));
    const bool known = std::any_of(
        schema.fields.begin(), schema.fields.end(), [&](const grid::FieldSchema& field) {
          return field.name == named.back() || field.name.starts_with(named.back() + ".");
        });
    if (!known)
      PyErr_Format(PyExc_AttributeError, "migrate names the field %R, and there is none", name);
    ok = known && PyObject_SetAttr(instance, name, value) == 0;
  }
  std::string ignored;
  ok = ok && binding.row.Commit(row, &ignored);
  turn_->call = nullptr;
  if (!ok) return false;
  uint64_t count = 0;
  std::string encoded;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const std::string& field = schema.fields[i].name;
    const bool is_named = std::any_of(named.begin(), named.end(), [&](const std::string& each) {
      return field == each || field.starts_with(each + ".");
    });
    if (!is_named) continue;
    ++count;
    ByteWriter(encoded).Varint(i);
    schema.EncodeField(row, i, encoded);
  }
  ByteWriter(delta).Varint(count);
  delta.append(encoded);
  return true;
}

void PythonTurnHost::Tidy() {
  GilScope gil;
  watchdog_->TurnBegins(&kFreeing);
  if (!CallSdk("tidy")) PyErr_Clear();
  watchdog_->TurnEnds();
}

}  // namespace bettong::compute::python
