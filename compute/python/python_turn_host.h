// The TurnHost for Python. Belongs to the thread that loaded the apps; everything between Enter and
// Leave runs with the GIL, so other Python threads run between batches (and inside long turns).
#pragma once

#include "compute/python/ref.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log_limit.h"
#include "compute/python/apps.h"
#include "compute/python/numpy_memory.h"
#include "compute/python/python_memory.h"
#include "compute/python/watchdog.h"
#include "compute/python_host_api.h"
#include "compute/turn_host.h"

namespace bettong::compute::python {

// Tracebacks of commands that raised, on stderr: so many at once, then one an interval. A client
// that calls in a loop must not fill the disk.
inline constexpr int64_t kCallTracebacksBurst = 10;
inline constexpr std::chrono::seconds kCallTracebackEvery{1};
inline constexpr size_t kCallTracebackBytesMax = 16u << 10;

// The import of another version may take so many times the time limit of turns.
inline constexpr int64_t kStageTimeouts = 10;

class PythonTurnHost : public TurnHost {
 public:
  // Imports the apps; the GIL is free before and after.
  static absl::StatusOr<PythonApps> Load(const std::vector<std::string>& paths,
                                         const PythonOptions& options);

  explicit PythonTurnHost(const PythonOptions& options);
  ~PythonTurnHost() override;

  void Enter() override;
  void Leave() override;
  TurnStatus Run(TurnCall& call) override;

  // python_reload.cc
  absl::StatusOr<grid::Catalog> Stage(const std::vector<std::string>& paths,
                                      const grid::Catalog& current) override;
  void Switch() override;
  void DropStaged() override;
  void Tidy() override;
  void BeginMigrate() override;
  void EndMigrate() override;
  absl::Status RunMigrate(ClassId entity_class, std::string_view key, std::string_view fields,
                          std::string& delta) override;

 private:
  absl::StatusOr<grid::Catalog> LoadApps(const std::vector<std::string>& paths);
  absl::Status LimitMemory();
  // What the SDK's description, or its text that says why there is none, comes to.
  absl::Status TakeDescription(const Ref& description, const grid::Catalog* before, Apps& apps);
  // False with an exception.
  bool CallMigrate(ClassBinding& binding, const grid::RowSchema& schema, std::string_view fields,
                   std::string& delta);
  bool AssignFields(PyObject* made, ClassBinding& binding, const grid::RowSchema& schema, char* row,
                    std::string& delta);
  // A version that is not needed any more goes, with the GIL.
  void Free(std::unique_ptr<Apps> apps);
  bool Start();

  static const std::string* MethodName(const TurnCall& call, const ClassBinding& binding);
  // False with an exception set, or with call.error filled in.
  bool RunMethod(TurnCall& call, ClassBinding& binding);
  bool Call(TurnCall& call, ClassBinding& binding, PyObject* function, PyObject* const* args,
            size_t count, PyObject* names = nullptr);
  bool CallWithAll(TurnCall& call, ClassBinding& binding, const HandlerBinding& handler);
  // The turn's events as a handler that takes several is given them. Null with an exception.
  Ref AllEvents(const TurnCall& call, const HandlerBinding& handler);
  // python_functions.cc
  TurnStatus RunFunction(TurnCall& call);
  // False with an exception set.
  bool CallFunction(TurnCall& call, const HandlerBinding& function);
  void Release(const TurnCall& call, ClassBinding& binding);
  void Fail(TurnCall& call);
  void CollectGarbage();
  void LogTraceback(const TurnCall& call);

  const PythonOptions options_;
  TurnState* const turn_;  // never freed, see TurnState
  PyThreadState* state_ = nullptr;
  std::unique_ptr<Apps> apps_ = std::make_unique<Apps>();
  std::unique_ptr<Apps> staged_;
  PyObject* columns_type_ = nullptr;  // of the native module, which stays imported
  std::unique_ptr<Watchdog> watchdog_;
  PythonMemory& memory_ = PythonMemory::Get();
  NumpyMemory numpy_;
  uint64_t refused_before_ = 0;               // memory_.refused() when the running turn began
  bool out_of_memory_ = false;                // the turn that has just failed
  const std::string* method_name_ = nullptr;  // of the running turn
  std::vector<Ref> arguments_;                // of a command
  std::vector<PyObject*> call_args_;
  LogLimit call_tracebacks_{kCallTracebacksBurst, kCallTracebackEvery};
};

}  // namespace bettong::compute::python
