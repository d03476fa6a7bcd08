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
  bool Drain(std::chrono::steady_clock::time_point) override { return queue_.empty(); }
  void Stop() override { alive_.reset(); }

 private:
  void Schedule(uint64_t delay_us) {
    if (std::exchange(scheduled_, true)) return;
    scheduler_.After(delay_us, who_, alive_, [this] {
      scheduled_ = false;
      // What fails is tried again, whole.
      if (!output_->Write(queue_).ok()) return Schedule(50'000);
      written_(output_->state().Encode(), std::exchange(queue_, {}));
    });
  }

  Scheduler& scheduler_;
  const uint32_t who_;
  const std::unique_ptr<ingest::FileOutput> output_;
  const ingest::FileSink::Written written_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<ingest::SinkChunk*> queue_;
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
