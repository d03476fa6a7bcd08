// A command that outlives its batch: parked behind a busy key, or waiting for a stream to grow.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/command.h"
#include "grid/message.h"

namespace bettong::grid {

struct OwnedCommand {
  const CommandSpec* spec = nullptr;
  std::vector<std::string> storage;
  std::vector<std::string_view> args;
  Ticket ticket;
  ClassId entity_class;
  uint16_t entity_command = 0;
  std::string arguments;
  bool flush = false;  // FLUSHALL's part for a lent key: no spec, no reply

  // May run while the entity is lent: it is only lent once more.
  bool lends() const { return spec != nullptr && spec->calls_entity; }

  static std::unique_ptr<OwnedCommand> Copy(const Message& message);
};

}  // namespace bettong::grid
