#include "grid/event.h"

#include <gtest/gtest.h>

#include <cmath>

#include "grid/catalog.h"

namespace bettong::grid {
namespace {

const EventRecord& At(const ByteBuffer& buffer, size_t offset) {
  return *reinterpret_cast<const EventRecord*>(buffer.data() + offset);
}

TEST(EventRecord, FieldsSetInAnyOrderAreRead) {
  ByteBuffer buffer;
  EventRecordBuilder builder(buffer, StreamId(3), 6);
  builder.SetBytes(5, "the last one");
  builder.SetTime(123456);
  builder.SetInt(0, -7);
  builder.SetBytes(1, "");
  builder.SetNull(2);
  builder.SetFloat(3, 0.25);
  builder.SetBool(4, true);
  builder.Finish();
  const EventRecord& record = At(buffer, builder.offset());
  EXPECT_EQ(record.stream, StreamId(3));
  EXPECT_EQ(record.slot_count, 6);
  EXPECT_EQ(record.time_ms, 123456);
  EXPECT_EQ(record.Int(0), -7);
  EXPECT_EQ(record.Bytes(1), "");
  EXPECT_TRUE(record.IsNull(2));
  EXPECT_EQ(record.Float(3), 0.25);
  EXPECT_TRUE(record.Bool(4));
  EXPECT_EQ(record.Bytes(5), "the last one");
  EXPECT_EQ(record.size_bytes, buffer.size());
}

TEST(EventRecord, RecordsFollowEachOtherAligned) {
  ByteBuffer buffer;
  std::vector<size_t> offsets;
  for (int i = 0; i < 50; ++i) {
    EventRecordBuilder builder(buffer, StreamId(0), 2);
    builder.SetInt(0, i);
    builder.SetBytes(1, std::string(static_cast<size_t>(i), 'x'));
    builder.Finish();
    offsets.push_back(builder.offset());
    if (i % 3 == 0) {
      EventRecordBuilder abandoned(buffer, StreamId(0), 9);
      abandoned.SetBytes(3, "gone");
      abandoned.Abandon();
    }
  }
  size_t expected = 0;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(offsets[static_cast<size_t>(i)], expected);
    const EventRecord& record = At(buffer, expected);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&record) % 8, 0u);
    EXPECT_EQ(record.size_bytes % 8, 0u);
    EXPECT_EQ(record.Int(0), i);
    EXPECT_EQ(record.Bytes(1).size(), static_cast<size_t>(i));
    expected += record.size_bytes;
  }
  EXPECT_EQ(buffer.size(), expected);
}

TEST(EventRecord, ASlotThatWasNullAndIsSetIsNotNull) {
  ByteBuffer buffer;
  EventRecordBuilder builder(buffer, StreamId(0), kEventFieldsMax);
  for (size_t slot = 0; slot < kEventFieldsMax; ++slot) builder.SetNull(slot);
  builder.SetInt(63, 5);
  builder.SetBytes(0, "x");
  builder.Finish();
  EXPECT_FALSE(At(buffer, 0).IsNull(63));
  EXPECT_FALSE(At(buffer, 0).IsNull(0));
  EXPECT_TRUE(At(buffer, 0).IsNull(62));
}

TEST(EventRecord, WithoutATimeItHasNone) {
  ByteBuffer buffer;
  EventRecordBuilder(buffer, StreamId(0), 1).Finish();
  EXPECT_EQ(At(buffer, 0).time_ms, kNoTime);
}

TEST(EventJson, AnEventIsRenderedInDeclarationOrder) {
  EventSchema schema{.name = "Sample",
                     .fields = {{.name = "host", .type = EventFieldType::kText},
                                {.name = "value", .type = EventFieldType::kFloat},
                                {.name = "ts", .type = EventFieldType::kInt},
                                {.name = "on", .type = EventFieldType::kBool},
                                {.name = "tags", .type = EventFieldType::kList},
                                {.name = "none", .type = EventFieldType::kInt}}};
  ByteBuffer buffer;
  EventRecordBuilder builder(buffer, StreamId(0), 6);
  builder.SetBytes(0, "web \"1\"");
  builder.SetFloat(1, 57);
  builder.SetInt(2, 1700000000000);
  builder.SetBool(3, false);
  builder.SetBytes(4, "[1,2]");
  builder.SetNull(5);
  builder.Finish();
  EXPECT_EQ(
      RenderEventJson(At(buffer, 0), schema),
      R"({"host":"web \"1\"","value":57.0,"ts":1700000000000,"on":false,"tags":[1,2],"none":null})");
}

TEST(EventJson, AnEventWithoutAClassIsItsText) {
  ByteBuffer buffer;
  EventRecordBuilder builder(buffer, StreamId(0), 1);
  builder.SetBytes(0, R"({"a": 1})");
  builder.Finish();
  EXPECT_EQ(RenderEventJson(At(buffer, 0), EventSchema{}), R"({"a": 1})");
}

TEST(EventJson, ARowIsRenderedInDeclarationOrder) {
  RowSchema schema;
  schema.fields = {{.name = "count"},
                   {.name = "mean", .type = FieldType::kFloat},
                   {.name = "on", .type = FieldType::kBool},
                   {.name = "note", .type = FieldType::kText},
                   {.name = "panes", .type = FieldType::kFloatArray, .array_size = 3},
                   {.name = "maybe", .type = FieldType::kInt, .optional = true}};
  ASSERT_EQ(schema.Finish(), "");
  std::string row(schema.row_bytes(), '\0');
  schema.InitDefaults(row.data(), ClassId(0));
  StoreUnaligned(row.data() + schema.fields[0].offset, int64_t{-3});
  StoreUnaligned(row.data() + schema.fields[1].offset, 2.0);
  RowString::Set(row.data() + schema.fields[3].offset, "a\nb");
  StoreUnaligned(row.data() + schema.fields[4].offset + 8, 1.5);
  EXPECT_EQ(
      RenderRowJson(schema, row.data()),
      R"({"count":-3,"mean":2.0,"on":false,"note":"a\nb","panes":[0.0,1.5,0.0],"maybe":null})");
  // JSON has no numbers for these.
  StoreUnaligned(row.data() + schema.fields[1].offset, std::nan(""));
  StoreUnaligned(row.data() + schema.fields[4].offset, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(
      RenderRowJson(schema, row.data()),
      R"({"count":-3,"mean":null,"on":false,"note":"a\nb","panes":[null,1.5,0.0],"maybe":null})");
}

}  // namespace
}  // namespace bettong::grid
