// "Did you mean ...": the name that somebody meant.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace bettong {

// The one of `names` closest to `name` by edits, in any case, if it is close enough to be a slip.
std::optional<std::string_view> NearestName(std::string_view name,
                                            std::span<const std::string_view> names);

}  // namespace bettong
