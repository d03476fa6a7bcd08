// Events that look like those before them go by what has been remembered of these; what comes of
// them is what the general parser says, which knows nothing of that.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "ingest/event_decoder.h"
#include "ingest/frame_reader.h"
#include "ingest/ingest_testing.h"

namespace bettong::ingest {
namespace {

using grid::EventFieldType;

grid::EventSchema Sample() {
  grid::EventSchema schema;
  schema.name = "Sample";
  schema.fields = {
      Field("key", EventFieldType::kText),
      Field("ts", EventFieldType::kInt),
      Field("value", EventFieldType::kFloat),
      Field("n", EventFieldType::kInt, "7"),
      OptionalField("note", EventFieldType::kText, "null"),
      Field("on", EventFieldType::kBool, "false"),
      Field("raw", EventFieldType::kBytes, "\"\""),
      Field("any", EventFieldType::kAny, "null"),
  };
  schema.time_field = 1;
  return schema;
}

class ShapedEvents : public testing::Test {
 protected:
  // A record's bytes, or the error's status, field and place in words.
  static std::string Answer(EventDecoder& decoder, const std::string& json, size_t shift = 0) {
    const std::string padded = json + std::string(kFramePaddingBytes, '9');  // the worst: digits
    ByteBuffer records;
    const DecodeError error =
        decoder.DecodeJson(std::string_view(padded).substr(0, json.size()), records);
    if (error.ok()) return std::string(records.view());
    EXPECT_TRUE(records.empty()) << "half a record was left";
    if (error.status == DecodeStatus::kMalformed) return "malformed";
    return "status " + std::to_string(static_cast<int>(error.status)) + " field " +
           std::to_string(error.field) + " at " +
           std::to_string(error.got_size == 0 ? 0 : error.got_begin - shift) + "+" +
           std::to_string(error.got_size);
  }

  // What the general parser says: an escape in a name is not for the plain one.
  std::string General(const std::string& json) {
    const std::string nobody = "\"\\u0021\":0,";
    EventDecoder decoder(StreamId(0), schema_, {}, document_);
    return Answer(decoder, json.substr(0, 1) + nobody + json.substr(1), nobody.size());
  }

  // Each event, decoded behind the ones before it, is as the general parser says.
  void Check(const std::vector<std::string>& events) {
    EventDecoder decoder(StreamId(0), schema_, {}, document_);
    for (const std::string& json : events) {
      ASSERT_EQ(Answer(decoder, json), General(json)) << json;
    }
  }

  // The same, of events with one value of the field each, twice over.
  void CheckValues(const std::string& field, const std::vector<std::string>& values) {
    std::vector<std::string> events;
    for (int round = 0; round < 2; ++round) {
      for (const std::string& value : values) {
        const std::string head =
            field == "ts" ? "{\"key\":\"k\"," : "{\"key\":\"k\",\"ts\":1700000000123,";
        const std::string tail = field == "value" ? "}" : ",\"value\":1}";
        events.push_back(head + "\"" + field + "\":" + value + tail);
        events.push_back(head + "\"value\":2.5,\"" + field + "\":" + value + "}");
      }
    }
    Check(events);
  }

  const grid::EventSchema schema_ = Sample();
  JsonDocument document_;
};

TEST_F(ShapedEvents, IntegersOfEveryLength) {
  std::vector<std::string> values;
  for (const char* sign : {"", "-"}) {
    for (size_t digits = 1; digits <= 25; ++digits) {
      values.push_back(sign + std::string("98765432123456789876543210").substr(0, digits));
      values.push_back(sign + std::string("1") + std::string(digits - 1, '0'));
      values.push_back(sign + std::string(digits, '0'));
    }
  }
  for (const char* more : {"1x", "1.", "1.0", "1e3", "1E3", "01", "-", "--1", "+1", "1 ", "1\t",
                           "9223372036854775807", "9223372036854775808", "null", "\"1\"", "true"}) {
    values.push_back(more);
  }
  CheckValues("n", values);
}

TEST_F(ShapedEvents, TimesUpToTheLastThatIsOne) {
  CheckValues("ts", {"0", "-0", "1700000000123", "8796093022207", "8796093022208", "8796093022209",
                     "-8796093022208", "-8796093022209", "999999999999999999", "1700000000123.0",
                     "1700000000123.5", "null", "\"1\""});
}

TEST_F(ShapedEvents, DecimalsOfEveryLength) {
  std::vector<std::string> values;
  for (const char* sign : {"", "-"}) {
    for (size_t whole = 1; whole <= 20; ++whole) {
      for (size_t decimals = 0; decimals <= 26; ++decimals) {
        values.push_back(sign + std::string("98765432123456789876").substr(0, whole) + "." +
                         std::string("01234567890123456789012345").substr(0, decimals));
      }
    }
  }
  // 2^53 is the last that is exact beside all before it.
  for (const char* more : {"0",
                           "-0",
                           "-0.0",
                           "0.1",
                           "9007199254740.992",
                           "9007199254740.993",
                           "9007199254740993",
                           "-9007199254740993",
                           "123456789012345678",
                           "00.1",
                           ".5",
                           "5.",
                           "1.5e3",
                           "1.5E3",
                           "1.5e",
                           "1..5",
                           "1.5x",
                           "null",
                           "\"1\"",
                           "1e400",
                           "999999999999999999999"}) {
    values.push_back(more);
  }
  CheckValues("value", values);
}

TEST_F(ShapedEvents, TextsOfEveryLength) {
  std::vector<std::string> values = {"\"a\\nb\"", "\"a\\\"b\"", "\"\\ud800\"", "\"a\tb\"", "null",
                                     "1",         "\"",         "\"a",         "\"a\\"};
  for (size_t size = 0; size <= 70; ++size) {
    const std::string text(size, 'x');
    values.push_back("\"" + text + "\"");
    values.push_back("\"" + text + "\xc3\xa9\"");
    values.push_back("\"" + text + "\xff\"");
    values.push_back("\"" + text + "\xc3\"");
    values.push_back("\"" + text + "\x1f\"");
  }
  CheckValues("note", values);
  CheckValues("raw", values);
  CheckValues("unknown", values);
  CheckValues("any", values);
}

TEST_F(ShapedEvents, FieldsThatComeAndGoAndTrade) {
  const std::vector<std::string> fields = {
      "\"key\":\"host-1\"",  "\"ts\":1700000000123", "\"value\":52.3",     "\"n\":-12",
      "\"note\":\"a note\"", "\"on\":true",          "\"other\":[1,{}]",   "\"other\":1",
      "\"any\":{\"a\":1}",   "\"any\":\"text\"",     "\"note\":null",      "\"n\":1",
      "\"key\":\"again\"",   "\"value\":7",          "\"k\\u0065y\":\"\"", "\"value\":\"x\""};
  std::mt19937_64 random(20240610);
  const auto below = [&](size_t n) { return random() % n; };
  std::vector<std::string> events;
  std::vector<size_t> shape = {0, 1, 2};
  size_t same = 0;
  for (int i = 0; i < 20'000; ++i) {
    const size_t at = shape.empty() ? 0 : below(shape.size());
    switch (below(8)) {  // mostly none of these
      case 0:
        shape.insert(shape.begin() + static_cast<long>(at), below(fields.size()));
        break;
      case 1:
        if (!shape.empty()) shape.erase(shape.begin() + static_cast<long>(at));
        break;
      case 2:
        if (!shape.empty()) std::swap(shape[at], shape[below(shape.size())]);
        break;
      case 3:
        if (below(4) == 0) shape = {0, 1, 2};
        break;
      default:
        ++same;
    }
    std::string json = "{";
    for (const size_t field : shape) {
      if (json.size() > 1) json += below(50) == 0 ? " , " : ",";
      json += fields[field];
    }
    json += below(50) == 0 ? " } " : "}";
    if (shape.empty()) continue;  // General() cannot put anything in front
    if (below(20) == 0) json[1 + below(json.size() - 1)] = "{}[]\",:\\ 1e.-"[below(13)];
    if (below(20) == 0) json.resize(1 + below(json.size()));
    if (json == "{") continue;
    events.push_back(json);
  }
  EXPECT_GT(same, 5'000u);
  Check(events);
}

// What stood in front of a field in the middle is no beginning of an object, nor the other way
// round.
TEST_F(ShapedEvents, ABraceIsNotTakenForAComma) {
  const std::string good = "{\"key\":\"k\",\"ts\":1,\"value\":2}";
  EventDecoder decoder(StreamId(0), schema_, {}, document_);
  for (const std::string& bad :
       {std::string(",\"ts\":1,\"value\":2,\"key\":\"k\"}"), std::string("{{\"key\":\"k\"}"),
        std::string("{\"ts\":1{\"key\":\"k\",\"value\":2}"), std::string("}"), std::string(","),
        std::string("{"), std::string("{\"key\":"), std::string("{\"key\":\"k\"}}"),
        std::string("{\"key\":\"k\",\"ts\":1,\"value\":2,}")}) {
    EXPECT_NE(Answer(decoder, good), "malformed");
    EXPECT_EQ(Answer(decoder, bad), "malformed") << bad;
  }
}

// What follows in memory is most often another event: here the rest of the one that was cut.
TEST_F(ShapedEvents, WhatIsBehindTheEndIsNotRead) {
  const std::string good =
      R"({"key":"k","ts":1700000000123,"value":-12.25,"on":true,"note":null, "unknown" : "x" })";
  const std::string padded = good + std::string(kFramePaddingBytes, '9');
  EventDecoder decoder(StreamId(0), schema_, {}, document_);
  ByteBuffer records;
  for (size_t size = good.rfind('}'); size > 0; --size) {
    EXPECT_TRUE(decoder.DecodeJson(std::string_view(padded).substr(0, good.size()), records).ok());
    records.clear();
    EXPECT_EQ(decoder.DecodeJson(std::string_view(padded).substr(0, size), records).status,
              DecodeStatus::kMalformed)
        << size;
    EXPECT_TRUE(records.empty());
  }
}

// One step past what is remembered of an event: a lead of kBytesMax bytes, kShapeFieldsMax fields.
TEST_F(ShapedEvents, LongLeadsAndManyFields) {
  std::vector<std::string> events;
  for (size_t size = PlainLead::kBytesMax - 10; size <= PlainLead::kBytesMax + 2; ++size) {
    // `{"…":`
    const std::string name(size - 4, 'n');
    for (const char* value : {"1", "2", "\"x\""}) {
      events.push_back("{\"" + name + "\":" + value + ",\"key\":\"k\",\"ts\":1,\"value\":2}");
    }
    events.push_back("{\"" + name.substr(1) + "m\":1,\"key\":\"k\",\"ts\":1,\"value\":2}");
  }
  for (size_t more = kShapeFieldsMax - 5; more <= kShapeFieldsMax + 5; ++more) {
    std::string json = "{\"key\":\"k\",\"ts\":1,\"value\":2";
    for (size_t i = 0; i < more; ++i)
      json += ",\"f" + std::to_string(i) + "\":" + std::to_string(i);
    events.push_back(json + "}");
    events.push_back(json + ",\"n\":5}");
  }
  Check(events);
}

}  // namespace
}  // namespace bettong::ingest
