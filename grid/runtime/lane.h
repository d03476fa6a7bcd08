// A compute lane: a thread with a ComputeHost, to which shards lend entities. It takes batches of
// loans in the order they come, sleeps at once when there are none (spinning only delays the other
// core), and sends a shard's results back when half a pool or a megabyte has gathered, when the
// oldest of them is old, or when it runs dry: each wake of a shard costs more than a turn.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/deep_thread.h"
#include "grid/compute_host.h"
#include "grid/loan.h"
#include "grid/runtime/loan_taker.h"
#include "grid/runtime/mail.h"
#include "grid/runtime/runtime_metrics.h"

namespace bettong::grid {

class ShardLoop;

// A mail most often wakes its shard.
inline constexpr size_t kLaneResultsPerMail = 512;
inline constexpr size_t kLaneResultBytesPerMail = 1u << 20;
// Results wait no longer than this for others, whichever shard they are for.
inline constexpr std::chrono::microseconds kLaneResultsWaitMax{200};

class Lane final : public LoanTaker {
 public:
  // `make_host` runs on the lane's thread first; the lane has no host if it answers null.
  explicit Lane(std::function<std::unique_ptr<ComputeHost>()> make_host);
  ~Lane();  // Stop()

  // Waits until make_host has returned; whether there is a host.
  bool WaitUntilReady();
  // The shards that results go to, by ShardId. Before the first loan.
  void SetShards(std::vector<ShardLoop*> shards) { shards_ = std::move(shards); }

  // From a shard's thread.
  void Send(ShardId from, std::vector<Loan> loans) override;

  // Runs `work` on the lane's thread, behind the loans it has been given, and waits for its end.
  // From a thread that is neither the lane's nor a shard's; the lane has not been stopped.
  void Do(const std::function<void()>& work);

  // From any thread.
  const LaneMetrics& metrics() const { return metrics_; }

  // Ends the thread after the loans at hand; those still queued are abandoned.
  void Stop();

 private:
  struct Batch {
    ShardId from;
    std::vector<Loan> loans;
    std::function<void()> work;  // in the place of loans
    Batch* next_ = nullptr;
  };

  using Clock = std::chrono::steady_clock;
  struct Results {
    LoanResults results;
    Clock::time_point since;  // when the first of them began to run
  };

  void Run();
  void Give(std::unique_ptr<Batch> batch);
  void FlushAll();
  void RunBatch(ComputeHost& host, Batch& batch);
  void Flush(size_t shard);
  void FlushOld(Clock::time_point now);

  std::function<std::unique_ptr<ComputeHost>()> make_host_;
  std::vector<ShardLoop*> shards_;
  std::vector<Results> results_;  // by shard; the lane's thread only

  PostBox<Batch> inbox_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stop_{false};
  bool started_ = false;  // under mutex_
  bool has_host_ = false;
  alignas(64) LaneMetrics metrics_;  // apart from what shards write
  DeepThread thread_;
};

}  // namespace bettong::grid
