#include "compute/python/event_binding.h"

#include "compute/python/boxes.h"
#include "compute/python/nesting.h"

namespace bettong::compute::python {
namespace {

// Puts a new object into a slot; false if there is none (an exception is set).
bool Replace(PyObject*& slot, PyObject* made) {
  if (made == nullptr) return false;
  PyObject* old = slot;
  slot = made;
  Py_XDECREF(old);
  return true;
}

}  // namespace

PyObject* EventBinding::Hydrate(const grid::EventRecord& record, uint64_t wanted) {
  if (class_ == nullptr) {
    place_.clear();
    instance_ = ParseJson(record.Bytes(0), nullptr, place_);
    if (!instance_) NamePlace("the event");
    return instance_.get();
  }
  if (!instance_) {
    instance_ = class_->NewInstance();
    if (!instance_) return nullptr;
  }
  PyObject* instance = instance_.get();
  const auto& fields = class_->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    if ((wanted >> i & 1) == 0) continue;
    if (Fill(fields[i], record, i, SlotAt(instance, fields[i].slot))) continue;
    NamePlace(std::string(class_->type()->tp_name) + "." + fields[i].name);
    return nullptr;
  }
  return instance;
}

Ref EventBinding::Make(const grid::EventRecord& record) {
  instance_ = Ref();
  PyObject* made = Hydrate(record);
  Ref owned = made == nullptr ? Ref() : std::move(instance_);
  instance_ = Ref();
  return owned;
}

Ref EventBinding::MakeField(const grid::EventRecord& record, size_t field) {
  PyObject* made = nullptr;
  if (Fill(class_->fields()[field], record, field, made)) return Ref(made);
  Py_XDECREF(made);
  NamePlace(std::string(class_->type()->tp_name) + "." + class_->fields()[field].name);
  return Ref();
}

bool EventBinding::Fill(const EventClass::Field& field, const grid::EventRecord& record,
                        size_t index, PyObject*& slot) {
  if (record.IsNull(index)) return Replace(slot, Py_NewRef(Py_None));
  switch (field.converter.kind()) {
    case Converter::Kind::kInt:
      return StoreInt(slot, record.Int(index));
    case Converter::Kind::kFloat:
      return StoreFloat(slot, record.Float(index));
    case Converter::Kind::kBool:
      return Replace(slot, PyBool_FromLong(record.Bool(index)));
    case Converter::Kind::kText:
      return Replace(slot, MakeText(record.Bytes(index)));
    case Converter::Kind::kBytes: {
      std::string_view bytes = record.Bytes(index);
      return Replace(
          slot, PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
    }
    case Converter::Kind::kList:
    case Converter::Kind::kDict:
    case Converter::Kind::kEvent:
    case Converter::Kind::kAny:
      break;
  }
  place_.clear();
  return Replace(slot, ParseJson(record.Bytes(index), &field.converter, place_).release());
}

// Puts "Sample.values[3]" in front of the exception's message.
void EventBinding::NamePlace(const std::string& what) {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Ref owned_type(type), owned_value(value), owned_traceback(traceback);
  PyErr_Format(type, "%s%s %S", what.c_str(), ShownPlace(place_).c_str(),
               value == nullptr ? Py_None : value);
  place_.clear();
}

void EventBinding::Settle() {
  if (!instance_) return;
  if (class_ == nullptr || Py_REFCNT(instance_.get()) != 1) instance_ = Ref();
}

}  // namespace bettong::compute::python
