"""Keys: what the transcripts (keys_*.txt) cannot say, above all on several shards."""

from __future__ import annotations

import time

import pytest

from harness import Server, eventually
from resp import Connection

FAR_MS = 33_177_117_420_123


def scan_all(connection: Connection, *options: str | int) -> list[str]:
    """The keys of a whole scan, in the order and as often as they came."""
    cursor, keys = "0", []
    while True:
        cursor, some = connection.call("SCAN", cursor, *options)
        keys += some
        if cursor == "0":
            return keys


def fill(connection: Connection, count: int, prefix: str = "key") -> list[str]:
    names = [f"{prefix}:{n}" for n in range(count)]
    connection.pipeline([("SET", name, "v") for name in names])
    return names


def test_scan_returns_every_key_once(cache: Connection) -> None:
    names = fill(cache, 3_000)
    assert sorted(scan_all(cache)) == sorted(names)
    assert sorted(scan_all(cache, "COUNT", 100)) == sorted(names)
    assert sorted(scan_all(cache, "COUNT", 1)) == sorted(names)


def test_scan_returns_what_stays_exactly_once_while_keys_come_and_go(cache: Connection) -> None:
    stable = fill(cache, 1_500, "stable")
    fill(cache, 1_500, "leaving")
    seen: list[str] = []
    cursor, step = "0", 0
    while True:
        cursor, some = cache.call("SCAN", cursor, "COUNT", 25)
        seen += [key for key in some if key.startswith("stable:")]
        if cursor == "0":
            break
        cache.pipeline(
            [("DEL", f"leaving:{(step * 20 + n) % 1_500}") for n in range(20)]
            + [("SET", f"coming:{step}:{n}", "v") for n in range(50)]
        )
        step += 1
    assert step > 5, "the scan was over before anything could change"
    assert sorted(seen) == sorted(stable)


def test_scan_in_small_steps(cache: Connection) -> None:
    fill(cache, 2_000)
    cursor, some = cache.call("SCAN", 0, "COUNT", 10)
    assert cursor != "0"
    assert len(some) < 500


def test_scan_match_and_type(cache: Connection) -> None:
    fill(cache, 200, "string")
    for n in range(100):
        cache.call("HSET", f"hash:{n}", "f", "v")
        cache.call("XADD", f"stream:{n}", "*", "f", "v")
    assert len(scan_all(cache)) == 400
    assert sorted(scan_all(cache, "MATCH", "hash:1?")) == [f"hash:1{n}" for n in range(10)]
    assert all(key.startswith("hash:") for key in scan_all(cache, "TYPE", "hash"))
    assert len(scan_all(cache, "TYPE", "hash", "COUNT", 1000)) == 100
    assert len(scan_all(cache, "TYPE", "stream")) == 100
    assert len(scan_all(cache, "TYPE", "string", "MATCH", "*:1*")) == 111
    assert scan_all(cache, "TYPE", "nosuchtype") == []
    assert scan_all(cache, "MATCH", "nothing*") == []


def test_scan_of_an_empty_server(cache: Connection) -> None:
    assert scan_all(cache) == []


def test_two_scans_at_once_do_not_disturb_each_other(plain: Server) -> None:
    one, two = plain.connect(), plain.connect()
    names = fill(one, 500)
    seen: dict[int, list[str]] = {0: [], 1: []}
    cursors = ["0", "0"]
    running = [True, True]
    while any(running):
        for which, connection in enumerate((one, two)):
            if running[which]:
                cursors[which], some = connection.call("SCAN", cursors[which], "COUNT", 7)
                seen[which] += some
                running[which] = cursors[which] != "0"
    assert sorted(seen[0]) == sorted(seen[1]) == sorted(names)


def test_keys_and_dbsize_cover_all_shards(cache: Connection) -> None:
    names = fill(cache, 1_000)
    assert cache.call("DBSIZE") == 1_000
    assert sorted(cache.call("KEYS", "*")) == sorted(names)
    assert sorted(cache.call("KEYS", "key:99*")) == sorted(
        name for name in names if name.startswith("key:99")
    )


@pytest.mark.parametrize("command", ["DEL", "UNLINK"])
def test_del_over_all_shards(cache: Connection, command: str) -> None:
    names = fill(cache, 300)
    assert cache.call(command, *names[:200], "missing", names[0]) == 200
    assert cache.call("DBSIZE") == 100
    assert sorted(cache.call("KEYS", "*")) == sorted(names[200:])


def test_exists_over_all_shards(cache: Connection) -> None:
    names = fill(cache, 100)
    assert cache.call("EXISTS", *names, *names[:10], "missing") == 110


def test_flushall_empties_every_shard(plain: Server) -> None:
    connection = plain.connect()
    fill(connection, 500)
    cache = plain.connect()
    cache.call("HSET", "h", "f", "v")
    assert cache.call("FLUSHALL") == "OK"
    assert cache.call("DBSIZE") == 0
    assert connection.call("DBSIZE") == 0
    assert connection.call("GET", "key:1") is None
    assert scan_all(connection) == []
    # and the server is as usable as before
    fill(connection, 10)
    assert connection.call("DBSIZE") == 10


def test_flushall_takes_the_deadlines_with_it(plain: Server) -> None:
    connection = plain.connect()
    connection.call("CONFIG", "SET", "notify-keyspace-events", "Ex")
    expired = plain.subscribe("__keyevent@0__:expired")
    connection.call("SET", "k", "old", "PX", 60)
    connection.call("FLUSHALL")
    connection.call("SET", "k", "new")
    connection.call("SET", "later", "v", "PX", 90)
    assert expired.next() == "later"
    assert connection.call("GET", "k") == "new"


def test_ttl_is_rounded_like_redis(cache: Connection) -> None:
    # TTL rounds to the nearest second; so it may never exceed PTTL by more than half a second.
    cache.call("SET", "k", "v", "PX", 5_600)
    before_ms = cache.call("PTTL", "k")
    ttl_s = cache.call("TTL", "k")
    after_ms = cache.call("PTTL", "k")
    assert after_ms <= before_ms <= 5_600
    assert (after_ms + 500) // 1_000 <= ttl_s <= (before_ms + 500) // 1_000


def test_pttl_runs_down(cache: Connection) -> None:
    cache.call("SET", "k", "v", "PX", 100_000)
    first = cache.call("PTTL", "k")
    eventually(lambda: cache.call("PTTL", "k") < first, "a smaller PTTL")


def test_relative_and_absolute_times_agree(cache: Connection) -> None:
    before_ms = int(time.time() * 1_000)
    cache.call("SET", "k", "v", "PX", 100_000)
    deadline_ms = cache.call("PEXPIRETIME", "k")
    after_ms = int(time.time() * 1_000) + 1
    assert before_ms + 100_000 <= deadline_ms <= after_ms + 100_000
    assert cache.call("EXPIRETIME", "k") == (deadline_ms + 500) // 1_000


def test_deadlines_of_many_keys(cache: Connection) -> None:
    cache.pipeline([("SET", f"k{n}", "v", "PXAT", FAR_MS + n) for n in range(1_000)])
    replies = cache.pipeline([("PEXPIRETIME", f"k{n}") for n in range(1_000)])
    assert [reply.python() for reply in replies] == [FAR_MS + n for n in range(1_000)]
    assert {r.python() for r in cache.pipeline([("PERSIST", f"k{n}") for n in range(1_000)])} == {1}
    assert {r.python() for r in cache.pipeline([("TTL", f"k{n}") for n in range(1_000)])} == {-1}
