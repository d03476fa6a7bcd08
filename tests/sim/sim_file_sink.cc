#include "tests/sim/sim_file_sink.h"

#include <memory>
#include <utility>
#include <vector>

namespace bettong::sim {
namespace {

class SimFileSink final : public ingest::SinkRunner {
 public:
  SimFileSink(Scheduler& scheduler, uint32_t who, std::unique_ptr<ingest::FileOutput> output,
              ingest::FileSink::Written written)
      : scheduler_(scheduler),
        who_(who),
        output_(std::move(output)),
        written_(std::move(written)) {}
  ~SimFileSink() override {
    queue_.insert(queue_.end(), appended_.begin(), appended_.end());
    for (ingest::SinkChunk* chunk : queue_) {
      if (chunk->sinks_left.fetch_sub(1) == 1) delete chunk;
    }
  }

  void Start() override {
    started_ = true;
    if (!queue_.empty()) Schedule(0);
  }
  void Send(ingest::SinkChunk* chunk) override {
    queue_.push_back(chunk);
    if (started_) Schedule(scheduler_.Below(3'000));
  }
  bool Drain(std::chrono::steady_clock::time_point) override {
    return queue_.empty() && appended_.empty();
  }
  void Stop() override { alive_.reset(); }

 private:
  void Schedule(uint64_t delay_us) {
    if (std::exchange(scheduled_, true)) return;
    scheduler_.After(delay_us, who_, alive_, [this] {
      scheduled_ = false;
      if (!Write()) {
        // What fails is tried again, whole.
        queue_.insert(queue_.begin(), appended_.begin(), appended_.end());
        appended_.clear();
        Schedule(50'000);
      } else if (!appended_.empty()) {
        Schedule(scheduler_.Below(3'000));
      }
    });
  }
  // Appends, or syncs what has been.
  bool Write() {
    if (!queue_.empty()) {
      if (!output_->Append(queue_).ok()) return false;
      appended_.insert(appended_.end(), queue_.begin(), queue_.end());
      queue_.clear();
      if (scheduler_.Below(2) == 0) return true;
    }
    if (!output_->Sync().ok()) return false;
    written_(output_->state().Encode(), std::exchange(appended_, {}));
    return true;
  }

  Scheduler& scheduler_;
  const uint32_t who_;
  const std::unique_ptr<ingest::FileOutput> output_;
  const ingest::FileSink::Written written_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<ingest::SinkChunk*> queue_;     // to be appended
  std::vector<ingest::SinkChunk*> appended_;  // to be synced
  bool scheduled_ = false;
  bool started_ = false;
};

}  // namespace

ingest::FileSinkMaker MakeSimFileSink(Scheduler& scheduler, uint32_t who) {
  return [&scheduler, who](const std::string&, std::unique_ptr<ingest::FileOutput> output,
                           ingest::FileSink::Written written) {
    return std::make_unique<SimFileSink>(scheduler, who, std::move(output), std::move(written));
  };
}

}  // namespace bettong::sim
