// A window against a list of everything that was ever added to it.
#include "grid/containers/window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace bettong::grid {
namespace {

constexpr uint64_t Raw(int64_t value) { return static_cast<uint64_t>(value); }
uint64_t Raw(double value) { return std::bit_cast<uint64_t>(value); }

WindowSpec Sliding(bool is_float, int64_t size_ms, int64_t pane_ms) {
  return {.is_float = is_float, .keeps = kKeepAll, .size_ms = size_ms, .pane_ms = pane_ms};
}

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// All values, and what a window of the spec holds of them, worked out anew each time.
class Model {
 public:
  explicit Model(const WindowSpec& spec) : spec_(spec) {}

  bool Add(double value, TimeMs at_ms) {
    const int64_t pane = FloorDivide(at_ms, spec_.pane_ms);
    if (newest_ && pane <= *newest_ - spec_.panes()) return false;
    newest_ = std::max(newest_.value_or(pane), pane);
    values_.push_back({value, at_ms, pane});
    return true;
  }
  void Check(const Window& window) const {
    const uint64_t count = window.CurrentCount();
    const WideInt int_sum = spec_.is_float ? WideInt{0} : window.CurrentIntSum();
    const WindowTotals totals = window.Current().totals;
    ASSERT_EQ(count, totals.count);
    ASSERT_TRUE(int_sum == totals.int_sum);
    ASSERT_EQ(window.Current().empty, !newest_.has_value());
    if (!newest_) {
      ASSERT_EQ(totals.count, 0u);
      return;
    }
    ASSERT_EQ(window.Current().end_ms, (*newest_ + 1) * spec_.pane_ms);
    std::vector<Value> in;
    for (const Value& value : values_) {
      if (value.pane > *newest_ - spec_.panes()) in.push_back(value);
    }
    ASSERT_EQ(totals.count, in.size());
    double sum = 0, low = in[0].value, high = in[0].value;
    Value first = in[0], last = in[0];
    for (const Value& value : in) {
      sum += value.value;
      low = std::min(low, value.value), high = std::max(high, value.value);
      if (value.at_ms < first.at_ms) first = value;
      if (value.at_ms >= last.at_ms) last = value;
    }
    const double mean = sum / static_cast<double>(in.size());
    double squares = 0;
    for (const Value& value : in) squares += (value.value - mean) * (value.value - mean);
    ASSERT_NEAR(totals.squares, squares, 1e-9 * (1 + squares));
    ASSERT_NEAR(totals.mean, mean, 1e-9 * (1 + std::abs(mean)));
    ASSERT_EQ(totals.first_ms, first.at_ms);
    ASSERT_EQ(totals.last_ms, last.at_ms);
    if (spec_.is_float) {
      ASSERT_NEAR(totals.float_sum, sum, 1e-9 * (1 + std::abs(sum)));
      ASSERT_EQ(totals.min, Raw(low));
      ASSERT_EQ(totals.max, Raw(high));
      ASSERT_EQ(totals.first, Raw(first.value));
      ASSERT_EQ(totals.last, Raw(last.value));
    } else {
      ASSERT_EQ(static_cast<int64_t>(totals.int_sum), static_cast<int64_t>(sum));
      ASSERT_EQ(totals.min, Raw(static_cast<int64_t>(low)));
      ASSERT_EQ(totals.max, Raw(static_cast<int64_t>(high)));
      ASSERT_EQ(totals.first, Raw(static_cast<int64_t>(first.value)));
      ASSERT_EQ(totals.last, Raw(static_cast<int64_t>(last.value)));
    }
  }

 private:
  struct Value {
    double value;
    TimeMs at_ms;
    int64_t pane;
  };
  WindowSpec spec_;
  std::vector<Value> values_;
  std::optional<int64_t> newest_;
};

std::string ImageOf(const Window& window) {
  std::string image;
  window.EncodeImage(image);
  return image;
}

// Times go on in general, with jumps, steps back, the same again, and before the epoch; some turns
// fail. What is recorded, replayed, and the image come to the same. Of some windows nothing is
// logged.
TEST(WindowTest, AgreesWithAListOfAllValues) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const bool is_float = random() % 2 == 0;
    const int64_t pane_ms = 1 + random() % 50, panes = 1 + random() % 7;
    const WindowSpec spec = Sliding(is_float, pane_ms * panes, pane_ms);
    const WindowShape shape(spec);
    const std::unique_ptr<Window> made = Window::Make(shape), other = Window::Make(shape);
    Window &window = *made, &replayed = *other;
    Model model(spec);
    ContainerTurn turn;
    turn.logged = seed % 3 != 0;
    TimeMs now = static_cast<TimeMs>(random() % 1000) - 500;
    for (int step = 0; step < 400; ++step) {
      const Model before = model;
      const std::string image = ImageOf(window);
      bool added_any = false;
      for (size_t adds = random() % 4; adds > 0; --adds) {
        if (random() % 3 == 0) now += static_cast<TimeMs>(random() % 60);
        if (random() % 40 == 0) now += static_cast<TimeMs>(random() % 1000);
        const TimeMs at = random() % 4 == 0 ? now - static_cast<TimeMs>(random() % 200) : now;
        const int64_t value = static_cast<int64_t>(random() % 2001) - 1000;
        const double number =
            is_float ? static_cast<double>(value) / 8 : static_cast<double>(value);
        const uint64_t raw = is_float ? Raw(number) : Raw(value);
        const Window::Added added = window.Add(raw, at, kNoTime, turn);
        ASSERT_EQ(added == Window::Added::kYes, model.Add(number, at));
        added_any |= added == Window::Added::kYes;
      }
      ASSERT_EQ(turn.changed(), added_any);
      ASSERT_EQ(!turn.operations.empty(), added_any && turn.logged);
      if (random() % 5 == 0) {
        window.RollBack(turn);
        model = before;
        ASSERT_EQ(ImageOf(window), image);
      } else {
        ASSERT_TRUE(replayed.Replay(turn.operations));
        turn.Clear();
      }
      ASSERT_FALSE(turn.changed());
      if (random() % 2 == 0) {
        ASSERT_NO_FATAL_FAILURE(model.Check(window)) << "seed " << seed;
      }
    }
    if (turn.logged) {
      EXPECT_EQ(ImageOf(replayed), ImageOf(window));
    }
    const std::unique_ptr<Window> third = Window::Make(shape);
    Window& copy = *third;
    ASSERT_TRUE(copy.DecodeImage(ImageOf(window)));
    ASSERT_NO_FATAL_FAILURE(model.Check(copy));
    EXPECT_EQ(ImageOf(copy), ImageOf(window));
  }
}

TEST(WindowTest, PanesBeginWhereTheEpochSays) {
  const WindowShape shape(Sliding(false, 300, 100));
  const std::unique_ptr<Window> made = Window::Make(shape);
  Window& window = *made;
  ContainerTurn turn;
  EXPECT_EQ(window.Add(Raw(int64_t{1}), 299, kNoTime, turn), Window::Added::kYes);
  EXPECT_EQ(window.Current().start_ms, 0);
  EXPECT_EQ(window.Add(Raw(int64_t{1}), 300, kNoTime, turn), Window::Added::kYes);
  EXPECT_EQ(window.Current().start_ms, 100);
  EXPECT_EQ(window.Current().end_ms, 400);
  EXPECT_EQ(window.Add(Raw(int64_t{1}), 99, kNoTime, turn), Window::Added::kLate);
  EXPECT_EQ(window.Add(Raw(int64_t{1}), 100, kNoTime, turn), Window::Added::kYes);
  EXPECT_EQ(window.Current().totals.count, 3u);
  const std::unique_ptr<Window> before = Window::Make(shape);
  Window& early = *before;
  EXPECT_EQ(early.Add(Raw(int64_t{1}), -1, kNoTime, turn), Window::Added::kYes);
  EXPECT_EQ(early.Current().end_ms, 0);
}

TEST(WindowTest, TimesHaveALimit) {
  const WindowShape shape(Sliding(false, 300, 100));
  const std::unique_ptr<Window> window = Window::Make(shape), same = Window::Make(shape);
  ContainerTurn turn;
  for (const TimeMs sign : {-1, 1}) {
    EXPECT_EQ(window->Add(1, sign * (kWindowTimeMax + 1), kNoTime, turn), Window::Added::kNoTime);
    EXPECT_EQ(window->Add(1, sign * kWindowTimeMax, kNoTime, turn), Window::Added::kYes);
    EXPECT_LE(window->Current().start_ms, sign * kWindowTimeMax);
  }
  EXPECT_TRUE(same->Replay(turn.operations));
  EXPECT_EQ(ImageOf(*same), ImageOf(*window));
  EXPECT_TRUE(Window::Make(shape)->DecodeImage(ImageOf(*window)));
}

TEST(WindowTest, SumsOfIntsAreExactOrRefused) {
  const int64_t most = INT64_MAX;
  const WindowShape shape(Sliding(false, 200, 100));
  const std::unique_ptr<Window> made = Window::Make(shape);
  Window& window = *made;
  ContainerTurn turn;
  EXPECT_EQ(window.Add(Raw(most), 0, kNoTime, turn), Window::Added::kYes);
  const std::string image = ImageOf(window);
  EXPECT_EQ(window.Add(Raw(int64_t{1}), 50, kNoTime, turn), Window::Added::kOverflow);
  EXPECT_EQ(ImageOf(window), image);
  // Two panes together may be more than 64 bits.
  EXPECT_EQ(window.Add(Raw(most), 100, kNoTime, turn), Window::Added::kYes);
  EXPECT_TRUE(window.Current().totals.int_sum == WideInt{most} * 2);
  std::string json;
  window.AppendJson(json);
  EXPECT_NE(json.find("\"sum\":18446744073709551614,"), std::string::npos) << json;
}

TEST(WindowTest, JsonNamesWhatIsKept) {
  const auto json = [](const Window& window) {
    std::string out;
    window.AppendJson(out);
    return out;
  };
  const WindowShape shape(Sliding(false, 120, 60));
  const std::unique_ptr<Window> made = Window::Make(shape);
  Window& window = *made;
  ContainerTurn turn;
  EXPECT_EQ(json(window), "{\"count\":0}");
  for (const int64_t value : {4, 2, 9}) window.Add(Raw(value), 70 + value, kNoTime, turn);
  EXPECT_EQ(json(window),
            "{\"count\":3,\"start\":0,\"end\":120,\"sum\":15,\"mean\":5.0,\"min\":2,\"max\":9,"
            "\"first\":2,\"last\":9,\"variance\":8.666666666666666}");
  const WindowShape bare({.keeps = 0, .size_ms = 60, .pane_ms = 60});
  const std::unique_ptr<Window> counts = Window::Make(bare);
  Window& counter = *counts;
  counter.Add(Raw(1.5), 0, kNoTime, turn);
  EXPECT_EQ(json(counter), "{\"count\":1,\"start\":0,\"end\":60}");
}

TEST(WindowTest, DamagedOperationsAndImagesAreRefusedOrHarmless) {
  std::mt19937 random(11);
  const WindowShape shape(Sliding(false, 300, 100));
  const std::unique_ptr<Window> made = Window::Make(shape);
  Window& window = *made;
  ContainerTurn turn;
  for (int i = 0; i < 50; ++i) window.Add(Raw(int64_t{i}), i * 37, kNoTime, turn);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = round % 2 == 0 ? turn.operations : ImageOf(window);
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    const std::unique_ptr<Window> another = Window::Make(shape);
    Window& other = *another;
    const bool good = round % 2 == 0 ? other.Replay(bytes) : other.DecodeImage(bytes);
    if (!good) continue;
    std::string json;
    other.AppendJson(json);
    ContainerTurn next;
    (void)other.Add(Raw(int64_t{5}), 4000, kNoTime, next);
    other.RollBack(next);
  }
}

TEST(WindowSpecTest, ChecksAndSurvivesTheLog) {
  EXPECT_EQ(Sliding(true, 300, 100).Check(), "");
  EXPECT_NE(Sliding(true, 300, 90).Check(), "");
  EXPECT_NE(Sliding(true, 0, 100).Check(), "");
  EXPECT_NE(Sliding(true, 300, 0).Check(), "");
  EXPECT_EQ(Sliding(true, kWindowPanesMax, 1).Check(), "");
  EXPECT_NE(Sliding(true, kWindowPanesMax + 1, 1).Check(), "");
  const WindowSpec tumbling{.kind = WindowKind::kTumbling, .size_ms = 10, .pane_ms = 5};
  EXPECT_NE(tumbling.Check(), "");
  std::string bytes;
  Sliding(false, 300, 100).Encode(bytes);
  EXPECT_EQ(WindowSpec::Decode(bytes), Sliding(false, 300, 100));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(WindowSpec::Decode(std::string_view(bytes).substr(0, size)), std::nullopt);
  }
}

// All that reading tells, to the last bit.
void ExpectEqual(const WindowTotals& a, const WindowTotals& b) {
  EXPECT_EQ(a.count, b.count);
  EXPECT_TRUE(a.int_sum == b.int_sum);
  EXPECT_EQ(Raw(a.float_sum), Raw(b.float_sum));
  EXPECT_EQ(a.min, b.min);
  EXPECT_EQ(a.max, b.max);
  EXPECT_EQ(a.first, b.first);
  EXPECT_EQ(a.first_ms, b.first_ms);
  EXPECT_EQ(a.last, b.last);
  EXPECT_EQ(a.last_ms, b.last_ms);
  EXPECT_EQ(Raw(a.mean), Raw(b.mean));
  EXPECT_EQ(Raw(a.squares), Raw(b.squares));
}

// What is carried along from one reading to the next is what a window tells that has none of it.
TEST(WindowTest, ReadingTellsExactlyWhatThePanesHave) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    WindowSpec spec = Sliding(random() % 2 == 0, 0, 10);
    spec.size_ms = 10 * static_cast<int64_t>(1 + random() % 9);
    spec.keeps = static_cast<uint8_t>(random() % (kKeepAll + 1));
    const WindowShape shape(spec);
    const std::unique_ptr<Window> window = Window::Make(shape);
    ContainerTurn turn;
    TimeMs now = 0;
    for (int step = 0; step < 300; ++step) {
      now += static_cast<TimeMs>(random() % (random() % 20 == 0 ? 200 : 8));
      const bool fails = random() % 10 == 0;
      for (size_t adds = random() % 3; adds > 0; --adds) {
        const TimeMs at = random() % 4 == 0 ? now - static_cast<TimeMs>(random() % 60) : now;
        const double value = static_cast<double>(random() % 2001) / 7 - 100;
        const int64_t large = static_cast<int64_t>(random() % 2 == 0 ? INT64_MAX / 3 : -5);
        window->Add(spec.is_float ? Raw(value) : Raw(large), at, kNoTime, turn);
      }
      fails ? window->RollBack(turn) : window->Commit(turn);
      if (random() % 3 == 0) continue;
      const std::unique_ptr<Window> fresh = Window::Make(shape);
      ASSERT_TRUE(fresh->DecodeImage(ImageOf(*window)));
      ASSERT_NO_FATAL_FAILURE(ExpectEqual(window->Current().totals, fresh->Current().totals));
      ASSERT_FALSE(HasFailure()) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace bettong::grid
