#include "grid/row_conversion.h"

#include <gtest/gtest.h>

#include <memory>

#include "grid/containers/sequence.h"
#include "grid/containers/window.h"

namespace bettong::grid {
namespace {

RowSchema Schema(std::vector<FieldSchema> fields) {
  RowSchema schema;
  schema.fields = std::move(fields);
  EXPECT_EQ(schema.Finish(), "");
  return schema;
}

FieldSchema Ring(std::string name, uint32_t elements_max) {
  return {
      .name = std::move(name),
      .type = FieldType::kCollection,
      .collection = {
          .kind = CollectionKind::kRing, .value = ScalarType::kText, .elements_max = elements_max}};
}

FieldSchema View(std::string name) {
  return {.name = std::move(name),
          .type = FieldType::kWindow,
          .window = {.is_float = false, .size_ms = 300, .pane_ms = 100}};
}

std::string Text(const RowSchema& schema, const char* row, std::string_view name) {
  size_t index = 0;
  EXPECT_NE(schema.Find(name, &index), nullptr);
  std::string text;
  schema.AppendText(row, index, text);
  return text;
}

void Set(const RowSchema& schema, char* row, std::string_view name, std::string_view text) {
  size_t index = 0;
  ASSERT_NE(schema.Find(name, &index), nullptr);
  std::string encoded;
  ASSERT_EQ(schema.ParseText(index, text, encoded), "");
  ByteReader in(encoded);
  ASSERT_TRUE(schema.DecodeField(row, index, in));
}

TEST(RowConversion, FieldsGoByNameAndContainersOfTheSameSpecAreTheSameOnes) {
  const RowSchema from = Schema({{.name = "n", .type = FieldType::kInt},
                                 {.name = "gone", .type = FieldType::kText},
                                 {.name = "text", .type = FieldType::kText},
                                 Ring("same", 2),
                                 Ring("wider", 2),
                                 View("view")});
  const RowSchema to = Schema({View("view"),
                               Ring("wider", 4),
                               Ring("same", 2),
                               Ring("fresh", 2),
                               {.name = "text", .type = FieldType::kBytes},
                               {.name = "n", .type = FieldType::kFloat}});
  std::string old_row(from.row_bytes(), '\0'), new_row(to.row_bytes(), '\0');
  from.InitDefaults(old_row.data(), ClassId(3));
  from.MakeContainers(old_row.data());
  Set(from, old_row.data(), "n", "7");
  Set(from, old_row.data(), "gone", std::string(100, 'g'));
  Set(from, old_row.data(), "text", std::string(100, 't'));
  ContainerTurn turn;
  for (size_t i : {3u, 4u}) {
    auto* ring = static_cast<Sequence*>(RowSchema::ContainerAt(old_row.data(), from.fields[i]));
    ring->Append(Scalar{.bytes = "a"}, turn), ring->Append(Scalar{.bytes = "b"}, turn);
    ring->Commit(turn);
    ring->SettleBytes();
  }
  auto* view = static_cast<Window*>(RowSchema::ContainerAt(old_row.data(), from.fields[5]));
  view->Add(5, 50, kNoTime, turn);
  view->Commit(turn);
  Container* const same = RowSchema::ContainerAt(old_row.data(), from.fields[3]);
  const std::string shown = Text(from, old_row.data(), "view");

  auto conversion = RowConversion::Make(from, to);
  ASSERT_TRUE(conversion.ok());
  conversion->Convert(old_row.data(), new_row.data(), ClassId(3));
  EXPECT_EQ(RowSchema::ClassOf(new_row.data()), ClassId(3));
  EXPECT_EQ(Text(to, new_row.data(), "n"), "7");
  EXPECT_EQ(Text(to, new_row.data(), "text"), std::string(100, 't'));
  EXPECT_EQ(Text(to, new_row.data(), "same"), R"(["a","b"])");
  EXPECT_EQ(Text(to, new_row.data(), "wider"), R"(["a","b"])");
  EXPECT_EQ(Text(to, new_row.data(), "fresh"), "[]");
  EXPECT_EQ(Text(to, new_row.data(), "view"), shown);
  EXPECT_EQ(RowSchema::ContainerAt(new_row.data(), to.fields[2]), same);
  EXPECT_EQ(RowSchema::ContainerAt(new_row.data(), to.fields[0]), view);
  EXPECT_GT(to.ContainerBytes(new_row.data()), 0u);
  to.Destroy(new_row.data());
}

TEST(RowConversion, WhatIsNullBeginsWithTheDefaultOfAFieldThatMustHaveAValue) {
  const RowSchema from = Schema({{.name = "a", .type = FieldType::kInt, .optional = true},
                                 {.name = "b", .type = FieldType::kInt, .optional = true}});
  std::string nine(1, '\1');
  ByteWriter(nine).Zigzag(9);
  const RowSchema to = Schema({{.name = "a", .type = FieldType::kInt, .default_value = nine},
                               {.name = "b", .type = FieldType::kInt}});
  std::string old_row(from.row_bytes(), '\0'), new_row(to.row_bytes(), '\0');
  from.InitDefaults(old_row.data(), ClassId(0));
  auto conversion = RowConversion::Make(from, to);
  ASSERT_TRUE(conversion.ok());
  conversion->Convert(old_row.data(), new_row.data(), ClassId(0));
  EXPECT_EQ(Text(to, new_row.data(), "a"), "9");
  EXPECT_EQ(Text(to, new_row.data(), "b"), "0");
}

TEST(RowConversion, ATypeThatCannotBecomeTheOtherIsRefused) {
  const RowSchema number = Schema({{.name = "a", .type = FieldType::kInt}});
  const RowSchema text = Schema({{.name = "a", .type = FieldType::kText}});
  const auto conversion = RowConversion::Make(number, text);
  ASSERT_FALSE(conversion.ok());
  EXPECT_NE(conversion.status().message().find("field 'a' was int"), std::string::npos);
  EXPECT_TRUE(SameLayout(number, number));
  EXPECT_FALSE(SameLayout(number, text));
}

}  // namespace
}  // namespace bettong::grid
