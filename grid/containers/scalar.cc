#include "grid/containers/scalar.h"

#include <xxhash.h>

#include <bit>

#include "base/json_text.h"
#include "base/number_text.h"
#include "grid/row_number.h"
#include "grid/row_string.h"
#include "grid/tagged.h"

namespace bettong::grid {

std::string_view NameOf(ScalarType type) {
  static constexpr std::string_view kNames[] = {"none", "int",   "float", "bool",
                                                "str",  "bytes", "record"};
  return kNames[static_cast<size_t>(type)];
}

void InitSlot(char* at, ScalarType type, const Scalar& value) {
  if (type == ScalarType::kNone) return;
  IsBytes(type) ? RowString::Init(at, value.bytes) : StoreUnaligned(at, value.raw);
}

Scalar LoadSlot(const char* at, ScalarType type) {
  if (type == ScalarType::kNone) return {};
  if (IsBytes(type)) return {.bytes = RowString::Get(at)};
  return {.raw = LoadUnaligned<uint64_t>(at)};
}

void DestroySlot(char* at, ScalarType type) {
  if (IsBytes(type)) RowString::Destroy(at);
}

size_t SlotHeapBytes(const char* at, ScalarType type) {
  return IsBytes(type) ? RowString::HeapBytes(at) : 0;
}

uint64_t HashScalar(ScalarType type, const Scalar& value) {
  if (IsBytes(type)) return XXH3_64bits(value.bytes.data(), value.bytes.size());
  return XXH3_64bits(&value.raw, sizeof(value.raw));
}

void WriteScalar(ScalarType type, const Scalar& value, ByteWriter& out) {
  switch (type) {
    case ScalarType::kNone:
      break;
    case ScalarType::kInt:
    case ScalarType::kFloat:
      WriteNumber(type == ScalarType::kFloat, value.raw, out);
      break;
    case ScalarType::kBool:
      out.Fixed(static_cast<uint8_t>(value.raw));
      break;
    case ScalarType::kText:
    case ScalarType::kBytes:
    case ScalarType::kRecord:
      out.Bytes(value.bytes);
      break;
  }
}

Scalar ReadScalar(ScalarType type, ByteReader& in) {
  switch (type) {
    case ScalarType::kNone:
      break;
    case ScalarType::kInt:
    case ScalarType::kFloat:
      return {.raw = ReadNumber(type == ScalarType::kFloat, in)};
    case ScalarType::kBool: {
      const auto raw = in.Fixed<uint8_t>();
      if (raw > 1) in.SetMalformed();
      return {.raw = raw};
    }
    case ScalarType::kText:
    case ScalarType::kBytes:
    case ScalarType::kRecord:
      return {.bytes = in.Bytes()};
  }
  return {};
}

void AppendScalarJson(ScalarType type, const Scalar& value, std::string& out) {
  switch (type) {
    case ScalarType::kNone:
    case ScalarType::kRecord:
      break;
    case ScalarType::kInt:
      AppendInt(static_cast<int64_t>(value.raw), out);
      break;
    case ScalarType::kFloat:
      AppendJsonFloat(std::bit_cast<double>(value.raw), out);
      break;
    case ScalarType::kBool:
      out += value.raw != 0 ? "true" : "false";
      break;
    case ScalarType::kText:
    case ScalarType::kBytes:
      AppendJsonString(value.bytes, out);
      break;
  }
}

void AppendKeyJson(ScalarType type, const Scalar& value, std::string& out) {
  if (IsBytes(type)) return AppendJsonString(value.bytes, out);
  out.push_back('"');
  AppendScalarJson(type, value, out);
  out.push_back('"');
}

void AppendScalarTagged(ScalarType type, const Scalar& value, std::string& tagged) {
  TaggedWriter out(tagged);
  switch (type) {
    case ScalarType::kNone:
    case ScalarType::kRecord:
      break;
    case ScalarType::kInt:
      out.Int(static_cast<int64_t>(value.raw));
      break;
    case ScalarType::kFloat:
      out.Float(std::bit_cast<double>(value.raw));
      break;
    case ScalarType::kBool:
      out.Bool(value.raw != 0);
      break;
    case ScalarType::kText:
      out.Text(value.bytes);
      break;
    case ScalarType::kBytes:
      out.Bytes(value.bytes);
      break;
  }
}

}  // namespace bettong::grid
