// The subcommands: arguments in, exit code out. Data goes to stdout, the rest to stderr.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "server/config.h"

namespace bettong::server {

struct NodeArguments {
  std::string config_file;
  std::vector<std::string> settings;
  int shards = 0;  // 0: as configured
  std::string python;
};

struct ServeArguments {
  NodeArguments node;
  std::vector<std::string> apps;
  int resp_port = -1;  // -1: as configured
  int http_port = -1;
  bool no_data = false;
  std::string data_dir;  // empty: as configured
  bool accept_loss = false;
  bool watch = false;
};

struct RunArguments {
  NodeArguments node;
  std::string app;
  std::string input;
  std::string stream;
  std::string output;
  // As the configuration's keys of the same names; unset: not said.
  std::optional<std::string> format;
  std::optional<std::string> precision;
  std::optional<std::string> columns;
  std::optional<std::string> delimiter;
};

struct CheckArguments {
  NodeArguments node;
  std::vector<std::string> apps;
};

struct TapArguments {
  std::string stream;
  std::string host = "127.0.0.1";
  int port = 6390;
  std::string password;
  uint64_t count = 0;        // 0: without end
  std::string from = "now";  // or "start"
  bool ids = false;
};

// Where a running node answers.
struct NodePort {
  std::string host = "127.0.0.1";
  int port = 6390;
  std::string password;
};

struct DeadLettersArguments {
  NodePort node;
  std::string entity_class, stream;  // empty: of all
  uint64_t count = 0;                // 0: all
  bool all = false;
  std::vector<std::string> ids;
};

struct ReloadArguments {
  NodePort node;
  std::vector<std::string> apps;  // none: those that the node runs
};

struct ReplayArguments {
  std::string file;
  std::string to;
  std::string speed = "1x";
  std::string time_field = "ts";
};

struct GridArguments {
  NodeArguments node;
  std::vector<std::string> apps;
  TimeMs start_ms = 0;
};

struct TestArguments {
  std::string python;
  std::vector<std::string> apps;
  std::vector<std::string> pytest;  // handed on as they are
};

struct DoctorArguments {
  std::string python;
};

struct DevKafkaArguments {
  int brokers = 1;
  std::vector<std::string> topics;  // NAME or NAME:PARTITIONS
};

struct TopArguments {
  std::string http = "127.0.0.1:6391";
  double interval_s = 1;
  bool once = false;
};

int Serve(const ServeArguments& arguments);
int ShowConfiguration(const ServeArguments& arguments);
int Run(const RunArguments& arguments);
int Check(const CheckArguments& arguments);
int Top(const TopArguments& arguments);
int Tap(const TapArguments& arguments);
int ListDeadLetters(const DeadLettersArguments& arguments);
int ShowDeadLetters(const DeadLettersArguments& arguments);
int DropDeadLetters(const DeadLettersArguments& arguments);
int Reload(const ReloadArguments& arguments);
int RetryDeadLetters(const DeadLettersArguments& arguments);
int Replay(const ReplayArguments& arguments);
int Grid(const GridArguments& arguments);
int Test(const TestArguments& arguments, const std::string& program);
int Doctor(const DoctorArguments& arguments, const std::string& program);
int DevKafka(const DevKafkaArguments& arguments);
int Demo(const std::string& program);

// Defaults, file, --set, options: what the node is to be.
absl::StatusOr<NodeConfig> Configure(const NodeArguments& arguments);
// The same with the options that only `serve` has.
absl::StatusOr<NodeConfig> ConfigureServe(const ServeArguments& arguments);

// Prints the error and answers the exit code that goes with it.
int Fail(const absl::Status& status);

}  // namespace bettong::server
