#include "compute/turn_runner.h"

#include <xxhash.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/prefetch.h"
#include "base/simulation.h"
#include "compute/result_sink.h"
#include "grid/change.h"
#include "grid/entity_message.h"
#include "grid/event.h"
#include "grid/tagged.h"

namespace bettong::compute {

using grid::BeginChange;
using grid::ChangeOp;
using grid::ClassSchema;
using grid::Loan;
using grid::LoanResult;
using grid::LoanResults;
using grid::TurnKind;
using grid::WorkingRow;

namespace {

// Of a container, fetched ahead of its turn.
constexpr size_t kContainerAheadBytes = 192;

// A TTL that is over after the end of time never ends.
TimeMs DeadlineAfter(TimeMs last, int64_t ttl_ms) {
  TimeMs deadline_ms;
  if (!__builtin_add_overflow(last, ttl_ms, &deadline_ms) && deadline_ms != kNoTime)
    return deadline_ms;
  return ttl_ms > 0 ? kNeverExpires : kNoTime + 1;
}

// What an event, message or call runs.
std::string_view MethodOf(const Loan& loan, const ClassSchema& entity_class) {
  if (loan.kind == TurnKind::kEvent) return entity_class.handlers[loan.index].method;
  if (loan.kind == TurnKind::kCall) return entity_class.commands[loan.index].name;
  return grid::MessageText(*loan.event, grid::MessageField::kMethod);
}

}  // namespace

TurnRunner::TurnRunner(std::shared_ptr<const grid::Catalog> catalog, std::unique_ptr<TurnHost> host,
                       TurnRunnerOptions options)
    : catalog_(std::move(catalog)),
      host_(std::move(host)),
      options_(options),
      in_hand_(options.in_hand),
      slow_ns_(options.slow_ms > 0 ? options.slow_ms * 1'000'000 : INT64_MAX),
      own_counters_(options.counters == nullptr ? std::make_unique<TurnCounters>() : nullptr),
      counters_(options.counters == nullptr ? own_counters_.get() : options.counters),
      groups_(*catalog_) {
  container_turn_.logged = options_.logged;
}

void TurnRunner::Switch(std::shared_ptr<const grid::Catalog> catalog) {
  host_->Switch();
  catalog_ = std::move(catalog);
  groups_ = LoanGroups(*catalog_);
  handler_counters_.clear();
  function_counters_.clear();
}

size_t TurnRunner::RunBatch(std::span<const Loan> loans, LoanResults& results) {
  auto end = std::chrono::steady_clock::now() + kTurnSlice;
  host_->Enter();
  const int64_t ticks = ticks_ = CoarseTicks();
  size_t ran = 0;
  if (groups_.any()) groups_.Look(loans);
  // Loans, rows and events were last touched by other cores: fetch them ahead.
  constexpr size_t kAhead = 4;
  // What has run with an earlier one is the shard's again.
  const auto lent = [&](size_t at) {
    return at < loans.size() && loans[at].row != nullptr && !(groups_.any() && groups_.HasRun(at));
  };
  while (ran < loans.size()) {
    if (groups_.any() && groups_.HasRun(ran)) {
      ++ran;
      continue;
    }
    if (ran + 4 * kAhead < loans.size()) PrefetchObject(&loans[ran + 4 * kAhead]);
    if (ran + 2 * kAhead < loans.size()) {
      const Loan& far = loans[ran + 2 * kAhead];
      PrefetchLine(far.row);
      PrefetchLine(far.event);
    }
    if (lent(ran + kAhead / 2)) {
      PrefetchContainers(*loans[ran + kAhead / 2].row);
    }
    if (lent(ran + kAhead)) {
      const WorkingRow& row = *loans[ran + kAhead].row;
      size_t bytes = catalog_->classes[row.entity_class.value()].row.row_bytes();
      for (size_t line = 0; line < std::min<size_t>(bytes, 512); line += 64) {
        PrefetchLine(row.row.get() + line);
      }
    }
    RunTogether(loans, ran++, results);
    if (results.bytes.size() >= kTurnSliceBytes) break;
    // The exact clock costs a tenth of a short turn: it is read now and then, and the coarse one,
    // which tells slow turns, after every turn (RunTurn).
    if (ran % 8 == 0 ? std::chrono::steady_clock::now() >= end : ticks_ != ticks) break;
  }
  host_->Leave();
  if (groups_.any()) groups_.LeaveOver(ran);
  return ran;
}

// The row is there by now.
void TurnRunner::PrefetchContainers(const WorkingRow& row) const {
  const grid::RowSchema& schema = catalog_->classes[row.entity_class.value()].row;
  if (!row.exists) return;
  schema.ForEachContainer([&](const grid::FieldSchema& field) {
    const auto* at =
        reinterpret_cast<const char*>(grid::RowSchema::ContainerAt(row.row.get(), field));
    for (size_t line = 0; line < kContainerAheadBytes; line += 64) PrefetchLine(at + line);
  });
}

// Changes are gathered in changes_ first, because outputs share LoanResults::bytes with them.
void TurnRunner::RunLoan(const Loan& loan, LoanResults& results) {
  LoanResult& result = results.results.emplace_back();
  result.kind = loan.kind;
  result.entry = loan.entry;
  result.token = loan.token;
  result.item = loan.item;
  result.outputs_begin = results.outputs.size();
  if (loan.row == nullptr) {
    loan.kind == TurnKind::kKeys ? RunKeys(loan, results, result)
                                 : RunFunction(loan, results, result);
  } else if (loan.row->stalled && !BETTONG_PLANTED(later_events_pass_a_retry)) {
    result.outcome = grid::LoanOutcome::kReturned;
  } else {
    ResultSink sink(results);
    changes_.clear();
    reply_.clear();
    const bool timed = catalog_->classes[loan.row->entity_class.value()].row.has_timed();
    if (timed && loan.row->exists) RunDue(loan, sink, result);
    if (loan.row->exists && Due(loan)) Expire(loan, sink, result);
    if (loan.kind == TurnKind::kCall || grid::IsEventTurn(loan.kind)) Handle(loan, sink, result);
    if (timed && loan.row->exists) TellAlarms(loan, results, result);
    result.changes_begin = results.bytes.size();
    results.bytes.append(changes_);
    result.changes_end = results.bytes.size();
    if (loan.kind == TurnKind::kCall) {
      result.reply_begin = result.changes_end;
      results.bytes.append(reply_);
      result.reply_end = results.bytes.size();
    }
  }
  result.outputs_end = results.outputs.size();
}

// A deadline that is over comes up again after a crash.
uint64_t TurnRunner::NameOfExpiry(const WorkingRow& row) const {
  const uint64_t seed = XXH3_64bits_withSeed(&row.deadline_ms, sizeof(row.deadline_ms), 1);
  return XXH3_64bits_withSeed(row.redis_key.data(), row.redis_key.size(), seed) >> 1 | 1;
}

// A call does not come again by itself, but its caller may make it again.
uint64_t TurnRunner::NameOfCall(const Loan& loan) const {
  if (in_hand_ == nullptr) return kNoTurnName;
  const std::string& command =
      catalog_->classes[loan.entity_class.value()].commands[loan.index].name;
  uint64_t name = XXH3_64bits(command.data(), command.size());
  name = XXH3_64bits_withSeed(loan.arguments.data(), loan.arguments.size(), name);
  const std::string_view key = loan.row->redis_key;
  return XXH3_64bits_withSeed(key.data(), key.size(), name) | kCallNameBit;
}

bool TurnRunner::Due(const Loan& loan) const {
  const WorkingRow& row = *loan.row;
  if (catalog_->classes[row.entity_class.value()].clock == grid::TtlClock::kWall) {
    return row.deadline_ms <= loan.now_ms && row.deadline_ms > loan.spared_ms;
  }
  // By the event's own time, and by the watermark: when that passes the deadline the entity is
  // over, whether its expiry turn has run yet or not.
  TimeMs time_ms = loan.watermark_ms;
  if (grid::IsEventTurn(loan.kind)) time_ms = std::max(time_ms, loan.event->time_ms);
  return time_ms != kNoTime && time_ms > row.deadline_ms;
}

void TurnRunner::DestroyRow(WorkingRow& row) {
  catalog_->classes[row.entity_class.value()].row.DestroyCopy(row.row.get());
  row.exists = false;
  row.deadline_ms = kNeverExpires;
  row.has_own_ttl = false;
  row.ttl_ms = catalog_->classes[row.entity_class.value()].ttl_ms.value_or(0);
}

void TurnRunner::Prepare(TurnCall& call, const Loan& loan, ResultSink& sink) {
  delta_.clear();
  call.entity_class = loan.row->entity_class;
  call.row = loan.row;
  call.now_ms = loan.now_ms;
  call.reached_ms = loan.reached_ms;
  call.outputs = &sink;
  call.delta = &delta_;
  call.logged = options_.logged;
}

void TurnRunner::Expire(const Loan& loan, ResultSink& sink, LoanResult& result) {
  WorkingRow& row = *loan.row;
  const ClassSchema& entity_class = catalog_->classes[row.entity_class.value()];
  if (entity_class.has_on_close && entity_class.row.has_timed() &&
      !BETTONG_PLANTED(windows_end_unseen_with_their_entity)) {
    CloseAll(loan, sink, result);
    if (!row.exists || !Due(loan)) return;
  }
  if (entity_class.has_on_expire) {
    TurnCall call;
    call.kind = TurnKind::kExpire;
    call.timers = TimersFor(loan, kNoTime);
    const uint64_t name = in_hand_ == nullptr ? kNoTurnName : NameOfExpiry(row);
    const bool ran = RunOwn(loan, call, name, "on_expire", sink, result);
    const bool stays = call.requests.touch || call.requests.ttl_assigned;
    if (ran && stays && !call.requests.remove) {
      AddDelta(delta_);
      SettleTimers(row, /*created=*/false, result);
      RefreshDeadline(loan, loan.event, call.requests, /*refreshes=*/true, /*created=*/false);
      if (!Due(loan)) return;  // a TTL that is over at once keeps nothing alive
    }
    TakeTimersBack();
  }
  BeginChange(changes_, ChangeOp::kEntityExpire);
  DestroyRow(row);
}

void TurnRunner::Handle(const Loan& loan, ResultSink& sink, LoanResult& result) {
  WorkingRow& row = *loan.row;
  const ClassSchema& entity_class = catalog_->classes[row.entity_class.value()];
  bool created = !row.exists;
  const std::string_view method = MethodOf(loan, entity_class);
  if (created && loan.kind == TurnKind::kCall && !entity_class.commands[loan.index].create) {
    grid::TaggedWriter(reply_).Error("ERR no such entity: '" + std::string(row.redis_key) + "' (" +
                                     entity_class.name + "." + std::string(method) +
                                     " does not create one)");
    return;
  }
  const bool limited =
      loan.kind == TurnKind::kEvent && entity_class.handlers[loan.index].limit.limits();
  if (limited && !created && !TakeToken(loan, sink, result)) return;
  const ResultSink::Mark mark = sink.Begin();
  TurnCall call;
  Prepare(call, loan, sink);
  call.event = events_.empty() ? loan.event : events_.back();
  call.events = events_;
  call.arguments = loan.arguments;
  call.reply = &reply_;
  std::vector<std::unique_ptr<grid::Container>> containers;  // of an entity that is not yet
  int64_t made_bytes = 0;
  if (created) {
    entity_class.row.InitDefaults(row.row.get(), row.entity_class);
    entity_class.row.MakeContainers(row.row.get());
    entity_class.row.GiveContainers(row.row.get(), containers);
    for (const auto& container : containers) {
      made_bytes += static_cast<int64_t>(container->settled_bytes());
    }
    row.exists = true;
    if (limited) TakeToken(loan, sink, result);  // of a full bucket
  }
  call.timers = TimersFor(loan, loan.event != nullptr ? loan.event->time_ms : kNoTime);
  const uint64_t name = loan.kind == TurnKind::kCall ? NameOfCall(loan) : loan.name;
  const TurnStatus status = RunTurn(name, call, [&] {
    if (created && entity_class.has_on_create) {
      call.kind = TurnKind::kCreate;
      delta_.clear();
      if (host_->Run(call) != TurnStatus::kOk) return TurnStatus::kRaised;
    }
    call.kind = loan.kind;
    call.index = loan.index;
    delta_.clear();
    if (loan.kind == TurnKind::kEvent) {
      if (!FeedWindows(loan, call.error)) return TurnStatus::kRaised;
      const grid::HandlerSchema& handler = entity_class.handlers[loan.index];
      if (!handler.has_code) return TurnStatus::kOk;
      if (!handler.when.empty()) {
        const grid::ConditionResult when =
            handler.when.Evaluate({entity_class.row, row.row.get(), row.key(), *loan.event});
        if (when == grid::ConditionResult::kFalse) return TurnStatus::kOk;
        if (when == grid::ConditionResult::kOverflow) {
          call.error.message = call.error.traceback = grid::DescribeOverflow(entity_class, handler);
          return TurnStatus::kRaised;
        }
      }
    }
    return host_->Run(call);
  });
  if (status != TurnStatus::kOk) {
    if (!BETTONG_PLANTED(failed_turn_sends_its_messages)) sink.RollBack(mark);
    TakeTimersBack();
    if (!BETTONG_PLANTED(failed_turn_feeds_windows)) feeds_.TakeBack();
    if (created) DestroyRow(row);
    if (limited && !created) GiveTokenBack(loan);
    if (PartFromMates()) return Handle(loan, sink, result);
    if (loan.kind == TurnKind::kCall) {
      reply_.clear();
      grid::TaggedWriter(reply_).Error("ERR " + call.error.message);
      ++result.failed_turns;
    } else {
      const bool is_event = loan.kind == TurnKind::kEvent;
      Fail(loan, is_event ? entity_class.handlers[loan.index].on_error : entity_class.on_error,
           method, call, sink, result);
    }
    return;
  }
  feed_delta_.clear();
  call.container_bytes += feeds_.Commit(feed_delta_);
  if (!created || !call.requests.remove) result.container_bytes += call.container_bytes;
  if (call.requests.remove) {
    TakeTimersBack();
    // An entity made and deleted in one turn never was.
    if (!created) BeginChange(changes_, ChangeOp::kDelete);
    DestroyRow(row);
    return;
  }
  if (!created) {
    AddDelta(feed_delta_);
    AddDelta(delta_);
    if (limited) AddToken(loan);
  }
  SettleTimers(row, created, result);
  if (created) {
    delta_.clear();
    entity_class.row.EncodeRow(row.row.get(), delta_);
    BeginChange(changes_, ChangeOp::kEntityCreate).Bytes(delta_);
    LoanResults& results = sink.results();
    result.containers_begin = static_cast<uint32_t>(results.containers.size());
    result.container_bytes += made_bytes;
    std::move(containers.begin(), containers.end(), std::back_inserter(results.containers));
    result.containers_end = static_cast<uint32_t>(results.containers.size());
  }
  bool refreshes = created || grid::IsEventTurn(loan.kind) || call.requests.touch;
  const grid::EventRecord* latest = loan.event;
  for (const grid::EventRecord* event : events_) {
    if (event->time_ms > latest->time_ms) latest = event;
  }
  RefreshDeadline(loan, latest, call.requests, refreshes, created);
}

bool TurnRunner::FeedWindows(const Loan& loan, TurnError& error) {
  if (events_.empty()) return feeds_.Feed(loan, *loan.event, *catalog_, error);
  for (const grid::EventRecord* event : events_) {
    if (!feeds_.Feed(loan, *event, *catalog_, error)) return false;
  }
  return true;
}

void TurnRunner::AddDelta(std::string_view delta) {
  if (delta.empty()) return;
  BeginChange(changes_, ChangeOp::kEntityDelta).Bytes(delta);
}

void TurnRunner::RefreshDeadline(const Loan& loan, const grid::EventRecord* event,
                                 const TurnRequests& requests, bool refreshes, bool created) {
  WorkingRow& row = *loan.row;
  const ClassSchema& entity_class = catalog_->classes[row.entity_class.value()];
  if (!refreshes && !requests.ttl_assigned) return;
  TimeMs last = loan.now_ms;
  if (entity_class.clock == grid::TtlClock::kEvent) {
    // The highest event time seen, if the deadline still tells it; what is refreshed without an
    // event, or no longer knows, goes by the watermark.
    bool known = row.deadline_ms != kNeverExpires;
    last = known ? row.deadline_ms - row.ttl_ms : kNoTime;
    if (event != nullptr) last = std::max(last, event->time_ms);
    bool forgotten = !known && !created;
    bool timeless = event == nullptr || event->time_ms == kNoTime;
    if (forgotten || (refreshes && timeless)) last = std::max(last, loan.watermark_ms);
  }
  if (requests.ttl_assigned) {
    row.has_own_ttl = true;
    row.ttl_ms = requests.ttl_ms;
    BeginChange(changes_, ChangeOp::kOwnTtl).Fixed(row.ttl_ms);
  }
  bool limited = (row.has_own_ttl || entity_class.ttl_ms) && last != kNoTime;
  TimeMs deadline_ms = limited ? DeadlineAfter(last, row.ttl_ms) : kNeverExpires;
  if (deadline_ms == row.deadline_ms) return;
  row.deadline_ms = deadline_ms;
  BeginChange(changes_, ChangeOp::kDeadline).Fixed(deadline_ms);
}

void TurnRunner::RunKeys(const Loan& loan, LoanResults& results, LoanResult& result) {
  ResultSink sink(results);
  reply_.clear();
  TurnCall call;
  call.kind = TurnKind::kKeys;
  call.index = loan.index;
  call.entity_class = loan.entity_class;
  call.event = loan.event;
  call.now_ms = loan.now_ms;
  call.outputs = &sink;
  call.reply = &reply_;
  const ResultSink::Mark mark = sink.Begin();
  if (RunTurn(loan.name, call, [&] { return host_->Run(call); }) == TurnStatus::kOk) {
    result.reply_begin = results.bytes.size();
    results.bytes.append(reply_);
    result.reply_end = results.bytes.size();
    return;
  }
  sink.RollBack(mark);
  DeadLetter(loan, "key", call, sink, result);
}

}  // namespace bettong::compute
