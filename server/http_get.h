// A blocking HTTP GET, for the command line.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <string>

#include "base/host_port.h"

namespace bettong::server {

// The body of a 200. Errors say what failed: "connect: Connection refused".
absl::StatusOr<std::string> HttpGet(const HostPort& server, const std::string& path,
                                    std::chrono::milliseconds limit);

}  // namespace bettong::server
