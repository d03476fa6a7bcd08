#include "ingest/file_source.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace bettong::ingest {
namespace {

constexpr std::chrono::milliseconds kAdmissionPoll{5};

}  // namespace

class FileSource::BlockMail : public grid::Mail {
 public:
  BlockMail(FileSource& source, InputBlock* block) : source_(source), block_(block) {}
  void Deliver(grid::ShardLoop&) override { source_.OnBlock(block_); }

 private:
  FileSource& source_;
  InputBlock* block_;
};

FileSource::FileSource(FileSourceConfig config, StreamId stream, ShardDoor door, LogLine log)
    : config_(std::move(config)),
      door_(door),
      admission_(config_.path == "-" ? "standard input" : config_.path, std::move(log)),
      frames_(config_.framing, config_.frame_bytes_max),
      lines_(MakeLineReader(config_.format)),
      admission_timer_(door.shard->io()) {
  channel_.SetSource(door.shard->AddSource(this, &counters_.outstanding));
  channel_.stream = stream;
  channel_.name = config_.path == "-" ? "standard input" : config_.path;
  channel_.lines = lines_.get();
  channel_.counters = &counters_;
}

FileSource::~FileSource() { door_.shard->RemoveSource(channel_.source); }

absl::Status FileSource::Open() {
  int descriptor = STDIN_FILENO;
  if (config_.path != "-") descriptor = ::open(config_.path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0) {
    return absl::NotFoundError(absl::StrCat("open ", config_.path, ": ", std::strerror(errno)));
  }
  if (S_ISREG(status.st_mode)) bytes_total_ = static_cast<uint64_t>(status.st_size);
  reader_ = std::make_unique<BlockReader>(channel_.name, descriptor);
  return absl::OkStatus();
}

void FileSource::Start(std::function<void(absl::Status)> done) {
  done_ = std::move(done);
  reader_->Start([this](InputBlock* block) {
    door_.shard->Post(door_.shard->id(), std::make_unique<BlockMail>(*this, block));
  });
}

void FileSource::Stop() { reader_->Stop(); }

// --- shard 0's thread

void FileSource::OnBlock(InputBlock* block) {
  blocks_.push_back(block);
  Pump();
}

void FileSource::Pump() {
  grid::ShardLoop& shard = *door_.shard;
  pump_at_ = -1;
  while (!blocks_.empty()) {
    const Admission admission = AdmissionOf(shard);
    const bool full = shard.WorkOutstanding(channel_.source) >= kSourceWindowEvents;
    hold_.Set(admission == Admission::kOpen && full ? Admission::kWindowFull : admission);
    if (admission != Admission::kOpen) return PumpLater();
    if (full) {
      pump_at_ = kSourceWindowEvents / 2;
      return;
    }
    InputBlock& block = *blocks_.front();
    blocks_.pop_front();
    HandleBlock(block);
  }
  if (!ended_ || done_ == nullptr) return;
  if (shard.Outstanding(channel_.source) > 0) {
    pump_at_ = 0;
    return;
  }
  std::exchange(done_, nullptr)(status_);
}

void FileSource::HandleBlock(InputBlock& block) {
  for (size_t at = 0; at < block.size;) {
    const std::span<char> room = frames_.Writable();
    const size_t size = std::min(room.size(), block.size - at);
    std::memcpy(room.data(), block.bytes.get() + at, size);
    at += size;
    frames_.Commit(size);
    HandleFrames();
  }
  counters_.bytes.fetch_add(block.size, std::memory_order_relaxed);
  if (block.last) {
    status_ = block.status;
    frames_.Finish();
    HandleFrames();
    door_.gate->Leave(channel_, /*at_end=*/true);
    ended_ = true;
  } else {
    reader_->Release();
  }
}

void FileSource::HandleFrames() {
  for (Frame frame = frames_.Next(); frame.kind != Frame::Kind::kNone; frame = frames_.Next()) {
    door_.gate->RouteFrame(channel_, frame);
  }
  door_.gate->EndRead(channel_);
}

void FileSource::OnCredit() {
  const int64_t left = pump_at_ == 0 ? door_.shard->Outstanding(channel_.source)
                                     : door_.shard->WorkOutstanding(channel_.source);
  if (left > pump_at_ || pump_deferred_) return;
  // The shard is carrying out effects: go on after that.
  pump_deferred_ = true;
  door_.shard->Defer([this] {
    pump_deferred_ = false;
    Pump();
  });
}

void FileSource::PumpLater() {
  admission_timer_.expires_after(kAdmissionPoll);
  admission_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Pump();
  });
}

}  // namespace bettong::ingest
