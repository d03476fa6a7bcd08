// For tests of a sink: a topic of MockBrokers, as a plain consumer sees it, and what the sink says.
#pragma once

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/kafka/mock_brokers.h"
#include "ingest/sink_chunk.h"

namespace bettong::ingest {

// Nothing is waited for longer than this.
inline constexpr std::chrono::seconds kKafkaTestPatience{20};

struct WrittenOutput {
  uint16_t partition = 0;  // of ours: its headers say so
  uint64_t sequence = 0;
  std::string key;
  std::string value;
};

// What the sink has told, and given back.
class HeardOfSink {
 public:
  // Of the sink, from its threads.
  void OnLog(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (line.find("librdkafka: INIT:") != std::string_view::npos) {
      ++producers_;
    } else if (line.find("librdkafka: ") == std::string_view::npos) {
      lines_.emplace_back(line);
      if (line.find("kept and tried again") != std::string_view::npos) chunks_when_told_ = chunks_;
    }
    changed_.notify_all();
  }
  void OnWritten(const std::string& state, const std::vector<SinkChunk*>& chunks) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    chunks_ += chunks.size();
    for (SinkChunk* chunk : chunks) delete chunk;
    changed_.notify_all();
  }

  void WaitForChunks(size_t count) {
    Wait([&] { return chunks_ >= count; }, absl::StrCat(count, " chunks"));
  }
  void WaitForLine(std::string_view part) {
    Wait([&] { return CountOf(part) > 0; }, part);
  }
  void WaitForProducers(size_t count) {
    Wait([&] { return producers_ >= count; }, absl::StrCat(count, " producers"));
  }
  size_t LinesWith(std::string_view part) const {
    const std::lock_guard lock(mutex_);
    return CountOf(part);
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  std::string state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  size_t chunks() const {
    const std::lock_guard lock(mutex_);
    return chunks_;
  }
  // How many had been given back when it last told that it keeps what it has.
  std::optional<size_t> chunks_when_told() const {
    const std::lock_guard lock(mutex_);
    return chunks_when_told_;
  }
  size_t producers() const {
    const std::lock_guard lock(mutex_);
    return producers_;
  }

 private:
  template <typename Condition>
  void Wait(Condition condition, std::string_view what) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, kKafkaTestPatience, condition);
    EXPECT_TRUE(came) << what << " did not come; the log: " << testing::PrintToString(lines_);
  }
  size_t CountOf(std::string_view part) const {
    return static_cast<size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [&](const std::string& line) { return line.find(part) != std::string::npos; }));
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::string state_;
  size_t chunks_ = 0;
  std::optional<size_t> chunks_when_told_;
  size_t producers_ = 0;
};

// All of the topic, once it has so many records at least; those of one of its partitions in order.
std::vector<WrittenOutput> ReadOutputs(const MockBrokers& brokers, const std::string& topic,
                                       int32_t partitions, size_t records_min);

// Commits an offset of the topic's first partition, with this metadata.
void CommitMetadata(const MockBrokers& brokers, const std::string& group, const std::string& topic,
                    const std::string& metadata);

}  // namespace bettong::ingest
