// A shard's thread in production: an io_context of its own, for one thread.
#pragma once

#include <boost/asio/io_context.hpp>

#include "grid/runtime/executor.h"

namespace bettong::grid {

class AsioExecutor final : public Executor {
 public:
  void Post(std::function<void()> work) override;
  std::unique_ptr<Timer> MakeTimer() override;
  TimeMs NowMs() override;

  // Until Stop, on the calling thread.
  void Run();
  void Stop() { io_.stop(); }
  boost::asio::io_context& io() { return io_; }

 private:
  boost::asio::io_context io_{1};
};

}  // namespace bettong::grid
