#include "server/http_get.h"

#include <absl/strings/str_cat.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace bettong::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr uint64_t kBodyBytesMax = 64u << 20;

}  // namespace

absl::StatusOr<std::string> HttpGet(const HostPort& server, const std::string& path,
                                    std::chrono::milliseconds limit) {
  asio::io_context io(1);
  beast::tcp_stream stream(io);
  error_code error;
  const auto failed = [&](const char* what) {
    return absl::UnavailableError(absl::StrCat(
        what, ": ",
        error == beast::error::timeout ? absl::StrCat("no answer within ", limit.count(), " ms")
                                       : error.message()));
  };
  asio::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(server.host, std::to_string(server.port), error);
  if (error) return failed("look up the name");
  // One step after the other, each to its end or the limit: a blocking call would know no limit.
  const auto finish = [&] {
    io.restart();
    io.run();
  };
  stream.expires_after(limit);
  stream.async_connect(found, [&](const error_code& code, const auto&) { error = code; });
  finish();
  if (error) return failed("connect");
  http::request<http::empty_body> request(http::verb::get, path, 11);
  request.set(http::field::host, FormatHostPort(server.host, server.port));
  request.keep_alive(false);
  http::async_write(stream, request, [&](const error_code& code, size_t) { error = code; });
  finish();
  if (error) return failed("send the request");
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> response;
  response.body_limit(kBodyBytesMax);
  http::async_read(stream, buffer, response, [&](const error_code& code, size_t) { error = code; });
  finish();
  if (error) return failed("read the answer");
  if (response.get().result() != http::status::ok) {
    return absl::UnavailableError(
        absl::StrCat("the answer is ", response.get().result_int(), ": ", response.get().body()));
  }
  return std::move(response.get().body());
}

}  // namespace bettong::server
