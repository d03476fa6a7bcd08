// What a connection tells about itself: CLIENT INFO, CLIENT LIST and the like.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace bettong::protocol {

struct ClientInfo {
  uint64_t id = 0;      // unique in the node, rising
  std::string address;  // ip:port
  std::string local_address;
  std::string name;          // CLIENT SETNAME
  std::string library_name;  // CLIENT SETINFO
  std::string library_version;
  int descriptor = -1;
  bool resp3 = false;
  bool no_evict = false;
  bool no_touch = false;
  TimeMs connected_ms = 0;
  TimeMs last_command_ms = 0;
  std::string_view last_command;  // of the command table
};

// What changes from moment to moment.
struct ClientLoad {
  size_t channels = 0, patterns = 0;
  size_t input_bytes = 0, output_bytes = 0;
  bool blocked = false;
};

// Names and values that CLIENT LIST shows: no spaces, nothing unprintable.
bool IsClientText(std::string_view text);

// One line of CLIENT LIST, with its newline.
std::string FormatClient(const ClientInfo& info, const ClientLoad& load, TimeMs now_ms);

}  // namespace bettong::protocol
