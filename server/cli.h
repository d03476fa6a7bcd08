// The command line: `bettong SUBCOMMAND ...`.
#pragma once

namespace bettong::server {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;      // something went wrong while running
inline constexpr int kExitUsage = 2;       // the command line or the configuration
inline constexpr int kExitBadApp = 3;      // an app does not import
inline constexpr int kExitLogFailed = 74;  // the log can't be written any more (EX_IOERR)

int Main(int argc, char** argv);

}  // namespace bettong::server
