// A compute lane: a thread with a ComputeHost, to which shards lend entities. It takes batches of
// loans in the order they come, sleeps at once when there are none (spinning only delays the other
// core), and sends results back when half a pool has gathered, when a time slice is over, or when
// it runs dry: each wake of a shard costs more than a turn.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "grid/compute_host.h"
#include "grid/loan.h"
#include "grid/runtime/mail.h"

namespace bettong::grid {

class ShardLoop;

inline constexpr size_t kLaneResultsPerMail = 128;

class Lane {
 public:
  // `make_host` runs on the lane's thread first; the lane has no host if it answers null.
  explicit Lane(std::function<std::unique_ptr<ComputeHost>()> make_host);
  ~Lane();  // Stop()

  // Waits until make_host has returned; whether there is a host.
  bool WaitUntilReady();
  // The shards that results go to, by ShardId. Before the first loan.
  void SetShards(std::vector<ShardLoop*> shards) { shards_ = std::move(shards); }

  // From a shard's thread.
  void Send(ShardId from, std::vector<Loan> loans);

  // Ends the thread after the loans at hand; those still queued are abandoned.
  void Stop();

 private:
  struct Batch {
    ShardId from;
    std::vector<Loan> loans;
    Batch* next_ = nullptr;
  };

  void Run();
  void Flush(size_t shard);

  std::function<std::unique_ptr<ComputeHost>()> make_host_;
  std::vector<ShardLoop*> shards_;
  std::vector<LoanResults> results_;  // by shard; the lane's thread only

  PostBox<Batch> inbox_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stop_{false};
  bool started_ = false;  // under mutex_
  bool has_host_ = false;
  std::thread thread_;
};

}  // namespace bettong::grid
