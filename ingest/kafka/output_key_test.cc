#include "ingest/kafka/output_key.h"

#include <gtest/gtest.h>

#include <string>

namespace bettong::ingest {
namespace {

std::string KeyOf(const std::string& field, const std::string& json) {
  OutputKey key(field);
  const auto found = key.Find(json);
  return found ? std::string(*found) : "-";
}

TEST(OutputKeyTest, IsATextAsItIsAndWhatIsNoTextAsItIsWritten) {
  EXPECT_EQ(KeyOf("host", R"({"n":1,"host":"web-01"})"), "web-01");
  EXPECT_EQ(KeyOf("host", R"({"host":"a\"\u00e9\n"})"), "a\"é\n");
  EXPECT_EQ(KeyOf("n", R"({"n": -17 ,"host":"x"})"), "-17");
  EXPECT_EQ(KeyOf("n", R"({"n":1.50})"), "1.50");
  EXPECT_EQ(KeyOf("n", R"({"n":true})"), "true");
  EXPECT_EQ(KeyOf("n", R"({"n":""})"), "");
}

TEST(OutputKeyTest, ThereIsNoneWithoutTheFieldOrWithSomethingElseInIt) {
  for (const char* json : {R"({"m":1})", R"({"n":null})", R"({"n":[1]})", R"({"n":{"n":1}})", "[1]",
                           "17", "null", "\"n\"", R"({"n":)", "{}", ""}) {
    EXPECT_EQ(KeyOf("n", json), "-") << json;
  }
  EXPECT_EQ(KeyOf("", R"({"":1})"), "-") << "no field is asked for";
}

TEST(OutputKeyTest, FindsTheNextOneToo) {
  OutputKey key("k");
  EXPECT_EQ(key.Find(R"({"k":"a rather long key, longer than the next"})"),
            "a rather long key, longer than the next");
  EXPECT_EQ(key.Find(R"({"k":"b"})"), "b");
  EXPECT_EQ(key.Find(R"({"x":"b"})"), std::nullopt);
}

}  // namespace
}  // namespace bettong::ingest
