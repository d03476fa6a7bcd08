#include "compute/turn_host.h"

namespace bettong::compute {

absl::StatusOr<grid::Catalog> TurnHost::Stage(const std::vector<std::string>&,
                                              const grid::Catalog&) {
  return absl::UnimplementedError("code of this kind cannot be reloaded");
}

}  // namespace bettong::compute
