#include "ingest/address.h"

#include <absl/strings/str_cat.h>

#include <charconv>

namespace bettong::ingest {

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto refuse = [&](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrCat("address '", std::string(text), "': ", why, " (expected host:port)"));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return refuse("an IPv6 address needs brackets");
  }
  if (host.empty()) return refuse("no host");
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size()) {
    return refuse("the port is not a number from 0 to 65535");
  }
  return HostPort{std::string(host), std::string(port)};
}

std::string FormatHostPort(const std::string& host, uint16_t port) {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace bettong::ingest
