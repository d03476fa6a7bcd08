// Damage to logs that a real node core wrote: recovery refuses, or brings back exactly what was
// acknowledged; never anything else, and never a crash.
//
//   build/release/test/tests_log_damage_test --count 100000 --seed 7
#include <absl/strings/match.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "compute/scripted_host_testing.h"
#include "tests/log_damage/damage_testing.h"

namespace bettong {
namespace {

uint64_t count_given = 300;
uint64_t seed_given = 1;

constexpr uint64_t kDamagesPerOriginal = 100;
// A recovery takes a few milliseconds; one that takes so long hangs, and SIGALRM ends the test.
constexpr unsigned kHangSeconds = 60;

struct Counts {
  uint64_t refused = 0, whole = 0, unpromised = 0, undetectable = 0;
  uint64_t originals = 0, epochs = 0, trimmed = 0, unpromised_originals = 0;
};

// A refusal has changed nothing, and says what to look at.
void CheckRefusal(const absl::Status& status, SimulatedDisk::Image damaged,
                  SimulatedDisk::Image after) {
  const std::string message(status.message());
  EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsNotFound(status)) << status.ToString();
  EXPECT_TRUE(absl::StrContains(message, LoggedNode::kPath) ||
              absl::StrContains(message, "partition "))
      << message;
  const std::string lock = std::string(LoggedNode::kPath) + "/LOCK";
  damaged.erase(lock);
  after.erase(lock);
  EXPECT_TRUE(damaged == after) << "the refusal changed the files: " << message;
}

void DamageOnce(compute::ScriptedHost& host, Original& original, std::mt19937_64& random,
                Counts& counts) {
  SimulatedDisk::Image damaged = original.image();
  const std::string what = Damage(original, random, damaged);
  SCOPED_TRACE(what);
  SimulatedDisk::Image after;
  ::alarm(kHangSeconds);
  const auto found = RecoverImage(host, damaged, original.shards_next(), &after);
  ::alarm(0);
  if (!found.ok()) {
    ++counts.refused;
    CheckRefusal(found.status(), std::move(damaged), std::move(after));
    return;
  }
  switch (original.Judge(found->state, damaged)) {
    case Original::Verdict::kWhole:
      ++counts.whole;
      break;
    case Original::Verdict::kUnpromised:
      ++counts.unpromised;
      break;
    case Original::Verdict::kUndetectable:
      ++counts.undetectable;
      std::printf("beyond detection: %s\n", what.c_str());
      break;
    case Original::Verdict::kWrong: {
      const NodeState& whole = original.whole();
      ADD_FAILURE() << "a state that the log never had: values "
                    << (found->state.values == whole.values ? "whole" : "differ") << ", ledger "
                    << (found->state.ledger == whole.ledger ? "whole" : "differs") << ", outbox "
                    << (found->state.outbox == whole.outbox ? "whole" : "differs")
                    << ", watermarks "
                    << (found->state.watermarks == whole.watermarks ? "whole" : "differ");
      for (const std::string& note : found->notes) ADD_FAILURE() << "note: " << note;
      return;
    }
  }
  // What it made of the damaged log is a good log.
  const auto again = RecoverImage(host, after, 1 + static_cast<uint32_t>(random() % 3));
  ASSERT_TRUE(again.ok()) << "recovered, but not a second time: " << again.status().ToString();
  EXPECT_TRUE(again->state == found->state) << "the second recovery differs from the first";
}

TEST(LogDamage, IsDetectedOrHarmless) {
  compute::ScriptedHost host;
  Counts counts;
  std::unique_ptr<Original> original;
  for (uint64_t i = 0; i < count_given; ++i) {
    const uint64_t seed = seed_given * 1'000'003 + i / kDamagesPerOriginal;
    SCOPED_TRACE(testing::Message() << "original " << seed << ", damage " << i % kDamagesPerOriginal
                                    << " (--seed " << seed_given << ", number " << i << ")");
    if (i % kDamagesPerOriginal == 0) {
      original = std::make_unique<Original>(host, seed);
      ASSERT_EQ(original->fault(), "");
      ++counts.originals;
      counts.epochs += original->epochs();
      counts.trimmed += original->trimmed() ? 1 : 0;
      for (const LastRun& run : original->last_runs()) {
        if (run.records.empty() || run.records.back().lsn <= run.durable) continue;
        ++counts.unpromised_originals;
        break;
      }
    }
    std::mt19937_64 random(seed * kDamagesPerOriginal + i % kDamagesPerOriginal);
    DamageOnce(host, *original, random, counts);
    if (HasFatalFailure()) return;
    if ((i + 1) % 10'000 == 0) {
      std::printf("%llu done\n", static_cast<unsigned long long>(i + 1));
      std::fflush(stdout);
    }
  }
  const auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "%llu damages to %llu logs (%llu epochs in them, %llu trimmed, %llu with records that nobody "
      "was promised), seed %llu:\n"
      "%llu refused, %llu harmless, %llu lost only what nobody was promised, %llu beyond "
      "detection\n",
      number(count_given), number(counts.originals), number(counts.epochs), number(counts.trimmed),
      number(counts.unpromised_originals), number(seed_given), number(counts.refused),
      number(counts.whole), number(counts.unpromised), number(counts.undetectable));
  EXPECT_GT(counts.refused, count_given / 5);
  EXPECT_GT(counts.whole, count_given / 20);
}

bool ParseNumber(std::string_view text, uint64_t& number) {
  return std::from_chars(text.data(), text.data() + text.size(), number).ptr ==
         text.data() + text.size();
}

bool ParseArguments(int argc, char** argv) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    uint64_t* number = name == "--count" ? &count_given : name == "--seed" ? &seed_given : nullptr;
    if (number == nullptr || i + 1 == argc || !ParseNumber(argv[i + 1], *number)) return false;
  }
  return true;
}

}  // namespace
}  // namespace bettong

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!bettong::ParseArguments(argc, argv)) {
    std::fprintf(stderr, "usage: tests_log_damage_test [--count N] [--seed S]\n");
    return 2;
  }
  return RUN_ALL_TESTS();
}
