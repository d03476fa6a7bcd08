"""Acknowledged sources and sinks (docs/stream-protocol.md) across kill -9 and SIGTERM."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bettong
import pytest

from apps import with_prelude
from datanode import DataNode, settle
from harness import DEADLINE_S, Launcher, Server, by_key, eventually, file_sink_table, free_port

APP = with_prelude(
    """
    from bettong import Event

    class Move(Event):
        to: str
        n: int

    moves = app.stream("moves", Move)

    class Account(app.Entity, ttl=timedelta(hours=1)):
        count: int = 0
        total: int = 0

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "raise":
                raise ValueError("no")
            self.count += 1
            self.total += e.n
            out.emit(key=self.key, n=e.n, count=self.count)
            moves.emit(to=f"b{e.n % 7}", n=e.n)

    class Balance(app.Entity, ttl=timedelta(hours=1)):
        count: int = 0
        total: int = 0

        @moves.on(key="to")
        def take(self, e: Move):
            self.count += 1
            self.total += e.n
    """
)

KEYS = 11


def event(n: int) -> dict[str, Any]:
    return {"key": f"k{n % KEYS}", "n": n}


class Pipeline:
    """An app between a source and a sink whose addresses stay the same from life to life."""

    def __init__(self, launch: Launcher) -> None:
        self.node = DataNode(launch)
        self.port = free_port()
        self.path = launch.folder / "out.jsonl"
        self.receiver_port = free_port()
        self.lives = 0
        self.config = f"""
[source.in]
kind = "bettong-stream"
listen = "127.0.0.1:{self.port}"
stream = "events"
token = "s3"
""" + file_sink_table("file", "out", self.path)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add_receiver(self) -> None:
        self.config += f"""
[sink.away]
kind = "bettong-stream"
stream = "out"
address = "127.0.0.1:{self.receiver_port}"
token = "s4"
"""

    def start(self, *arguments: str) -> Server:
        """The next life, with another number of shards than the last."""
        self.lives += 1
        return self.node(APP, *arguments, config=self.config, shards=1 + self.lives % 3)

    def sender(self, **options: Any) -> bettong.Sender:
        options = {"source": "s", "token": "s3", "reconnect_max": 0.1} | options
        return bettong.Sender(self.address, **options)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def pipeline(launch: Launcher) -> Pipeline:
    return Pipeline(launch)


def check_outputs(outputs: list[dict[str, Any]], count: int) -> None:
    """Each event's output once, per key in order, and each the result of those before it."""
    assert len(outputs) == count
    groups = by_key(outputs)
    for k in range(KEYS):
        numbers = [n for n in range(count) if n % KEYS == k]
        assert [each["n"] for each in groups[f"k{k}"]] == numbers
        assert [each["count"] for each in groups[f"k{k}"]] == list(range(1, len(numbers) + 1))


def check_state(server: Server, count: int) -> None:
    client = server.redis()

    def settled() -> bool:
        sums = [client.hget(f"balance:b{b}", "total") for b in range(7)]
        return sum(int(total or 0) for total in sums) == sum(range(count))

    eventually(settled, "what was sent on has come")
    for k in range(KEYS):
        numbers = [n for n in range(count) if n % KEYS == k]
        row = {"count": str(len(numbers)), "total": str(sum(numbers))}
        assert client.hgetall(f"account:k{k}") == row
    for b in range(7):
        numbers = [n for n in range(count) if n % 7 == b]
        row = {"count": str(len(numbers)), "total": str(sum(numbers))}
        assert client.hgetall(f"balance:b{b}") == row


@contextlib.contextmanager
def sending(sender: bettong.Sender, count: int) -> Iterator[None]:
    """Sends events from a thread; all have been sent at the end."""

    def run() -> None:
        for n in range(count):
            sender.send(event(n))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def durable_beyond(sender: bettong.Sender, last: int) -> Callable[[], bool]:
    return lambda: sender.durable > last


def test_every_event_once_across_kills(pipeline: Pipeline) -> None:
    count = 6000
    server = pipeline.start()
    with pipeline.sender(buffer_events=500) as sender:
        with sending(sender, count):
            for durable in (500, 2000, 3500):
                eventually(durable_beyond(sender, durable), f"{durable} are durable")
                pipeline.node.kill(server)
                server = pipeline.start()
        assert sender.flush(DEADLINE_S)
        assert sender.durable == count
    check_state(server, count)
    assert server.terminate() == 0
    check_outputs(pipeline.lines(), count)
    check_state(pipeline.start(), count)


def test_every_output_once_at_a_receiver_across_kills_of_both(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    count = 4000
    pipeline.add_receiver()
    outputs: list[dict[str, Any]] = []

    def open_receiver() -> bettong.Receiver:
        return bettong.Receiver(
            f"127.0.0.1:{pipeline.receiver_port}",
            store=tmp_path / "store.db",
            token="s4",
            commit_events=50,
        )

    def take(receiver: bettong.Receiver, up_to: int) -> None:
        while len(outputs) < up_to:
            output = receiver.poll(DEADLINE_S)
            assert output is not None, f"{len(outputs)} outputs have come"
            outputs.append(output.event)
        receiver.commit()

    server = pipeline.start()
    receiver = open_receiver()
    with pipeline.sender(buffer_events=500) as sender, sending(sender, count):
        take(receiver, 700)
        pipeline.node.kill(server)
        server = pipeline.start()
        take(receiver, 1500)
        receiver.close()
        # While it is away, the node dies as well.
        pipeline.node.kill(server)
        server = pipeline.start()
        receiver = open_receiver()
        take(receiver, 2500)
        server.terminate()
        server = pipeline.start()
        take(receiver, count)
    check_outputs(outputs, count)
    assert receiver.poll(0.05) is None
    receiver.close()
    check_state(server, count)


def test_dead_letters_are_written_once_across_kills(pipeline: Pipeline) -> None:
    count = 60
    server = pipeline.start()
    with pipeline.sender(buffer_events=10) as sender:
        for n in range(count):
            if n % 2 == 0:
                sender.send({"key": f"bad{n}", "op": "raise", "n": n})
            else:
                sender.send(f"no JSON {n}".encode())
            if n in (20, 40):
                eventually(durable_beyond(sender, n - 10))
                pipeline.node.kill(server)
                server = pipeline.start()
        assert sender.flush(DEADLINE_S)
    letters = server.wait_dead_letters(count)
    seen = sorted(str(letter["event"]) for letter in letters)
    assert len(set(seen)) == count
    settle(server.redis())
    pipeline.node.kill(server)
    assert len(pipeline.start().dead_letters()) == count


def test_a_new_process_goes_on_above_what_is_durable(pipeline: Pipeline) -> None:
    server = pipeline.start()
    with pipeline.sender(incarnation=5) as sender:
        ids = [sender.send(event(n)) for n in range(30)]
        assert sender.flush(DEADLINE_S)
    assert ids == list(range(1, 31))
    pipeline.node.kill(server)
    server = pipeline.start()
    with pipeline.sender(incarnation=6) as sender:
        assert sender.send(event(30)) == 31
        assert sender.flush(DEADLINE_S)
        pipeline.node.kill(server)
        server = pipeline.start()
        # Who was fenced before the crash is so after it.
        with pytest.raises(bettong.SenderFenced), pipeline.sender(incarnation=5) as older:
            older.send(event(99))
        assert sender.send(event(31)) == 32
        assert sender.flush(DEADLINE_S)
    check_state(server, 32)


def test_sigterm_sends_a_sender_to_the_next_process(pipeline: Pipeline) -> None:
    count = 3000
    server = pipeline.start()
    with pipeline.sender(buffer_events=300) as sender:
        with sending(sender, count):
            for durable in (300, 1500):
                eventually(durable_beyond(sender, durable), f"{durable} are durable")
                assert server.terminate() == 0
                server = pipeline.start()
        assert sender.flush(DEADLINE_S)
    check_state(server, count)
    assert server.terminate() == 0
    check_outputs(pipeline.lines(), count)


def test_two_senders_of_one_source_are_apart(pipeline: Pipeline) -> None:
    server = pipeline.start()
    with pipeline.sender(source="even") as even, pipeline.sender(source="odd") as odd:
        for n in range(0, 1000, 2):
            even.send(event(n))
            odd.send(event(n + 1))
            if n == 500:
                eventually(durable_beyond(even, 10))
                eventually(durable_beyond(odd, 10))
                pipeline.node.kill(server)
                server = pipeline.start()
        assert even.flush(DEADLINE_S)
        assert odd.flush(DEADLINE_S)
        assert (even.durable, odd.durable) == (500, 500)
    check_state(server, 1000)
