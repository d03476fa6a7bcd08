// The ids of the system (ARCHITECTURE.md, "Words") and the constants of the key space.
#pragma once

#include <cstdint>

#include "base/named_type.h"

namespace bettong {

using Slot = NamedType<uint16_t, struct SlotTag>;                // 0..16383, CRC16 of the key
using PartitionId = NamedType<uint16_t, struct PartitionIdTag>;  // a contiguous range of slots
using ShardId = NamedType<uint16_t, struct ShardIdTag>;          // one thread and all it owns
using EntryId = NamedType<uint32_t, struct EntryIdTag>;          // slab position within a shard
using StreamId = NamedType<uint16_t, struct StreamIdTag>;        // index into Catalog::streams
using ClassId = NamedType<uint16_t, struct ClassIdTag>;          // index into Catalog::classes
using SourceId = NamedType<uint32_t, struct SourceIdTag>;        // one input channel of a shard
using ConnectionId = NamedType<uint64_t, struct ConnectionIdTag>;

inline constexpr uint32_t kSlotCount = 16384;
inline constexpr uint32_t kPartitionsDefault = 64;
inline constexpr uint32_t kShardsMax = 64;

// Milliseconds since the epoch. The core never reads a clock: every time is an argument.
using TimeMs = int64_t;
inline constexpr TimeMs kNoTime = INT64_MIN;        // "no time given"
inline constexpr TimeMs kNeverExpires = INT64_MAX;  // the deadline of a value without TTL

}  // namespace bettong
