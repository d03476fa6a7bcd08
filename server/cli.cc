#include "server/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "ingest/kafka/mock_brokers.h"
#include "server/commands.h"
#include "server/wal_commands.h"

namespace bettong::server {
namespace {

// The end of the year 9999: deadlines behind it still fit.
constexpr TimeMs kGridStartMax = 253'402'300'799'999;

// The repository or installation that this program belongs to: where examples/ lies.
std::string ProgramPath() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

void AddNodeOptions(CLI::App& command, NodeArguments& arguments) {
  command.add_option("-c,--config", arguments.config_file, "TOML file")->check(CLI::ExistingFile);
  command
      .add_option("--set", arguments.settings, "path=value, like node.shards=2; may be repeated")
      ->take_all();
  command
      .add_option("--shards", arguments.shards, "threads that hold state; default: one per core")
      ->check(CLI::Range(1, 64));
  command.add_option(
      "--python", arguments.python,
      "the interpreter (of a virtual environment) to use: a path, or a name on PATH");
}

void AddDirectory(CLI::App& command, std::string& directory) {
  command.add_option("DIR", directory, "the data directory")->capture_default_str();
}

void AddNodePort(CLI::App& command, NodePort& node) {
  command.add_option("--host", node.host, "of the node's RESP port")->capture_default_str();
  command.add_option("--port", node.port, "the node's RESP port")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command.add_option("--password", node.password, "if the node asks for one")
      ->envname("BETTONG_PASSWORD");
}

void AddServeOptions(CLI::App& command, ServeArguments& arguments) {
  command.add_option("APP.py", arguments.apps, "apps to load")->take_all();
  AddNodeOptions(command, arguments.node);
  command.add_option("--resp-port", arguments.resp_port, "port of the Redis protocol; 0: any")
      ->check(CLI::Range(0, 65535));
  command
      .add_option("--http-port", arguments.http_port, "port of health and metrics, HTTP; 0: any")
      ->check(CLI::Range(0, 65535));
  CLI::Option* no_data =
      command.add_flag("--no-data", arguments.no_data, "keep everything in memory only");
  command
      .add_option("--data", arguments.data_dir,
                  "the data directory; default: ./bettong-data, made if it is missing")
      ->excludes(no_data);
  command.add_flag("--watch", arguments.watch,
                   "load the apps again, under live state, whenever a file of theirs changes");
  command
      .add_flag(
          "--accept-loss", arguments.accept_loss,
          "start in spite of a damaged log: go on with what hangs together, say what is lost, "
          "and keep the old log aside")
      ->excludes(no_data);
}

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app{"Bettong: a stream processor and compute cache in one process.", "bettong"};
  app.set_version_flag("--version", "bettong " BETTONG_VERSION, "print the version");
  app.require_subcommand(0, 1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_help_all_flag("--help-all", "help on all subcommands");

  ServeArguments serve_arguments;
  CLI::App* serve = app.add_subcommand("serve", "run a node");
  AddServeOptions(*serve, serve_arguments);

  ServeArguments config_arguments;
  CLI::App* config = app.add_subcommand("config", "look at the configuration");
  config->require_subcommand(0, 1);
  CLI::App* config_show = config->add_subcommand(
      "show",
      "print every key of the configuration that `serve` would have with these options, "
      "and where its value comes from, as TOML");
  AddServeOptions(*config_show, config_arguments);

  RunArguments run_arguments;
  CLI::App* run = app.add_subcommand("run", "process a file to its end");
  run->add_option("APP.py", run_arguments.app, "the app")->required();
  run->add_option("--input", run_arguments.input, "a file of lines; -: standard input")->required();
  run->add_option("--format", run_arguments.format,
                  "of the lines: json (the default), influx, graphite or csv");
  run->add_option("--precision", run_arguments.precision,
                  "of influx's timestamps: ns (the default), us, ms or s");
  run->add_option("--columns", run_arguments.columns,
                  "of csv, NAME,NAME,...; default: the first line names them");
  run->add_option("--delimiter", run_arguments.delimiter, "between csv's cells; default: a comma");
  run->add_option("--stream", run_arguments.stream,
                  "the stream to feed; default: the only one that has a handler");
  run->add_option("--output", run_arguments.output,
                  "takes what is emitted to streams without a handler; -: standard output");
  AddNodeOptions(*run, run_arguments.node);
  run->footer(
      "The last line on standard error:\n"
      "  events=        lines of the input, decoded or dead-lettered, each once\n"
      "  outputs=       emitted to streams, dead letters not counted\n"
      "  live=          entities at the end\n"
      "  dead_letters=  put into bettong:dead-letters\n"
      "  seconds=       from the first byte to the last consequence");

  CheckArguments check_arguments;
  CLI::App* check =
      app.add_subcommand("check", "load apps and configuration, and say what they declare");
  check->add_option("APP.py", check_arguments.apps, "apps to load")->take_all();
  AddNodeOptions(*check, check_arguments.node);

  TopArguments top_arguments;
  CLI::App* top = app.add_subcommand("top", "show what a running node is doing");
  top->add_option("--http", top_arguments.http, "its HTTP port, HOST:PORT")->capture_default_str();
  top->add_option("--interval", top_arguments.interval_s,
                  "time between two looks: seconds, or with a unit: 500ms, 2s")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"ms", 0.001}, {"s", 1}}))
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  top->add_flag("--once", top_arguments.once, "look twice, print what was between, and end");

  TapArguments tap_arguments;
  CLI::App* tap =
      app.add_subcommand("tap", "print the entries of a running node's stream as lines of JSON");
  tap->add_option("STREAM", tap_arguments.stream, "the stream")->required();
  tap->add_option("--host", tap_arguments.host, "of its RESP port")->capture_default_str();
  tap->add_option("--port", tap_arguments.port, "its RESP port")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  tap->add_option("--password", tap_arguments.password, "if the node asks for one")
      ->envname("BETTONG_PASSWORD");
  tap->add_option("--count", tap_arguments.count, "end after so many entries")
      ->check(CLI::PositiveNumber);
  tap->add_option("--from", tap_arguments.from, "start: what the view still holds; now: what comes")
      ->check(CLI::IsMember({"start", "now"}))
      ->capture_default_str();
  tap->add_flag("--ids", tap_arguments.ids, "lines of {\"id\": ..., \"event\": ...}");

  DeadLettersArguments list_letters_arguments, show_letters_arguments;
  DeadLettersArguments drop_letters_arguments, retry_letters_arguments;
  CLI::App* letters = app.add_subcommand(
      "dead-letters", "list, show, retry and drop a running node's dead letters");
  letters->require_subcommand(1);
  CLI::App* list_letters = letters->add_subcommand("list", "a line per letter, oldest first");
  list_letters->add_option("--class", list_letters_arguments.entity_class, "of this class only");
  list_letters->add_option("--stream", list_letters_arguments.stream, "of this stream only");
  list_letters->add_option("--count", list_letters_arguments.count, "end after so many")
      ->check(CLI::PositiveNumber);
  AddNodePort(*list_letters, list_letters_arguments.node);
  CLI::App* show_letters = letters->add_subcommand("show", "all that letters tell");
  show_letters->add_option("ID", show_letters_arguments.ids, "as list tells it")->required();
  AddNodePort(*show_letters, show_letters_arguments.node);
  const auto choosing = [&](const char* name, const char* what, DeadLettersArguments& arguments) {
    CLI::App* made = letters->add_subcommand(name, what);
    CLI::Option_group* which = made->add_option_group("which");
    which->add_option("ID", arguments.ids, "as list tells it");
    which->add_option("--class", arguments.entity_class, "all of this class");
    which->add_flag("--all", arguments.all, "all there are");
    which->require_option(1);
    AddNodePort(*made, arguments.node);
    return made;
  };
  CLI::App* retry_letters = choosing("retry", "run what letters are about again, and remove them",
                                     retry_letters_arguments);
  CLI::App* drop_letters =
      choosing("drop", "remove letters: by their ids, of a class, or all", drop_letters_arguments);

  ReloadArguments reload_arguments;
  CLI::App* reload = app.add_subcommand(
      "reload", "have new code take over in a running node, under live state: all or nothing");
  reload
      ->add_option("APP.py", reload_arguments.apps,
                   "files to load in the place of those that the node runs; default: these again")
      ->take_all();
  AddNodePort(*reload, reload_arguments.node);

  ReplayArguments replay_arguments;
  CLI::App* replay = app.add_subcommand(
      "replay", "send a file of JSON lines to a TCP source, as far apart as they were");
  replay->add_option("FILE", replay_arguments.file, "a file of lines; -: standard input")
      ->required();
  replay->add_option("--to", replay_arguments.to, "the source, HOST:PORT")->required();
  replay
      ->add_option("--speed", replay_arguments.speed,
                   "10x: ten times as fast; max: without waiting")
      ->capture_default_str();
  replay
      ->add_option("--time-field", replay_arguments.time_field,
                   "the field with an event's time, ms since 1970")
      ->capture_default_str();
  replay->footer(
      "The last line on standard error:\n"
      "  lines=             sent\n"
      "  without_time=      of these, sent with the line before them\n"
      "  event_seconds=     from the first event's time to the latest\n"
      "  seconds=           from the first byte to the source's having done everything\n"
      "  late_seconds_max=  the most that a line was sent after its moment");

  TestArguments test_arguments;
  CLI::App* test = app.add_subcommand(
      "test",
      "run an app's tests: pytest with the fixture `grid`, and scenarios (*.events.jsonl); "
      "whatever follows the options is pytest's: paths, -k, -x, ...");
  test->add_option("--app", test_arguments.apps, "the app that `grid` runs; may be repeated")
      ->allow_extra_args(false)
      ->take_all();
  test->add_option("--python", test_arguments.python,
                   "the interpreter (of a virtual environment) that runs the tests and the app");
  test->prefix_command();

  GridArguments grid_arguments;
  CLI::App* grid = app.add_subcommand(
      "grid",
      "run apps under a virtual clock, for tests: lines of JSON on standard input and output");
  grid->add_option("APP.py", grid_arguments.apps, "apps to load")->required()->take_all();
  grid->add_option("--start", grid_arguments.start_ms, "the time at the beginning, ms since 1970")
      ->check(CLI::Range(TimeMs{0}, kGridStartMax))
      ->required();
  AddNodeOptions(*grid, grid_arguments.node);

  DoctorArguments doctor_arguments;
  CLI::App* doctor =
      app.add_subcommand("doctor", "look at this machine, as far as it concerns Bettong");
  doctor->add_option("--python", doctor_arguments.python, "the interpreter to look at");

  DevKafkaArguments dev_kafka_arguments;
  CLI::App* dev = app.add_subcommand("dev", "what helps while an app is written");
  dev->require_subcommand(1);
  CLI::App* dev_kafka = dev->add_subcommand(
      "kafka", "brokers to try things with: librdkafka's imitation, in memory, without a JVM");
  dev_kafka->add_option("--brokers", dev_kafka_arguments.brokers, "how many")
      ->check(CLI::Range(1, ingest::kMockBrokersMax))
      ->capture_default_str();
  dev_kafka
      ->add_option("--topic", dev_kafka_arguments.topics,
                   "NAME or NAME:PARTITIONS, to be there from the start; may be repeated")
      ->take_all();

  WalArguments ls_arguments, verify_arguments;
  WalDumpArguments dump_arguments;
  CLI::App* log = app.add_subcommand("wal", "look at the log of a data directory");
  log->require_subcommand(1);
  CLI::App* ls = log->add_subcommand("ls", "list its segments");
  AddDirectory(*ls, ls_arguments.directory);
  CLI::App* dump = log->add_subcommand("dump", "show what is in it, a line per entry");
  AddDirectory(*dump, dump_arguments.directory);
  dump->add_option("--shard", dump_arguments.shard, "this shard's log only")
      ->check(CLI::NonNegativeNumber);
  dump->add_option("--partition", dump_arguments.partition, "this partition only")
      ->check(CLI::NonNegativeNumber);
  dump->add_option("--key", dump_arguments.key, "changes of this key only");
  dump->add_option("--from-segment", dump_arguments.from_segment,
                   "leave segments with smaller numbers out")
      ->check(CLI::NonNegativeNumber);
  dump->add_flag("--json", dump_arguments.json, "JSON lines, with whole values");
  CLI::App* verify = log->add_subcommand(
      "verify", "judge it as a node that starts would, and change nothing; exit code 1: it is bad");
  AddDirectory(*verify, verify_arguments.directory);

  CLI::App* demo =
      app.add_subcommand("demo", "watch this machine for DEMO_SECONDS (30; 0: until Ctrl-C)");
  CLI::App* version = app.add_subcommand("version", "print the version");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (serve->parsed()) return Serve(serve_arguments);
  if (config_show->parsed()) return ShowConfiguration(config_arguments);
  if (run->parsed()) return Run(run_arguments);
  if (check->parsed()) return Check(check_arguments);
  if (top->parsed()) return Top(top_arguments);
  if (tap->parsed()) return Tap(tap_arguments);
  if (list_letters->parsed()) return ListDeadLetters(list_letters_arguments);
  if (show_letters->parsed()) return ShowDeadLetters(show_letters_arguments);
  if (retry_letters->parsed()) return RetryDeadLetters(retry_letters_arguments);
  if (drop_letters->parsed()) return DropDeadLetters(drop_letters_arguments);
  if (reload->parsed()) return Reload(reload_arguments);
  if (replay->parsed()) return Replay(replay_arguments);
  if (test->parsed()) {
    test_arguments.pytest = test->remaining();
    return Test(test_arguments, ProgramPath());
  }
  if (grid->parsed()) return Grid(grid_arguments);
  if (dev_kafka->parsed()) return DevKafka(dev_kafka_arguments);
  if (doctor->parsed()) return Doctor(doctor_arguments, ProgramPath());
  if (ls->parsed()) return WalLs(ls_arguments);
  if (dump->parsed()) return WalDump(dump_arguments);
  if (verify->parsed()) return WalVerify(verify_arguments);
  if (demo->parsed()) return Demo(ProgramPath());
  if (version->parsed()) {
    std::printf("bettong %s\n", BETTONG_VERSION);
    return kExitOk;
  }
  std::fprintf(stderr, "%s", (config->parsed() ? config : &app)->help().c_str());
  return kExitUsage;
}

}  // namespace bettong::server
