#include "tests/sim/sim_client.h"

#include <absl/strings/str_cat.h>

#include "base/number_text.h"
#include "grid/command.h"
#include "grid/shard_testing_commands.h"

namespace bettong::sim {
namespace {

constexpr uint32_t kClientWho = 45;
// Ticket sequences: a write of register i, a read of it, anything else.
constexpr uint64_t kWrite = 1000, kRead = 2000, kNoise = 3000;

std::string Many(uint64_t from) {
  std::string line = "HSET many";
  for (uint64_t field = from; field < from + 50; ++field)
    absl::StrAppend(&line, " f", field, " ", from);
  return line;
}

}  // namespace

SimClient::SimClient(Scheduler& scheduler, SimNode& node, bool durable)
    : scheduler_(scheduler), node_(node), durable_(durable), left_(scheduler.Between(20, 120)) {}

bool SimClient::idle() const {
  if (left_ > 0 || reads_left_ > 0) return false;
  for (const Register& each : registers_) {
    if (each.asked) return false;
  }
  return true;
}

void SimClient::OnUp() {
  alive_ = std::make_shared<bool>(true);
  connection_ = node_.loop(0).AddReplySink(this);
  ReadBack();
  scheduler_.After(scheduler_.Below(10'000), kClientWho, alive_, [this] { Step(); });
}

void SimClient::OnDown() {
  alive_.reset();
  reads_left_ = 0;
  for (Register& each : registers_) each.asked = false;
}

void SimClient::ReadBack() {
  for (size_t i = 0; i < kRegisters; ++i) {
    ++reads_left_;
    Ask(absl::StrCat("GET reg", i), kRead + i);
  }
}

void SimClient::Step() {
  if (left_ == 0) return;
  --left_;
  const size_t i = scheduler_.Below(kRegisters);
  Register& each = registers_[i];
  if (scheduler_.OneIn(2) && !each.asked) {
    each.asked = true;
    ++each.sent;
    Ask(absl::StrCat("SET reg", i, " ", each.sent), kWrite + i);
  } else {
    const uint64_t n = scheduler_.Below(6);
    const std::string at = std::to_string(scheduler_.NowMs() + 50 + TimeMs(scheduler_.Below(300)));
    const std::string lines[] = {
        absl::StrCat("HSET h", n, " f", scheduler_.Below(9), " ", noise_),
        absl::StrCat("HDEL h", n, " f", scheduler_.Below(9)),
        absl::StrCat("APPEND str", n, " x", noise_),
        absl::StrCat("DEL str", n),
        absl::StrCat("SET soon", n, " v ", at),
        absl::StrCat("EXPIREAT h", n, " ", at),
        absl::StrCat("INCR count", n),
        // Of more fields than are packed.
        Many(scheduler_.Below(200)),
        absl::StrCat("HDEL many f", scheduler_.Below(250)),
    };
    ++noise_;
    Ask(lines[scheduler_.Below(std::size(lines))], kNoise + noise_);
  }
  scheduler_.After(scheduler_.Below(20'000), kClientWho, alive_, [this] { Step(); });
}

void SimClient::Ask(const std::string& line, uint64_t sequence) {
  grid::ShardLoop& first = node_.loop(0);
  grid::TestCommandLine command(line, first.catalog(), first.slot_map());
  command.message.ticket = grid::Ticket{connection_, sequence, first.id()};
  first.SendCommands(first.slot_map().ShardOf(command.message.key.slot), {&command.message, 1});
}

void SimClient::Reply(const grid::Ticket& ticket, std::string_view bytes) {
  const uint64_t sequence = ticket.sequence;
  if (sequence >= kNoise) return;
  const size_t i = sequence % 1000;
  Register& each = registers_[i];
  if (sequence >= kRead) {
    --reads_left_;
    const uint64_t value = bytes == "nil" ? 0 : static_cast<uint64_t>(ParseInt(bytes).value_or(-1));
    if ((durable_ && value < each.replied) || value > each.sent) {
      complaint_ = absl::StrCat("reg", i, " is ", std::string(bytes),
                                "; replied to: ", each.replied, ", sent: ", each.sent);
    }
    return;
  }
  each.asked = false;
  if (bytes == "OK") {
    each.replied = each.sent;
  } else if (bytes.find("MISCONF") == std::string_view::npos) {
    complaint_ = absl::StrCat("SET reg", i, " answered ", std::string(bytes));
  }
}

}  // namespace bettong::sim
