// A set of names, looked up by std::string_view.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <functional>
#include <string>

#include "base/string_map.h"

namespace bettong::protocol {

using NameSet = absl::flat_hash_set<std::string, StringViewHash, std::equal_to<>>;

}  // namespace bettong::protocol
