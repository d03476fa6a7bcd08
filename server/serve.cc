// `bettong serve`: a node until SIGTERM, SIGINT or SHUTDOWN.
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/node.h"
#include "server/stop_signal.h"

namespace bettong::server {

int Serve(const ServeArguments& arguments) {
  StopSignal stop;  // before any thread: they inherit the mask
  auto config = ConfigureServe(arguments);
  if (!config.ok()) return Fail(config.status());
  SetLogFormat(config->log_format);
  auto made = Node::Make(*std::move(config), arguments.apps);
  if (!made.ok()) return Fail(made.status());
  Node& node = **made;
  if (absl::Status status = node.Open(); !status.ok()) return Fail(status);
  node.OnShutdownRequest([&stop] { stop.Raise(); });
  node.Start();
  std::fprintf(stderr, "%s\n", node.ReadyLine().c_str());
  stop.Wait();
  LogInfo("node", "stopping: draining what has been admitted");
  stop.ArmLimit();
  node.Stop();
  return kExitOk;
}

}  // namespace bettong::server
