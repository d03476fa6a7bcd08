#include "server/resp_client.h"

#include <absl/strings/str_cat.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <utility>

namespace bettong::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

constexpr size_t kReadBytesMin = 64u << 10;

}  // namespace

// One step after the other, each to its end or the limit: a blocking call would know no limit.
class RespClient::Impl {
 public:
  absl::Status Connect(const HostPort& server, std::chrono::milliseconds limit) {
    error_code error;
    asio::ip::tcp::resolver resolver(io_);
    const auto found = resolver.resolve(server.host, std::to_string(server.port), error);
    if (error) return Failed("look up the name", error);
    stream_.expires_after(limit);
    stream_.async_connect(found, [&](const error_code& code, const auto&) { error = code; });
    Finish();
    if (error) return Failed("connect", error);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<RespReply>> Ask(const std::vector<Command>& commands,
                                             std::chrono::milliseconds limit) {
    std::string request;
    for (const Command& command : commands) {
      absl::StrAppend(&request, "*", command.size(), "\r\n");
      for (const std::string& word : command) {
        absl::StrAppend(&request, "$", word.size(), "\r\n", word, "\r\n");
      }
    }
    stream_.expires_after(limit);
    error_code error;
    asio::async_write(stream_, asio::buffer(request),
                      [&](const error_code& code, size_t) { error = code; });
    Finish();
    if (error) return Failed("send a command", error);
    std::vector<RespReply> replies;
    while (replies.size() < commands.size()) {
      auto whole = TakeReply(replies);
      if (!whole.ok()) return whole.status();
      if (*whole) continue;
      if (absl::Status status = ReadMore(); !status.ok()) return status;
    }
    return replies;
  }

 private:
  static absl::Status Failed(const char* what, const error_code& error) {
    return absl::UnavailableError(absl::StrCat(
        what, ": ",
        error == beast::error::timeout ? std::string("no answer in time") : error.message()));
  }

  void Finish() {
    io_.restart();
    io_.run();
  }

  absl::StatusOr<bool> TakeReply(std::vector<RespReply>& replies) {
    RespReply reply;
    size_t size = 0;
    switch (ReadRespReply(received_, reply, size)) {
      case RespReplyStatus::kWhole:
        received_.erase(0, size);
        replies.push_back(std::move(reply));
        return true;
      case RespReplyStatus::kIncomplete:
        if (received_.size() <= kRespReplyBytesMax) return false;
        return absl::UnavailableError("read a reply: it is too long");
      case RespReplyStatus::kBroken:
        break;
    }
    return absl::UnavailableError("read a reply: that is not the Redis protocol");
  }

  // Doubled with what is there: a long reply is parsed anew a few times only.
  absl::Status ReadMore() {
    const size_t before = received_.size();
    received_.resize(before + std::max(before, kReadBytesMin));
    size_t read = 0;
    error_code error;
    stream_.async_read_some(asio::buffer(received_.data() + before, received_.size() - before),
                            [&](const error_code& code, size_t size) {
                              error = code;
                              read = size;
                            });
    Finish();
    received_.resize(before + read);
    return error ? Failed("read a reply", error) : absl::OkStatus();
  }

  asio::io_context io_{1};
  beast::tcp_stream stream_{io_};
  std::string received_;
};

RespClient::RespClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RespClient::~RespClient() = default;

absl::StatusOr<std::unique_ptr<RespClient>> RespClient::Connect(const HostPort& server,
                                                                std::chrono::milliseconds limit) {
  auto impl = std::make_unique<Impl>();
  if (absl::Status status = impl->Connect(server, limit); !status.ok()) return status;
  return std::unique_ptr<RespClient>(new RespClient(std::move(impl)));
}

absl::StatusOr<std::vector<RespReply>> RespClient::Ask(const std::vector<Command>& commands,
                                                       std::chrono::milliseconds limit) {
  return impl_->Ask(commands, limit);
}

}  // namespace bettong::server
