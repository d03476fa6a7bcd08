// `bettong dead-letters`: the dead letters of a running node, over its RESP port.
#include <absl/strings/str_cat.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "base/json_text.h"
#include "server/cli.h"
#include "server/commands.h"
#include "server/resp_client.h"
#include "server/stream_reader.h"

namespace bettong::server {
namespace {

constexpr std::chrono::milliseconds kAnswerLimit{10'000};
constexpr uint64_t kLettersPerAnswer = 500;

// Asks one command at a time; an error reply is a status.
class Letters {
 public:
  static absl::StatusOr<Letters> Open(const NodePort& node) {
    const HostPort server{node.host, static_cast<uint16_t>(node.port)};
    auto client = RespClient::Connect(server, kAnswerLimit);
    const std::string where = FormatHostPort(node.host, server.port);
    if (!client.ok()) {
      return absl::UnavailableError(
          absl::StrCat("dead-letters: ", where, ": ", std::string(client.status().message()),
                       "; is a node running there? Its ready line says where it answers "
                       "(resp=HOST:PORT): give that with --host and --port"));
    }
    Letters letters(where, *std::move(client));
    if (node.password.empty()) return letters;
    auto reply = letters.Ask({"AUTH", node.password});
    if (!reply.ok()) return reply.status();
    return letters;
  }

  absl::StatusOr<RespReply> Ask(const RespClient::Command& command) {
    auto replies = client_->Ask({command}, kAnswerLimit);
    if (!replies.ok()) return Error(replies.status().message());
    RespReply& reply = replies->front();
    if (reply.kind != RespReply::Kind::kError) return std::move(reply);
    const bool password = reply.text.starts_with("NOAUTH") || reply.text.starts_with("WRONGPASS");
    return Error(
        absl::StrCat(reply.text, password ? " Give the node's password with --password." : ""));
  }

 private:
  Letters(std::string where, std::unique_ptr<RespClient> client)
      : where_(std::move(where)), client_(std::move(client)) {}

  absl::Status Error(absl::string_view what) const {
    return absl::UnavailableError(absl::StrCat("dead-letters: ", where_, ": ", std::string(what)));
  }

  std::string where_;
  std::unique_ptr<RespClient> client_;
};

// A letter, as a list of names and values, as one line.
std::string LetterJson(const RespReply& letter) {
  std::string json;
  for (size_t i = 0; i + 1 < letter.items.size(); i += 2) {
    const std::string& name = letter.items[i].text;
    const RespReply& value = letter.items[i + 1];
    json.push_back(i == 0 ? '{' : ',');
    AppendJsonString(name, json);
    json.push_back(':');
    const bool may_be_json = name == "event" || name == "state";
    json += value.kind == RespReply::Kind::kNull
                ? "null"
                : EntryValueJson(value.text, may_be_json ? "" : "str");
  }
  json.push_back('}');
  return json;
}

int Finish(const absl::Status& status) {
  if (std::fflush(stdout) != 0) {
    return Fail(absl::UnavailableError("dead-letters: write to standard output failed"));
  }
  return status.ok() ? kExitOk : Fail(status);
}

absl::Status List(Letters& letters, const DeadLettersArguments& arguments) {
  std::string from = "-";
  uint64_t left = arguments.count == 0 ? UINT64_MAX : arguments.count;
  while (left > 0) {
    const uint64_t asked = std::min(left, kLettersPerAnswer);
    RespClient::Command command{"DEADLETTER", "LIST", "FROM", from, "COUNT", std::to_string(asked)};
    if (!arguments.entity_class.empty()) {
      command.insert(command.end(), {"CLASS", arguments.entity_class});
    }
    if (!arguments.stream.empty()) command.insert(command.end(), {"STREAM", arguments.stream});
    auto reply = letters.Ask(command);
    if (!reply.ok()) return reply.status();
    for (const RespReply& letter : reply->items) std::printf("%s\n", LetterJson(letter).c_str());
    if (reply->items.size() < asked) break;
    left -= asked;
    from = "(" + reply->items.back().Find("id").text;
  }
  return absl::OkStatus();
}

absl::Status Show(Letters& letters, const DeadLettersArguments& arguments) {
  for (const std::string& id : arguments.ids) {
    auto reply = letters.Ask({"DEADLETTER", "GET", id});
    if (!reply.ok()) return reply.status();
    std::printf("%s\n", LetterJson(*reply).c_str());
  }
  return absl::OkStatus();
}

// Of the letters chosen; prints how many they were.
absl::Status Do(Letters& letters, const DeadLettersArguments& arguments, const char* subcommand,
                const char* done) {
  RespClient::Command command{"DEADLETTER", subcommand};
  if (arguments.all) {
    command.push_back("ALL");
  } else if (!arguments.entity_class.empty()) {
    command.insert(command.end(), {"CLASS", arguments.entity_class});
  } else {
    command.insert(command.end(), arguments.ids.begin(), arguments.ids.end());
  }
  auto reply = letters.Ask(command);
  if (!reply.ok()) return reply.status();
  std::printf("%s=%lld\n", done, static_cast<long long>(reply->integer));
  return absl::OkStatus();
}

absl::Status Drop(Letters& letters, const DeadLettersArguments& arguments) {
  return Do(letters, arguments, "DROP", "dropped");
}

absl::Status Retry(Letters& letters, const DeadLettersArguments& arguments) {
  return Do(letters, arguments, "RETRY", "retried");
}

int With(const DeadLettersArguments& arguments,
         absl::Status (*run)(Letters& letters, const DeadLettersArguments& arguments)) {
  auto letters = Letters::Open(arguments.node);
  if (!letters.ok()) return Fail(letters.status());
  return Finish(run(*letters, arguments));
}

}  // namespace

int ListDeadLetters(const DeadLettersArguments& arguments) { return With(arguments, List); }
int ShowDeadLetters(const DeadLettersArguments& arguments) { return With(arguments, Show); }
int DropDeadLetters(const DeadLettersArguments& arguments) { return With(arguments, Drop); }
int RetryDeadLetters(const DeadLettersArguments& arguments) { return With(arguments, Retry); }

}  // namespace bettong::server
