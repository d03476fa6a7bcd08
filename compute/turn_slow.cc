// TurnRunner: turns that take too long, for SLOWLOG, metrics and the log on stderr.
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "compute/turn_runner.h"
#include "grid/entity_message.h"

namespace bettong::compute {

using grid::ClassSchema;
using grid::TurnKind;

namespace {

// Of a key, in the log on stderr and in SLOWLOG.
constexpr size_t kSlowKeyBytesMax = 128;

std::string_view MethodOf(const TurnCall& call, const ClassSchema& entity_class) {
  switch (call.kind) {
    case TurnKind::kEvent:
    case TurnKind::kKeys:
      return entity_class.handlers[call.index].method;
    case TurnKind::kCall:
      return entity_class.commands[call.index].name;
    case TurnKind::kMessage:
      return grid::MessageText(*call.event, grid::MessageField::kMethod);
    case TurnKind::kCreate:
      return "on_create";
    case TurnKind::kExpire:
      return "on_expire";
    case TurnKind::kClose:
      return "on_close";
    case TurnKind::kTimer:
      return call.timer->method;
    case TurnKind::kFunction:
    case TurnKind::kDue:
      break;
  }
  return "";
}

}  // namespace

void TurnRunner::NoteSlow(const TurnCall& call, int64_t took_ns) {
  std::string_view of_class, method;
  if (call.kind == TurnKind::kFunction) {
    method = catalog_->functions[call.index].name;
  } else {
    const ClassSchema& entity_class = catalog_->classes[call.entity_class.value()];
    of_class = entity_class.name;
    method = MethodOf(call, entity_class);
  }
  SlowLogEntry entry;
  entry.at_ms = call.now_ms;
  entry.took_ms = took_ns / 1'000'000;
  entry.what =
      absl::StrCat(std::string(of_class), of_class.empty() ? "" : ".", std::string(method));
  if (call.row != nullptr) entry.on = call.row->redis_key.substr(0, kSlowKeyBytesMax);
  MethodCounters& counters = counters_->Of(of_class, method);
  counters.slow.Add(1);
  counters.slow_ms.Add(static_cast<uint64_t>(entry.took_ms));
  if (const auto left_out = slow_lines_.Admit(LogLimit::Clock::now())) {
    LogWarning(
        "python",
        absl::StrCat(entry.what, " took ", entry.took_ms, " ms", entry.on.empty() ? "" : " on '",
                     absl::Utf8SafeCEscape(entry.on), entry.on.empty() ? "" : "'",
                     *left_out == 0
                         ? ""
                         : absl::StrCat(" (", *left_out, " slow turns before it are not shown)")));
  }
  if (options_.slow_log != nullptr) options_.slow_log->Add(std::move(entry));
}

}  // namespace bettong::compute
