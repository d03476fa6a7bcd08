#include "server/stream_reader.h"

#include <absl/strings/str_cat.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/nearest_name.h"
#include "protocol/stream_id.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kAnswerLimit{5000};
// A blocking read is asked anew after so long: a connection that is gone without a word shows.
constexpr std::chrono::milliseconds kBlock{1000};
constexpr int kEntriesPerRead = 500;
constexpr std::string_view kBeforeAll = "0-0";

absl::Status ErrorOf(const std::string& doing, const RespReply& reply) {
  const bool password = reply.text.starts_with("NOAUTH") || reply.text.starts_with("WRONGPASS");
  return absl::InvalidArgumentError(absl::StrCat(
      doing, ": ", reply.text, password ? " Give the node's password with --password." : ""));
}

// The id of an entry; before all others if it is none.
grid::StreamEntryId IdOf(std::string_view text) {
  return protocol::ParseStreamId(text, 0).value_or(grid::StreamEntryId{});
}

// And fits on the entry's line.
bool IsJson(std::string_view text) {
  static constexpr std::string_view kBegins = "{[-0123456789tfn";
  if (text.empty() || kBegins.find(text.front()) == std::string_view::npos) return false;
  if (text.find_first_of("\r\n") != std::string_view::npos) return false;
  simdjson::dom::parser parser;
  return parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
}

}  // namespace

std::string EntryValueJson(std::string_view text, std::string_view type) {
  const bool is_text = type.starts_with("str") || type.starts_with("bytes");
  if (!is_text && IsJson(text)) return std::string(text);
  std::string json;
  AppendJsonString(text, json);
  return json;
}

StreamReader::StreamReader(StreamReaderOptions options,
                           std::function<void(const std::string&)> note)
    : options_(std::move(options)), note_(std::move(note)) {}

absl::Status StreamReader::Connect() {
  auto client = RespClient::Connect(options_.server, kAnswerLimit);
  if (!client.ok()) return client.status();
  if (!options_.password.empty()) {
    auto replies = (*client)->Ask({{"AUTH", options_.password}}, kAnswerLimit);
    if (!replies.ok()) return replies.status();
    if (replies->front().kind == RespReply::Kind::kError) return ErrorOf("AUTH", replies->front());
  }
  client_ = *std::move(client);
  return absl::OkStatus();
}

absl::Status StreamReader::Open() {
  if (absl::Status status = Connect(); !status.ok()) return status;
  if (absl::Status status = CheckStream(); !status.ok()) return status;
  auto replies = client_->Ask({{"XINFO", "STREAM", options_.stream}}, kAnswerLimit);
  if (!replies.ok()) return replies.status();
  auto view = LookAt(replies->front());
  if (!view.ok()) return view.status();
  if (options_.from_start || !view->exists) {
    position_ = view->added - view->length;
    if (position_ > 0) {
      note_(absl::StrCat("the first ", position_, " of ", view->added,
                         " entries are not in the view any more"));
    }
  } else {
    position_ = view->added;
    last_id_ = view->last_id;
  }
  note_(absl::StrCat("reading ", options_.stream, " from entry ", position_ + 1, " on"));
  return absl::OkStatus();
}

absl::Status StreamReader::CheckStream() {
  auto replies = client_->Ask({{"SCHEMA"}, {"EXISTS", options_.stream}}, kAnswerLimit);
  if (!replies.ok()) return replies.status();
  const RespReply& schema = replies->front();
  if (schema.kind == RespReply::Kind::kError) return ErrorOf("SCHEMA", schema);
  const bool exists = replies->back().integer > 0;
  const RespReply& streams = schema.Find("streams");
  std::vector<std::string_view> names;
  for (const RespReply& stream : streams.items) {
    names.push_back(stream.Find("name").text);
    if (names.back() != options_.stream) continue;
    const RespReply& fields = stream.Find("fields");
    for (size_t i = 0; i + 1 < fields.items.size(); i += 2) {
      field_types_[fields.items[i].text] = fields.items[i + 1].text;
    }
    if (!exists && !stream.Find("handlers").items.empty()) {
      note_(absl::StrCat(options_.stream,
                         " holds nothing yet: what computations emit into it and clients add "
                         "will show, what sources feed does not"));
    }
    return absl::OkStatus();
  }
  if (exists) return absl::OkStatus();
  std::string error = absl::StrCat("the node has no stream '", options_.stream, "'");
  if (const auto nearest = NearestName(options_.stream, names)) {
    absl::StrAppend(&error, "; did you mean '", std::string(*nearest), "'?");
  }
  return absl::InvalidArgumentError(error);
}

absl::StatusOr<StreamReader::View> StreamReader::LookAt(const RespReply& info) const {
  View view;
  if (info.kind == RespReply::Kind::kError) {
    if (info.text == "ERR no such key") return view;
    return ErrorOf(options_.stream, info);
  }
  view.exists = true;
  view.added = static_cast<uint64_t>(info.Find("entries-added").integer);
  view.length = static_cast<uint64_t>(info.Find("length").integer);
  view.last_id = info.Find("last-generated-id").text;
  return view;
}

bool StreamReader::NoteGap(const View& view, size_t unread) {
  const uint64_t first = view.added - view.length;
  if (view.added < position_) {
    note_(absl::StrCat("gap: ", options_.stream, " has begun anew, with ", view.added,
                       " entries so far; it had ", position_));
    if (IdOf(view.last_id) < IdOf(last_id_)) {
      position_ = first;
      last_id_ = kBeforeAll;
      return true;
    }
    position_ = view.last_id == last_id_ ? view.added
                                         : view.added - std::min<uint64_t>(unread, view.length);
    return false;
  }
  if (first > position_) {
    note_(absl::StrCat("gap: ", first - position_, " entries of ", options_.stream,
                       " were cut off the view before they could be read"));
    position_ = first;
  }
  return false;
}

absl::Status StreamReader::Read(
    const std::function<bool(std::string_view id, const std::string& json)>& entry) {
  if (client_ == nullptr) return absl::UnavailableError("not connected");
  auto replies =
      client_->Ask({{"XINFO", "STREAM", options_.stream},
                    {"XREAD", "COUNT", absl::StrCat(kEntriesPerRead), "BLOCK",
                     absl::StrCat(kBlock.count()), "STREAMS", options_.stream, last_id_}},
                   kBlock + kAnswerLimit);
  if (!replies.ok()) {
    client_.reset();
    return replies.status();
  }
  auto view = LookAt(replies->front());
  if (!view.ok()) return view.status();
  const RespReply& read = replies->back();
  if (read.kind == RespReply::Kind::kError) return ErrorOf(options_.stream, read);
  // The one stream, as its name and its entries; nothing if the time was over.
  static const std::vector<RespReply> kNone;
  const bool any = read.items.size() == 1 && read.items[0].items.size() == 2;
  const std::vector<RespReply>& entries = any ? read.items[0].items[1].items : kNone;
  if (NoteGap(*view, entries.size())) return absl::OkStatus();
  for (const RespReply& each : entries) {
    if (each.items.size() != 2) return absl::InternalError("an entry is an id and its fields");
    last_id_ = each.items[0].text;
    ++position_;
    if (!entry(last_id_, EntryJson(each.items[1]))) break;
  }
  return absl::OkStatus();
}

absl::Status StreamReader::Reopen() {
  client_.reset();
  return Connect();
}

std::string StreamReader::EntryJson(const RespReply& fields) const {
  std::string json = "{";
  for (size_t i = 0; i + 1 < fields.items.size(); i += 2) {
    if (i > 0) json += ',';
    AppendJsonString(fields.items[i].text, json);
    const auto type = field_types_.find(fields.items[i].text);
    absl::StrAppend(
        &json, ":",
        EntryValueJson(fields.items[i + 1].text, type == field_types_.end() ? "" : type->second));
  }
  return json + "}";
}

}  // namespace bettong::server
