#include "ingest/csv_line.h"

#include <cstring>
#include <utility>

namespace bettong::ingest {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

bool CsvLine::BeginLine() {
  row_ended_ = false;
  column_ = 0;
  ResetLineBuffer(text_);
  if (header_lost_) {
    Malformed("the columns have no names: the first line was no header", at_);
    return true;
  }
  return !columns_.empty() || ReadHeader();
}

// Answers whether there is something wrong to tell.
bool CsvLine::ReadHeader() {
  if (Between(at_, end_).starts_with(kByteOrderMark)) at_ += kByteOrderMark.size();
  const char* const begin = at_;
  std::vector<std::string> names;
  header_lost_ = true;
  while (!row_ended_ && names.size() <= kCsvColumnsMax) {
    std::string_view text, token;
    if (!ReadCell(text, token)) return true;
    names.emplace_back(text);
  }
  if (const char* wrong = WrongColumns(names)) {
    Malformed(wrong, begin);
    return true;
  }
  header_lost_ = false;
  columns_ = std::move(names);
  return false;
}

LineReader::Step CsvLine::NextField(LineField& field) {
  if (row_ended_) {
    return column_ == columns_.size() ? Step::kEnd
                                      : Malformed("there are fewer cells than columns", end_);
  }
  if (column_ == columns_.size()) {
    return Malformed("there are more cells than columns", at_);
  }
  std::string_view text, token;
  if (!ReadCell(text, token)) return Step::kMalformed;
  SetText(field, LineField::Kind::kCell, columns_[column_++], text, token);
  return Step::kField;
}

bool CsvLine::ReadCell(std::string_view& text, std::string_view& token) {
  const char* const begin = at_;
  if (at_ < end_ && *at_ == '"') {
    ++at_;
    const auto to_quote = [&] {
      const char* const from = at_;
      const void* quote = std::memchr(at_, '"', static_cast<size_t>(end_ - at_));
      at_ = quote == nullptr ? end_ : static_cast<const char*>(quote);
      return Between(from, at_);
    };
    text = to_quote();
    if (at_ + 1 < end_ && at_[1] == '"') {
      text_.assign(text);
      while (at_ + 1 < end_ && at_[1] == '"') {
        text_.push_back('"');
        at_ += 2;
        text_.append(to_quote());
      }
      text = text_;
    }
    if (at_ == end_) {
      Malformed("the quotes of a cell are not closed", begin);
      return false;
    }
    ++at_;
    if (at_ < end_ && *at_ != delimiter_) {
      Malformed("expected the delimiter behind a cell in quotes", at_);
      return false;
    }
  } else {
    const void* found = std::memchr(at_, delimiter_, static_cast<size_t>(end_ - at_));
    at_ = found == nullptr ? end_ : static_cast<const char*>(found);
    text = Between(begin, at_);
    if (const size_t quote = text.find('"'); quote != std::string_view::npos) {
      Malformed("a quote in a cell without quotes", begin + quote);
      return false;
    }
  }
  token = Between(begin, at_);
  row_ended_ = at_ == end_;
  if (!row_ended_) ++at_;
  return true;
}

}  // namespace bettong::ingest
