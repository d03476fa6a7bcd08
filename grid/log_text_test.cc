// Every kind of entry as Journal writes it, read by EntryReader, and shown.
#include "grid/log_text.h"
#include "grid/value_text.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "grid/containers/dictionary.h"
#include "grid/containers/sequence.h"
#include "grid/containers/window.h"
#include "grid/entry.h"
#include "grid/entry_reader.h"
#include "grid/journal.h"
#include "grid/key_table.h"
#include "grid/origin.h"
#include "wal/record_testing.h"

namespace bettong::grid {
namespace {

constexpr PartitionId kPartition{3};
constexpr TimeMs kNoonMs = 1'795'608'000'123;  // 2026-11-25T12:00:00.123Z

std::shared_ptr<const Catalog> MakeCatalog(std::string prefix) {
  auto catalog = std::make_shared<Catalog>();
  ClassSchema& host = catalog->classes.emplace_back();
  host.name = "Host";
  host.prefix = std::move(prefix);
  host.row.fields = {{.name = "cpu", .type = FieldType::kFloat},
                     {.name = "seen", .type = FieldType::kInt, .optional = true},
                     {.name = "up", .type = FieldType::kBool},
                     {.name = "note", .type = FieldType::kText},
                     {.name = "last", .type = FieldType::kIntArray, .array_size = 3}};
  BETTONG_CHECK(catalog->Finish().empty());
  return catalog;
}

class LogTextTest : public ::testing::Test {
 protected:
  explicit LogTextTest(std::string prefix = "host")
      : catalog_(MakeCatalog(std::move(prefix))), journal_(*catalog_, 8) {}

  std::string& Change(std::string_view key, ChangeOp op) {
    return journal_.Change(kPartition, key, op);
  }
  void Row(std::string_view key, ChangeOp op, std::string_view payload) {
    journal_.Class(kPartition, ClassId(0));
    ByteWriter(Change(key, op)).Bytes(payload);
  }
  // cpu 0.5, seen null, up, note "hé", last [1, 0, 300].
  static std::string SomeRow() {
    std::string row;
    ByteWriter out(row);
    out.Fixed('\1'), out.Fixed(0.5);
    out.Fixed('\0');
    out.Fixed('\1'), out.Fixed('\1');
    out.Fixed('\1'), out.Bytes("hé");
    out.Fixed('\1'), out.Varint(3);
    for (int64_t i : {0, 1, 2}) out.Varint(static_cast<uint64_t>(i)), out.Zigzag(i * 150);
    return row;
  }
  // cpu -2, last[2] = 7.
  static std::string SomeDelta() {
    std::string delta;
    ByteWriter out(delta);
    out.Varint(2);
    out.Varint(0), out.Fixed('\1'), out.Fixed(-2.0);
    out.Varint(4), out.Fixed('\1'), out.Varint(1), out.Varint(2), out.Zigzag(7);
    return delta;
  }

  // What has been written since the last time, a line per entry.
  std::vector<std::string> Lines(bool json = false) {
    wal::LogRecord record;
    journal_.TakeInto(record, kNoonMs);
    std::vector<std::string> lines;
    for (const wal::OwnedSection& section : wal::SectionsOf(record)) {
      EntryReader reader(section.entries);
      while (reader.Next()) {
        schemas_.Learn(section.partition, reader.entry());
        std::string& line = lines.emplace_back();
        (json ? AppendEntryJson : AppendEntryText)(section.partition, reader.entry(), schemas_,
                                                   line);
      }
      EXPECT_TRUE(reader.ok());
    }
    return lines;
  }
  std::string Line(bool json = false) {
    const std::vector<std::string> lines = Lines(json);
    EXPECT_EQ(lines.size(), 1u);
    return lines.empty() ? "" : lines.back();
  }

  std::shared_ptr<const Catalog> catalog_;
  Journal journal_;
  LoggedSchemas schemas_;
};

using Strings = std::vector<std::string>;

TEST_F(LogTextTest, RowsAreShownByTheSchemaInTheLog) {
  const auto write = [&] {
    Row("host:a", ChangeOp::kEntityCreate, SomeRow());
    Row("host:a", ChangeOp::kEntityDelta, SomeDelta());
    Change("host:a", ChangeOp::kEntityExpire);
  };
  write();
  EXPECT_EQ(
      Lines(),
      (Strings{"class Host cpu:float seen:int? up:bool note:str last:int[3]",
               "change host:a create cpu=0.5 seen=null up=true note=\"hé\" last={0:0 1:150 2:300}",
               "change host:a delta cpu=-2 last={2:7}", "change host:a expire"}));
  write();
  EXPECT_EQ(
      Lines(true),
      (Strings{
          R"("kind":"change","key":"host:a","op":"create","fields":{"cpu":0.5,"seen":null,"up":true,)"
          R"("note":"hé","last":{"0":0,"1":150,"2":300}})",
          R"("kind":"change","key":"host:a","op":"delta","fields":{"cpu":-2,"last":{"2":7}})",
          R"("kind":"change","key":"host:a","op":"expire")"}));
}

TEST_F(LogTextTest, RowsWithoutASchemaOrOfAnotherShapeAreShownAsBytes) {
  Row("host:a", ChangeOp::kEntityDelta, SomeDelta());
  wal::LogRecord record;
  journal_.TakeInto(record, kNoonMs);
  // The schema is left out, as by whoever begins in the middle.
  const std::string entries = wal::SectionsOf(record)[0].entries;
  const size_t class_bytes = entries.find("\1\6host:a");
  EntryReader reader(std::string_view(entries).substr(class_bytes));
  ASSERT_TRUE(reader.Next());
  std::string line;
  AppendEntryText(kPartition, reader.entry(), schemas_, line);
  EXPECT_TRUE(line.starts_with("change host:a delta (no schema seen) 0x0200")) << line;

  Row("host:a", ChangeOp::kEntityCreate, SomeRow());
  Row("host:a", ChangeOp::kEntityDelta, "\1\7\1");
  journal_.BeginRound(kPartition);
  Row("host:a", ChangeOp::kEntityDelta, "\1\7\1");
  EXPECT_EQ(Lines().back(), "change host:a delta (not of its schema) 0x010701");
}

TEST_F(LogTextTest, FaultsOfRowsAreFound) {
  const RowSchema& schema = catalog_->classes[0].row;
  const std::string row = SomeRow(), delta = SomeDelta();
  LogEntry change{.op = ChangeOp::kEntityCreate, .bytes = row};
  EXPECT_EQ(FaultOfRow(schema, change), "");
  change.bytes = delta;
  EXPECT_NE(FaultOfRow(schema, change), "");
  change.op = ChangeOp::kEntityDelta;
  EXPECT_EQ(FaultOfRow(schema, change), "");
  const std::string longer = delta + "x";
  change.bytes = longer;
  EXPECT_NE(FaultOfRow(schema, change), "");
  change.bytes = std::string_view(delta).substr(0, delta.size() - 1);
  EXPECT_NE(FaultOfRow(schema, change), "");
}

TEST_F(LogTextTest, StringsAreQuotedAndCut) {
  ByteWriter(Change("k", ChangeOp::kPutString)).Bytes("say \"hi\"\n");
  ByteWriter(Change("two words", ChangeOp::kPutString)).Bytes(std::string(79, 'x') + "éé");
  ByteWriter(Change(std::string_view("\0\1", 2), ChangeOp::kPutString))
      .Bytes(std::string(40, '\xff'));
  EXPECT_EQ(
      Lines(),
      (Strings{
          R"(change k string "say \"hi\"\n")",
          absl::StrCat("change \"two words\" string \"", std::string(79, 'x'), "\"… (83 bytes)"),
          absl::StrCat("change 0x0001 string 0x", std::string(64, 'f'), "… (40 bytes)")}));
  ByteWriter(Change("k", ChangeOp::kPutString)).Bytes(std::string(100, 'x'));
  EXPECT_EQ(Line(true), absl::StrCat(R"("kind":"change","key":"k","op":"string","value":")",
                                     std::string(100, 'x'), "\""));
  ByteWriter(Change("k", ChangeOp::kPutString)).Bytes("\xff");
  EXPECT_EQ(Line(true), R"("kind":"change","key":"k","op":"string","value":{"hex":"ff"})");
}

TEST_F(LogTextTest, HashesAndDeadlines) {
  const auto write = [&] {
    ByteWriter(Change("h", ChangeOp::kNew)).Fixed(ValueType::kHash);
    ByteWriter(Change("h", ChangeOp::kHashSet)).Raw("\2\1a\1b\1c\1=");
    ByteWriter(Change("h", ChangeOp::kHashDelete)).Raw("\2\1a\1c");
    ByteWriter(Change("h", ChangeOp::kDeadline)).Fixed(kNoonMs);
    ByteWriter(Change("h", ChangeOp::kDeadline)).Fixed(kNeverExpires);
    ByteWriter(Change("h", ChangeOp::kOwnTtl)).Fixed(int64_t{1500});
    Change("h", ChangeOp::kDelete);
  };
  write();
  EXPECT_EQ(Lines(),
            (Strings{"change h new hash", "change h hash_set a=\"b\" c=\"=\"",
                     "change h hash_delete a c", "change h deadline 2026-11-25T12:00:00.123Z",
                     "change h deadline never", "change h own_ttl 1500 ms", "change h delete"}));
  write();
  EXPECT_EQ(Lines(true)[1],
            R"("kind":"change","key":"h","op":"hash_set","fields":[["a","b"],["c","="]])");
  std::string many(1, '\11');
  for (char c = 'a'; c < 'j'; ++c) many += std::string("\1") + c + "\1v";
  ByteWriter(Change("h", ChangeOp::kHashPiece)).Raw(many);
  EXPECT_TRUE(Line().ends_with("h=\"v\" … (9 fields)"));
}

TEST_F(LogTextTest, Streams) {
  const auto id = [](ByteWriter& out, uint64_t ms, uint64_t sequence) {
    out.Fixed(ms), out.Fixed(sequence);
  };
  const auto write = [&] {
    ByteWriter append(Change("x", ChangeOp::kStreamAppend));
    id(append, 5, 1);
    append.Fixed(StreamEntryForm::kJson);
    append.Bytes(R"({"a":1})");
    ByteWriter fields(Change("x", ChangeOp::kStreamAppend));
    id(fields, 6, 0);
    fields.Fixed(StreamEntryForm::kFields);
    fields.Bytes("\1\1f\1v");
    ByteWriter trim(Change("x", ChangeOp::kStreamTrim));
    id(trim, 6, 0);
    ByteWriter deleted(Change("x", ChangeOp::kStreamDelete));
    deleted.Varint(2);
    id(deleted, 6, 1), id(deleted, 6, 3);
    ByteWriter piece(Change("x", ChangeOp::kStreamPiece));
    piece.Varint(2);
    for (uint64_t ms : {7, 8})
      id(piece, ms, 0), piece.Fixed(StreamEntryForm::kJson), piece.Bytes("{}");
    ByteWriter marks(Change("x", ChangeOp::kStreamMarks));
    id(marks, 8, 0), id(marks, 6, 0), marks.Fixed(uint64_t{4});
  };
  write();
  EXPECT_EQ(Lines(),
            (Strings{R"(change x stream_append 5-1 {"a":1})", R"(change x stream_append 6-0 f="v")",
                     "change x stream_trim 6-0", "change x stream_delete 6-1 6-3",
                     "change x stream_piece 2 entries 7-0 to 8-0",
                     "change x stream_marks last=8-0 max_deleted=6-0 added=4"}));
  write();
  const Strings json = Lines(true);
  EXPECT_EQ(
      json[0],
      R"("kind":"change","key":"x","op":"stream_append","entries":[{"id":"5-1","json":"{\"a\":1}"}])");
  EXPECT_EQ(
      json[1],
      R"("kind":"change","key":"x","op":"stream_append","entries":[{"id":"6-0","fields":[["f","v"]]}])");
  EXPECT_EQ(json[3], R"("kind":"change","key":"x","op":"stream_delete","ids":["6-1","6-3"])");
}

TEST_F(LogTextTest, WhatIsNoChange) {
  const auto write = [&] {
    journal_.Output(kPartition, 4, "out", "{\"n\":1}");
    journal_.Input(kPartition, 5, "in", {9, 1}, "\1\1f\1v");
    journal_.Confirmed(kPartition, 3);
    journal_.Sequences(kPartition, 5);
    journal_.Endpoint(kPartition, "sink:a", std::string_view("\0\1", 2));
    journal_.Endpoint(kPartition, "sink:b", "text");
    journal_.Watermark(kPartition, "in", kNoonMs);
    journal_.LowWater(kPartition, kSourceChannelBit + 7, 12);
    journal_.Applied(kPartition, OutboxChannel(PartitionId(2)), 7, 0xab);
    journal_.Applied(kPartition, OutboxChannel(PartitionId(2)), 8, 0xcd);
  };
  write();
  EXPECT_EQ(
      Lines(),
      (Strings{"output out #4 {\"n\":1}", "input in #5 9-1 f=\"v\"", "confirmed #3", "sequences #5",
               "endpoint sink:a 0x0001", "endpoint sink:b \"text\"",
               "watermark in 2026-11-25T12:00:00.123Z", "low_water source:8000000000000007 12",
               "applied outbox:p2 7/00000000000000ab", "applied outbox:p2 8/00000000000000cd"}));
  write();
  EXPECT_EQ(
      Lines(true),
      (Strings{
          R"("kind":"output","stream":"out","number":4,"json":"{\"n\":1}")",
          R"("kind":"input","stream":"in","number":5,"id":"9-1","fields":[["f","v"]])",
          R"("kind":"confirmed","number":3)", R"("kind":"sequences","number":5)",
          R"("kind":"endpoint","name":"sink:a","state":"\u0000\u0001")",
          R"("kind":"endpoint","name":"sink:b","state":"text")",
          R"("kind":"watermark","stream":"in","watermark_ms":1795608000123)",
          R"("kind":"low_water","channel":"source:8000000000000007","position":12)",
          R"("kind":"applied","channel":"outbox:p2","position":7,"target":"00000000000000ab")",
          R"("kind":"applied","channel":"outbox:p2","position":8,"target":"00000000000000cd")"}));
}

TEST(LogText, WindowsAreShownWholeOrWithWhatATurnHasAdded) {
  auto catalog = std::make_shared<Catalog>();
  ClassSchema& host = catalog->classes.emplace_back();
  host.name = "Host", host.prefix = "host";
  const WindowSpec spec = {.is_float = false, .size_ms = 200, .pane_ms = 100};
  WindowSpec texts = spec;
  texts.keeps = 0, texts.hashed = HashedValue::kText, texts.distinct_bits = 4;
  host.row.fields = {{.name = "cpu", .type = FieldType::kWindow, .window = spec},
                     {.name = "users", .type = FieldType::kWindow, .window = texts}};
  ASSERT_EQ(catalog->Finish(), "");
  const RowSchema& schema = catalog->classes[0].row;
  std::string row(schema.row_bytes(), '\0'), image;
  schema.MakeContainers(row.data());
  ContainerTurn turn;
  auto* window = static_cast<Window*>(RowSchema::ContainerAt(row.data(), schema.fields[0]));
  window->Add(7, 50, kNoTime, turn), window->Add(9, 60, kNoTime, turn);
  ContainerTurn text_turn;
  auto* users = static_cast<Window*>(RowSchema::ContainerAt(row.data(), schema.fields[1]));
  users->Add(0xabc, 50, kNoTime, text_turn);
  schema.EncodeRow(row.data(), image);
  std::string delta;
  ByteWriter out(delta);
  out.Varint(2), out.Varint(0), out.Fixed('\2'), out.Bytes(turn.operations);
  out.Varint(1), out.Fixed('\2'), out.Bytes(text_turn.operations);
  users->Commit(text_turn);
  schema.Destroy(row.data());

  Journal journal(*catalog, 8);
  journal.Class(kPartition, ClassId(0));
  ByteWriter(journal.Change(kPartition, "host:a", ChangeOp::kEntityCreate)).Bytes(image);
  ByteWriter(journal.Change(kPartition, "host:a", ChangeOp::kEntityDelta)).Bytes(delta);
  wal::LogRecord record;
  journal.TakeInto(record, kNoonMs);
  const wal::OwnedSection section = wal::SectionsOf(record)[0];
  LoggedSchemas schemas;
  EntryReader reader(section.entries);
  std::string text, json;
  while (reader.Next()) {
    schemas.Learn(kPartition, reader.entry());
    AppendEntryText(kPartition, reader.entry(), schemas, text), text += "\n";
    AppendEntryJson(kPartition, reader.entry(), schemas, json), json += "\n";
    if (reader.entry().is_change()) {
      EXPECT_EQ(FaultOfRow(schema, reader.entry()), "");
    }
  }
  EXPECT_EQ(text,
            "class Host cpu:window users:window\n"
            "change host:a create cpu={\"count\":2,\"start\":-100,\"end\":100,\"sum\":16,"
            "\"mean\":8.0,\"min\":7,\"max\":9} "
            "users={\"count\":1,\"start\":-100,\"end\":100,\"distinct\":1}\n"
            "change host:a delta cpu=+[7 9] users=+[#0000000000000abc]\n");
  EXPECT_NE(json.find(R"("fields":{"cpu":{"add":[7,9]},"users":{"add":["#0000000000000abc"]}})"),
            std::string::npos)
      << json;
}

TEST(LogText, TimesOutsideOfTheCalendarAreNumbers) {
  const auto text = [](TimeMs time_ms) {
    std::string out;
    AppendTimeText(time_ms, out);
    return out;
  };
  EXPECT_EQ(text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(text(253'402'300'799'999), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(text(253'402'300'800'000), "253402300800000ms");
  EXPECT_EQ(text(-1), "-1ms");
  EXPECT_EQ(text(kNoTime), "none");
}

class OtherPrefixTest : public LogTextTest {
 protected:
  OtherPrefixTest() : LogTextTest("h:x") {}
};

TEST_F(OtherPrefixTest, AClassIsKnownByTheChangeBehindItsSchema) {
  Row("h:x:1", ChangeOp::kEntityCreate, SomeRow());
  ByteWriter(Change("other:1", ChangeOp::kEntityDelta)).Bytes(SomeDelta());
  const Strings lines = Lines();
  EXPECT_TRUE(lines[1].starts_with("change h:x:1 create cpu=0.5")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("change other:1 delta (no schema seen)")) << lines[2];
  const LoggedSchemas::Class* found = nullptr;
  EXPECT_NE(schemas_.Find(kPartition, "h:x:1", &found), nullptr);
  EXPECT_FALSE(found->certain) << "h, or h:x";
  EXPECT_EQ(schemas_.Find(PartitionId(4), "h:x:1"), nullptr) << "another partition";
}

TEST(EntryReader, MalformedEntriesEndIt) {
  const auto read = [](std::string_view bytes) {
    EntryReader reader(bytes);
    size_t count = 0;
    while (reader.Next()) ++count;
    return std::pair(count, reader.ok());
  };
  using Result = std::pair<size_t, bool>;
  const std::string_view good("\1\1k\4\12\4", 6);  // change k delete, more delete
  EXPECT_EQ(read(""), Result(0, true));
  EXPECT_EQ(read(good), Result(2, true));
  EXPECT_EQ(read(good.substr(0, 5)), Result(1, false));
  EXPECT_EQ(read("\12\4"), Result(0, false)) << "more, without a change before";
  EXPECT_EQ(read(std::string_view("\0", 1)), Result(0, false));
  EXPECT_EQ(read("\14"), Result(0, false)) << "an unknown kind";
  EXPECT_EQ(read(std::string_view("\1\1k\0", 4)), Result(0, false)) << "an unknown op";
  EXPECT_EQ(read("\1\1k\20"), Result(0, false));
  EXPECT_EQ(read(std::string_view("\1\1k\14\0", 5)), Result(0, false)) << "new, of no type";
  EXPECT_EQ(read("\1\1k\14\4"), Result(0, false)) << "new, an entity";
  const std::string item(17, '\2');
  EXPECT_EQ(read("\1\1k\12" + item), Result(0, false)) << "an unknown form";
  std::string key_entry;
  ByteWriter out(key_entry);
  out.Fixed(LogEntryKind::kChange);
  out.Bytes(std::string(kKeyBytesMax, 'k'));
  out.Fixed(ChangeOp::kDelete);
  EXPECT_EQ(read(key_entry), Result(1, true));
  key_entry.clear();
  out.Fixed(LogEntryKind::kChange);
  out.Bytes(std::string(kKeyBytesMax + 1, 'k'));
  out.Fixed(ChangeOp::kDelete);
  EXPECT_EQ(read(key_entry), Result(0, false));
}

TEST(EntryReader, MoreMayStandBehindOtherEntries) {
  // change k delete; confirmed 1; more delete
  EntryReader reader(std::string_view("\1\1k\4\5\1\12\4", 8));
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.entry().kind, LogEntryKind::kConfirmed);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.entry().key, "k");
  EXPECT_EQ(reader.entry().at, 6u);
}

TEST(LogText, CollectionsAreShownWholeOrWithWhatATurnHasDone) {
  const CollectionSpec list_spec = {.value = ScalarType::kText};
  const CollectionSpec map_spec = {
      .kind = CollectionKind::kMap, .key = ScalarType::kInt, .value = ScalarType::kBool};
  const CollectionSpec set_spec = {
      .kind = CollectionKind::kSet, .key = ScalarType::kText, .value = ScalarType::kNone};
  Sequence list(list_spec);
  Dictionary map(map_spec), set(set_spec);
  ContainerTurn turn;
  const auto shown = [&](Collection& of, bool json) {
    std::string out;
    EXPECT_TRUE(Collection::AppendOperations(of.spec(), turn.operations, json, out));
    if (json) of.Commit(turn);
    return out;
  };
  list.Append({.bytes = "a b"}, turn), list.Insert(0, {.bytes = "c"}, turn);
  list.Set(1, {.bytes = "d"}, turn), list.Erase(0, turn), list.Clear(turn);
  EXPECT_EQ(shown(list, false), R"(+[append:"a b" insert:0:"c" set:1:"d" erase:0 clear])");
  EXPECT_EQ(shown(list, true),
            R"({"do":[["append","a b"],["insert",0,"c"],["set",1,"d"],["erase",0],["clear"]]})");
  map.Put({.raw = 7}, {.raw = 1}, turn), map.Erase(0, turn);
  EXPECT_EQ(shown(map, false), "+[put:7:true erase:7]");
  EXPECT_EQ(shown(map, true), R"({"do":[["put",7,true],["erase",7]]})");
  set.Put({.bytes = "x"}, {}, turn);
  EXPECT_EQ(shown(set, true), R"({"do":[["put","x"]]})");
}

}  // namespace
}  // namespace bettong::grid
