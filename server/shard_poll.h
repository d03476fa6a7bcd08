// Asks every shard's thread something and answers, on the asking thread's loop, with what came in
// time. A shard that has many questions open is not asked another: it has not answered.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "grid/runtime/call_mail.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::server {

inline constexpr int kShardQuestionsOpenMax = 16;

// Used on one thread, which runs `io`; it outlives neither `io` nor the shards, and answers may
// come as long as those two live.
template <typename Answer>
class ShardPoll {
 public:
  using Ask = std::function<Answer(grid::ShardLoop&)>;
  using Done = std::function<void(const std::vector<std::optional<Answer>>&)>;

  explicit ShardPoll(boost::asio::io_context& io) : io_(io) {}

  void Run(const std::vector<grid::ShardLoop*>& shards, Ask ask, std::chrono::milliseconds limit,
           Done done) {
    open_->resize(shards.size());
    auto round = std::make_shared<Round>(io_, shards.size(), std::move(done));
    for (size_t i = 0; i < shards.size(); ++i) {
      if ((*open_)[i] >= kShardQuestionsOpenMax) continue;
      ++(*open_)[i];
      shards[i]->Post(shards[i]->id(),
                      std::make_unique<grid::CallMail>(
                          [&io = io_, open = open_, round, ask, i](grid::ShardLoop& shard) {
                            boost::asio::post(io, [open, round, i, answer = ask(shard)] {
                              --(*open)[i];
                              round->Take(i, answer);
                            });
                          }));
    }
    round->timer.expires_after(limit);
    round->timer.async_wait([round](const boost::system::error_code&) { round->Finish(); });
  }

 private:
  struct Round {
    Round(boost::asio::io_context& io, size_t shards, Done then)
        : answers(shards), missing(shards), timer(io), done(std::move(then)) {}

    void Take(size_t shard, const Answer& answer) {
      answers[shard] = answer;
      if (--missing == 0) Finish();
    }
    void Finish() {
      if (done == nullptr) return;
      std::exchange(done, nullptr)(answers);
      timer.cancel();
    }

    std::vector<std::optional<Answer>> answers;
    size_t missing;
    boost::asio::steady_timer timer;
    Done done;
  };

  boost::asio::io_context& io_;
  // Questions that a shard has not answered; shared with the answers to come.
  std::shared_ptr<std::vector<int>> open_ = std::make_shared<std::vector<int>>();
};

}  // namespace bettong::server
