#include "grid/origin.h"

#include <xxhash.h>

#include <string>

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

// Of handlers of the same stream, the first late one for the first that is not, and so on.
const HandlerSchema& InItsPlace(const ClassSchema& entity_class, const HandlerSchema& late) {
  size_t number = 0;
  for (const HandlerSchema* at = entity_class.handlers.data(); at != &late; ++at) {
    if (at->late && at->stream == late.stream) ++number;
  }
  for (const HandlerSchema& each : entity_class.handlers) {
    if (!each.late && each.stream == late.stream && number-- == 0) return each;
  }
  return late;
}

}  // namespace

uint64_t HandlerTarget(const ClassSchema& entity_class, const HandlerSchema& handler) {
  const bool own = !handler.late || BETTONG_PLANTED(late_handlers_have_targets_of_their_own);
  const HandlerSchema& named = own ? handler : InItsPlace(entity_class, handler);
  const std::string name = entity_class.name + "." + named.method;
  return XXH3_64bits(name.data(), name.size());
}

uint64_t FunctionTarget(const FunctionSchema& function) {
  return XXH3_64bits_withSeed(function.name.data(), function.name.size(), kFunctionTarget);
}

}  // namespace bettong::grid
