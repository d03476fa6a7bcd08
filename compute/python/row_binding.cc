#include "compute/python/row_binding.h"

#include "base/bytes.h"
#include "compute/python/entity_type.h"
#include "compute/python/number.h"
#include "compute/python/turn_state.h"
#include "compute/python/value_converter.h"

namespace bettong::compute::python {

using grid::FieldType;
using grid::RowString;

namespace {

bool IsText(FieldType type) { return type == FieldType::kText || type == FieldType::kBytes; }

const char* TypeName(FieldType type) {
  switch (type) {
    case FieldType::kInt:
      return "int";
    case FieldType::kFloat:
      return "float";
    case FieldType::kBool:
      return "bool";
    case FieldType::kText:
      return "str";
    case FieldType::kBytes:
      return "bytes";
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
      break;
  }
  return "a list";
}

// The text that `box` already holds, compared without making anything.
bool HoldsText(PyObject* box, std::string_view text) {
  if (!PyUnicode_CheckExact(box) || !PyUnicode_IS_COMPACT_ASCII(box)) return false;
  return static_cast<size_t>(PyUnicode_GET_LENGTH(box)) == text.size() &&
         std::memcmp(PyUnicode_1BYTE_DATA(box), text.data(), text.size()) == 0;
}

bool IsExact(FieldType type, PyObject* value) {
  switch (type) {
    case FieldType::kInt:
      return PyLong_CheckExact(value);
    case FieldType::kFloat:
      return PyFloat_CheckExact(value);
    case FieldType::kBool:
      return PyBool_Check(value);
    default:
      return false;  // texts are compared by content
  }
}

}  // namespace

RowBinding::~RowBinding() {
  for (Array& array : arrays_) {
    if (array.handle) reinterpret_cast<ArrayObject*>(array.handle.get())->site = nullptr;
  }
}

bool RowBinding::Bind(PyObject* cls, PyObject* stale, const grid::RowSchema& schema) {
  cls_ = Py_NewRef(cls);
  stale_ = Py_NewRef(stale);
  schema_ = &schema;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const grid::FieldSchema& field = schema.fields[i];
    Py_ssize_t slot = SlotOffset(cls, field.name);
    if (slot < 0) return false;
    auto index = static_cast<uint32_t>(i);
    if (field.array_size == 0) {
      scalars_.push_back(Scalar{field.type, field.optional, index, field.offset, slot});
      continue;
    }
    auto site = std::make_unique<ArraySite>();
    site->size = field.array_size;
    site->is_float = field.type == FieldType::kFloatArray;
    site->saved = std::make_unique<uint64_t[]>(field.array_size);
    site->turn = turn_;
    arrays_.push_back(Array{index, field.offset, slot, std::move(site), Ref(), false,
                            std::make_unique<uint64_t[]>(field.array_size)});
  }
  changes_.reserve(scalars_.size());
  return MakeInstance();
}

bool RowBinding::MakeInstance() {
  auto* type = reinterpret_cast<PyTypeObject*>(cls_);
  instance_ = Ref(type->tp_alloc(type, 0));
  if (!instance_) return false;
  reinterpret_cast<EntityObject*>(instance_.get())->turn = turn_;
  for (Array& array : arrays_) {
    if (!array.handle) array.handle = MakeArray(array_type_, array.site.get(), turn_->stale_error);
    if (!array.handle) return false;
    SlotAt(instance_.get(), array.slot) = Py_NewRef(array.handle.get());
  }
  return true;
}

PyObject* RowBinding::Hydrate(char* row) {
  if (!instance_ && !MakeInstance()) return nullptr;
  PyObject* instance = instance_.get();
  for (Scalar& scalar : scalars_) {
    bool numeric = !IsText(scalar.type) && !scalar.optional;
    bool same = false;
    if (scalar.reusable && numeric) {
      const char* at = row + scalar.row_offset;
      uint64_t raw = scalar.type == FieldType::kBool ? static_cast<uint8_t>(*at)
                                                     : LoadUnaligned<uint64_t>(at);
      same = raw == scalar.raw;
    }
    if (!same) {
      Ref box = Box(scalar, row);
      if (!box) return nullptr;
      scalar.box = std::move(box);
    }
    PyObject*& slot = SlotAt(instance, scalar.slot);
    if (slot != scalar.box.get()) {
      PyObject* old = slot;
      slot = Py_NewRef(scalar.box.get());
      Py_XDECREF(old);
    }
  }
  for (Array& array : arrays_) array.site->data = row + array.row_offset;
  return instance;
}

Ref RowBinding::Box(Scalar& scalar, const char* row) {
  scalar.reusable = true;
  if (scalar.optional && schema_->IsNull(row, schema_->fields[scalar.index])) {
    return Ref::Borrowed(Py_None);
  }
  const char* at = row + scalar.row_offset;
  switch (scalar.type) {
    case FieldType::kInt:
      scalar.raw = LoadUnaligned<uint64_t>(at);
      return Ref(PyLong_FromLongLong(static_cast<int64_t>(scalar.raw)));
    case FieldType::kFloat:
      scalar.raw = LoadUnaligned<uint64_t>(at);
      return Ref(PyFloat_FromDouble(LoadUnaligned<double>(at)));
    case FieldType::kBool:
      scalar.raw = static_cast<uint8_t>(*at);
      return Ref(PyBool_FromLong(*at));
    case FieldType::kText: {
      std::string_view text = RowString::Get(at);
      if (scalar.box && HoldsText(scalar.box.get(), text)) {
        return Ref::Borrowed(scalar.box.get());
      }
      return Ref(MakeText(text));
    }
    case FieldType::kBytes: {
      std::string_view bytes = RowString::Get(at);
      return Ref(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
    }
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
      break;
  }
  return Ref();
}

bool RowBinding::Commit(char* row, std::string* delta) {
  changes_.clear();
  PyObject* instance = instance_.get();
  for (Scalar& scalar : scalars_) {
    PyObject* value = SlotAt(instance, scalar.slot);
    if (value != scalar.box.get() && !Convert(scalar, value, row)) return false;
  }
  uint64_t count = changes_.size();
  for (Array& array : arrays_) {
    PyObject* value = SlotAt(instance, array.slot);
    array.assigned = value != array.handle.get();
    if (array.assigned && !ConvertArray(array, value)) return false;
  }
  for (Array& array : arrays_) {
    if (array.assigned) {
      array.site->SaveOnce();
      std::memcpy(array.site->data, array.elements.get(), size_t{array.site->size} * 8);
      PyObject* old = SlotAt(instance, array.slot);
      SlotAt(instance, array.slot) = Py_NewRef(array.handle.get());
      Py_XDECREF(old);
    }
    array.site->written = array.site->written && ArrayChanged(array);
    count += array.site->written ? 1 : 0;
  }
  // From here on nothing can fail.
  if (count > 0) ByteWriter(*delta).Varint(count);
  for (Change& change : changes_) Write(change, row, delta);
  for (Array& array : arrays_) {
    if (array.site->written) WriteArray(array, delta);
    array.site->written = false;
    array.site->data = nullptr;
  }
  changes_.clear();
  return true;
}

// Notes a changed scalar, unless it holds what the row holds already.
bool RowBinding::Convert(Scalar& scalar, PyObject* value, const char* row) {
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, " was deleted");
    return Prefix(schema_->fields[scalar.index].name), false;
  }
  const char* at = row + scalar.row_offset;
  bool was_null = scalar.optional && schema_->IsNull(row, schema_->fields[scalar.index]);
  uint64_t raw = 0;
  if (value == Py_None) {
    if (!scalar.optional) return Refuse(scalar, value);
    if (was_null) return true;
    changes_.push_back({&scalar, 0, Ref::Borrowed(value)});
    return true;
  }
  if (IsText(scalar.type)) {
    bool text = scalar.type == FieldType::kText;
    if (text ? !PyUnicode_Check(value) : !PyBytes_Check(value)) return Refuse(scalar, value);
    std::string_view bytes =
        text ? TextOf(value)
             : std::string_view(PyBytes_AS_STRING(value),
                                static_cast<size_t>(PyBytes_GET_SIZE(value)));
    if (bytes.data() == nullptr) {
      PyErr_Clear();
      PyErr_SetString(PyExc_ValueError, " holds text with lone surrogates");
      return Prefix(schema_->fields[scalar.index].name), false;
    }
    if (bytes.size() > grid::kRowStringBytesMax) {
      PyErr_SetString(PyExc_OverflowError, " is longer than 64 MiB");
      return Prefix(schema_->fields[scalar.index].name), false;
    }
    if (!was_null && bytes == RowString::Get(at)) return true;
  } else {
    if (!ConvertNumber(scalar, value, &raw)) return false;
    bool same = scalar.type == FieldType::kBool ? raw == static_cast<uint8_t>(*at)
                                                : raw == LoadUnaligned<uint64_t>(at);
    if (same && !was_null) return true;
  }
  changes_.push_back({&scalar, raw, Ref::Borrowed(value)});
  return true;
}

bool RowBinding::ConvertNumber(Scalar& scalar, PyObject* value, uint64_t* raw) {
  int64_t integer = 0;
  double real = 0;
  NumberResult result = NumberResult::kWrongType;
  if (scalar.type == FieldType::kInt) {
    result = ToInt64(value, &integer);
  } else if (scalar.type == FieldType::kFloat) {
    result = ToDouble(value, &real);
    std::memcpy(&integer, &real, 8);
  } else if (PyBool_Check(value)) {
    result = NumberResult::kOk;
    integer = value == Py_True;
  }
  *raw = static_cast<uint64_t>(integer);
  if (result == NumberResult::kOk) return true;
  if (result == NumberResult::kWrongType) return Refuse(scalar, value);
  if (result == NumberResult::kOverflow) {
    PyErr_SetString(PyExc_OverflowError, scalar.type == FieldType::kInt
                                             ? ": the int does not fit into 64 bits"
                                             : ": the int is too large for a float");
    Prefix(schema_->fields[scalar.index].name);
  }
  return false;
}

bool RowBinding::ConvertArray(Array& array, PyObject* value) {
  const std::string& name = schema_->fields[array.index].name;
  if (value == nullptr || PyUnicode_Check(value) || PyBytes_Check(value) ||
      !PySequence_Check(value)) {
    PyErr_Format(PyExc_TypeError, " must be a list of %u elements, not %.200s", array.site->size,
                 value == nullptr ? "deleted" : Py_TYPE(value)->tp_name);
    return Prefix(name), false;
  }
  Ref items(PySequence_Fast(value, " must be a list"));
  if (!items) return false;
  if (PySequence_Fast_GET_SIZE(items.get()) != static_cast<Py_ssize_t>(array.site->size)) {
    PyErr_Format(PyExc_ValueError, " takes %u elements, not %zd", array.site->size,
                 PySequence_Fast_GET_SIZE(items.get()));
    return Prefix(name), false;
  }
  for (uint32_t i = 0; i < array.site->size; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
    if (!ElementBits(item, array.site->is_float, &array.elements[i])) {
      return Prefix(name + ": "), false;
    }
  }
  return true;
}

void RowBinding::Write(Change& change, char* row, std::string* delta) {
  Scalar& scalar = *change.scalar;
  const grid::FieldSchema& field = schema_->fields[scalar.index];
  char* at = row + scalar.row_offset;
  PyObject* value = change.value.get();
  if (scalar.optional) schema_->SetNull(row, field, value == Py_None);
  if (value == Py_None) {
    // The null bit says it all.
  } else if (scalar.type == FieldType::kBool) {
    *at = static_cast<char>(change.raw);
  } else if (scalar.type == FieldType::kText) {
    RowString::Set(at, TextOf(value));
  } else if (scalar.type == FieldType::kBytes) {
    RowString::Set(at, {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))});
  } else {
    StoreUnaligned(at, change.raw);
  }
  ByteWriter(*delta).Varint(scalar.index);
  schema_->EncodeField(row, scalar.index, *delta);
  scalar.raw = change.raw;
  scalar.reusable = IsExact(scalar.type, value);
  scalar.box = std::move(change.value);
}

bool RowBinding::ArrayChanged(const Array& array) const {
  return std::memcmp(array.site->data, array.site->saved.get(), size_t{array.site->size} * 8) != 0;
}

void RowBinding::WriteArray(Array& array, std::string* delta) {
  const ArraySite& site = *array.site;
  uint64_t count = 0;
  for (uint32_t i = 0; i < site.size; ++i) {
    count += LoadUnaligned<uint64_t>(site.data + size_t{8} * i) != site.saved[i];
  }
  ByteWriter bytes(*delta);
  bytes.Varint(array.index);
  delta->push_back('\1');
  bytes.Varint(count);
  for (uint32_t i = 0; i < site.size; ++i) {
    auto raw = LoadUnaligned<uint64_t>(site.data + size_t{8} * i);
    if (raw == site.saved[i]) continue;
    bytes.Varint(i);
    bytes.Fixed(raw);
  }
}

void RowBinding::RollBack() {
  changes_.clear();
  for (Array& array : arrays_) {
    if (array.site->written && array.site->data != nullptr) {
      std::memcpy(array.site->data, array.site->saved.get(), size_t{array.site->size} * 8);
    }
    array.site->written = false;
    array.site->data = nullptr;
  }
  RestoreSlots();
}

// Whatever user code left in the slots goes now, not in the middle of the next hydration.
void RowBinding::RestoreSlots() {
  if (!instance_) return;
  for (Scalar& scalar : scalars_) {
    PyObject* old = SlotAt(instance_.get(), scalar.slot);
    if (old == scalar.box.get()) continue;
    SlotAt(instance_.get(), scalar.slot) = Py_XNewRef(scalar.box.get());
    Py_XDECREF(old);
  }
  for (Array& array : arrays_) {
    PyObject* old = SlotAt(instance_.get(), array.slot);
    if (old == array.handle.get()) continue;
    SlotAt(instance_.get(), array.slot) = Py_NewRef(array.handle.get());
    Py_XDECREF(old);
  }
}

void RowBinding::Settle() {
  for (Array& array : arrays_) {
    // One reference here, one in the slot.
    if (Py_REFCNT(array.handle.get()) == 2) continue;
    reinterpret_cast<ArrayObject*>(array.handle.get())->site = nullptr;
    array.handle = MakeArray(array_type_, array.site.get(), turn_->stale_error);
    PyObject* old = SlotAt(instance_.get(), array.slot);
    SlotAt(instance_.get(), array.slot) = Py_XNewRef(array.handle.get());
    Py_XDECREF(old);
  }
  if (Py_REFCNT(instance_.get()) == 1) return;
  PyObject* kept = instance_.get();
  for (Scalar& scalar : scalars_) Py_CLEAR(SlotAt(kept, scalar.slot));
  for (Array& array : arrays_) Py_CLEAR(SlotAt(kept, array.slot));
  // Not through setattr: the class may have its own idea of it.
  if (PyObject_GenericSetAttr(kept, turn_->class_name, stale_) < 0) PyErr_Clear();
  instance_ = Ref();
}

bool RowBinding::Refuse(const Scalar& scalar, PyObject* value) {
  PyErr_Format(PyExc_TypeError, " must be %s%s, not %.200s", TypeName(scalar.type),
               scalar.optional ? " or None" : "",
               value == Py_None ? "None" : Py_TYPE(value)->tp_name);
  Prefix(schema_->fields[scalar.index].name);
  return false;
}

// Puts "Host.count" in front of the exception's message.
void RowBinding::Prefix(const std::string& field) {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Ref owned_type(type), owned_value(value), owned_traceback(traceback);
  PyErr_Format(type, "%s.%s%S", reinterpret_cast<PyTypeObject*>(cls_)->tp_name, field.c_str(),
               value == nullptr ? Py_None : value);
}

}  // namespace bettong::compute::python
