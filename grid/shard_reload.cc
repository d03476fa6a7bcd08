// Another catalog for a shard whose values live: what was derived from the one before is made anew,
// rows are converted, and the log has them as they are from then on.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "grid/catalog_succession.h"
#include "grid/origin.h"
#include "grid/row_conversion.h"
#include "grid/shard_impl.h"

namespace bettong::grid {

void Shard::Impl::DeriveFromCatalog() {
  targets_.clear();
  for (const ClassSchema& entity_class : catalog_.classes) {
    std::vector<uint64_t>& targets = targets_.emplace_back();
    for (const HandlerSchema& handler : entity_class.handlers) {
      targets.push_back(HandlerTarget(entity_class, handler));
    }
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

void Shard::Impl::SetCatalog(const Catalog& next) {
  BETTONG_CHECK(shard_.quiet());
  const Catalog before = std::exchange(catalog_, next);
  DeriveFromCatalog();
  table_.OnCatalogChanged();
  watermarks_.OnCatalogChanged();
  alarms_.OnCatalogChanged(catalog_);
  journal_.OnCatalogChanged(catalog_);
  std::vector<std::optional<RowConversion>> conversions(before.classes.size());
  std::vector<bool> alarms(before.classes.size());
  bool any = false;
  for (size_t i = 0; i < before.classes.size(); ++i) {
    if (entities_by_class_[i] == 0) continue;
    alarms[i] = ChangesAlarms(before.classes[i], catalog_.classes[i]);
    any |= alarms[i];
    if (!ChangesRows(before.classes[i], catalog_.classes[i])) continue;
    auto conversion = RowConversion::Make(before.classes[i].row, catalog_.classes[i].row);
    BETTONG_CHECK(conversion.ok());
    conversions[i] = *std::move(conversion);
    any = true;
  }
  if (!any) return;
  uint32_t position = 0;
  size_t slots = SIZE_MAX;
  while (Entry* entry = table_.Next(position, slots)) {
    if (entry->type != ValueType::kEntity) continue;
    BETTONG_CHECK(!entry->has(kPhantom) && !entry->has(kLent));
    const EntryId id(position - 1);
    const size_t entity_class = table_.class_id(entry).value();
    if (conversions[entity_class]) {
      table_.ConvertRow(entry, *conversions[entity_class]);
      if (options_.record_changes) WriteImage(id, entry);
    }
    if (alarms[entity_class]) SetAlarms(id);
  }
}

// --- the shard's face

void Shard::SetHeld(bool held) { impl_->held_ = held; }

bool Shard::quiet() const {
  return impl_->stats_.loans_outstanding == 0 && impl_->held_batches_ == nullptr;
}

void Shard::SetCatalog(const Catalog& next) { impl_->SetCatalog(next); }
const Catalog& Shard::catalog() const { return impl_->catalog_; }

}  // namespace bettong::grid
