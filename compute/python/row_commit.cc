// RowBinding::Commit: from the flyweight's slots to the row and the delta. First everything that
// changed is converted, which may run user code; then, when nothing can fail any more, it is
// written, which runs none.
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "compute/python/number.h"
#include "compute/python/row_binding.h"
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
    case FieldType::kWindow:
    case FieldType::kCollection:
    case FieldType::kTimers:
      break;
  }
  return "a list";
}

// Of the type that hydrating the field gives: converting it runs no user code, nor does its end.
bool IsExact(FieldType type, PyObject* value) {
  switch (type) {
    case FieldType::kInt:
      return PyLong_CheckExact(value);
    case FieldType::kFloat:
      return PyFloat_CheckExact(value);
    case FieldType::kBool:
      return PyBool_Check(value);
    case FieldType::kText:
      return PyUnicode_CheckExact(value);
    case FieldType::kBytes:
      return PyBytes_CheckExact(value);
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
    case FieldType::kWindow:
    case FieldType::kCollection:
    case FieldType::kTimers:
      break;
  }
  return false;
}

// Room for `count` bytes at the end of `out`, to be cut to what was used.
char* Grow(std::string* out, size_t count) {
  size_t old = out->size();
  out->resize(old + count);
  return out->data() + old;
}

char* PutVarint(char* at, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

constexpr size_t kVarint32Max = 5;
constexpr size_t kVarint64Max = 10;

// As grid::WriteNumber does, and a bool.
char* PutNumber(char* at, FieldType type, uint64_t raw) {
  if (type == FieldType::kInt) return PutVarint(at, ZigzagOf(static_cast<int64_t>(raw)));
  std::memcpy(at, &raw, 8);
  return at + (type == FieldType::kBool ? 1 : 8);
}

}  // namespace

bool RowBinding::Commit(char* row, std::string* delta) {
  changes_.clear();
  PyObject* instance = instance_.get();
  for (Record& record : records_) {
    if (!CheckRecord(record)) return false;
  }
  for (Scalar& scalar : scalars_) {
    PyObject* holder = scalar.record != kNoRecord && records_[scalar.record].assigned
                           ? records_[scalar.record].assigned.get()
                           : HolderOf(scalar);
    PyObject* value = SlotAt(holder, scalar.slot);
    if (value != scalar.box.get() && !Convert(scalar, Ref::Borrowed(value), row)) return false;
  }
  for (Array& array : arrays_) {
    PyObject* value = SlotAt(instance, array.slot);
    array.assigned = value != array.handle.get();
    if (!array.assigned) continue;
    foreign_ = true;
    if (!ConvertArray(array, Ref::Borrowed(value).get())) return false;
  }
  for (const ContainerField& field : containers_) {
    if (SlotAt(instance, field.slot) != field.handle.get() && !AssignContainer(field)) return false;
  }
  // From here on nothing can fail, and no reference is given up.
  uint64_t count = changes_.size();
  for (Array& array : arrays_) {
    ArraySite& site = *array.site;
    if (array.assigned) {
      site.SaveOnce();
      std::memcpy(site.data, array.elements.get(), size_t{site.size} * 8);
    }
    if (site.written) site.changed = CountChanged(site);
    count += site.written && site.changed > 0 ? 1 : 0;
  }
  for (const ContainerField& field : containers_) {
    count += field.site->changes.operations.empty() ? 0 : 1;
  }
  if (count > 0) ByteWriter(*delta).Varint(count);
  for (Change& change : changes_) Write(change, row, delta);
  for (Array& array : arrays_) {
    ArraySite& site = *array.site;
    if (site.written && site.changed > 0) WriteArray(array, site.changed, delta);
    site.written = false;
    site.data = nullptr;
  }
  for (ContainerField& field : containers_) {
    ContainerSite& site = *field.site;
    grid::Container* container = std::exchange(site.container, nullptr);
    if (!site.changes.changed()) continue;
    if (!site.changes.operations.empty()) {
      ByteWriter out(*delta);
      grid::RowSchema::WriteOperations(field.index, site.changes.operations, out);
    }
    container->Commit(site.changes);
    turn_->call->container_bytes += container->SettleBytes();
  }
  return true;
}

// What the slot holds is a record of its class.
bool RowBinding::CheckRecord(Record& record) {
  PyObject* value = SlotAt(instance_.get(), record.slot);
  if (value == record.instance.get()) return true;
  foreign_ = true;
  record.assigned = Ref::Borrowed(value);
  if (value != nullptr && PyObject_TypeCheck(value, record.type)) return true;
  PyErr_Format(PyExc_TypeError, " must be %.200s, not %.200s", record.type->tp_name,
               value == nullptr   ? "deleted"
               : value == Py_None ? "None"
                                  : Py_TYPE(value)->tp_name);
  NameField(record.field);
  return false;
}

// The field's slot holds something else than its handle.
bool RowBinding::AssignContainer(const ContainerField& field) {
  foreign_ = true;
  const Ref value = Ref::Borrowed(SlotAt(instance_.get(), field.slot));
  if (!field.is_window) {
    return AssignCollection(static_cast<CollectionSite&>(*field.site), value.get());
  }
  PyErr_SetString(PyExc_TypeError,
                  " is a window: it takes values by add(), and nothing takes its place");
  NameField(schema_->fields[field.index].name);
  return false;
}

// Notes a changed scalar, unless it holds what the row holds already.
bool RowBinding::Convert(Scalar& scalar, Ref held, const char* row) {
  PyObject* value = held.get();
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, " was deleted");
    NameField(schema_->fields[scalar.index].name);
    return false;
  }
  const char* at = row + scalar.row_offset;
  bool was_null = IsNull(scalar, row);
  foreign_ = foreign_ || (value != Py_None && !IsExact(scalar.type, value));
  uint64_t raw = 0;
  bool same = false;
  if (value == Py_None) {
    if (!scalar.optional) return Refuse(scalar, value);
    same = was_null;
  } else if (IsText(scalar.type)) {
    std::string_view text;
    if (!ConvertText(scalar, value, &text)) return false;
    same = !was_null && text == RowString::Get(at);
  } else {
    if (!ConvertNumber(scalar, value, &raw)) return false;
    uint64_t old =
        scalar.type == FieldType::kBool ? static_cast<uint8_t>(*at) : LoadUnaligned<uint64_t>(at);
    same = !was_null && raw == old;
  }
  if (!same) changes_.push_back({&scalar, raw, std::move(held)});
  return true;
}

bool RowBinding::ConvertNumber(const Scalar& scalar, PyObject* value, uint64_t* raw) {
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
    NameField(schema_->fields[scalar.index].name);
  }
  return false;
}

bool RowBinding::ConvertText(const Scalar& scalar, PyObject* value, std::string_view* text) {
  if (scalar.type == FieldType::kText ? !PyUnicode_Check(value) : !PyBytes_Check(value)) {
    return Refuse(scalar, value);
  }
  if (scalar.type == FieldType::kText) {
    *text = TextOf(value);
  } else {
    *text = {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))};
  }
  if (text->data() != nullptr && text->size() <= grid::kRowStringBytesMax) return true;
  if (text->data() == nullptr) {
    PyErr_Clear();
    PyErr_SetString(PyExc_ValueError, " holds text with lone surrogates");
  } else {
    PyErr_SetString(PyExc_OverflowError, " is longer than 64 MiB");
  }
  NameField(schema_->fields[scalar.index].name);
  return false;
}

bool RowBinding::ConvertArray(Array& array, PyObject* value) {
  const std::string& name = schema_->fields[array.index].name;
  if (value == nullptr || PyUnicode_Check(value) || PyBytes_Check(value) ||
      !PySequence_Check(value)) {
    PyErr_Format(PyExc_TypeError, " must be a list of %u elements, not %.200s", array.site->size,
                 value == nullptr ? "deleted" : Py_TYPE(value)->tp_name);
    return NameField(name), false;
  }
  Ref items(PySequence_Fast(value, " must be a list"));
  if (!items) return false;
  if (PySequence_Fast_GET_SIZE(items.get()) != static_cast<Py_ssize_t>(array.site->size)) {
    PyErr_Format(PyExc_ValueError, " takes %u elements, not %zd", array.site->size,
                 PySequence_Fast_GET_SIZE(items.get()));
    return NameField(name), false;
  }
  for (uint32_t i = 0; i < array.site->size; ++i) {
    // The size is looked at again: __index__ of an element may have changed the list.
    Ref item(PySequence_GetItem(items.get(), i));
    if (!item) return false;
    if (!ElementBits(item.get(), array.site->is_float, &array.elements[i])) {
      return NameField(name + ": "), false;
    }
  }
  return true;
}

bool RowBinding::Refuse(const Scalar& scalar, PyObject* value) {
  PyErr_Format(PyExc_TypeError, " must be %s%s, not %.200s", TypeName(scalar.type),
               scalar.optional ? " or None" : "",
               value == Py_None ? "None" : Py_TYPE(value)->tp_name);
  NameField(schema_->fields[scalar.index].name);
  return false;
}

// Puts "Host.count" in front of the exception's message.
void RowBinding::NameField(const std::string& field) {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Ref owned_type(type), owned_value(value), owned_traceback(traceback);
  PyErr_Format(type, "%s.%s%S", reinterpret_cast<PyTypeObject*>(cls_.get())->tp_name, field.c_str(),
               value == nullptr ? Py_None : value);
}

// Encodes as RowSchema::EncodeField does; numbers, the usual case, without going through it.
void RowBinding::Write(Change& change, char* row, std::string* delta) {
  Scalar& scalar = *change.scalar;
  const grid::FieldSchema& field = schema_->fields[scalar.index];
  char* at = row + scalar.row_offset;
  PyObject* value = change.value.get();
  if (scalar.optional) schema_->SetNull(row, field, value == Py_None);
  if (value == Py_None || IsText(scalar.type)) {
    if (value != Py_None) {
      RowString::Set(at, scalar.type == FieldType::kText
                             ? TextOf(value)
                             : std::string_view(PyBytes_AS_STRING(value),
                                                static_cast<size_t>(PyBytes_GET_SIZE(value))));
    }
    ByteWriter(*delta).Varint(scalar.index);
    schema_->EncodeField(row, scalar.index, *delta);
  } else {
    std::memcpy(at, &change.raw, scalar.type == FieldType::kBool ? 1 : 8);
    char encoded[kVarint32Max + 1 + kVarint64Max];
    char* end = PutVarint(encoded, scalar.index);
    *end++ = '\1';
    end = PutNumber(end, scalar.type, change.raw);
    delta->append(encoded, static_cast<size_t>(end - encoded));
  }
  scalar.raw = change.raw;
  scalar.reusable = IsExact(scalar.type, value);
  // What is not adopted stays in `change`, for Release.
  if (scalar.reusable || value == Py_None) scalar.box = std::move(change.value);
}

uint32_t RowBinding::CountChanged(const ArraySite& site) const {
  uint32_t changed = 0;
  for (uint32_t i = 0; i < site.size; ++i) {
    changed += LoadUnaligned<uint64_t>(site.data + size_t{8} * i) != site.saved[i];
  }
  return changed;
}

void RowBinding::WriteArray(const Array& array, uint32_t changed, std::string* delta) {
  const ArraySite& site = *array.site;
  char* at = Grow(delta, 2 * kVarint32Max + 1 + changed * (kVarint32Max + kVarint64Max));
  at = PutVarint(at, array.index);
  *at++ = '\1';
  at = PutVarint(at, changed);
  for (uint32_t i = 0; i < site.size; ++i) {
    auto raw = LoadUnaligned<uint64_t>(site.data + size_t{8} * i);
    if (raw == site.saved[i]) continue;
    at = PutNumber(PutVarint(at, i), site.is_float ? FieldType::kFloat : FieldType::kInt, raw);
  }
  delta->resize(static_cast<size_t>(at - delta->data()));
}

}  // namespace bettong::compute::python
