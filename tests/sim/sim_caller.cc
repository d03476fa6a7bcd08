#include "tests/sim/sim_caller.h"

#include <absl/strings/str_cat.h>

#include "base/bytes.h"
#include "base/number_text.h"
#include "base/simulation.h"
#include "grid/shard_testing_commands.h"

namespace bettong::sim {
namespace {

constexpr uint32_t kCallerWho = 46;
// Ticket sequences: a call of counter i, an entry for it.
constexpr uint64_t kCall = 1000, kFeed = 2000;

void Send(grid::ShardLoop& first, ConnectionId connection, grid::TestCommandLine& command,
          uint64_t sequence) {
  command.message.ticket = grid::Ticket{connection, sequence, first.id()};
  first.SendCommands(first.slot_map().ShardOf(command.message.key.slot), {&command.message, 1});
}

}  // namespace

SimCaller::SimCaller(Scheduler& scheduler, SimNode& node, Expected& expected, bool sync)
    : scheduler_(scheduler),
      node_(node),
      expected_(expected),
      sync_(sync),
      left_(scheduler.Between(10, 80)) {
  for (size_t i = 0; i < kCounters; ++i) {
    counters_[i].key = absl::StrCat("c", i);
    expected_.counters[counters_[i].key];
  }
}

bool SimCaller::idle() const {
  if (left_ > 0) return false;
  for (const Counter& each : counters_) {
    if (each.asked) return false;
  }
  return true;
}

void SimCaller::OnUp() {
  alive_ = std::make_shared<bool>(true);
  connection_ = node_.loop(0).AddReplySink(this);
  scheduler_.After(scheduler_.Below(10'000), kCallerWho, alive_, [this] { Step(); });
}

void SimCaller::OnDown() {
  alive_.reset();
  for (Counter& each : counters_) {
    if (each.asked) BETTONG_SOMETIMES(crash_with_a_request_unanswered);
    each.asked = false;
    each.last_reply = 0;
  }
}

void SimCaller::Step() {
  if (left_ == 0) return;
  const size_t i = scheduler_.Below(kCounters);
  if (!counters_[i].asked) {
    --left_;
    counters_[i].asked = true;
    scheduler_.OneIn(2) ? Call(i) : Feed(i);
  }
  scheduler_.After(scheduler_.Below(8'000), kCallerWho, alive_, [this] { Step(); });
}

void SimCaller::Call(size_t i) {
  Counter& counter = counters_[i];
  counter.fails = scheduler_.OneIn(8);
  if (!counter.fails) ++expected_.counters[counter.key].calls;
  grid::ShardLoop& first = node_.loop(0);
  grid::TestCommandLine command(
      absl::StrCat("CALL counter:", counter.key, counter.fails ? " add fail" : " add"),
      first.catalog(), first.slot_map());
  Send(first, connection_, command, kCall + i);
}

void SimCaller::Feed(size_t i) {
  std::vector<bool>& fed = expected_.counters[counters_[i].key].fed;
  std::string fields;
  ByteWriter out(fields);
  out.Varint(2);
  out.Bytes("key"), out.Bytes(counters_[i].key);
  out.Bytes("n"), out.Bytes(std::to_string(fed.size()));
  fed.push_back(false);
  grid::ShardLoop& first = node_.loop(0);
  grid::TestCommandLine command(absl::StrCat("XADD feed 1 ", ++entries_, " payload"),
                                first.catalog(), first.slot_map());
  command.args[4] = fields;
  command.message.args = command.args;
  Send(first, connection_, command, kFeed + i);
}

void SimCaller::Reply(const grid::Ticket& ticket, std::string_view bytes) {
  const size_t i = ticket.sequence % 1000;
  counters_[i].asked = false;
  ticket.sequence >= kFeed ? OnFed(i, bytes) : OnCalled(i, bytes);
}

void SimCaller::OnCalled(size_t i, std::string_view bytes) {
  Counter& counter = counters_[i];
  Expected::Counter& expected = expected_.counters[counter.key];
  const bool refused = bytes.find("MISCONF") != std::string_view::npos;
  if (refused || (counter.fails && bytes == "-ERR it fails")) {
    if (!counter.fails) --expected.calls;
    return;
  }
  const int64_t value = ParseInt(bytes).value_or(-1);
  const bool next = counter.last_reply == 0 || value == counter.last_reply + 1;
  if (counter.fails || !next || value > expected.calls || value <= expected.durable_calls) {
    return Complain(i, "CALL", bytes);
  }
  counter.last_reply = value;
  if (sync_) expected.durable_calls = value;
}

void SimCaller::OnFed(size_t i, std::string_view bytes) {
  std::vector<bool>& fed = expected_.counters[counters_[i].key].fed;
  if (bytes == "OK") {
    const grid::StreamSchema* feed = node_.loop(0).catalog().FindStream("feed");
    fed.back() = sync_ || feed->adds_are_durable;
  } else if (bytes.find("MISCONF") == std::string_view::npos) {
    Complain(i, "XADD", bytes);
  }
}

void SimCaller::Complain(size_t i, std::string_view what, std::string_view bytes) {
  const Expected::Counter& expected = expected_.counters[counters_[i].key];
  complaint_ = absl::StrCat(std::string(what), " of counter ", counters_[i].key, " answered ",
                            std::string(bytes), " after ", counters_[i].last_reply, "; ",
                            expected.calls, " made, ", expected.durable_calls, " durable");
}

}  // namespace bettong::sim
