// `bettong replay`: a recording of events, sent to a TCP source at the pace of their own times.
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include "base/host_port.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/replay_pace.h"
#include "server/stop_signal.h"

namespace bettong::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr size_t kBufferBytes = 64u << 10;
// A wait is cut into pieces: somebody may ask for the end, and a terminal is shown how far it is.
constexpr std::chrono::milliseconds kWaitSlice{200};

class Target {
 public:
  absl::Status Connect(const HostPort& server) {
    error_code error;
    asio::ip::tcp::resolver resolver(io_);
    const auto found = resolver.resolve(server.host, std::to_string(server.port), error);
    if (!error) asio::connect(socket_, found, error);
    return error ? absl::UnavailableError(absl::StrCat("connect: ", error.message()))
                 : absl::OkStatus();
  }

  absl::Status Add(std::string_view line) {
    buffer_.append(line).push_back('\n');
    return buffer_.size() < kBufferBytes ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    error_code error;
    bytes_ += asio::write(socket_, asio::buffer(buffer_), error);
    buffer_.clear();
    return error ? absl::UnavailableError(absl::StrCat("send: ", error.message()))
                 : absl::OkStatus();
  }

  // A source closes when everything that it was sent has been done.
  absl::Status Finish() {
    if (absl::Status status = Flush(); !status.ok()) return status;
    error_code error;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
    char byte;
    while (!error) socket_.read_some(asio::buffer(&byte, 1), error);
    return error == asio::error::eof ? absl::OkStatus()
                                     : absl::UnavailableError(absl::StrCat(
                                           "wait for the source to finish: ", error.message()));
  }

  uint64_t bytes() const { return bytes_; }

 private:
  asio::io_context io_{1};
  asio::ip::tcp::socket socket_{io_};
  std::string buffer_;
  uint64_t bytes_ = 0;
};

class Replayer {
 public:
  Replayer(double speed, const std::string& time_field, const StopSignal& stop)
      : pace_(speed), time_(time_field), stop_(stop), shown_(isatty(STDERR_FILENO) == 1) {}

  absl::Status Run(std::istream& input, Target& target) {
    begin_ = Clock::now();
    for (std::string line; !stop_.raised() && std::getline(input, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (line.empty()) continue;
      if (const auto event_ms = time_.Read(line)) {
        if (absl::Status status = WaitUntilDue(*event_ms, target); !status.ok()) return status;
        if (stop_.raised()) break;
      } else {
        ++untimed_;
      }
      if (absl::Status status = target.Add(line); !status.ok()) return status;
      ++lines_;
    }
    return stop_.raised() ? target.Flush() : target.Finish();
  }

  void Summarize(uint64_t bytes) {
    if (shown_) std::fprintf(stderr, "\r\033[K");
    std::fprintf(stderr,
                 "lines=%llu bytes=%llu without_time=%llu event_seconds=%.3f seconds=%.3f "
                 "late_seconds_max=%.3f\n",
                 static_cast<unsigned long long>(lines_), static_cast<unsigned long long>(bytes),
                 static_cast<unsigned long long>(untimed_),
                 static_cast<double>(pace_.span_ms()) / 1000,
                 std::chrono::duration<double>(Clock::now() - begin_).count(),
                 std::chrono::duration<double>(late_max_).count());
  }

 private:
  absl::Status WaitUntilDue(TimeMs event_ms, Target& target) {
    const auto after = pace_.DueAfter(event_ms);
    if (after.count() == 0) return absl::OkStatus();
    const Clock::time_point due = begin_ + after;
    if (Clock::now() >= due) {
      late_max_ = std::max(late_max_, Clock::now() - due);
      return absl::OkStatus();
    }
    // What is due is on its way before anything waits.
    if (absl::Status status = target.Flush(); !status.ok()) return status;
    while (!stop_.raised() && Clock::now() < due) {
      Show();
      std::this_thread::sleep_until(std::min(due, Clock::now() + kWaitSlice));
    }
    return absl::OkStatus();
  }

  void Show() {
    const auto now = Clock::now();
    if (!shown_ || now - last_shown_ < kWaitSlice) return;
    last_shown_ = now;
    std::fprintf(stderr, "\r%llu lines, %.1f s of event time",
                 static_cast<unsigned long long>(lines_),
                 static_cast<double>(pace_.span_ms()) / 1000);
  }

  ReplayPace pace_;
  EventTimeReader time_;
  const StopSignal& stop_;
  const bool shown_;
  Clock::time_point begin_, last_shown_;
  Clock::duration late_max_{};
  uint64_t lines_ = 0;
  uint64_t untimed_ = 0;
};

}  // namespace

int Replay(const ReplayArguments& arguments) {
  const auto fail = [](const absl::Status& status) {
    return Fail(
        absl::Status(status.code(), absl::StrCat("replay: ", std::string(status.message()))));
  };
  auto server = ParseHostPort(arguments.to);
  if (!server.ok()) {
    return fail(absl::InvalidArgumentError(absl::StrCat(
        "--to ", arguments.to, ": ", std::string(server.status().message()), "; it is HOST:PORT")));
  }
  const auto speed = ParseReplaySpeed(arguments.speed);
  if (!speed) {
    return fail(absl::InvalidArgumentError(
        absl::StrCat("--speed ", arguments.speed, ": it is a number of times, like 10x, or max")));
  }
  std::ifstream file;
  if (arguments.file != "-") {
    file.open(arguments.file, std::ios::binary);
    if (!file) {
      return fail(absl::UnavailableError(
          absl::StrCat("open ", arguments.file, ": ", std::strerror(errno))));
    }
  }
  Target target;
  if (absl::Status status = target.Connect(*server); !status.ok()) {
    return fail(absl::UnavailableError(absl::StrCat(
        arguments.to, ": ", std::string(status.message()),
        "; is a TCP source there? The node's ready line says where (source.NAME=HOST:PORT)")));
  }
  StopSignal stop;
  Replayer replay(*speed, arguments.time_field, stop);
  absl::Status status = replay.Run(arguments.file == "-" ? std::cin : file, target);
  if (status.ok() && file.bad()) {
    status = absl::UnavailableError(absl::StrCat("read ", arguments.file, " failed"));
  }
  replay.Summarize(target.bytes());
  if (!status.ok())
    return fail(
        absl::UnavailableError(absl::StrCat(arguments.to, ": ", std::string(status.message()))));
  return stop.raised() ? kExitForced : kExitOk;
}

}  // namespace bettong::server
