#include "compute/turn_feeds.h"

#include "grid/row_schema.h"

namespace bettong::compute {

bool TurnFeeds::Feed(const grid::Loan& loan, const grid::EventRecord& event,
                     const grid::Catalog& catalog, TurnError& error) {
  const grid::ClassSchema& entity_class = catalog.classes[loan.row->entity_class.value()];
  const grid::HandlerSchema& handler = entity_class.handlers[loan.index];
  const TimeMs at_ms = event.time_ms != kNoTime ? event.time_ms : loan.now_ms;
  for (const grid::WindowFeed& feed : handler.feeds) {
    if (size_ == fed_.size()) fed_.emplace_back();
    Fed& fed = fed_[size_++];
    fed.field = feed.window;
    fed.changes.logged = logged_;
    fed.window = static_cast<grid::Window*>(
        grid::RowSchema::ContainerAt(loan.row->row.get(), entity_class.row.fields[feed.window]));
    const grid::FeedResult result =
        grid::FeedWindow(feed, event, at_ms, loan.reached_ms, *fed.window, fed.changes);
    if (result == grid::FeedResult::kOk) continue;
    error.message = error.traceback = grid::DescribeFeed(
        result, feed, entity_class, catalog.streams[event.stream.value()].event, event);
    TakeBack();
    return false;
  }
  return true;
}

void TurnFeeds::TakeBack() {
  while (size_ > 0) {
    Fed& fed = fed_[--size_];
    fed.window->RollBack(fed.changes);
  }
}

int64_t TurnFeeds::Commit(std::string& delta) {
  ByteWriter out(delta);
  if (logged_) {
    uint64_t changed = 0;
    for (size_t i = 0; i < size_; ++i) changed += fed_[i].changes.changed() ? 1 : 0;
    if (changed > 0) out.Varint(changed);
  }
  int64_t grown = 0;
  for (size_t i = 0; i < size_; ++i) {
    Fed& fed = fed_[i];
    if (!fed.changes.changed()) continue;
    if (logged_) grid::RowSchema::WriteOperations(fed.field, fed.changes.operations, out);
    fed.window->Commit(fed.changes);
    grown += fed.window->SettleBytes();
  }
  size_ = 0;
  return grown;
}

}  // namespace bettong::compute
