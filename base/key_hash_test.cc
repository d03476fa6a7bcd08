#include "base/key_hash.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace bettong {
namespace {

uint16_t SlotNumber(std::string_view key) { return SlotOfKey(key).value(); }

// The definition, bit by bit.
uint16_t Crc16ByDefinition(std::string_view bytes) {
  uint32_t crc = 0;
  for (unsigned char byte : bytes) {
    crc ^= static_cast<uint32_t>(byte) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return static_cast<uint16_t>(crc);
}

TEST(KeyHash, CrcIsXmodem) { EXPECT_EQ(Crc16("123456789"), 0x31c3); }

TEST(KeyHash, CrcEqualsItsDefinitionAtEveryLength) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 70; ++size) {
    for (int round = 0; round < 20; ++round) {
      std::string bytes(size, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      ASSERT_EQ(Crc16(bytes), Crc16ByDefinition(bytes)) << size;
    }
  }
}

// CLUSTER KEYSLOT of Redis 7.
TEST(KeyHash, SlotsAreThoseOfRedisCluster) {
  EXPECT_EQ(SlotNumber("foo"), 12182);
  EXPECT_EQ(SlotNumber("bar"), 5061);
  EXPECT_EQ(SlotNumber("hello"), 866);
  EXPECT_EQ(SlotNumber("somekey"), 11058);
  EXPECT_EQ(SlotNumber("foo{hash_tag}"), 2515);
  EXPECT_EQ(SlotNumber("bar{hash_tag}"), 2515);
  EXPECT_EQ(SlotNumber(""), 0);
}

TEST(KeyHash, OnlyTheHashTagIsHashed) {
  EXPECT_EQ(SlotNumber("{user1000}.following"), SlotNumber("{user1000}.followers"));
  EXPECT_EQ(SlotNumber("{user1000}.following"), SlotNumber("user1000"));
  // The first brace opens, the first one behind it closes.
  EXPECT_EQ(SlotNumber("foo{{bar}}zap"), SlotNumber("{bar"));
  EXPECT_EQ(SlotNumber("foo{bar}{zap}"), SlotNumber("bar"));
  EXPECT_EQ(SlotNumber("}{bar}"), SlotNumber("bar"));
}

TEST(KeyHash, AnEmptyOrOpenHashTagIsNone) {
  EXPECT_EQ(SlotNumber("foo{}{bar}"), Crc16("foo{}{bar}") % kSlotCount);
  EXPECT_EQ(SlotNumber("foo{bar"), Crc16("foo{bar") % kSlotCount);
  EXPECT_EQ(SlotNumber("foo}bar{"), Crc16("foo}bar{") % kSlotCount);
  EXPECT_NE(SlotNumber("foo{}{bar}"), SlotNumber("bar"));
}

TEST(KeyHash, IndexHashDependsOnTheSeed) {
  EXPECT_EQ(IndexHash("foo", 1), IndexHash("foo", 1));
  EXPECT_NE(IndexHash("foo", 1), IndexHash("foo", 2));
  std::set<uint32_t> hashes;
  for (int i = 0; i < 1000; ++i) hashes.insert(IndexHash("key" + std::to_string(i), 7));
  EXPECT_GT(hashes.size(), 990u);
}

TEST(KeyHash, AKeyRefCarriesBothHashes) {
  KeyRef key = MakeKeyRef("a{foo}", 3);
  EXPECT_EQ(key.text, "a{foo}");
  EXPECT_EQ(key.hash, IndexHash("a{foo}", 3));
  EXPECT_EQ(key.slot.value(), 12182);
}

}  // namespace
}  // namespace bettong
