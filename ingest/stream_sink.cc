#include "ingest/stream_sink.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/thread_name.h"

namespace bettong::ingest {

StreamSink::StreamSink(const SinkConfig& config, StreamSinkOptions options,
                       std::function<void(SinkChunk*)> stored, LogLine log)
    : name_(config.name),
      options_(std::move(options)),
      stored_chunk_(std::move(stored)),
      log_(std::move(log)),
      work_(boost::asio::make_work_guard(io_)),
      given_(options_.given_before),
      link_(io_, *this, config, options_.node_id, log_) {}

StreamSink::~StreamSink() {
  Stop();
  queue_.insert(queue_.end(), inbox_.begin(), inbox_.end());
  for (SinkChunk* chunk : queue_) {
    if (chunk->sinks_left.fetch_sub(1) == 1) delete chunk;
  }
}

void StreamSink::Start() {
  thread_ = StartQuietThread([this] {
    NameThread("sink-" + name_);
    link_.Start();
    io_.run();
  });
}

void StreamSink::Send(SinkChunk* chunk) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(chunk);
    ++unstored_;
    if (std::exchange(posted_, true)) return;
  }
  boost::asio::post(io_, [this] {
    TakeInbox();
    OnRoom();
  });
}

bool StreamSink::Drain(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  drained_.wait_until(lock, deadline, [this] { return unstored_ == 0 || broken(); });
  return unstored_ == 0;
}

void StreamSink::Stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this] {
    link_.Stop();
    work_.reset();
  });
  thread_.join();
}

// --- the sink's thread

void StreamSink::TakeInbox() {
  const std::lock_guard lock(mutex_);
  posted_ = false;
  for (SinkChunk* chunk : std::exchange(inbox_, {})) {
    for (const SinkChunk::Item& item : chunk->items) {
      uint64_t& given = At(given_, item.partition);
      given = std::max(given, item.sequence);
    }
    queue_.push_back(chunk);
  }
}

uint64_t& StreamSink::At(std::vector<uint64_t>& by_partition, PartitionId partition) {
  if (partition.value() >= by_partition.size()) by_partition.resize(partition.value() + 1u);
  return by_partition[partition.value()];
}

void StreamSink::OnResume(std::span<const StreamPosition> positions) {
  TakeInbox();
  std::vector<uint64_t> stored;
  for (const StreamPosition& position : positions) {
    if (position.sequence > At(given_, position.partition)) {
      link_.Refuse(StreamError::kRefused,
                   absl::StrCat("the receiver has output ", position.sequence, " of partition ",
                                position.partition.value(),
                                ", which this node has not given out yet: its data directory is an "
                                "old copy"));
      return;
    }
    At(stored, position.partition) = position.sequence;
  }
  stored_ = std::move(stored);
  DropStored();
  next_chunk_ = next_item_ = 0;
}

void StreamSink::OnStored(const StreamPosition& position) {
  uint64_t& stored = At(stored_, position.partition);
  stored = std::max(stored, position.sequence);
  DropStored();
}

bool StreamSink::Stored(const SinkChunk& chunk) {
  return std::all_of(chunk.items.begin(), chunk.items.end(), [this](const SinkChunk::Item& item) {
    return item.sequence <= At(stored_, item.partition);
  });
}

void StreamSink::DropStored() {
  size_t done = 0;
  while (!queue_.empty() && Stored(*queue_.front())) {
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
  if (done == 0) return;
  const std::lock_guard lock(mutex_);
  unstored_ -= done;
  if (unstored_ == 0) drained_.notify_all();
}

void StreamSink::OnRoom() {
  for (; next_chunk_ < queue_.size(); ++next_chunk_, next_item_ = 0) {
    const SinkChunk& chunk = *queue_[next_chunk_];
    const std::string& stream = options_.stream_names[chunk.stream.value()];
    for (; next_item_ < chunk.items.size(); ++next_item_) {
      if (!link_.takes_outputs()) return;
      const SinkChunk::Item& item = chunk.items[next_item_];
      const std::string_view line = chunk.line(next_item_);
      const std::string_view event = line.substr(0, line.size() - 1);
      if (!StreamOutputFits(stream.size(), event.size())) {
        if (log_) {
          log_(absl::StrCat("sink ", name_, ": an output of ", event.size(), " bytes of stream ",
                            stream, " (partition ", item.partition.value(), ", sequence ",
                            item.sequence, ") is larger than a frame; it is left out"));
        }
        continue;
      }
      link_.Send({{item.partition, item.sequence}, stream, event});
    }
  }
}

void StreamSink::OnRefused(const StreamRefusal&) {
  // The link has told the log. What is left stays in the outbox, and holds admission in the end.
  broken_.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  drained_.notify_all();
}

}  // namespace bettong::ingest
