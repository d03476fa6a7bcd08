// `bettong run`: an app over bounded input, to its end.
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "ingest/file_source.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/node.h"
#include "server/stop_signal.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kProgressEvery{200};

// The stream to feed: the one named, or the only one that has a handler.
absl::StatusOr<StreamId> InputStream(const grid::Catalog& catalog, const std::string& name) {
  StreamId found;
  if (!name.empty()) {
    if (catalog.FindStream(name, &found) != nullptr) return found;
    return absl::InvalidArgumentError(
        absl::StrCat("--stream ", name, ": no app declares this stream"));
  }
  std::string with_handlers;
  size_t count = 0;
  for (size_t i = 0; i < catalog.streams.size(); ++i) {
    if (!catalog.streams[i].has_handlers()) continue;
    found = StreamId(static_cast<uint16_t>(i));
    absl::StrAppend(&with_handlers, count++ > 0 ? ", " : "", catalog.streams[i].name);
  }
  if (count == 1) return found;
  return absl::InvalidArgumentError(
      count == 0 ? "the app has no handler: nothing to feed"
                 : absl::StrCat("several streams have handlers; choose one with --stream: ",
                                with_handlers));
}

// What the lines of the input are.
absl::StatusOr<ingest::FormatConfig> InputFormat(const RunArguments& arguments) {
  ingest::FormatConfig format;
  const std::pair<const char*, const std::optional<std::string>&> options[] = {
      {"format", arguments.format},
      {"precision", arguments.precision},
      {"columns", arguments.columns},
      {"delimiter", arguments.delimiter}};
  for (const auto& [key, text] : options) {
    if (!text) continue;
    if (absl::Status status = SetFormatOption(key, *text, format); !status.ok()) return status;
  }
  if (absl::Status status = CheckFormat(format, "the input"); !status.ok()) return status;
  return format;
}

// Shows bytes and events on a terminal until told that the input is done.
class Progress {
 public:
  explicit Progress(const ingest::FileSource& source)
      : source_(source), shown_(isatty(STDERR_FILENO)) {}

  void Show() {
    if (!shown_) return;
    uint64_t done = source_.bytes_done();
    uint64_t total = source_.bytes_total();
    std::fprintf(stderr, "\r%s %llu events",
                 total > 0 ? absl::StrCat(done * 100 / total, "%").c_str() : "",
                 static_cast<unsigned long long>(source_.counters().frames.load()));
    std::fflush(stderr);
  }
  void Clear() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }

 private:
  const ingest::FileSource& source_;
  bool shown_;
};

}  // namespace

int Run(const RunArguments& arguments) {
  StopSignal stop;
  auto format = InputFormat(arguments);
  if (!format.ok()) return Fail(format.status());
  auto config = Configure(arguments.node);
  if (!config.ok()) return Fail(config.status());
  SetLogFormat(config->log_format);
  config->resp_enabled = config->http_enabled = false;
  config->sources.clear();
  config->durability = Durability::kOff;
  config->bounded_input = true;
  config->unhandled_output = arguments.output;
  auto made = Node::Make(*std::move(config), {arguments.app});
  if (!made.ok()) return Fail(made.status());
  Node& node = **made;
  auto stream = InputStream(node.catalog(), arguments.stream);
  if (!stream.ok()) return Fail(stream.status());
  if (absl::Status status = node.Open(); !status.ok()) return Fail(status);

  ingest::FileSource source(ingest::FileSourceConfig{.path = arguments.input, .format = *format},
                            *stream, node.door(0),
                            [](std::string_view line) { LogWarning("ingest", line); });
  if (absl::Status status = source.Open(); !status.ok()) return Fail(status);
  auto begin = std::chrono::steady_clock::now();
  node.Start();
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  absl::Status read;
  source.Start([&](absl::Status status) {
    std::lock_guard lock(mutex);
    read = std::move(status);
    done = true;
    changed.notify_all();
  });
  Progress progress(source);
  // Nobody waits for an output that cannot be written, nor for long once the end is asked for.
  auto look = [&] {
    if (stop.raised()) {
      source.Stop();
      stop.ArmLimit();
    }
    return node.output_broken();
  };
  {
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, kProgressEvery, [&] { return done; })) {
      if (look()) break;
      progress.Show();
    }
  }
  progress.Clear();
  node.EndBoundedInput(look);
  if (node.output_broken()) {
    node.Stop(std::chrono::milliseconds(0));
    return Fail(absl::UnavailableError("write output: its reader is gone (broken pipe)"));
  }
  NodeTotals totals = node.Totals();
  node.Stop();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::fprintf(stderr, "events=%llu outputs=%llu live=%llu dead_letters=%llu seconds=%.3f\n",
               static_cast<unsigned long long>(totals.events),
               static_cast<unsigned long long>(totals.outputs),
               static_cast<unsigned long long>(totals.entities),
               static_cast<unsigned long long>(totals.dead_letters), seconds);
  if (!read.ok()) return Fail(absl::UnavailableError(std::string(read.message())));
  return stop.raised() ? kExitForced : kExitOk;
}

}  // namespace bettong::server
