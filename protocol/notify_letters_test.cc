#include "protocol/notify_letters.h"

#include <gtest/gtest.h>

#include "grid/key_turn.h"

namespace bettong::protocol {
namespace {

TEST(NotifyLetters, BecomeClasses) {
  EXPECT_EQ(ParseNotifyLetters("Ex"), uint32_t{grid::kNotifyKeyevent | grid::kNotifyExpired});
  EXPECT_EQ(ParseNotifyLetters(""), 0u);
  EXPECT_EQ(ParseNotifyLetters("Klz"), uint32_t{grid::kNotifyKeyspace}) << "types there are not";
  EXPECT_FALSE(ParseNotifyLetters("Eq"));
  EXPECT_FALSE(ParseNotifyLetters("Em")) << "nothing tells of misses";
}

TEST(NotifyLetters, AreShownAsRedisShowsThem) {
  EXPECT_EQ(FormatNotifyLetters("KEA"), "AKE");
  EXPECT_EQ(FormatNotifyLetters("xE"), "xE");
  EXPECT_EQ(FormatNotifyLetters("E$gx"), "g$xE");
  EXPECT_EQ(FormatNotifyLetters("KEg$lshzxetd"), "AKE");
}

}  // namespace
}  // namespace bettong::protocol
