// Another catalog for a shard whose values live: what was derived from the one before is made anew,
// rows are converted, and the log has them as they are from then on.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "grid/catalog_succession.h"
#include "grid/origin.h"
#include "grid/row_conversion.h"
#include "grid/row_tagged.h"
#include "grid/shard_impl.h"

namespace bettong::grid {
namespace {

uint16_t SameCommand(const ClassSchema& before, uint16_t command, const ClassSchema& now) {
  if (command == kCommandGone) return command;
  for (size_t i = 0; i < now.commands.size(); ++i) {
    if (now.commands[i].name == before.commands[command].name) return static_cast<uint16_t>(i);
  }
  return kCommandGone;
}

// Why new code cannot have the event of an item that waits, or null; it has the handler's number in
// the new code then.
const char* Outlived(const Catalog& before, const Catalog& now, StreamId stream,
                     EventBatch::Item& item) {
  const ClassSchema& entity_class = now.classes[item.entity_class.value()];
  if (item.kind == TurnKind::kMessage && !entity_class.retired) return nullptr;
  if (before.streams[stream.value()].event.fields != now.streams[stream.value()].event.fields) {
    return "new code has taken over while the event waited to be tried again, and its stream has "
           "another event class now; retry the letter to have the event decoded anew";
  }
  const HandlerSchema* old_handler = nullptr;
  if (!entity_class.retired) {
    old_handler = &before.classes[item.entity_class.value()].handlers[item.handler];
  }
  for (size_t i = 0; old_handler != nullptr && i < entity_class.handlers.size(); ++i) {
    const HandlerSchema& handler = entity_class.handlers[i];
    if (handler.stream != stream || handler.method != old_handler->method) continue;
    item.handler = static_cast<uint16_t>(i);
    return nullptr;
  }
  return "new code has taken over while the event waited to be tried again, and does not have its "
         "handler";
}

}  // namespace

void Shard::Impl::DeriveFromCatalog() {
  refuses_late_ = std::any_of(
      catalog_.streams.begin(), catalog_.streams.end(),
      [](const StreamSchema& stream) { return stream.late_events == LateEvents::kDeadLetter; });
  targets_.clear();
  for (const ClassSchema& entity_class : catalog_.classes) {
    std::vector<uint64_t>& targets = targets_.emplace_back();
    for (const HandlerSchema& handler : entity_class.handlers) {
      targets.push_back(HandlerTarget(entity_class, handler));
    }
  }
  function_targets_.clear();
  for (const FunctionSchema& function : catalog_.functions) {
    function_targets_.push_back(FunctionTarget(catalog_, function));
  }
  event_wheels_.resize(catalog_.classes.size());
  for (size_t i = 0; i < catalog_.classes.size(); ++i) {
    // A class whose clock is another one now has no entities.
    if (catalog_.classes[i].clock == TtlClock::kWall) {
      event_wheels_[i].reset();
    } else if (event_wheels_[i] == nullptr) {
      event_wheels_[i] = std::make_unique<TimingWheel>();
    }
  }
  watermarks_noted_.resize(catalog_.streams.size(), kNoTime);
  entities_by_class_.resize(catalog_.classes.size());
}

std::vector<RowToMigrate> Shard::Impl::RowsToMigrate(const Catalog& next, size_t rows_max) const {
  std::vector<RowToMigrate> rows;
  std::vector<bool> migrates(catalog_.classes.size());
  for (size_t i = 0; i < migrates.size(); ++i) {
    migrates[i] = entities_by_class_[i] > 0 && grid::Migrates(catalog_.classes[i], next.classes[i]);
  }
  if (std::find(migrates.begin(), migrates.end(), true) == migrates.end()) return rows;
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (rows.size() < rows_max) {
    Entry* entry = table_.Next(position, slots);
    if (entry == nullptr) break;
    if (entry->type != ValueType::kEntity || entry->has(kPhantom)) continue;
    if (entry->has(kLent) && !LoanOf(entry).rests()) continue;
    const ClassId entity_class = table_.class_id(entry);
    if (!migrates[entity_class.value()]) continue;
    const ClassSchema& schema = catalog_.classes[entity_class.value()];
    RowToMigrate& row = rows.emplace_back();
    row.id = EntryId(position - 1);
    row.entity_class = entity_class;
    row.key = entry->key().substr(schema.prefix.size() + 1);
    AppendRowTagged(schema.row, table_.row(entry), row.fields);
  }
  return rows;
}

void Shard::Impl::SetCatalog(const Catalog& next, std::span<const MigratedRow> migrated) {
  BETTONG_CHECK(shard_.quiet());
  const Catalog before = std::exchange(catalog_, next);
  DeriveFromCatalog();
  table_.OnCatalogChanged();
  watermarks_.OnCatalogChanged();
  alarms_.OnCatalogChanged(catalog_);
  journal_.OnCatalogChanged(catalog_);
  TellResting(before);
  std::vector<std::optional<RowConversion>> conversions(before.classes.size());
  std::vector<bool> alarms(before.classes.size());
  bool any = false;
  for (size_t i = 0; i < before.classes.size(); ++i) {
    if (entities_by_class_[i] == 0) continue;
    alarms[i] = ChangesAlarms(before.classes[i], catalog_.classes[i]);
    any |= alarms[i];
    if (!ChangesRows(before.classes[i], catalog_.classes[i])) continue;
    auto conversion = RowConversion::Make(
        before.classes[i].row, catalog_.classes[i].row,
        catalog_.classes[i].has_migrate ? RowReader::Unfit::kDrop : RowReader::Unfit::kRefuse);
    BETTONG_CHECK(conversion.ok());
    conversions[i] = *std::move(conversion);
    any = true;
  }
  if (!any) return;
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (Entry* entry = table_.Next(position, slots)) {
    if (entry->type != ValueType::kEntity) continue;
    BETTONG_CHECK(!entry->has(kLent) || LoanOf(entry).rests());
    if (entry->has(kPhantom)) continue;
    const EntryId id(position - 1);
    const size_t entity_class = table_.class_id(entry).value();
    if (conversions[entity_class]) {
      table_.ConvertRow(entry, *conversions[entity_class]);
      if (catalog_.classes[entity_class].has_migrate) {
        BETTONG_CHECK(!migrated.empty() && migrated.front().id == id);
        table_.AddRowBytes(entry, -1);
        ByteReader delta(migrated.front().delta);
        BETTONG_CHECK(catalog_.classes[entity_class].row.ApplyDelta(table_.row(entry), delta));
        table_.AddRowBytes(entry, +1);
        migrated = migrated.subspan(1);
      }
      if (options_.record_changes) WriteImage(id, entry);
    }
    if (alarms[entity_class]) SetAlarms(id);
  }
}

uint64_t Shard::Impl::EventsAtRest() const {
  uint64_t events = 0;
  retries_.ForEach([&](EntryId id) {
    LoanOf(table_.at(id)).waiting->ForEach([&](const WaitingMessage& message) {
      if (message.batch != nullptr) ++events;
    });
  });
  return events;
}

// What waits behind a turn that is to be tried again goes by the names of handlers and commands in
// the new code, where they are other numbers. The new code tries at once.
void Shard::Impl::TellResting(const Catalog& before) {
  Retries resting = std::exchange(retries_, {});
  while (resting.size() > 0) {
    const EntryId id = resting.Take();
    Entry* entry = table_.at(id);
    LoanState& state = LoanOf(entry);
    const size_t at = state.entity_class.value();
    const ClassSchema &old_class = before.classes[at], &new_class = catalog_.classes[at];
    if (entry->has(kPhantom) && !new_class.retired) {
      table_.MakeRoom(entry, new_class.row.row_bytes());
    }
    state.waiting->ForEach([&](WaitingMessage& message) {
      if (message.letter != nullptr) return;
      if (message.call != nullptr) {
        message.call->command = SameCommand(old_class, message.call->command, new_class);
      } else if (message.command != nullptr && message.command->lends()) {
        uint16_t& command = message.command->entity_command;
        command = SameCommand(old_class, command, new_class);
      } else if (message.batch != nullptr) {
        EventBatch::Item& item = message.batch->items[message.item];
        const StreamId stream = message.batch->record(item)->stream;
        if (const char* why = Outlived(before, catalog_, stream, item)) {
          message.letter =
              std::make_unique<std::string>(RenderLetter(before, *message.batch, item, why));
        }
      }
    });
    state.retry_at_ms = now_ms_;
    retries_.Add(now_ms_, id);
  }
}

// --- the shard's face

void Shard::SetHeld(bool held) { impl_->held_ = held; }

bool Shard::quiet() const {
  if (impl_->stats_.loans_outstanding > 0) return false;
  uint64_t held = 0;
  for (const EventBatch* batch = impl_->held_batches_; batch != nullptr;
       batch = batch->held_after) {
    held += batch->outstanding;
  }
  return held == 0 || held == impl_->EventsAtRest();
}

std::vector<RowToMigrate> Shard::RowsToMigrate(const Catalog& next, size_t rows_max) const {
  return impl_->RowsToMigrate(next, rows_max);
}

void Shard::SetCatalog(const Catalog& next, std::span<const MigratedRow> migrated) {
  impl_->SetCatalog(next, migrated);
}
const Catalog& Shard::catalog() const { return impl_->catalog_; }

}  // namespace bettong::grid
