#include "compute/python/row_binding.h"

#include "base/bytes.h"
#include "compute/python/boxes.h"
#include "compute/python/entity_type.h"
#include "compute/python/turn_state.h"
#include "compute/python/value_converter.h"

namespace bettong::compute::python {

using grid::FieldType;
using grid::RowString;

namespace {

// The text that `box` already holds, compared without making anything.
bool HoldsText(PyObject* box, std::string_view text) {
  if (!PyUnicode_CheckExact(box) || !PyUnicode_IS_COMPACT_ASCII(box)) return false;
  return static_cast<size_t>(PyUnicode_GET_LENGTH(box)) == text.size() &&
         std::memcmp(PyUnicode_1BYTE_DATA(box), text.data(), text.size()) == 0;
}

// Puts back what belongs into the slot; what is there goes to `left`, alive.
void ReleaseSlot(PyObject* instance, Py_ssize_t offset, PyObject* own, std::vector<Ref>& left) {
  PyObject*& slot = SlotAt(instance, offset);
  if (slot == own) return;
  left.emplace_back(std::exchange(slot, Py_XNewRef(own)));
}

// For slots that hold their box or handle.
void SetSlot(PyObject* instance, Py_ssize_t offset, PyObject* value) {
  PyObject*& slot = SlotAt(instance, offset);
  if (slot == value) return;
  PyObject* old = slot;
  slot = Py_XNewRef(value);
  Py_XDECREF(old);
}

}  // namespace

RowBinding::~RowBinding() {
  for (Array& array : arrays_) {
    if (array.handle) reinterpret_cast<ArrayObject*>(array.handle.get())->site = nullptr;
  }
  for (ContainerField& field : containers_) {
    if (field.handle) Detach(field.handle.get());
  }
}

bool RowBinding::Bind(PyObject* cls, PyObject* stale, const grid::RowSchema& schema) {
  cls_ = Ref::Borrowed(cls);
  stale_ = Ref::Borrowed(stale);
  schema_ = &schema;
  for (size_t i = 0; i < schema.shown().size(); ++i) {
    const grid::FieldSchema& field = schema.fields[i];
    if (field.type == FieldType::kTimers) continue;  // the entity's own methods
    auto index = static_cast<uint32_t>(i);
    if (!grid::IsContainer(field.type) && field.array_size == 0) {
      if (!BindScalar(field, index)) return false;
      continue;
    }
    Py_ssize_t slot = SlotOffset(cls, field.name);
    if (slot < 0) return false;
    if (grid::IsContainer(field.type)) {
      if (!BindContainer(field, index, slot)) return false;
      continue;
    }
    auto site = std::make_unique<ArraySite>();
    site->turn = turn_;
    site->size = field.array_size;
    site->is_float = field.type == FieldType::kFloatArray;
    site->saved = std::make_unique<uint64_t[]>(field.array_size);
    arrays_.push_back(Array{index, field.offset, slot, std::move(site), Ref(), false,
                            std::make_unique<uint64_t[]>(field.array_size)});
  }
  changes_.reserve(scalars_.size());
  return MakeInstance();
}

PyObject* RowBinding::RecordClassOf(std::string_view field) const {
  for (const auto& [name, cls] : record_classes_) {
    if (name == field) return cls.get();
  }
  return nullptr;
}

bool RowBinding::BindScalar(const grid::FieldSchema& field, uint32_t index) {
  PyObject* holder = cls_.get();
  std::string name = field.name;
  size_t record = kNoRecord;
  if (const size_t dot = field.name.find('.'); dot != std::string::npos) {
    const std::string of = field.name.substr(0, dot);
    name = field.name.substr(dot + 1);
    holder = RecordClassOf(of);
    if (records_.empty() || records_.back().field != of) {
      const Py_ssize_t slot = SlotOffset(cls_.get(), of);
      if (slot < 0) return false;
      records_.push_back(Record{of, reinterpret_cast<PyTypeObject*>(holder), slot, Ref()});
    }
    record = records_.size() - 1;
  }
  const Py_ssize_t slot = SlotOffset(holder, name);
  if (slot < 0) return false;
  scalars_.push_back(
      Scalar{field.type, field.optional, false, index, field.offset, slot, record, 0, Ref()});
  return true;
}

bool RowBinding::BindContainer(const grid::FieldSchema& field, uint32_t index, Py_ssize_t slot) {
  ContainerField bound{index, field.offset, slot, nullptr, nullptr, false, Ref()};
  bound.is_window = field.type == FieldType::kWindow;
  if (bound.is_window) {
    bound.type = types_.window;
    auto site = std::make_unique<WindowSite>();
    site->name = field.name;
    bound.site = std::move(site);
  } else {
    bound.type = types_.collections.Of(field.collection.kind);
    const char* class_name = reinterpret_cast<PyTypeObject*>(cls_.get())->tp_name;
    bound.site = std::make_unique<CollectionSite>(
        field.collection, std::string(class_name) + "." + field.name, types_.collections);
    auto& site = static_cast<CollectionSite&>(*bound.site);
    if (field.collection.record != nullptr &&
        !site.record.Load(RecordClassOf(field.name), *field.collection.record)) {
      return false;
    }
  }
  bound.site->turn = turn_;
  containers_.push_back(std::move(bound));
  return true;
}

bool RowBinding::MakeInstance() {
  auto* type = reinterpret_cast<PyTypeObject*>(cls_.get());
  instance_ = Ref(type->tp_alloc(type, 0));
  if (!instance_) return false;
  reinterpret_cast<EntityObject*>(instance_.get())->turn = turn_;
  for (Record& record : records_) {
    if (!record.instance && !MakeRecord(record)) return false;
    SlotAt(instance_.get(), record.slot) = Py_NewRef(record.instance.get());
  }
  for (Array& array : arrays_) {
    if (!array.handle) array.handle = MakeArray(types_.array, array.site.get(), turn_->stale_error);
    if (!array.handle) return false;
    SlotAt(instance_.get(), array.slot) = Py_NewRef(array.handle.get());
  }
  for (ContainerField& field : containers_) {
    if (!field.handle) {
      field.handle = MakeHandle(field.type, field.site.get(), turn_->stale_error);
    }
    if (!field.handle) return false;
    SlotAt(instance_.get(), field.slot) = Py_NewRef(field.handle.get());
  }
  return true;
}

// With what its scalars are now.
bool RowBinding::MakeRecord(Record& record) {
  record.instance = Ref(record.type->tp_alloc(record.type, 0));
  if (!record.instance) return false;
  for (const Scalar& scalar : scalars_) {
    if (scalar.record == kNoRecord || &records_[scalar.record] != &record) continue;
    SlotAt(record.instance.get(), scalar.slot) = Py_XNewRef(scalar.box.get());
  }
  return true;
}

PyObject* RowBinding::Hydrate(char* row, bool logged) {
  if (!instance_ && !MakeInstance()) return nullptr;
  PyObject* instance = instance_.get();
  for (Scalar& scalar : scalars_) {
    if (!scalar.StandsFor(row) && !Box(scalar, row)) return nullptr;
    SetSlot(HolderOf(scalar), scalar.slot, scalar.box.get());
  }
  for (Array& array : arrays_) array.site->data = row + array.row_offset;
  for (ContainerField& field : containers_) {
    field.site->Begin(LoadUnaligned<grid::Container*>(row + field.row_offset), logged);
  }
  return instance;
}

bool RowBinding::IsNull(const Scalar& scalar, const char* row) const {
  return scalar.optional && schema_->IsNull(row, schema_->fields[scalar.index]);
}

// Makes scalar.box what the row holds.
bool RowBinding::Box(Scalar& scalar, const char* row) {
  const char* at = row + scalar.row_offset;
  if (IsNull(scalar, row)) {
    scalar.box = Ref::Borrowed(Py_None);
    scalar.reusable = false;
    return true;
  }
  switch (scalar.type) {
    case FieldType::kInt:
    case FieldType::kFloat:
      return BoxNumber(scalar, LoadUnaligned<uint64_t>(at));
    case FieldType::kBool:
      return BoxNumber(scalar, *at != 0);
    case FieldType::kText: {
      std::string_view text = RowString::Get(at);
      if (!scalar.box || !HoldsText(scalar.box.get(), text)) scalar.box = Ref(MakeText(text));
      break;
    }
    case FieldType::kBytes: {
      std::string_view bytes = RowString::Get(at);
      scalar.box =
          Ref(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
      break;
    }
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
    case FieldType::kWindow:
    case FieldType::kCollection:
    case FieldType::kTimers:
      break;
  }
  return static_cast<bool>(scalar.box);
}

bool RowBinding::BoxNumber(Scalar& scalar, uint64_t raw) {
  if (scalar.reusable && raw == scalar.raw) return true;
  scalar.raw = raw;
  PyObject* box = scalar.box.get();
  // One reference here and one in the slot: the box is nobody else's.
  bool own = scalar.reusable && Py_REFCNT(box) == 2 && SlotAt(HolderOf(scalar), scalar.slot) == box;
  scalar.reusable = true;
  if (scalar.type == FieldType::kInt) {
    auto value = static_cast<int64_t>(raw);
    if (own && OverwriteInt(box, value)) return true;
    scalar.box = Ref(PyLong_FromLongLong(value));
  } else if (scalar.type == FieldType::kFloat) {
    double value = LoadUnaligned<double>(reinterpret_cast<const char*>(&raw));
    if (own && OverwriteFloat(box, value)) return true;
    scalar.box = Ref(PyFloat_FromDouble(value));
  } else {
    scalar.box = Ref(PyBool_FromLong(raw != 0));
  }
  scalar.reusable = static_cast<bool>(scalar.box);
  return scalar.reusable;
}

void RowBinding::RollBack() {
  for (Array& array : arrays_) {
    if (array.site->written && array.site->data != nullptr) {
      std::memcpy(array.site->data, array.site->saved.get(), size_t{array.site->size} * 8);
    }
    array.site->written = false;
    array.site->data = nullptr;
  }
  for (ContainerField& field : containers_) {
    grid::Container* container = std::exchange(field.site->container, nullptr);
    if (field.site->changes.changed()) container->RollBack(field.site->changes);
  }
  foreign_ = true;
}

Ref RowBinding::MakeClosed(const char* row, size_t field, const grid::WindowView& closed) {
  const grid::FieldSchema& schema = schema_->fields[field];
  closed_.container = grid::RowSchema::ContainerAt(row, schema);
  closed_.turn = turn_;
  closed_.name = schema.name;
  closed_.closed = &closed;
  return MakeHandle(types_.window, &closed_, turn_->stale_error);
}

void RowBinding::EndClosed(const Ref& handle) {
  if (handle) Detach(handle.get());
  closed_.container = nullptr;
}

void RowBinding::Release() {
  // Goes last, when the slots are in order and a kept instance is no longer ours.
  std::vector<Ref> left;
  if (foreign_) ReleaseSlots(left);
  ReleaseKept(left);
}

void RowBinding::ReleaseSlots(std::vector<Ref>& left) {
  foreign_ = false;
  for (Record& record : records_) left.push_back(std::move(record.assigned));
  for (Change& change : changes_) left.push_back(std::move(change.value));
  changes_.clear();
  if (!instance_) return;
  for (Record& record : records_) {
    ReleaseSlot(instance_.get(), record.slot, record.instance.get(), left);
    if (!DetachKept(record, left)) return;
  }
  for (Scalar& scalar : scalars_) {
    ReleaseSlot(HolderOf(scalar), scalar.slot, scalar.box.get(), left);
  }
  for (Array& array : arrays_) {
    ReleaseSlot(instance_.get(), array.slot, array.handle.get(), left);
  }
  for (ContainerField& field : containers_) {
    ReleaseSlot(instance_.get(), field.slot, field.handle.get(), left);
  }
}

// A record that user code has kept is its own from now on, with what it has put there; another one
// takes its place. False: there is no memory for it; the entity's instance is gone, too, and both
// will be made again.
bool RowBinding::DetachKept(Record& record, std::vector<Ref>& left) {
  // One reference here, one in the slot.
  if (Py_REFCNT(record.instance.get()) == 2) return true;
  left.push_back(std::move(record.instance));
  if (MakeRecord(record)) {
    SetSlot(instance_.get(), record.slot, record.instance.get());
    return true;
  }
  PyErr_Clear();
  left.push_back(std::move(instance_));
  return false;
}

void RowBinding::ReleaseKept(std::vector<Ref>& left) {
  if (!instance_) return;  // already gone, and the turn failed before it needed another
  for (Array& array : arrays_) {
    // One reference here, one in the slot.
    if (Py_REFCNT(array.handle.get()) == 2) continue;
    reinterpret_cast<ArrayObject*>(array.handle.get())->site = nullptr;
    array.handle = MakeArray(types_.array, array.site.get(), turn_->stale_error);
    SetSlot(instance_.get(), array.slot, array.handle.get());
  }
  for (ContainerField& field : containers_) {
    if (!IsKept(field.handle.get(), 2)) continue;
    Detach(field.handle.get());
    field.handle = MakeHandle(field.type, field.site.get(), turn_->stale_error);
    SetSlot(instance_.get(), field.slot, field.handle.get());
  }
  for (Record& record : records_) {
    if (!DetachKept(record, left)) return;
  }
  if (Py_REFCNT(instance_.get()) == 1) return;
  PyObject* kept = instance_.get();
  for (Record& record : records_) Py_CLEAR(SlotAt(kept, record.slot));
  for (Scalar& scalar : scalars_) {
    if (scalar.record == kNoRecord) Py_CLEAR(SlotAt(kept, scalar.slot));
  }
  for (Array& array : arrays_) Py_CLEAR(SlotAt(kept, array.slot));
  for (ContainerField& field : containers_) Py_CLEAR(SlotAt(kept, field.slot));
  if (PyObject_GenericSetAttr(kept, turn_->class_name, stale_.get()) < 0) PyErr_Clear();
  instance_ = Ref();
}

}  // namespace bettong::compute::python
