// EventDecoder::DecodeLine: what becomes of a line's fields in an event class, and without one.

#include <gtest/gtest.h>

#include "ingest/event_decoder.h"
#include "ingest/ingest_testing.h"
#include "ingest/line_testing.h"

namespace bettong::ingest {
namespace {

using grid::EventFieldType;

grid::EventSchema AllTypes() {
  grid::EventSchema schema;
  schema.name = "All";
  schema.fields = {
      Field("key", EventFieldType::kText, "\"-\""),
      Field("id", EventFieldType::kInt, "0"),
      Field("value", EventFieldType::kFloat, "0.5"),
      Field("on", EventFieldType::kBool, "false"),
      Field("raw", EventFieldType::kBytes, "\"\""),
      Field("list", EventFieldType::kList, "[]"),
      Field("any", EventFieldType::kAny, "\"x\""),
      OptionalField("maybe", EventFieldType::kInt, "3"),
      OptionalField("note", EventFieldType::kText, "null"),
      Field("at", EventFieldType::kInt, "0"),
  };
  schema.time_field = 9;
  return schema;
}

grid::EventSchema OneField(const char* name, EventFieldType type) {
  return {.name = "One", .fields = {Field(name, type)}};
}

class Decoder {
 public:
  Decoder(grid::EventSchema schema, FormatConfig config, size_t key_field, std::string key_name)
      : schema_(std::move(schema)),
        key_{.field = key_field, .field_name = std::move(key_name)},
        decoder_(StreamId(3), schema_, {&key_}, document_),
        reader_(MakeLineReader(config)) {}

  // The record as JSON, or the error in words; "-": no event.
  std::string Decode(const std::string& line) {
    records_.clear();
    if (!reader_->Begin(line, kLineTestNow)) return "-";
    const DecodeError error = decoder_.DecodeLine(*reader_, line, records_);
    if (!error.ok()) {
      EXPECT_EQ(records_.view(), "") << "half a record was left";
      return DescribeDecodeError(error, schema_, line);
    }
    return grid::RenderEventJson(record(), schema_);
  }
  const grid::EventRecord& record() const {
    return *reinterpret_cast<const grid::EventRecord*>(records_.data());
  }
  std::string Key() {
    const EventKey key = decoder_.Key(0, record());
    return key.status == KeyStatus::kOk ? std::string(key.text)
                                        : DescribeKeyError(key.status, key_.field_name);
  }

 private:
  const grid::EventSchema schema_;
  const grid::KeySpec key_;
  JsonDocument document_;
  EventDecoder decoder_;
  const std::unique_ptr<LineReader> reader_;
  ByteBuffer records_;
};

constexpr FormatConfig Of(SourceFormat format) { return {.format = format}; }

Decoder Influx(grid::EventSchema schema, size_t key_field = 0) {
  std::string name = schema.fields[key_field].name;
  return {std::move(schema), Of(SourceFormat::kInflux), key_field, std::move(name)};
}

Decoder Csv(std::vector<std::string> columns) {
  return {AllTypes(), {.format = SourceFormat::kCsv, .columns = std::move(columns)}, 0, "key"};
}

grid::EventSchema Unclassed() { return {.fields = {grid::EventField{.name = "event"}}}; }

TEST(DecodeLine, DeclaredFieldsAreSetAndTheOthersAreNot) {
  Decoder decoder = Influx(AllTypes());
  EXPECT_EQ(decoder.Decode("cpu,key=web-01,other=x id=7i,value=2.5,on=t,raw=\"r\",more=1 5000000"),
            R"({"key":"web-01","id":7,"value":2.5,"on":true,"raw":"r","list":[],"any":"x",)"
            R"("maybe":3,"note":null,"at":5})");
  EXPECT_EQ(decoder.Key(), "web-01");
  EXPECT_EQ(decoder.record().time_ms, 5);
}

TEST(DecodeLine, AMissingTimeIsNowAndAMissingFieldAsInJson) {
  Decoder decoder = Influx(AllTypes());
  EXPECT_EQ(decoder.Decode("cpu value=1i"),
            R"({"key":"-","id":0,"value":1.0,"on":false,"raw":"","list":[],"any":"x",)"
            R"("maybe":3,"note":null,"at":1700000000123})");
  EXPECT_EQ(decoder.record().time_ms, kLineTestNow);
  Decoder one = Influx(OneField("host", EventFieldType::kText));
  EXPECT_EQ(one.Decode("cpu value=1i"), "field 'host' of One: missing, and it has no default");
}

TEST(DecodeLine, TypedValuesAreCheckedAsThoseOfJson) {
  const struct {
    EventFieldType type;
    const char* value;
    const char* expected;
  } kCases[] = {
      {EventFieldType::kFloat, "3i", R"({"v":3.0})"},
      {EventFieldType::kFloat, "3", R"({"v":3.0})"},
      {EventFieldType::kFloat, "18446744073709551615u", R"({"v":18446744073709551616.0})"},
      {EventFieldType::kInt, "3", R"({"v":3})"},
      {EventFieldType::kInt, "3.0", "field 'v' of One: expected an int, got 3.0"},
      {EventFieldType::kInt, "18446744073709551615u",
       "field 'v' of One: 18446744073709551615u is out of range for an int"},
      {EventFieldType::kInt, "\"3\"", "field 'v' of One: expected an int, got \"3\""},
      {EventFieldType::kInt, "t", "field 'v' of One: expected an int, got t"},
      {EventFieldType::kBool, "1i", "field 'v' of One: expected a bool, got 1i"},
      {EventFieldType::kText, "\"3\"", R"({"v":"3"})"},
      {EventFieldType::kText, "3i", "field 'v' of One: expected a str, got 3i"},
      {EventFieldType::kList, "\"[]\"", "field 'v' of One: expected a list, got \"[]\""},
      {EventFieldType::kAny, "3i", R"({"v":3})"},
      {EventFieldType::kAny, "+3.0", R"({"v":3.0})"},
      {EventFieldType::kAny, ".5e-7", R"({"v":5e-08})"},
      {EventFieldType::kAny, "18446744073709551615u", R"({"v":18446744073709551615})"},
      {EventFieldType::kAny, "F", R"({"v":false})"},
      {EventFieldType::kAny, "\"a\\\"b\"", R"({"v":"a\"b"})"},
  };
  for (const auto& [type, value, expected] : kCases) {
    Decoder decoder = Influx(OneField("v", type));
    EXPECT_EQ(decoder.Decode(std::string("m v=") + value), expected) << value;
  }
}

TEST(DecodeLine, TagsAreTextInTheFormOfTheirField) {
  const struct {
    EventFieldType type;
    const char* expected;
  } kCases[] = {
      {EventFieldType::kText, R"({"v":"12"})"},
      {EventFieldType::kInt, R"({"v":12})"},
      {EventFieldType::kFloat, R"({"v":12.0})"},
      {EventFieldType::kAny, R"({"v":"12"})"},
      {EventFieldType::kBool, "field 'v' of One: expected a bool, got 12"},
  };
  for (const auto& [type, expected] : kCases) {
    Decoder influx = Influx(OneField("v", type));
    EXPECT_EQ(influx.Decode("m,v=12 f=1"), expected);
    Decoder graphite(OneField("v", type), Of(SourceFormat::kGraphite), 0, "v");
    EXPECT_EQ(graphite.Decode("m;v=12 1"), expected);
  }
}

TEST(DecodeLine, TheLastValueOfAFieldCounts) {
  Decoder decoder = Influx(OneField("v", EventFieldType::kInt));
  EXPECT_EQ(decoder.Decode("m,v=x v=1i,v=2i"), R"({"v":2})");
  EXPECT_EQ(decoder.Decode("m,v=1 v=\"x\""), "field 'v' of One: expected an int, got \"x\"");
}

TEST(DecodeLine, TheTimeGoesToTheTimeFieldOrToOneNamedTime) {
  Decoder other = Influx(OneField("time", EventFieldType::kInt));
  EXPECT_EQ(other.Decode("m v=1 5000000"), R"({"time":5})");
  EXPECT_EQ(other.record().time_ms, kNoTime);
  Decoder text = Influx(OneField("time", EventFieldType::kText));
  EXPECT_EQ(text.Decode("m v=1 5000000"), "field 'time' of One: expected a str, got 5000000");
  Decoder none = Influx(OneField("v", EventFieldType::kFloat));
  EXPECT_EQ(none.Decode("m v=1 5000000"), R"({"v":1.0})");
}

TEST(DecodeLine, WhatIsMalformedBehindGoodFieldsLeavesNothing) {
  Decoder decoder = Influx(AllTypes());
  EXPECT_EQ(decoder.Decode("m,key=a id=1i,value=2 x"),
            "not valid InfluxDB line protocol: expected the timestamp, an integer, at column 23");
  // It comes before a wrong type, which may be a consequence.
  EXPECT_EQ(decoder.Decode("m,key=a id=\"1\",value=2,on=\"x"),
            "not valid InfluxDB line protocol: the quotes of a text are not closed, at column 27");
}

TEST(DecodeLine, WithoutAClassItIsADict) {
  Decoder influx(Unclassed(), Of(SourceFormat::kInflux), 0, "id");
  EXPECT_EQ(influx.Decode("cpu,host=we\\ b,n=1 id=7i,f=2.50,g=3,big=18446744073709551615u,on=t,"
                          "s=\"a\\\"b\" 5000000"),
            R"({"measurement":"cpu","host":"we b","n":"1","id":7,"f":2.5,"g":3,)"
            R"("big":18446744073709551615,"on":true,"s":"a\"b","time":5})");
  EXPECT_EQ(influx.Key(), "7");
  EXPECT_EQ(influx.Decode("cpu,id=web f=1"),
            R"({"measurement":"cpu","id":"web","f":1,"time":1700000000123})");
  EXPECT_EQ(influx.Key(), "web");
  EXPECT_EQ(influx.Decode("cpu f=1"), R"({"measurement":"cpu","f":1,"time":1700000000123})");
  EXPECT_EQ(influx.Key(), "field 'id' is the key and is missing");
  EXPECT_EQ(influx.Decode("cpu f=1x"),
            "not valid InfluxDB line protocol: expected a number, a bool or a text in quotes, at "
            "column 7");

  Decoder graphite(Unclassed(), Of(SourceFormat::kGraphite), 0, "metric");
  EXPECT_EQ(graphite.Decode("a.b;rack=r1 2.5 5.25"),
            R"({"metric":"a.b","rack":"r1","value":2.5,"time":5250})");
  EXPECT_EQ(graphite.Key(), "a.b");
  EXPECT_EQ(graphite.Decode("a.b nan 5"), "-");

  Decoder csv(Unclassed(), Of(SourceFormat::kCsv), 0, "id");
  EXPECT_EQ(csv.Decode("id,name"), "-");
  EXPECT_EQ(csv.Decode("7,\"a,b\""), R"({"id":"7","name":"a,b"})");
  EXPECT_EQ(csv.Key(), "7");
}

TEST(DecodeLine, IntFieldsAreKeys) {
  Decoder influx = Influx(AllTypes(), 1);
  influx.Decode("m,key=a id=-7i");
  EXPECT_EQ(influx.Key(), "-7");
  influx.Decode("m,id=007 f=1");
  EXPECT_EQ(influx.Key(), "7");
  Decoder graphite(AllTypes(), Of(SourceFormat::kGraphite), 1, "id");
  graphite.Decode("m;id=12 1");
  EXPECT_EQ(graphite.Key(), "12");
  Decoder csv(AllTypes(), {.format = SourceFormat::kCsv, .columns = {"id"}}, 1, "id");
  csv.Decode("12");
  EXPECT_EQ(csv.Key(), "12");
}

TEST(DecodeLine, CellsAreConvertedAsAClientsPairs) {
  Decoder decoder = Csv({"key", "id", "value", "on", "raw", "list", "any", "maybe", "note", "at"});
  EXPECT_EQ(decoder.Decode("k,7,2.5,1,r,\"[1, 2]\",\"{\"\"a\"\":1}\",8,n,5"),
            R"({"key":"k","id":7,"value":2.5,"on":true,"raw":"r","list":[1, 2],"any":{"a":1},)"
            R"("maybe":8,"note":"n","at":5})");
  EXPECT_EQ(decoder.record().time_ms, 5);
  EXPECT_EQ(decoder.Decode("k,x,2.5,1,r,[],1,8,n,5"), "field 'id' of All: expected an int, got x");
  EXPECT_EQ(decoder.Decode("k,7,\"1,5\",1,r,[],1,8,n,5"),
            "field 'value' of All: expected a float, got \"1,5\"");
  EXPECT_EQ(decoder.Decode("k,7,2.5,yes,r,[],1,8,n,5"),
            "field 'on' of All: expected a bool, got yes");
  EXPECT_EQ(decoder.Decode("k,7,2.5,0,r,[,1,8,n,5"),
            "field 'list' of All: expected a list as JSON, got malformed text");
}

TEST(DecodeLine, AnEmptyCellIsNullOrMissingOrText) {
  Decoder decoder = Csv({"key", "id", "value", "on", "raw", "list", "any", "maybe", "note", "at"});
  EXPECT_EQ(decoder.Decode(",,,,,,,,,"),
            R"({"key":"","id":0,"value":0.5,"on":false,"raw":"","list":[],"any":"x",)"
            R"("maybe":null,"note":"","at":0})");
  EXPECT_EQ(decoder.Key(), "field 'key' is the key and is empty");
  Decoder one(OneField("id", EventFieldType::kInt),
              {.format = SourceFormat::kCsv, .columns = {"id", "x"}}, 0, "id");
  EXPECT_EQ(one.Decode("\"\",1"), "field 'id' of One: missing, and it has no default");
}

}  // namespace
}  // namespace bettong::ingest
