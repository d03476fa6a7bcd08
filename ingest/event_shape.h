// Remembers the field names of the last event, in their order, with what they are in the event's
// class: the events of a stream mostly look alike, so that a name is recognised by one comparison.
#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include "ingest/plain_json.h"

namespace bettong::ingest {

inline constexpr size_t kShapeNamesMax = 128;

struct ShapeName {
  PlainName name;
  int field = -1;  // of the event class; -1: not declared
};

class EventShape {
 public:
  // The name remembered at this place of an event; one without a name when there is none.
  const ShapeName& At(size_t place) const { return place < names_.size() ? names_[place] : kNone; }

  // `name` has no escapes in it.
  void Remember(size_t place, std::string_view name, int field) {
    if (place >= kShapeNamesMax || name.size() + 2 > PlainName::kBytesMax) return;
    if (place >= names_.size()) names_.resize(place + 1);
    ShapeName& entry = names_[place] = ShapeName{.field = field};
    entry.name.size = static_cast<uint32_t>(name.size() + 2);
    entry.name.quoted[0] = '"';
    std::memcpy(entry.name.quoted + 1, name.data(), name.size());
    entry.name.quoted[name.size() + 1] = '"';
  }

 private:
  static constexpr ShapeName kNone{};
  std::vector<ShapeName> names_;
};

}  // namespace bettong::ingest
