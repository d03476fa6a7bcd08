// Between a shard and its log: gathers what the turns record into records, one on its way to the
// disk at a time, and holds back whatever may leave only when it is durable. Also paces the rolling
// checkpoint. Owned by the shard's loop, on its thread; OnDurable and its like come on the log's
// and are posted.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "grid/effects.h"
#include "grid/runtime/executor.h"
#include "grid/shard.h"
#include "wal/log.h"

namespace bettong::grid {

class ShardLoop;

// With nobody waiting, changes are gathered for so long, or until there are so many bytes of them.
inline constexpr std::chrono::milliseconds kCommitDelay{5};
// With someone waiting: until the shard has nothing else to do, and at most for so long behind the
// last record. Outputs and credits, but no client, wait for so long behind it in any case, and
// longer if there are so many bytes by then: at that rate what comes soon is worth waiting for.
inline constexpr TimeMs kCommitApartMs = 8;
inline constexpr std::chrono::microseconds kCommitRest{500};
inline constexpr size_t kCommitRestBytes = 4096;
inline constexpr std::chrono::microseconds kCommitLongRest{4000};
inline constexpr size_t kCommitBytes = 1u << 20;
// More bytes that are not durable yet than this, and nothing is admitted.
inline constexpr size_t kUndurableBytesMax = 64u << 20;
// Images written for each byte of other traffic, per record at most and, when there is no other
// traffic, every so often.
inline constexpr size_t kImageBytesPerByte = 3;
inline constexpr size_t kImageBytesPerRecord = 1u << 20;
inline constexpr std::chrono::milliseconds kImagesIdleEvery{10};

struct ShardLogOptions {
  wal::Log* log = nullptr;
  uint64_t bytes_before = 0;             // of the log on disk that was recovered, this shard's part
  uint64_t round_bytes_min = 64u << 20;  // a log smaller than this needs no round
  // Of images, in each record of a round; sixteen times as many in one without other traffic.
  size_t image_bytes_min = 16u << 10;
};

class ShardLog final : public wal::LogListener {
 public:
  ShardLog(ShardLoop& loop, Shard& shard, Executor& executor, ShardLogOptions options);

  void Start() { options_.log->Start(*this); }

  // Takes what of the effects has to wait for the log; false: there is nothing to wait for.
  bool Hold(Effects& effects);
  // The credits leave when all that has been recorded up to now is durable. False: it is.
  bool HoldCredits(std::span<const Credit> credits);
  // Answers the wait when all that has been recorded up to now is durable, or at its deadline.
  void Wait(const DurableWait& wait);
  // After a batch: commits if it is time to.
  void Commit();

  // Nothing is waiting for the log.
  bool idle() const { return held_.empty() && !shard_.recorded() && !committing_; }
  // From any thread.
  bool behind() const { return undurable_.load(std::memory_order_relaxed) > kUndurableBytesMax; }
  bool full() const { return full_.load(std::memory_order_relaxed); }
  size_t held() const { return held_.size(); }  // effects of batches that wait; the shard's thread
  size_t undurable_bytes() const { return undurable_.load(std::memory_order_relaxed); }
  uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }
  const wal::LogStats& stats() const { return options_.log->stats(); }

  // wal::LogListener, on the log's thread.
  void OnDurable(std::unique_ptr<wal::LogRecord> record) override;
  void OnDiskFull(bool full) override;
  void OnFailed(const absl::Status& status) override;

 private:
  struct Waiter {
    uint64_t record = 0;
    DurableWait wait;
  };
  struct Held {
    uint64_t record = 0;
    std::unique_ptr<Effects> effects;
  };

  // The record that must be durable for what has happened up to now.
  uint64_t RecordNow() const { return shard_.recorded() ? sealed_ + 1 : sealed_; }
  std::unique_ptr<Effects> TakeSpare();
  void Durable(std::unique_ptr<wal::LogRecord> record);
  void Answer(const DurableWait& wait, bool durable);
  void AnswerWaiters();
  void SealWhenIdle();
  void Seal();
  void Rest();
  void WriteImages();
  void NoteUndurable();
  void ArmTimer(std::chrono::milliseconds delay);

  ShardLoop& loop_;
  Shard& shard_;
  Executor& executor_;
  const ShardLogOptions options_;
  std::unique_ptr<Executor::Timer> timer_;
  bool timer_armed_ = false;
  bool overdue_ = false;  // the timer has come up
  // Whether the shard has nothing else to do: a look behind all that is queued, and whether any
  // batch has come between.
  bool idle_check_posted_ = false;
  uint64_t batches_ = 0;
  TimeMs sealed_ms_ = 0;  // when the last record was given to the log
  std::unique_ptr<Executor::Timer> rest_timer_;
  bool resting_ = false;
  bool client_waits_ = false;  // for what has been recorded since then

  std::vector<Waiter> waiters_;
  std::unique_ptr<Executor::Timer> wait_timer_;

  std::deque<Held> held_;
  std::vector<std::unique_ptr<Effects>> spare_;
  std::unique_ptr<wal::LogRecord> spare_record_;
  uint64_t sealed_ = 0;   // number of the last record given to the log
  uint64_t durable_ = 0;  // of the last one that is
  bool committing_ = false;
  size_t committing_bytes_ = 0;
  std::atomic<size_t> undurable_{0};
  std::atomic<bool> full_{false};
  std::atomic<uint64_t> rounds_{0};

  // The checkpoint.
  bool in_round_ = false;
  uint64_t log_bytes_;             // since the last whole round began
  uint64_t round_began_at_ = 0;    // of log_bytes_
  uint64_t image_bytes_ = 0;       // of this round
  uint64_t last_image_bytes_ = 0;  // of the last whole one
};

}  // namespace bettong::grid
