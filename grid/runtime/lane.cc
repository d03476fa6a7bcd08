#include "grid/runtime/lane.h"

#include "base/thread_name.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::grid {
namespace {

class ResultMail : public Mail {
 public:
  explicit ResultMail(LoanResults results) : results_(std::move(results)) {}

  void Deliver(ShardLoop& shard) override {
    Message message;
    message.kind = MessageKind::kLoanResults;
    message.results = &results_;
    shard.Submit({&message, 1});
  }

 private:
  LoanResults results_;
};

}  // namespace

Lane::Lane(std::function<std::unique_ptr<ComputeHost>()> make_host)
    : make_host_(std::move(make_host)), thread_(kLaneStackBytes, [this] { Run(); }) {}

Lane::~Lane() { Stop(); }

bool Lane::WaitUntilReady() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return started_; });
  return has_host_;
}

void Lane::Send(ShardId from, std::vector<Loan> loans) {
  auto batch = std::make_unique<Batch>();
  batch->from = from;
  batch->loans = std::move(loans);
  Give(std::move(batch));
}

void Lane::Give(std::unique_ptr<Batch> batch) {
  inbox_.Push(std::move(batch));
  if (sleeping_.load(std::memory_order_seq_cst)) {
    std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
}

void Lane::Do(const std::function<void()>& work) {
  std::mutex mutex;
  std::condition_variable done_changed;
  bool done = false;
  auto batch = std::make_unique<Batch>();
  batch->work = [&] {
    work();
    std::lock_guard lock(mutex);
    done = true;
    done_changed.notify_one();
  };
  Give(std::move(batch));
  std::unique_lock lock(mutex);
  done_changed.wait(lock, [&] { return done; });
}

void Lane::Stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void Lane::Flush(size_t shard) {
  LoanResults& results = results_[shard].results;
  if (results.results.empty()) return;
  LoanResults fresh;
  fresh.results.reserve(kLaneResultsPerMail);
  fresh.bytes.reserve(std::min(results.bytes.size(), kLaneResultBytesPerMail));
  std::swap(fresh, results);
  shards_[shard]->Post(ShardId(static_cast<uint16_t>(shard)),
                       std::make_unique<ResultMail>(std::move(fresh)));
}

void Lane::FlushAll() {
  for (size_t shard = 0; shard < results_.size(); ++shard) Flush(shard);
}

void Lane::FlushOld(Clock::time_point now) {
  for (size_t shard = 0; shard < results_.size(); ++shard) {
    if (now - results_[shard].since >= kLaneResultsWaitMax) Flush(shard);
  }
}

void Lane::Run() {
  NameThread("lane");
  std::unique_ptr<ComputeHost> host = make_host_();
  make_host_ = nullptr;
  {
    std::lock_guard lock(mutex_);
    started_ = true;
    has_host_ = host != nullptr;
    wake_.notify_all();
  }
  if (host == nullptr) return;
  while (!stop_) {
    Batch* taken = inbox_.TakeAll();
    if (taken == nullptr) {
      FlushAll();
      std::unique_lock lock(mutex_);
      sleeping_ = true;
      wake_.wait(lock, [this] { return stop_ || !inbox_.empty(); });
      sleeping_ = false;
      continue;
    }
    results_.resize(shards_.size());
    while (taken != nullptr) {
      std::unique_ptr<Batch> batch(taken);
      taken = PostBox<Batch>::Next(taken);
      if (!batch->work) {
        RunBatch(*host, *batch);
        continue;
      }
      FlushAll();  // it may take long
      batch->work();
    }
  }
}

void Lane::RunBatch(ComputeHost& host, Batch& batch) {
  size_t shard = batch.from.value();
  Results& gathered = results_[shard];
  auto now = Clock::now();
  for (std::span<const Loan> left = batch.loans; !left.empty() && !stop_;) {
    if (gathered.results.results.empty()) gathered.since = now;
    size_t slice = std::min(left.size(), host.loans_at_a_time());
    const auto began = now;
    const size_t ran = host.RunBatch(left.first(slice), gathered.results);
    left = left.subspan(ran);
    if (gathered.results.results.size() >= kLaneResultsPerMail ||
        gathered.results.bytes.size() >= kLaneResultBytesPerMail) {
      Flush(shard);
    }
    now = Clock::now();
    metrics_.RecordSlice(now - began, ran);
    FlushOld(now);
  }
}

}  // namespace bettong::grid
