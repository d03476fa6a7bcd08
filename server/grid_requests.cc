#include "server/grid_requests.h"

#include <absl/strings/str_cat.h>
#include <simdjson.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/nearest_name.h"

namespace bettong::server {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr unsigned kByteMax = 0xff;

// A string whose code points are bytes; nothing if one of them is none.
std::optional<std::string> BytesOfText(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned point = static_cast<unsigned char>(text[i]);
    if (point >= 0x80) {
      // simdjson has checked that this is UTF-8; two bytes are as far as 0x7ff.
      if (point >= 0xe0) return std::nullopt;
      point = (point & 0x1fu) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3fu);
    }
    if (point > kByteMax) return std::nullopt;
    bytes.push_back(static_cast<char>(point));
  }
  return bytes;
}

void AppendBytesAsJson(std::string_view bytes, std::string& out) {
  std::string text;
  for (const char byte : bytes) {
    const auto point = static_cast<unsigned char>(byte);
    if (point < 0x80) {
      text.push_back(byte);
    } else {
      text.push_back(static_cast<char>(0xc0 | point >> 6));
      text.push_back(static_cast<char>(0x80 | (point & 0x3f)));
    }
  }
  AppendJsonString(text, out);
}

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("request: ", std::string(what)));
}

}  // namespace

class GridRequests::Impl {
 public:
  explicit Impl(VirtualNode& node) : node_(node) {}

  std::string Greeting() const {
    std::string text = absl::StrCat("{\"protocol\":", kGridProtocol, ",\"version\":");
    AppendJsonString(node_.identity().version, text);
    absl::StrAppend(&text, ",\"now\":", node_.now_ms());
    AppendStreams(text);
    return text + "}";
  }

  std::string Answer(std::string_view request) {
    answer_.clear();
    absl::Status status;
    try {
      status = Carry(request);
    } catch (const simdjson::simdjson_error& error) {
      status = Malformed(error.what());
    }
    std::string line = absl::StrCat("{\"now\":", node_.now_ms());
    if (status.ok()) {
      line += answer_;
    } else {
      line += ",\"error\":";
      AppendJsonString(std::string(status.message()), line);
    }
    AppendOutputs(line);
    return line + "}";
  }

 private:
  absl::Status Carry(std::string_view request) {
    padded_ = simdjson::padded_string(request);
    ondemand::document document = parser_.iterate(padded_);
    ondemand::object fields = document.get_object();
    const std::string_view op = fields["op"].get_string();
    if (op == "send") return Send(fields);
    if (op == "advance_to") return node_.AdvanceTo(fields["to"].get_int64());
    if (op == "command") return Command(fields);
    if (op == "entity") return Entity(fields);
    if (op == "watermark") return Watermark(fields);
    if (op == "reload") return Reload(fields);
    return Malformed(absl::StrCat("no operation '", std::string(op), "'"));
  }

  absl::StatusOr<StreamId> Stream(ondemand::object& fields) const {
    const std::string name(std::string_view(fields["stream"].get_string()));
    StreamId stream;
    if (node_.catalog().FindStream(name, &stream) != nullptr) return stream;
    std::vector<std::string_view> names;
    for (const grid::StreamSchema& known : node_.catalog().streams) names.push_back(known.name);
    const auto nearest = NearestName(name, names);
    return absl::InvalidArgumentError(
        absl::StrCat("no app declares the stream '", name, "'",
                     nearest ? absl::StrCat("; did you mean '", std::string(*nearest), "'?") : ""));
  }

  // A JSON string is an event's text, as it may come from anywhere.
  absl::Status Send(ondemand::object& fields) {
    auto stream = Stream(fields);
    if (!stream.ok()) return stream.status();
    for (ondemand::value event : fields["events"].get_array()) {
      absl::Status status;
      if (event.type() == ondemand::json_type::string) {
        auto bytes = BytesOfText(event.get_string());
        if (!bytes) return Malformed("an event's text holds a code point above 255");
        status = node_.Send(*stream, *bytes);
      } else {
        const std::string_view json = simdjson::to_json_string(event);
        status = node_.Send(*stream, json);
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Command(ondemand::object& fields) {
    std::vector<std::string> args;
    for (ondemand::value arg : fields["args"].get_array()) {
      auto bytes = BytesOfText(arg.get_string());
      if (!bytes) return Malformed("an argument holds a code point above 255");
      args.push_back(*std::move(bytes));
    }
    if (args.empty()) return Malformed("a command without a name");
    auto reply = node_.Command(args);
    if (!reply.ok()) return reply.status();
    answer_ += ",\"reply\":";
    AppendBytesAsJson(*reply, answer_);
    return absl::OkStatus();
  }

  absl::Status Entity(ondemand::object& fields) {
    auto key = BytesOfText(fields["key"].get_string());
    if (!key) return Malformed("a key holds a code point above 255");
    auto entity = node_.Entity(*key);
    if (!entity.ok()) return entity.status();
    absl::StrAppend(&answer_, ",\"entity\":", *entity);
    return absl::OkStatus();
  }

  absl::Status Watermark(ondemand::object& fields) {
    auto stream = Stream(fields);
    if (!stream.ok()) return stream.status();
    const auto watermark = node_.Watermark(*stream);
    answer_ += ",\"watermark\":";
    answer_ += watermark ? absl::StrCat(*watermark) : "null";
    return absl::OkStatus();
  }

  // What has failed is the app's, not the request's: "refused" says what.
  absl::Status Reload(ondemand::object& fields) {
    std::vector<std::string> paths;
    for (ondemand::value path : fields["apps"].get_array()) {
      paths.emplace_back(std::string_view(path.get_string()));
    }
    const absl::Status status = node_.Reload(std::move(paths));
    if (!status.ok()) {
      answer_ += ",\"refused\":";
      AppendJsonString(std::string(status.message()), answer_);
    }
    AppendStreams(answer_);
    return absl::OkStatus();
  }

  void AppendStreams(std::string& line) const {
    line += ",\"streams\":[";
    bool first = true;
    for (const grid::StreamSchema& stream : node_.catalog().streams) {
      if (stream.retired) continue;
      if (!std::exchange(first, false)) line += ',';
      AppendJsonString(stream.name, line);
    }
    line += ']';
  }

  // An output is JSON on one line.
  void AppendOutputs(std::string& line) {
    line += ",\"outputs\":[";
    bool first = true;
    for (const VirtualOutput& output : node_.TakeOutputs()) {
      absl::StrAppend(&line, std::exchange(first, false) ? "" : ",", "{\"stream\":");
      AppendJsonString(node_.catalog().streams[output.stream.value()].name, line);
      absl::StrAppend(&line, ",\"at\":", output.at_ms, ",\"event\":", output.json, "}");
    }
    line += ']';
  }

  VirtualNode& node_;
  ondemand::parser parser_;
  simdjson::padded_string padded_;
  std::string answer_;  // fields of the answer at hand
};

GridRequests::GridRequests(VirtualNode& node) : impl_(std::make_unique<Impl>(node)) {}
GridRequests::~GridRequests() = default;

std::string GridRequests::Greeting() const { return impl_->Greeting(); }
std::string GridRequests::Answer(std::string_view request) { return impl_->Answer(request); }

}  // namespace bettong::server
