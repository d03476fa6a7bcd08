#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>

#include "server/http_client_testing.h"

namespace bettong::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServer& Start(HttpOptions options, HttpHandler handler = Echo) {
    auto server = HttpServer::Listen("127.0.0.1", 0, options);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Start(std::move(handler));
    return *server_;
  }
  static void Echo(const std::string& path, HttpReply reply) { reply({.body = path + "\n"}); }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersThePathWithoutItsQuery) {
  HttpServer& server = Start({});
  const std::string answer = HttpTestClient(server.port()).Get("/page?a=b");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n/page\n"));
}

TEST_F(HttpServerTest, AnAnswerMayComeLaterFromAnotherThread) {
  std::promise<HttpReply> asked;
  HttpServer& server =
      Start({}, [&](const std::string&, HttpReply reply) { asked.set_value(std::move(reply)); });
  HttpTestClient client(server.port());
  std::thread other([&] { asked.get_future().get()({.status = 503, .body = "later\n"}); });
  const std::string answer = client.Get("/");
  other.join();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, EndsWith("later\n"));
}

TEST_F(HttpServerTest, ARequestThatDribblesInIsCutOff) {
  HttpServer& server = Start({.request_timeout = std::chrono::milliseconds(100)});
  HttpTestClient client(server.port());
  std::promise<void> closed;
  // A byte every now and then does not move the deadline.
  std::thread slow([&] {
    std::future<void> end = closed.get_future();
    boost::system::error_code error;
    try {
      client.Send("GET /");
      while (end.wait_for(std::chrono::milliseconds(10)) == std::future_status::timeout) {
        client.Send("a");
      }
    } catch (const boost::system::system_error&) {
    }
  });
  EXPECT_EQ(client.ReadAll(), "");
  closed.set_value();
  slow.join();
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosed) {
  HttpServer& server = Start({.request_timeout = std::chrono::milliseconds(50)});
  HttpTestClient client(server.port());
  client.Send("GET /kept HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), EndsWith("/kept\n"));
}

TEST_F(HttpServerTest, OneByteBeyondTheLimitIsTooMuch) {
  HttpServer& server = Start({.request_bytes_max = 256});
  const auto sized = [](size_t bytes) {
    const std::string head = "GET / HTTP/1.1\r\nConnection: close\r\nX: ";
    return head + std::string(bytes - head.size() - 4, 'x') + "\r\n\r\n";
  };
  HttpTestClient within(server.port()), beyond(server.port());
  within.Send(sized(256));
  EXPECT_THAT(within.ReadAll(), StartsWith("HTTP/1.1 200 "));
  beyond.Send(sized(257));
  const std::string answer = beyond.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer, HasSubstr("over the limit of 256 bytes"));
}

TEST_F(HttpServerTest, OneConnectionBeyondTheLimitIsRefusedUntilThereIsRoom) {
  HttpServer& server = Start({.connections_max = 1});
  auto first = std::make_unique<HttpTestClient>(server.port());
  EXPECT_THAT(HttpTestClient(server.port()).ReadAll(), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(first->Get("/"), StartsWith("HTTP/1.1 200 "));
  first.reset();
  std::string answer;
  while (!answer.starts_with("HTTP/1.1 200 ")) {
    try {
      answer = HttpTestClient(server.port()).Get("/");
    } catch (const boost::system::system_error&) {  // refused before it could ask
    }
  }
}

TEST_F(HttpServerTest, StopsWithRequestsUnansweredAndRepliesToCome) {
  std::mutex mutex;
  std::vector<HttpReply> kept;
  std::promise<void> asked;
  HttpServer& server = Start({}, [&](const std::string&, HttpReply reply) {
    std::lock_guard lock(mutex);
    kept.push_back(std::move(reply));
    asked.set_value();
  });
  HttpTestClient client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  asked.get_future().wait();
  server.Stop();
  kept.front()({.body = "too late"});
  kept.clear();
  server_.reset();
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(HttpServerTest, SaysWhereItCouldNotListen) {
  HttpServer& server = Start({});
  auto again = HttpServer::Listen("127.0.0.1", server.port());
  EXPECT_THAT(std::string(again.status().message()),
              HasSubstr("http: listen on 127.0.0.1:" + std::to_string(server.port()) +
                        ": Address already in use"));
  EXPECT_THAT(std::string(HttpServer::Listen("nowhere", 0).status().message()),
              HasSubstr("http: listen on nowhere: not a numeric address"));
}

}  // namespace
}  // namespace bettong::server
