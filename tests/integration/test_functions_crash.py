"""Functions on streams through crashes and reloads: each event's effects once."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bettong
import pytest

from apps import with_prelude
from datanode import DataNode, settle
from harness import DEADLINE_S, Launcher, Server, eventually, file_sink_table, free_port
from test_poison import ENDS, ERROR, deadly

pytestmark = pytest.mark.sanitized

APP = with_prelude(
    """
    class Doubled(Event):
        key: str
        n: int

    doubled = app.stream("doubled", Doubled)
    lists = app.stream("lists")

    def double(e: In) -> Doubled:
        if e.n % 100 == 99:
            raise ValueError("99")
        return Doubled(key=e.key, n=2 * e.n)

    events.map(double).to(doubled)

    @doubled.on()
    def then(e: Doubled):
        out.emit(n=e.n)
        Tally[e.key].add(e.n)

    @events.on(batch=50)
    def listed(events: list[In]):
        lists.emit(ns=[e.n for e in events])

    class Tally(app.Entity):
        count: int
        total: int

        def add(self, n: int):
            self.count += 1
            self.total += n

    class Count(app.Entity):
        count: int

        @doubled.on(key="key")
        def take(self, e: Doubled):
            self.count += 1
    """
)


class Lives:
    """A node that dies and is started again, its acknowledged source and its file sinks."""

    def __init__(self, launch: Launcher) -> None:
        self.node = DataNode(launch)
        self.port = free_port()
        self.folder = launch.folder
        self.lives = 0
        self.config = (
            f'[source.in]\nkind = "bettong-stream"\nlisten = "127.0.0.1:{self.port}"\n'
            'stream = "events"\n'
        )
        self.add_sink("out")

    def add_sink(self, stream: str) -> None:
        self.config += file_sink_table(stream, stream, self.folder / f"{stream}.jsonl")

    def _next(self) -> dict[str, Any]:
        self.lives += 1
        return {"config": self.config, "shards": 1 + self.lives % 3}

    def start(self, app: str | Path = APP) -> Server:
        return self.node(app, **self._next())

    def dies(self, app: str) -> int:
        return self.node.dies(app, **self._next())

    def sender(self) -> bettong.Sender:
        return bettong.Sender(
            f"127.0.0.1:{self.port}", source="s", reconnect_max=0.1, buffer_events=500
        )

    def lines(self, stream: str = "out") -> list[dict[str, Any]]:
        text = (self.folder / f"{stream}.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def lives(launch: Launcher) -> Lives:
    return Lives(launch)


@contextlib.contextmanager
def sending(sender: bettong.Sender, count: int) -> Iterator[None]:
    def run() -> None:
        for n in range(count):
            sender.send({"key": f"k{n % 11}", "n": n})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_every_output_once_and_in_order_across_kills(lives: Lives) -> None:
    count = 6000
    lives.add_sink("lists")
    server = lives.start()
    with lives.sender() as sender:
        with sending(sender, count):
            for durable in (500, 2000, 3500, 5000):
                eventually(lambda at=durable: sender.durable > at, f"{durable} are durable")
                lives.node.kill(server)
                server = lives.start()
        assert sender.flush(DEADLINE_S)
    good = [n for n in range(count) if n % 100 != 99]
    eventually(lambda: len(lives.lines()) >= len(good), "all outputs")
    client = server.redis()
    for k in range(11):
        mine = [n for n in good if n % 11 == k]
        tally = {"count": str(len(mine)), "total": str(2 * sum(mine))}
        eventually(lambda k=k, tally=tally: client.hgetall(f"tally:k{k}") == tally, "all messages")
        assert client.hget(f"count:k{k}", "count") == str(len(mine))
    letters = server.dead_letters()
    assert [json.loads(letter["event"])["n"] for letter in letters] == list(range(99, count, 100))
    assert {letter["handler"] for letter in letters} == {"events.map(double)"}
    assert server.terminate() == 0
    # One source, one home: its order is that of all that comes of it.
    assert [line["n"] for line in lives.lines()] == [2 * n for n in good]
    groups = [line["ns"] for line in lives.lines("lists")]
    assert [n for group in groups for n in group] == list(range(count))
    assert max(map(len, groups)) > 1


def test_what_clients_add_counts_once_across_kills(lives: Lives) -> None:
    server = lives.start()
    added = 0
    for _ in range(4):
        pipe = server.redis().pipeline(transaction=False)
        for n in range(added, added + 500):
            pipe.xadd("events", {"key": f"k{n % 11}", "n": n, "op": "", "x": 0, "s": ""})
        pipe.execute()
        settle(server.redis())
        added += 500
        lives.node.kill(server)
        server = lives.start()
    good = [n for n in range(added) if n % 100 != 99]
    eventually(lambda: len(lives.lines()) >= len(good), "all outputs")
    eventually(lambda: len(server.dead_letters()) == added // 100, "all letters")
    assert server.terminate() == 0
    # One stream's key, one partition.
    assert [line["n"] for line in lives.lines()] == [2 * n for n in good]


@pytest.mark.parametrize("batch", ["", "batch=40"])
def test_an_event_that_kills_is_dead_lettered_and_all_others_count_once(
    lives: Lives, batch: str
) -> None:
    app = deadly(
        f"""
        @events.on({batch})
        def f(e):
            for each in e if isinstance(e, list) else [e]:
                die(each.op)
                out.emit(n=each.n)
        """
    )
    count, bad = 300, 137
    server = lives.start(app)
    with lives.sender() as sender:
        for n in range(count):
            sender.send({"key": "k", "n": n, "op": "kill" if n == bad else ""})
        ends = [server.wait_exit(DEADLINE_S), lives.dies(app)]
        server = lives.start(app)

        def outcome() -> str:
            if server.process.poll() is not None:
                return "dies"
            return "goes on" if sender.flush(0.05) else ""

        # Among several it was the first of the turn that the first process died in, or has one
        # life more.
        if eventually(outcome, "an end, or none") == "dies":
            assert batch
            ends.append(server.wait_exit(DEADLINE_S))
            server = lives.start(app)
            assert sender.flush(DEADLINE_S)
    assert set(ends) == {ENDS["kill"]}
    (letter,) = server.wait_dead_letters(1)
    assert (letter["error"], letter["handler"]) == (ERROR, "f")
    assert json.loads(letter["event"])["n"] == bad
    assert server.terminate() == 0
    assert [line["n"] for line in lives.lines()] == [n for n in range(count) if n != bad]


def version(number: int) -> str:
    """An app whose functions tell which version they are of; each event is of one."""
    return with_prelude(
        f"""
        class Mid(Event):
            n: int
            version: int

        mid = app.stream("mid", Mid)

        events.map(lambda e: Mid(n=e.n, version={number})).to(mid)

        @mid.on(batch=20)
        def second(events):
            for e in events:
                assert e.version <= {number}
                out.emit(n=e.n, first=e.version, second={number})
        """
    )


def test_events_count_once_through_reloads_and_crashes(lives: Lives) -> None:
    app = lives.node.launch.write_app(version(1))
    server = lives.start(app)
    count = 12_000
    with lives.sender() as sender:
        with sending(sender, count):
            for number in range(2, 6):
                durable = (number - 1) * 2000
                eventually(lambda at=durable: sender.durable > at, f"{durable} are durable")
                lives.node.launch.write_app(version(number))
                assert server.redis().execute_command("RELOAD") == "OK"
                if number % 2 == 1:
                    lives.node.kill(server)
                    server = lives.start(app)
        assert sender.flush(DEADLINE_S)
    eventually(lambda: len(lives.lines()) >= count, "all outputs")
    assert server.dead_letters() == []
    assert server.terminate() == 0
    lines = lives.lines()
    assert [line["n"] for line in lines] == list(range(count))
    for place in ("first", "second"):
        versions = [line[place] for line in lines]
        assert versions == sorted(versions)
        assert set(Counter(versions)) == {1, 2, 3, 4, 5}
