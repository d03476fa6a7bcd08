#include "grid/containers/timers.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace bettong::grid {
namespace {

Timer Make(std::string name, TimeMs due_ms) {
  return {.name = std::move(name), .due_ms = due_ms, .method = "quiet", .arguments = "a"};
}

std::string ImageOf(const Timers& timers) {
  std::string image;
  timers.EncodeImage(image);
  return image;
}

TEST(TimersTest, AgreeWithAMapThroughTurnsThatFailAndTheLog) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    Timers timers, replayed;
    ContainerTurn turn;
    std::map<std::string, TimeMs> model;
    for (int step = 0; step < 300; ++step) {
      const std::string before = ImageOf(timers);
      auto tried = model;
      for (size_t calls = random() % 4; calls > 0; --calls) {
        const std::string name(1, static_cast<char>('a' + random() % 6));
        const TimeMs due_ms = static_cast<TimeMs>(random() % 1000) - 300;
        if (random() % 3 == 0) {
          EXPECT_EQ(timers.Cancel(name, turn), tried.erase(name) == 1);
        } else if (random() % 5 == 0 && !tried.empty()) {
          const Timer taken = timers.Take(turn);
          EXPECT_EQ(tried.at(taken.name), taken.due_ms);
          for (const auto& [other, due] : tried) EXPECT_LE(taken.due_ms, due);
          tried.erase(taken.name);
        } else {
          EXPECT_EQ(timers.Set(Make(name, due_ms), turn), Timers::SetResult::kSet);
          tried[name] = due_ms;
        }
      }
      if (random() % 4 == 0) {
        timers.RollBack(turn);
        ASSERT_EQ(ImageOf(timers), before);
      } else {
        model = tried;
        ASSERT_TRUE(replayed.Replay(turn.operations));
        timers.Commit(turn);
      }
      TimeMs next = kNeverExpires;
      for (const auto& [name, due_ms] : model) next = std::min(next, due_ms);
      ASSERT_EQ(timers.NextDue(), next);
      ASSERT_EQ(ImageOf(replayed), ImageOf(timers));
    }
    Timers copy;
    ASSERT_TRUE(copy.DecodeImage(ImageOf(timers)));
    EXPECT_EQ(ImageOf(copy), ImageOf(timers));
  }
}

TEST(TimersTest, OfSeveralThatAreDueAtOnceTheFirstSetComesFirst) {
  Timers timers;
  ContainerTurn turn;
  for (const char* name : {"b", "a", "c"}) timers.Set(Make(name, 5), turn);
  timers.Set(Make("b", 5), turn);  // set anew: the last now
  EXPECT_EQ(timers.Take(turn).name, "a");
  EXPECT_EQ(timers.Take(turn).name, "c");
  EXPECT_EQ(timers.Take(turn).name, "b");
}

TEST(TimersTest, HaveLimits) {
  Timers timers;
  ContainerTurn turn;
  for (size_t i = 0; i < kTimersMax; ++i) {
    ASSERT_EQ(timers.Set(Make(std::to_string(i), 1), turn), Timers::SetResult::kSet);
  }
  EXPECT_EQ(timers.Set(Make("one more", 1), turn), Timers::SetResult::kFull);
  EXPECT_EQ(timers.Set(Make("7", 2), turn), Timers::SetResult::kSet);
  Timer large = Make("7", 3);
  large.arguments.assign(kTimerBytesMax - large.name.size() - large.method.size(), 'x');
  EXPECT_EQ(timers.Set(large, turn), Timers::SetResult::kSet);
  large.arguments.push_back('x');
  EXPECT_EQ(timers.Set(large, turn), Timers::SetResult::kTooLarge);
}

TEST(TimersTest, DamagedOperationsAndImagesAreRefusedOrHarmless) {
  std::mt19937 random(13);
  Timers timers;
  ContainerTurn turn;
  for (int i = 0; i < 20; ++i) {
    timers.Set(Make(std::to_string(i % 7), i * 100), turn);
    if (i % 5 == 4) timers.Cancel(std::to_string(i % 7), turn);
  }
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = round % 2 == 0 ? turn.operations : ImageOf(timers);
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    Timers other;
    const bool good = round % 2 == 0 ? other.Replay(bytes) : other.DecodeImage(bytes);
    if (!good) continue;
    std::string json;
    other.AppendJson(json);
    ContainerTurn next;
    if (other.NextDue() != kNeverExpires) other.Take(next);
    other.RollBack(next);
  }
}

}  // namespace
}  // namespace bettong::grid
