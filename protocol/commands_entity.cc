// CALL and FCALL: methods of entities, run next to the state. SCHEMA: what the apps declare.
#include <string>
#include <vector>

#include "base/nearest_name.h"
#include "base/number_text.h"
#include "grid/tagged.h"
#include "protocol/command_table.h"
#include "protocol/entity_fields.h"
#include "protocol/errors.h"
#include "protocol/scan_options.h"
#include "protocol/schema_reply.h"
#include "protocol/session.h"
#include "protocol/shard_port.h"
#include "protocol/text.h"

namespace bettong::protocol {
namespace {

using grid::Catalog;
using grid::ClassSchema;

constexpr grid::CommandSpec kCallSpec = [] {
  grid::CommandSpec spec = MakeSpec("CALL", kWrite);
  spec.calls_entity = true;
  return spec;
}();

std::string UnknownMethod(const ClassSchema& entity_class, std::string_view method) {
  std::string error =
      "ERR " + entity_class.name + " has no command '" + std::string(method.substr(0, 128)) + "'";
  std::vector<std::string_view> names;
  for (const grid::CommandSchema& command : entity_class.commands) names.push_back(command.name);
  if (names.empty()) return error + ": it has none";
  error += "; it has: ";
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) error += ", ";
    error += names[i];
  }
  return error;
}

void Call(Session& session, ClassId class_id, std::string_view method, std::string_view key,
          Args arguments) {
  const ClassSchema& entity_class = session.catalog().classes[class_id.value()];
  size_t index = 0;
  while (index < entity_class.commands.size() && entity_class.commands[index].name != method) {
    ++index;
  }
  if (index == entity_class.commands.size()) {
    return session.ReplyError(UnknownMethod(entity_class, method));
  }
  std::string tagged;
  grid::TaggedWriter writer(tagged);
  writer.List(arguments.size());
  for (std::string_view argument : arguments) writer.Text(argument);
  grid::Message& message = session.RouteToKey(kCallSpec, {}, key);
  message.entity_class = class_id;
  message.entity_command = static_cast<uint16_t>(index);
  message.arguments = session.port().batch().Copy(tagged);
}

// CALL key method [arg ...]
void RunCall(Session& session, Args args) {
  ClassId class_id;
  const Catalog& catalog = session.catalog();
  if (catalog.ClassOfKey(args[1], &class_id) == nullptr) {
    std::string error = "ERR '" + std::string(args[1].substr(0, 128)) + "' is no entity's key: ";
    const auto classes = grid::Declared(catalog.classes);
    if (classes.empty()) {
      error += "no app declares entities";
    } else {
      error += "entities' keys start with ";
      for (size_t i = 0; i < classes.size(); ++i) {
        if (i > 0) error += ", ";
        error += "'" + classes[i]->prefix + ":'";
      }
    }
    return session.ReplyError(error);
  }
  Call(session, class_id, args[2], args[1], args.subspan(3));
}

// FCALL class.method 1 key [arg ...]; the key with or without the class's prefix.
void RunFCall(Session& session, Args args) {
  const auto keys = ParseInt(args[2]);
  if (!keys) return session.ReplyError("ERR Bad number of keys provided");
  if (*keys < 0) return session.ReplyError("ERR Number of keys can't be negative");
  if (static_cast<size_t>(*keys) > args.size() - 3) {
    return session.ReplyError("ERR Number of keys can't be greater than number of args");
  }
  const size_t dot = args[1].rfind('.');
  ClassId class_id;
  const ClassSchema* entity_class =
      dot == std::string_view::npos
          ? nullptr
          : session.catalog().FindClass(args[1].substr(0, dot), &class_id);
  if (entity_class == nullptr) {
    std::string error =
        "ERR Function not found: '" + std::string(args[1].substr(0, 128)) + "' is not class.method";
    if (dot != std::string_view::npos) error += " of a class that an app declares";
    return session.ReplyError(error);
  }
  if (*keys != 1) return session.ReplyError("ERR FCALL of an entity's method takes one key");
  std::string_view key = args[3];
  const ClassSchema* class_of_key = session.catalog().ClassOfKey(key);
  if (class_of_key != nullptr && class_of_key != entity_class) {
    return session.ReplyError("ERR '" + std::string(key.substr(0, 128)) + "' is a key of " +
                              class_of_key->name + ", not of " + entity_class->name);
  }
  const std::string prefix = entity_class->prefix + ":";
  if (!key.starts_with(prefix)) key = session.port().batch().Copy(prefix + std::string(key));
  Call(session, class_id, args[1].substr(dot + 1), key, args.subspan(4));
}

CommandRow::KeyRange FCallKeys(Args args) {
  const auto keys = args.size() > 2 ? ParseInt(args[2]) : std::nullopt;
  if (!keys || *keys <= 0 || static_cast<size_t>(*keys) > args.size() - 3) return {};
  return {3, static_cast<size_t>(*keys)};
}

void RunSchema(Session& session, Args args) {
  ReplyWriter reply = session.reply();
  const Catalog& catalog = session.catalog();
  if (args.size() == 1) return ReplyCatalog(catalog, reply);
  if (args.size() > 2) return reply.Error(WrongArity("schema"));
  if (const ClassSchema* entity_class = catalog.FindClass(args[1])) {
    return ReplyClass(catalog, *entity_class, reply);
  }
  std::string error = "ERR no class '" + std::string(args[1].substr(0, 128)) + "'";
  std::vector<std::string_view> names;
  for (const ClassSchema* each : grid::Declared(catalog.classes)) names.push_back(each->name);
  if (const auto nearest = NearestName(args[1], names)) {
    error += "; did you mean '" + std::string(*nearest) + "'?";
  }
  reply.Error(error);
}

// Elements of one answer, unless COUNT says less or more, and at most.
constexpr size_t kFieldPageDefault = 100;
constexpr size_t kFieldPageMax = 10'000;

struct PageOptions {
  uint64_t cursor = 0;
  size_t count = kFieldPageDefault;
};

// [CURSOR cursor] [COUNT count]; the error's text if they are wrong, else empty.
std::string ParsePageOptions(Args args, PageOptions& options) {
  for (size_t i = 0; i < args.size(); i += 2) {
    const bool is_cursor = EqualsIgnoreCase(args[i], "CURSOR");
    if ((!is_cursor && !EqualsIgnoreCase(args[i], "COUNT")) || i + 1 == args.size()) {
      return std::string(kSyntaxError);
    }
    if (is_cursor) {
      const auto cursor = ParseCursor(args[i + 1]);
      if (!cursor) return "ERR invalid cursor";
      options.cursor = *cursor;
      continue;
    }
    const auto count = ParseInt(args[i + 1]);
    if (!count || *count < 1 || static_cast<uint64_t>(*count) > kFieldPageMax) {
      return "ERR COUNT is from 1 to " + std::to_string(kFieldPageMax);
    }
    options.count = static_cast<size_t>(*count);
  }
  return "";
}

// ENTITY.FIELD key field [CURSOR cursor] [COUNT count]
void RunEntityField(grid::KeyTurn& turn, Args args) {
  PageOptions options;
  const std::string wrong = ParsePageOptions(args.subspan(3), options);
  if (!wrong.empty()) return turn.ReplyError(wrong);
  const std::string key(args[1].substr(0, 128));
  if (turn.type() == grid::ValueType::kNone)
    return turn.ReplyError("ERR no such key: '" + key + "'");
  if (turn.type() != grid::ValueType::kEntity) return ReplyWrongType(turn);
  const auto index = FindEntityField(turn, args[2]);
  if (!index) return;
  const grid::FieldSchema& field = turn.entity_class().row.fields[*index];
  if (!grid::IsContainer(field.type)) {
    return turn.ReplyError("ERR field '" + field.name + "' of " + turn.entity_class().name +
                           " is no container but " + FieldTypeText(field) + "; HGET reads it");
  }
  const grid::Container* container = grid::RowSchema::ContainerAt(turn.entity_row(), field);
  std::string page;
  const uint64_t next = container->AppendPage(options.cursor, options.count, page);
  ReplyWriter reply(turn.reply(), turn.resp3());
  reply.Array(2);
  reply.Bulk(std::to_string(next));
  EncodeTagged(page, turn.resp3(), turn.reply());
}

constexpr CommandRow EntityFieldRow() {
  CommandRow row =
      KeyRow("ENTITY.FIELD", -3, kReadOnly, RunEntityField,
             {"bettong", "1.0.0", "Returns elements of an entity's container field, by pages."});
  row.spec.reads_fields = true;
  return row;
}

constexpr CommandRow CallRow() {
  CommandRow row = SessionRow("CALL", -3, kWrite | kFeedsStreams, RunCall,
                              {"bettong", "1.0.0", "Runs a method of an entity."});
  row.scope = Scope::kRouted;
  row.keys = kOneKey;
  return row;
}

constexpr CommandRow FCallRow(std::string_view name, std::string_view summary) {
  CommandRow row = SessionRow(name, -3, kWrite | kMovableKeys | kFeedsStreams, RunFCall,
                              {"scripting", "7.0.0", summary});
  row.scope = Scope::kRouted;
  row.find_keys = FCallKeys;
  return row;
}

constexpr CommandRow kRows[] = {
    CallRow(),
    FCallRow("FCALL", "Runs a method of an entity: FCALL class.method 1 key [arg ...]."),
    FCallRow("FCALL_RO", "Runs a method of an entity: FCALL_RO class.method 1 key [arg ...]."),
    EntityFieldRow(),
    SessionRow("SCHEMA", -1, kReadOnly, RunSchema,
               {"bettong", "1.0.0", "Describes the entity classes and streams of the apps."}),
};

}  // namespace

std::span<const CommandRow> EntityCommands() { return kRows; }

}  // namespace bettong::protocol
