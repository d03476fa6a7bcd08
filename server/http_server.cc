#include "server/http_server.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <utility>

#include "base/host_port.h"
#include "base/thread_name.h"

namespace bettong::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 128;
constexpr std::chrono::milliseconds kAcceptRetry{100};  // out of descriptors or memory
// What a client has still to send is read so long, and no more than so much of it, before its
// connection is closed: closed at once, it might never see why.
constexpr std::chrono::seconds kLinger{1};
constexpr size_t kLingerBytesMax = 256u << 10;

constexpr std::string_view kCrowded =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 30\r\nConnection: close\r\n\r\ntoo many connections are open\n";

using Request = http::request_parser<http::empty_body>;

struct Refusal {
  unsigned status;
  std::string text;
};

// What is wrong with a request whose head could not be read; nothing: its sender is gone.
std::optional<Refusal> RefuseUnread(const error_code& error, size_t bytes_max) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Refusal{431, absl::StrCat("the request is over the limit of ", bytes_max, " bytes")};
  }
  if (error.category() != http::make_error_code(http::error::bad_method).category() ||
      error == http::error::end_of_stream || error == http::error::partial_message) {
    return std::nullopt;
  }
  return Refusal{400, absl::StrCat("this is no HTTP request: ", error.message())};
}

std::optional<Refusal> RefuseRead(const Request& request) {
  const http::verb method = request.get().method();
  if (method != http::verb::get && method != http::verb::head) {
    return Refusal{405, "only GET and HEAD are answered here"};
  }
  if (request.content_length().value_or(0) > 0 || request.chunked()) {
    return Refusal{400, "a request must have no body here"};
  }
  return std::nullopt;
}

void Describe(const HttpAnswer& answer, unsigned version, bool keep_alive,
              http::response_header<>& head) {
  head.version(version);
  head.result(answer.status);
  head.set(http::field::content_type, answer.content_type);
  head.set(http::field::cache_control, "no-store");
  if (answer.status == 405) head.set(http::field::allow, "GET, HEAD");
  // As keep_alive() of a message would have it, whose body this head may not know.
  if (!keep_alive) {
    head.set(http::field::connection, "close");
  } else if (version < 11) {
    head.set(http::field::connection, "keep-alive");
  }
}

}  // namespace

// One request's answer, until it is there. Shared by the connection, which may be gone before, and
// by whoever answers.
class HttpServer::Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(asio::io_context& io) : io_(io), answered_(io) {
    answered_.expires_at(asio::steady_timer::time_point::max());
  }

  HttpReply Reply() {
    return [self = shared_from_this()](HttpAnswer answer) {
      asio::post(self->io_, [self, answer = std::move(answer)]() mutable {
        if (!self->answer_) self->answer_ = std::move(answer);
        self->answered_.cancel();
      });
    };
  }

  asio::awaitable<void> Wait() {
    error_code ignored;
    while (!answer_) {
      co_await answered_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  HttpAnswer& answer() { return *answer_; }

 private:
  asio::io_context& io_;
  asio::steady_timer answered_;
  std::optional<HttpAnswer> answer_;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const std::string& host,
                                                               uint16_t port, HttpOptions options) {
  std::unique_ptr<HttpServer> server(new HttpServer(options));
  if (absl::Status opened = server->Open(host, port); !opened.ok()) return opened;
  return server;
}

HttpServer::~HttpServer() { Stop(); }

absl::Status HttpServer::Open(const std::string& host, uint16_t port) {
  error_code error;
  const asio::ip::address address =
      asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("http: listen on ", host, ": not a numeric address"));
  }
  const tcp::endpoint endpoint(address, port);
  acceptor_ = std::make_unique<tcp::acceptor>(io_);
  acceptor_->open(endpoint.protocol(), error);
  if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_->bind(endpoint, error);
  if (!error) acceptor_->listen(kBacklog, error);
  if (!error) port_ = acceptor_->local_endpoint(error).port();
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("http: listen on ", FormatHostPort(host, port), ": ", error.message(),
                     "; choose another port with --http-port or http.listen, or go without: "
                     "http.enabled = false"));
  }
  return absl::OkStatus();
}

void HttpServer::Start(HttpHandler handler) {
  handler_ = std::move(handler);
  asio::co_spawn(io_, Accept(), asio::detached);
  thread_ = std::thread([this] {
    NameThread("http");
    auto work = asio::make_work_guard(io_);
    io_.run();
  });
}

void HttpServer::Stop() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

// --- the server's thread

asio::awaitable<void> HttpServer::Accept() {
  asio::steady_timer retry(io_);
  error_code error;
  while (acceptor_->is_open()) {
    tcp::socket socket(io_);
    co_await acceptor_->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      retry.expires_after(kAcceptRetry);
      co_await retry.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (connections_ >= options_.connections_max) {
      socket.non_blocking(true, error);
      socket.write_some(asio::buffer(kCrowded.data(), kCrowded.size()), error);
      continue;
    }
    asio::co_spawn(io_, Serve(std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> HttpServer::Serve(tcp::socket socket) {
  ++connections_;
  const absl::Cleanup gone = [this] { --connections_; };
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer(options_.request_bytes_max);
  error_code error;
  for (bool keep_alive = true; keep_alive;) {
    Request request;
    request.header_limit(static_cast<uint32_t>(options_.request_bytes_max));
    // One deadline for all that the request takes to arrive, however it is cut.
    stream.expires_after(options_.request_timeout);
    const size_t bytes = co_await http::async_read_header(
        stream, buffer, request, asio::redirect_error(asio::use_awaitable, error));
    // The parser counts what is left after each read: it may have taken some more.
    if (!error && bytes > options_.request_bytes_max) error = http::error::header_limit;
    const std::optional<Refusal> refusal =
        error ? RefuseUnread(error, options_.request_bytes_max) : RefuseRead(request);
    if (error && !refusal) co_return;
    keep_alive = !refusal && request.keep_alive();
    auto exchange = std::make_shared<Exchange>(io_);
    const HttpReply reply = exchange->Reply();
    if (refusal) {
      reply(HttpAnswer{.status = refusal->status, .body = refusal->text + "\n"});
    } else {
      const auto target = request.get().target();
      const std::string path(target.substr(0, target.find_first_of("?#")));
      handler_(path, reply);
    }
    co_await exchange->Wait();
    const HttpAnswer& answer = exchange->answer();
    const bool head_only = request.is_header_done() && request.get().method() == http::verb::head;
    http::response<http::string_body> response;
    Describe(answer, error ? 11 : request.get().version(), keep_alive, response.base());
    response.set(http::field::content_length, std::to_string(answer.body.size()));
    if (!head_only) response.body() = answer.body;
    http::response_serializer<http::string_body> writer(response);
    stream.expires_after(options_.request_timeout);
    if (head_only) {
      co_await http::async_write_header(stream, writer,
                                        asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await http::async_write(stream, writer, asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) co_return;
  }
  stream.socket().shutdown(tcp::socket::shutdown_send, error);
  stream.expires_after(kLinger);
  std::array<char, 4096> rest;
  for (size_t bytes = 0; bytes < kLingerBytesMax && !error;) {
    const auto into = asio::buffer(rest);
    bytes +=
        co_await stream.async_read_some(into, asio::redirect_error(asio::use_awaitable, error));
  }
}

}  // namespace bettong::server
