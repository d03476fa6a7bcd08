// What INFO says of sources, and of the partitions of topics that they read.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/node_view.h"

namespace bettong::server {

void AddSourceLines(std::span<const SourceView> sources,
                    std::vector<std::pair<std::string, std::string>>& lines);

}  // namespace bettong::server
