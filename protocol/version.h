// The Redis version that clients are told: they switch features on by it.
#pragma once

#include <string_view>

namespace bettong::protocol {

inline constexpr std::string_view kRedisVersion = "7.4.1";

}  // namespace bettong::protocol
