// Remembers what stood in front of the values of the last events, in their order, and which fields
// of the event's class they are: the events of a stream mostly look alike, so that the way from one
// value to the next is one comparison, and it is known what is to be read there.
#pragma once

#include <string_view>
#include <vector>

#include "ingest/plain_json.h"
#include "ingest/record_fields.h"

namespace bettong::ingest {

inline constexpr size_t kShapeFieldsMax = 128;

struct ShapeField {
  PlainLead lead;
  int field = -1;  // of the event class; -1: not declared
  FieldForm form = FieldForm::kUndeclared;
};

class EventShape {
 public:
  // The field at this place of the object, which is then at its value, or the one behind it if the
  // object does without (`place` is then that one's); null: it is neither.
  const ShapeField* Skip(PlainObject& object, size_t& place) const {
    if (place >= size_) return nullptr;
    if (object.Skip(fields_[place].lead)) return &fields_[place];
    // Only the first has the opening brace in front of it.
    if (place == 0 || place + 1 >= size_) return nullptr;
    return object.Skip(fields_[place + 1].lead) ? &fields_[++place] : nullptr;
  }

  void Remember(size_t place, std::string_view lead, int field, FieldForm form) {
    if (place >= kShapeFieldsMax || lead.size() > PlainLead::kBytesMax) return;
    if (place >= size_) fields_.resize(size_ = place + 1);
    fields_[place] = ShapeField{PlainLead(lead), field, form};
  }

 private:
  std::vector<ShapeField> fields_;
  size_t size_ = 0;  // of fields_, which would divide to tell it
};

}  // namespace bettong::ingest
