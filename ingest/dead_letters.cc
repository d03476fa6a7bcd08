#include "ingest/dead_letters.h"

#include <utility>

namespace bettong::ingest {

void DeadLetters::Add(const grid::DeadLetter& letter, grid::SourceRef origin) {
  pending_.push_back({shard_.catalog().dead_letters, grid::RenderDeadLetter(letter), origin});
}

void DeadLetters::Flush() {
  if (!pending_.empty()) shard_.Emit(std::exchange(pending_, {}));
}

}  // namespace bettong::ingest
