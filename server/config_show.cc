// `bettong config show`: the configuration as a TOML file that says where each value comes from.
#include <algorithm>
#include <cstdio>

#include "base/json_text.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/config.h"

namespace bettong::server {
namespace {

// Comments stand in one column unless a value is longer.
constexpr size_t kCommentColumn = 40;

// A name of a table that TOML does not take bare is quoted: [source."a b"].
std::string TableHead(const std::string& table) {
  const size_t dot = table.find('.');
  if (dot == std::string::npos) return "[" + table + "]";
  const std::string name = table.substr(dot + 1);
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  std::string head = "[" + table.substr(0, dot + 1);
  bare ? void(head += name) : AppendJsonString(name, head);
  return head + "]";
}

// A path may hold what must not be in a comment.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

}  // namespace

std::string ShowConfig(const NodeConfig& config) {
  std::string text, table;
  for (const ConfigKey& key : ListConfig(config)) {
    if (key.table != table) {
      table = key.table;
      text += (text.empty() ? "" : "\n") + TableHead(table) + "\n";
    }
    // TOML has no word for "none": such a key is a comment.
    std::string line =
        key.value.empty() ? "# " + key.name + ": none" : key.name + " = " + key.value;
    line.resize(std::max(line.size() + 2, kCommentColumn), ' ');
    text += line + "# " + Printable(key.origin) + "\n";
  }
  return text;
}

int ShowConfiguration(const ServeArguments& arguments) {
  auto config = ConfigureServe(arguments);
  if (!config.ok()) return Fail(config.status());
  const std::string text = ShowConfig(*config);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) == 0) return kExitOk;
  return Fail(absl::UnavailableError("config show: write to standard output failed"));
}

}  // namespace bettong::server
