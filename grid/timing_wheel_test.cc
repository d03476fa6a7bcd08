#include "grid/timing_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <unordered_map>
#include <unordered_set>

namespace bettong::grid {
namespace {

constexpr TimeMs kStart = 1'700'000'000'000;
constexpr size_t kNoBudget = SIZE_MAX;
constexpr TimeMs kDay = 86'400'000;

// A wheel beside a model of what it should hold.
class Checked {
 public:
  explicit Checked(TimeMs now_ms) : now_ms_(now_ms) { Advance(now_ms); }

  void File(TimeMs due_ms) {
    uint32_t id = next_id_++;
    wheel_.File(EntryId(id), static_cast<uint8_t>(id * 7), due_ms);
    due_of_[id] = due_ms;
    by_due_.emplace(due_ms, id);
  }

  // Answers how many fired; with enough budget exactly those that are due.
  size_t Advance(TimeMs now_ms, size_t budget = kNoBudget) {
    now_ms_ = now_ms;
    size_t fired = 0;
    size_t handled = wheel_.Advance(now_ms, budget, [&](EntryId id, uint8_t generation) {
      if (dropped_.erase(id.value()) == 1) return;
      auto at = due_of_.find(id.value());
      ASSERT_NE(at, due_of_.end()) << "fired twice";
      EXPECT_LE(at->second, now_ms) << "early by " << at->second - now_ms;
      EXPECT_EQ(generation, static_cast<uint8_t>(id.value() * 7));
      Forget(at);
      ++fired;
      if (on_fire) on_fire();
    });
    EXPECT_LE(handled, budget);
    EXPECT_GE(handled, fired);
    if (handled < budget) {
      EXPECT_TRUE(by_due_.empty() || by_due_.begin()->first > now_ms)
          << "late by " << now_ms - by_due_.begin()->first;
    }
    EXPECT_EQ(wheel_.size(), by_due_.size() + dropped_.size());
    CheckNextWake();
    return fired;
  }

  // Records that nobody wants any more; they may come up until they are swept.
  void DropSome(std::mt19937_64& random) {
    for (auto at = due_of_.begin(); at != due_of_.end();) {
      auto next = std::next(at);
      if (random() % 3 != 0) {
        dropped_.insert(at->first);
        Forget(at);
      }
      at = next;
    }
  }

  void Sweep(size_t budget) {
    size_t looked_at = 0;
    wheel_.Sweep(budget, [&](EntryId id, uint8_t generation) {
      ++looked_at;
      EXPECT_EQ(generation, static_cast<uint8_t>(id.value() * 7));
      if (dropped_.erase(id.value()) == 0) return true;
      return false;
    });
    EXPECT_LE(looked_at, budget + 55);
    EXPECT_EQ(wheel_.size(), by_due_.size() + dropped_.size());
    CheckNextWake();
  }

  // Sleeps from wake to wake, as a shard does; answers how often.
  size_t RunUntil(TimeMs end_ms) {
    size_t wakes = 0;
    for (TimeMs wake_ms; (wake_ms = wheel_.NextWake()) <= end_ms; ++wakes) {
      EXPECT_GE(wake_ms, previous_wake_ms_);
      previous_wake_ms_ = wake_ms;
      Advance(std::max(wake_ms, now_ms_));
    }
    Advance(end_ms);
    return wakes;
  }

  TimingWheel& wheel() { return wheel_; }
  size_t size() const { return by_due_.size(); }
  TimeMs now_ms() const { return now_ms_; }
  TimeMs last_due_ms() const { return by_due_.rbegin()->first; }

  std::function<void()> on_fire;

 private:
  void Forget(std::unordered_map<uint32_t, TimeMs>::iterator at) {
    auto [begin, end] = by_due_.equal_range(at->second);
    for (auto found = begin; found != end; ++found) {
      if (found->second != at->first) continue;
      by_due_.erase(found);
      break;
    }
    due_of_.erase(at);
  }

  void CheckNextWake() {
    if (wheel_.size() == 0) {
      EXPECT_EQ(wheel_.NextWake(), kNeverExpires);
    } else if (!by_due_.empty()) {
      EXPECT_LE(wheel_.NextWake(), std::max(now_ms_, by_due_.begin()->first))
          << "would sleep too long";
    }
  }

  TimingWheel wheel_;
  TimeMs now_ms_;
  TimeMs previous_wake_ms_ = 0;
  uint32_t next_id_ = 1;
  std::unordered_map<uint32_t, TimeMs> due_of_;
  std::multimap<TimeMs, uint32_t> by_due_;
  std::unordered_set<uint32_t> dropped_;
};

TimeMs RandomDelay(std::mt19937_64& random) {
  // Evenly over the orders of magnitude, from a millisecond to 34 years.
  int bits = static_cast<int>(random() % 41);
  return static_cast<TimeMs>(random() % (1ull << bits));
}

TEST(TimingWheel, FiresAtTheMillisecondOfItsDeadlineAndNotBefore) {
  for (TimeMs delay : {0, 1, 2, 255, 256, 257, 509, 510, 511, 512, 65'535, 65'536, 130'000, 131'072,
                       16'777'216, 33'554'432, 1'000'000'000}) {
    for (TimeMs start : {TimeMs{0}, TimeMs{1}, kStart, kStart + 255, kStart + 65'000}) {
      Checked wheel(start);
      wheel.File(start + delay);
      EXPECT_EQ(delay == 0 ? 0u : wheel.Advance(start + delay - 1), 0u) << delay;
      EXPECT_EQ(wheel.Advance(start + delay), 1u) << delay;
    }
  }
}

TEST(TimingWheel, ADeadlineInThePastFiresAtOnce) {
  Checked wheel(kStart);
  wheel.File(kStart - 1);
  wheel.File(0);
  wheel.File(-5);
  wheel.File(INT64_MIN);
  EXPECT_EQ(wheel.wheel().NextWake(), kStart);
  EXPECT_EQ(wheel.Advance(kStart), 4u);
}

TEST(TimingWheel, TimesBeforeTheEpochCountAsTheEpoch) {
  Checked wheel(-1000);
  wheel.File(5);
  EXPECT_EQ(wheel.Advance(-1), 0u);
  wheel.wheel().File(EntryId(77), 0, -300);
  size_t fired = 0;
  wheel.wheel().Advance(0, kNoBudget, [&](EntryId id, uint8_t) { fired += id == EntryId(77); });
  EXPECT_EQ(fired, 1u);
  EXPECT_EQ(wheel.Advance(5), 1u);
}

TEST(TimingWheel, AnEmptyWheelNeverWakes) {
  TimingWheel wheel;
  EXPECT_EQ(wheel.NextWake(), kNeverExpires);
  EXPECT_EQ(wheel.Advance(kStart, 10, [](EntryId, uint8_t) { FAIL(); }), 0u);
  EXPECT_EQ(wheel.NextWake(), kNeverExpires);
}

TEST(TimingWheel, EqualsAModelInSmallSteps) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    Checked wheel(kStart + static_cast<TimeMs>(random() % 100'000));
    for (int i = 0; i < 5000; ++i) {
      if (random() % 2 == 0) wheel.File(wheel.now_ms() + RandomDelay(random));
      wheel.Advance(wheel.now_ms() + static_cast<TimeMs>(random() % 50));
      if (HasFailure()) FAIL() << "seed " << seed << " step " << i;
    }
  }
}

TEST(TimingWheel, EqualsAModelAcrossJumpsInTime) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    Checked wheel(random() % 2 == 0 ? 0 : kStart);
    for (int i = 0; i < 5000; ++i) {
      for (uint64_t k = random() % 8; k > 0; --k) wheel.File(wheel.now_ms() + RandomDelay(random));
      wheel.Advance(wheel.now_ms() + RandomDelay(random) / 64);
      if (HasFailure()) FAIL() << "seed " << seed << " step " << i;
    }
    wheel.Advance(wheel.last_due_ms());
    EXPECT_EQ(wheel.size(), 0u);
  }
}

// Slices of any size, time standing still or passing between them, new records arriving.
TEST(TimingWheel, EqualsAModelInSlices) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    Checked wheel(kStart);
    for (int i = 0; i < 2000; ++i) {
      for (uint64_t k = random() % 30; k > 0; --k)
        wheel.File(wheel.now_ms() + RandomDelay(random) / 16);
      TimeMs step = random() % 3 == 0 ? 0 : RandomDelay(random) / 4096;
      wheel.Advance(wheel.now_ms() + step, 1 + random() % 40);
      if (HasFailure()) FAIL() << "seed " << seed << " step " << i;
    }
    TimeMs end_ms = wheel.last_due_ms();
    while (wheel.size() > 0) wheel.Advance(end_ms, 64);
  }
}

TEST(TimingWheel, SleepingFromWakeToWakeFiresEverythingInTime) {
  std::mt19937_64 random(11);
  Checked wheel(kStart);
  for (int i = 0; i < 3000; ++i) wheel.File(kStart + RandomDelay(random));
  size_t wakes = wheel.RunUntil(wheel.last_due_ms());
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_LE(wakes, 3000u * 5) << "a record costs at most a wake a level";
}

TEST(TimingWheel, FilingFromInsideOfFireIsSafe) {
  std::mt19937_64 random(12);
  Checked wheel(kStart);
  int left = 20'000;
  wheel.on_fire = [&] {
    if (left-- > 0) wheel.File(wheel.now_ms() + RandomDelay(random) / 1024 % 3000);
  };
  for (int i = 0; i < 100; ++i) wheel.File(kStart + i % 7);
  wheel.RunUntil(kStart + 100 * kDay);
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_LT(left, 0);
}

TEST(TimingWheel, ARecordThatFilesItselfAgainForNowCannotHoldTheCallerUp) {
  TimingWheel wheel;
  wheel.File(EntryId(1), 0, kStart);
  size_t fired = 0;
  EXPECT_EQ(wheel.Advance(kStart + 5, 100,
                          [&](EntryId id, uint8_t generation) {
                            ++fired;
                            wheel.File(id, generation, kStart);
                          }),
            100u);
  EXPECT_LE(fired, 100u);
  EXPECT_EQ(wheel.size(), 1u);
}

TEST(TimingWheel, EqualsAModelWhileDeadRecordsAreSwept) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    std::mt19937_64 random(seed);
    // Few buckets and many, so that chunks are full and not.
    int64_t spread = seed % 2 == 0 ? 1 : 4096;
    Checked wheel(kStart);
    for (int i = 0; i < 4000; ++i) {
      for (uint64_t k = random() % 20; k > 0; --k) {
        wheel.File(wheel.now_ms() + RandomDelay(random) % (100'000 * spread) / 64);
      }
      if (random() % 50 == 0) wheel.DropSome(random);
      if (random() % 2 == 0) wheel.Sweep(random() % 300);
      wheel.Advance(wheel.now_ms() + static_cast<TimeMs>(random() % 20), 1 + random() % 100);
      if (HasFailure()) FAIL() << "seed " << seed << " step " << i;
    }
    TimeMs end_ms = wheel.last_due_ms();
    while (wheel.size() > 0) wheel.Advance(end_ms, 64);
  }
}

TEST(TimingWheel, SweepingGivesTheMemoryOfDeadRecordsToOthers) {
  TimingWheel wheel;
  wheel.Advance(kStart, kNoBudget, [](EntryId, uint8_t) {});
  auto file = [&](uint32_t first, uint32_t count) {
    for (uint32_t id = first; id < first + count; ++id) wheel.File(EntryId(id), 0, kStart + kDay);
  };
  file(1, 100'000);
  size_t bytes = wheel.bytes();
  for (uint32_t round = 1; round < 20; ++round) {
    // One in ten of every chunk stays, until the next round.
    for (size_t swept = 0; swept < 110'000; swept += 512) {
      wheel.Sweep(512, [&](EntryId id, uint8_t) {
        return id.value() > (round - 1) * 100'000 && id.value() % 10 == 0;
      });
    }
    EXPECT_LE(wheel.size(), 10'000u);
    file(round * 100'000 + 1, 100'000);
  }
  EXPECT_LE(wheel.bytes(), bytes * 5 / 4);
}

// The sweep stands at a chunk whose predecessor has fired and that others were filed in front of.
TEST(TimingWheel, SweepingABucketThatFiresAndFillsMeanwhile) {
  TimingWheel wheel;
  wheel.Advance(kStart, kNoBudget, [](EntryId, uint8_t) {});
  uint32_t next_id = 1;
  auto file = [&](uint32_t count) {
    for (; count > 0; --count) wheel.File(EntryId(next_id++), 0, kStart);
  };
  file(165);
  wheel.Sweep(1, [](EntryId, uint8_t) { return true; });
  EXPECT_EQ(wheel.Advance(kStart, 56, [](EntryId, uint8_t) {}), 56u);
  file(100);
  EXPECT_EQ(wheel.size(), 209u);
  size_t dropped = 0;
  wheel.Sweep(1, [&](EntryId, uint8_t) { return ++dropped, false; });
  EXPECT_GT(dropped, 0u);
  size_t left = 209 - dropped;
  EXPECT_EQ(wheel.size(), left);
  EXPECT_EQ(wheel.Advance(kStart, kNoBudget, [](EntryId, uint8_t) {}), left);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimingWheel, SweepingAnEmptyWheelEnds) {
  TimingWheel wheel;
  wheel.Sweep(100, [](EntryId, uint8_t) { return ADD_FAILURE(), true; });
  wheel.File(EntryId(1), 0, kStart);
  wheel.Sweep(100, [](EntryId, uint8_t) { return false; });
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_EQ(wheel.NextWake(), kNeverExpires);
  wheel.Sweep(100, [](EntryId, uint8_t) { return ADD_FAILURE(), true; });
}

// Beyond the wheel's 69 years a record comes up early; its owner looks and files it again.
TEST(TimingWheel, VeryFarDeadlinesComeUpToBeFiledAgain) {
  for (TimeMs due : {kStart + 30'000 * kDay, kStart + 100'000 * kDay, kNeverExpires - 1}) {
    TimingWheel wheel;
    wheel.Advance(kStart, kNoBudget, [](EntryId, uint8_t) {});
    wheel.File(EntryId(5), 1, due);
    TimeMs now = kStart;
    bool fired = false;
    for (int i = 0; i < 100 && now < kStart + 200'000 * kDay; ++i) {
      ASSERT_EQ(wheel.size(), 1u);
      ASSERT_GE(wheel.NextWake(), now);
      now = wheel.NextWake();
      wheel.Advance(now, kNoBudget, [&](EntryId id, uint8_t generation) {
        EXPECT_EQ(id, EntryId(5));
        if (due <= now) {
          fired = true;
        } else {
          wheel.File(id, generation, due);
        }
      });
      if (fired) break;
    }
    EXPECT_EQ(fired, due < kStart + 200'000 * kDay) << due;
    EXPECT_TRUE(!fired || now == due);
  }
}

TEST(TimingWheel, AJumpOverManyYearsIsNoLoopOverTime) {
  Checked wheel(kStart);
  for (int i = 0; i < 1000; ++i) wheel.File(kStart + i * kDay);
  EXPECT_EQ(wheel.Advance(kStart + 20'000 * kDay), 1000u);
  wheel.File(kStart);
  EXPECT_EQ(wheel.Advance(kStart + 20'000 * kDay), 1u);
}

TEST(TimingWheel, AMillionRecordsInOneMillisecondComeInSlices) {
  constexpr uint32_t kCount = 1'000'000;
  constexpr size_t kSlice = 512;
  TimingWheel wheel;
  const TimeMs due = kStart + 40'000;
  wheel.Advance(kStart, kNoBudget, [](EntryId, uint8_t) {});
  for (uint32_t id = 1; id <= kCount; ++id) wheel.File(EntryId(id), 0, due);
  EXPECT_LE(wheel.bytes(), kCount * 10u);
  std::vector<bool> seen(kCount + 1);
  size_t fired = 0;
  auto fire = [&](EntryId id, uint8_t) {
    ASSERT_FALSE(seen[id.value()]);
    seen[id.value()] = true;
    ++fired;
  };
  // Spreading the coarse bucket takes its time before the deadline, not at it.
  TimeMs now = kStart;
  while (wheel.NextWake() < due) {
    now = std::max(now, wheel.NextWake());
    size_t handled = wheel.Advance(now, kSlice, fire);
    ASSERT_LE(handled, kSlice);
    ASSERT_GT(handled, 0u);
    ASSERT_EQ(fired, 0u);
  }
  EXPECT_EQ(wheel.NextWake(), due);
  size_t slices = 0;
  while (wheel.size() > 0) {
    ASSERT_EQ(wheel.Advance(due, kSlice, fire), std::min(kSlice, kCount - slices * kSlice));
    ++slices;
  }
  EXPECT_EQ(fired, kCount);
  size_t bytes = wheel.bytes();
  for (uint32_t id = 1; id <= kCount; ++id) wheel.File(EntryId(id), 0, due + 1000);
  EXPECT_EQ(wheel.bytes(), bytes) << "the memory of a burst serves the next one";
}

TEST(TimingWheel, TimesBefore1970ComeInOrderAsOthersDo) {
  TimingWheel wheel;
  std::vector<TimeMs> dues = {-3'000'000'000'000, -1'000'000, -999'999, -1, 0, 1,
                              1'700'000'000'000};
  for (size_t i = 0; i < dues.size(); ++i)
    wheel.File(EntryId(static_cast<uint32_t>(i + 1)), 0, dues[i]);
  for (size_t i = 0; i < dues.size(); ++i) {
    std::vector<uint32_t> fired;
    // A record that lies beyond the wheel's reach may come up early: its owner files it again.
    auto fire = [&](EntryId id, uint8_t generation) {
      const TimeMs due = dues[id.value() - 1];
      if (due > dues[i]) {
        wheel.File(id, generation, due);
      } else {
        fired.push_back(id.value());
      }
    };
    for (int calls = 0; calls < 1000 && fired.empty(); ++calls) wheel.Advance(dues[i], 1000, fire);
    ASSERT_EQ(fired, std::vector<uint32_t>{static_cast<uint32_t>(i + 1)});
  }
}

TEST(TimingWheel, AnEmptyWheelFollowsTheClock) {
  TimingWheel wheel;
  wheel.SkipTo(1'700'000'000'000);
  wheel.File(EntryId(1), 0, 1'700'000'000'010);
  EXPECT_EQ(wheel.NextWake(), 1'700'000'000'010);
}

}  // namespace
}  // namespace bettong::grid
