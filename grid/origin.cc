#include "grid/origin.h"

#include <xxhash.h>

#include <string>
#include <vector>

#include "base/key_hash.h"
#include "base/simulation.h"

namespace bettong::grid {

uint64_t SourceChannel(std::string_view source, Slot home) {
  const uint64_t hash = XXH3_64bits(source.data(), source.size());
  return kSourceChannelBit | (hash / kSlotCount * kSlotCount + home.value());
}

uint64_t NameOfMessage(const Origin& origin, uint64_t target) {
  const uint64_t parts[] = {origin.channel, origin.position, target};
  return XXH3_64bits(parts, sizeof(parts)) >> 1 | 1;
}

namespace {

// Of a class's handlers, or functions, of the same stream: the first late one for the first that is
// not, and so on. `taker` is one of all.
template <typename Taker>
const Taker& InItsPlace(const std::vector<Taker>& all, const Taker& taker) {
  if (!taker.late || BETTONG_PLANTED(late_handlers_have_targets_of_their_own)) return taker;
  size_t number = 0;
  for (const Taker* at = all.data(); at != &taker; ++at) {
    if (at->late && at->stream == taker.stream) ++number;
  }
  for (const Taker& each : all) {
    if (!each.late && each.stream == taker.stream && number-- == 0) return each;
  }
  return taker;
}

}  // namespace

uint64_t HandlerTarget(const ClassSchema& entity_class, const HandlerSchema& handler) {
  const std::string name =
      entity_class.name + "." + InItsPlace(entity_class.handlers, handler).method;
  return XXH3_64bits(name.data(), name.size());
}

uint64_t FunctionTarget(const Catalog& catalog, const FunctionSchema& function) {
  const std::string& name = InItsPlace(catalog.functions, function).name;
  return XXH3_64bits_withSeed(name.data(), name.size(), kFunctionTarget);
}

}  // namespace bettong::grid
