#include "ingest/event_decoder.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>

#include "base/bytes.h"
#include "ingest/frame_reader.h"
#include "ingest/ingest_testing.h"

namespace bettong::ingest {
namespace {

using grid::EventFieldType;

// A class with a field of every type.
grid::EventSchema AllTypes() {
  grid::EventSchema schema;
  schema.name = "All";
  schema.fields = {
      Field("key", EventFieldType::kText),
      Field("ts", EventFieldType::kInt, "0"),
      Field("value", EventFieldType::kFloat, "0.5"),
      Field("on", EventFieldType::kBool, "false"),
      Field("raw", EventFieldType::kBytes, "\"\""),
      Field("list", EventFieldType::kList, "[1, 2]"),
      Field("object", EventFieldType::kObject, "{}"),
      Field("any", EventFieldType::kAny, "\"x\""),
      OptionalField("maybe_int", EventFieldType::kInt, "null"),
      OptionalField("maybe_text", EventFieldType::kText, "null"),
  };
  schema.time_field = 1;
  return schema;
}

class Decoder {
 public:
  explicit Decoder(grid::EventSchema schema, std::string key_name = "key")
      : schema_(std::move(schema)),
        key_{.field = 0, .field_name = std::move(key_name)},
        decoder_(StreamId(3), schema_, {&key_}, document_) {}

  // The record as JSON, or the error in words.
  std::string Decode(std::string_view json) {
    padded_.assign(json).append(kFramePaddingBytes, '\xff');  // nothing behind the end counts
    const std::string_view input = std::string_view(padded_).substr(0, json.size());
    return Answer(decoder_.DecodeJson(input, Begin()), input);
  }
  std::string DecodePairs(const std::vector<std::pair<std::string, std::string>>& fields) {
    padded_.clear();
    ByteWriter writer(padded_);
    writer.Varint(fields.size());
    for (const auto& [name, value] : fields) writer.Bytes(name), writer.Bytes(value);
    return Answer(decoder_.DecodeFields(padded_, Begin()), padded_);
  }
  const grid::EventRecord& record() const {
    return *reinterpret_cast<const grid::EventRecord*>(records_.data() + begin_);
  }
  EventKey Key() { return decoder_.Key(0, record()); }

 private:
  ByteBuffer& Begin() {
    if (records_.size() > 10'000) records_.clear();
    begin_ = records_.size();
    return records_;
  }
  std::string Answer(const DecodeError& error, std::string_view input) {
    if (!error.ok()) {
      EXPECT_EQ(records_.size(), begin_) << "half a record was left";
      return DescribeDecodeError(error, schema_, input);
    }
    EXPECT_EQ(records_.size() - begin_, record().size_bytes);
    EXPECT_EQ(record().stream, StreamId(3));
    return grid::RenderEventJson(record(), schema_);
  }

  const grid::EventSchema schema_;
  const grid::KeySpec key_;
  JsonDocument document_;
  EventDecoder decoder_;
  std::string padded_;
  ByteBuffer records_;
  size_t begin_ = 0;
};

// One field as it comes out, of an event that has it and the key.
std::string DecodeField(std::string_view field, std::string_view json) {
  Decoder decoder(AllTypes());
  const std::string answer = decoder.Decode(
      absl::StrCat("{\"key\":\"k\",\"", std::string(field), "\":", std::string(json), "}"));
  const std::string name = absl::StrCat("\"", std::string(field), "\":");
  const size_t begin = answer.find(name);
  if (begin == std::string::npos) return answer;
  // Up to the next field of the class.
  size_t end = answer.size() - 1;
  for (const grid::EventField& other : AllTypes().fields) {
    const size_t at = answer.find(absl::StrCat(",\"", other.name, "\":"), begin);
    if (at != std::string::npos) end = std::min(end, at);
  }
  return answer.substr(begin + name.size(), end - begin - name.size());
}

TEST(EventDecoder, FieldsAreCheckedAgainstTheirTypes) {
  const struct {
    const char* field;
    const char* json;
    const char* expected;
  } kCases[] = {
      {"ts", "1", "1"},
      {"maybe_int", "-9223372036854775808", "-9223372036854775808"},
      {"maybe_int", "9223372036854775807", "9223372036854775807"},
      {"ts", "-8796093022208", "-8796093022208"},
      {"ts", "8796093022208", "8796093022208"},
      {"ts", "8796093022209",
       "field 'ts' of All: expected milliseconds since 1970, got 8796093022209, which is not "
       "between the years 1691 and 2248 (are these ns or us?)"},
      {"ts", "9223372036854775808",
       "field 'ts' of All: 9223372036854775808 is out of range for an int"},
      {"ts", "1.0", "field 'ts' of All: expected an int, got 1.0"},
      {"ts", "1e3", "field 'ts' of All: expected an int, got 1e3"},
      {"ts", "\"1\"", "field 'ts' of All: expected an int, got \"1\""},
      {"ts", "true", "field 'ts' of All: expected an int, got true"},
      {"ts", "null", "field 'ts' of All: expected an int, got null"},
      {"ts", "[1]", "field 'ts' of All: expected an int, got a list"},
      {"value", "57.3", "57.3"},
      {"value", "7", "7.0"},
      {"value", "-0.001", "-0.001"},
      {"value", "1e3", "1000.0"},
      {"value", "123456789012345678", "123456789012345680.0"},
      {"value", "18446744073709551615", "18446744073709551616.0"},
      {"value", "0.1234567890123456789", "0.12345678901234568"},
      {"value", "\"abc\"", "field 'value' of All: expected a float, got \"abc\""},
      {"value", "18446744073709551616", "18446744073709551616.0"},
      {"value", "-100000000000000000000", "-1e+20"},
      {"value", "100000000000000000000000000000", "1e+29"},
      {"value", "1e999", "field 'value' of All: 1e999 is out of range for a float"},
      {"value", "-1e999", "field 'value' of All: -1e999 is out of range for a float"},
      {"value", "01", "not valid JSON: a malformed number"},
      {"value", "123456789012345678901234567890.", "not valid JSON: a malformed number"},
      {"ts", "123456789012345678901234567890",
       "field 'ts' of All: 123456789012345678901234567890 is out of range for an int"},
      {"ts", "-9223372036854775809",
       "field 'ts' of All: -9223372036854775809 is out of range for an int"},
      {"ts", "1e999", "field 'ts' of All: expected an int, got 1e999"},
      {"on", "123456789012345678901234567890",
       "field 'on' of All: expected a bool, got 123456789012345678901234567890"},
      {"any", "123456789012345678901234567890", "123456789012345678901234567890"},
      {"list", "[123456789012345678901234567890, 1e999]",
       "[123456789012345678901234567890, 1e999]"},
      {"value", "NaN",
       "not valid JSON: The JSON document has an improper structure: missing or "
       "superfluous commas, braces, missing keys, etc."},
      {"on", "true", "true"},
      {"on", "1", "field 'on' of All: expected a bool, got 1"},
      {"raw", "\"a\\u0000b\"", "\"a\\u0000b\""},
      {"raw", "5", "field 'raw' of All: expected bytes (as a JSON string), got 5"},
      {"key", "\"\\u00e9\\ud83d\\ude00\\n\"", "\"\xc3\xa9\xf0\x9f\x98\x80\\n\""},
      {"key", "\"\xc3\xa9\"", "\"\xc3\xa9\""},
      {"key", "\"\\ud800\"", "not valid JSON: Problem while parsing a string"},
      {"key", "\"\xff\"", "not valid JSON: The input is not valid UTF-8"},
      {"key", "\"\x01\"",
       "not valid JSON: Within strings, some characters must be escaped, we "
       "found unescaped characters"},
      {"list", "[1, {\"a\": \"]\"}]", "[1, {\"a\": \"]\"}]"},
      {"list", "{}", "field 'list' of All: expected a list, got an object"},
      {"list", "[1,]",
       "not valid JSON: The JSON document has an improper structure: missing or "
       "superfluous commas, braces, missing keys, etc."},
      {"object", "{\"a\":[\"}\"]}", "{\"a\":[\"}\"]}"},
      {"object", "[]", "field 'object' of All: expected an object, got a list"},
      {"any", "null", "null"},
      {"any", "1.50", "1.50"},
      {"any", "\"te\\\"xt\"", "\"te\\\"xt\""},
      {"any", "[null]", "[null]"},
      {"maybe_int", "null", "null"},
      {"maybe_int", "5", "5"},
      {"maybe_int", "\"5\"", "field 'maybe_int' of All: expected an int or null, got \"5\""},
      {"maybe_text", "\"\"", "\"\""},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(DecodeField(test.field, test.json), test.expected) << test.field << ": " << test.json;
  }
}

TEST(EventDecoder, MissingFieldsTakeTheirDefaults) {
  Decoder decoder(AllTypes());
  EXPECT_EQ(decoder.Decode(R"({"key":"k"})"),
            R"({"key":"k","ts":0,"value":0.5,"on":false,"raw":"","list":[1, 2],"object":{},)"
            R"("any":"x","maybe_int":null,"maybe_text":null})");
  EXPECT_EQ(decoder.Decode(R"({"ts":1})"), "field 'key' of All: missing, and it has no default");
  EXPECT_EQ(decoder.Decode("{}"), "field 'key' of All: missing, and it has no default");
}

TEST(EventDecoder, WholeDocumentMustBeOneObject) {
  Decoder decoder(AllTypes());
  for (const char* json :
       {"", " ", "{", "{\"key\":\"k\"", "{\"key\":\"k\"}}", "{\"key\":\"k\"} x", "{\"key\":\"k\",}",
        "{\"key\" \"k\"}", "{key:\"k\"}", "{\"key\":\"k\"}{}", "{\"key\":\"k\",\"other\":nul}",
        "{\"key\":\"k\",\"other\":01}", "{\"key\":\"k\",\"other\":+1}",
        "{\"key\":\"k\",\"other\":1.}", "{\"key\":\"k\",\"other\":\"\\x\"}",
        "{\"key\":\"k\",\"other\":truex}"}) {
    EXPECT_THAT(decoder.Decode(json), ::testing::StartsWith("not valid JSON: ")) << json;
  }
  EXPECT_EQ(decoder.Decode("[1]"), "expected a JSON object, got a list");
  EXPECT_EQ(decoder.Decode(" \"x\" "), "expected a JSON object, got \"x\"");
  EXPECT_THAT(decoder.Decode(" \t{ \"key\" : \"k\" } \r\n"),
              ::testing::StartsWith("{\"key\":\"k\""));
}

TEST(EventDecoder, OrderIsFreeUnknownFieldsAreIgnoredAndTheLastDuplicateCounts) {
  Decoder decoder(AllTypes());
  const std::string expected = decoder.Decode(R"({"key":"k","ts":5,"value":2.5})");
  for (const char* json : {
           R"({"value":2.5,"ts":5,"key":"k"})",
           R"({"new":[1,{"key":"x"}],"value":2.5,"more":"\"","ts":5,"key":"k","end":{}})",
           R"({"key":"x","key":"k","ts":6,"ts":5,"value":1,"value":2.5})",
           R"({"key":"a longer one, that is not in place","key":"k","ts":5,"value":2.5,"z":[]})",
           R"({"maybe_int":3,"maybe_int":null,"key":"k","ts":5,"value":2.5})",
           R"({"k\u0065y":"k","ts":5,"value":2.5})",
           R"({"key":"k","ts":"x","ts":5,"value":null,"value":[],"value":2.5})",
           R"({"key":"k","ts":123456789012345678901,"ts":5,"value":2.5})",
       }) {
    EXPECT_EQ(decoder.Decode(json), expected) << json;
  }
  EXPECT_EQ(decoder.Decode(R"({"key":"k","ts":"x","on":1,"ts":5,"value":"y"})"),
            "field 'on' of All: expected a bool, got 1");
  EXPECT_EQ(decoder.Decode(R"({"key":"k","ts":5,"ts":"x"})"),
            "field 'ts' of All: expected an int, got \"x\"");
}

TEST(EventDecoder, NumbersBeyond64BitsInUnknownFieldsAreIgnored) {
  Decoder decoder(AllTypes());
  const std::string expected = decoder.Decode(R"({"key":"k","ts":5})");
  for (const char* json : {
           R"({"new":123456789012345678901234567890,"key":"k","ts":5})",
           R"({"new":[{"x":[-123456789012345678901234567890]}],"key":"k","ts":5})",
           R"({"new":"\"123456789012345678901234567890","old":1e400,"key":"k","ts":5})",
           R"({"key":"k","ts":5,"new":-18446744073709551616 })",
       }) {
    EXPECT_EQ(decoder.Decode(json), expected) << json;
  }
  for (const char* json : {
           R"({"new":123456789012345678901234567890 1,"key":"k","ts":5})",
           R"({"new":123456789012345678901234567890x,"key":"k","ts":5})",
           R"({"new":123456789012345678901234567890"x","key":"k","ts":5})",
           R"({123456789012345678901234567890:1,"key":"k","ts":5})",
           R"({"new":[123456789012345678901234567890,"key":"k","ts":5})",
           R"({"new":123456789012345678901234567890,"other":0123,"key":"k"})",
           R"({"new":123456789012345678901234567890,"key":"k)",
       }) {
    EXPECT_THAT(decoder.Decode(json), ::testing::StartsWith("not valid JSON: ")) << json;
  }
}

TEST(EventDecoder, EventTimeComesFromTheTimeField) {
  Decoder decoder(AllTypes());
  decoder.Decode(R"({"key":"k","ts":1700000000123})");
  EXPECT_EQ(decoder.record().time_ms, 1700000000123);
  decoder.Decode(R"({"key":"k"})");
  EXPECT_EQ(decoder.record().time_ms, 0);

  grid::EventSchema floats{.name = "F",
                           .fields = {OptionalField("at", EventFieldType::kFloat, "null")},
                           .time_field = 0};
  Decoder by_float(floats);
  by_float.Decode(R"({"at":1700000000123.0})");
  EXPECT_EQ(by_float.record().time_ms, 1700000000123);
  by_float.Decode(R"({"at":null})");
  EXPECT_EQ(by_float.record().time_ms, kNoTime);
  by_float.Decode(R"({"at":5,"at":null})");
  EXPECT_EQ(by_float.record().time_ms, kNoTime);
  EXPECT_EQ(by_float.Decode(R"({"at":1.5})"),
            "field 'at' of F: expected whole milliseconds, got 1.5");
  EXPECT_EQ(by_float.Decode(R"({"at":1e300})"),
            "field 'at' of F: expected milliseconds since 1970, got 1e300, which is not between "
            "the years 1691 and 2248 (are these ns or us?)");
}

TEST(EventDecoder, JsonTextInRecordsStaysOnOneLine) {
  Decoder classed(AllTypes());
  EXPECT_THAT(classed.Decode("{\"key\":\"k\",\n\"list\":[1,\r\n2]}"),
              ::testing::HasSubstr("\"list\":[1,  2]"));
  Decoder unclassed({.fields = {Field("event", EventFieldType::kAny)}});
  EXPECT_EQ(unclassed.Decode(" {\n\"a\": [1,\n2]}\n"), "{ \"a\": [1, 2]}");
}

TEST(EventDecoder, EventsWithoutAClassKeepTheirText) {
  Decoder decoder({.fields = {Field("event", EventFieldType::kAny)}}, "host");
  EXPECT_EQ(decoder.Decode(R"( {"host": "a", "x": 1.50} )"), R"({"host": "a", "x": 1.50})");
  EXPECT_EQ(decoder.Key().text, "a");
  EXPECT_EQ(decoder.Decode(R"({"x":{"host":"b"},"host":-12})"), R"({"x":{"host":"b"},"host":-12})");
  EXPECT_EQ(decoder.Key().text, "-12");
  decoder.Decode(R"({"host":"\u0061\u0062","host":"\u0063"})");
  EXPECT_EQ(decoder.Key().text, "c");
  decoder.Decode("{}");
  EXPECT_EQ(decoder.Key().status, KeyStatus::kMissing);
  decoder.Decode(R"({"host":""})");
  EXPECT_EQ(decoder.Key().status, KeyStatus::kEmpty);
  decoder.Decode(R"({"host":null})");
  EXPECT_EQ(decoder.Key().status, KeyStatus::kNull);
  decoder.Decode(R"({"host":{}})");
  EXPECT_EQ(decoder.Key().status, KeyStatus::kWrongType);
  EXPECT_THAT(decoder.Decode(R"({"host":tru})"), ::testing::StartsWith("not valid JSON: "));
  EXPECT_THAT(decoder.Decode("nonsense"), ::testing::StartsWith("not valid JSON: "));
}

TEST(EventDecoder, KeysAreTextBytesOrInts) {
  grid::EventSchema schema = AllTypes();
  for (const auto& [field, expected] :
       std::vector<std::pair<size_t, std::string>>{{0, "k"}, {1, "-7"}, {4, "r"}}) {
    JsonDocument document;
    const grid::KeySpec key{.field = field};
    EventDecoder decoder(StreamId(0), schema, {&key}, document);
    ByteBuffer records;
    std::string json = R"({"key":"k","ts":-7,"raw":"r"})" + std::string(kFramePaddingBytes, ' ');
    ASSERT_TRUE(decoder.DecodeJson(json, records).ok());
    EXPECT_EQ(decoder.Key(0, *reinterpret_cast<const grid::EventRecord*>(records.data())).text,
              expected);
  }
}

TEST(EventDecoder, ClientsTextIsReadByType) {
  Decoder decoder(AllTypes());
  EXPECT_EQ(decoder.DecodePairs({{"key", "k"},
                                 {"ts", "12"},
                                 {"value", "1e2"},
                                 {"on", "1"},
                                 {"raw", "\x01"},
                                 {"list", " [1]"},
                                 {"object", "{\"a\":1}"},
                                 {"any", "true"},
                                 {"maybe_int", ""},
                                 {"maybe_text", ""},
                                 {"unknown", "x"}}),
            R"({"key":"k","ts":12,"value":100.0,"on":true,"raw":"\u0001","list":[1],)"
            R"("object":{"a":1},"any":true,"maybe_int":null,"maybe_text":""})");
  EXPECT_EQ(decoder.DecodePairs({{"key", "k"}, {"ts", "1.5"}}),
            "field 'ts' of All: expected an int, got 1.5");
  EXPECT_EQ(decoder.DecodePairs({{"key", "k"}, {"ts", "9223372036854775808"}}),
            "field 'ts' of All: 9223372036854775808 is out of range for an int");
  EXPECT_EQ(decoder.DecodePairs({{"key", "k"}, {"value", "inf"}}),
            "field 'value' of All: inf is out of range for a float");
  EXPECT_EQ(decoder.DecodePairs({{"key", "k"}, {"on", "yes"}}),
            "field 'on' of All: expected a bool, got yes");
  EXPECT_EQ(decoder.DecodePairs({{"key", "\xff"}}), "field 'key' of All: not valid UTF-8");
  EXPECT_EQ(decoder.DecodePairs({{"key", "k"}, {"list", "[1"}}),
            "field 'list' of All: expected a list as JSON, got malformed text");
  EXPECT_EQ(decoder.DecodePairs({}), "field 'key' of All: missing, and it has no default");
}

TEST(EventDecoder, MalformedPairsNeitherCrashNorCount) {
  Decoder decoder(AllTypes());
  JsonDocument document;
  const grid::EventSchema schema = AllTypes();
  EventDecoder raw(StreamId(0), schema, {}, document);
  ByteBuffer records;
  EXPECT_FALSE(raw.DecodeFields("\xff\xff\xff\xff\xff\xff\xff\xff\x01", records).ok());
  EXPECT_FALSE(raw.DecodeFields("\x01\x05key", records).ok());
  EXPECT_TRUE(records.empty());
}

// --- the quick reader against the general parser

// Random JSON, mostly flat objects with the fields of AllTypes, sometimes broken.
class RandomJson {
 public:
  explicit RandomJson(uint64_t seed) : random_(seed) {}

  std::string Event() {
    std::string json = Space() + "{" + Space();
    const size_t count = Below(8);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) json += Space() + "," + Space();
      json += Below(4) == 0 ? Name() + Space() + ":" + Space() + Value(2) : GoodField();
    }
    json += Space() + "}" + Space();
    if (Below(10) == 0) Break(json);
    return json;
  }

 private:
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::string GoodField() {
    switch (Below(6)) {
      case 0:
        return absl::StrCat("\"ts\":", Space(), Digits(18 - 8), "1");
      case 1:
        return absl::StrCat("\"value\":", Number());
      case 2:
        return absl::StrCat("\"on\"", Space(), ":", Below(2) == 0 ? "true" : "false");
      case 3:
        return absl::StrCat("\"maybe_int\":", Below(2) == 0 ? "null" : "12");
      default:
        return absl::StrCat("\"key\":", Space(), "\"host-", Digits(9), "\"");
    }
  }
  std::string Space() {
    static const char* const kSpaces[] = {"", "", "", "", "", "", " ", "\t", "\n ", "\r"};
    return kSpaces[Below(10)];
  }
  std::string Name() {
    static const char* const kNames[] = {"key",      "key",    "ts",      "ts",        "value",
                                         "on",       "raw",    "any",     "maybe_int", "maybe_text",
                                         "list",     "object", "unknown", "",          "k\\u0065y",
                                         "\xc3\xa9", "ke",     "keys"};
    return absl::StrCat("\"", kNames[Below(18)], "\"");
  }
  std::string Value(int depth) {
    static const char* const kWords[] = {"true", "false", "null", "nul", "True", "-", "[]", "{}"};
    static const char* const kTexts[] = {"",
                                         "a",
                                         "host-000123",
                                         "\\n",
                                         "\\u00e9",
                                         "\xc3\xa9",
                                         "\xff",
                                         "\\ud800",
                                         "a\\\"b",
                                         "\x01",
                                         "\x7f",
                                         "x\\",
                                         "0123456789abcdef0123456789abcdef",
                                         "\xe2\x82"};
    switch (Below(10)) {
      case 0:
        return kWords[Below(8)];
      case 1:
      case 2:
      case 3:
        return absl::StrCat("\"", kTexts[Below(14)], "\"");
      case 4:
        if (depth == 0) return "1";
        return absl::StrCat("[", Value(depth - 1), ",", Value(depth - 1), "]");
      case 5:
        if (depth == 0) return "2";
        return absl::StrCat("{", Name(), ":", Value(depth - 1), "}");
      default:
        return Number();
    }
  }
  std::string Digits(size_t most) {
    std::string digits;
    for (size_t i = 0, n = Below(most); i <= n; ++i) digits += static_cast<char>('0' + Below(10));
    return digits;
  }
  std::string Number() {
    std::string number = Below(4) == 0 ? "-" : "";
    number += Below(10) == 0 ? Digits(3) : std::to_string(Below(1000));
    if (Below(5) == 0) number += Digits(20);
    if (Below(2) == 0) number += "." + Digits(Below(5) == 0 ? 20 : 4);
    if (Below(8) == 0) number += "e" + std::to_string(Below(40));
    return number;
  }
  void Break(std::string& json) {
    static const char kBytes[] =
        "{}[]\",:\\ \n\x00\xff"
        "1e.-tn";
    const size_t at = Below(json.size());
    switch (Below(3)) {
      case 0:
        json.erase(at, 1 + Below(3));
        break;
      case 1:
        json[at] = kBytes[Below(sizeof(kBytes) - 1)];
        break;
      default:
        json.insert(at, 1, kBytes[Below(sizeof(kBytes) - 1)]);
    }
  }

  std::mt19937_64 random_;
};

// What DecodeJson should make of it, by way of simdjson's tree; "" for any error.
std::string Reference(const std::string& json, const grid::EventSchema& schema) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json).get(object) != simdjson::SUCCESS) return "";
  ByteBuffer records;
  grid::EventRecordBuilder builder(records, StreamId(3), schema.fields.size());
  std::vector<std::string> texts(schema.fields.size());
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const grid::EventField& field = schema.fields[i];
    bool found = false;
    simdjson::dom::element value;
    for (auto [name, each] : object) {
      if (name == field.name) found = true, value = each;
    }
    if (found) {
      const bool is_number = value.is_int64() || value.is_uint64() || value.is_double();
      const bool fits =
          (value.is_null() && (field.optional || field.type == EventFieldType::kAny)) ||
          field.type == EventFieldType::kAny ||
          (field.type == EventFieldType::kInt && value.is_int64() &&
           (schema.time_field != static_cast<size_t>(&field - schema.fields.data()) ||
            std::abs(value.get_int64().value_unsafe()) <= kEventTimeMsMax)) ||
          (field.type == EventFieldType::kFloat && is_number) ||
          (field.type == EventFieldType::kBool && value.is_bool()) ||
          (field.type == EventFieldType::kText && value.is_string()) ||
          (field.type == EventFieldType::kBytes && value.is_string()) ||
          (field.type == EventFieldType::kList && value.is_array()) ||
          (field.type == EventFieldType::kObject && value.is_object());
      if (!fits) return "";
    }
    std::string fallback = field.default_json;
    simdjson::dom::parser default_parser;
    if (!found) {
      if (fallback.empty()) return "";
      if (default_parser.parse(fallback).get(value) != simdjson::SUCCESS) return "";
    }
    if (value.is_null()) {
      builder.SetNull(i);
      continue;
    }
    switch (field.type) {
      case EventFieldType::kInt:
        builder.SetInt(i, value.get_int64());
        break;
      case EventFieldType::kFloat:
        builder.SetFloat(i, value.get_double());
        break;
      case EventFieldType::kBool:
        builder.SetBool(i, value.get_bool());
        break;
      case EventFieldType::kText:
      case EventFieldType::kBytes:
        builder.SetBytes(i, std::string_view(value.get_string()));
        break;
      default:
        builder.SetBytes(i, simdjson::minify(value));
    }
  }
  builder.Finish();
  return grid::RenderEventJson(*reinterpret_cast<const grid::EventRecord*>(records.data()), schema);
}

// The same text whether JSON parts are spaced and escaped one way or another.
std::string Canonical(const std::string& json) {
  simdjson::dom::parser parser;
  return simdjson::minify(parser.parse(json).value());
}

bool HasManyDigits(std::string_view json) {
  constexpr size_t kFits = 18;
  size_t digits = 0;
  for (const char c : json) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > kFits) return true;
  }
  return false;
}

// One digit more or less makes no difference between numbers that nobody asks for.
TEST(EventDecoder, AgreesWithItselfOnRandomEventsWithLongNumbers) {
  RandomJson random(20240608);
  Decoder decoder(AllTypes());
  size_t good = 0;
  for (int i = 0; i < 15'000; ++i) {
    std::string json = random.Event();
    const std::string expected = decoder.Decode(json);
    if (HasManyDigits(json)) continue;
    good += expected[0] == '{';
    const size_t brace = json.rfind('}');
    if (brace == std::string::npos) continue;
    const bool empty = json.find(':') == std::string::npos;
    json.insert(brace, absl::StrCat(empty ? "" : ",", "\"nobody\":12345678901234567890123"));
    const std::string decoded = decoder.Decode(json);
    ASSERT_EQ(decoded[0] == '{', expected[0] == '{') << json << "\n" << decoded << "\n" << expected;
    if (expected[0] != '{') continue;
    ASSERT_EQ(decoded, expected) << json;
  }
  EXPECT_GT(good, 2'500u);
}

TEST(EventDecoder, AgreesWithTheGeneralParserOnRandomEvents) {
  const grid::EventSchema schema = AllTypes();
  RandomJson random(20240607);
  Decoder decoder(schema);
  size_t good = 0;
  for (int i = 0; i < 15'000; ++i) {
    const std::string json = random.Event();
    if (HasManyDigits(json)) continue;  // more than the reference takes
    const std::string expected = Reference(json, schema);
    const std::string decoded = decoder.Decode(json);
    if (expected.empty()) {
      ASSERT_NE(decoded[0], '{') << json;
      continue;
    }
    ++good;
    ASSERT_EQ(decoded[0], '{') << json << "\n" << decoded << "\n" << expected;
    ASSERT_EQ(Canonical(decoded), Canonical(expected)) << json;
  }
  EXPECT_GT(good, 2'500u);
}

}  // namespace
}  // namespace bettong::ingest
