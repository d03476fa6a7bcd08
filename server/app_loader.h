// From the files of apps to what they declare and the host that runs them.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "compute/turn_host.h"
#include "grid/catalog.h"
#include "server/config.h"

namespace bettong::server {

// InvalidArgument if one of the files is not there.
absl::Status CheckAppFiles(const std::vector<std::string>& app_paths);

// Imports the apps on the calling thread, which becomes the only one that may use the host, and
// finishes the catalog with what the configuration says of streams. kFailedPrecondition: an app
// does not import; the message is the traceback.
absl::StatusOr<std::unique_ptr<compute::TurnHost>> LoadApps(
    const std::vector<std::string>& app_paths, const NodeConfig& config, grid::Catalog& catalog);

// What the configuration says of streams belongs to the catalog, too; it is finished with that.
absl::Status FinishCatalog(const NodeConfig& config, grid::Catalog& catalog);

// Whether the apps declare the streams that the configuration names.
absl::Status CheckStreams(const NodeConfig& config, const grid::Catalog& catalog);

// Imports another version beside the one that runs, on the host's thread: the catalog that may
// follow `current`, with its ids. An error says why not; nothing is staged then.
absl::StatusOr<std::shared_ptr<grid::Catalog>> StageApps(compute::TurnHost& host,
                                                         const std::vector<std::string>& app_paths,
                                                         const NodeConfig& config,
                                                         const grid::Catalog& current);

}  // namespace bettong::server
