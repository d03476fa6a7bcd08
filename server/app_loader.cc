#include "server/app_loader.h"

#include <absl/strings/str_cat.h>

#include <filesystem>
#include <utility>

#include "compute/python_host_loader.h"

namespace bettong::server {

absl::Status CheckAppFiles(const std::vector<std::string>& app_paths) {
  for (const std::string& path : app_paths) {
    if (!std::filesystem::exists(path)) {
      return absl::InvalidArgumentError(absl::StrCat("load app ", path, ": no such file"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<compute::TurnHost>> LoadApps(
    const std::vector<std::string>& app_paths, const NodeConfig& config, grid::Catalog& catalog) {
  compute::PythonOptions options;
  options.executable = config.python_executable;
  options.handler_timeout_ms = config.handler_timeout_ms;
  options.handler_hard_limit_ms = config.handler_hard_limit_ms;
  options.memory_limit_bytes = config.python_memory_limit_bytes;
  options.log_format = config.log_format;
  auto apps = compute::LoadPythonApps(app_paths, options);
  if (!apps.ok()) {
    // An app that does not import is its own exit code.
    return absl::IsInvalidArgument(apps.status())
               ? absl::FailedPreconditionError(apps.status().message())
               : apps.status();
  }
  catalog = std::move(apps->catalog);
  for (grid::StreamSchema& stream : catalog.streams) {
    for (const StreamConfig& stream_config : config.streams) {
      stream.adds_are_durable |=
          stream.name == stream_config.name && stream_config.durability == Durability::kSync;
    }
  }
  if (std::string error = catalog.Finish(); !error.empty()) {
    return absl::FailedPreconditionError(error);
  }
  return std::move(apps->host);
}

}  // namespace bettong::server
