#include "compute/python/host_testing.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"

extern "C" const bettong::compute::PythonHostApi* bettong_python_host();

namespace bettong::compute::python {
namespace {

namespace fs = std::filesystem;

const PythonHostApi& StartedHost() {
  static const PythonHostApi* const api = [] {
    PythonOptions options;
    // Any environment will do; the tests' own has numpy.
    const char* venv = std::getenv("VIRTUAL_ENV");
    fs::path python =
        fs::path(venv == nullptr ? fs::absolute(".venv") : fs::path(venv)) / "bin/python";
    options.executable = fs::exists(python) ? python.string() : "/usr/bin/python3.11";
    options.sdk_directory = fs::absolute("clients/python").string();
    absl::Status status = bettong_python_host()->start(options);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
    BETTONG_CHECK(status.ok());
    return bettong_python_host();
  }();
  return *api;
}

std::string Render(grid::TaggedReader& reader) {
  grid::TaggedItem item = reader.Next();
  std::string out;
  switch (item.tag) {
    case grid::Tag::kNil:
      return "nil";
    case grid::Tag::kTrue:
      return "true";
    case grid::Tag::kFalse:
      return "false";
    case grid::Tag::kInt:
      return std::to_string(item.integer);
    case grid::Tag::kFloat:
      return std::to_string(item.real) + "f";
    case grid::Tag::kText:
      return "'" + std::string(item.bytes) + "'";
    case grid::Tag::kBytes:
      return "b'" + std::string(item.bytes) + "'";
    case grid::Tag::kList:
      for (uint64_t i = 0; i < item.size; ++i) out += (i > 0 ? ", " : "") + Render(reader);
      return "[" + out + "]";
    case grid::Tag::kMap:
      for (uint64_t i = 0; i < item.size; ++i) {
        out += (i > 0 ? ", " : "") + Render(reader);
        out += ": " + Render(reader);
      }
      return "{" + out + "}";
    case grid::Tag::kError:
    case grid::Tag::kStatus:
      break;
  }
  return std::string(item.bytes);
}

}  // namespace

const grid::EventRecord* MakeRecord(const grid::Catalog& catalog, StreamId stream,
                                    const std::vector<EventValue>& values, ByteBuffer& buffer) {
  const grid::EventSchema& schema = catalog.streams.at(stream.value()).event;
  BETTONG_CHECK(values.size() == schema.fields.size());
  grid::EventRecordBuilder builder(buffer, stream, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::monostate>) builder.SetNull(i);
          if constexpr (std::is_same_v<T, int64_t>) builder.SetInt(i, value);
          if constexpr (std::is_same_v<T, double>) builder.SetFloat(i, value);
          if constexpr (std::is_same_v<T, bool>) builder.SetBool(i, value);
          if constexpr (std::is_same_v<T, std::string>) builder.SetBytes(i, value);
        },
        values[i]);
  }
  builder.Finish();
  return reinterpret_cast<const grid::EventRecord*>(buffer.data());
}

absl::StatusOr<PythonApps> TestApp::LoadSources(
    const std::vector<std::pair<std::string, std::string>>& files, PythonOptions options) {
  const PythonHostApi& api = StartedHost();
  std::string directory = (fs::temp_directory_path() / "bettong-test-XXXXXX").string();
  BETTONG_CHECK(mkdtemp(directory.data()) != nullptr);
  std::vector<std::string> paths;
  for (const auto& [name, source] : files) {
    paths.push_back(directory + "/" + name);
    std::ofstream(paths.back()) << source;
  }
  absl::StatusOr<PythonApps> apps = api.load_apps(paths, options);
  fs::remove_all(directory);
  return apps;
}

TestApp::TestApp(const std::string& source, PythonOptions options) {
  absl::StatusOr<PythonApps> apps = LoadSources({{"app.py", source}}, options);
  if (!apps.ok()) std::fprintf(stderr, "%s\n", apps.status().ToString().c_str());
  BETTONG_CHECK(apps.ok());
  apps_ = *std::move(apps);
  redis_key_ = schema().prefix + ":key";
  row_.redis_key = redis_key_;
  row_.prefix_bytes = static_cast<uint32_t>(schema().prefix.size() + 1);
  row_.exists = true;
  row_.row = std::make_unique<char[]>(schema().row.row_bytes());
  mirror_ = std::make_unique<char[]>(schema().row.row_bytes());
  schema().row.InitDefaults(row_.row.get(), ClassId(0));
  schema().row.InitDefaults(mirror_.get(), ClassId(0));
}

TestApp::~TestApp() {
  schema().row.Destroy(row_.row.get());
  schema().row.Destroy(mirror_.get());
}

std::string TestApp::LoadError(const std::string& source) {
  absl::StatusOr<PythonApps> apps = LoadSources({{"app.py", source}});
  return apps.ok() ? "" : std::string(apps.status().message());
}

bool TestApp::Emit(StreamId stream, std::string_view json) {
  outputs_.push_back(catalog().streams.at(stream.value()).name + " " + std::string(json));
  return true;
}

TestApp::Turn TestApp::Run(TurnCall& call) {
  Turn turn;
  outputs_.clear();
  std::string reply;
  call.now_ms = now_ms;
  call.outputs = this;
  call.delta = &turn.delta;
  call.reply = &reply;
  host().Enter();
  turn.status = host().Run(call);
  host().Leave();
  turn.error = call.error;
  turn.requests = call.requests;
  turn.outputs = outputs_;
  if (!reply.empty()) {
    grid::TaggedReader reader(reply);
    turn.reply = Render(reader);
  }
  if (!turn.delta.empty()) {
    ByteReader in(turn.delta);
    BETTONG_CHECK(schema().row.ApplyDelta(mirror_.get(), in) && in.empty());
  }
  BETTONG_CHECK(turn.ok() || turn.delta.empty());
  BETTONG_CHECK(RowsAgree());
  return turn;
}

TestApp::Turn TestApp::Event(const std::vector<EventValue>& values, size_t handler) {
  ByteBuffer buffer;
  TurnCall call{.kind = grid::TurnKind::kEvent, .index = static_cast<uint16_t>(handler)};
  call.row = &row_;
  call.event = MakeRecord(catalog(), schema().handlers.at(handler).stream, values, buffer);
  return Run(call);
}

TestApp::Turn TestApp::Keys(const std::vector<EventValue>& values, size_t handler) {
  ByteBuffer buffer;
  TurnCall call{.kind = grid::TurnKind::kKeys, .index = static_cast<uint16_t>(handler)};
  call.event = MakeRecord(catalog(), schema().handlers.at(handler).stream, values, buffer);
  return Run(call);
}

TestApp::Turn TestApp::Call(const std::string& command, const std::vector<std::string>& arguments) {
  std::string tagged;
  grid::TaggedWriter writer(tagged);
  writer.List(arguments.size());
  for (const std::string& argument : arguments) writer.Bytes(argument);
  TurnCall call{.kind = grid::TurnKind::kCall};
  while (schema().commands.at(call.index).name != command) ++call.index;
  call.row = &row_;
  call.arguments = tagged;
  return Run(call);
}

TestApp::Turn TestApp::Method(grid::TurnKind kind) {
  TurnCall call{.kind = kind};
  call.row = &row_;
  return Run(call);
}

std::string TestApp::Field(const std::string& name) const {
  size_t index = 0;
  BETTONG_CHECK(schema().row.Find(name, &index) != nullptr);
  std::string text;
  schema().row.AppendText(row_.row.get(), index, text);
  return text;
}

bool TestApp::RowsAgree() const {
  std::string mine, theirs;
  schema().row.EncodeRow(row_.row.get(), mine);
  schema().row.EncodeRow(mirror_.get(), theirs);
  return mine == theirs;
}

}  // namespace bettong::compute::python
