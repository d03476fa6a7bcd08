#include "protocol/command_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace bettong::protocol {
namespace {

TEST(CommandTable, FindsNamesInAnyCase) {
  const CommandTable table;
  ASSERT_NE(table.Find("GET"), nullptr);
  EXPECT_EQ(table.Find("get"), table.Find("GeT"));
  EXPECT_EQ(table.Find("fcall_ro")->spec.name, "FCALL_RO");
  for (std::string_view unknown : {"", "GETT", "GE", "G\x05T", "zincrbyzincrbyzincrby"}) {
    EXPECT_EQ(table.Find(unknown), nullptr) << unknown;
  }
}

TEST(CommandTable, EveryRowIsComplete) {
  const CommandTable table;
  std::set<std::string_view> names;
  for (const CommandRow* row : table.rows()) {
    const std::string name(row->spec.name);
    EXPECT_TRUE(names.insert(row->spec.name).second) << name << " twice";
    EXPECT_EQ(table.Find(name), row);
    EXPECT_NE(row->arity, 0) << name;
    EXPECT_FALSE(row->summary.empty()) << name;
    EXPECT_FALSE(row->group.empty()) << name;
    EXPECT_NE(row->spec.encode, nullptr) << name;
    EXPECT_FALSE((row->flags & kWrite) != 0 && (row->flags & kReadOnly) != 0) << name;
    switch (row->scope) {
      case Scope::kSession:
      case Scope::kRouted:
        EXPECT_NE(row->run_session, nullptr) << name;
        break;
      case Scope::kKey:
      case Scope::kEachKey:
        EXPECT_NE(row->spec.run_key, nullptr) << name;
        EXPECT_GT(row->keys.first, 0) << name;
        break;
      case Scope::kKeysTogether:
      case Scope::kKeysByShard:
      case Scope::kEveryShard:
        EXPECT_NE(row->spec.run_shard, nullptr) << name;
        break;
      case Scope::kEveryPort:
        EXPECT_NE(row->run_port, nullptr) << name;
        break;
    }
    const bool several = row->scope != Scope::kSession && row->scope != Scope::kRouted &&
                         row->scope != Scope::kKey && row->scope != Scope::kKeysTogether;
    EXPECT_EQ(several, row->merge != nullptr) << name;
  }
}

std::vector<std::string_view> KeysIn(std::vector<std::string_view> args) {
  const CommandTable table;
  const KeyArguments keys = KeysOf(*table.Find(args[0]), args);
  std::vector<std::string_view> found;
  for (size_t i = 0; i < keys.count; ++i) found.push_back(args[keys.first + i * keys.step]);
  return found;
}

TEST(CommandTable, KnowsWhereTheKeysAre) {
  using Keys = std::vector<std::string_view>;
  EXPECT_EQ(KeysIn({"GET", "a"}), Keys({"a"}));
  EXPECT_EQ(KeysIn({"DEL", "a", "b"}), Keys({"a", "b"}));
  EXPECT_EQ(KeysIn({"MSET", "a", "1", "b", "2"}), Keys({"a", "b"}));
  EXPECT_EQ(KeysIn({"XREAD", "COUNT", "1", "STREAMS", "a", "b", "0", "0"}), Keys({"a", "b"}));
  EXPECT_EQ(KeysIn({"FCALL", "host.mean", "1", "host:a", "x"}), Keys({"host:a"}));
  EXPECT_EQ(KeysIn({"OBJECT", "ENCODING", "a"}), Keys({"a"}));
  EXPECT_EQ(KeysIn({"PING"}), Keys());
}

}  // namespace
}  // namespace bettong::protocol
