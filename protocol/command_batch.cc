#include "protocol/command_batch.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"

namespace bettong::protocol {

CommandBatch::CommandBatch(grid::ShardLoop& loop)
    : loop_(loop), messages_(loop.slot_map().shards()) {
  blocks_.push_back({std::make_unique<char[]>(kBlockBytes), kBlockBytes});
}

char* CommandBatch::Allocate(size_t bytes) {
  bytes = (bytes + 7) & ~size_t{7};
  if (blocks_.back().size - used_ < bytes) {
    const size_t size = std::max(bytes, kBlockBytes);
    blocks_.push_back({std::unique_ptr<char[]>(new char[size]), size});
    used_ = 0;
  }
  char* at = blocks_.back().bytes.get() + used_;
  used_ += bytes;
  bytes_ += bytes;
  return at;
}

std::span<std::string_view> CommandBatch::Views(size_t count) {
  // Views are trivial to destroy; every one is written before it is read.
  char* at = Allocate(count * sizeof(std::string_view));
  return {reinterpret_cast<std::string_view*>(at), count};
}

std::string_view CommandBatch::Copy(std::string_view bytes) {
  char* at = Allocate(bytes.size());
  std::memcpy(at, bytes.data(), bytes.size());
  return {at, bytes.size()};
}

void CommandBatch::Flush() {
  if (size_ == 0) return;
  size_ = 0;
  const size_t own = loop_.id().value();
  for (size_t shard = 0; shard < messages_.size(); ++shard) {
    if (shard == own || messages_[shard].empty()) continue;
    loop_.SendCommands(ShardId(static_cast<uint16_t>(shard)), messages_[shard]);
    messages_[shard].clear();
  }
  if (!messages_[own].empty()) {
    loop_.Submit(messages_[own]);
    messages_[own].clear();
  }
}

void CommandBatch::Recycle() {
  BETTONG_CHECK(size_ == 0);
  if (blocks_.size() > 1) blocks_.resize(1);
  used_ = bytes_ = 0;
}

}  // namespace bettong::protocol
