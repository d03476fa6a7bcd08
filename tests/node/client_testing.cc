#include "tests/node/client_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

#include "base/check.h"

namespace bettong {

TestClient::TestClient(const std::string& address) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  size_t colon = address.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
  BETTONG_CHECK(inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr) == 1);
  timeval patience{.tv_sec = kPatienceSeconds};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  BETTONG_CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
}

TestClient::~TestClient() { close(socket_); }

std::string TestClient::Do(std::string_view line) {
  Send(line);
  return Reply();
}

void TestClient::Send(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    size_t space = line.find(' ');
    words.push_back(line.substr(0, space));
    line = space == std::string_view::npos ? "" : line.substr(space + 1);
  }
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (std::string_view word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n";
    bytes.append(word).append("\r\n");
  }
  Write(bytes);
}

std::string TestClient::Reply() {
  std::string head = Line();
  BETTONG_CHECK(!head.empty());
  if (head[0] == '+' || head[0] == ':') return head.substr(1);
  if (head[0] == '-') return head;
  long count = std::atol(head.c_str() + 1);
  if (count < 0) return "nil";
  if (head[0] == '$') {
    std::string bytes = Bytes(static_cast<size_t>(count) + 2);
    return bytes.substr(0, bytes.size() - 2);
  }
  BETTONG_CHECK(head[0] == '*');
  std::string list = "[";
  for (long i = 0; i < count; ++i) list += (i == 0 ? "" : " ") + Reply();
  return list + "]";
}

void TestClient::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    BETTONG_CHECK(sent > 0);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void TestClient::Finish() {
  shutdown(socket_, SHUT_WR);
  while (Fill()) {
  }
}

std::string TestClient::Line() {
  size_t end;
  while ((end = input_.find("\r\n")) == std::string::npos) {
    if (!Fill()) return "";
  }
  std::string line = input_.substr(0, end);
  input_.erase(0, end + 2);
  return line;
}

std::string TestClient::Bytes(size_t count) {
  while (input_.size() < count) BETTONG_CHECK(Fill());
  std::string bytes = input_.substr(0, count);
  input_.erase(0, count);
  return bytes;
}

bool TestClient::Fill() {
  char buffer[4096];
  ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
  BETTONG_CHECK(got >= 0);
  input_.append(buffer, static_cast<size_t>(got));
  return got > 0;
}

}  // namespace bettong
