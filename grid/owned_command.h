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

// A FLUSHALL that has keys to wait for. Its parts in their queues own it together.
struct PendingFlush {
  Ticket ticket;
  size_t keys_left = 0;
  std::string reply;
};

struct OwnedCommand {
  const CommandSpec* spec = nullptr;
  std::vector<std::string> storage;
  std::vector<std::string_view> args;
  Ticket ticket;
  ClassId entity_class;
  uint16_t entity_command = 0;
  std::string arguments;
  std::shared_ptr<PendingFlush> flush;  // FLUSHALL's part for a lent key: no spec

  // May run while the entity is lent: it is only lent once more.
  bool lends() const { return spec != nullptr && spec->calls_entity; }

  static std::unique_ptr<OwnedCommand> Copy(const Message& message);
};

}  // namespace bettong::grid
