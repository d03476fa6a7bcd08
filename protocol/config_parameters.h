// The parameters that CONFIG GET and CONFIG SET know.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/node_services.h"

namespace bettong::protocol {

struct PortNode;

// Name and value of all parameters, in order of name.
std::vector<std::pair<std::string, std::string>> ConfigParameters(const PortNode& node,
                                                                  const NodeSettings& settings);

// Changes one parameter in `settings`. The error's text, or empty.
std::string SetConfigParameter(std::string_view name, std::string_view value, const PortNode& node,
                               NodeSettings& settings);

}  // namespace bettong::protocol
