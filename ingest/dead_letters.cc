#include "ingest/dead_letters.h"

#include <utility>

namespace bettong::ingest {

void DeadLetters::Add(const grid::DeadLetter& letter, const grid::Origin& origin, uint64_t target) {
  pending_.push_back(
      {shard_.catalog().dead_letters, grid::RenderDeadLetter(letter), origin, target});
}

void DeadLetters::Flush() {
  if (!pending_.empty()) shard_.Emit(std::exchange(pending_, {}));
}

}  // namespace bettong::ingest
