// "host:port" as the configuration writes it; IPv6 in brackets: "[::1]:9000".
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace bettong::ingest {

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
std::string FormatHostPort(const std::string& host, uint16_t port);

}  // namespace bettong::ingest
