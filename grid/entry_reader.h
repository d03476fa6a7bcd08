// Reads the entries of a section of the log, one after the other: docs/log-format.md, "Sections".
// Serves Shard::Apply and the tools that show a log. What it answers borrows the section's bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "grid/change.h"
#include "grid/log_entry.h"
#include "grid/value.h"

namespace bettong::grid {

// Which members count depends on the kind and, of a change, on its op.
struct LogEntry {
  struct StreamItem {
    StreamEntryId id;
    StreamEntryForm form = StreamEntryForm::kFields;
    std::string_view payload;
  };

  size_t at = 0;  // its first byte, in the section
  LogEntryKind kind{};
  std::string_view key;   // kChange; kMore: of the change before
  ChangeOp op{};          // likewise
  std::string_view name;  // of a stream, endpoint or class
  // A row or delta, a string's value, JSON, an input's fields, an endpoint's state, a schema.
  std::string_view bytes;
  uint64_t channel = 0;  // kApplied, kLowWater; kAppliedMore: of the mark before
  uint64_t number = 0;  // sequence; marks and kLowWater: position; kStreamMarks: entries ever added
  uint64_t target = 0;  // kApplied, kAppliedMore
  TimeMs ms = 0;        // kDeadline, kOwnTtl, kWatermark
  ValueType type{};     // kNew
  StreamEntryId id;     // kStreamTrim, kInput; kStreamMarks: the last
  StreamEntryId max_deleted_id;                                       // kStreamMarks
  std::vector<std::pair<std::string_view, std::string_view>> fields;  // kHashSet, kHashPiece
  std::vector<std::string_view> names;                                // kHashDelete
  std::vector<StreamItem> items;   // kStreamAppend: one; kStreamPiece
  std::vector<StreamEntryId> ids;  // kStreamDelete

  bool is_change() const { return kind == LogEntryKind::kChange || kind == LogEntryKind::kMore; }
};

class EntryReader {
 public:
  explicit EntryReader(std::string_view entries) : in_(entries), size_(entries.size()) {}

  // The next entry is in entry(). False: there is none, or it is malformed (then ok() is false, and
  // of entry() only `at`, `kind` and `key` can be looked at).
  bool Next();
  const LogEntry& entry() const { return entry_; }
  bool ok() const { return in_.ok(); }

 private:
  void ReadEntry();
  void ReadChange();
  void ReadItems(uint64_t count);
  StreamEntryId ReadId();

  ByteReader in_;
  const size_t size_;
  bool has_key_ = false;      // there has been a change
  std::string_view key_;      // the last one's
  bool has_channel_ = false;  // there has been a mark
  uint64_t channel_ = 0;      // the last one's
  LogEntry entry_;
};

// An input's fields, a client's stream entry: varint n, n * (bytes, bytes). False: malformed.
bool ReadFieldsPayload(std::string_view payload,
                       std::vector<std::pair<std::string_view, std::string_view>>& fields);

}  // namespace bettong::grid
