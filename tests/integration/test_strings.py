"""Strings: what the transcripts (strings_*.txt) cannot say."""

from __future__ import annotations

import threading

import pytest

from harness import Server
from resp import Connection, RespError, encode


def test_every_byte_survives(cache: Connection) -> None:
    key, value = bytes(range(256)), bytes(reversed(range(256))) * 3
    assert cache.call("SET", key, value) == "OK"
    assert cache.reply("GET", key).text == value


@pytest.mark.parametrize("size", [1, 15, 16, 63, 64, 65, 255, 256, 4_095, 65_536, 1_000_000])
def test_values_of_many_sizes(cache: Connection, size: int) -> None:
    value = bytes(index * 31 % 256 for index in range(size))
    cache.call("SET", "k", value)
    assert cache.reply("GET", "k").text == value
    cache.call("SET", "k", value[: size // 2])
    assert cache.reply("GET", "k").text == value[: size // 2]


def test_a_large_value(cache: Connection) -> None:
    value = b"0123456789abcdef" * (1 << 20)  # 16 MiB
    cache.call("SET", "large", value)
    assert cache.reply("GET", "large").text == value
    assert cache.call("DEL", "large") == 1


def test_long_keys(cache: Connection) -> None:
    for size in (100, 1_000, 100_000):
        cache.call("SET", "k" * size, size)
    assert [cache.call("GET", "k" * size) for size in (100, 1_000, 100_000)] == [
        "100",
        "1000",
        "100000",
    ]


def test_many_keys_keep_their_values(cache: Connection) -> None:
    count = 20_000
    stored = cache.pipeline([("SET", f"key:{n}", f"value:{n}") for n in range(count)])
    assert {reply.words() for reply in stored} == {"OK"}
    assert cache.call("DBSIZE") == count
    read = cache.pipeline([("GET", f"key:{n}") for n in range(count)])
    assert [reply.words() for reply in read] == [f"value:{n}" for n in range(count)]


def test_a_pipeline_over_all_shards_answers_in_order(cache: Connection) -> None:
    commands: list[tuple[str | int, ...]] = []
    expected: list[str | None] = []
    for n in range(2_000):
        commands += [("SET", f"k{n}", n), ("GET", f"k{n}"), ("INCR", f"k{n}"), ("ECHO", n)]
        expected += ["OK", str(n), str(n + 1), str(n)]
    assert [reply.words() for reply in cache.pipeline(commands)] == expected


def test_increments_of_many_connections_all_count(plain: Server) -> None:
    rounds, connections = 500, 8

    def work() -> None:
        connection = plain.connect()
        for _ in range(rounds // 50):
            connection.pipeline([("INCR", f"counter:{n % 5}") for n in range(50)])

    workers = [threading.Thread(target=work) for _ in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    client = plain.connect()
    values = [client.call("GET", f"counter:{n}") for n in range(5)]
    assert values == [str(rounds * connections // 5)] * 5


def test_set_nx_lets_one_of_many_win(plain: Server) -> None:
    connections = [plain.connect() for _ in range(10)]
    for index, connection in enumerate(connections):
        connection.send("SET", "lock", index, "NX")
    replies = [connection.read().python() for connection in connections]
    assert replies.count("OK") == 1
    assert replies.count(None) == 9
    assert plain.connect().call("GET", "lock") == str(replies.index("OK"))


def test_keys_with_one_hash_tag_work_together(cache: Connection) -> None:
    for n in range(50):
        cache.call("MSET", f"{{user:{n}}}:a", n, f"{{user:{n}}}:b", n + 1)
        assert cache.call("MGET", f"{{user:{n}}}:a", f"{{user:{n}}}:b") == [str(n), str(n + 1)]


def test_keys_of_several_shards_get_a_right_answer_or_an_error(cache: Connection) -> None:
    # Commands on keys of several shards may be refused for now, but never half done.
    pairs = [argument for n in range(20) for argument in (f"key:{n}", n)]
    try:
        cache.call("MSET", *pairs)
    except RespError:
        assert cache.call("DBSIZE") == 0
        for n in range(20):
            cache.call("SET", f"key:{n}", n)
    try:
        values = cache.call("MGET", *(f"key:{n}" for n in range(20)))
    except RespError:
        values = [cache.call("GET", f"key:{n}") for n in range(20)]
    assert values == [str(n) for n in range(20)]


def test_a_command_in_single_bytes(plain: Server) -> None:
    connection = plain.connect()
    for byte in encode("SET", "k", "v") + encode("GET", "k"):
        connection.send_raw(bytes([byte]))
    assert connection.read().words() == "OK"
    assert connection.read().words() == "v"
