// Another catalog for a shard whose values live, and what its log tells a shard that has only that.
#include <gtest/gtest.h>

#include <functional>

#include "grid/catalog_succession.h"
#include "grid/counting_host_testing.h"
#include "grid/shard_testing.h"

namespace bettong::grid {
namespace {

std::shared_ptr<const Catalog> Changed(const Catalog& from,
                                       const std::function<void(ClassSchema&)>& change) {
  auto catalog = std::make_shared<Catalog>(from);
  change(catalog->classes[0]);
  BETTONG_CHECK(catalog->Finish().empty());
  return catalog;
}

FieldSchema Default(std::string name, int64_t value) {
  std::string encoded(1, '\1');
  ByteWriter(encoded).Zigzag(value);
  return {.name = std::move(name), .type = FieldType::kInt, .default_value = encoded};
}

class ShardReloadTest : public ::testing::Test {
 protected:
  ShardReloadTest()
      : first_(MakeCountingCatalog()),
        host_(first_),
        live_(first_, &host_, {.record_changes = true}) {}

  void Reload(const std::shared_ptr<const Catalog>& next) {
    live_.shard().SetHeld(true);
    live_.shard().SetCatalog(*next);
    live_.shard().SetHeld(false);
    live_.AdvanceTo(live_.now_ms);  // takes what has been recorded
  }
  // A shard of this code that has the log and nothing else.
  void CheckReplay(const std::shared_ptr<const Catalog>& code) {
    TestShard copy(code, nullptr);
    for (const wal::OwnedSection& section : live_.sections) {
      ASSERT_EQ(copy.shard().Apply(section.view()), absl::OkStatus());
    }
    EXPECT_EQ(copy.shard().CheckAllRead(), absl::OkStatus());
    EXPECT_EQ(copy.shard().Digest(), live_.shard().Digest());
    EXPECT_EQ(copy.shard().key_count(), live_.shard().key_count());
  }

  std::shared_ptr<const Catalog> first_;
  CountingHost host_;
  TestShard live_;
};

TEST_F(ShardReloadTest, RowsOfAnotherLayoutStayWhereTheyAreWithTheirDeadlines) {
  for (int i = 0; i < 100; ++i) {
    live_.Event({ClassId(0), "k" + std::to_string(i), std::string(static_cast<size_t>(i), 's')});
  }
  live_.Do("EXPIREAT counter:k7 " + std::to_string(live_.now_ms + 50'000));
  live_.Do("SET plain 1");
  const auto wide = Changed(*first_, [](ClassSchema& counter) {
    for (int i = 0; i < 60; ++i) counter.row.fields.push_back(Default("f" + std::to_string(i), i));
  });
  Reload(wide);
  EXPECT_EQ(live_.Do("DBSIZE"), "101/1/100");
  CheckReplay(wide);
  const auto narrow = Changed(*first_, [](ClassSchema& counter) { counter.row.fields.pop_back(); });
  Reload(narrow);
  CheckReplay(narrow);
  live_.AdvanceTo(live_.now_ms + 50'000);
  EXPECT_EQ(live_.Do("TYPE counter:k7"), "none");
  EXPECT_EQ(live_.Do("TYPE counter:k8"), "entity");
  CheckReplay(narrow);
}

// Texts that are outside of their rows, and rows that are outside of their slots, all go in the
// end.
TEST_F(ShardReloadTest, ConvertedRowsTakeTheirMemoryWithThem) {
  const auto wide = Changed(*first_, [](ClassSchema& counter) {
    for (int i = 0; i < 60; ++i) counter.row.fields.push_back(Default("f" + std::to_string(i), i));
  });
  const auto narrow = Changed(*first_, [](ClassSchema& counter) { counter.row.fields.pop_back(); });
  size_t left = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      live_.Event({ClassId(0), "k" + std::to_string(i), std::string(static_cast<size_t>(i), 's')});
    }
    if (round > 0) {
      Reload(wide);
      Reload(narrow);
      Reload(first_);
    }
    for (int i = 0; i < 100; ++i) live_.Do("DEL counter:k" + std::to_string(i));
    if (round == 0) left = live_.shard().value_bytes();
  }
  EXPECT_EQ(live_.shard().value_bytes(), left);
}

TEST_F(ShardReloadTest, RowsOfATypeThatNoCodeReadsAnyMoreAreOfTheLogOnly) {
  live_.Event({ClassId(0), "k", "note"});
  live_.Event({ClassId(0), "gone", "note"});
  Reload(Changed(*first_, [](ClassSchema& counter) { counter.row.fields.pop_back(); }));
  const auto last = Changed(
      *first_, [](ClassSchema& counter) { counter.row.fields[kNoteField].type = FieldType::kInt; });
  Reload(last);
  CheckReplay(last);
  live_.Do("DEL counter:gone");
  CheckReplay(last);
  // The first code cannot read what the last has written.
  TestShard copy(first_, nullptr);
  for (const wal::OwnedSection& section : live_.sections) {
    ASSERT_EQ(copy.shard().Apply(section.view()), absl::OkStatus());
  }
  const absl::Status status = copy.shard().CheckAllRead();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(status.message().find("key 'counter:k': entities of class Counter: field 'note'"),
            std::string::npos)
      << status;
}

TEST_F(ShardReloadTest, WhatComesDueWhileHeldIsCarriedOutBehindIt) {
  live_.Event({ClassId(0), "k", "note"});
  live_.Do("EXPIREAT counter:k " + std::to_string(live_.now_ms + 100));
  live_.shard().SetHeld(true);
  live_.AdvanceTo(live_.now_ms + 200);
  EXPECT_EQ(live_.shard().stats().expired_keys, 0u);
  live_.shard().SetHeld(false);
  live_.Settle();
  EXPECT_EQ(live_.shard().stats().expired_keys, 1u);
}

TEST_F(ShardReloadTest, AShardIsQuietWhenNothingIsLent) {
  EXPECT_TRUE(live_.shard().quiet());
  live_.hold = true;
  live_.Event({ClassId(0), "k", "note"});
  EXPECT_FALSE(live_.shard().quiet());
  live_.RunAndReturn(1);
  EXPECT_TRUE(live_.shard().quiet());
  EXPECT_EQ(live_.shard().stats().loans, 1u);
}

TEST(CatalogSuccession, WhatDoesNotFitIsRefusedOnlyWhileEntitiesLive) {
  const auto current = MakeCountingCatalog();
  const auto check = [&](const std::function<void(ClassSchema&)>& change, uint64_t entities) {
    return std::string(
        CheckSuccession(*current, *Changed(*current, change), {{entities}}).message());
  };
  const std::pair<std::function<void(ClassSchema&)>, std::string> refused[] = {
      {[](ClassSchema& c) { c.retired = true; }, "the new version does not declare it"},
      {[](ClassSchema& c) { c.prefix = "c"; }, "its prefix was 'counter' and is 'c' now"},
      {[](ClassSchema& c) { c.clock = TtlClock::kEvent; },
       R"(its clock was "wall" and is "event")"},
      {[](ClassSchema& c) { c.row.fields[0].type = FieldType::kText; }, "field 'count' was int"}};
  for (const auto& [change, why] : refused) {
    EXPECT_NE(check(change, 1).find("class Counter, of which 1 lives: " + why), std::string::npos)
        << check(change, 1);
    EXPECT_EQ(check(change, 0), "");
  }
  EXPECT_EQ(check([](ClassSchema& c) { c.row.fields.clear(); }, 5), "");
}

}  // namespace
}  // namespace bettong::grid
