// Malformed rows and deltas: never a crash; what was taken encodes to what decodes the same.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "grid/row_schema.h"

namespace bettong::grid {
namespace {

// The first byte of the input is the number of fields, the next ones their kinds.
RowSchema SchemaOf(ByteReader& in) {
  RowSchema schema;
  size_t count = in.Fixed<uint8_t>() % 20;
  for (size_t i = 0; i < count; ++i) {
    auto kind = in.Fixed<uint8_t>();
    FieldSchema field;
    field.name = "f" + std::to_string(i);
    field.type = static_cast<FieldType>(kind % 9);
    field.window = {.size_ms = 300, .pane_ms = 100};
    field.collection = kind & 1 ? CollectionSpec{.value = ScalarType::kText}
                                : CollectionSpec{.kind = CollectionKind::kMap,
                                                 .key = ScalarType::kInt,
                                                 .value = ScalarType::kBytes};
    field.optional = (kind & 0x80) != 0;
    field.array_size = kind / 8 % 5 + 1;
    schema.fields.push_back(std::move(field));
  }
  BETTONG_CHECK(schema.Finish().empty());
  return schema;
}

class Row {
 public:
  explicit Row(const RowSchema& schema) : schema_(schema), bytes_(new char[schema.row_bytes()]) {
    schema_.InitDefaults(bytes_.get(), ClassId(1));
    schema_.MakeContainers(bytes_.get());
  }
  ~Row() { schema_.Destroy(bytes_.get()); }
  char* get() { return bytes_.get(); }
  std::string Encode() {
    std::string out;
    schema_.EncodeRow(get(), out);
    return out;
  }

 private:
  const RowSchema& schema_;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace
}  // namespace bettong::grid

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bettong;
  using namespace bettong::grid;
  ByteReader in(std::string_view(reinterpret_cast<const char*>(data), size));
  RowSchema schema = SchemaOf(in);
  Row row(schema);
  // First as a row, then the same bytes as a chain of deltas.
  ByteReader as_row(in.rest());
  schema.DecodeRow(row.get(), as_row);
  while (in.ok() && !in.empty() && schema.ApplyDelta(row.get(), in)) {
  }
  std::string encoded = row.Encode();
  Row copy(schema);
  ByteReader again(encoded);
  BETTONG_CHECK(schema.DecodeRow(copy.get(), again));
  BETTONG_CHECK(again.ok() && again.empty());
  BETTONG_CHECK(copy.Encode() == encoded);
  std::string text;
  for (size_t i = 0; i < schema.fields.size(); ++i) schema.AppendText(row.get(), i, text);
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    std::string parsed;
    schema.ParseText(i, std::string_view(reinterpret_cast<const char*>(data), size), parsed);
  }
  return 0;
}
