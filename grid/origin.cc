#include "grid/origin.h"

#include <xxhash.h>

#include <string>

#include "base/key_hash.h"

namespace bettong::grid {

uint64_t SourceChannel(std::string_view source, Slot home) {
  const uint64_t hash = XXH3_64bits(source.data(), source.size());
  return kSourceChannelBit | (hash / kSlotCount * kSlotCount + home.value());
}

uint64_t NameOfMessage(const Origin& origin, uint64_t target) {
  const uint64_t parts[] = {origin.channel, origin.position, target};
  return XXH3_64bits(parts, sizeof(parts)) >> 1 | 1;
}

uint64_t HandlerTarget(const ClassSchema& entity_class, const HandlerSchema& handler) {
  const std::string name = entity_class.name + "." + handler.method;
  return XXH3_64bits(name.data(), name.size());
}

uint64_t FunctionTarget(const FunctionSchema& function) {
  return XXH3_64bits_withSeed(function.name.data(), function.name.size(), kFunctionTarget);
}

}  // namespace bettong::grid
