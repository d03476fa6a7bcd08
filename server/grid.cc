// `bettong grid`: a node under a virtual clock, driven line by line over standard input and output.
// It is what bettong.testing.TestGrid starts.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/deep_thread.h"
#include "base/log.h"
#include "grid/compute_host.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/grid_requests.h"
#include "server/virtual_node.h"

namespace bettong::server {
namespace {

// Standard input and output for the requests alone: what the app prints goes to standard error, and
// what it reads is at its end.
struct RequestPipes {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> in{nullptr, &std::fclose};
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out{nullptr, &std::fclose};

  bool Take() {
    // Not for the processes that the app may start.
    in.reset(::fdopen(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), "r"));
    out.reset(::fdopen(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), "w"));
    return in != nullptr && out != nullptr && ::dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 &&
           std::freopen("/dev/null", "r", stdin) != nullptr;
  }

  bool Say(std::string line) {
    line += '\n';
    return std::fwrite(line.data(), 1, line.size(), out.get()) == line.size() &&
           std::fflush(out.get()) == 0;
  }
};

int Serve(const GridArguments& arguments) {
  NodeArguments node_arguments = arguments.node;
  if (node_arguments.shards == 0) node_arguments.shards = 1;
  auto config = Configure(node_arguments);
  if (!config.ok()) return Fail(config.status());
  SetLogFormat(config->log_format);
  RequestPipes pipes;
  if (!pipes.Take()) {
    return Fail(absl::UnavailableError(std::string("grid: take standard input and output: ") +
                                       std::strerror(errno)));
  }
  auto node = VirtualNode::Make(*std::move(config), arguments.apps, arguments.start_ms);
  if (!node.ok()) return Fail(node.status());
  GridRequests requests(**node);
  if (!pipes.Say(requests.Greeting())) return kExitFailed;
  char* line = nullptr;
  size_t capacity = 0;
  while (!(*node)->shutdown_requested()) {
    const ssize_t size = ::getline(&line, &capacity, pipes.in.get());
    if (size <= 0) break;
    // Nobody to answer is no failure: the test has ended.
    if (!pipes.Say(requests.Answer({line, static_cast<size_t>(size)}))) break;
  }
  std::free(line);
  return kExitOk;
}

}  // namespace

// Handlers may recurse as deeply as in production.
int Grid(const GridArguments& arguments) {
  int code = kExitFailed;
  DeepThread thread(grid::kLaneStackBytes, [&] { code = Serve(arguments); });
  thread.join();
  return code;
}

}  // namespace bettong::server
