// "host:port" as the configuration writes it; IPv6 in brackets: "[::1]:9000".
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace bettong {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};

absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
std::string FormatHostPort(const std::string& host, uint16_t port);

// Only this machine can reach it: "localhost", 127.0.0.0/8, ::1.
bool IsLoopback(std::string_view host);

}  // namespace bettong
