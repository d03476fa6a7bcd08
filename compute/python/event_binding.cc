#include "compute/python/event_binding.h"

namespace bettong::compute::python {

PyObject* EventBinding::Hydrate(const grid::EventRecord& record) {
  place_.clear();
  if (class_ == nullptr) {
    instance_ = ParseJson(record.Bytes(0), nullptr, place_);
    return instance_.get();
  }
  if (!instance_) instance_ = class_->NewInstance();
  if (!instance_ || !Fill(instance_.get(), record)) return nullptr;
  return instance_.get();
}

bool EventBinding::Fill(PyObject* instance, const grid::EventRecord& record) {
  const auto& fields = class_->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    Ref value = Value(fields[i], record, i);
    if (!value) {
      Ref type, error, traceback;
      PyObject *raw_type = nullptr, *raw_error = nullptr, *raw_traceback = nullptr;
      PyErr_Fetch(&raw_type, &raw_error, &raw_traceback);
      type = Ref(raw_type), error = Ref(raw_error), traceback = Ref(raw_traceback);
      PyErr_Format(type.get(), "%s.%s%s %S", class_->type()->tp_name, fields[i].name.c_str(),
                   place_.c_str(), error ? error.get() : Py_None);
      return false;
    }
    PyObject*& slot = SlotAt(instance, fields[i].slot);
    PyObject* old = slot;
    slot = value.release();
    Py_XDECREF(old);
  }
  return true;
}

Ref EventBinding::Value(const EventClass::Field& field, const grid::EventRecord& record,
                        size_t slot) {
  if (record.IsNull(slot)) return Ref::Borrowed(Py_None);
  switch (field.converter.kind()) {
    case Converter::Kind::kInt:
      return Ref(PyLong_FromLongLong(record.Int(slot)));
    case Converter::Kind::kFloat:
      return Ref(PyFloat_FromDouble(record.Float(slot)));
    case Converter::Kind::kBool:
      return Ref(PyBool_FromLong(record.Bool(slot)));
    case Converter::Kind::kText:
      return Ref(MakeText(record.Bytes(slot)));
    case Converter::Kind::kBytes: {
      std::string_view bytes = record.Bytes(slot);
      return Ref(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
    }
    case Converter::Kind::kList:
    case Converter::Kind::kDict:
    case Converter::Kind::kEvent:
    case Converter::Kind::kAny:
      break;
  }
  return ParseJson(record.Bytes(slot), &field.converter, place_);
}

void EventBinding::Settle() {
  if (!instance_) return;
  if (class_ == nullptr || Py_REFCNT(instance_.get()) != 1) instance_ = Ref();
}

}  // namespace bettong::compute::python
