#include "server/app_loader.h"

#include <absl/strings/str_cat.h>

#include <filesystem>
#include <utility>

#include "compute/python_host_loader.h"
#include "grid/catalog_succession.h"

namespace bettong::server {

absl::Status CheckAppFiles(const std::vector<std::string>& app_paths) {
  for (const std::string& path : app_paths) {
    if (!std::filesystem::exists(path)) {
      return absl::InvalidArgumentError(absl::StrCat("load app ", path, ": no such file"));
    }
  }
  return absl::OkStatus();
}

absl::Status FinishCatalog(const NodeConfig& config, grid::Catalog& catalog) {
  for (grid::StreamSchema& stream : catalog.streams) {
    for (const StreamConfig& stream_config : config.streams) {
      stream.adds_are_durable |=
          stream.name == stream_config.name && stream_config.durability == Durability::kSync;
    }
  }
  const std::string error = catalog.Finish();
  return error.empty() ? absl::OkStatus() : absl::FailedPreconditionError(error);
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
  if (absl::Status status = FinishCatalog(config, catalog); !status.ok()) return status;
  return std::move(apps->host);
}

absl::Status CheckStreams(const NodeConfig& config, const grid::Catalog& catalog) {
  auto check = [&](const std::string& table, const std::string& stream) -> absl::Status {
    if (catalog.FindStream(stream) != nullptr) return absl::OkStatus();
    std::string known;
    for (const grid::StreamSchema& schema : catalog.streams) {
      if (!schema.retired) absl::StrAppend(&known, known.empty() ? "" : ", ", schema.name);
    }
    return absl::InvalidArgumentError(absl::StrCat("[", table, "] names stream '", stream,
                                                   "', which no app declares; there are: ", known));
  };
  absl::Status status;
  for (const auto& source : config.sources)
    status.Update(check("source." + source.name, source.stream));
  for (const auto& sink : config.sinks) status.Update(check("sink." + sink.name, sink.stream));
  for (const auto& stream : config.streams)
    status.Update(check("stream." + stream.name, stream.name));
  return status;
}

absl::StatusOr<std::shared_ptr<grid::Catalog>> StageApps(compute::TurnHost& host,
                                                         const std::vector<std::string>& app_paths,
                                                         const NodeConfig& config,
                                                         const grid::Catalog& current) {
  absl::StatusOr<grid::Catalog> staged = host.Stage(app_paths, current);
  if (!staged.ok()) return staged.status();
  auto next = std::make_shared<grid::Catalog>(*std::move(staged));
  absl::Status status = FinishCatalog(config, *next);
  if (status.ok()) status = CheckStreams(config, *next);
  if (!status.ok()) {
    host.DropStaged();
    return status;
  }
  grid::ShareShapes(current, *next);
  return next;
}

}  // namespace bettong::server
