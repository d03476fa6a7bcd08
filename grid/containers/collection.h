// What Sequence (Ring, List) and Dictionary (Map, Set, Counter) have in common: their spec, their
// limits, and how much they hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "grid/containers/collection_spec.h"
#include "grid/containers/container.h"

namespace bettong::grid {

// What became of a change. All but kDone: nothing has changed.
enum class Edit : uint8_t {
  kDone,
  kFull,            // elements_max
  kElementTooLong,  // kElementBytesMax
  kTooLarge,        // kCollectionBytesMax
  kTurnTooLarge,    // kTurnOperationBytesMax
};

class Collection : public Container {
 public:
  static std::unique_ptr<Collection> Make(const CollectionSpec& spec);

  const CollectionSpec& spec() const { return spec_; }
  virtual size_t size() const = 0;

  // Appends what a turn has recorded as text, "{...}", or as a JSON list; false: malformed.
  static bool AppendOperations(const CollectionSpec& spec, std::string_view operations, bool json,
                               std::string& out);

 protected:
  explicit Collection(const CollectionSpec& spec) : spec_(spec) {}

  // Memory that an allocation costs beside its bytes.
  static constexpr size_t kAllocationBytes = 16;

  const CollectionSpec spec_;
};

}  // namespace bettong::grid
