#include "grid/dead_letter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bettong::grid {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DeadLetter, HasEveryFieldAndNullForWhatIsUnknown) {
  EXPECT_EQ(RenderDeadLetter({.error = "bad"}),
            R"({"stream":null,"class":null,"key":null,"handler":null,"event":null,"state":null,)"
            R"("error":"bad","traceback":"bad"})");
  EXPECT_EQ(RenderDeadLetter({.stream = "samples",
                              .entity_class = "Host",
                              .key = "",
                              .handler = "sample",
                              .event_json = R"({"n":1})",
                              .state_json = R"({"count":2})",
                              .error = "ValueError: \"x\"",
                              .traceback = "Traceback:\n  ..."}),
            R"({"stream":"samples","class":"Host","key":"","handler":"sample","event":{"n":1},)"
            R"("state":{"count":2},"error":"ValueError: \"x\"","traceback":"Traceback:\n  ..."})");
}

TEST(DeadLetter, AnEventThatWasNotDecodedIsTextAsItCame) {
  EXPECT_THAT(RenderDeadLetter({.event_text = "{\"a\""}), HasSubstr(R"("event":"{\"a\"",)"));
  EXPECT_THAT(RenderDeadLetter({.event_text = ""}), HasSubstr(R"("event":"",)"));
  EXPECT_THAT(RenderDeadLetter({.event_text = "caf\xe9"}),
              HasSubstr("\"event\":\"caf\xef\xbf\xbd\",\"event_base64\":\"Y2Fm6Q==\","));
}

TEST(DeadLetter, EveryPartIsWholeAtItsLimitAndCutWithItsSizeBeyond) {
  const std::string note = " ... (cut: 65537 bytes in all)\"";
  const auto both = [&](size_t bytes_max, auto letter_of) {
    ASSERT_EQ(bytes_max, 65536u);
    const std::string whole(bytes_max, 'x');
    EXPECT_THAT(RenderDeadLetter(letter_of(whole)), HasSubstr("\"" + whole + "\""));
    EXPECT_THAT(RenderDeadLetter(letter_of(whole + "y")), HasSubstr("\"" + whole + note));
  };
  using Text = const std::string&;
  both(kDeadLetterKeyBytesMax, [](Text t) { return DeadLetter{.key = t}; });
  both(kDeadLetterEventBytesMax, [](Text t) { return DeadLetter{.event_text = t}; });
  both(kDeadLetterErrorBytesMax, [](Text t) { return DeadLetter{.error = t, .traceback = "-"}; });
  both(kDeadLetterTracebackBytesMax, [](Text t) { return DeadLetter{.traceback = t}; });
}

TEST(DeadLetter, TooLongJsonBecomesTextThatIsCut) {
  const std::string whole = "[" + std::string(kDeadLetterEventBytesMax - 2, '1') + "]";
  EXPECT_THAT(RenderDeadLetter({.event_json = whole, .state_json = whole}),
              HasSubstr("\"event\":" + whole + ",\"state\":" + whole + ","));
  const std::string over = "[\"" + std::string(kDeadLetterEventBytesMax - 3, 'x') + "\"]";
  const std::string cut = "\"[\\\"" + std::string(kDeadLetterEventBytesMax - 3, 'x') +
                          "\\\" ... (cut: 65537 bytes in all)\"";
  EXPECT_THAT(RenderDeadLetter({.event_json = over, .state_json = over}),
              HasSubstr("\"event\":" + cut + ",\"state\":" + cut + ","));
}

TEST(DeadLetter, TheHeadOfAnEventTellsItsFullSize) {
  EXPECT_THAT(RenderDeadLetter({.event_text = "{\"host\":\"aaa", .event_text_bytes = 5'000'000}),
              HasSubstr(R"x("event":"{\"host\":\"aaa ... (cut: 5000000 bytes in all)")x"));
}

TEST(DeadLetter, IsNotCutInsideOfACharacter) {
  const std::string snowman = "\xe2\x98\x83";
  for (size_t before : {65533u, 65534u, 65535u}) {
    const std::string json =
        RenderDeadLetter({.event_text = std::string(before, 'x') + snowman + "tail"});
    EXPECT_THAT(json, Not(HasSubstr("\xef\xbf\xbd"))) << before;
    EXPECT_THAT(json, Not(HasSubstr("event_base64"))) << before;
  }
}

TEST(DeadLetter, IsNeverLongerThanItsBound) {
  const std::string worst(1u << 20, '\1');  // six bytes each, and worse beyond UTF-8
  const std::string bytes(1u << 20, '\xff');
  EXPECT_LT(RenderDeadLetter({.key = worst,
                              .event_text = bytes,
                              .state_json = worst,
                              .error = worst,
                              .traceback = worst})
                .size(),
            kDeadLetterBytesMax);
}

}  // namespace
}  // namespace bettong::grid
