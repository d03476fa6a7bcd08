// Reads a running node's stream over its RESP port, from one entry to the next, and knows when
// there is a gap: the view was cut before its entries could be read, or began anew.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/host_port.h"
#include "server/resp_client.h"

namespace bettong::server {

struct StreamReaderOptions {
  HostPort server;
  std::string password;
  std::string stream;
  bool from_start = false;
};

class StreamReader {
 public:
  // A note is for people: a gap, a connection that is gone or here again.
  StreamReader(StreamReaderOptions options, std::function<void(const std::string&)> note);

  // Connects, and finds out where to begin. InvalidArgument: no such stream.
  absl::Status Open();
  // Waits for entries, for about a second; calls `entry` for each, until it answers false.
  // kUnavailable: the connection is gone; Reopen gets it back.
  absl::Status Read(const std::function<bool(std::string_view id, const std::string& json)>& entry);
  // One try to connect again. Entries come on from where they ended.
  absl::Status Reopen();

 private:
  // What XINFO says of the stream as it lies there.
  struct View {
    bool exists = false;
    uint64_t added = 0;   // ever
    uint64_t length = 0;  // now; what is missing was cut off at the beginning
    std::string last_id;
  };

  absl::Status Connect();
  absl::Status CheckStream();
  absl::StatusOr<View> LookAt(const RespReply& info) const;
  // `unread`: how many entries behind last_id_ the answer has. True: last_id_ is of a stream that
  // is gone, and reading begins again.
  bool NoteGap(const View& view, size_t unread);
  std::string EntryJson(const RespReply& fields) const;

  const StreamReaderOptions options_;
  const std::function<void(const std::string&)> note_;
  std::unique_ptr<RespClient> client_;
  std::map<std::string, std::string, std::less<>> field_types_;  // of the stream's event class
  uint64_t position_ = 0;  // of entries ever added, those that have been read or missed
  std::string last_id_ = "0-0";
};

// A value of an entry as JSON: text if the event's class says so (str, bytes), or if it is none.
std::string EntryValueJson(std::string_view text, std::string_view type);

}  // namespace bettong::server
