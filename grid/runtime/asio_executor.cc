#include "grid/runtime/asio_executor.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace bettong::grid {
namespace {

class AsioTimer final : public Executor::Timer {
 public:
  explicit AsioTimer(boost::asio::io_context& io) : timer_(io) {}

  void Arm(std::chrono::microseconds delay, std::function<void()> work) override {
    timer_.expires_after(delay);
    timer_.async_wait([work = std::move(work)](const boost::system::error_code& error) {
      if (!error) work();
    });
  }
  void Cancel() override { timer_.cancel(); }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace

void AsioExecutor::Post(std::function<void()> work) { boost::asio::post(io_, std::move(work)); }

std::unique_ptr<Executor::Timer> AsioExecutor::MakeTimer() {
  return std::make_unique<AsioTimer>(io_);
}

TimeMs AsioExecutor::NowMs() {
  using std::chrono::milliseconds;
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void AsioExecutor::Run() {
  auto work = boost::asio::make_work_guard(io_);
  io_.run();
}

}  // namespace bettong::grid
