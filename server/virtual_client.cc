#include "server/virtual_client.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace bettong::server {

VirtualClient::VirtualClient(protocol::ShardPort& port, grid::Executor& executor)
    : executor_(executor) {
  protocol::ClientInfo info;
  info.id = port.node().next_client_id.fetch_add(1);
  info.address = "virtual";
  info.resp3 = true;
  info.connected_ms = executor.NowMs();
  session_ = std::make_unique<protocol::Session>(port, *this, std::move(info));
  session_->set_authenticated(true);
}

VirtualClient::~VirtualClient() { session_->Abandon(); }

void VirtualClient::Give(std::span<const std::string> args) {
  absl::StrAppend(&input_, "*", args.size(), "\r\n");
  for (const std::string& arg : args) {
    absl::StrAppend(&input_, "$", arg.size(), "\r\n");
    input_.append(arg).append("\r\n");
  }
  Feed();
}

std::string VirtualClient::Take() { return std::exchange(received_, {}); }

void VirtualClient::Send() {
  received_ += session_->output();
  session_->output().clear();
  if (session_->closing() && session_->idle()) closed_ = true;
}

void VirtualClient::Resume() {
  executor_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock() != nullptr) Feed();
  });
}

void VirtualClient::Feed() {
  input_.erase(0, session_->Consume(input_));
  // A session that paused for the sake of its output goes on when that is taken.
  const bool paused = session_->waiting();
  Send();
  if (paused && !session_->waiting()) Resume();
}

}  // namespace bettong::server
