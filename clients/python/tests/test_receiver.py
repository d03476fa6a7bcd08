"""Receiver against a fake node that repeats itself, breaks off, and sends nonsense."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bettong
import pytest
from bettong import Receiver, StoreError, StreamClosed
from bettong import _wire as wire
from fake_sink import NODE, FakeSink
from fake_stream_node import WAIT_S


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def receiver(store: Path) -> Iterator[Receiver]:
    with Receiver(store=store) as it:
        yield it


def get(receiver: Receiver) -> Any:
    output = receiver.poll(WAIT_S)
    assert output is not None, "nothing came"
    return output


def positions(store: Path) -> dict[tuple[bytes, str, int], int]:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT * FROM bettong_positions").fetchall()
    return {(node, sink, partition): seq for node, sink, partition, seq in rows}


def connect(receiver: Receiver) -> socket.socket:
    host, port = receiver.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), WAIT_S)
    connection.settimeout(WAIT_S)
    return connection


def read_to_end(connection: socket.socket) -> list[wire.Frame]:
    """All frames that the receiver says until it hangs up."""
    reader = wire.FrameReader(
        [wire.RESUME, wire.STORED, wire.ERROR, wire.PING, wire.PONG]
    )
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            reader.feed(data)
    frames = []
    while (found := reader.next()) is not None:
        frames.append(wire.decode(*found))
    return frames


# -- outputs -----------------------------------------------------------------------------


def test_outputs_are_parsed_and_say_where_they_come_from(receiver: Receiver) -> None:
    with FakeSink(receiver.address) as sink:
        sink.emit(3, 9, b'{"host":"web-01"}', "alerts")
        output = get(receiver)
        partition, sequence, event = output
        assert (partition, sequence, event) == (3, 9, {"host": "web-01"})
        assert (output.partition, output.sequence, output.event) == (3, 9, event)
        assert output.stream == "alerts"
        assert output.sink == "alerts"
        assert output.node == NODE.hex()
        assert isinstance(output, bettong.Output)


def test_raw_events_are_bytes(store: Path) -> None:
    with (
        Receiver(store=store, raw=True) as receiver,
        FakeSink(receiver.address) as sink,
    ):
        sink.emit(0, 1, b"\x00no json")
        assert get(receiver).event == b"\x00no json"


def test_stored_is_said_when_the_next_is_asked_for(
    receiver: Receiver, store: Path
) -> None:
    with FakeSink(receiver.address) as sink:
        sink.emit(1, 5, b"{}")
        get(receiver)
        assert positions(store) == {}
        assert sink.stored == {}
        assert receiver.poll(0) is None
        assert positions(store) == {(NODE, "alerts", 1): 5}
        sink.wait(sink.all_stored)


def test_poll_gives_up_after_its_time(receiver: Receiver) -> None:
    before = time.monotonic()
    assert receiver.poll(0.02) is None
    assert time.monotonic() - before >= 0.02


def test_an_event_that_is_no_json_is_raised_and_can_be_passed(
    receiver: Receiver,
) -> None:
    with FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"{")
        sink.emit(0, 2, b"{}")
        with pytest.raises(ValueError, match="sequence 1: the event is not JSON"):
            get(receiver)
        assert get(receiver).sequence == 2


@pytest.mark.parametrize(("commit_events", "after"), [(3, 3600), (1000, 0.001)])
def test_commits_come_every_so_many_and_every_so_often(
    store: Path, commit_events: int, after: float
) -> None:
    with (
        Receiver(
            store=store, commit_events=commit_events, commit_after=after
        ) as receiver,
        FakeSink(receiver.address) as sink,
    ):
        for sequence in range(1, 200):
            sink.emit(0, sequence, b"{}")
        get(receiver)
        wait_for(lambda: receiver._inlet._held_events == 199)
        for _ in range(4):
            get(receiver)
            if after < 1:
                threading.Event().wait(0.002)  # the time itself is what is tested
        stored = positions(store).get((NODE, "alerts", 0), 0)
        assert stored == 3 if commit_events == 3 else 2 <= stored <= 4


def test_duplicates_are_dropped(receiver: Receiver) -> None:
    with FakeSink(receiver.address) as sink:
        sink.wait(lambda: bool(sink.resumes))
        with sink.changed:
            sink.highest_sent[0] = 3
        outs = [wire.out(0, seq, "s", b"%d" % seq) for seq in (1, 2, 2, 1, 3)]
        sink.say(b"".join(outs))
        assert [get(receiver).event for _ in range(3)] == [1, 2, 3]
        sink.say(b"".join(outs))
        assert receiver.poll(0.05) is None


# -- exactly once over time --------------------------------------------------------------


def test_a_new_receiver_resumes_where_the_older_one_stood(store: Path) -> None:
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        for sequence in range(1, 6):
            sink.emit(0, sequence * 2, b"%d" % sequence)
            sink.emit(7, sequence, b"%d" % (sequence + 10))
        seen = [get(receiver) for _ in range(10)]
        assert len({(o.partition, o.sequence) for o in seen}) == 10
    # The last one was not done.
    last = seen[-1]
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as again:
        again.outputs, again.highest_sent = sink.outputs, sink.highest_sent
        with again.changed:
            again.changed.notify_all()
        assert get(receiver) == last
        receiver.commit()
        again.wait(lambda: again.all_stored())
        assert receiver.poll(0) is None


def test_close_while_an_output_is_in_hand_gives_it_again(store: Path) -> None:
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        sink.emit(0, 2, b"2")
        assert get(receiver).event == 1
        assert get(receiver).event == 2
    assert positions(store) == {(NODE, "alerts", 0): 1}


def test_half_of_an_outputs_results_never_stays(store: Path) -> None:
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        receiver.connection.execute("CREATE TABLE seen (x)")
        for sequence in (1, 2, 3):
            sink.emit(0, sequence, b"%d" % sequence)
        wait_for(lambda: receiver._inlet._held_events == 3)
        with contextlib.suppress(ZeroDivisionError):
            for _, sequence, event in receiver:
                receiver.connection.execute("INSERT INTO seen VALUES (?)", (event,))
                if sequence == 3:
                    _ = 1 / 0
    # 1 and 2 were done, and may be in the store with their positions, or without.
    with contextlib.closing(sqlite3.connect(store)) as connection:
        seen = [row[0] for row in connection.execute("SELECT x FROM seen")]
    stored = positions(store).get((NODE, "alerts", 0), 0)
    assert 3 not in seen
    assert seen == list(range(1, stored + 1))


def test_a_failed_handler_that_wrote_nothing_keeps_what_is_done(store: Path) -> None:
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        for sequence in (1, 2, 3):
            sink.emit(0, sequence, b"%d" % sequence)
        wait_for(lambda: receiver._inlet._held_events == 3)
        with contextlib.suppress(ZeroDivisionError):
            for _, sequence, _event in receiver:
                if sequence == 3:
                    _ = 1 / 0
    assert positions(store) == {(NODE, "alerts", 0): 2}


@pytest.mark.parametrize("seed", range(24))
def test_every_output_once_and_in_order_whatever_fails(store: Path, seed: int) -> None:
    """Connections break at any byte, and the receiver is left and made anew, now and then."""
    rng = random.Random(seed)
    sequences: dict[tuple[int, int], list[int]] = {}
    sinks: list[FakeSink] = []
    seen: dict[tuple[str, str, int], list[tuple[int, Any]]] = {}
    options = {
        "buffer_events": rng.choice([1, 5, 1000]),
        "buffer_bytes": rng.choice([500, 1 << 20]),
        "commit_events": rng.choice([1, 10, 1000]),
    }
    receiver = Receiver(store=store, **options)
    address = receiver.address
    for number in range(2):
        sinks.append(
            FakeSink(
                address,
                node=bytes([number]) * 16,
                cut_after_read=400 if rng.random() < 0.7 else 0,
                cut_after_write=6000 if rng.random() < 0.7 else 0,
                repeats=0.1,
                seed=seed + number,
            )
        )
    for number, sink in enumerate(sinks):
        for partition in (0, 5, 63):
            sequence = 0
            for _ in range(150):
                sequence += rng.choice([1, 1, 3])
                sequences.setdefault((number, partition), []).append(sequence)
                padding = "x" * rng.choice([0, 10, 400])
                event = json.dumps([number, partition, sequence, padding])
                sink.emit(partition, sequence, event.encode())
    total = sum(map(len, sequences.values()))
    committed = 0  # seen and, for sure, done
    deadline_s = time.monotonic() + WAIT_S
    while committed < total:
        assert time.monotonic() < deadline_s
        output = receiver.poll(0.05)
        if output is None:
            committed = sum(map(len, seen.values()))
            continue
        key = (output.node, output.sink, output.partition)
        seen.setdefault(key, []).append((output.sequence, output.event))
        if rng.random() < 0.01:
            receiver.commit()
            receiver.close()
            receiver = Receiver(address, store=store, **options)
    receiver.close()
    for sink in sinks:
        sink.close()
    for (number, partition), expected in sequences.items():
        got = seen[((bytes([number]) * 16).hex(), "alerts", partition)]
        assert [sequence for sequence, _ in got] == expected
        assert all(event[:3] == [number, partition, seq] for seq, event in got)


CONSUMER = """
import sys
from bettong import Receiver
with Receiver(sys.argv[1], store=sys.argv[2], commit_events=20) as receiver:
    db = receiver.connection
    db.execute("CREATE TABLE IF NOT EXISTS seen (partition, sequence, n)")
    db.execute("CREATE TABLE IF NOT EXISTS sums (partition PRIMARY KEY, total)")
    print("ready", flush=True)
    for partition, sequence, event in receiver:
        db.execute("INSERT INTO seen VALUES (?, ?, ?)", (partition, sequence, event["n"]))
        db.execute(
            "INSERT INTO sums VALUES (?, ?) ON CONFLICT (partition) "
            "DO UPDATE SET total = total + excluded.total", (partition, event["n"]),
        )
        if event["n"] % 100 == 0:
            print(event["n"], flush=True)
"""


def test_results_in_the_store_are_exact_though_the_consumer_is_killed(
    store: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    rng = random.Random(1)
    outputs, partitions = 6000, 4
    environment = {**os.environ, "PYTHONPATH": str(Path(bettong.__file__).parents[1])}

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CONSUMER, address, str(store)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    process = start()
    kills = 0
    with FakeSink(address) as sink:
        for n in range(outputs):
            sink.emit(n % partitions, n // partitions + 1, b'{"n":%d}' % n)
        while not sink.all_stored():
            # Somewhere between two of its marks.
            line = ""
            assert process.stdout is not None
            for _ in range(rng.randrange(1, 6)):
                with sink.changed:
                    if sink.all_stored():
                        break
                line = process.stdout.readline()
                if int(line) >= outputs - 400:
                    break
            if line and int(line) >= outputs - 400 and kills >= 5:
                sink.wait(sink.all_stored)
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            kills += 1
            process = start()
        assert kills >= 5
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    with contextlib.closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT * FROM seen ORDER BY n").fetchall()
        sums = dict(connection.execute("SELECT * FROM sums"))
        order = connection.execute("SELECT n FROM seen ORDER BY rowid").fetchall()
    assert rows == [(n % partitions, n // partitions + 1, n) for n in range(outputs)]
    for partition in range(partitions):
        assert sums[partition] == sum(range(partition, outputs, partitions))
        in_order = [n for (n,) in order if n % partitions == partition]
        assert in_order == sorted(in_order)


# -- the store ---------------------------------------------------------------------------


def test_one_receiver_at_a_time_uses_a_store(receiver: Receiver, store: Path) -> None:
    with pytest.raises(StoreError, match="another Receiver"):
        Receiver(store=store)
    receiver.close()
    Receiver(store=store).close()


def test_a_store_that_is_none_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("this is no database, but long enough to be read as one\n" * 100)
    with pytest.raises(StoreError):
        Receiver(store=text)
    with pytest.raises(StoreError):
        Receiver(store=tmp_path / "missing" / "store.db")
    for name in (":memory:", "", "file:x"):
        with pytest.raises(ValueError, match="a store is a file"):
            Receiver(store=name)
    newer = tmp_path / "newer.db"
    Receiver(store=newer).close()
    with contextlib.closing(sqlite3.connect(newer)) as connection:
        connection.execute("UPDATE bettong_format SET version = 2")
        connection.commit()
    with pytest.raises(StoreError, match="format 2"):
        Receiver(store=newer)


def test_the_store_is_durable_at_each_commit(receiver: Receiver) -> None:
    connection = receiver.connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_the_consumer_cannot_end_the_transaction(receiver: Receiver) -> None:
    with FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        get(receiver)
        for attempt in (
            receiver.connection.commit,
            receiver.connection.rollback,
            lambda: receiver.connection.executescript("SELECT 1"),
        ):
            with pytest.raises(StoreError):
                attempt()
        with receiver.connection:
            pass
        assert receiver.connection.in_transaction


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK"])
def test_a_transaction_ended_behind_its_back_breaks_it(store: Path, sql: str) -> None:
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        get(receiver)
        receiver.connection.execute(sql)
        for _ in range(2):
            with pytest.raises(StoreError, match="ended by others"):
                receiver.poll(0)
    assert positions(store) == {}


def test_a_commit_that_fails_breaks_it(store: Path) -> None:
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        get(receiver)
        receiver.connection.execute("DROP TABLE bettong_positions")
        with pytest.raises(StoreError, match="commit"):
            receiver.poll(0)
        assert sink.stored == {}
    assert positions(store) == {}
    with Receiver(store=store) as receiver, FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        assert get(receiver).event == 1


# -- connections -------------------------------------------------------------------------


def test_several_nodes_and_sinks_at_a_time(receiver: Receiver, store: Path) -> None:
    other = bytes(16)
    with (
        FakeSink(receiver.address) as a,
        FakeSink(receiver.address, sink="b") as b,
        FakeSink(receiver.address, node=other) as c,
    ):
        for number, sink in enumerate((a, b, c)):
            sink.emit(0, 1, b"%d" % number)
        found = {(o.node, o.sink): o.event for o in (get(receiver) for _ in range(3))}
        assert found == {
            (NODE.hex(), "alerts"): 0,
            (NODE.hex(), "b"): 1,
            (other.hex(), "alerts"): 2,
        }
        assert receiver.poll(0) is None
        assert positions(store) == {
            (NODE, "alerts", 0): 1,
            (NODE, "b", 0): 1,
            (other, "alerts", 0): 1,
        }


def test_a_second_connection_takes_the_place_of_the_first(receiver: Receiver) -> None:
    with connect(receiver) as first, connect(receiver) as second:
        first.sendall(wire.offer(NODE, "alerts") + wire.out(0, 1, "s", b"1"))
        assert get(receiver).event == 1
        second.sendall(wire.offer(NODE, "alerts"))
        frames = read_to_end(first)
        assert frames[0] == wire.Resume(1, [])
        assert not any(isinstance(frame, wire.Error) for frame in frames)
        # What the first sent and is not stored comes again, and is dropped.
        second.sendall(wire.out(0, 1, "s", b"1") + wire.out(0, 2, "s", b"2"))
        assert get(receiver).event == 2


def test_a_wrong_token_is_denied(store: Path) -> None:
    with Receiver(store=store, token="s3") as receiver:
        with connect(receiver) as connection:
            connection.sendall(wire.offer(NODE, "alerts", "guess"))
            assert read_to_end(connection) == [wire.Error(wire.DENIED, "wrong token")]
        with FakeSink(receiver.address, token="s3") as sink:
            sink.emit(0, 1, b"1")
            assert get(receiver).event == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (wire.offer(NODE, "x", version=2), wire.VERSION_DIFFERS),
        (wire.out(0, 1, "s", b""), wire.MALFORMED),
        (wire.offer(NODE, "x") * 2, wire.MALFORMED),
        (wire.offer(NODE, "x") + wire.welcome(0, 0), wire.MALFORMED),
        (wire.offer(NODE, "x") + wire.out(0, 0, "s", b""), wire.MALFORMED),
        (wire.offer(NODE, "x") + wire.out(0, 1 << 63, "s", b""), wire.MALFORMED),
        (wire.offer(NODE, "x") + b"\x01\x00\x00\x01\x11", wire.MALFORMED),
        (b"GET / HTTP/1.1\r\n\r\n", wire.MALFORMED),
        (wire.ping(1), wire.MALFORMED),
        (wire.offer(NODE, "x").replace(b"BTNG", b"BTNX"), wire.MALFORMED),
        (wire.offer(NODE, "\xff").replace(b"\xc3", b"\xff"), wire.MALFORMED),
    ],
    ids=[
        "version",
        "out first",
        "offer twice",
        "another role",
        "sequence 0",
        "sequence 2^63",
        "too long",
        "http",
        "ping first",
        "magic",
        "utf-8",
    ],
)
def test_a_malformed_peer_is_told_and_cut(
    receiver: Receiver, said: bytes, code: int
) -> None:
    with connect(receiver) as connection:
        connection.sendall(said)
        last = read_to_end(connection)[-1]
        assert isinstance(last, wire.Error)
        assert last.code == code
    with FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        assert get(receiver).event == 1


def test_what_came_before_the_nonsense_counts(receiver: Receiver) -> None:
    with connect(receiver) as connection:
        connection.sendall(
            wire.offer(NODE, "x") + wire.out(0, 1, "s", b"1") + b"\x00" * 5
        )
        assert get(receiver).event == 1
        assert receiver.poll(0) is None


@pytest.mark.parametrize("seed", range(100))
def test_random_bytes_never_hang_it(receiver: Receiver, seed: int) -> None:
    rng = random.Random(seed)
    said = rng.choice([b"", wire.offer(NODE, "x")])
    for _ in range(rng.randrange(6)):
        said += rng.choice(
            [
                wire.out(1, rng.randrange(1, 9), "s", b"1"),
                wire.ping(1),
                rng.randbytes(rng.randrange(40)),
            ]
        )
    with connect(receiver) as connection, contextlib.suppress(OSError):
        connection.sendall(said[: rng.randrange(len(said) + 1)])
        connection.shutdown(socket.SHUT_WR)
        read_to_end(connection)
    while receiver.poll(0) is not None:
        pass
    assert receiver._inlet._thread.is_alive()


def test_too_many_connections_are_sent_away(store: Path) -> None:
    with (
        Receiver(store=store, connections_max=1) as receiver,
        FakeSink(receiver.address) as sink,
    ):
        sink.wait(lambda: bool(sink.resumes))
        with connect(receiver) as connection:
            assert read_to_end(connection) == [
                wire.Error(wire.GOING, "too many connections")
            ]
        sink.emit(0, 1, b"1")
        assert get(receiver).event == 1


def test_silence_is_asked_about_and_given_up(store: Path) -> None:
    with (
        Receiver(store=store, ping_after=0.01, pong_within=0.05) as receiver,
        FakeSink(receiver.address) as sink,
    ):
        sink.wait(lambda: sink.pings >= 3)
        assert sink.connections == 1
        sink.answering = False
        sink.wait(lambda: sink.connections >= 2)


def test_the_node_may_ask_too(receiver: Receiver) -> None:
    with FakeSink(receiver.address) as sink:
        sink.wait(lambda: bool(sink.resumes))
        sink.say(wire.ping(7) + wire.ping(8))
        sink.wait(lambda: sink.pongs == [7, 8])


# -- limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "held"),
    [
        ({"buffer_events": 5}, 5),
        ({"buffer_events": 1}, 1),
        ({"buffer_bytes": 40}, 4),  # of 10 bytes
        ({"buffer_bytes": 41}, 5),  # one may reach beyond
        ({"buffer_bytes": 1}, 1),
    ],
)
def test_no_more_is_read_than_fits(
    store: Path, options: dict[str, int], held: int
) -> None:
    with (
        Receiver(store=store, ping_after=0.005, **options) as receiver,
        FakeSink(receiver.address) as sink,
    ):
        for sequence in range(1, 101):
            sink.emit(0, sequence, b"%10d" % sequence)
        # While it waits for room it shows that it lives, and says nothing else.
        sink.wait(lambda: sink.empty_stored >= 3)
        assert receiver._inlet._held_events == held
        assert len(receiver._inlet._queue) == held
        assert sink.connections == 1
        for sequence in range(1, 101):
            assert get(receiver).event == sequence
            assert receiver._inlet._held_events <= held
        assert receiver.poll(0) is None
        sink.wait(sink.all_stored)


def test_a_node_that_leaves_while_it_is_not_read(store: Path) -> None:
    with (
        Receiver(store=store, buffer_events=2) as receiver,
        FakeSink(receiver.address) as sink,
    ):
        for sequence in range(1, 301):
            sink.emit(0, sequence, b"%10000d" % sequence)
        wait_for(lambda: receiver._inlet._held_events == 2)
        sink.cut()
        sink.wait(lambda: sink.connections == 2)
        for sequence in range(1, 301):
            assert get(receiver).event == sequence


# -- close, threads, processes -----------------------------------------------------------


def test_close_from_another_thread_ends_the_loop(store: Path) -> None:
    receiver = Receiver(store=store)
    seen = []
    got = threading.Event()

    def consume() -> None:
        for output in receiver:
            seen.append(output.event)
            got.set()

    consumer = threading.Thread(target=consume)
    consumer.start()
    with FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        assert got.wait(WAIT_S)
        sink.wait(sink.all_stored)
        receiver.close()
        consumer.join(WAIT_S)
    assert seen == [1]
    assert not receiver._inlet._thread.is_alive()
    assert positions(store) == {(NODE, "alerts", 0): 1}
    Receiver(store=store).close()


def test_close_while_the_consumer_is_at_work_lets_it_finish(store: Path) -> None:
    receiver = Receiver(store=store)
    working, go_on = threading.Event(), threading.Event()

    def consume() -> None:
        receiver.connection.execute("CREATE TABLE seen (x)")
        for output in receiver:
            working.set()
            assert go_on.wait(WAIT_S)
            receiver.connection.execute("INSERT INTO seen VALUES (?)", (output.event,))

    consumer = threading.Thread(target=consume)
    consumer.start()
    with FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        assert working.wait(WAIT_S)
        receiver.close()
        go_on.set()
        consumer.join(WAIT_S)
    with contextlib.closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT x FROM seen").fetchall() == [(1,)]
    assert positions(store) == {(NODE, "alerts", 0): 1}


def test_a_signals_handler_may_close_it(store: Path) -> None:
    receiver = Receiver(store=store)
    before = signal.signal(signal.SIGALRM, lambda *_: receiver.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert list(receiver) == []
    finally:
        signal.signal(signal.SIGALRM, before)
    Receiver(store=store).close()


def test_what_is_asked_after_close_is_refused(receiver: Receiver) -> None:
    receiver.close()
    receiver.close()
    assert list(receiver) == []
    with pytest.raises(StreamClosed):
        receiver.poll(0)
    with pytest.raises(StreamClosed):
        receiver.commit()


def test_close_tells_nodes_what_is_stored(store: Path) -> None:
    with Receiver(store=store, commit_after=3600) as receiver:
        sink = FakeSink(receiver.address)
        sink.emit(0, 1, b"1")
        sink.emit(0, 2, b"2")
        wait_for(lambda: receiver._inlet._held_events == 2)
        get(receiver)
        get(receiver)
        assert positions(store) == {}
    sink.wait(lambda: sink.stored == {0: 1})
    sink.close()


def test_a_forked_child_cannot_use_it_and_the_parent_can(receiver: Receiver) -> None:
    with FakeSink(receiver.address) as sink:
        sink.emit(0, 1, b"1")
        get(receiver)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                receiver.poll(0)
            except StreamClosed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        sink.emit(0, 2, b"2")
        assert get(receiver).event == 2
        assert sink.connections == 1


def test_addresses(store: Path) -> None:
    with Receiver("localhost:0", store=store) as receiver:
        assert receiver.address.rsplit(":", 1)[1] != "0"
        with pytest.raises(OSError):
            Receiver(receiver.address, store=store.with_name("other.db"))
    for address in ("nowhere", "127.0.0.1:65536", ":1"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            Receiver(address, store=store)
    Receiver(store=store).close()


@pytest.mark.parametrize(
    "options",
    [
        {"buffer_events": 0},
        {"buffer_bytes": 0},
        {"commit_events": 0},
        {"commit_after": 0},
    ],
)
def test_options_that_make_no_sense(store: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Receiver(store=store, **options)
    Receiver(store=store).close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        pause.wait(0.001)
