// Mail between threads: one node per batch, delivered on the receiving shard's thread, in the order
// of posting per sender. Bounded by the credits that admit what causes it.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace bettong::grid {

class ShardLoop;

class Mail {
 public:
  virtual ~Mail() = default;
  // Runs once, on the receiving shard's thread.
  virtual void Deliver(ShardLoop& shard) = 0;

 private:
  template <typename Node>
  friend class PostBox;
  Mail* next_ = nullptr;
};

// Many senders, one receiver, no lock: senders push onto a stack, the receiver takes it whole and
// turns it round.
template <typename Node>
class PostBox {
 public:
  ~PostBox() {
    for (Node* node = TakeAll(); node != nullptr;) delete std::exchange(node, Next(node));
  }

  void Push(std::unique_ptr<Node> node) {
    Node* added = node.release();
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      added->next_ = head;
    } while (!head_.compare_exchange_weak(head, added, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  }

  // Everything there is, oldest first, linked by Next; the caller owns it.
  Node* TakeAll() {
    Node* newest = head_.exchange(nullptr, std::memory_order_seq_cst);
    Node* oldest = nullptr;
    while (newest != nullptr) {
      Node* next = Next(newest);
      newest->next_ = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

  bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

  static Node* Next(Node* node) { return static_cast<Node*>(node->next_); }

 private:
  std::atomic<Node*> head_{nullptr};
};

}  // namespace bettong::grid
