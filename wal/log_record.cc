#include "wal/log_record.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace bettong::wal {
namespace {

// Memory that is kept from one record to the next.
constexpr size_t kKeptBytesMax = 4u << 20;

template <typename Visit>
void ForEachPiece(const LogRecord& record, const Visit& visit) {
  std::string_view left = record.pieces;
  while (!left.empty()) {
    BETTONG_CHECK(left.size() >= sizeof(LogRecord::PieceHeader));
    const auto header = LoadUnaligned<LogRecord::PieceHeader>(left.data());
    left.remove_prefix(sizeof(header));
    BETTONG_CHECK(header.bytes <= left.size() && header.section < record.sections.size());
    visit(header.section, left.substr(0, header.bytes));
    left.remove_prefix(header.bytes);
  }
}

}  // namespace

std::span<const Section> SectionSorter::Sort(const LogRecord& record) {
  const size_t bytes = record.pieces.size();
  if (capacity_ < bytes || capacity_ > std::max(bytes, kKeptBytesMax)) {
    capacity_ = bytes;
    entries_ = std::make_unique_for_overwrite<char[]>(bytes);
  }
  ends_.assign(record.sections.size(), 0);
  ForEachPiece(record,
               [&](size_t section, std::string_view piece) { ends_[section] += piece.size(); });
  sections_.clear();
  size_t begin = 0;
  for (size_t i = 0; i < record.sections.size(); ++i) {
    const LogRecord::SectionHead& head = record.sections[i];
    sections_.push_back({.partition = head.partition,
                         .kind = head.kind,
                         .sequence = head.sequence,
                         .now_ms = record.now_ms,
                         .entries = {entries_.get() + begin, ends_[i]}});
    begin += std::exchange(ends_[i], begin);
  }
  ForEachPiece(record, [&](size_t section, std::string_view piece) {
    std::memcpy(entries_.get() + ends_[section], piece.data(), piece.size());
    ends_[section] += piece.size();
  });
  return sections_;
}

}  // namespace bettong::wal
