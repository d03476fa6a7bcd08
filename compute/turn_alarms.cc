// TurnRunner: what is due without a message for it. Timers and windows that close are looked after
// before each turn of their entity, by the time of that turn, so that what a turn finds does not
// depend on how soon the shard's alarm has rung; the alarm is for entities that have no other turn.
#include <xxhash.h>

#include "base/simulation.h"
#include "compute/result_sink.h"
#include "compute/turn_runner.h"
#include "grid/change.h"

namespace bettong::compute {

using grid::BeginChange;
using grid::ChangeOp;
using grid::ClassSchema;
using grid::Container;
using grid::FieldSchema;
using grid::FieldType;
using grid::Loan;
using grid::LoanResult;
using grid::RowSchema;
using grid::TurnKind;
using grid::WorkingRow;

namespace {

// What is due comes up again after a crash.
uint64_t NameOfDue(const WorkingRow& row, std::string_view what, TimeMs due_ms) {
  const uint64_t seed = XXH3_64bits_withSeed(&due_ms, sizeof(due_ms), 2);
  const uint64_t name = XXH3_64bits_withSeed(what.data(), what.size(), seed);
  return XXH3_64bits_withSeed(row.redis_key.data(), row.redis_key.size(), name) >> 1 | 1;
}

}  // namespace

TimeMs TurnRunner::ClockOf(const Loan& loan, const ClassSchema& entity_class,
                           const FieldSchema& field) const {
  if (!grid::GoesByWatermark(entity_class, field)) {
    return loan.now_ms + (BETTONG_PLANTED(timer_rings_early) ? 2 : 0);
  }
  return BETTONG_PLANTED(windows_close_behind_the_turn) ? loan.watermark_ms : loan.reached_ms;
}

// The field that is due first, and when; null: none is.
const FieldSchema* TurnRunner::NextDue(const Loan& loan, TimeMs* due_ms) const {
  const ClassSchema& entity_class = catalog_->classes[loan.row->entity_class.value()];
  const FieldSchema* first = nullptr;
  for (const uint32_t index : entity_class.row.timed()) {
    const FieldSchema& field = entity_class.row.fields[index];
    const TimeMs at_ms = RowSchema::ContainerAt(loan.row->row.get(), field)->NextDue();
    if (at_ms > ClockOf(loan, entity_class, field)) continue;
    // It came due while the node was down: events from then may be under way.
    const bool spared = !grid::GoesByWatermark(entity_class, field) && at_ms <= loan.spared_ms;
    if (spared || (first != nullptr && at_ms >= *due_ms)) continue;
    first = &field;
    *due_ms = at_ms;
  }
  return first;
}

void TurnRunner::RunDue(const Loan& loan, ResultSink& sink, LoanResult& result) {
  const WorkingRow& row = *loan.row;
  const ClassSchema& entity_class = catalog_->classes[row.entity_class.value()];
  while (row.exists) {
    TimeMs due_ms = kNeverExpires;
    const FieldSchema* field = NextDue(loan, &due_ms);
    if (field == nullptr) return;
    const bool one_clock =
        field->type == FieldType::kTimers || entity_class.clock == grid::TtlClock::kEvent;
    if (one_clock && row.deadline_ms < due_ms && Due(loan)) return;
    if (field->type == FieldType::kTimers) {
      RunTimer(loan, *field, sink, result);
    } else {
      CloseWindow(loan, *field, sink, result);
    }
  }
}

void TurnRunner::RunTimer(const Loan& loan, const FieldSchema& field, ResultSink& sink,
                          LoanResult& result) {
  WorkingRow& row = *loan.row;
  auto* timers = static_cast<grid::Timers*>(RowSchema::ContainerAt(row.row.get(), field));
  const grid::Timer timer = timers->Take(container_turn_);
  AddOperations(row, field, container_turn_, result);
  TurnCall call;
  call.kind = TurnKind::kTimer;
  call.timer = &timer;
  call.timers = TimersFor(loan, timer.due_ms);
  const uint64_t name =
      in_hand_ == nullptr ? kNoTurnName : NameOfDue(row, timer.name, timer.due_ms);
  if (RunOwn(loan, call, name, timer.method, sink, result)) Settle(loan, call, result);
}

void TurnRunner::CloseWindow(const Loan& loan, const FieldSchema& field, ResultSink& sink,
                             LoanResult& result) {
  WorkingRow& row = *loan.row;
  const ClassSchema& entity_class = catalog_->classes[row.entity_class.value()];
  auto* window = static_cast<grid::Window*>(RowSchema::ContainerAt(row.row.get(), field));
  if (loan.kind == TurnKind::kDue) BETTONG_SOMETIMES(window_closes_without_an_event);
  const grid::WindowView closed = entity_class.has_on_close ? window->Due() : grid::WindowView{};
  window->CloseDue(container_turn_);
  AddOperations(row, field, container_turn_, result);
  if (!entity_class.has_on_close) return;
  TurnCall call;
  call.kind = TurnKind::kClose;
  call.index = static_cast<uint16_t>(&field - entity_class.row.fields.data());
  call.closed = &closed;
  call.timers = TimersFor(loan, closed.end_ms);
  const uint64_t name =
      in_hand_ == nullptr ? kNoTurnName : NameOfDue(row, field.name, closed.end_ms);
  if (RunOwn(loan, call, name, "on_close", sink, result)) Settle(loan, call, result);
}

// Before the entity ends: what is open will never be whole.
void TurnRunner::CloseAll(const Loan& loan, ResultSink& sink, LoanResult& result) {
  const WorkingRow& row = *loan.row;
  const RowSchema& schema = catalog_->classes[row.entity_class.value()].row;
  for (const uint32_t index : schema.timed()) {
    const FieldSchema& field = schema.fields[index];
    if (field.type != FieldType::kWindow) continue;
    while (row.exists && RowSchema::ContainerAt(row.row.get(), field)->NextDue() != kNeverExpires) {
      BETTONG_SOMETIMES(window_closes_with_its_entity);
      CloseWindow(loan, field, sink, result);
    }
  }
}

bool TurnRunner::RunOwn(const Loan& loan, TurnCall& call, uint64_t name, std::string_view method,
                        ResultSink& sink, LoanResult& result) {
  const ResultSink::Mark mark = sink.Begin();
  Prepare(call, loan, sink);
  if (RunTurn(name, call, [&] { return host_->Run(call); }) != TurnStatus::kOk) {
    sink.RollBack(mark);
    TakeTimersBack();
    Fail(loan, catalog_->classes[loan.entity_class.value()].on_error, method, call, sink, result);
    return false;
  }
  result.container_bytes += call.container_bytes;
  return true;
}

void TurnRunner::Settle(const Loan& loan, const TurnCall& call, LoanResult& result) {
  if (call.requests.remove) {
    TakeTimersBack();
    BeginChange(changes_, ChangeOp::kDelete);
    return DestroyRow(*loan.row);
  }
  AddDelta(delta_);
  SettleTimers(*loan.row, /*created=*/false, result);
  RefreshDeadline(loan, nullptr, call.requests, call.requests.touch, /*created=*/false);
}

// A delta of its own: what the runner has done to one container.
void TurnRunner::AddOperations(const WorkingRow& row, const FieldSchema& field,
                               grid::ContainerTurn& changes, LoanResult& result) {
  Container* container = RowSchema::ContainerAt(row.row.get(), field);
  if (!changes.operations.empty()) {
    const RowSchema& schema = catalog_->classes[row.entity_class.value()].row;
    std::string delta;
    ByteWriter out(delta);
    out.Varint(1);
    RowSchema::WriteOperations(static_cast<size_t>(&field - schema.fields.data()),
                               changes.operations, out);
    BeginChange(changes_, ChangeOp::kEntityDelta).Bytes(delta);
  }
  container->Commit(changes);
  result.container_bytes += container->SettleBytes();
}

// `from_ms`: the time of what the turn is about, if it has one.
TurnTimers* TurnRunner::TimersFor(const Loan& loan, TimeMs from_ms) {
  const ClassSchema& entity_class = catalog_->classes[loan.row->entity_class.value()];
  const FieldSchema* field = entity_class.row.timers();
  timers_.all = nullptr;
  if (field == nullptr) return nullptr;
  const TimeMs clock_ms = ClockOf(loan, entity_class, *field);
  const bool by_event = entity_class.clock == grid::TtlClock::kEvent;
  timers_.all = static_cast<grid::Timers*>(RowSchema::ContainerAt(loan.row->row.get(), *field));
  timers_.from_ms = by_event && from_ms != kNoTime ? from_ms : clock_ms;
  timers_.earliest_ms = clock_ms == kNoTime ? kNoTime : clock_ms + 1;
  return &timers_;
}

void TurnRunner::SettleTimers(const WorkingRow& row, bool created, LoanResult& result) {
  if (timers_.all == nullptr || !timers_.changes.changed()) return;
  if (created) timers_.changes.operations.clear();  // they are in the image
  const RowSchema& schema = catalog_->classes[row.entity_class.value()].row;
  AddOperations(row, *schema.timers(), timers_.changes, result);
}

void TurnRunner::TakeTimersBack() {
  if (timers_.all == nullptr) return;
  if (BETTONG_PLANTED(failed_turn_keeps_its_timers)) return timers_.changes.Clear();
  timers_.all->RollBack(timers_.changes);
}

// Asks for alarms where the earliest time has become earlier, or the last alarm has been.
void TurnRunner::TellAlarms(const Loan& loan, grid::LoanResults& results, LoanResult& result) {
  const ClassSchema& entity_class = catalog_->classes[loan.row->entity_class.value()];
  result.alarms_begin = static_cast<uint32_t>(results.alarms.size());
  for (const uint32_t index : entity_class.row.timed()) {
    const FieldSchema& field = entity_class.row.fields[index];
    if (!grid::HasAlarm(entity_class, field)) continue;
    Container* container = RowSchema::ContainerAt(loan.row->row.get(), field);
    Container::Alarm& alarm = container->alarm;
    const bool rang = loan.kind == TurnKind::kDue && loan.alarm == alarm.generation;
    if (rang || alarm.at_ms <= ClockOf(loan, entity_class, field)) alarm.at_ms = kNeverExpires;
    const TimeMs due_ms = container->NextDue();
    if (due_ms >= alarm.at_ms) continue;
    alarm = {.at_ms = due_ms, .generation = ++alarm_generation_};
    results.alarms.push_back({grid::GoesByWatermark(entity_class, field), alarm});
  }
  result.alarms_end = static_cast<uint32_t>(results.alarms.size());
}

}  // namespace bettong::compute
