// What the log keeps of an input whose events can be sent again: the state of its endpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bettong::ingest {

struct InputState {
  uint64_t incarnation = 0;  // of a bettong-stream's sender
  uint64_t durable = 0;      // everything up to this id is done
  // Of the record with that id, to know a topic again that may have been made anew; 0: not told.
  uint64_t fingerprint = 0;

  std::string Encode() const;
  // Nothing: not what this program writes.
  static std::optional<InputState> Decode(std::string_view bytes);
  bool operator==(const InputState&) const = default;
};

}  // namespace bettong::ingest
