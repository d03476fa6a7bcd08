#include "grid/row_schema.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace bettong::grid {
namespace {

std::string Encoded(const RowSchema& schema, size_t index, std::string_view text) {
  std::string out;
  EXPECT_EQ(schema.ParseText(index, text, out), "");
  return out;
}

// One field of every kind.
RowSchema EveryKind() {
  RowSchema schema;
  schema.fields = {
      {.name = "count", .type = FieldType::kInt},
      {.name = "mean", .type = FieldType::kFloat},
      {.name = "alerting", .type = FieldType::kBool},
      {.name = "note", .type = FieldType::kText},
      {.name = "raw", .type = FieldType::kBytes},
      {.name = "counts", .type = FieldType::kIntArray, .array_size = 3},
      {.name = "means", .type = FieldType::kFloatArray, .array_size = 2},
      {.name = "maybe_int", .type = FieldType::kInt, .optional = true},
      {.name = "maybe_text", .type = FieldType::kText, .optional = true},
      {.name = "maybe_bool", .type = FieldType::kBool, .optional = true},
  };
  EXPECT_EQ(schema.Finish(), "");
  return schema;
}

// A row that ends where its allocation ends.
class Row {
 public:
  explicit Row(const RowSchema& schema) : schema_(&schema), bytes_(new char[schema.row_bytes()]) {
    schema.InitDefaults(bytes_.get(), ClassId(7));
  }
  Row(const Row& other) : schema_(other.schema_), bytes_(new char[schema_->row_bytes()]) {
    schema_->Copy(bytes_.get(), other.bytes_.get());
  }
  Row& operator=(const Row&) = delete;
  ~Row() { schema_->Destroy(bytes_.get()); }

  char* get() { return bytes_.get(); }
  bool Set(std::string_view name, std::string_view encoded) {
    size_t index = 0;
    EXPECT_NE(schema_->Find(name, &index), nullptr);
    ByteReader in(encoded);
    return schema_->DecodeField(get(), index, in) && in.empty();
  }
  void SetText(std::string_view name, std::string_view text) {
    size_t index = 0;
    EXPECT_NE(schema_->Find(name, &index), nullptr);
    EXPECT_TRUE(Set(name, Encoded(*schema_, index, text)));
  }
  std::string Text(std::string_view name) {
    size_t index = 0;
    EXPECT_NE(schema_->Find(name, &index), nullptr);
    std::string out;
    schema_->AppendText(get(), index, out);
    return out;
  }
  std::string Encode() {
    std::string out;
    schema_->EncodeRow(get(), out);
    return out;
  }

 private:
  const RowSchema* schema_;
  std::unique_ptr<char[]> bytes_;
};

TEST(RowSchema, ARowWithoutDefaultsIsZeroEmptyAndNull) {
  RowSchema schema = EveryKind();
  Row row(schema);
  EXPECT_EQ(RowSchema::ClassOf(row.get()), ClassId(7));
  EXPECT_EQ(row.Text("count"), "0");
  EXPECT_EQ(row.Text("mean"), "0");
  EXPECT_EQ(row.Text("alerting"), "0");
  EXPECT_EQ(row.Text("note"), "");
  EXPECT_EQ(row.Text("counts"), "[0,0,0]");
  EXPECT_EQ(row.Text("means"), "[0,0]");
  EXPECT_TRUE(schema.IsNull(row.get(), *schema.Find("maybe_int")));
  EXPECT_TRUE(schema.IsNull(row.get(), *schema.Find("maybe_text")));
  EXPECT_FALSE(schema.IsNull(row.get(), *schema.Find("note")));
}

TEST(RowSchema, DefaultsAreWrittenIntoEachNewRow) {
  RowSchema schema = EveryKind();
  schema.fields[0].default_value = Encoded(schema, 0, "-5");
  schema.fields[3].default_value = Encoded(schema, 3, "a default longer than twelve bytes");
  schema.fields[5].default_value = Encoded(schema, 5, "[1,2,3]");
  schema.fields[7].default_value = Encoded(schema, 7, "9");
  schema.fields[8].default_value = std::string(1, '\0');
  ASSERT_EQ(schema.Finish(), "");
  Row row(schema), other(schema);
  EXPECT_EQ(row.Text("count"), "-5");
  EXPECT_EQ(row.Text("note"), "a default longer than twelve bytes");
  EXPECT_EQ(row.Text("counts"), "[1,2,3]");
  EXPECT_EQ(row.Text("maybe_int"), "9");
  EXPECT_TRUE(schema.IsNull(row.get(), *schema.Find("maybe_text")));
  row.SetText("note", "changed to something else");
  EXPECT_EQ(other.Text("note"), "a default longer than twelve bytes");
}

TEST(RowSchema, ADefaultThatDoesNotFitItsFieldIsRefusedAtLoad) {
  for (std::string bad : {std::string("\1\x80"), std::string("\0", 1), std::string("\1\2more")}) {
    RowSchema schema = EveryKind();
    schema.fields[0].default_value = bad;
    EXPECT_THAT(schema.Finish(), ::testing::HasSubstr("field 'count': ")) << bad.size();
  }
}

TEST(RowSchema, LimitsAreRefusedWithTheFieldsName) {
  RowSchema schema;
  schema.fields.resize(kRowFieldsMax);
  EXPECT_EQ(schema.Finish(), "");
  schema.fields.resize(kRowFieldsMax + 1);
  EXPECT_EQ(schema.Finish(), "an entity may have 512 fields, not 513");
  for (uint32_t size : {0u, static_cast<uint32_t>(kRowArrayMax) + 1}) {
    RowSchema arrays;
    arrays.fields = {{.name = "panes", .type = FieldType::kIntArray, .array_size = size}};
    EXPECT_THAT(arrays.Finish(), ::testing::HasSubstr("field 'panes'"));
  }
  RowSchema arrays;
  arrays.fields = {{.name = "panes", .type = FieldType::kIntArray, .array_size = kRowArrayMax}};
  EXPECT_EQ(arrays.Finish(), "");
}

TEST(RowSchema, NullBitsOfManyOptionalFieldsAreTheirOwn) {
  RowSchema schema;
  for (int i = 0; i < 100; ++i) {
    schema.fields.push_back(
        {.name = "f" + std::to_string(i), .type = FieldType::kBool, .optional = i % 3 != 0});
  }
  ASSERT_EQ(schema.Finish(), "");
  Row row(schema);
  std::mt19937 random(1);
  std::vector<int> expected(100);
  for (int i = 0; i < 100; ++i) expected[i] = i % 3 != 0 ? -1 : 0;
  for (int step = 0; step < 5000; ++step) {
    size_t i = random() % 100;
    int value = static_cast<int>(random() % 3) - 1;
    if (value == -1 && i % 3 == 0) continue;
    std::string encoded =
        value == -1 ? std::string(1, '\0') : Encoded(schema, i, std::to_string(value));
    ASSERT_TRUE(row.Set(schema.fields[i].name, encoded));
    expected[i] = value;
    size_t other = random() % 100;
    ASSERT_EQ(row.Text(schema.fields[other].name),
              expected[other] == -1 ? "" : std::to_string(expected[other]));
  }
}

TEST(RowSchema, StringsRoundTripAcrossTheInlineLimit) {
  RowSchema schema = EveryKind();
  Row row(schema);
  for (size_t size : {0, 1, 11, 12, 13, 14, 100, 100'000, 12, 13, 0}) {
    std::string value(size, static_cast<char>('a' + size % 26));
    row.SetText("note", value);
    row.SetText("raw", value + "!");
    EXPECT_EQ(row.Text("note"), value);
    EXPECT_EQ(row.Text("raw"), value + "!");
    size_t expected = (size > 12 ? size + 16 : 0) + (size + 1 > 12 ? size + 17 : 0);
    EXPECT_EQ(schema.StringBytes(row.get()), expected);
  }
  // Set from itself.
  row.SetText("note", "a long string that lies on the heap");
  char* at = row.get() + schema.Find("note")->offset;
  RowString::Set(at, RowString::Get(at).substr(2, 20));
  EXPECT_EQ(row.Text("note"), "long string that lie");
}

TEST(RowSchema, ACopyIsDeep) {
  RowSchema schema = EveryKind();
  Row row(schema);
  row.SetText("note", "a long string that lies on the heap");
  row.SetText("maybe_text", "another long string on the heap");
  row.SetText("counts", "[1,-2,3]");
  {
    Row copy(row);
    EXPECT_EQ(copy.Encode(), row.Encode());
    copy.SetText("note", "changed, and long enough for the heap");
    EXPECT_EQ(row.Text("note"), "a long string that lies on the heap");
  }
  EXPECT_EQ(row.Text("note"), "a long string that lies on the heap");
}

TEST(RowSchema, TextIsWhatRedisClientsSee) {
  RowSchema schema = EveryKind();
  Row row(schema);
  row.SetText("count", "-9223372036854775808");
  row.SetText("mean", "0.1");
  row.SetText("alerting", "true");
  row.SetText("means", "[1.5, -2]");
  EXPECT_EQ(row.Text("count"), "-9223372036854775808");
  EXPECT_EQ(row.Text("mean"), "0.1");
  EXPECT_EQ(row.Text("alerting"), "1");
  EXPECT_EQ(row.Text("means"), "[1.5,-2]");
}

TEST(RowSchema, TextOfTheWrongKindIsRefusedWithTheReason) {
  RowSchema schema = EveryKind();
  auto error = [&](size_t index, std::string_view text) {
    std::string out;
    return schema.ParseText(index, text, out);
  };
  EXPECT_EQ(error(0, "1.5"), "value is not an integer or out of range");
  EXPECT_EQ(error(0, "9223372036854775808"), "value is not an integer or out of range");
  EXPECT_EQ(error(1, "inf"), "value is not a valid float");
  EXPECT_EQ(error(2, "yes"), "value is not a bool: 1, 0, true or false");
  EXPECT_EQ(error(3, "caf\xc3\xa9"), "");
  EXPECT_EQ(error(3, "caf\xe9"), "value is not valid UTF-8");
  EXPECT_EQ(error(4, "caf\xe9"), "");
  EXPECT_EQ(error(4, std::string(kRowStringBytesMax, 'x')), "");
  EXPECT_EQ(error(4, std::string(kRowStringBytesMax + 1, 'x')), "value is longer than 64 MiB");
  EXPECT_EQ(error(5, "1,2,3"), "value is not a list");
  EXPECT_EQ(error(5, "[1,2]"), "value has not 3 elements");
  EXPECT_EQ(error(5, "[]"), "value has not 3 elements");
  for (std::string_view text : {"[1,2,3,4]", "[1,2,x]", "[1,,3]", "[1,2,]", "[,,]", "[1,2,1.5]"}) {
    EXPECT_EQ(error(5, text), "value has an element that is not an integer or out of range")
        << text;
  }
  EXPECT_EQ(error(6, "[1,nan]"), "value has an element that is not a valid float");
}

TEST(RowSchema, EmptyTextIsNullWhereItIsNoValue) {
  RowSchema schema = EveryKind();
  for (size_t index : {7u, 9u}) EXPECT_EQ(Encoded(schema, index, ""), std::string(1, '\0'));
  EXPECT_EQ(Encoded(schema, 8, ""), std::string("\1\0", 2));  // text can be empty
  std::string out;
  EXPECT_NE(schema.ParseText(0, "", out), "");
}

TEST(RowSchema, ADeltaChangesOnlyItsFieldsAndElements) {
  RowSchema schema = EveryKind();
  Row row(schema);
  row.SetText("counts", "[1,2,3]");
  row.SetText("note", "stays");
  std::string delta;
  ByteWriter out(delta);
  out.Varint(2);
  out.Varint(0);
  out.Fixed<char>(1);
  out.Zigzag(42);
  out.Varint(5);
  out.Fixed<char>(1);
  out.Varint(1);  // one element
  out.Varint(2);
  out.Zigzag(-7);
  ByteReader in(delta);
  EXPECT_TRUE(schema.ApplyDelta(row.get(), in));
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(row.Text("count"), "42");
  EXPECT_EQ(row.Text("counts"), "[1,2,-7]");
  EXPECT_EQ(row.Text("note"), "stays");
}

TEST(RowSchema, AStringThatBecomesNullAndComesBackIsFreedOnce) {
  RowSchema schema = EveryKind();
  Row row(schema);
  row.SetText("maybe_text", "a long string that lies on the heap");
  EXPECT_TRUE(row.Set("maybe_text", std::string_view("\0", 1)));
  EXPECT_EQ(row.Text("maybe_text"), "");
  Row copy(row);
  row.SetText("maybe_text", "another long string on the heap");
  EXPECT_EQ(row.Text("maybe_text"), "another long string on the heap");
}

TEST(RowSchema, NullIsRefusedByFieldsThatAreNotOptional) {
  RowSchema schema = EveryKind();
  Row row(schema);
  EXPECT_FALSE(row.Set("count", std::string_view("\0", 1)));
  EXPECT_TRUE(row.Set("maybe_int", std::string_view("\0", 1)));
}

TEST(RowSchema, RandomRowsRoundTrip) {
  RowSchema schema = EveryKind();
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    Row row(schema);
    for (size_t field = 0; field < schema.fields.size(); ++field) {
      const FieldSchema& f = schema.fields[field];
      std::string text;
      auto number = [&] { return std::to_string(static_cast<int64_t>(random())); };
      switch (f.type) {
        case FieldType::kInt:
        case FieldType::kFloat:
          text = number();
          break;
        case FieldType::kBool:
          text = random() % 2 == 0 ? "1" : "0";
          break;
        case FieldType::kText:
        case FieldType::kBytes:
          text.assign(random() % 40, 'x');
          break;
        case FieldType::kIntArray:
          text = "[" + number() + "," + number() + "," + number() + "]";
          break;
        case FieldType::kFloatArray:
          text = "[" + number() + ".5,1e" + std::to_string(random() % 300) + "]";
          break;
        case FieldType::kWindow:
        case FieldType::kCollection:
        case FieldType::kTimers:
          continue;
      }
      if (f.optional && random() % 2 == 0) continue;
      row.SetText(f.name, text);
    }
    std::string encoded = row.Encode();
    Row decoded(schema);
    ByteReader in(encoded);
    ASSERT_TRUE(schema.DecodeRow(decoded.get(), in));
    EXPECT_TRUE(in.empty());
    EXPECT_EQ(decoded.Encode(), encoded);
    EXPECT_EQ(schema.StringBytes(decoded.get()), schema.StringBytes(row.get()));
    // Cut off anywhere it is malformed, and the row can still be destroyed.
    Row cut(schema);
    ByteReader short_in(std::string_view(encoded).substr(0, random() % encoded.size()));
    EXPECT_FALSE(schema.DecodeRow(cut.get(), short_in));
  }
}

TEST(RowSchema, MalformedDeltasAreRefused) {
  RowSchema schema = EveryKind();
  Row row(schema);
  auto apply = [&](std::string_view delta) {
    ByteReader in(delta);
    return schema.ApplyDelta(row.get(), in);
  };
  EXPECT_TRUE(apply(std::string_view("\0", 1)));
  EXPECT_FALSE(apply(""));
  EXPECT_FALSE(apply("\1"));
  EXPECT_FALSE(apply("\1\x64\1"));                                      // no such field
  EXPECT_FALSE(apply("\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1"));    // nor such a one
  EXPECT_FALSE(apply(std::string_view("\1\5\1\1\3aaaaaaaa", 13)));      // no such element
  EXPECT_FALSE(apply("\1\5\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"));  // too many elements
  EXPECT_FALSE(apply("\1\3\1\x64zz"));                                  // a string beyond the end
}

}  // namespace
}  // namespace bettong::grid
