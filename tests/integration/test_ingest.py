"""Sources and sinks: framing, hostile input, half-closed sockets, and where outputs go."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from pathlib import Path

import pytest

from apps import with_prelude
from harness import (
    DEADLINE_S,
    Launcher,
    Server,
    encode_event,
    eventually,
    file_sink_table,
    free_port,
    json_lines,
    listener,
    source_table,
)

pytestmark = pytest.mark.sanitized

COUNT = with_prelude(
    """
    class Count(app.Entity):
        n: int = 0
        total: int = 0
        length: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            self.total += e.n
            self.length += len(e.s)
            out.emit(key=self.key, n=self.n)
    """
)


def counted(server: Server, key: str = "k") -> tuple[int, int]:
    n, total = server.redis().hmget(f"count:{key}", "n", "total")
    return int(n or 0), int(total or 0)


def refusal_is_told(server: Server) -> bool:
    """Whether input that could not be taken is a dead letter or a clear line on standard error."""
    # assumption: such a line names the source or its stream (both are `events` here).
    lines = [line for line in server.stderr if not line.startswith("ready ")]
    return bool(server.dead_letters()) or any("events" in line for line in lines)


def launch_count(launch: Launcher, framing: str = "lines") -> Server:
    return launch(COUNT, config=source_table("events", "events", framing=framing))


# -- lines ----------------------------------------------------------------------------------


def test_lines(launch: Launcher) -> None:
    server = launch_count(launch)
    server.feed(*({"key": "k", "n": n} for n in range(1, 1_001)))
    assert counted(server) == (1_000, 500_500)


def test_crlf_and_blanks_do_not_matter(launch: Launcher) -> None:
    server = launch_count(launch)
    source = server.source()
    source.send_raw(b'{"key":"k","n":1}\r\n  {"key":"k","n":2}  \n\t{"key":"k","n":4}\r\n')
    source.finish()
    assert counted(server) == (3, 7)
    assert server.dead_letters() == []


def test_the_last_line_needs_no_newline(launch: Launcher) -> None:
    server = launch_count(launch)
    source = server.source()
    source.send_raw(b'{"key":"k","n":1}\n{"key":"k","n":2}')
    source.finish()
    assert counted(server) == (2, 3)


def test_a_cut_last_line_is_a_dead_letter(launch: Launcher) -> None:
    server = launch_count(launch)
    source = server.source()
    source.send_raw(b'{"key":"k","n":1}\n{"key":"k",')
    source.finish()
    assert counted(server) == (1, 1)
    (letter,) = server.dead_letters()
    assert letter["event"] == '{"key":"k",'


def test_lines_in_single_bytes(launch: Launcher) -> None:
    server = launch_count(launch)
    source = server.source()
    for byte in b'{"key":"k","n":1}\n{"key":"k","n":2}\n':
        source.send_raw(bytes([byte]))
    source.finish()
    assert counted(server) == (2, 3)


def test_an_event_is_processed_without_waiting_for_the_next(launch: Launcher) -> None:
    server = launch_count(launch)
    source, outputs = server.source(), server.subscribe("out")
    for n in range(1, 20):
        source.lines({"key": "k"})
        assert outputs.json() == {"key": "k", "n": n}


def test_large_events(launch: Launcher) -> None:
    server = launch_count(launch)
    sizes = [1_000, 65_535, 65_536, 65_537, 500_000]
    server.feed(*({"key": "k", "s": "x" * size} for size in sizes))
    assert server.redis().hget("count:k", "length") == str(sum(sizes))


def test_many_connections_at_once(launch: Launcher) -> None:
    server = launch_count(launch)
    senders = [
        threading.Thread(target=server.feed, args=[{"key": "k", "n": 1} for _ in range(200)])
        for _ in range(20)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert counted(server) == (4_000, 4_000)


# -- length-prefixed frames -----------------------------------------------------------------


def test_length32_frames(launch: Launcher) -> None:
    server = launch_count(launch, "length32")
    source = server.source()
    source.frames(*({"key": "k", "n": n} for n in range(1, 1_001)))
    source.frames('{"key":"k",\n"n":7}')  # a newline is a character like any other
    source.finish()
    assert counted(server) == (1_001, 500_507)


def test_length32_in_single_bytes(launch: Launcher) -> None:
    server = launch_count(launch, "length32")
    source = server.source()
    event = encode_event({"key": "k", "n": 5})
    for byte in (struct.pack(">I", len(event)) + event) * 2:
        source.send_raw(bytes([byte]))
    source.finish()
    assert counted(server) == (2, 10)


def test_length32_bad_payloads_do_not_lose_the_frame(launch: Launcher) -> None:
    server = launch_count(launch, "length32")
    source = server.source()
    source.frames({"key": "k", "n": 1}, "garbage", b"\x00\xff", "", {"key": "k", "n": 2})
    source.finish()
    assert counted(server) == (2, 3)
    # assumption: an empty frame may be a dead letter or nothing at all.
    assert len(server.dead_letters()) in (2, 3)


def test_length32_a_cut_frame_is_counted(launch: Launcher) -> None:
    server = launch_count(launch, "length32")
    source = server.source()
    source.frames({"key": "k", "n": 1})
    source.send_raw(struct.pack(">I", 100) + b'{"key":"k"')
    source.finish()
    assert counted(server) == (1, 1)
    assert len(server.dead_letters()) == 1


def test_length32_an_absurd_length_is_refused(launch: Launcher) -> None:
    server = launch_count(launch, "length32")
    before = server.memory_peak_bytes()
    source, other = server.source(), server.source()
    other.frames({"key": "k", "n": 1})
    source.send_raw(struct.pack(">I", 0xFFFFFFFF) + b"x" * 1_000)
    source.wait_closed()  # it does not wait for four gigabytes
    other.frames({"key": "k", "n": 2}).finish()
    assert counted(server) == (2, 3)
    assert refusal_is_told(server)
    assert server.memory_peak_bytes() - before < 100_000_000


# -- hostile input --------------------------------------------------------------------------


def test_a_line_of_100_mb_is_refused_in_bounded_memory(launch: Launcher) -> None:
    server = launch_count(launch)
    server.feed({"key": "k", "n": 1})
    before = server.memory_peak_bytes()
    source, other = server.source(), server.source()
    chunk = b'{"key":"k","s":"' + b"x" * 1_000_000
    try:
        for _ in range(100):
            source.send_raw(chunk)
        source.send_raw(b'"}\n')
        source.finish()
    except ConnectionError:
        source.close()  # refused: the server has closed the connection on it
    other.lines({"key": "k", "n": 2}).finish()
    assert counted(server) == (2, 3)
    assert refusal_is_told(server)
    assert all(len(letter["event"]) < 10_000_000 for letter in server.dead_letters())
    assert server.memory_peak_bytes() - before < 100_000_000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("framing", ["lines", "length32"])
def test_binary_noise(launch: Launcher, framing: str, seed: int) -> None:
    server = launch_count(launch, framing)
    noise = server.source()
    try:
        noise.send_raw(random.Random(seed).randbytes(200_000) + b"\n")
        noise.finish()
    except OSError:  # refused: reset, or no longer connected
        noise.close()
    good = server.source()
    event = {"key": "k", "n": 1}
    (good.lines(event) if framing == "lines" else good.frames(event)).finish()
    assert counted(server) == (1, 1)
    assert refusal_is_told(server)


def test_deeply_nested_json_is_a_dead_letter(launch: Launcher) -> None:
    server = launch_count(launch)
    deep = '{"key":"k","x":' + "[" * 100_000 + "]" * 100_000 + "}"
    server.feed(deep, '{"x":' * 50_000, {"key": "good", "n": 1})
    assert counted(server, "good") == (1, 1)
    # assumption: unknown fields are skipped, however deep; so the first may count as an event.
    assert len(server.dead_letters()) + counted(server)[0] == 2


def test_a_reset_connection_harms_nobody(launch: Launcher) -> None:
    server = launch_count(launch)
    for _ in range(20):
        source = server.source()
        source.lines({"key": "k", "n": 1})
        linger = struct.pack("ii", 1, 0)  # close() sends RST
        source.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        source.close()
    server.feed({"key": "good", "n": 1})
    assert counted(server, "good") == (1, 1)


def test_connections_without_a_word(launch: Launcher) -> None:
    server = launch_count(launch)
    silent = [server.source() for _ in range(100)]
    server.source().finish()
    server.feed({"key": "k", "n": 1})
    assert counted(server) == (1, 1)
    for source in silent:
        source.finish()


# -- half-closed sockets and sinks ----------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 3])
def test_a_source_closes_when_its_outputs_are_in_the_file(
    launch: Launcher, tmp_path: Path, shards: int
) -> None:
    path = tmp_path / "out.jsonl"
    config = source_table("events", "events") + file_sink_table("out", "out", path)
    server = launch(COUNT, config=config, shards=shards)
    for round_number in range(1, 6):
        server.feed(*({"key": f"k{n}"} for n in range(500)))
        lines = json_lines(path.read_text())
        assert len(lines) == 500 * round_number
        assert {line["n"] for line in lines[-500:]} == {round_number}


def test_a_source_closes_when_its_subscribers_have_got_all(launch: Launcher) -> None:
    server = launch_count(launch)
    outputs = server.subscribe("out")
    server.feed(*({"key": "k"} for _ in range(1_000)))
    # Nothing of it may come later than the end of the source: it is all on its way to us.
    server.redis().publish("out", '{"key":"end"}')
    assert len(outputs.until(lambda message: message["key"] == "end")) == 1_000


def test_a_half_closed_source_waits_for_its_slowest_handler(launch: Launcher) -> None:
    flag = launch.folder / "go"
    server = launch(
        with_prelude(
            f"""
            import os, time

            class Slow(app.Entity):
                n: int = 0

                @events.on(key="key")
                def take(self, e: In):
                    out.emit(what="started")
                    while e.op == "wait" and not os.path.exists({str(flag)!r}):
                        time.sleep(0.001)
                    self.n += 1
            """
        ),
        config=source_table("events", "events") + "[python]\nhandler_timeout = 60\n",
    )
    source = server.source()
    source.lines({"key": "k", "op": "wait"}).end()
    source.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        source.wait_closed()
    flag.touch()
    source.socket.settimeout(DEADLINE_S)
    assert source.wait_closed() == b""
    assert server.redis().hget("slow:k", "n") == "1"


def test_a_source_sends_nothing_back(launch: Launcher) -> None:
    server = launch_count(launch)
    source = server.source()
    source.lines({"key": "k"}, "garbage").end()
    assert source.wait_closed() == b""


def test_a_source_held_back_by_maxmemory_says_so(launch: Launcher) -> None:
    server = launch(COUNT)
    client = server.redis()

    def told(words: str) -> int:
        return sum(words in line and "source events" in line for line in server.stderr)

    def admission() -> str:
        return client.info("bettong")["source_events_admission"]

    assert admission() == "open"
    client.set("ballast", "x" * 1_000_000)
    client.config_set("maxmemory", 500_000)
    source = server.source()
    # Read once: the first event comes in before anybody looks at the limit.
    for _ in range(3):
        source.lines({"key": "k", "n": 1})
    eventually(lambda: admission() == "closed (over maxmemory)", "the end of admission")
    eventually(lambda: told("over maxmemory") == 1, "the word of it")
    source.lines(*({"key": "k", "n": 1} for _ in range(100)))
    client.config_set("maxmemory", 0)
    source.finish()
    assert counted(server)[0] == 103
    assert admission() == "open"
    assert told("no longer held back") == 1
    assert told("over maxmemory") == 1


def test_a_source_held_back_by_a_full_outbox_says_so(launch: Launcher) -> None:
    port = free_port()  # nobody listens there yet
    config = source_table("events", "events")
    config += f'[sink.out]\nkind = "tcp"\nstream = "out"\naddress = "127.0.0.1:{port}"\n'
    server = launch(
        with_prelude(
            """
            class Loud(app.Entity):
                @events.on(key="key")
                def take(self, e: In):
                    out.emit(text="x" * 1_000_000)
            """
        ),
        config=config,
        shards=1,
    )
    source = server.source()
    sent = 0

    def refused() -> bool:
        nonlocal sent
        sent += 1
        source.lines({"key": "k"})
        return any("source events: not read while a full outbox" in s for s in server.stderr)

    eventually(refused, "the word of a full outbox")
    assert sent > 60  # megabytes
    with socket.create_server(("127.0.0.1", port)) as sink:
        connection, _ = sink.accept()
        with connection:
            end = threading.Thread(target=source.finish)
            end.start()
            lines = 0
            while lines < sent:
                lines += connection.recv(1 << 20).count(b"\n")
            end.join(DEADLINE_S)
    eventually(
        lambda: any("source events: no longer held back" in s for s in server.stderr),
        "the word of its end",
    )


def test_the_stdout_sink(launch: Launcher) -> None:
    config = source_table("events", "events")
    server = launch(COUNT, config=config + '[sink.out]\nkind = "stdout"\nstream = "out"\n')
    server.feed(*({"key": "k"} for _ in range(100)))
    eventually(lambda: len(server.stdout) == 100, "a hundred lines on standard output")
    expected = [f'{{"key":"k","n":{n}}}' for n in range(1, 101)]
    assert server.stdout == expected


def test_the_tcp_sink(launch: Launcher) -> None:
    with listener() as (incoming, port):
        config = source_table("events", "events")
        config += f'[sink.out]\nkind = "tcp"\nstream = "out"\naddress = "127.0.0.1:{port}"\n'
        server = launch(COUNT, config=config)
        server.feed(*({"key": "k"} for _ in range(500)))
        connection, _ = incoming.accept()
        connection.settimeout(DEADLINE_S)
        # assumption: a TCP sink connects to its address and sends JSON lines.
        with connection, connection.makefile("rb") as file:
            received = [json.loads(file.readline()) for _ in range(500)]
        assert received == [{"key": "k", "n": n} for n in range(1, 501)]


def test_two_sinks_of_one_stream(launch: Launcher, tmp_path: Path) -> None:
    config = source_table("events", "events")
    for name in ("one", "two"):
        config += file_sink_table(name, "out", tmp_path / name)
    server = launch(COUNT, config=config)
    server.feed(*({"key": "k"} for _ in range(50)))
    assert (tmp_path / "one").read_text() == (tmp_path / "two").read_text()
    assert len(json_lines((tmp_path / "one").read_text())) == 50


def test_two_sources_of_one_stream(launch: Launcher) -> None:
    config = source_table("one", "events") + source_table("two", "events", framing="length32")
    server = launch(COUNT, config=config)
    server.source("one").lines({"key": "k", "n": 1}).finish()
    server.source("two").frames({"key": "k", "n": 2}).finish()
    assert counted(server) == (2, 3)


# -- XADD as a source -----------------------------------------------------------------------


def test_xadd_feeds_a_stream(launch: Launcher) -> None:
    server = launch(COUNT, config="")
    client, outputs = server.redis(), server.subscribe("out")
    for n in range(1, 101):
        client.xadd("events", {"key": "k", "n": n})
        assert outputs.json() == {"key": "k", "n": n}
    assert counted(server) == (100, 5_050)


def test_pipelined_xadds_of_one_connection_are_handled_in_order(launch: Launcher) -> None:
    server = launch(COUNT, config="", shards=3)
    outputs = server.subscribe("out")
    connection = server.connect()
    connection.pipeline([("XADD", "events", "*", "key", f"k{n % 3}") for n in range(900)])
    received = [outputs.json() for _ in range(900)]
    for key in ("k0", "k1", "k2"):
        assert [m["n"] for m in received if m["key"] == key] == list(range(1, 301))


def test_an_xadded_event_can_be_read_back(launch: Launcher) -> None:
    server = launch(COUNT, config="")
    client, outputs = server.redis(), server.subscribe("out")
    entry = client.xadd("events", {"key": "k", "n": "5"})
    outputs.next()
    # assumption: it stays in the stream's view after it has been handled.
    assert client.xrange("events") == [(entry, {"key": "k", "n": "5"})]
    assert client.xlen("events") == 1


def test_xadd_to_a_stream_nobody_knows_is_an_ordinary_stream(launch: Launcher) -> None:
    server = launch(COUNT, config="")
    client = server.redis()
    assert client.xadd("unheard-of", {"key": "k"}, id="1-1") == "1-1"
    assert client.xlen("unheard-of") == 1
    assert server.entities() == 0
    assert server.dead_letters() == []
