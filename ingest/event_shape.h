// Remembers the field names of the last event, in their order, with what they are in the event's
// class: the events of a stream mostly look alike, so that a name is recognised by one comparison.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bettong::ingest {

inline constexpr size_t kShapeNamesMax = 128;
inline constexpr size_t kShapeNameBytesMax = 64;

class EventShape {
 public:
  struct Name {
    std::string quoted;  // as it stands in the JSON, with its quotes
    int field = -1;      // of the event class; -1: not declared
  };

  // The name remembered at this place of an event, or null.
  const Name* At(size_t place) const { return place < names_.size() ? &names_[place] : nullptr; }

  void Remember(size_t place, std::string_view name, int field) {
    if (place >= kShapeNamesMax || name.size() > kShapeNameBytesMax) return;
    if (place >= names_.size()) names_.resize(place + 1);
    Name& entry = names_[place];
    entry.quoted.assign(1, '"').append(name).push_back('"');
    entry.field = field;
  }

 private:
  std::vector<Name> names_;
};

}  // namespace bettong::ingest
