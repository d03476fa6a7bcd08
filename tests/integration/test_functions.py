"""Functions on streams, without a key: @stream.on(), and chains of map, filter and flat_map."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from bettong.testing import AppError

from apps import event, with_prelude
from datanode import DataNode
from exposition import parse
from grids import Grids
from harness import (
    Launcher,
    Server,
    eventually,
    get_page,
    json_lines,
    run_bettong,
    source_table,
    view_entry,
)
from resp import RespError

pytestmark = pytest.mark.sanitized


def view(server: Server, stream: str = "out") -> list[dict[str, Any]]:
    entries = server.redis().xrange(stream)
    return [view_entry(fields) for _, fields in entries]


# --- plain functions


def test_a_function_takes_events_and_what_it_emits_counts(grids: Grids) -> None:
    grid = grids(
        """
        class Thing(app.Entity):
            n: int
            heard: str

            def hear(self, n: int, *, word: str):
                self.n += n
                self.heard += word

        @events.on()
        def told(e: In):
            assert type(e) is In
            out.emit(key=e.key, twice=2 * e.n)
            out.emit({"s": e.s})
            if e.op == "tell":
                Thing[e.key].hear(e.n, word=e.s)
            return 5  # nobody asks
        """
    )
    grid.send("events", [event(1, s="x"), event(9, op="tell", s="y")])
    assert grid.outputs("out") == [
        {"key": "k1", "twice": 2},
        {"s": "x"},
        {"key": "k2", "twice": 18},
        {"s": "y"},
    ]
    thing = grid.entity("thing:k2")
    assert thing is not None
    assert (thing.n, thing.heard) == (9, "y")
    assert grid.entity("thing:k1") is None


def test_functions_and_handlers_of_a_stream_each_have_its_events(grids: Grids) -> None:
    grid = grids(
        """
        others = app.stream("others", In)

        @events.on()
        @others.on(on_error="skip")
        def f(e):
            out.emit(f=e.n)

        @events.on()
        def g(e):
            out.emit(g=e.n)

        class Thing(app.Entity):
            @events.on(key="key")
            def take(self, e):
                out.emit(h=e.n)
        """
    )
    grid.send("events", event(1))
    outputs = grid.outputs("out")
    assert sorted(json.dumps(output) for output in outputs) == ['{"f": 1}', '{"g": 1}', '{"h": 1}']
    grid.send("others", event(2))
    assert grid.outputs("out") == [{"f": 2}]


def test_events_without_a_class_and_nested_ones(grids: Grids) -> None:
    grid = grids(
        """
        loose = app.stream("loose")

        @loose.on()
        def f(e):
            assert type(e) is dict
            out.emit(e | {"more": [1]})
        """
    )
    grid.send("loose", [{"a": {"b": 1}}, {}])
    assert grid.outputs("out") == [{"a": {"b": 1}, "more": [1]}, {"more": [1]}]


def test_an_instance_that_is_kept_is_not_used_again(grids: Grids) -> None:
    grid = grids(
        """
        kept = []

        @events.on()
        def f(e):
            kept.append(e)
            out.emit(ns=[each.n for each in kept])
        """
    )
    grid.send("events", [event(1), event(2)])
    assert grid.outputs("out") == [{"ns": [1]}, {"ns": [1, 2]}]


def test_late_events_go_to_a_function_that_asks_for_them(grids: Grids) -> None:
    grid = grids(
        """
        class Timed(Event, time="ts"):
            ts: int

        timed = app.stream("timed", Timed)

        @timed.on()
        def usual(e):
            out.emit(usual=e.ts)

        @timed.late()
        def late(e):
            out.emit(late=e.ts)
        """
    )
    grid.send("timed", [{"ts": 10_000}, {"ts": 9_000}, {"ts": 11_000}])
    assert grid.outputs("out") == [{"usual": 10_000}, {"late": 9_000}, {"usual": 11_000}]


def test_entities_cannot_be_used_in_a_function(grids: Grids) -> None:
    grid = grids(
        """
        kept = []

        class Thing(app.Entity):
            n: int

            @events.on(key="key")
            def take(self, e):
                kept.append(self)

        @app.stream("then").on()
        def f(e):
            for what in (lambda: kept[0].n, lambda: kept[0].key, lambda: kept[0].touch()):
                try:
                    what()
                except Exception as error:
                    out.emit(error=type(error).__name__)
        """
    )
    grid.send("events", event(1))
    grid.send("then", {})
    assert [output["error"] for output in grid.outputs("out")] == ["StaleEntityError"] * 3


# --- order, shards, where the target's events go


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("logged", [False, True], ids=["memory", "log"])
def test_order_is_kept_per_source(
    launch: Launcher, tmp_path: Path, shards: int, logged: bool
) -> None:
    sink = tmp_path / "out.jsonl"
    app = with_prelude(
        """
        class Part(Event):
            key: str
            n: int
            part: int

        parts = app.stream("parts", Part)

        def split(e):
            for part in range(e.n % 3):
                yield Part(key=e.key, n=e.n, part=part)

        events.flat_map(split).to(parts).filter(lambda e: e.n % 5).to(out)

        class Thing(app.Entity):
            n: int

            @parts.on(key="key")
            def take(self, e: Part):
                self.n += 1
        """
    )
    config = source_table("events", "events") + (
        f'\n[sink.out]\nkind = "file"\nstream = "out"\npath = "{sink}"\n'
    )
    start = DataNode(launch) if logged else launch
    server = start(app, config=config, shards=shards)
    count = 900
    sources = [server.source() for _ in range(5)]
    for first in range(0, count, 50):
        for i, source in enumerate(sources):
            source.lines(*({"key": f"c{i}", "n": n} for n in range(first, first + 50)))
    for source in sources:
        source.finish()
    wanted = [(n, part) for n in range(count) for part in range(n % 3)]
    through = 5 * sum(n % 5 != 0 for n, _ in wanted)
    # With a log a source does not wait for what its events bring about behind the first turn.
    eventually(lambda: len(view(server)) == through, "the view")
    eventually(lambda: sink.read_text().count("\n") == through, "the file")
    client = server.redis()
    counts = [str(len(wanted))] * 5
    eventually(
        lambda: [client.hget(f"thing:c{i}", "n") for i in range(5)] == counts, "the entities"
    )
    outputs = view(server)
    server.stop()
    lines = json_lines(sink.read_text())
    for some in (outputs, lines):
        for i in range(5):
            got = [(each["n"], each["part"]) for each in some if each["key"] == f"c{i}"]
            assert got == [each for each in wanted if each[0] % 5 != 0]


# --- what fails


FAILING = """
    class State:
        open = False

    def check(e):
        out.emit(before=e.n)
        if e.n % 3 == 0 and not State.open:
            raise ValueError(f"not {e.n}")
        return {"n": e.n}

    @events.on()
    def letters(e):
        check(e)

    @events.on(on_error="skip")
    def skips(e):
        check(e)

    events.map(check).to(app.stream("checked"))

    class Door(app.Entity):
        @app.command(create=True)
        def set(self, open: bool):
            State.open = open
"""


def test_a_function_that_raises_emits_nothing_and_leaves_a_letter(grids: Grids) -> None:
    grid = grids(FAILING)
    grid.send("events", [event(n) for n in range(1, 7)])
    assert grid.outputs("checked") == [{"n": n} for n in (1, 2, 4, 5)]
    assert sorted(each["before"] for each in grid.outputs("out")) == sorted([1, 2, 4, 5] * 3)
    letters = grid.dead_letters()
    assert len(letters) == 4
    for letter in letters:
        assert letter.stream == "events"
        assert (letter.entity_class, letter.key, letter.state) == (None, None, None)
        assert letter.event["n"] in (3, 6)
        assert letter.error == f"ValueError: not {letter.event['n']}"
        assert "in check" in letter.traceback
    names = sorted(letter.handler for letter in letters)
    assert names == ["events.map(check)"] * 2 + ["letters"] * 2


def test_letters_are_retried_by_the_function_that_failed(launch: Launcher) -> None:
    server = launch(with_prelude(FAILING), shards=3)
    server.feed(*(event(n) for n in range(1, 7)))
    assert len(server.wait_dead_letters(4)) == 4
    page = parse(get_page(server, "/metrics"))
    skipped = page["bettong_turns_skipped_total"]
    assert skipped.value(**{"class": "", "handler": "skips"}) == 2
    connection = server.connect()
    # Still closed: letters again.
    assert connection.call("DEADLETTER", "RETRY", "ALL") == 4
    assert len(server.wait_dead_letters(4)) == 4
    connection.call("CALL", "door:d", "set", "true")
    assert connection.call("DEADLETTER", "RETRY", "ALL") == 4
    eventually(lambda: len(view(server)) == 12 + 4, "what is emitted then")
    assert [each["n"] for each in view(server, "checked")] == [1, 2, 4, 5, 3, 6]
    assert server.dead_letters() == []


def test_a_letter_whose_function_is_gone_stays(launch: Launcher) -> None:
    server = launch(with_prelude(FAILING))
    server.feed(event(3))
    server.wait_dead_letters(2)
    launch.write_app(with_prelude(FAILING).replace("def letters", "def renamed"))
    assert server.redis().execute_command("RELOAD") == "OK"
    connection = server.connect()
    ids = {
        letter[letter.index("handler") + 1]: letter[letter.index("id") + 1]
        for letter in connection.call("DEADLETTER", "LIST")
    }
    with pytest.raises(RespError, match="cannot be retried: its function is not there any more"):
        connection.call("DEADLETTER", "RETRY", ids["letters"])
    connection.call("CALL", "door:d", "set", "true")
    assert connection.call("DEADLETTER", "RETRY", "ALL") == 1
    eventually(lambda: view(server, "checked") == [{"n": 3}], "the one that is still there")


def test_a_function_has_a_time_limit_and_is_slow(launch: Launcher) -> None:
    config = source_table("events", "events") + (
        "[python]\nhandler_timeout = '300ms'\nslow_handler = '60ms'\n"
    )
    server = launch(
        with_prelude(
            """
            import time

            @events.on()
            def sleepy(e):
                end = time.monotonic() + e.x
                while time.monotonic() < end:
                    time.sleep(0.01)
                out.emit(n=e.n)
            """
        ),
        config=config,
    )
    server.feed(event(1, x=60.0), event(2, x=0.1))
    (letter,) = server.wait_dead_letters(1)
    assert letter["error"] == "HandlerTimeout: sleepy ran longer than 300 ms"
    assert view(server) == [{"n": 2}]
    commands = [entry["command"].decode() for entry in server.redis().slowlog_get(10)]
    assert commands == ["sleepy", "sleepy"]
    slow = parse(get_page(server, "/metrics"))["bettong_slow_turns_total"]
    assert slow.value(**{"class": "", "handler": "sleepy"}) == 2


# --- several at once


BATCHES = """
    bursts = app.stream("bursts", In)

    @events.on()
    def burst(e):  # so that many are there at once
        for n in range(e.n):
            bursts.emit(key=f"k{n % 7}", op=e.op, n=n, s=e.s)

    @bursts.on(batch=64)
    def listed(events):
        assert 1 <= len(events) <= 64 and len({id(e) for e in events}) == len(events)
        out.emit(by="listed", ns=[e.n for e in events])
        if any(e.op == "raise" and e.n == 77 for e in events):
            raise ValueError("77 is among them")

    @bursts.on(columns=True, on_error="skip")
    def summed(columns):
        assert columns.n.dtype == "int64"
        out.emit(by="summed", ns=columns.n.tolist(), keys=len(set(columns.key)))
        if (columns.n == 78).any() and columns.op[0] == "raise":
            raise ValueError("78 is among them")
"""


@pytest.mark.parametrize("shards", [1, 3])
def test_lists_and_columns_have_the_events_of_all_keys_in_order(
    launch: Launcher, shards: int
) -> None:
    server = launch(with_prelude(BATCHES), shards=shards)
    server.feed(event(500))
    groups = view(server)
    for by in ("listed", "summed"):
        lists = [group["ns"] for group in groups if group["by"] == by]
        assert list(itertools.chain(*lists)) == list(range(500))
        assert max(map(len, lists)) > 7
        if by == "listed":
            assert max(map(len, lists)) <= 64
    assert max(group.get("keys", 0) for group in groups) == 7


def test_of_a_batch_that_raises_each_event_has_a_turn_of_its_own(launch: Launcher) -> None:
    server = launch(with_prelude(BATCHES), shards=1)
    server.feed(event(200, op="raise"))
    groups = view(server)
    for by, without in (("listed", 77), ("summed", 78)):
        lists = [group["ns"] for group in groups if group["by"] == by]
        assert list(itertools.chain(*lists)) == [n for n in range(200) if n != without]
    (letter,) = server.dead_letters()
    assert (letter["handler"], json.loads(letter["event"])["n"]) == ("listed", 77)
    assert letter["error"] == "ValueError: 77 is among them"
    skipped = parse(get_page(server, "/metrics"))["bettong_turns_skipped_total"]
    assert skipped.value(**{"class": "", "handler": "summed"}) == 1


def test_columns_are_good_for_the_turn(grids: Grids) -> None:
    grid = grids(
        """
        kept = []

        @events.on(columns=True)
        def f(columns):
            for each in kept:
                try:
                    each.n
                except Exception as error:
                    out.emit(error=type(error).__name__)
            kept.append(columns)
        """
    )
    grid.send("events", [event(1), event(2)])
    assert grid.outputs("out") == [{"error": "StaleEntityError"}]


# --- new code


def test_functions_come_and_go_with_the_code(grids: Grids) -> None:
    grid = grids("@events.on()\ndef f(e):\n    out.emit(f=e.n)\n")
    grid.send("events", event(1))
    grids.app("events.filter(lambda e: e.n > 2).map(lambda e: {'g': e.n}).to(out)\n")
    grid.reload()
    grid.send("events", [event(2), event(3)])
    grids.app("events.filter(lambda e: e.n > 2)\n")
    with pytest.raises(AppError, match="goes nowhere"):
        grid.reload()
    grid.send("events", event(4))
    grids.app("class Thing(app.Entity):\n    n: int\n")
    grid.reload()
    grid.send("events", event(5))
    assert grid.outputs("out") == [{"f": 1}, {"g": 3}, {"g": 4}]


@pytest.mark.parametrize("shards", [1, 3])
def test_each_event_is_of_one_version_while_code_is_exchanged(
    launch: Launcher, shards: int
) -> None:
    def version(number: int) -> str:
        return with_prelude(
            f"""
            first = app.stream("first")
            events.map(lambda e: {{"n": e.n, "first": {number}}}).to(first)

            @first.on(batch={number})
            def second(es):
                for e in es:
                    out.emit(e | {{"second": {number}}})
            """
        )

    server = launch(version(1), shards=shards)
    source = server.source()
    for number in range(1, 6):
        source.lines(*(event(n) for n in range((number - 1) * 900, number * 900)))
        # Some of them are on their way.
        eventually(lambda least=number * 900 - 700: len(view(server)) > least, "some outputs")
        launch.write_app(version(number + 1))
        assert server.redis().execute_command("RELOAD") == "OK"
    source.finish()
    outputs = view(server)
    assert [output["n"] for output in outputs] == list(range(4500))
    for place in ("first", "second"):
        versions = [output[place] for output in outputs]
        assert versions == sorted(versions)
        assert len(set(versions)) >= 5
    assert server.dead_letters() == []


def test_code_that_runs_declares_nothing(grids: Grids) -> None:
    body = """
        chain = events.filter(lambda e: e.n > 0)
        chain.to(out)

        @events.on()
        def f(e):
            exec(e.s, globals() | {"e": e})
        """
    grid = grids(body)
    ways = ["events.map(str)", "chain.map(str)", "chain.to(out)", "events.on()(f)"]
    grid.send("events", [event(0, s=way) for way in ways])
    grids.app(body)
    grid.reload()
    grid.send("events", [event(0, s=way) for way in ways])
    for letter, way in zip(grid.dead_letters(), ways * 2, strict=True):
        assert letter.event["s"] == way
        assert "declared by the app's module, while it is loaded" in letter.error
    assert grid.outputs("out") == []


# --- declarations that are no good


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            "@events.on(key='key')\ndef f(e): pass",
            r"app\.f: handlers with key= are methods .*; leave it out \(@events\.on\(\)\)",
        ),
        (
            "class T(app.Entity):\n    @events.on()\n    def f(self, e): pass",
            r"T\.f: a method takes the events of an entity, by key=",
        ),
        (
            "class T:\n    @events.on()\n    def f(self, e): pass",
            r"app\.T\.f: handlers and commands are methods of an entity class",
        ),
        (
            "class T(app.Entity):\n    @staticmethod\n    @events.on()\n    def f(e): pass",
            r"app\.T\.f: handlers and commands are methods of an entity class",
        ),
        (
            "class T(app.Entity):\n    @classmethod\n    @events.on(key='key')\n    def f(c, e): 1",
            r"app\.T\.f: handlers and commands are methods of an entity class",
        ),
        ("@app.command\ndef f(e): pass", r"app\.f: handlers and commands are methods"),
        ("@events.on()\ndef f(): pass", r"app\.f: a handler without key takes \(event\)"),
        ("@events.on()\ndef f(a, b): pass", r"app\.f: a handler without key takes \(event\)"),
        (
            "@events.on()\nasync def f(e): pass",
            r"app\.f: a handler is a plain function, without async and yield",
        ),
        ("@events.on()\ndef f(e): yield 1", r"app\.f: a handler is a plain function"),
        (
            "@events.on()\n@events.on()\ndef f(e): pass",
            r"app\.f: takes stream 'events' twice",
        ),
        (
            "from bettong import Retry\n@events.on(on_error=Retry(times=2))\ndef f(e): pass",
            r"events\.on\(\): on_error=Retry lets a key rest .* there is no key here",
        ),
        (
            "from bettong import Rate\n@events.on(limit=Rate(2))\ndef f(e): pass",
            r"events\.on\(\): limit is a rate of each key, and there is no key here",
        ),
        ("@out.on(columns=True)\ndef f(e): pass", r"app\.f: columns need events with a class"),
        ("@out.late()\ndef f(e): pass", r"late events needs events that carry their time"),
        (
            "events.filter(str).map(str)",
            r"events\.filter\(str\)\.map\(str\) goes nowhere; end it with \.to\(stream\)",
        ),
        (
            "p = events.filter(str)\np.to(out)\np.map(str)",
            r"the pipeline events\.filter\(str\)\.map\(str\) goes nowhere",
        ),
        ("events.map(5)", r"events\.map\(\) takes a function of an event, not 5"),
        (
            "events.map(lambda: 1).to(out)",
            r"events\.map\(\): <lambda> must take one argument, the event",
        ),
        (
            "def f(e):\n    yield 1\nevents.map(f).to(out)",
            r"events\.map\(\): f is a generator; flat_map\(\) takes those",
        ),
        (
            "async def f(e): pass\nevents.flat_map(f).to(out)",
            r"events\.flat_map\(\): f is async, and must be plain",
        ),
        ("events.map(str).to('out')", r"events\.map\(str\)\.to\(\) takes a stream, not 'out'"),
        (
            "from bettong import Retry\nevents.map(str).to(out, on_error=Retry(times=1))",
            r"events\.map\(str\)\.to\(\): on_error=Retry lets a key rest",
        ),
        (
            "from bettong.stream import make_stream\nevents.map(str).to(make_stream('x', None))",
            r"events\.map\(str\)\.to\(x\): <Stream x> belongs to no loaded app",
        ),
        ("events.key_by('kye')", r"In has no such field; did you mean 'key'\?"),
        ("events.key_by(None)", r"key must be a field's name or a function, not None"),
    ],
)
def test_declarations_that_are_no_good(launch: Launcher, body: str, error: str) -> None:
    app = launch.write_app(with_prelude(body))
    done = run_bettong("check", app, cwd=launch.folder)
    assert done.returncode == 3
    assert re.search(error, done.stderr), done.stderr
