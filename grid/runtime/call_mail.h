// Mail that runs a function on a shard's thread.
#pragma once

#include <functional>
#include <utility>

#include "grid/runtime/mail.h"

namespace bettong::grid {

class CallMail final : public Mail {
 public:
  explicit CallMail(std::function<void(ShardLoop&)> call) : call_(std::move(call)) {}
  void Deliver(ShardLoop& shard) override { call_(shard); }

 private:
  std::function<void(ShardLoop&)> call_;
};

}  // namespace bettong::grid
