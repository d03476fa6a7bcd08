// Turns event records into what a handler is given: an instance of the stream's event class, reused
// from turn to turn unless user code kept it, or a dict for streams without a class.
#pragma once

#include "compute/python/ref.h"

#include <string>

#include "compute/python/value_converter.h"
#include "grid/event.h"

namespace bettong::compute::python {

class EventBinding {
 public:
  static constexpr uint64_t kAllFields = ~uint64_t{0};

  explicit EventBinding(const EventClass* event_class) : class_(event_class) {}

  // Borrowed until the next call; null and an exception if the record does not fit the class. Only
  // the fields whose bit is set in `wanted` are filled in.
  PyObject* Hydrate(const grid::EventRecord& record, uint64_t wanted = kAllFields);
  // A new instance with all fields, of its own; null and an exception likewise.
  Ref Make(const grid::EventRecord& record);
  // One field's value; null and an exception likewise.
  Ref MakeField(const grid::EventRecord& record, size_t field);
  const EventClass* event_class() const { return class_; }
  // After the turn: lets go of an instance that user code has kept.
  void Settle();

 private:
  bool Fill(const EventClass::Field& field, const grid::EventRecord& record, size_t index,
            PyObject*& slot);
  void NamePlace(const std::string& what);

  const EventClass* class_;  // null: dicts
  Ref instance_;
  std::string place_;
};

}  // namespace bettong::compute::python
