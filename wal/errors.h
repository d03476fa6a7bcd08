// How errors of the log are worded: "wal: " and what was tried on what.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <string>

namespace bettong::wal {

// An error of the file system, as one of the log.
inline absl::Status InWal(const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("wal: ", status.message()));
}

// What is on disk is not what was written.
template <typename... Parts>
absl::Status Corruption(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat("wal: ", parts...));
}

}  // namespace bettong::wal
