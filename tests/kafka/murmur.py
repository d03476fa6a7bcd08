"""The partition that Java's clients choose for a key, in the tests' own words."""

from __future__ import annotations

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """As org.apache.kafka.common.utils.Utils.murmur2, but without a sign: 32 bits."""
    h = SEED ^ len(data)
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little") * MULTIPLIER & MASK
        k ^= k >> 24
        h = (h * MULTIPLIER & MASK) ^ (k * MULTIPLIER & MASK)
    if whole < len(data):
        h ^= int.from_bytes(data[whole:], "little")
        h = h * MULTIPLIER & MASK
    h ^= h >> 13
    h = h * MULTIPLIER & MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    return (murmur2(key) & 0x7FFFFFFF) % partitions
