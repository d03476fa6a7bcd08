#include "protocol/resp_parser.h"

#include <cstring>
#include <optional>

#include "base/number_text.h"

namespace bettong::protocol {
namespace {

// The line that starts at `at`: its text, or nullopt if its end has not come. As in Redis a line
// ends with "\r" and one more byte, whatever that is.
std::optional<std::string_view> LineAt(std::string_view in, size_t at) {
  const void* end = std::memchr(in.data() + at, '\r', in.size() - at);
  if (end == nullptr) return std::nullopt;
  const auto size = static_cast<size_t>(static_cast<const char*>(end) - in.data()) - at;
  if (at + size + 2 > in.size()) return std::nullopt;
  return in.substr(at, size);
}

// The usual case, a short number, without the general parser.
std::optional<int64_t> ParseLength(std::string_view text) {
  if (text.size() == 1 && text[0] >= '0' && text[0] <= '9') return text[0] - '0';
  if (text.size() == 2 && text[0] >= '1' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9') {
    return (text[0] - '0') * 10 + (text[1] - '0');
  }
  return ParseInt(text);
}

}  // namespace

RespParser::Result RespParser::Next(std::string_view in) {
  if (done_) Reset();
  if (in.empty()) return Result::kIncomplete;
  return in[0] == '*' ? NextArray(in) : NextInline(in);
}

void RespParser::Reset() {
  args_.clear();
  at_ = 0;
  args_missing_ = 0;
  bulk_size_ = -1;
  in_array_ = false;
  inline_ = false;
  done_ = false;
}

RespParser::Result RespParser::NextArray(std::string_view in) {
  if (!in_array_) {
    auto line = LineAt(in, 1);
    if (!line) {
      return in.size() > kInlineBytesMax ? Fail("too big mbulk count string") : Result::kIncomplete;
    }
    auto count = ParseLength(*line);
    if (!count || *count > static_cast<int64_t>(kArgumentsMax)) {
      return Fail("invalid multibulk length");
    }
    if (!authenticated_ && *count > static_cast<int64_t>(kArgumentsUnauthenticatedMax)) {
      return Fail("unauthenticated multibulk length");
    }
    at_ = 1 + line->size() + 2;
    if (*count <= 0) {
      done_ = true;
      return Result::kNothing;
    }
    args_missing_ = static_cast<size_t>(*count);
    in_array_ = true;
  }
  while (args_missing_ > 0) {
    if (bulk_size_ < 0) {
      if (at_ >= in.size()) return Result::kIncomplete;
      auto line = LineAt(in, at_);
      if (!line) {
        return in.size() - at_ > kInlineBytesMax ? Fail("too big bulk count string")
                                                 : Result::kIncomplete;
      }
      if (in[at_] != '$') {
        return Fail(std::string("expected '$', got '") + in[at_] + "'");
      }
      auto size = ParseLength(line->substr(1));
      if (!size || *size < 0 || *size > static_cast<int64_t>(kBulkBytesMax)) {
        return Fail("invalid bulk length");
      }
      if (!authenticated_ && *size > static_cast<int64_t>(kBulkBytesUnauthenticatedMax)) {
        return Fail("unauthenticated bulk length");
      }
      at_ += line->size() + 2;
      bulk_size_ = *size;
    }
    const auto size = static_cast<size_t>(bulk_size_);
    if (in.size() - at_ < size + 2) return Result::kIncomplete;
    args_.push_back({at_, size});
    at_ += size + 2;
    bulk_size_ = -1;
    --args_missing_;
  }
  done_ = true;
  return Result::kCommand;
}

RespParser::Result RespParser::NextInline(std::string_view in) {
  const size_t newline = in.find('\n', at_);
  if (newline == std::string_view::npos) {
    at_ = in.size();
    return in.size() > kInlineBytesMax ? Fail("too big inline request") : Result::kIncomplete;
  }
  std::string_view line = in.substr(0, newline);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  at_ = newline + 1;
  inline_ = true;
  done_ = true;
  unquoted_.clear();
  if (!SplitInline(line, unquoted_, args_)) return Fail("unbalanced quotes in request");
  return args_.empty() ? Result::kNothing : Result::kCommand;
}

RespParser::Result RespParser::Fail(std::string_view why) {
  error_ = "ERR Protocol error: ";
  error_ += why;
  done_ = true;
  return Result::kError;
}

void RespParser::TakeArgs(const char* in, std::string_view* out) const {
  const char* base = inline_ ? unquoted_.data() : in;
  for (const ArgRange& arg : args_) *out++ = std::string_view(base + arg.offset, arg.size);
}

}  // namespace bettong::protocol
