#include "grid/entry_reader.h"

#include "grid/key_table.h"

namespace bettong::grid {

bool EntryReader::Next() {
  if (in_.empty()) return false;
  entry_.at = size_ - in_.rest().size();
  entry_.kind = in_.Fixed<LogEntryKind>();
  if (entry_.is_change()) {
    if (entry_.kind == LogEntryKind::kChange) {
      key_ = in_.Bytes();
      has_key_ = true;
    }
    entry_.key = key_;
    if (!has_key_ || key_.size() > kKeyBytesMax) in_.SetMalformed();
    ReadChange();
  } else {
    entry_.key = {};
    ReadEntry();
  }
  return in_.ok();
}

StreamEntryId EntryReader::ReadId() {
  StreamEntryId id;
  id.ms = in_.Fixed<uint64_t>();
  id.sequence = in_.Fixed<uint64_t>();
  return id;
}

void EntryReader::ReadEntry() {
  switch (entry_.kind) {
    case LogEntryKind::kApplied:
      channel_ = in_.Fixed<uint64_t>();
      has_channel_ = true;
      [[fallthrough]];
    case LogEntryKind::kAppliedMore:
      if (!has_channel_) in_.SetMalformed();
      entry_.channel = channel_;
      entry_.number = in_.Varint();
      entry_.target = in_.Fixed<uint64_t>();
      return;
    case LogEntryKind::kLowWater:
      entry_.channel = in_.Fixed<uint64_t>();
      entry_.number = in_.Varint();
      return;
    case LogEntryKind::kOutput:
      entry_.number = in_.Varint();
      entry_.name = in_.Bytes();
      entry_.bytes = in_.Bytes();
      return;
    case LogEntryKind::kInput:
      entry_.number = in_.Varint();
      entry_.name = in_.Bytes();
      entry_.id = ReadId();
      entry_.bytes = in_.Bytes();
      return;
    case LogEntryKind::kConfirmed:
    case LogEntryKind::kSequences:
      entry_.number = in_.Varint();
      return;
    case LogEntryKind::kEndpoint:
    case LogEntryKind::kClass:
      entry_.name = in_.Bytes();
      entry_.bytes = in_.Bytes();
      return;
    case LogEntryKind::kWatermark:
      entry_.name = in_.Bytes();
      entry_.ms = in_.Fixed<TimeMs>();
      return;
    case LogEntryKind::kChange:
    case LogEntryKind::kMore:
      break;
  }
  in_.SetMalformed();
}

void EntryReader::ReadItems(uint64_t count) {
  entry_.items.clear();
  for (uint64_t i = 0; i < count && in_.ok(); ++i) {
    LogEntry::StreamItem& item = entry_.items.emplace_back();
    item.id = ReadId();
    item.form = in_.Fixed<StreamEntryForm>();
    if (item.form > StreamEntryForm::kJson) in_.SetMalformed();
    item.payload = in_.Bytes();
  }
}

void EntryReader::ReadChange() {
  entry_.op = in_.Fixed<ChangeOp>();
  switch (entry_.op) {
    case ChangeOp::kEntityCreate:
    case ChangeOp::kEntityDelta:
    case ChangeOp::kPutString:
      entry_.bytes = in_.Bytes();
      return;
    case ChangeOp::kEntityExpire:
    case ChangeOp::kDelete:
      return;
    case ChangeOp::kDeadline:
    case ChangeOp::kOwnTtl:
      entry_.ms = in_.Fixed<TimeMs>();
      return;
    case ChangeOp::kNew:
      entry_.type = in_.Fixed<ValueType>();
      if (entry_.type == ValueType::kNone || entry_.type >= ValueType::kEntity) break;
      return;
    case ChangeOp::kHashSet:
    case ChangeOp::kHashPiece: {
      const uint64_t count = in_.Varint();
      entry_.fields.clear();
      for (uint64_t i = 0; i < count && in_.ok(); ++i) {
        const std::string_view field = in_.Bytes();
        entry_.fields.emplace_back(field, in_.Bytes());
      }
      return;
    }
    case ChangeOp::kHashDelete: {
      const uint64_t count = in_.Varint();
      entry_.names.clear();
      for (uint64_t i = 0; i < count && in_.ok(); ++i) entry_.names.push_back(in_.Bytes());
      return;
    }
    case ChangeOp::kStreamAppend:
      ReadItems(1);
      return;
    case ChangeOp::kStreamPiece:
      ReadItems(in_.Varint());
      return;
    case ChangeOp::kStreamTrim:
      entry_.id = ReadId();
      return;
    case ChangeOp::kStreamDelete: {
      const uint64_t count = in_.Varint();
      entry_.ids.clear();
      for (uint64_t i = 0; i < count && in_.ok(); ++i) entry_.ids.push_back(ReadId());
      return;
    }
    case ChangeOp::kStreamMarks:
      entry_.id = ReadId();
      entry_.max_deleted_id = ReadId();
      entry_.number = in_.Fixed<uint64_t>();
      return;
  }
  in_.SetMalformed();
}

bool ReadFieldsPayload(std::string_view payload,
                       std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  ByteReader in(payload);
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view field = in.Bytes();
    fields.emplace_back(field, in.Bytes());
  }
  return in.ok() && in.empty();
}

}  // namespace bettong::grid
