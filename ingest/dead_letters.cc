#include "ingest/dead_letters.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "base/key_hash.h"
#include "grid/event.h"

namespace bettong::ingest {

// Entries for the view, to the shard that has the stream's key.
class DeadLetters::ViewMail : public grid::Mail {
 public:
  explicit ViewMail(std::vector<grid::ViewEntry> entries) : entries_(std::move(entries)) {}

  void Deliver(grid::ShardLoop& shard) override {
    std::vector<grid::Message> messages(entries_.size());
    std::vector<grid::Credit> done;
    for (size_t i = 0; i < entries_.size(); ++i) {
      messages[i].kind = grid::MessageKind::kViewEntry;
      messages[i].view = &entries_[i];
      grid::AddCredit(done, entries_[i].origin, -1);
    }
    shard.Submit(messages);
    shard.SendCredits(done);
  }

 private:
  std::vector<grid::ViewEntry> entries_;
};

void DeadLetters::Add(const DeadLetter& letter, grid::SourceRef origin) {
  pending_.push_back({DeadLetterJson(letter), origin});
}

void DeadLetters::Flush() {
  if (pending_.empty()) return;
  const std::vector<Pending> letters = std::exchange(pending_, {});
  const StreamId stream = shard_.catalog().dead_letters;
  const PartitionId partition = shard_.slot_map().PartitionOf(SlotOfKey(grid::kDeadLetterStream));
  const bool has_sinks = shard_.sinks() != nullptr && shard_.sinks()->Takes(stream);

  std::vector<grid::Credit> added;
  std::vector<grid::ViewEntry> entries;
  std::vector<grid::SinkItem> items;
  for (const Pending& letter : letters) {
    grid::AddCredit(added, letter.origin, has_sinks ? 2 : 1);
    entries.push_back({stream, letter.json, letter.origin});
    if (has_sinks) {
      items.push_back({stream, partition, ++sequence_, letter.origin, letter.json});
    }
  }
  shard_.SendCredits(added);
  shard_.Post(shard_.slot_map().ShardOf(partition), std::make_unique<ViewMail>(std::move(entries)));
  if (has_sinks) shard_.sinks()->Write(shard_.id(), items);
  for (const Pending& letter : letters) shard_.Publish(grid::kDeadLetterStream, letter.json);
  if (shard_.subscribers() != nullptr) shard_.subscribers()->Flush();
}

std::string DeadLetterJson(const DeadLetter& letter) {
  std::string_view event = letter.event.substr(0, kDeadLetterEventBytesMax);
  const uint64_t event_bytes =
      letter.event_bytes != 0 ? letter.event_bytes : uint64_t{letter.event.size()};
  std::string json = "{\"class\":";
  grid::AppendJsonString(letter.about, json);
  json += ",\"key\":null,\"handler\":";
  if (letter.handler.empty()) {
    json += "null";
  } else {
    grid::AppendJsonString(letter.handler, json);
  }
  json += ",\"event\":";
  grid::AppendJsonString(event, json);
  json += ",\"state\":null,\"error\":";
  std::string error(letter.error);
  if (event.size() < event_bytes) {
    absl::StrAppend(&error, " (the first ", event.size(), " of ", event_bytes,
                    " bytes of the event are kept)");
  }
  grid::AppendJsonString(error, json);
  json += ",\"traceback\":\"\"}";
  return json;
}

}  // namespace bettong::ingest
