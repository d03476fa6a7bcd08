#include "grid/log_text.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

#include "base/json_text.h"
#include "base/utf8.h"
#include "grid/event.h"
#include "grid/origin.h"
#include "grid/row_text.h"
#include "grid/value_text.h"

namespace bettong::grid {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string_view OpName(ChangeOp op) {
  switch (op) {
    case ChangeOp::kEntityCreate:
      return "create";
    case ChangeOp::kEntityDelta:
      return "delta";
    case ChangeOp::kEntityExpire:
      return "expire";
    case ChangeOp::kDelete:
      return "delete";
    case ChangeOp::kDeadline:
      return "deadline";
    case ChangeOp::kOwnTtl:
      return "own_ttl";
    case ChangeOp::kPutString:
      return "string";
    case ChangeOp::kHashSet:
      return "hash_set";
    case ChangeOp::kHashDelete:
      return "hash_delete";
    case ChangeOp::kStreamAppend:
      return "stream_append";
    case ChangeOp::kStreamTrim:
      return "stream_trim";
    case ChangeOp::kStreamDelete:
      return "stream_delete";
    case ChangeOp::kNew:
      return "new";
    case ChangeOp::kHashPiece:
      return "hash_piece";
    case ChangeOp::kStreamPiece:
      return "stream_piece";
    case ChangeOp::kStreamMarks:
      return "stream_marks";
  }
  return "?";
}

std::string_view KindName(LogEntryKind kind) {
  switch (kind) {
    case LogEntryKind::kChange:
    case LogEntryKind::kMore:  // a change like others, but for how its key is written
      return "change";
    case LogEntryKind::kApplied:
    case LogEntryKind::kAppliedMore:  // likewise
      return "applied";
    case LogEntryKind::kLowWater:
      return "low_water";
    case LogEntryKind::kOutput:
      return "output";
    case LogEntryKind::kConfirmed:
      return "confirmed";
    case LogEntryKind::kEndpoint:
      return "endpoint";
    case LogEntryKind::kWatermark:
      return "watermark";
    case LogEntryKind::kClass:
      return "class";
    case LogEntryKind::kSequences:
      return "sequences";
    case LogEntryKind::kInput:
      return "input";
  }
  return "?";
}

std::string_view TypeName(ValueType type) {
  static constexpr std::string_view kNames[] = {"none", "string", "hash", "stream", "entity"};
  return kNames[std::min<size_t>(static_cast<size_t>(type), 4)];
}

std::string FieldTypeName(const FieldSchema& field) {
  static constexpr std::string_view kNames[] = {"int",   "float", "bool",  "str",
                                                "bytes", "int",   "float", "window"};
  if (field.type == FieldType::kCollection) return field.collection.Text();
  if (field.type == FieldType::kTimers) return "timers";
  std::string name(kNames[static_cast<size_t>(field.type)]);
  if (field.array_size > 0) absl::StrAppend(&name, "[", field.array_size, "]");
  if (field.optional) name += "?";
  return name;
}

std::string IdText(StreamEntryId id) { return absl::StrCat(id.ms, "-", id.sequence); }

std::string ChannelText(uint64_t channel) {
  if ((channel & kSourceChannelBit) != 0) return absl::StrFormat("source:%016x", channel);
  return channel == kNoChannel ? "none" : absl::StrCat("outbox:p", channel - 1);
}

// JSON is quoted enough, if it is short.
void AppendJsonText(std::string_view json, std::string& out) {
  if (json.size() <= kTextBytesMax && IsText(json) && json.find('\n') == std::string_view::npos) {
    out += json;
  } else {
    AppendBytesText(json, out);
  }
}

// Names and keys: as they are, if no reader of the line could mistake them.
void AppendName(std::string_view name, std::string& out) {
  const bool plain =
      !name.empty() && name.size() <= kTextBytesMax && IsUtf8(name) &&
      std::all_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != '"' && c != '=' && c != 0x7f;
      });
  if (plain) {
    out += name;
  } else {
    AppendBytesText(name, out);
  }
}

void AppendFields(const std::vector<std::pair<std::string_view, std::string_view>>& fields,
                  std::string& out) {
  for (size_t i = 0; i < fields.size() && i < kTextItemsMax; ++i) {
    out.push_back(' ');
    AppendName(fields[i].first, out);
    out.push_back('=');
    AppendBytesText(fields[i].second, out);
  }
  if (fields.size() > kTextItemsMax) {
    absl::StrAppend(&out, " … (", fields.size(), " fields)");
  }
}

void AppendJsonFields(const std::vector<std::pair<std::string_view, std::string_view>>& fields,
                      std::string& out) {
  out += ",\"fields\":[";
  for (size_t i = 0; i < fields.size(); ++i) {
    out += i > 0 ? ",[" : "[";
    AppendBytesJson(fields[i].first, out);
    out.push_back(',');
    AppendBytesJson(fields[i].second, out);
    out.push_back(']');
  }
  out.push_back(']');
}

// -- Rows

void AppendRowText(PartitionId partition, const LogEntry& change, const LoggedSchemas& schemas,
                   std::string& out) {
  const RowSchema* schema = schemas.Find(partition, change.key);
  const size_t begin = out.size();
  if (schema != nullptr && AppendRow(*schema, change, false, out)) return;
  out.resize(begin);
  out += schema == nullptr ? " (no schema seen) " : " (not of its schema) ";
  AppendBytesText(change.bytes, out);
}

void AppendRowJson(PartitionId partition, const LogEntry& change, const LoggedSchemas& schemas,
                   std::string& out) {
  const RowSchema* schema = schemas.Find(partition, change.key);
  std::string fields;
  if (schema != nullptr && AppendRow(*schema, change, true, fields)) {
    absl::StrAppend(&out, ",\"fields\":{", fields, "}");
    return;
  }
  absl::StrAppend(&out, ",\"row_hex\":\"", absl::BytesToHexString(View(change.bytes)), "\"");
}

// -- Changes

void AppendItem(const LogEntry::StreamItem& item, std::string& out) {
  absl::StrAppend(&out, " ", IdText(item.id));
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  if (item.form == StreamEntryForm::kFields && ReadFieldsPayload(item.payload, fields)) {
    AppendFields(fields, out);
    return;
  }
  out.push_back(' ');
  if (item.form == StreamEntryForm::kJson) return AppendJsonText(item.payload, out);
  AppendBytesText(item.payload, out);
}

void AppendChangeText(PartitionId partition, const LogEntry& change, const LoggedSchemas& schemas,
                      std::string& out) {
  out.push_back(' ');
  AppendName(change.key, out);
  out.push_back(' ');
  out += OpName(change.op);
  switch (change.op) {
    case ChangeOp::kEntityCreate:
    case ChangeOp::kEntityDelta:
      return AppendRowText(partition, change, schemas, out);
    case ChangeOp::kEntityExpire:
    case ChangeOp::kDelete:
      return;
    case ChangeOp::kDeadline:
      out.push_back(' ');
      return AppendTimeText(change.ms, out);
    case ChangeOp::kOwnTtl:
      absl::StrAppend(&out, " ", change.ms, " ms");
      return;
    case ChangeOp::kPutString:
      out.push_back(' ');
      return AppendBytesText(change.bytes, out);
    case ChangeOp::kNew:
      out.push_back(' ');
      out += TypeName(change.type);
      return;
    case ChangeOp::kHashSet:
    case ChangeOp::kHashPiece:
      return AppendFields(change.fields, out);
    case ChangeOp::kHashDelete:
      for (size_t i = 0; i < change.names.size() && i < kTextItemsMax; ++i) {
        out.push_back(' ');
        AppendName(change.names[i], out);
      }
      if (change.names.size() > kTextItemsMax) {
        absl::StrAppend(&out, " … (", change.names.size(), " fields)");
      }
      return;
    case ChangeOp::kStreamAppend:
      return AppendItem(change.items[0], out);
    case ChangeOp::kStreamPiece:
      absl::StrAppend(&out, " ", change.items.size(), " entries");
      if (!change.items.empty()) {
        absl::StrAppend(&out, " ", IdText(change.items.front().id), " to ",
                        IdText(change.items.back().id));
      }
      return;
    case ChangeOp::kStreamTrim:
      absl::StrAppend(&out, " ", IdText(change.id));
      return;
    case ChangeOp::kStreamDelete:
      for (size_t i = 0; i < change.ids.size() && i < kTextItemsMax; ++i) {
        absl::StrAppend(&out, " ", IdText(change.ids[i]));
      }
      if (change.ids.size() > kTextItemsMax) {
        absl::StrAppend(&out, " … (", change.ids.size(), " entries)");
      }
      return;
    case ChangeOp::kStreamMarks:
      absl::StrAppend(&out, " last=", IdText(change.id),
                      " max_deleted=", IdText(change.max_deleted_id), " added=", change.number);
      return;
  }
}

void AppendJsonId(std::string_view name, StreamEntryId id, std::string& out) {
  absl::StrAppend(&out, ",\"", View(name), "\":\"", IdText(id), "\"");
}

void AppendChangeJson(PartitionId partition, const LogEntry& change, const LoggedSchemas& schemas,
                      std::string& out) {
  out += ",\"key\":";
  AppendBytesJson(change.key, out);
  absl::StrAppend(&out, ",\"op\":\"", View(OpName(change.op)), "\"");
  switch (change.op) {
    case ChangeOp::kEntityCreate:
    case ChangeOp::kEntityDelta:
      return AppendRowJson(partition, change, schemas, out);
    case ChangeOp::kEntityExpire:
    case ChangeOp::kDelete:
      return;
    case ChangeOp::kDeadline:
      out += ",\"deadline_ms\":";
      out += change.ms == kNeverExpires ? "null" : std::to_string(change.ms);
      return;
    case ChangeOp::kOwnTtl:
      absl::StrAppend(&out, ",\"ttl_ms\":", change.ms);
      return;
    case ChangeOp::kPutString:
      out += ",\"value\":";
      return AppendBytesJson(change.bytes, out);
    case ChangeOp::kNew:
      absl::StrAppend(&out, ",\"type\":\"", View(TypeName(change.type)), "\"");
      return;
    case ChangeOp::kHashSet:
    case ChangeOp::kHashPiece:
      return AppendJsonFields(change.fields, out);
    case ChangeOp::kHashDelete:
      out += ",\"names\":[";
      for (size_t i = 0; i < change.names.size(); ++i) {
        if (i > 0) out.push_back(',');
        AppendBytesJson(change.names[i], out);
      }
      out.push_back(']');
      return;
    case ChangeOp::kStreamAppend:
    case ChangeOp::kStreamPiece:
      out += ",\"entries\":[";
      for (size_t i = 0; i < change.items.size(); ++i) {
        const LogEntry::StreamItem& item = change.items[i];
        absl::StrAppend(&out, i > 0 ? "," : "", "{\"id\":\"", IdText(item.id), "\"");
        std::vector<std::pair<std::string_view, std::string_view>> fields;
        if (item.form == StreamEntryForm::kFields && ReadFieldsPayload(item.payload, fields)) {
          AppendJsonFields(fields, out);
        } else {
          out += item.form == StreamEntryForm::kJson ? ",\"json\":" : ",\"payload\":";
          AppendBytesJson(item.payload, out);
        }
        out.push_back('}');
      }
      out.push_back(']');
      return;
    case ChangeOp::kStreamTrim:
      return AppendJsonId("first_kept", change.id, out);
    case ChangeOp::kStreamDelete:
      out += ",\"ids\":[";
      for (size_t i = 0; i < change.ids.size(); ++i) {
        absl::StrAppend(&out, i > 0 ? "," : "", "\"", IdText(change.ids[i]), "\"");
      }
      out.push_back(']');
      return;
    case ChangeOp::kStreamMarks:
      AppendJsonId("last", change.id, out);
      AppendJsonId("max_deleted", change.max_deleted_id, out);
      absl::StrAppend(&out, ",\"added\":", change.number);
      return;
  }
}

}  // namespace

// -- Entries

void AppendEntryText(PartitionId partition, const LogEntry& entry, const LoggedSchemas& schemas,
                     std::string& out) {
  out += KindName(entry.kind);
  switch (entry.kind) {
    case LogEntryKind::kChange:
    case LogEntryKind::kMore:
      return AppendChangeText(partition, entry, schemas, out);
    case LogEntryKind::kApplied:
    case LogEntryKind::kAppliedMore:
      absl::StrAppendFormat(&out, " %s %d/%016x", ChannelText(entry.channel), entry.number,
                            entry.target);
      return;
    case LogEntryKind::kLowWater:
      absl::StrAppend(&out, " ", ChannelText(entry.channel), " ", entry.number);
      return;
    case LogEntryKind::kOutput:
      out.push_back(' ');
      AppendName(entry.name, out);
      absl::StrAppend(&out, " #", entry.number, " ");
      AppendJsonText(entry.bytes, out);
      return;
    case LogEntryKind::kInput: {
      out.push_back(' ');
      AppendName(entry.name, out);
      absl::StrAppend(&out, " #", entry.number);
      AppendItem({entry.id, StreamEntryForm::kFields, entry.bytes}, out);
      return;
    }
    case LogEntryKind::kConfirmed:
    case LogEntryKind::kSequences:
      absl::StrAppend(&out, " #", entry.number);
      return;
    case LogEntryKind::kEndpoint:
      out.push_back(' ');
      AppendName(entry.name, out);
      out.push_back(' ');
      return AppendBytesText(entry.bytes, out);
    case LogEntryKind::kWatermark:
      out.push_back(' ');
      AppendName(entry.name, out);
      out.push_back(' ');
      return AppendTimeText(entry.ms, out);
    case LogEntryKind::kClass: {
      out.push_back(' ');
      AppendName(entry.name, out);
      const std::optional<RowSchema> schema = RowSchema::DecodeSchema(entry.bytes);
      if (!schema) {
        out += " (malformed) ";
        return AppendBytesText(entry.bytes, out);
      }
      for (const FieldSchema& field : schema->fields) {
        absl::StrAppend(&out, " ", field.name, ":", FieldTypeName(field));
      }
      return;
    }
  }
}

void AppendEntryJson(PartitionId partition, const LogEntry& entry, const LoggedSchemas& schemas,
                     std::string& out) {
  absl::StrAppend(&out, "\"kind\":\"", View(KindName(entry.kind)), "\"");
  if (!entry.name.empty() && !entry.is_change()) {
    switch (entry.kind) {
      case LogEntryKind::kOutput:
      case LogEntryKind::kInput:
      case LogEntryKind::kWatermark:
        out += ",\"stream\":";
        AppendBytesJson(entry.name, out);
        break;
      case LogEntryKind::kEndpoint:
      case LogEntryKind::kClass:
        out += ",\"name\":";
        AppendBytesJson(entry.name, out);
        break;
      default:
        break;
    }
  }
  switch (entry.kind) {
    case LogEntryKind::kChange:
    case LogEntryKind::kMore:
      return AppendChangeJson(partition, entry, schemas, out);
    case LogEntryKind::kApplied:
    case LogEntryKind::kAppliedMore:
      absl::StrAppendFormat(&out, ",\"channel\":\"%s\",\"position\":%d,\"target\":\"%016x\"",
                            ChannelText(entry.channel), entry.number, entry.target);
      return;
    case LogEntryKind::kLowWater:
      absl::StrAppend(&out, ",\"channel\":\"", ChannelText(entry.channel),
                      "\",\"position\":", entry.number);
      return;
    case LogEntryKind::kOutput:
      absl::StrAppend(&out, ",\"number\":", entry.number, ",\"json\":");
      return AppendBytesJson(entry.bytes, out);
    case LogEntryKind::kInput: {
      absl::StrAppend(&out, ",\"number\":", entry.number);
      AppendJsonId("id", entry.id, out);
      std::vector<std::pair<std::string_view, std::string_view>> fields;
      if (ReadFieldsPayload(entry.bytes, fields)) return AppendJsonFields(fields, out);
      out += ",\"payload\":";
      return AppendBytesJson(entry.bytes, out);
    }
    case LogEntryKind::kConfirmed:
    case LogEntryKind::kSequences:
      absl::StrAppend(&out, ",\"number\":", entry.number);
      return;
    case LogEntryKind::kEndpoint:
      out += ",\"state\":";
      return AppendBytesJson(entry.bytes, out);
    case LogEntryKind::kWatermark:
      out += ",\"watermark_ms\":";
      out += entry.ms == kNoTime ? "null" : std::to_string(entry.ms);
      return;
    case LogEntryKind::kClass: {
      const std::optional<RowSchema> schema = RowSchema::DecodeSchema(entry.bytes);
      if (!schema) {
        absl::StrAppend(&out, ",\"schema_hex\":\"", absl::BytesToHexString(View(entry.bytes)),
                        "\"");
        return;
      }
      out += ",\"fields\":{";
      for (size_t i = 0; i < schema->fields.size(); ++i) {
        if (i > 0) out.push_back(',');
        AppendJsonString(schema->fields[i].name, out);
        absl::StrAppend(&out, ":\"", FieldTypeName(schema->fields[i]), "\"");
      }
      out.push_back('}');
      return;
    }
  }
}

}  // namespace bettong::grid
