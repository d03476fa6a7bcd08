// `bettong tap`: what flows through a stream of a running node, a line of JSON an entry.
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "server/cli.h"
#include "server/commands.h"
#include "server/stream_reader.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kReconnectEvery{500};

void Note(const std::string& text) { std::fprintf(stderr, "tap: %s\n", text.c_str()); }

}  // namespace

int Tap(const TapArguments& arguments) {
  const std::string where = FormatHostPort(arguments.host, static_cast<uint16_t>(arguments.port));
  StreamReader reader({.server = {arguments.host, static_cast<uint16_t>(arguments.port)},
                       .password = arguments.password,
                       .stream = arguments.stream,
                       .from_start = arguments.from == "start"},
                      Note);
  if (absl::Status status = reader.Open(); !status.ok()) {
    if (!absl::IsUnavailable(status)) {
      return Fail(absl::UnavailableError(
          absl::StrCat("tap: ", where, ": ", std::string(status.message()))));
    }
    return Fail(absl::UnavailableError(
        absl::StrCat("tap: ", where, ": ", std::string(status.message()),
                     "; is a node running there? Its ready line says where it answers "
                     "(resp=HOST:PORT): give that with --host and --port")));
  }
  uint64_t left = arguments.count;
  const bool bounded = arguments.count > 0;
  const auto print = [&](std::string_view id, const std::string& json) {
    if (arguments.ids) {
      std::printf("{\"id\":\"%.*s\",\"event\":%s}\n", static_cast<int>(id.size()), id.data(),
                  json.c_str());
    } else {
      std::printf("%s\n", json.c_str());
    }
    return !bounded || --left > 0;
  };
  while (!bounded || left > 0) {
    absl::Status status = reader.Read(print);
    if (std::fflush(stdout) != 0) {
      return Fail(absl::UnavailableError("tap: write to standard output failed"));
    }
    if (status.ok()) continue;
    if (!absl::IsUnavailable(status)) {
      return Fail(absl::UnavailableError(absl::StrCat("tap: ", std::string(status.message()))));
    }
    Note(absl::StrCat("the connection to ", where, " is gone (", std::string(status.message()),
                      "); trying again"));
    while (!reader.Reopen().ok()) std::this_thread::sleep_for(kReconnectEvery);
    Note(absl::StrCat("connected to ", where, " again"));
  }
  return kExitOk;
}

}  // namespace bettong::server
