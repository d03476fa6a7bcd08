#include "grid/key_table.h"

#include <gtest/gtest.h>

#include <random>

namespace bettong::grid {
namespace {

class KeyTableTest : public ::testing::Test {
 protected:
  KeyTableTest() {
    ClassSchema narrow{.name = "Narrow", .prefix = "narrow"};
    narrow.row.fields = {{.name = "count"}, {.name = "text", .type = FieldType::kText}};
    ClassSchema wide{.name = "Wide", .prefix = "wide"};
    wide.row.fields = {{.name = "numbers", .type = FieldType::kIntArray, .array_size = 200}};
    catalog_.classes = {narrow, wide};
    EXPECT_EQ(catalog_.Finish(), "");
    table_.emplace(catalog_, slot_map_);
  }

  KeyRef Key(std::string_view key) { return slot_map_.Key(key); }
  Entry* Put(std::string_view key, std::string_view value, bool with_deadline = false) {
    Entry* entry =
        table_->at(table_->Insert(Key(key), ValueType::kString, value.size(), with_deadline));
    table_->SetBytes(entry, value);
    return entry;
  }

  SlotMap slot_map_{64, 1, 99};
  Catalog catalog_;
  std::optional<KeyTable> table_;
};

TEST_F(KeyTableTest, KeysOfEveryLengthAreFound) {
  std::vector<std::string> keys = {""};
  for (size_t size : {1, 16, 254, 255, 256, 257, 1000, 65536}) keys.emplace_back(size, 'k');
  for (const std::string& key : keys) Put(key, "value of " + std::to_string(key.size()));
  for (const std::string& key : keys) {
    EntryId id = table_->Find(Key(key));
    ASSERT_NE(id, EntryId(0)) << key.size();
    EXPECT_EQ(table_->at(id)->key(), key);
    EXPECT_EQ(table_->bytes(table_->at(id)), "value of " + std::to_string(key.size()));
    EXPECT_EQ(table_->at(id)->has(kKeyOutside), key.size() > Entry::kInlineKeyMax);
  }
  EXPECT_EQ(table_->Find(Key("other")), EntryId(0));
  for (const std::string& key : keys) table_->Remove(table_->Find(Key(key)));
  for (const std::string& key : keys) EXPECT_EQ(table_->Find(Key(key)), EntryId(0));
}

// Every value length with every key length around the limits, deadline before or after the value.
TEST_F(KeyTableTest, ValueAndDeadlineNeverTouchEachOther) {
  int number = 0;
  for (size_t key_size : {1, 7, 100, 255, 300}) {
    for (size_t first : {0, 1, 8, 15, 16, 17, 24, 100, 400, 490, 600}) {
      for (size_t second : {0, 3, 16, 23, 24, 25, 200, 496, 5000}) {
        std::string key = std::to_string(number++);
        key.resize(std::max(key.size(), key_size), 'k');
        std::string old_value(first, 'o'), new_value(second, 'n');
        TimeMs deadline_ms = 0x0102030405060708 + number;
        Entry* entry = Put(key, old_value, number % 2 == 0);
        table_->SetDeadline(entry, deadline_ms);
        ASSERT_EQ(table_->bytes(entry), old_value);
        table_->SetBytes(entry, new_value);
        ASSERT_EQ(entry->deadline_ms(), deadline_ms);
        ASSERT_EQ(table_->bytes(entry), new_value);
        table_->SetDeadline(entry, kNeverExpires);
        ASSERT_EQ(table_->bytes(entry), new_value);
        table_->SetBytes(entry, old_value);
        table_->SetDeadline(entry, deadline_ms);
        ASSERT_EQ(table_->bytes(entry), old_value);
        ASSERT_EQ(entry->deadline_ms(), deadline_ms);
        ASSERT_EQ(entry->key(), key);
      }
    }
  }
}

TEST_F(KeyTableTest, ShortValuesLieInTheEntryAndLongOnesOutside) {
  EXPECT_FALSE(Put("a", "short")->has(kValueOutside));
  EXPECT_FALSE(Put("b", std::string(400, 'x'))->has(kValueOutside));
  EXPECT_TRUE(Put("c", std::string(600, 'x'))->has(kValueOutside));
  Entry* entry = Put("d", "short");
  table_->SetBytes(entry, std::string(5000, 'x'));
  EXPECT_TRUE(entry->has(kValueOutside));
  table_->SetBytes(entry, "short again");
  EXPECT_FALSE(entry->has(kValueOutside));
}

TEST_F(KeyTableTest, AValueMayBeSetFromItself) {
  for (size_t size : {12, 5000}) {
    Entry* entry = Put("k" + std::to_string(size), std::string(size, 'a') + "tail");
    for (size_t cut : {size_t{1}, size - 3, size}) {
      std::string expected(
          table_->bytes(entry).substr(cut > table_->bytes(entry).size() ? 0 : cut));
      table_->SetBytes(entry,
                       table_->bytes(entry).substr(cut > table_->bytes(entry).size() ? 0 : cut));
      EXPECT_EQ(table_->bytes(entry), expected);
    }
  }
}

TEST_F(KeyTableTest, AGrowingValueIsCopiedALogarithmOfTimes) {
  Entry* entry = Put("k", "");
  std::string value;
  const void* block = nullptr;
  int moves = 0;
  for (int i = 0; i < 20'000; ++i) {
    value += "0123456789";
    table_->SetBytes(entry, value, /*growing=*/true);
    if (!entry->has(kValueOutside) || entry->outside<Block>() == block) continue;
    block = entry->outside<Block>();
    ++moves;
  }
  EXPECT_EQ(table_->bytes(entry), value);
  EXPECT_LE(moves, 16);
}

TEST_F(KeyTableTest, BytesAreAppendedWhereverTheValueLies) {
  for (size_t begin : {0, 10, 1000}) {
    std::string value(begin, 'v');
    Entry* entry = Put("k" + std::to_string(begin), value);
    const void* block = nullptr;
    int moves = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::string more(static_cast<size_t>(i % 7), static_cast<char>('a' + i % 26));
      value += more;
      table_->AppendBytes(entry, more);
      ASSERT_EQ(table_->bytes(entry).size(), value.size());
      if (!entry->has(kValueOutside) || entry->outside<Block>() == block) continue;
      block = entry->outside<Block>();
      ++moves;
    }
    EXPECT_EQ(table_->bytes(entry), value);
    EXPECT_LE(moves, 16);
  }
}

TEST_F(KeyTableTest, AnEntityRowLiesInTheEntryOrOutsideWithItsDeadline) {
  for (std::string_view name : {"narrow:1", "wide:1"}) {
    ClassId class_id;
    const ClassSchema* entity_class = catalog_.ClassOfKey(name, &class_id);
    for (size_t padding : {0, 200, 300}) {
      std::string key = std::string(name) + std::string(padding, 'x');
      Entry* entry = table_->at(table_->InsertEntity(Key(key), *entity_class));
      std::memset(table_->row(entry), 0x5a, entity_class->row.row_bytes());
      entity_class->row.InitDefaults(table_->row(entry), class_id);
      entry->set_loan(0xffff);
      table_->SetDeadline(entry, 0x1122334455667788);
      std::string row;
      entity_class->row.EncodeRow(table_->row(entry), row);
      std::string defaults(entity_class->row.row_bytes(), '\0');
      entity_class->row.InitDefaults(defaults.data(), class_id);
      std::string expected;
      entity_class->row.EncodeRow(defaults.data(), expected);
      EXPECT_EQ(row, expected);
      EXPECT_EQ(entry->deadline_ms(), 0x1122334455667788);
      EXPECT_EQ(entry->loan(), 0xffffu);
      EXPECT_EQ(entry->key(), key);
      EXPECT_EQ(table_->class_id(entry), class_id);
      EXPECT_EQ(&table_->class_of(entry), entity_class);
    }
  }
}

TEST_F(KeyTableTest, AFreshPhantomOwnsNoRow) {
  EntryId id = table_->InsertEntity(Key("narrow:1"), catalog_.classes[0]);
  std::memset(table_->row(table_->at(id)), 0x5a, catalog_.classes[0].row.row_bytes());
  table_->at(id)->set(kPhantom);
  table_->Remove(id);  // must not look into the row
  EXPECT_EQ(table_->entries(), 0u);
}

TEST_F(KeyTableTest, AHashGrowsOutOfItsPackedForm) {
  Entry* entry = table_->at(table_->Insert(Key("h"), ValueType::kHash, 10, true));
  table_->SetDeadline(entry, 12345);
  std::string packed;
  for (int i = 0; i < 100; ++i)
    PackedHash::Append("f" + std::to_string(i), "v" + std::to_string(i), packed);
  table_->SetBytes(entry, packed);
  BigHash* hash = table_->MakeBigHash(entry);
  EXPECT_TRUE(entry->has(kBigHash));
  EXPECT_EQ(hash->size(), 100u);
  EXPECT_EQ(hash->Get("f77"), "v77");
  EXPECT_EQ(entry->deadline_ms(), 12345);
  table_->Reset(entry, ValueType::kString);
  EXPECT_FALSE(entry->has(kBigHash));
  EXPECT_EQ(table_->bytes(entry), "");
  EXPECT_EQ(entry->deadline_ms(), 12345);
}

// All kinds of values, changed at random, then removed: what is counted as used comes back to what
// an empty table uses, but for one page a size.
TEST_F(KeyTableTest, UsedMemoryReturnsToZero) {
  std::mt19937 random(4);
  EXPECT_EQ(table_->used_bytes(), 0u);
  std::vector<EntryId> ids;
  for (int i = 0; i < 5000; ++i) {
    std::string key = "key" + std::to_string(i) + std::string(random() % 3 == 0 ? 300 : 0, 'k');
    EntryId id;
    switch (random() % 4) {
      case 0: {
        id = table_->InsertEntity(Key("narrow:" + key), catalog_.classes[0]);
        char* row = table_->row(table_->at(id));
        catalog_.classes[0].row.InitDefaults(row, ClassId(0));
        RowString::Set(row + catalog_.classes[0].row.fields[1].offset, std::string(100, 't'));
        table_->AddRowBytes(table_->at(id), +1);
        break;
      }
      case 1:
        id = table_->Insert(Key(key), ValueType::kStream, 0, false);
        break;
      case 2:
        id = table_->Insert(Key(key), ValueType::kHash, 20, false);
        if (random() % 2 == 0) {
          BigHash* hash = table_->MakeBigHash(table_->at(id));
          auto before = static_cast<int64_t>(hash->heap_bytes());
          hash->Set("field", "value");
          table_->AddHeapBytes(static_cast<int64_t>(hash->heap_bytes()) - before);
        }
        break;
      default:
        id = table_->Insert(Key(key), ValueType::kString, random() % 700, random() % 2 == 0);
        for (int k = 0; k < 3; ++k) {
          table_->SetBytes(table_->at(id), std::string(random() % 2000, 'v'), random() % 2 == 0);
          table_->SetDeadline(table_->at(id), random() % 2 == 0 ? kNeverExpires : 1000);
        }
    }
    ids.push_back(id);
  }
  EXPECT_GT(table_->used_bytes(), 5000u * 100);
  std::shuffle(ids.begin(), ids.end(), random);
  for (EntryId id : ids) table_->Remove(id);
  EXPECT_EQ(table_->entries(), 0u);
  EXPECT_EQ(table_->used_bytes() % Slab::kPageBytes, 0u) << "heap or index bytes are left";
  EXPECT_LE(table_->used_bytes(), Slab::kSizes * Slab::kPageBytes);
}

// Keys of one hash tag share an index; keys of many share none.
TEST_F(KeyTableTest, ManyKeysOfOneSlotAndOfMany) {
  for (std::string_view tag : {"{tag}", ""}) {
    std::vector<std::string> keys;
    for (int i = 0; i < 20'000; ++i) keys.push_back("k" + std::string(tag) + std::to_string(i));
    for (const std::string& key : keys) Put(key, key);
    for (const std::string& key : keys) {
      EntryId id = table_->Find(Key(key));
      ASSERT_NE(id, EntryId(0));
      ASSERT_EQ(table_->bytes(table_->at(id)), key);
      table_->PrefetchIndex(Key(key));
      table_->PrefetchEntry(Key(key));
    }
    for (const std::string& key : keys) table_->Remove(table_->Find(Key(key)), Key(key));
    EXPECT_EQ(table_->entries(), 0u);
  }
}

TEST_F(KeyTableTest, ADestroyedTableLeaksNothing) {
  Put(std::string(1000, 'k'), std::string(1000, 'v'));
  table_->MakeBigHash(table_->at(table_->Insert(Key("h"), ValueType::kHash, 0, false)))
      ->Set("f", "v");
  table_->stream(table_->at(table_->Insert(Key("s"), ValueType::kStream, 0, false)))
      ->entries.push_back({.payload = std::string(100, 'p')});
  EntryId id = table_->InsertEntity(Key("wide:1"), catalog_.classes[1]);
  catalog_.classes[1].row.InitDefaults(table_->row(table_->at(id)), ClassId(1));
  table_.reset();
}

}  // namespace
}  // namespace bettong::grid
