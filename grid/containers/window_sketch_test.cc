// Windows with sketches: each of a kind with what its panes should hold, through failed turns,
// replay and images.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "grid/containers/window.h"

namespace bettong::grid {
namespace {

std::string ImageOf(const Window& window) {
  std::string image;
  window.EncodeImage(image);
  return image;
}
std::string ImageOf(const PaneSketch& sketch) {
  std::string image;
  ByteWriter out(image);
  sketch.Encode(out);
  return image;
}

WindowSpec AnySpec(std::mt19937& random) {
  WindowSpec spec;
  spec.kind = random() % 3 == 0 ? WindowKind::kSession : WindowKind::kSliding;
  spec.closes = spec.kind == WindowKind::kSession || random() % 2 == 0;
  spec.pane_ms = 10;
  spec.size_ms = spec.kind == WindowKind::kSession ? 10 : 10 * (1 + random() % 5);
  spec.is_float = random() % 2 == 0;
  spec.keeps = random() % 2 == 0 ? kKeepAll : 0;
  if (random() % 3 > 0) spec.distinct_bits = 4 + random() % 4;
  if (spec.distinct_bits == 0 || random() % 2 == 0) spec.quantile_error_ppm = 10'000;
  if (spec.distinct_bits > 0 && random() % 4 == 0) {
    spec.is_float = false, spec.keeps = 0, spec.quantile_error_ppm = 0;
    spec.hashed = HashedValue::kText;
  }
  return spec;
}

uint64_t AnyRaw(const WindowSpec& spec, std::mt19937& random) {
  const auto number = static_cast<int64_t>(random() % 4001) - 2000;
  if (spec.hashed != HashedValue::kNo) return HashOfBytes(std::to_string(number));
  return spec.is_float ? std::bit_cast<uint64_t>(static_cast<double>(number) / 7)
                       : static_cast<uint64_t>(number);
}

class WindowSketchProperty : public ::testing::TestWithParam<uint32_t> {};

TEST_P(WindowSketchProperty, IsWhatItsValuesMakeIt) {
  std::mt19937 random(GetParam());
  const WindowSpec spec = AnySpec(random);
  ASSERT_EQ(spec.Check(), "");
  std::string encoded;
  spec.Encode(encoded);
  ASSERT_EQ(WindowSpec::Decode(encoded), spec);
  const WindowShape shape(spec);
  std::unique_ptr<Window> window = Window::Make(shape);
  const std::unique_ptr<Window> follower = Window::Make(shape);
  struct Value {
    TimeMs at_ms;
    uint64_t raw;
  };
  std::vector<Value> values, added;
  ContainerTurn turn;
  TimeMs now = 0, watermark_ms = kNoTime;
  int compared = 0;
  for (int step = 0; step < 300; ++step) {
    const std::string before = ImageOf(*window);
    added.clear();
    for (size_t adds = random() % 5; adds > 0; --adds) {
      now += static_cast<TimeMs>(random() % (random() % 30 == 0 ? 100 : 5));
      const TimeMs at_ms = random() % 4 == 0 ? now - static_cast<TimeMs>(random() % 40) : now;
      const uint64_t raw = AnyRaw(spec, random);
      if (window->Add(raw, at_ms, watermark_ms, turn) == Window::Added::kYes) {
        added.push_back({at_ms, raw});
      }
    }
    if (spec.closes && random() % 6 == 0) {
      watermark_ms = std::max(watermark_ms, now - 50);
      while (window->NextDue() <= watermark_ms) {
        const WindowView due = window->Due();
        PaneSketch right(shape);
        for (const auto* list : {&values, &added}) {
          for (const Value& value : *list) {
            if (value.at_ms >= due.start_ms && value.at_ms < due.end_ms) right.Add(value.raw);
          }
        }
        ASSERT_EQ(ImageOf(*due.sketch), ImageOf(right)) << step;
        window->CloseDue(turn);
      }
    }
    if (random() % 4 == 0) {
      window->RollBack(turn);
      ASSERT_EQ(ImageOf(*window), before) << step;
      // What was due is so again, and closes before anything else is added.
      while (window->NextDue() <= watermark_ms) window->CloseDue(turn);
      added.clear();
    }
    ASSERT_TRUE(follower->Replay(turn.operations));
    window->Commit(turn);
    values.insert(values.end(), added.begin(), added.end());
    ASSERT_EQ(ImageOf(*follower), ImageOf(*window)) << step;
    const WindowView view = window->Current();
    PaneSketch right(shape);
    uint64_t count = 0;
    for (const Value& value : values) {
      if (value.at_ms < view.start_ms || value.at_ms >= view.end_ms) continue;
      right.Add(value.raw);
      ++count;
    }
    // Of one that closes, panes may be gone that it began with.
    if (!spec.closes || count == view.totals.count) {
      ASSERT_EQ(ImageOf(window->CurrentSketch()), ImageOf(right)) << step;
      ++compared;
    }
    if (step % 50 != 49) continue;
    const std::unique_ptr<Window> decoded = Window::Make(shape);
    ASSERT_TRUE(decoded->DecodeImage(ImageOf(*window)));
    ASSERT_EQ(ImageOf(*decoded), ImageOf(*window));
    // Its bytes are counted as they come and go; one that is new has no room left over.
    ASSERT_LE(decoded->heap_bytes(), 3 * window->heap_bytes());
    // The other keeps the room for as many panes as it has ever had open.
    ASSERT_LE(window->heap_bytes(), 3 * decoded->heap_bytes() + 8192);
    window = Window::Make(shape);
    ASSERT_TRUE(window->DecodeImage(ImageOf(*decoded)));
  }
  EXPECT_GT(compared, 50);
}
INSTANTIATE_TEST_SUITE_P(Seeds, WindowSketchProperty, ::testing::Range(0u, 80u));

TEST(WindowSketch, ATurnThatJoinsBucketsIsTakenBack) {
  WindowSpec spec;
  spec.keeps = 0, spec.size_ms = 10, spec.pane_ms = 10, spec.quantile_error_ppm = 1000;
  for (const bool closes : {false, true}) {
    spec.closes = closes;
    const WindowShape shape(spec);
    const std::unique_ptr<Window> window = Window::Make(shape), follower = Window::Make(shape);
    ContainerTurn turn;
    const auto add = [&](size_t i) {
      const double value = std::pow(1.01, static_cast<double>(i));
      ASSERT_EQ(window->Add(std::bit_cast<uint64_t>(value), 5, kNoTime, turn), Window::Added::kYes);
    };
    for (size_t i = 0; i < kQuantileBucketsMax; ++i) add(i);
    ASSERT_TRUE(follower->Replay(turn.operations));
    window->Commit(turn);
    const std::string before = ImageOf(*window);
    const size_t bytes = window->heap_bytes();
    for (size_t i = 0; i < 5; ++i) add(kQuantileBucketsMax + i);
    window->RollBack(turn);
    EXPECT_EQ(ImageOf(*window), before);
    EXPECT_EQ(window->heap_bytes(), bytes);
    for (size_t i = 0; i < 5; ++i) add(kQuantileBucketsMax + i);
    ASSERT_TRUE(follower->Replay(turn.operations));
    window->Commit(turn);
    EXPECT_EQ(ImageOf(*follower), ImageOf(*window));
    EXPECT_NE(ImageOf(*window), before);
  }
}

TEST(WindowSketch, BytesAreCounted) {
  WindowSpec spec;
  spec.keeps = 0, spec.size_ms = 20, spec.pane_ms = 10, spec.distinct_bits = 12;
  spec.is_float = false, spec.hashed = HashedValue::kText;
  const WindowShape shape(spec);
  const std::unique_ptr<Window> window = Window::Make(shape);
  const size_t empty = window->heap_bytes();
  ContainerTurn turn;
  for (int i = 0; i < 20'000; ++i) window->Add(HashOfBytes(std::to_string(i)), 5, kNoTime, turn);
  window->Commit(turn);
  EXPECT_GE(window->heap_bytes(), empty + 4096);
  EXPECT_LE(window->heap_bytes(), empty + 4096 + 256);
  window->Add(1, 25, kNoTime, turn);  // the first pane is gone
  window->Commit(turn);
  EXPECT_LE(window->heap_bytes(), empty + 300);
}

TEST(WindowSketch, TextsAreOnlyCounted) {
  WindowSpec spec;
  spec.size_ms = 10, spec.pane_ms = 10, spec.distinct_bits = 12, spec.is_float = false;
  spec.hashed = HashedValue::kBytes;
  EXPECT_NE(spec.Check(), "");
  spec.keeps = 0;
  EXPECT_EQ(spec.Check(), "");
  spec.distinct_bits = kDistinctBitsMax + 1;
  EXPECT_NE(spec.Check(), "");
  spec.distinct_bits = kDistinctBitsMin - 1;
  EXPECT_NE(spec.Check(), "");
  spec.distinct_bits = kDistinctBitsMin;
  spec.quantile_error_ppm = 10'000;
  EXPECT_NE(spec.Check(), "");
  spec.hashed = HashedValue::kNo;
  EXPECT_EQ(spec.Check(), "");
  spec.quantile_error_ppm = kQuantileErrorMinPpm - 1;
  EXPECT_NE(spec.Check(), "");
  spec.quantile_error_ppm = kQuantileErrorMaxPpm + 1;
  EXPECT_NE(spec.Check(), "");
}

}  // namespace
}  // namespace bettong::grid
