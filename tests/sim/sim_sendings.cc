#include "tests/sim/sim_sendings.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace bettong::sim {
namespace {

std::vector<std::string> DrawWork(Scheduler& scheduler, size_t sender, Expected& expected) {
  std::vector<std::string> events;
  const uint64_t count = scheduler.Between(20, 120);
  // A key's events come from one sender, so that they have an order.
  const auto key = [&] { return absl::StrCat("a", sender, scheduler.Below(6)); };
  for (uint64_t i = 0; i < count; ++i) {
    if (scheduler.OneIn(15)) {
      events.push_back(expected.Failing(key()));
    } else if (scheduler.OneIn(20)) {
      events.push_back(expected.Garbage(sender * 1000 + i));
    } else {
      const std::string to = absl::StrCat("a", scheduler.Below(2), scheduler.Below(6));
      events.push_back(expected.Work(key(), to, static_cast<int64_t>(scheduler.Below(100))));
    }
  }
  return events;
}

std::vector<std::string> DrawTicks(Scheduler& scheduler, Expected& expected) {
  std::vector<std::string> ticks;
  for (uint64_t i = scheduler.Between(10, 80); i > 0; --i) {
    ticks.push_back(expected.Tick(absl::StrCat("s", scheduler.Below(5))));
  }
  return ticks;
}

std::vector<std::string> DrawVisits(Scheduler& scheduler, Expected& expected) {
  std::vector<std::string> visits;
  int64_t at_ms = 1'000'000;
  for (uint64_t i = scheduler.Between(10, 80); i > 0; --i) {
    at_ms += static_cast<int64_t>(scheduler.Below(scheduler.OneIn(15) ? 1'500 : 120));
    visits.push_back(expected.Visit(absl::StrCat("v", scheduler.Below(6)), at_ms));
  }
  visits.push_back(expected.Visit(kLastVisit, at_ms + 1'000'000));
  return visits;
}

}  // namespace

AppOptions DrawApp(Scheduler& scheduler) {
  AppOptions app;
  app.adds_are_durable = scheduler.OneIn(2);
  if (scheduler.OneIn(2)) app.batch_max = static_cast<uint32_t>(scheduler.Between(2, 8));
  if (scheduler.OneIn(2)) app.lateness_ms = app.gauges.lateness_ms = 150;
  app.gauges.late_letters = scheduler.OneIn(2);
  return app;
}

std::vector<Sending> DrawSendings(Scheduler& scheduler, const AppOptions& app, Expected& expected) {
  std::vector<Sending> sendings;
  const auto add = [&](SourceNumber source, std::string sender, std::vector<std::string> events) {
    sendings.push_back({source, std::move(sender), std::move(events)});
  };
  for (size_t i = 0; i < 2; ++i) {
    add(kWorkSource, absl::StrCat("sender-", i), DrawWork(scheduler, i, expected));
  }
  add(kTicksSource, "ticker", DrawTicks(scheduler, expected));
  add(kVisitsSource, "visitor", DrawVisits(scheduler, expected));
  // Of the other parts, some take part.
  Letters& letters = expected.letters;
  if (scheduler.OneIn(3)) {
    for (size_t i = 0; i < 2; ++i) {
      add(kTalkSource, absl::StrCat("talker-", i),
          expected.peers.MakeEvents(scheduler, i, letters));
    }
  }
  if (scheduler.OneIn(3)) {
    add(kSamplesSource, "sampler", expected.meters.MakeEvents(scheduler, app.lateness_ms, letters));
  }
  if (scheduler.OneIn(3)) {
    add(kReadingsSource, "reader", expected.gauges.MakeEvents(scheduler, app.gauges));
  }
  if (scheduler.OneIn(3)) {
    add(kPlansSource, "planner", expected.reminders.MakeEvents(scheduler, letters));
  }
  if (scheduler.OneIn(3)) {
    add(kDatesSource, "dater", expected.dates.MakeEvents(scheduler, letters));
  }
  return sendings;
}

}  // namespace bettong::sim
