// Windows that close, against lists of everything that was ever added.
#include "grid/containers/closing_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace bettong::grid {
namespace {

struct Value {
  int64_t value;
  TimeMs at_ms;
  auto operator<=>(const Value&) const = default;
};

// What a window was closed with.
struct Closed {
  TimeMs start_ms, end_ms;
  int64_t sum, least, most;
  uint64_t count;
  bool operator==(const Closed&) const = default;
};

Closed ClosedOf(TimeMs start_ms, TimeMs end_ms, const std::vector<Value>& values) {
  Closed closed{start_ms, end_ms, 0, INT64_MAX, INT64_MIN, values.size()};
  for (const Value& value : values) {
    closed.sum += value.value;
    closed.least = std::min(closed.least, value.value);
    closed.most = std::max(closed.most, value.value);
  }
  return closed;
}

int64_t FloorTo(int64_t time, int64_t unit) {
  const int64_t rest = time % unit;
  return time - rest - (rest < 0 ? unit : 0);
}

// All values that were taken; which windows have closed follows from the watermark alone.
class PaneModel {
 public:
  explicit PaneModel(const WindowSpec& spec) : spec_(spec) {}

  bool Add(int64_t value, TimeMs at_ms) {
    const TimeMs last_end = FloorTo(at_ms, spec_.pane_ms) + spec_.size_ms;
    if (watermark_ != kNoTime && last_end <= watermark_) return false;
    values_.push_back({value, at_ms});
    return true;
  }
  std::vector<Closed> MoveTo(TimeMs watermark) {
    std::vector<Closed> closed;
    std::set<TimeMs> ends;
    for (const Value& value : values_) {
      const TimeMs start = FloorTo(value.at_ms, spec_.pane_ms);
      for (TimeMs end = start + spec_.pane_ms; end <= start + spec_.size_ms; end += spec_.pane_ms) {
        if (end <= watermark && (watermark_ == kNoTime || end > watermark_)) ends.insert(end);
      }
    }
    for (const TimeMs end : ends) {
      std::vector<Value> in;
      for (const Value& value : values_) {
        const TimeMs start = FloorTo(value.at_ms, spec_.pane_ms);
        if (start >= end - spec_.size_ms && start < end) in.push_back(value);
      }
      closed.push_back(ClosedOf(end - spec_.size_ms, end, in));
    }
    watermark_ = watermark;
    return closed;
  }

 private:
  WindowSpec spec_;
  std::vector<Value> values_;
  TimeMs watermark_ = kNoTime;
};

class SessionModel {
 public:
  explicit SessionModel(const WindowSpec& spec) : gap_(spec.size_ms) {}

  bool Add(int64_t value, TimeMs at_ms) {
    const bool joins = std::any_of(open_.begin(), open_.end(), [&](const Value& other) {
      return std::abs(other.at_ms - at_ms) < gap_;
    });
    if (!joins && watermark_ != kNoTime && at_ms + gap_ <= watermark_) return false;
    open_.push_back({value, at_ms});
    std::stable_sort(open_.begin(), open_.end(),
                     [](const Value& a, const Value& b) { return a.at_ms < b.at_ms; });
    return true;
  }
  std::vector<Closed> MoveTo(TimeMs watermark) {
    watermark_ = watermark;
    std::vector<Closed> closed;
    while (!open_.empty()) {
      size_t size = 1;
      while (size < open_.size() && open_[size].at_ms - open_[size - 1].at_ms < gap_) ++size;
      const TimeMs end = open_[size - 1].at_ms + gap_;
      if (end > watermark) break;
      const auto at = open_.begin() + static_cast<ptrdiff_t>(size);
      closed.push_back(ClosedOf(open_[0].at_ms, end, {open_.begin(), at}));
      open_.erase(open_.begin(), at);
    }
    return closed;
  }

 private:
  int64_t gap_;
  std::vector<Value> open_;
  TimeMs watermark_ = kNoTime;
};

std::string ImageOf(const Window& window) {
  std::string image;
  window.EncodeImage(image);
  return image;
}

std::vector<Closed> CloseDue(ClosingWindow& window, TimeMs watermark, ContainerTurn& turn) {
  std::vector<Closed> closed;
  while (window.NextDue() <= watermark) {
    const WindowView view = window.Due();
    const WindowTotals& totals = view.totals;
    closed.push_back({view.start_ms, view.end_ms, static_cast<int64_t>(totals.int_sum),
                      static_cast<int64_t>(totals.min), static_cast<int64_t>(totals.max),
                      totals.count});
    EXPECT_EQ(view.end_ms, window.NextDue());
    window.CloseDue(turn);
  }
  return closed;
}

// Times go on in general, with jumps and steps back; turns fail now and then; the watermark lags.
// Of some windows nothing is logged.
template <typename Model>
void AgreesWithItsModel(const WindowSpec& spec, uint32_t seed) {
  ASSERT_EQ(spec.Check(), "");
  std::mt19937 random(seed);
  const WindowShape shape(spec);
  ClosingWindow window(shape), replayed(shape);
  Model model(spec);
  ContainerTurn turn;
  turn.logged = seed % 3 != 0;
  TimeMs now = static_cast<TimeMs>(random() % 1000) - 500, watermark = kNoTime;
  const int64_t lateness = random() % 200;
  for (int step = 0; step < 300; ++step) {
    if (random() % 2 == 0) now += static_cast<TimeMs>(random() % 60);
    if (random() % 30 == 0) now += static_cast<TimeMs>(random() % 1500);
    if (random() % 3 == 0) {
      watermark = std::max(watermark, now - lateness);
      const std::vector<Closed> closed = CloseDue(window, watermark, turn);
      ASSERT_EQ(closed, model.MoveTo(watermark)) << "step " << step;
      ASSERT_EQ(turn.changed(), !closed.empty());
      ASSERT_TRUE(replayed.Replay(turn.operations));
      window.Commit(turn);
    }
    const std::string before = ImageOf(window);
    const bool fails = random() % 5 == 0;
    Model tried = model;
    for (size_t adds = random() % 4; adds > 0; --adds) {
      const TimeMs at = random() % 2 == 0 ? now - static_cast<TimeMs>(random() % 400) : now;
      const int64_t value = static_cast<int64_t>(random() % 2001) - 1000;
      const Window::Added added = window.Add(static_cast<uint64_t>(value), at, watermark, turn);
      ASSERT_EQ(added == Window::Added::kYes, tried.Add(value, at)) << "step " << step;
    }
    ASSERT_TRUE(turn.logged || turn.operations.empty());
    if (fails) {
      window.RollBack(turn);
      ASSERT_EQ(ImageOf(window), before);
    } else {
      model = tried;
      ASSERT_TRUE(replayed.Replay(turn.operations));
      window.Commit(turn);
    }
    ASSERT_FALSE(turn.changed());
    if (turn.logged) {
      ASSERT_EQ(ImageOf(replayed), ImageOf(window));
    }
    ClosingWindow copy(shape);
    ASSERT_TRUE(copy.DecodeImage(ImageOf(window)));
    ASSERT_EQ(ImageOf(copy), ImageOf(window));
  }
}

class ClosingWindowProperty : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ClosingWindowProperty, PanesAgreeWithAListOfAllValues) {
  std::mt19937 random(GetParam());
  const int64_t pane_ms = 1 + random() % 50, panes = 1 + random() % 6;
  AgreesWithItsModel<PaneModel>({.is_float = false,
                                 .closes = true,
                                 .keeps = kKeepAll,
                                 .size_ms = pane_ms * panes,
                                 .pane_ms = pane_ms},
                                GetParam());
}

TEST_P(ClosingWindowProperty, SessionsAgreeWithAListOfAllValues) {
  std::mt19937 random(GetParam());
  const int64_t gap_ms = 1 + random() % 100;
  AgreesWithItsModel<SessionModel>({.kind = WindowKind::kSession,
                                    .is_float = false,
                                    .closes = true,
                                    .keeps = kKeepAll,
                                    .size_ms = gap_ms,
                                    .pane_ms = gap_ms},
                                   GetParam());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ClosingWindowProperty, ::testing::Range(0u, 40u));

WindowSpec Spec(WindowKind kind, int64_t size_ms) {
  return {.kind = kind, .is_float = false, .closes = true, .size_ms = size_ms, .pane_ms = size_ms};
}

TEST(ClosingWindowTest, WaitsForSoManyPanes) {
  const WindowShape shape(Spec(WindowKind::kTumbling, 10));
  ClosingWindow window(shape);
  ContainerTurn turn;
  for (size_t i = 0; i < kOpenPanesMax; ++i) {
    ASSERT_EQ(window.Add(1, static_cast<TimeMs>(i) * 10, kNoTime, turn), Window::Added::kYes);
  }
  const std::string full = ImageOf(window);
  const TimeMs next = static_cast<TimeMs>(kOpenPanesMax) * 10;
  EXPECT_EQ(window.Add(1, next, kNoTime, turn), Window::Added::kFull);
  EXPECT_EQ(ImageOf(window), full);
  EXPECT_EQ(window.Add(1, next - 1, kNoTime, turn), Window::Added::kYes);
  window.CloseDue(turn);
  EXPECT_EQ(window.Add(1, next, kNoTime, turn), Window::Added::kYes);
  ClosingWindow same(shape);
  EXPECT_TRUE(same.Replay(turn.operations));
  EXPECT_EQ(ImageOf(same), ImageOf(window));
}

TEST(ClosingWindowTest, SessionsThatMeetAreAddedUpExactlyOrNotAtAll) {
  const WindowShape shape(Spec(WindowKind::kSession, 10));
  ClosingWindow window(shape);
  ContainerTurn turn;
  const auto most = static_cast<uint64_t>(INT64_MAX);
  EXPECT_EQ(window.Add(most, 0, kNoTime, turn), Window::Added::kYes);
  EXPECT_EQ(window.Add(1, 10, kNoTime, turn), Window::Added::kYes);  // a gap of 10: another one
  const std::string apart = ImageOf(window);
  EXPECT_EQ(window.Add(0, 5, kNoTime, turn), Window::Added::kOverflow);
  EXPECT_EQ(ImageOf(window), apart);
  EXPECT_EQ(window.NextDue(), 10);
}

TEST(ClosingWindowTest, DamagedOperationsAndImagesAreRefusedOrHarmless) {
  std::mt19937 random(12);
  for (const WindowKind kind : {WindowKind::kTumbling, WindowKind::kSession}) {
    const WindowShape shape(Spec(kind, 100));
    ClosingWindow window(shape);
    ContainerTurn turn;
    for (int i = 0; i < 50; ++i) {
      window.Add(static_cast<uint64_t>(i), i * 37, i * 30, turn);
      if (i % 9 == 0) window.CloseDue(turn);
    }
    for (int round = 0; round < 20'000; ++round) {
      std::string bytes = round % 2 == 0 ? turn.operations : ImageOf(window);
      bytes[random() % bytes.size()] = static_cast<char>(random());
      if (round % 3 == 0) bytes.resize(random() % bytes.size());
      ClosingWindow other(shape);
      const bool good = round % 2 == 0 ? other.Replay(bytes) : other.DecodeImage(bytes);
      if (!good) continue;
      std::string json;
      other.AppendJson(json);
      ContainerTurn next;
      (void)other.Add(5, 4000, 3900, next);
      if (other.NextDue() != kNeverExpires) other.CloseDue(next);
      other.RollBack(next);
    }
  }
}

}  // namespace
}  // namespace bettong::grid
