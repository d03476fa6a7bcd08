// What `bettong grid` is asked and answers: a line of JSON each (docs/testing.md, "The protocol").
// Bytes that need not be UTF-8 (arguments and replies of commands) travel as strings of the code
// points 0 to 255, one a byte.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/virtual_node.h"

namespace bettong::server {

// Names the protocol; another number, another protocol.
inline constexpr int kGridProtocol = 1;

class GridRequests {
 public:
  explicit GridRequests(VirtualNode& node);
  ~GridRequests();

  // What is said first: the protocol, the time, the streams.
  std::string Greeting() const;
  // Answers one request, errors included; no newline at either end.
  std::string Answer(std::string_view request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bettong::server
