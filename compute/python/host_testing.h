// Drives a PythonTurnHost in tests as the turn runner would: one turn at a time, on one entity,
// with a second row that only sees the deltas and must always end up equal.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "compute/python_host_api.h"
#include "grid/event.h"
#include "grid/loan.h"
#include "grid/tagged.h"

namespace bettong::compute::python {

// A field of an event; monostate is null, JSON goes as text.
using EventValue = std::variant<std::monostate, int64_t, double, bool, std::string>;

// A time limit that no test reaches by being slow.
inline PythonOptions Patient() {
  PythonOptions options;
  options.handler_timeout_ms = 60'000;
  return options;
}

class TestApp final : public OutputSink {
 public:
  // Writes `source` to a file and loads it; CHECKs that it loads.
  explicit TestApp(const std::string& source, PythonOptions options = Patient());
  ~TestApp();

  // The message of a load that fails.
  static std::string LoadError(const std::string& source);
  // Loads several apps, named by their files.
  static absl::StatusOr<PythonApps> LoadSources(
      const std::vector<std::pair<std::string, std::string>>& files,
      PythonOptions options = Patient());

  bool Emit(StreamId stream, std::string_view json) override;

  struct Turn {
    TurnStatus status = TurnStatus::kOk;
    TurnError error;
    TurnRequests requests;
    std::string delta;
    std::string reply;                 // rendered: "[1, 2.5, 'x', {a: nil}]"
    std::vector<std::string> outputs;  // "stream {json}"

    bool ok() const { return status == TurnStatus::kOk; }
  };

  // One turn of the first class's only entity, "key".
  Turn Event(const std::vector<EventValue>& values, size_t handler = 0);
  Turn Call(const std::string& command, const std::vector<std::string>& arguments = {});
  Turn Method(grid::TurnKind kind);
  Turn Keys(const std::vector<EventValue>& values, size_t handler = 0);

  // A field as redis-cli shows it.
  std::string Field(const std::string& name) const;
  // Both rows hold the same.
  bool RowsAgree() const;

  const grid::Catalog& catalog() const { return apps_.catalog; }
  const grid::ClassSchema& schema() const { return apps_.catalog.classes.at(0); }
  TurnHost& host() { return *apps_.host; }
  grid::WorkingRow& row() { return row_; }

  TimeMs now_ms = 1'700'000'000'000;

 private:
  Turn Run(TurnCall& call);

  PythonApps apps_;
  std::string redis_key_;
  grid::WorkingRow row_;
  std::unique_ptr<char[]> mirror_;
  std::vector<std::string> outputs_;
};

// A record of `stream` in `buffer`, which must be empty.
const grid::EventRecord* MakeRecord(const grid::Catalog& catalog, StreamId stream,
                                    const std::vector<EventValue>& values, ByteBuffer& buffer);

}  // namespace bettong::compute::python
