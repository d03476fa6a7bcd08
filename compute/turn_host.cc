#include "compute/turn_host.h"

namespace bettong::compute {

absl::StatusOr<grid::Catalog> TurnHost::Stage(const std::vector<std::string>&,
                                              const grid::Catalog&) {
  return absl::UnimplementedError("code of this kind cannot be reloaded");
}

absl::Status TurnHost::RunMigrate(ClassId, std::string_view, std::string_view, std::string&) {
  return absl::UnimplementedError("code of this kind has no migrate");
}

}  // namespace bettong::compute
