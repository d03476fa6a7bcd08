#include "protocol/client_info.h"

#include <algorithm>

#include "protocol/text.h"

namespace bettong::protocol {

bool IsClientText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

std::string FormatClient(const ClientInfo& info, const ClientLoad& load, TimeMs now_ms) {
  std::string flags;
  if (load.channels + load.patterns > 0) flags += 'P';
  if (load.blocked) flags += 'b';
  if (info.no_evict) flags += 'e';
  if (info.no_touch) flags += 'T';
  if (flags.empty()) flags = "N";
  std::string line = "id=" + std::to_string(info.id);
  const auto add = [&line](const char* name, const std::string& value) {
    line += ' ';
    line += name;
    line += '=';
    line += value;
  };
  add("addr", info.address);
  add("laddr", info.local_address);
  add("fd", std::to_string(info.descriptor));
  add("name", info.name);
  add("age", std::to_string((now_ms - info.connected_ms) / 1000));
  add("idle", std::to_string((now_ms - info.last_command_ms) / 1000));
  add("flags", flags);
  add("db", "0");
  add("sub", std::to_string(load.channels));
  add("psub", std::to_string(load.patterns));
  add("ssub", "0");
  add("multi", "-1");
  add("watch", "0");
  add("qbuf", std::to_string(load.input_bytes));
  add("qbuf-free", "0");
  add("argv-mem", "0");
  add("multi-mem", "0");
  add("rbs", "0");
  add("rbp", "0");
  add("obl", std::to_string(load.output_bytes));
  add("oll", "0");
  add("omem", "0");
  add("tot-mem", std::to_string(load.input_bytes + load.output_bytes));
  add("events", "r");
  add("cmd", info.last_command.empty() ? "NULL" : LowerCase(info.last_command));
  add("user", "default");
  add("redir", "-1");
  add("resp", info.resp3 ? "3" : "2");
  add("lib-name", info.library_name);
  add("lib-ver", info.library_version);
  line += '\n';
  return line;
}

}  // namespace bettong::protocol
