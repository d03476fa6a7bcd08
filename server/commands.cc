#include "server/commands.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "compute/python_host_loader.h"
#include "server/cli.h"
#include "server/node.h"

namespace bettong::server {

absl::StatusOr<NodeConfig> Configure(const NodeArguments& arguments) {
  NodeConfig config;
  absl::Status status;
  if (!arguments.config_file.empty()) status = LoadConfigFile(arguments.config_file, config);
  for (const std::string& setting : arguments.settings) {
    if (status.ok()) status = ApplySetting(setting, config);
  }
  if (arguments.shards > 0) {
    config.shards = static_cast<uint32_t>(arguments.shards);
    config.key_origins["node.shards"] = "--shards";
  }
  if (!arguments.python.empty()) {
    config.python_executable = arguments.python;
    config.key_origins["python.executable"] = "--python";
  }
  if (config.shards == 0) config.shards = std::max(1u, std::thread::hardware_concurrency());
  if (status.ok()) status = CheckConfig(config);
  if (!status.ok()) return status;
  return config;
}

absl::StatusOr<NodeConfig> ConfigureServe(const ServeArguments& arguments) {
  auto config = Configure(arguments.node);
  if (!config.ok()) return config;
  const auto set_port = [&](const std::string& section, int port) {
    if (port < 0) return absl::OkStatus();
    return ApplySetting(section + ".port=" + std::to_string(port), *config,
                        "--" + section + "-port");
  };
  absl::Status status = set_port("resp", arguments.resp_port);
  status.Update(set_port("http", arguments.http_port));
  if (!status.ok()) return status;
  if (arguments.no_data) {
    config->durability = Durability::kOff;
    config->key_origins["log.durability"] = "--no-data";
    if (status = CheckConfig(*config); !status.ok()) return status;
  }
  config->accept_loss = arguments.accept_loss;
  config->watch_apps = arguments.watch;
  if (!arguments.data_dir.empty()) {
    config->data_dir = arguments.data_dir;
    config->key_origins["log.dir"] = "--data";
  }
  return config;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "bettong: %s\n", std::string(status.message()).c_str());
  if (absl::IsFailedPrecondition(status)) return kExitBadApp;
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int Check(const CheckArguments& arguments) {
  auto config = Configure(arguments.node);
  if (!config.ok()) return Fail(config.status());
  auto node = Node::Make(*std::move(config), arguments.apps);
  if (!node.ok()) return Fail(node.status());
  const grid::Catalog& catalog = (*node)->catalog();
  for (const grid::StreamSchema& stream : catalog.streams) {
    std::printf("stream %s: %s, %zu handler(s)", stream.name.c_str(),
                stream.event.name.empty() ? "any JSON object" : stream.event.name.c_str(),
                stream.subscriptions.size() + stream.functions.size());
    if (stream.max_age_ms) {
      std::printf(", at most %g s old", static_cast<double>(*stream.max_age_ms) / 1000);
    }
    std::printf("\n");
  }
  for (const grid::FunctionSchema& function : catalog.functions) {
    std::printf("function %s: %sevents of stream %s", function.name.c_str(),
                function.late ? "late " : "",
                catalog.streams[function.stream.value()].name.c_str());
    if (function.batch_max > 0) std::printf(", up to %u at once", function.batch_max);
    std::printf("\n");
  }
  for (const grid::ClassSchema& entity : catalog.classes) {
    std::printf("entity %s: keys %s:*, %zu field(s), %zu bytes a row", entity.name.c_str(),
                entity.prefix.c_str(), entity.row.shown().size(), entity.row.row_bytes());
    if (entity.ttl_ms) {
      std::printf(", ttl %g s (%s clock)", static_cast<double>(*entity.ttl_ms) / 1000,
                  entity.clock == grid::TtlClock::kEvent ? "event" : "wall");
    }
    std::printf("\n");
    for (const grid::CommandSchema& command : entity.commands) {
      std::printf("  command %s\n", command.name.c_str());
    }
  }
  std::printf("ok\n");
  return kExitOk;
}

int Doctor(const DoctorArguments& arguments, const std::string& program) {
  std::printf("bettong      %s (%s)\n", BETTONG_VERSION, program.c_str());
  std::printf("cores        %u\n", std::thread::hardware_concurrency());
  compute::PythonOptions options;
  options.executable = arguments.python;
  bool good = true;
  for (const auto& [name, value] : compute::DescribePython(options)) {
    std::printf("%-12s %s\n", name.c_str(), value.c_str());
    good = good && name != "error";
  }
  return good ? kExitOk : kExitFailed;
}

int Demo(const std::string& program) {
  // The demo is an example like the others: a script beside the program's sources.
  namespace fs = std::filesystem;
  for (fs::path folder = fs::path(program).parent_path(); folder != folder.parent_path();
       folder = folder.parent_path()) {
    fs::path script = folder / "examples/hostwatch/demo.py";
    if (!fs::exists(script)) continue;
    fs::path python = folder / ".venv/bin/python";
    if (!fs::exists(python)) {
      std::fprintf(stderr, "bettong: demo: no %s: run tools/setup.sh, or `make demo`, which does\n",
                   python.c_str());
      return kExitFailed;
    }
    execl(python.c_str(), python.c_str(), script.c_str(), "--bettong", program.c_str(), nullptr);
    std::perror("bettong: demo: exec python");
    return kExitFailed;
  }
  std::fprintf(stderr, "bettong: demo: no examples/hostwatch/demo.py in any folder above %s\n",
               program.c_str());
  return kExitFailed;
}

}  // namespace bettong::server
