#include "grid/row_reader.h"

#include <gtest/gtest.h>

#include "grid/containers/sequence.h"
#include "grid/containers/window.h"

#include <memory>
#include <string>
#include <vector>

namespace bettong::grid {
namespace {

RowSchema Schema(std::vector<FieldSchema> fields) {
  RowSchema schema;
  schema.fields = std::move(fields);
  EXPECT_EQ(schema.Finish(), "");
  return schema;
}

class Row {
 public:
  explicit Row(const RowSchema& schema) : schema_(schema), bytes_(new char[schema.row_bytes()]) {
    schema.InitDefaults(bytes_.get(), ClassId(1));
  }
  ~Row() { schema_.Destroy(bytes_.get()); }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  char* get() { return bytes_.get(); }
  void Set(std::string_view name, std::string_view text) {
    size_t index = 0;
    ASSERT_NE(schema_.Find(name, &index), nullptr);
    std::string encoded;
    ASSERT_EQ(schema_.ParseText(index, text, encoded), "");
    ByteReader in(encoded);
    ASSERT_TRUE(schema_.DecodeField(get(), index, in));
  }
  std::string Text(std::string_view name) {
    size_t index = 0;
    EXPECT_NE(schema_.Find(name, &index), nullptr);
    std::string text;
    schema_.AppendText(get(), index, text);
    return text;
  }
  std::string Encoded() {
    std::string bytes;
    schema_.EncodeRow(get(), bytes);
    return bytes;
  }

 private:
  const RowSchema& schema_;
  std::unique_ptr<char[]> bytes_;
};

// What a program of now makes of a row that one of then has written.
void Read(const RowSchema& written, const RowSchema& current, Row& from, Row& to) {
  const auto reader = RowReader::Make(written, current);
  ASSERT_TRUE(reader.ok()) << reader.status().ToString();
  const std::string bytes = from.Encoded();
  ByteReader in(bytes);
  EXPECT_TRUE(reader->DecodeRow(to.get(), in));
  EXPECT_TRUE(in.empty());
}

FieldSchema WindowField(std::string name, int64_t size_ms) {
  return {.name = std::move(name),
          .type = FieldType::kWindow,
          .window = {.is_float = false, .size_ms = size_ms, .pane_ms = 100}};
}

// A window comes with its image, what turns record is done to it again; one that is gone is passed
// over, and one of another shape is not taken for it.
TEST(RowReader, WindowsAreReadAsTheyWereWritten) {
  const RowSchema written = Schema(
      {WindowField("gone", 300), WindowField("kept", 200), {.name = "n", .type = FieldType::kInt}});
  const RowSchema current = Schema({{.name = "n", .type = FieldType::kInt},
                                    WindowField("kept", 200),
                                    WindowField("fresh", 300)});
  Row from(written), to(current);
  written.MakeContainers(from.get());
  current.MakeContainers(to.get());
  ContainerTurn turn;
  for (const FieldSchema& field : {written.fields[0], written.fields[1]}) {
    auto* window = static_cast<Window*>(RowSchema::ContainerAt(from.get(), field));
    window->Add(7, 50, kNoTime, turn), window->Add(5, 150, kNoTime, turn);
    turn.Clear();
  }
  from.Set("n", "3");
  Read(written, current, from, to);
  EXPECT_EQ(to.Text("n"), "3");
  EXPECT_EQ(to.Text("kept"), from.Text("kept"));
  EXPECT_EQ(to.Text("fresh"), "{\"count\":0}");

  std::string delta;
  ByteWriter out(delta);
  out.Varint(2);
  for (size_t i = 0; i < 2; ++i) {
    auto* window = static_cast<Window*>(RowSchema::ContainerAt(from.get(), written.fields[i]));
    window->Add(11, 250, kNoTime, turn);
    RowSchema::WriteOperations(i, turn.operations, out);
    turn.Clear();
  }
  const auto reader = RowReader::Make(written, current);
  ASSERT_TRUE(reader.ok());
  ByteReader in(delta);
  EXPECT_TRUE(reader->ApplyDelta(to.get(), in));
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(to.Text("kept"), from.Text("kept"));
  EXPECT_NE(to.Text("kept").find("\"sum\":16,"), std::string::npos) << to.Text("kept");

  const auto other = RowReader::Make(written, Schema({WindowField("kept", 300)}));
  EXPECT_EQ(other.status().message().find("field 'kept' is a window of another size"), 0u);
  EXPECT_FALSE(RowReader::Make(written, Schema({{.name = "kept", .type = FieldType::kInt}})).ok());
}

TEST(RowReader, FieldsAreMatchedByNameNewOnesKeepTheirDefaultOthersAreDropped) {
  const RowSchema written = Schema({{.name = "a", .type = FieldType::kInt},
                                    {.name = "gone", .type = FieldType::kText},
                                    {.name = "list", .type = FieldType::kIntArray, .array_size = 3},
                                    {.name = "b", .type = FieldType::kText}});
  std::string nine(1, '\1');
  ByteWriter(nine).Zigzag(9);
  const RowSchema current = Schema({{.name = "b", .type = FieldType::kText},
                                    {.name = "new", .type = FieldType::kInt, .default_value = nine},
                                    {.name = "a", .type = FieldType::kInt}});
  Row from(written), to(current);
  from.Set("a", "5");
  from.Set("gone", std::string(100, 'g'));
  from.Set("list", "[1,2,3]");
  from.Set("b", "text of more than twelve bytes");
  Read(written, current, from, to);
  EXPECT_EQ(to.Text("a"), "5");
  EXPECT_EQ(to.Text("b"), "text of more than twelve bytes");
  EXPECT_EQ(to.Text("new"), "9");
}

TEST(RowReader, TypesThatHoldWhatWasThereAreConverted) {
  const RowSchema written = Schema({{.name = "int", .type = FieldType::kInt},
                                    {.name = "flag", .type = FieldType::kBool},
                                    {.name = "rate", .type = FieldType::kBool},
                                    {.name = "text", .type = FieldType::kText},
                                    {.name = "list", .type = FieldType::kIntArray, .array_size = 3},
                                    {.name = "maybe", .type = FieldType::kInt, .optional = true},
                                    {.name = "none", .type = FieldType::kInt, .optional = true}});
  const RowSchema current =
      Schema({{.name = "int", .type = FieldType::kFloat},
              {.name = "flag", .type = FieldType::kInt},
              {.name = "rate", .type = FieldType::kFloat},
              {.name = "text", .type = FieldType::kBytes},
              {.name = "list", .type = FieldType::kFloatArray, .array_size = 2},
              {.name = "maybe", .type = FieldType::kFloat},
              {.name = "none", .type = FieldType::kFloat}});
  Row from(written), to(current);
  from.Set("int", "-3");
  from.Set("flag", "1");
  from.Set("rate", "1");
  from.Set("text", "t");
  from.Set("list", "[4,5,6]");
  from.Set("maybe", "8");
  Read(written, current, from, to);
  EXPECT_EQ(to.Text("int"), "-3");
  EXPECT_EQ(to.Text("flag"), "1");
  EXPECT_EQ(to.Text("rate"), "1");
  EXPECT_EQ(to.Text("text"), "t");
  EXPECT_EQ(to.Text("maybe"), "8");
  EXPECT_EQ(to.Text("none"), "0");  // it must have a value now
  const std::string list = to.Text("list");
  EXPECT_TRUE(list == "[4,5]" || list == "[4.0,5.0]") << list;
}

TEST(RowReader, TypesThatDoNotFitAreRefusedWithTheFieldsName) {
  const std::pair<FieldType, FieldType> unfit[] = {
      {FieldType::kFloat, FieldType::kInt},
      {FieldType::kText, FieldType::kInt},
      {FieldType::kBytes, FieldType::kText},
      {FieldType::kInt, FieldType::kBool},
      {FieldType::kInt, FieldType::kText},
      {FieldType::kIntArray, FieldType::kInt},
      {FieldType::kFloatArray, FieldType::kIntArray},
  };
  for (const auto& [from, to] : unfit) {
    const auto field = [](FieldType type) {
      const bool array = type == FieldType::kIntArray || type == FieldType::kFloatArray;
      return FieldSchema{.name = "odd", .type = type, .array_size = array ? 2u : 0u};
    };
    const RowSchema current = Schema({field(to)});
    const auto reader = RowReader::Make(Schema({field(from)}), current);
    EXPECT_TRUE(absl::IsFailedPrecondition(reader.status()));
    EXPECT_EQ(reader.status().message().substr(0, 16), "field 'odd' was ");
  }
}

TEST(RowReader, DeltasAreConvertedLikeRows) {
  const RowSchema written = Schema({{.name = "gone", .type = FieldType::kInt},
                                    {.name = "a", .type = FieldType::kInt},
                                    {.name = "b", .type = FieldType::kText}});
  const RowSchema current =
      Schema({{.name = "b", .type = FieldType::kText}, {.name = "a", .type = FieldType::kFloat}});
  const auto reader = RowReader::Make(written, current);
  ASSERT_TRUE(reader.ok());
  Row to(current);
  to.Set("b", "before");
  std::string delta;
  ByteWriter out(delta);
  out.Varint(2);
  out.Varint(0), out.Fixed('\1'), out.Zigzag(1);
  out.Varint(1), out.Fixed('\1'), out.Zigzag(7);
  ByteReader in(delta);
  EXPECT_TRUE(reader->ApplyDelta(to.get(), in));
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(to.Text("a"), "7");
  EXPECT_EQ(to.Text("b"), "before");
}

TEST(RowReader, WhatIsCutOffOrMakesNoSenseIsMalformed) {
  const RowSchema written = Schema({{.name = "a", .type = FieldType::kInt},
                                    {.name = "b", .type = FieldType::kText},
                                    {.name = "c", .type = FieldType::kIntArray, .array_size = 2}});
  const RowSchema current = Schema({{.name = "c", .type = FieldType::kFloatArray, .array_size = 2},
                                    {.name = "b", .type = FieldType::kText}});
  const auto reader = RowReader::Make(written, current);
  ASSERT_TRUE(reader.ok());
  Row from(written);
  from.Set("b", "some text");
  from.Set("c", "[1,2]");
  const std::string whole = from.Encoded();
  for (size_t size = 0; size < whole.size(); ++size) {
    Row to(current);
    ByteReader in(std::string_view(whole).substr(0, size));
    EXPECT_FALSE(reader->DecodeRow(to.get(), in)) << size;
  }
  Row to(current);
  for (const uint64_t index : {uint64_t{3}, UINT64_MAX}) {  // a field that there was not
    std::string delta;
    ByteWriter out(delta);
    out.Varint(1), out.Varint(index), out.Fixed('\1'), out.Zigzag(1);
    ByteReader in(delta);
    EXPECT_FALSE(reader->ApplyDelta(to.get(), in));
  }
  std::string null_of_a_field_that_has_none(1, '\0');
  ByteReader in(null_of_a_field_that_has_none);
  EXPECT_FALSE(reader->DecodeRow(to.get(), in));
}

FieldSchema ListField(std::string name, ScalarType of, uint32_t elements_max = 100) {
  return {.name = std::move(name),
          .type = FieldType::kCollection,
          .collection = {.value = of, .elements_max = elements_max}};
}

// What a class says of its room may change; what the elements are may not.
TEST(RowReader, CollectionsAreReadAsTheyWereWritten) {
  const RowSchema written = Schema({ListField("gone", ScalarType::kText),
                                    ListField("kept", ScalarType::kText),
                                    {.name = "n", .type = FieldType::kInt}});
  const RowSchema current = Schema({{.name = "n", .type = FieldType::kInt},
                                    ListField("kept", ScalarType::kText, 7),
                                    ListField("fresh", ScalarType::kBool)});
  Row from(written), to(current);
  written.MakeContainers(from.get());
  current.MakeContainers(to.get());
  ContainerTurn turn;
  std::string delta;
  ByteWriter out(delta);
  out.Varint(2);
  for (size_t i = 0; i < 2; ++i) {
    auto* list = static_cast<Sequence*>(RowSchema::ContainerAt(from.get(), written.fields[i]));
    list->Append({.bytes = "a"}, turn);
    list->Commit(turn);
  }
  from.Set("n", "3");
  Read(written, current, from, to);
  for (size_t i = 0; i < 2; ++i) {
    auto* list = static_cast<Sequence*>(RowSchema::ContainerAt(from.get(), written.fields[i]));
    list->Append({.bytes = "b"}, turn);
    RowSchema::WriteOperations(i, turn.operations, out);
    list->Commit(turn);
  }
  const auto reader = RowReader::Make(written, current);
  ASSERT_TRUE(reader.ok());
  ByteReader in(delta);
  EXPECT_TRUE(reader->ApplyDelta(to.get(), in));
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(to.Text("n"), "3");
  EXPECT_EQ(to.Text("kept"), R"(["a","b"])");
  EXPECT_EQ(to.Text("fresh"), "[]");

  const auto other = RowReader::Make(written, Schema({ListField("kept", ScalarType::kBytes)}));
  EXPECT_EQ(other.status().message(),
            "field 'kept' was List[str] when it was written and is List[bytes] now; give the new "
            "field another name");
}

}  // namespace
}  // namespace bettong::grid
