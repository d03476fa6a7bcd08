"""Streams that no app handles: what the transcript (streams.txt) cannot say."""

from __future__ import annotations

import socket
import time

import pytest

from harness import Server, eventually
from resp import Connection, encode

pytestmark = pytest.mark.sanitized


def blocked_clients(server: Server) -> int:
    return int(server.redis().info("clients")["blocked_clients"])


@pytest.fixture(autouse=True)
def nobody_is_blocked(plain: Server) -> None:
    eventually(lambda: blocked_clients(plain) == 0, "nobody to be blocked")


def test_generated_ids_rise_and_tell_the_time(cache: Connection) -> None:
    before_ms = int(time.time() * 1_000)
    replies = cache.pipeline([("XADD", "s", "*", "n", n) for n in range(1_000)])
    after_ms = int(time.time() * 1_000) + 1
    ids = [tuple(map(int, reply.words().split("-"))) for reply in replies]
    assert ids == sorted(set(ids))
    assert before_ms <= ids[0][0] <= ids[-1][0] <= after_ms
    assert cache.call("XLEN", "s") == 1_000
    entries = cache.call("XRANGE", "s", "-", "+")
    assert [fields for _, fields in entries] == [["n", str(n)] for n in range(1_000)]


def test_a_generated_id_follows_a_later_one(cache: Connection) -> None:
    cache.call("XADD", "s", "99999999999999-5", "f", "v")
    assert cache.call("XADD", "s", "*", "f", "v") == "99999999999999-6"


def test_paging_through_a_long_stream(cache: Connection) -> None:
    cache.pipeline([("XADD", "s", f"{n}-1", "n", n) for n in range(1, 2_001)])
    seen: list[str] = []
    start = "-"
    while page := cache.call("XRANGE", "s", start, "+", "COUNT", 300):
        seen += [fields[1] for _, fields in page]
        start = f"({page[-1][0]}"
    assert seen == [str(n) for n in range(1, 2_001)]
    backwards = cache.call("XREVRANGE", "s", "+", "-")
    assert [fields[1] for _, fields in backwards] == seen[::-1]


def test_maxlen_keeps_the_newest(cache: Connection) -> None:
    for n in range(1, 501):
        cache.call("XADD", "s", "MAXLEN", 100, f"{n}-1", "n", n)
    entries = cache.call("XRANGE", "s", "-", "+")
    assert [fields[1] for _, fields in entries] == [str(n) for n in range(401, 501)]


def test_about_maxlen_keeps_at_least_that_many(cache: Connection) -> None:
    for n in range(1, 1_001):
        cache.call("XADD", "s", "MAXLEN", "~", 100, f"{n}-1", "n", n)
    assert 100 <= cache.call("XLEN", "s") < 1_000


def test_large_entries(cache: Connection) -> None:
    value = "x" * 1_000_000
    cache.call("XADD", "s", "1-1", "large", value, "small", "y")
    assert cache.call("XRANGE", "s", "-", "+") == [["1-1", ["large", value, "small", "y"]]]


def test_xread_block_waits_for_the_next_entry(plain: Server) -> None:
    reader, writer = plain.connect(), plain.connect()
    writer.call("XADD", "s", "1-1", "f", "old")
    reader.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    eventually(lambda: blocked_clients(plain) == 1, "a blocked client")
    writer.call("XADD", "s", "1-2", "f", "new")
    assert reader.read().python() == [["s", [["1-2", ["f", "new"]]]]]
    eventually(lambda: blocked_clients(plain) == 0, "no blocked client")


def test_xread_block_on_a_stream_that_does_not_exist_yet(plain: Server) -> None:
    reader, writer = plain.connect(), plain.connect()
    reader.send("XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "s", "$")
    eventually(lambda: blocked_clients(plain) == 1, "a blocked client")
    writer.call("XADD", "s", "7-7", "f", "v")
    assert reader.read().python() == [["s", [["7-7", ["f", "v"]]]]]


def test_one_entry_wakes_all_blocked_readers(plain: Server) -> None:
    readers = [plain.connect() for _ in range(5)]
    for reader in readers:
        reader.send("XREAD", "BLOCK", 0, "STREAMS", "s", "0")
    eventually(lambda: blocked_clients(plain) == 5, "five blocked clients")
    plain.connect().call("XADD", "s", "1-1", "f", "v")
    for reader in readers:
        assert reader.read().python() == [["s", [["1-1", ["f", "v"]]]]]


def test_a_blocked_reader_of_two_streams(plain: Server) -> None:
    reader, writer = plain.connect(), plain.connect()
    reader.send("XREAD", "BLOCK", 0, "STREAMS", "{t}a", "{t}b", "$", "$")
    eventually(lambda: blocked_clients(plain) == 1, "a blocked client")
    writer.call("XADD", "{t}b", "1-1", "f", "v")
    assert reader.read().python() == [["{t}b", [["1-1", ["f", "v"]]]]]


def test_xread_block_ends_with_its_time(plain: Server) -> None:
    reader = plain.connect()
    start = time.monotonic()
    assert reader.call("XREAD", "BLOCK", 50, "STREAMS", "s", "$") is None
    assert time.monotonic() - start >= 0.050  # never early
    assert reader.call("PING") == "PONG"


def test_commands_behind_a_blocked_xread_wait_for_it(plain: Server) -> None:
    reader, writer = plain.connect(), plain.connect()
    reader.send("XREAD", "BLOCK", 0, "STREAMS", "s", "0")
    reader.send("ECHO", "behind")
    eventually(lambda: blocked_clients(plain) == 1, "a blocked client")
    writer.call("XADD", "s", "1-1", "f", "v")
    assert reader.read().python() == [["s", [["1-1", ["f", "v"]]]]]
    assert reader.read().words() == "behind"


def test_a_blocked_reader_that_leaves_is_forgotten(plain: Server) -> None:
    reader, writer = plain.connect(), plain.connect()
    reader.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    eventually(lambda: blocked_clients(plain) == 1, "a blocked client")
    reader.close()
    eventually(lambda: blocked_clients(plain) == 0, "no blocked client")
    assert writer.call("XADD", "s", "1-1", "f", "v") == "1-1"


@pytest.mark.parametrize("leave", ["close", "half-close"])
def test_a_blocked_reader_that_sent_more_than_is_read_ahead_is_forgotten(
    plain: Server, leave: str
) -> None:
    reader = plain.connect()
    reader.send_raw(encode("XREAD", "BLOCK", 0, "STREAMS", "s", "$") + b"PING\r\n" * 11_000)
    eventually(lambda: blocked_clients(plain) == 1, "a blocked client")
    if leave == "close":
        reader.close()
    else:
        reader.socket.shutdown(socket.SHUT_WR)
    eventually(lambda: blocked_clients(plain) == 0, "no blocked client")


def test_nothing_is_missed_between_two_xreads(plain: Server) -> None:
    reader, writer = plain.connect(), plain.connect()
    writer.socket.sendall(b"".join(b"XADD s %d-1 n %d\r\n" % (n, n) for n in range(1, 501)))
    seen: list[str] = []
    last = "0"
    while len(seen) < 500:
        ((_, entries),) = reader.call("XREAD", "BLOCK", 0, "COUNT", 7, "STREAMS", "s", last)
        seen += [fields[1] for _, fields in entries]
        last = entries[-1][0]
    assert seen == [str(n) for n in range(1, 501)]


def test_xread_is_a_map_in_resp3(plain: Server) -> None:
    connection = plain.connect(protocol=3)
    connection.call("XADD", "s", "1-1", "f", "v")
    reply = connection.reply("XREAD", "BLOCK", 0, "STREAMS", "s", "0")
    assert reply.kind == b"%"
    assert reply.python() == {"s": [["1-1", ["f", "v"]]]}
