// Commands on their way from a read buffer to the shards: messages for this shard are processed in
// one go, those for other shards sent in one piece each. One per shard, used by whichever session
// reads at the moment and left empty by it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "grid/message.h"
#include "grid/runtime/shard_loop.h"

namespace bettong::protocol {

class CommandBatch {
 public:
  explicit CommandBatch(grid::ShardLoop& loop);

  // Memory that is good until Recycle: a command that runs in the session still has its arguments
  // when it has flushed what came before it.
  std::span<std::string_view> Views(size_t count);
  std::string_view Copy(std::string_view bytes);

  grid::Message& Add(ShardId to) {
    ++size_;
    std::vector<grid::Message>& messages = messages_[to.value()];
    messages.emplace_back();
    return messages.back();
  }

  // Commands added since the last Flush.
  size_t size() const { return size_; }
  // Bytes of Views and Copy since the last Recycle.
  size_t bytes() const { return bytes_; }
  // Runs and sends everything. Replies of this shard come in during the call.
  void Flush();
  // After a Flush: nobody looks at Views any more.
  void Recycle();

 private:
  char* Allocate(size_t bytes);

  static constexpr size_t kBlockBytes = 64 * 1024;
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
  };

  grid::ShardLoop& loop_;
  std::vector<std::vector<grid::Message>> messages_;  // by shard
  size_t size_ = 0;
  std::vector<Block> blocks_;  // the first one stays; allocation goes on in the last one
  size_t used_ = 0;            // of the last block
  size_t bytes_ = 0;
};

}  // namespace bettong::protocol
