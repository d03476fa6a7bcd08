#include "protocol/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace bettong::protocol {
namespace {

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(GlobMatch("*", ""));
  EXPECT_TRUE(GlobMatch("*", "anything"));
  EXPECT_TRUE(GlobMatch("a*c*", "abbbc"));
  EXPECT_FALSE(GlobMatch("a*c", "abbb"));
  EXPECT_TRUE(GlobMatch("h?llo", "hello"));
  EXPECT_FALSE(GlobMatch("h?llo", "hllo"));
  EXPECT_TRUE(GlobMatch("", ""));
  EXPECT_FALSE(GlobMatch("", "a"));
}

TEST(Glob, Classes) {
  EXPECT_TRUE(GlobMatch("h[ae]llo", "hallo"));
  EXPECT_FALSE(GlobMatch("h[ae]llo", "hillo"));
  EXPECT_TRUE(GlobMatch("h[^e]llo", "hallo"));
  EXPECT_FALSE(GlobMatch("h[^e]llo", "hello"));
  EXPECT_TRUE(GlobMatch("h[a-c]llo", "hbllo"));
  EXPECT_TRUE(GlobMatch("h[c-a]llo", "hbllo"));
  EXPECT_TRUE(GlobMatch("[\\]]", "]"));
  EXPECT_TRUE(GlobMatch("[abc", "a"));
}

TEST(Glob, BackslashTakesTheNextCharacterLiterally) {
  EXPECT_TRUE(GlobMatch("a\\*", "a*"));
  EXPECT_FALSE(GlobMatch("a\\*", "ab"));
  EXPECT_TRUE(GlobMatch("a\\", "a\\"));
}

TEST(Glob, CaseCanBeIgnored) {
  EXPECT_FALSE(GlobMatch("MAX*", "maxmemory"));
  EXPECT_TRUE(GlobMatch("MAX*", "maxmemory", true));
  EXPECT_TRUE(GlobMatch("[A-C]x", "bX", true));
}

TEST(Glob, ManyStarsEndInReasonableTime) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  EXPECT_FALSE(GlobMatch(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace bettong::protocol
