#include "ingest/stream_sink_queue.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "base/simulation.h"

namespace bettong::ingest {

StreamSinkQueue::StreamSinkQueue(std::string name, StreamSinkOptions options,
                                 std::function<void(SinkChunk*)> stored, LogLine log)
    : name_(std::move(name)),
      options_(std::move(options)),
      stored_chunk_(std::move(stored)),
      log_(std::move(log)),
      given_(options_.given_before) {}

StreamSinkQueue::~StreamSinkQueue() {
  for (SinkChunk* chunk : queue_) {
    if (chunk->sinks_left.fetch_sub(1) == 1) delete chunk;
  }
}

void StreamSinkQueue::Take(SinkChunk* chunk) {
  for (const SinkChunk::Item& item : chunk->items) {
    uint64_t& given = At(given_, item.partition);
    given = std::max(given, item.sequence);
  }
  queue_.push_back(chunk);
}

uint64_t& StreamSinkQueue::At(std::vector<uint64_t>& by_partition, PartitionId partition) {
  if (partition.value() >= by_partition.size()) by_partition.resize(partition.value() + 1u);
  return by_partition[partition.value()];
}

size_t StreamSinkQueue::OnResume(std::span<const StreamPosition> positions, OutputTaker& link) {
  std::vector<uint64_t> stored;
  for (const StreamPosition& position : positions) {
    if (position.sequence > At(given_, position.partition)) {
      link.Refuse(StreamError::kRefused,
                  absl::StrCat("the receiver has output ", position.sequence, " of partition ",
                               position.partition.value(),
                               ", which this node has not given out yet: its data directory is an "
                               "old copy"));
      return 0;
    }
    At(stored, position.partition) = position.sequence;
  }
  stored_ = std::move(stored);
  const size_t done = DropStored();
  if (!BETTONG_PLANTED(resume_sends_nothing_again)) next_chunk_ = next_item_ = 0;
  if (!queue_.empty() && done > 0) BETTONG_SOMETIMES(receiver_had_some_of_what_was_left);
  return done;
}

size_t StreamSinkQueue::OnStored(const StreamPosition& position) {
  uint64_t& stored = At(stored_, position.partition);
  stored = std::max(stored, position.sequence);
  return DropStored();
}

bool StreamSinkQueue::Stored(const SinkChunk& chunk) {
  return std::all_of(chunk.items.begin(), chunk.items.end(), [this](const SinkChunk::Item& item) {
    return item.sequence <= At(stored_, item.partition);
  });
}

size_t StreamSinkQueue::DropStored() {
  size_t done = 0;
  while (!queue_.empty() &&
         (Stored(*queue_.front()) || (BETTONG_PLANTED(sent_counts_as_stored) && next_chunk_ > 0))) {
    SinkChunk* chunk = queue_.front();
    queue_.pop_front();
    ++done;
    if (next_chunk_ > 0) {
      --next_chunk_;
    } else {
      next_item_ = 0;
    }
    stored_chunk_(chunk);
  }
  return done;
}

size_t StreamSinkQueue::Fill(OutputTaker& link) {
  Send(link);
  return BETTONG_PLANTED(known_outputs_stay) ? 0 : DropStored();
}

void StreamSinkQueue::Send(OutputTaker& link) {
  for (; next_chunk_ < queue_.size(); ++next_chunk_, next_item_ = 0) {
    const SinkChunk& chunk = *queue_[next_chunk_];
    const std::string& stream = options_.stream_names[chunk.stream.value()];
    for (; next_item_ < chunk.items.size(); ++next_item_) {
      if (!link.takes_outputs()) return;
      const SinkChunk::Item& item = chunk.items[next_item_];
      if (item.sequence <= At(stored_, item.partition)) continue;
      const std::string_view line = chunk.line(next_item_);
      const std::string_view event = line.substr(0, line.size() - 1);
      if (options_.framed && !StreamOutputFits(stream.size(), event.size())) {
        if (log_) {
          log_(absl::StrCat("sink ", name_, ": an output of ", event.size(), " bytes of stream ",
                            stream, " (partition ", item.partition.value(), ", sequence ",
                            item.sequence, ") is larger than a frame; it is left out"));
        }
        continue;
      }
      link.Send({{item.partition, item.sequence}, stream, event});
    }
  }
}

}  // namespace bettong::ingest
