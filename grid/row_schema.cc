#include "grid/row_schema.h"

#include <cstring>

#include "base/check.h"
#include "base/number_text.h"
#include "base/utf8.h"
#include "grid/containers/collection.h"
#include "grid/containers/timers.h"
#include "grid/containers/window.h"
#include "grid/entry.h"

namespace bettong::grid {

namespace {

bool IsArray(FieldType type) {
  return type == FieldType::kIntArray || type == FieldType::kFloatArray;
}
bool IsString(FieldType type) { return type == FieldType::kText || type == FieldType::kBytes; }

size_t FieldBytes(const FieldSchema& field) {
  if (IsString(field.type)) return RowString::kBytes;
  if (IsArray(field.type)) return size_t{8} * field.array_size;
  return field.type == FieldType::kBool ? 1 : 8;
}

}  // namespace

std::string RowSchema::Finish() {
  if (fields.size() > kRowFieldsMax) {
    return "an entity may have " + std::to_string(kRowFieldsMax) + " fields, not " +
           std::to_string(fields.size());
  }
  uint32_t null_bits = 0;
  shown_ = 0;
  for (FieldSchema& field : fields) {
    if (!field.hidden && &field != &fields[shown_++]) {
      return "field '" + field.name + "' is behind hidden ones";
    }
    if (field.optional && !IsArray(field.type) && !IsContainer(field.type))
      field.null_bit = null_bits++;
    if (IsArray(field.type)) {
      field.optional = false;
      if (field.array_size == 0 || field.array_size > kRowArrayMax) {
        return "field '" + field.name + "': an array has 1 to " + std::to_string(kRowArrayMax) +
               " elements, not " + std::to_string(field.array_size);
      }
    }
  }
  size_t at = kNullBitsOffset + (null_bits + 7) / 8;
  has_strings_ = has_containers_ = false;
  timed_.clear();
  timers_ = -1;
  for (FieldSchema& field : fields) {
    field.offset = static_cast<uint32_t>(at);
    at += FieldBytes(field);
    has_strings_ |= IsString(field.type);
    has_containers_ |= IsContainer(field.type);
    if (!IsContainer(field.type)) continue;
    field.optional = false;
    std::string wrong;
    if (field.type == FieldType::kWindow) wrong = field.window.Check();
    if (field.type == FieldType::kCollection) wrong = field.collection.Check();
    if (!wrong.empty()) return "field '" + field.name + "': " + wrong;
    if (field.type == FieldType::kWindow) {
      field.shape = std::make_shared<const WindowShape>(field.window);
    }
    if (field.type == FieldType::kTimers ||
        (field.type == FieldType::kWindow && field.window.closes)) {
      timed_.push_back(static_cast<uint32_t>(&field - fields.data()));
      if (field.type == FieldType::kTimers) timers_ = static_cast<int32_t>(timed_.back());
    }
  }
  row_bytes_ = at;
  return CheckDefaults();
}

std::string RowSchema::CheckDefaults() const {
  std::string row(row_bytes_, '\0');
  std::string error;
  for (size_t i = 0; i < fields.size() && error.empty(); ++i) {
    if (fields[i].default_value.empty()) continue;
    ByteReader in(fields[i].default_value);
    if (!DecodeField(row.data(), i, in) || !in.empty()) {
      error = "field '" + fields[i].name + "': the default is not a value of the field's type";
    }
  }
  Destroy(row.data());
  return error;
}

const FieldSchema* RowSchema::Find(std::string_view name, size_t* index) const {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name != name) continue;
    if (index != nullptr) *index = i;
    return &fields[i];
  }
  return nullptr;
}

void RowSchema::SetNull(char* row, const FieldSchema& field, bool null) const {
  char& bits = row[kNullBitsOffset + field.null_bit / 8];
  int bit = 1 << (field.null_bit % 8);
  bits = static_cast<char>(null ? bits | bit : bits & ~bit);
}

void RowSchema::InitDefaults(char* row, ClassId entity_class) const {
  std::memset(row, 0, row_bytes_);
  StoreUnaligned(row, entity_class.value());
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].default_value.empty()) {
      if (fields[i].optional) SetNull(row, fields[i], true);
      continue;
    }
    ByteReader in(fields[i].default_value);
    BETTONG_CHECK(DecodeField(row, i, in));
  }
}

void RowSchema::Copy(char* to, const char* from) const {
  std::memcpy(to, from, row_bytes_);
  if (!has_strings_) return;
  for (const FieldSchema& field : fields) {
    if (IsString(field.type))
      RowString::Init(to + field.offset, RowString::Get(from + field.offset));
  }
}

namespace {

std::unique_ptr<Container> MakeContainer(const FieldSchema& field) {
  if (field.type == FieldType::kWindow) return Window::Make(*field.shape);
  if (field.type == FieldType::kTimers) return std::make_unique<Timers>();
  return Collection::Make(field.collection);
}

}  // namespace

void RowSchema::MakeContainers(char* row) const {
  ForEachContainer([row](const FieldSchema& field) {
    if (ContainerAt(row, field) != nullptr) return;
    Container* container = MakeContainer(field).release();
    container->SettleBytes();
    StoreUnaligned(row + field.offset, container);
  });
}

void RowSchema::GiveContainers(const char* row, std::vector<std::unique_ptr<Container>>& to) const {
  ForEachContainer([&](const FieldSchema& field) { to.emplace_back(ContainerAt(row, field)); });
}

void RowSchema::TakeContainers(char* row, std::span<std::unique_ptr<Container>> from) const {
  size_t i = 0;
  ForEachContainer(
      [&](const FieldSchema& field) { StoreUnaligned(row + field.offset, from[i++].release()); });
  BETTONG_CHECK(i == from.size());
}

void RowSchema::Destroy(char* row) const {
  ForEachContainer([row](const FieldSchema& field) {
    delete ContainerAt(row, field);
    StoreUnaligned(row + field.offset, static_cast<Container*>(nullptr));
  });
  DestroyCopy(row);
}

void RowSchema::DestroyCopy(char* row) const {
  if (!has_strings_) return;
  for (const FieldSchema& field : fields) {
    if (IsString(field.type)) RowString::Destroy(row + field.offset);
  }
}

size_t RowSchema::ContainerBytes(const char* row) const {
  size_t bytes = 0;
  ForEachContainer([&](const FieldSchema& field) {
    const Container* container = ContainerAt(row, field);
    if (container != nullptr) bytes += container->settled_bytes();
  });
  return bytes;
}

size_t RowSchema::StringBytes(const char* row) const {
  size_t bytes = 0;
  if (!has_strings_) return bytes;
  for (const FieldSchema& field : fields) {
    if (IsString(field.type)) bytes += RowString::HeapBytes(row + field.offset);
  }
  return bytes;
}

void RowSchema::EncodeField(const char* row, size_t index, std::string& out) const {
  const FieldSchema& field = fields[index];
  ByteWriter bytes(out);
  if (IsNull(row, field)) {
    out.push_back('\0');
    return;
  }
  out.push_back('\1');
  const char* at = row + field.offset;
  switch (field.type) {
    case FieldType::kInt:
    case FieldType::kFloat:
      WriteNumber(IsFloat(field.type), LoadUnaligned<uint64_t>(at), bytes);
      break;
    case FieldType::kBool:
      bytes.Raw({at, 1});
      break;
    case FieldType::kText:
    case FieldType::kBytes:
      bytes.Bytes(RowString::Get(at));
      break;
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
      bytes.Varint(field.array_size);
      for (uint32_t i = 0; i < field.array_size; ++i) {
        bytes.Varint(i);
        WriteNumber(IsFloat(field.type), LoadUnaligned<uint64_t>(at + size_t{8} * i), bytes);
      }
      break;
    case FieldType::kWindow:
    case FieldType::kCollection:
    case FieldType::kTimers: {
      std::string image;
      const Container* container = ContainerAt(row, field);
      if (container != nullptr) container->EncodeImage(image);
      bytes.Bytes(image);
      break;
    }
  }
}

bool RowSchema::DecodeField(char* row, size_t index, ByteReader& in) const {
  if (index >= fields.size()) return false;
  const FieldSchema& field = fields[index];
  char* at = row + field.offset;
  char present = in.Fixed<char>();
  if (!in.ok() || (present == 0 && !field.optional)) return false;
  if (field.optional) SetNull(row, field, present == 0);
  if (present == 0) return true;
  switch (field.type) {
    case FieldType::kInt:
    case FieldType::kFloat: {
      const uint64_t raw = ReadNumber(IsFloat(field.type), in);
      if (in.ok()) StoreUnaligned(at, raw);
      break;
    }
    case FieldType::kBool: {
      auto raw = in.Fixed<char>();
      if (in.ok()) *at = static_cast<char>(raw != 0);
      break;
    }
    case FieldType::kText:
    case FieldType::kBytes: {
      std::string_view value = in.Bytes();
      if (in.ok()) RowString::Set(at, value);
      break;
    }
    case FieldType::kIntArray:
    case FieldType::kFloatArray: {
      uint64_t count = in.Varint();
      for (uint64_t i = 0; i < count && in.ok(); ++i) {
        uint64_t element = in.Varint();
        const uint64_t raw = ReadNumber(IsFloat(field.type), in);
        if (element >= field.array_size) return false;
        if (in.ok()) StoreUnaligned(at + 8 * element, raw);
      }
      break;
    }
    case FieldType::kWindow:
    case FieldType::kCollection:
    case FieldType::kTimers: {
      const std::string_view value = in.Bytes();
      Container* container = ContainerAt(row, field);
      if (!in.ok() || present > 2) return false;
      if (container == nullptr || value.empty()) return true;
      const bool good = present == 1 ? container->DecodeImage(value) : container->Replay(value);
      container->SettleBytes();
      return good;
    }
  }
  return in.ok();
}

void RowSchema::EncodeRow(const char* row, std::string& out) const {
  for (size_t i = 0; i < fields.size(); ++i) EncodeField(row, i, out);
}

bool RowSchema::DecodeRow(char* row, ByteReader& in) const {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (!DecodeField(row, i, in)) return false;
  }
  return true;
}

bool RowSchema::ApplyDelta(char* row, ByteReader& in, bool replay) const {
  uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t index = in.Varint();
    if (!in.ok()) return false;
    if (!replay && index < fields.size() && IsContainer(fields[index].type)) {
      in.Fixed<char>(), in.Bytes();
      continue;
    }
    if (!DecodeField(row, index, in)) return false;
  }
  return in.ok();
}

void RowSchema::WriteOperations(size_t index, std::string_view operations, ByteWriter& delta) {
  delta.Varint(index);
  delta.Fixed('\2');
  delta.Bytes(operations);
}

void RowSchema::EncodeSchema(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Varint(fields.size());
  for (const FieldSchema& field : fields) {
    bytes.Bytes(field.name);
    bytes.Fixed(field.type);
    bytes.Fixed(static_cast<uint8_t>(field.optional));
    bytes.Varint(field.array_size);
    std::string spec;
    if (field.type == FieldType::kWindow) field.window.Encode(spec);
    if (field.type == FieldType::kCollection) field.collection.Encode(spec);
    if (!spec.empty()) bytes.Bytes(spec);
  }
}

std::optional<RowSchema> RowSchema::DecodeSchema(std::string_view bytes) {
  ByteReader in(bytes);
  RowSchema schema;
  const uint64_t count = in.Varint();
  if (count > kRowFieldsMax) return std::nullopt;
  for (uint64_t i = 0; i < count; ++i) {
    FieldSchema& field = schema.fields.emplace_back();
    field.name = in.Bytes();
    field.type = in.Fixed<FieldType>();
    field.optional = in.Fixed<uint8_t>() != 0;
    field.array_size = static_cast<uint32_t>(in.Varint());
    if (field.type > FieldType::kTimers) return std::nullopt;
    if (field.type == FieldType::kWindow) {
      const std::optional<WindowSpec> spec = WindowSpec::Decode(in.Bytes());
      if (!spec) return std::nullopt;
      field.window = *spec;
    } else if (field.type == FieldType::kCollection) {
      const std::optional<CollectionSpec> spec = CollectionSpec::Decode(in.Bytes());
      if (!spec) return std::nullopt;
      field.collection = *spec;
    }
  }
  if (!in.ok() || !in.empty() || !schema.Finish().empty()) return std::nullopt;
  return schema;
}

void RowSchema::AppendText(const char* row, size_t index, std::string& out) const {
  const FieldSchema& field = fields[index];
  if (IsNull(row, field)) return;
  const char* at = row + field.offset;
  switch (field.type) {
    case FieldType::kInt:
      AppendInt(LoadUnaligned<int64_t>(at), out);
      break;
    case FieldType::kFloat:
      AppendFloat(LoadUnaligned<double>(at), out);
      break;
    case FieldType::kBool:
      out.push_back(*at ? '1' : '0');
      break;
    case FieldType::kText:
    case FieldType::kBytes:
      out.append(RowString::Get(at));
      break;
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
      out.push_back('[');
      for (uint32_t i = 0; i < field.array_size; ++i) {
        if (i > 0) out.push_back(',');
        if (field.type == FieldType::kIntArray) {
          AppendInt(LoadUnaligned<int64_t>(at + size_t{8} * i), out);
        } else {
          AppendFloat(LoadUnaligned<double>(at + size_t{8} * i), out);
        }
      }
      out.push_back(']');
      break;
    case FieldType::kWindow:
    case FieldType::kCollection:
    case FieldType::kTimers:
      if (const Container* container = ContainerAt(row, field)) container->AppendJson(out);
      break;
  }
}

std::string RowSchema::ParseText(size_t index, std::string_view text, std::string& encoded) const {
  const FieldSchema& field = fields[index];
  ByteWriter bytes(encoded);
  bool is_text = field.type == FieldType::kText || field.type == FieldType::kBytes;
  if (text.empty() && field.optional && !is_text) {
    encoded.push_back('\0');
    return "";
  }
  encoded.push_back('\1');
  switch (field.type) {
    case FieldType::kInt: {
      auto value = ParseInt(text);
      if (!value) return "value is not an integer or out of range";
      bytes.Zigzag(*value);
      return "";
    }
    case FieldType::kFloat: {
      auto value = ParseFloat(text);
      if (!value) return "value is not a valid float";
      bytes.Fixed(*value);
      return "";
    }
    case FieldType::kBool:
      if (text != "1" && text != "0" && text != "true" && text != "false") {
        return "value is not a bool: 1, 0, true or false";
      }
      bytes.Fixed(static_cast<char>(text == "1" || text == "true"));
      return "";
    case FieldType::kText:
    case FieldType::kBytes:
      if (text.size() > kRowStringBytesMax) return "value is longer than 64 MiB";
      if (field.type == FieldType::kText && !IsUtf8(text)) return "value is not valid UTF-8";
      bytes.Bytes(text);
      return "";
    case FieldType::kWindow:
      return "a window is filled by its class's methods";
    case FieldType::kCollection:
      return "a collection is filled by its class's methods";
    case FieldType::kTimers:
      return "timers are set by its class's methods";
    case FieldType::kIntArray:
    case FieldType::kFloatArray:
      break;
  }
  // "[1,2,3]" with exactly the array's number of elements.
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return "value is not a list";
  text = text.substr(1, text.size() - 2);
  bytes.Varint(field.array_size);
  for (uint32_t i = 0; i < field.array_size; ++i) {
    size_t comma = i + 1 < field.array_size ? text.find(',') : text.size();
    if (comma == std::string_view::npos) {
      return "value has not " + std::to_string(field.array_size) + " elements";
    }
    std::string_view element = text.substr(0, comma);
    while (!element.empty() && element.front() == ' ') element.remove_prefix(1);
    while (!element.empty() && element.back() == ' ') element.remove_suffix(1);
    bytes.Varint(i);
    if (field.type == FieldType::kIntArray) {
      auto value = ParseInt(element);
      if (!value) return "value has an element that is not an integer or out of range";
      bytes.Zigzag(*value);
    } else {
      auto value = ParseFloat(element);
      if (!value) return "value has an element that is not a valid float";
      bytes.Fixed(*value);
    }
    text.remove_prefix(comma == text.size() ? comma : comma + 1);
  }
  return "";
}

}  // namespace bettong::grid
