// `bettong reload`: asks a running node, over its RESP port, to load its apps again.
#include <absl/strings/str_cat.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/host_port.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/resp_client.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kConnectLimit{10'000};
// The import has 10 s, turns under way have as many, and so has the disk.
constexpr std::chrono::milliseconds kReloadAnswerLimit{60'000};

}  // namespace

int Reload(const ReloadArguments& arguments) {
  const HostPort server{arguments.node.host, static_cast<uint16_t>(arguments.node.port)};
  const std::string where = FormatHostPort(server.host, server.port);
  const auto failed = [&](const absl::AlphaNum& what) {
    return Fail(absl::UnavailableError(absl::StrCat("reload: ", where, ": ", what)));
  };
  auto client = RespClient::Connect(server, kConnectLimit);
  if (!client.ok()) {
    return failed(absl::StrCat(client.status().message(),
                               "; is a node running there? Its ready line says where it answers "
                               "(resp=HOST:PORT): give that with --host and --port"));
  }
  std::vector<RespClient::Command> commands;
  if (!arguments.node.password.empty()) commands.push_back({"AUTH", arguments.node.password});
  RespClient::Command& reload = commands.emplace_back(RespClient::Command{"RELOAD"});
  for (const std::string& app : arguments.apps) {
    // The node's working directory is another one.
    std::error_code error;
    reload.push_back(std::filesystem::absolute(app, error).string());
  }
  auto replies = (*client)->Ask(commands, kReloadAnswerLimit);
  if (!replies.ok()) return failed(replies.status().message());
  for (const RespReply& reply : *replies) {
    if (reply.kind == RespReply::Kind::kError) return failed(reply.text);
  }
  std::printf("reloaded\n");
  return kExitOk;
}

}  // namespace bettong::server
