// Small text helpers for names and options.
#pragma once

#include <string_view>

#include "base/ascii.h"

namespace bettong::protocol {

// A key that is not to be guessed is compared in time that does not depend on where it differs.
bool EqualsConstantTime(std::string_view a, std::string_view b);

}  // namespace bettong::protocol
