// Appends RESP replies to a buffer, in the protocol version the connection speaks. Types that RESP2
// lacks fall back as in Redis: map to flat array, set and push to array, double to bulk, boolean to
// integer.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace bettong::protocol {

class ReplyWriter {
 public:
  ReplyWriter(std::string& out, bool resp3) : out_(out), resp3_(resp3) {}

  void Ok() { out_.append("+OK\r\n"); }
  void Status(std::string_view text) {
    out_.push_back('+');
    out_.append(text);
    Newline();
  }
  // `text` starts with the error's code ("ERR ..."). Line breaks in it become spaces.
  void Error(std::string_view text);
  void Integer(int64_t value) { Head(':', value); }
  void Bulk(std::string_view text) {
    Head('$', static_cast<int64_t>(text.size()));
    out_.append(text);
    Newline();
  }
  void BulkInteger(int64_t value);
  void Null() { out_.append(resp3_ ? "_\r\n" : "$-1\r\n"); }
  void NullArray() { out_.append(resp3_ ? "_\r\n" : "*-1\r\n"); }
  void Array(size_t size) { Head('*', static_cast<int64_t>(size)); }
  void Map(size_t pairs) {
    Head(resp3_ ? '%' : '*', static_cast<int64_t>(resp3_ ? pairs : pairs * 2));
  }
  void Set(size_t size) { Head(resp3_ ? '~' : '*', static_cast<int64_t>(size)); }
  void Push(size_t size) { Head(resp3_ ? '>' : '*', static_cast<int64_t>(size)); }
  void Double(double value);
  void Bool(bool value) {
    if (resp3_) {
      out_.append(value ? "#t\r\n" : "#f\r\n");
    } else {
      Integer(value ? 1 : 0);
    }
  }
  // Text meant for people's eyes (INFO).
  void Verbatim(std::string_view text);

  bool resp3() const { return resp3_; }
  std::string& out() { return out_; }

 private:
  void Newline() { out_.append("\r\n", 2); }
  void Head(char type, int64_t value) {
    char head[24];
    head[0] = type;
    char* end = std::to_chars(head + 1, head + sizeof(head) - 2, value).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out_.append(head, static_cast<size_t>(end - head));
  }

  std::string& out_;
  bool resp3_;
};

}  // namespace bettong::protocol
