// `bettong wal`: looks at the log of a data directory. Reads only, takes no lock, needs no app; a
// node may be running in the directory.
#pragma once

#include <optional>
#include <string>

namespace bettong::server {

inline constexpr char kDataDirectoryDefault[] = "./bettong-data";

struct WalArguments {
  std::string directory = kDataDirectoryDefault;
};

struct WalDumpArguments {
  std::string directory = kDataDirectoryDefault;
  std::optional<int> shard;      // whose log
  std::optional<int> partition;  // of the sections
  std::optional<std::string> key;
  int from_segment = 0;
  bool json = false;
};

int WalLs(const WalArguments& arguments);
int WalDump(const WalDumpArguments& arguments);
int WalVerify(const WalArguments& arguments);

}  // namespace bettong::server
