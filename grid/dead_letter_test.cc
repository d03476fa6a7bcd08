#include "grid/dead_letter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bettong::grid {
namespace {

using ::testing::HasSubstr;

// Without printing a megabyte when it does not.
bool Holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

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
  const auto both = [](size_t bytes_max, auto letter_of) {
    const std::string whole(bytes_max, 'x');
    const std::string note = " ... (cut: " + std::to_string(bytes_max + 1) + " bytes in all)\"";
    EXPECT_TRUE(Holds(RenderDeadLetter(letter_of(whole)), "\"" + whole + "\"")) << bytes_max;
    EXPECT_TRUE(Holds(RenderDeadLetter(letter_of(whole + "y")), "\"" + whole + note)) << bytes_max;
  };
  EXPECT_EQ(kDeadLetterEventBytesMax, 1'048'576u);
  for (const size_t bytes_max : {kDeadLetterKeyBytesMax, kDeadLetterStateBytesMax,
                                 kDeadLetterErrorBytesMax, kDeadLetterTracebackBytesMax}) {
    EXPECT_EQ(bytes_max, 65'536u);
  }
  using Text = const std::string&;
  both(kDeadLetterKeyBytesMax, [](Text t) { return DeadLetter{.key = t}; });
  both(kDeadLetterEventBytesMax, [](Text t) { return DeadLetter{.event_text = t}; });
  both(kDeadLetterErrorBytesMax, [](Text t) { return DeadLetter{.error = t, .traceback = "-"}; });
  both(kDeadLetterTracebackBytesMax, [](Text t) { return DeadLetter{.traceback = t}; });
}

TEST(DeadLetter, TooLongJsonBecomesTextThatIsCut) {
  const auto whole = [](size_t bytes_max) { return "[" + std::string(bytes_max - 2, '1') + "]"; };
  const auto over = [](size_t bytes_max) {
    return "[\"" + std::string(bytes_max - 3, 'x') + "\"]";
  };
  const auto cut = [](size_t bytes_max) {
    return "\"[\\\"" + std::string(bytes_max - 3, 'x') +
           "\\\" ... (cut: " + std::to_string(bytes_max + 1) + " bytes in all)\"";
  };
  constexpr size_t kEvent = kDeadLetterEventBytesMax, kState = kDeadLetterStateBytesMax;
  EXPECT_TRUE(Holds(RenderDeadLetter({.event_json = whole(kEvent), .state_json = whole(kState)}),
                    "\"event\":" + whole(kEvent) + ",\"state\":" + whole(kState) + ","));
  EXPECT_TRUE(Holds(RenderDeadLetter({.event_json = over(kEvent), .state_json = over(kState)}),
                    "\"event\":" + cut(kEvent) + ",\"state\":" + cut(kState) + ","));
}

TEST(DeadLetter, TheHeadOfAnEventTellsItsFullSize) {
  EXPECT_THAT(RenderDeadLetter({.event_text = "{\"host\":\"aaa", .event_text_bytes = 5'000'000}),
              HasSubstr(R"x("event":"{\"host\":\"aaa ... (cut: 5000000 bytes in all)")x"));
}

TEST(DeadLetter, IsNotCutInsideOfACharacter) {
  const std::string snowman = "\xe2\x98\x83";
  for (const size_t short_by : {3, 2, 1}) {
    const size_t before = kDeadLetterEventBytesMax - short_by;
    const std::string json =
        RenderDeadLetter({.event_text = std::string(before, 'x') + snowman + "tail"});
    EXPECT_FALSE(Holds(json, "\xef\xbf\xbd")) << before;
    EXPECT_FALSE(Holds(json, "event_base64")) << before;
  }
}

TEST(DeadLetter, IsNeverLongerThanItsBound) {
  const std::string worst(2u << 20, '\1');  // six bytes each, and worse beyond UTF-8
  const std::string bytes(2u << 20, '\xff');
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
