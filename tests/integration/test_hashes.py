"""Hashes: what the transcript (hashes.txt) cannot say."""

from __future__ import annotations

import threading

import pytest

from harness import Server
from resp import Connection


def as_dict(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.mark.parametrize("count", [1, 5, 100, 129, 513, 5_000])
def test_hashes_of_many_sizes(cache: Connection, count: int) -> None:
    fields = {f"field:{n}": f"value:{n}" for n in range(count)}
    for name, value in fields.items():
        cache.send("HSET", "h", name, value)
    assert [cache.read().python() for _ in fields] == [1] * count
    assert cache.call("HLEN", "h") == count
    assert as_dict(cache.call("HGETALL", "h")) == fields
    assert sorted(cache.call("HKEYS", "h")) == sorted(fields)
    assert sorted(cache.call("HVALS", "h")) == sorted(fields.values())
    names = list(fields)
    assert cache.call("HMGET", "h", *names) == list(fields.values())
    half = (count + 1) // 2
    assert cache.call("HDEL", "h", *names[:half]) == half
    assert cache.call("HLEN", "h") == count - half
    assert cache.call("HDEL", "h", *names) == count - half
    assert cache.call("EXISTS", "h") == 0


def test_long_fields_and_values(cache: Connection) -> None:
    fields = {"short": "v", "f" * 300: "x" * 70, "g" * 70_000: "y" * 100_000, "empty": ""}
    for name, value in fields.items():
        cache.call("HSET", "h", name, value)
    assert as_dict(cache.call("HGETALL", "h")) == fields
    cache.call("HSET", "h", "short", "z" * 1_000)
    cache.call("HSET", "h", "f" * 300, "")
    assert cache.call("HGET", "h", "short") == "z" * 1_000
    assert cache.call("HGET", "h", "f" * 300) == ""
    assert cache.call("HLEN", "h") == 4


@pytest.mark.parametrize("count", [10, 2_000])
def test_hscan_returns_every_field(cache: Connection, count: int) -> None:
    fields = {f"field:{n}": f"value:{n}" for n in range(count)}
    cache.call("HSET", "h", *(text for pair in fields.items() for text in pair))
    found: dict[str, str] = {}
    cursor = "0"
    while True:
        cursor, some = cache.call("HSCAN", "h", cursor, "COUNT", 50)
        found |= as_dict(some)
        if cursor == "0":
            break
    assert found == fields


def test_hscan_match(cache: Connection) -> None:
    cache.call("HSET", "h", *(text for n in range(300) for text in (f"f{n}", n)))
    found: list[str] = []
    cursor = "0"
    while True:
        cursor, some = cache.call("HSCAN", "h", cursor, "MATCH", "f1?")
        found += some[::2]
        if cursor == "0":
            break
    assert sorted(set(found)) == [f"f1{n}" for n in range(10)]


def test_hrandfield_draws_from_all_fields(cache: Connection) -> None:
    fields = {f"f{n}": str(n) for n in range(20)}
    cache.call("HSET", "h", *(text for pair in fields.items() for text in pair))
    assert cache.call("HRANDFIELD", "h") in fields
    some = cache.call("HRANDFIELD", "h", 10)
    assert len(some) == len(set(some)) == 10
    assert set(some) <= set(fields)
    drawn = set(cache.call("HRANDFIELD", "h", -1_000))
    assert drawn == set(fields)  # misses one with a chance of 20 * 0.95**1000 = 1e-21
    pairs = as_dict(cache.call("HRANDFIELD", "h", 20, "WITHVALUES"))
    assert pairs == fields


def test_hrandfield_draws_from_all_fields_of_a_large_hash(cache: Connection) -> None:
    cache.call("HSET", "h", *(text for n in range(3_000) for text in (f"f{n}", n)))
    cache.call("HDEL", "h", *(f"f{n}" for n in range(3_000) if n % 10))
    fields = {f"f{n}": str(n) for n in range(0, 3_000, 10)}
    assert cache.call("HRANDFIELD", "h") in fields
    some = as_dict(cache.call("HRANDFIELD", "h", 30, "WITHVALUES"))
    assert len(some) == 30
    assert some.items() <= fields.items()
    draws = cache.pipeline([("HRANDFIELD", "h", -30)] * 400)
    drawn = {field for reply in draws for field in reply.python()}
    assert drawn == set(fields)  # misses one with a chance of 300 * (299/300)**12000 = 1e-15
    assert as_dict(cache.call("HRANDFIELD", "h", 500, "WITHVALUES")) == fields


def test_increments_of_many_connections_all_count(plain: Server) -> None:
    def work() -> None:
        plain.connect().pipeline([("HINCRBY", "h", f"f{n % 4}", 1) for n in range(400)])

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    fields = as_dict(plain.connect().call("HGETALL", "h"))
    assert fields == {f"f{n}": "600" for n in range(4)}


def test_many_hashes(cache: Connection) -> None:
    count = 3_000
    cache.pipeline([("HSET", f"h{n}", "a", n, "b", -n, "c", f"text {n}") for n in range(count)])
    replies = cache.pipeline([("HGETALL", f"h{n}") for n in range(count)])
    expected = [{"a": str(n), "b": str(-n), "c": f"text {n}"} for n in range(count)]
    assert [as_dict(reply.python()) for reply in replies] == expected


def test_hgetall_is_a_map_in_resp3(plain: Server) -> None:
    connection = plain.connect(protocol=3)
    connection.call("HSET", "h", "a", "1", "b", "2")
    reply = connection.reply("HGETALL", "h")
    assert reply.kind == b"%"
    assert reply.python() == {"a": "1", "b": "2"}
