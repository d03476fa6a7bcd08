#include "protocol/reply_writer.h"

#include "base/number_text.h"
#include "protocol/decimal.h"

namespace bettong::protocol {

void ReplyWriter::Error(std::string_view text) {
  out_.push_back('-');
  const size_t start = out_.size();
  out_.append(text);
  for (size_t i = start; i < out_.size(); ++i) {
    if (out_[i] == '\r' || out_[i] == '\n') out_[i] = ' ';
  }
  Newline();
}

void ReplyWriter::BulkInteger(int64_t value) {
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  Bulk({digits, static_cast<size_t>(end - digits)});
}

void ReplyWriter::Double(double value) {
  std::string text;
  AppendDouble(value, text);
  if (!resp3_) return Bulk(text);
  out_.push_back(',');
  out_.append(text);
  Newline();
}

void ReplyWriter::Verbatim(std::string_view text) {
  if (!resp3_) return Bulk(text);
  Head('=', static_cast<int64_t>(text.size() + 4));
  out_.append("txt:");
  out_.append(text);
  Newline();
}

}  // namespace bettong::protocol
