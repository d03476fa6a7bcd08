// The keys of a configuration file: which tables there are, which keys in them, what each may be,
// and where its value goes. server/config.h reads files and shows what came of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/config.h"

namespace bettong::server {

// What a key's setter is given to be asked instead of told: it answers the value as the file would
// have it. So one row of the table says both.
using Texts = std::vector<std::string>;
using Pairs = ingest::TextPairs;  // of a table within the table; a later one adds to it
using Answer = std::variant<std::monostate, std::string, int64_t, bool, Texts, Pairs>;
struct Question {
  Answer* answer;
};

using Value = std::variant<std::string, int64_t, double, bool, Texts, Pairs, Question>;

// In words, for errors.
std::string DescribeValue(const Value& value);

// What a setter answers: empty, or what was expected.
using Expected = std::string;

struct Key {
  std::string_view name;
  std::function<Expected(NodeConfig&, std::string_view table_name, const Value&)> set;
};

struct Section {
  std::string_view name;
  bool named;  // [source.NAME]
  std::vector<Key> keys;
};

// In the order of `config show`. Never freed.
const std::vector<Section>& Sections();

// The format of lines: keys of [source.NAME], and options of `bettong run`.
Expected SetLineFormat(ingest::FormatConfig& to, const Value& value);
Expected SetFormat(ingest::FormatConfig& to, const Value& value);  // raw, too
Expected SetPrecision(ingest::FormatConfig& to, const Value& value);
Expected SetColumns(ingest::FormatConfig& to, const Value& value);
Expected SetDelimiter(ingest::FormatConfig& to, const Value& value);
Expected SetRawField(ingest::FormatConfig& to, const Value& value);

}  // namespace bettong::server
