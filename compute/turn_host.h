// What a language runtime implements: running ONE method of one entity. TurnRunner (turn_runner.h)
// decides which methods run, in which order, and what becomes of the result; hosts know nothing of
// deadlines, creation, dead letters or the shard.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/turn_timers.h"
#include "grid/catalog.h"
#include "grid/containers/window.h"
#include "grid/event.h"
#include "grid/loan.h"

namespace bettong::compute {

enum class TurnStatus : uint8_t {
  kOk,
  kRaised,  // nothing changed; TurnCall::error says why
};

struct TurnError {
  std::string message;    // "ZeroDivisionError: division by zero"
  std::string traceback;  // as the language prints it; may be empty
  bool poison = false;    // the turn was not run: the runner's
};

// What user code asked for beyond field changes.
struct TurnRequests {
  bool touch = false;         // self.touch()
  bool remove = false;        // self.delete()
  bool ttl_assigned = false;  // self.ttl = ...
  int64_t ttl_ms = 0;
};

// What one turn may emit, in bytes of JSON.
inline constexpr size_t kTurnOutputBytesMax = 64u << 20;

// Takes what user code emits while a turn runs. The runner rolls a failed turn's outputs back.
class OutputSink {
 public:
  // False: the turn has emitted kTurnOutputBytesMax; the host raises that in user code.
  virtual bool Emit(StreamId stream, std::string_view json) = 0;

 protected:
  ~OutputSink() = default;
};

struct TurnCall {
  grid::TurnKind kind = grid::TurnKind::kEvent;
  // Handler (kEvent, kKeys), command (kCall), field (kClose), function (kFunction).
  uint16_t index = 0;
  ClassId entity_class;
  grid::WorkingRow* row = nullptr;           // exists; null where grid::IsKeyless
  const grid::EventRecord* event = nullptr;  // kEvent, kMessage, kKeys, kFunction
  // kEvent, kFunction, of what takes several: all of them, in order. `event` is the last.
  std::span<const grid::EventRecord* const> events;
  std::string_view arguments;                // kCall: tagged list of texts/bytes
  const grid::Timer* timer = nullptr;        // kTimer
  const grid::WindowView* closed = nullptr;  // kClose: the field's window that has closed
  TimeMs now_ms = 0;
  TimeMs reached_ms = kNoTime;  // event time: the watermark as of the turn
  OutputSink* outputs = nullptr;
  TurnTimers* timers = nullptr;  // null: the class has none
  bool logged = true;            // see grid::ContainerTurn

  // Filled by the host:
  TurnRequests requests;
  std::string* delta = nullptr;  // kOk: the changed fields are appended as a RowSchema delta
  std::string* reply = nullptr;  // kCall: tagged result; kKeys: tagged list of texts
  int64_t container_bytes = 0;   // kOk: by which the containers have grown is added
  TurnError error;
};

class TurnHost {
 public:
  virtual ~TurnHost() = default;

  // Around a run of calls: takes and gives back what the runtime needs (the GIL).
  virtual void Enter() = 0;
  virtual void Leave() = 0;

  // Hot reload: imports another version of the app beside the one that runs, which goes on to run.
  // The catalog has the ids of `current`. An error says why the version is no good; it is gone
  // then. On the host's thread, outside of Enter and Leave, like the next three.
  virtual absl::StatusOr<grid::Catalog> Stage(const std::vector<std::string>& paths,
                                              const grid::Catalog& current);
  // What has been staged runs from here on; the version before it goes.
  virtual void Switch() {}
  // What has been staged, if anything, goes.
  virtual void DropStaged() {}
  // What the class's migrate makes of an entity's old fields: see grid::Migrate. Of the staged
  // version, if there is one. Between Enter and Leave, and in a run of such calls.
  virtual void BeginMigrate() {}
  virtual void EndMigrate() {}
  virtual absl::Status RunMigrate(ClassId entity_class, std::string_view key,
                                  std::string_view fields, std::string& delta);
  // After Switch, when there is time: gives back the memory of what has gone.
  virtual void Tidy() {}

  // kOk: call.row->row holds the new field values. kRaised: it is exactly as it was.
  virtual TurnStatus Run(TurnCall& call) = 0;
};

}  // namespace bettong::compute
