// A blocking client for tests: one socket, whole replies. Reads end with an error, not never, when
// the server says nothing for long: kPatienceSeconds is no expectation, only an end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bettong {

inline constexpr int kPatienceSeconds = 60;

class TestClient {
 public:
  // "127.0.0.1:6390".
  explicit TestClient(const std::string& address);
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // Sends a command, its words split at spaces, and answers its reply as text: strings and numbers
  // as they are, nil as "nil", errors with their "-", lists as "[a b]".
  std::string Do(std::string_view line);
  void Send(std::string_view line);
  std::string Reply();

  void Write(std::string_view bytes);
  // Nothing follows; waits until the other side has closed, too.
  void Finish();

 private:
  std::string Line();
  std::string Bytes(size_t count);
  bool Fill();  // false: the other side has closed

  int socket_;
  std::string input_;
};

}  // namespace bettong
