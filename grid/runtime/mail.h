// Mail between threads: one node per batch, delivered on the receiving shard's thread.
#pragma once

#include <atomic>
#include <memory>

namespace bettong::grid {

class ShardLoop;

class Mail {
 public:
  virtual ~Mail() = default;
  // Runs once, on the receiving shard's thread.
  virtual void Deliver(ShardLoop& shard) = 0;

 private:
  friend class MailQueue;
  std::atomic<Mail*> next_{nullptr};
};

}  // namespace bettong::grid
