"""Event time: watermarks, lateness, windows that close, sessions, and timers by both clocks."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from redis import ResponseError

from event_time import Panes, Sessions, answer, random_events
from harness import Launcher, Server, eventually, json_lines, source_table, summary, view_entry

APP = """
from bettong import App, Event, Session, Sliding, Tumbling, milliseconds

app = App("time")

class Timed(Event, time="ts"):
    key: str
    ts: int
    v: int = 1

timed = app.stream("timed", Timed{options})
out = app.stream("out")

class Thing(app.Entity):
    tumbling: Tumbling[int] = Tumbling(milliseconds(300))
    sliding: Sliding[int] = Sliding(milliseconds(600), pane=milliseconds(200))
    session: Session[int] = Session(milliseconds(250))
    unheard: Tumbling[int] = Tumbling(milliseconds(300), close=False)

    def add(self, e: Timed, late: bool) -> None:
        windows = {{"tumbling": self.tumbling, "sliding": self.sliding, "session": self.session}}
        taken = [name for name, window in windows.items() if window.add(e.v)]
        self.unheard.add(e.v)
        out.emit(key=self.key, late=late, taken=taken)

    @timed.on(key="key")
    def sample(self, e: Timed) -> None:
        self.add(e, late=False)

{late}

    def on_close(self, window) -> None:
        out.emit(
            key=self.key, window=window.name, start=window.start, end=window.end,
            count=window.count, sum=window.sum, min=window.min, max=window.max,
        )
"""
LATE_HANDLER = """
    @timed.late(key="key")
    def straggler(self, e: Timed) -> None:
        self.add(e, late=True)
"""
FIELDS = {
    "tumbling": lambda: Panes(300, 300),
    "sliding": lambda: Panes(600, 200),
    "session": lambda: Sessions(250),
}


def app(options: str = "", late: str = LATE_HANDLER) -> str:
    return APP.format(options=options, late=late)


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def by_key(outputs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    keys: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for output in outputs:
        keys[output["key"]].append(output)
    return dict(keys)


def emitted(server: Server) -> list[dict[str, Any]]:
    return [view_entry(fields) for _, fields in server.redis().xrange("out")]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shards", [1, 3])
def test_a_run_agrees_with_all_values_worked_out_anew(
    launch: Launcher, seed: int, shards: int
) -> None:
    lateness = [0, 100, 700][seed % 3]
    options = f", lateness=milliseconds({lateness})" if lateness else ""
    events = random_events(seed, 2000)
    done = launch.run(
        app(options),
        *("--input", "-", "--output", "-", "--shards", str(shards)),
        stdin=lines(events),
    )
    expected = answer(events, lateness, FIELDS)
    assert by_key(json_lines(done.stdout)) == expected
    assert summary(done)["dead_letters"] == 0
    emitted = [each for outputs in expected.values() for each in outputs]
    assert sum("window" in each for each in emitted) > 50


@pytest.mark.parametrize("seed", [1, 2])
def test_a_node_gives_the_same_as_a_run(launch: Launcher, seed: int) -> None:
    events = random_events(seed, 1500)
    server = launch(app(", lateness=milliseconds(100)"), config=source_table("timed", "timed"))
    connection = server.source("timed")
    for begin in range(0, len(events), 100):  # reads of any size
        connection.lines(*events[begin : begin + 100])
    connection.finish()
    # What closes because the connection has ended comes after that.
    expected = answer(events, 100, FIELDS)
    eventually(lambda: by_key(emitted(server)) == expected, "all that is expected")


def test_a_stream_without_event_time_holds_no_window_open(launch: Launcher) -> None:
    text = (
        app()
        + """
    @app.stream("orders").on(key="key")
    def order(self, e: dict) -> None:
        out.emit(key=self.key, order=True)
"""
    )
    server = launch(text, config=source_table("timed", "timed") + source_table("orders", "orders"))
    server.feed({"key": "a"}, source="orders")
    server.feed({"key": "a", "ts": 0}, {"key": "b", "ts": 10_000}, source="timed")
    closed = [
        each["window"] for each in emitted(server) if each.get("key") == "a" and "end" in each
    ]
    assert closed == ["sliding", "session", "tumbling", "sliding", "sliding"]


def test_late_events_are_counted_and_handled_if_nothing_is_said(launch: Launcher) -> None:
    server = launch(app(late=""), config=source_table("timed", "timed"))
    events = [{"key": "a", "ts": 1000}, {"key": "a", "ts": 999}, {"key": "a", "ts": 100}]
    server.feed(*events, source="timed")
    assert [each["taken"] for each in emitted(server) if "taken" in each] == [
        ["tumbling", "sliding", "session"],
        ["tumbling", "sliding", "session"],
        [],
    ]


def test_late_events_are_dead_lettered_where_the_stream_says_so(launch: Launcher) -> None:
    server = launch(app(', late="dead-letter"', late=""), config=source_table("timed", "timed"))
    events = [{"key": "a", "ts": 1000}, {"key": "b", "ts": 400}, {"key": "a", "ts": 1000}]
    server.feed(*events, source="timed")
    (letter,) = server.wait_dead_letters(1)
    assert "late by 600 ms" in letter["error"]
    assert json.loads(letter["event"])["key"] == "b"
    assert server.entities() == 1


def test_a_timer_by_the_wall_clock(launch: Launcher) -> None:
    server = launch(
        """
from bettong import App, Event, milliseconds

app = App("timers")

class In(Event):
    key: str
    ms: int = 0

events = app.stream("events", In)
out = app.stream("out")

class Thing(app.Entity):
    @events.on(key="key")
    def take(self, e: In) -> None:
        if e.ms == 0:
            out.emit(cancelled=self.cancel(self.fire))
            return
        self.after(milliseconds(e.ms), self.fire, "x", [1, None, {"a": 1.5}])
        self.after(3600, "fire", "other", [], name="far")
        out.emit(timers=sorted(self.timers))

    def fire(self, text, values) -> None:
        out.emit(fired=text, values=values, timers=sorted(self.timers))
"""
    )
    server.feed({"key": "a", "ms": 1})
    client = server.redis()
    fired: list[dict[str, Any]] = []
    while len(fired) < 2:
        ((_, entries),) = client.xread({"out": "0"}, block=10_000)
        fired = [view_entry(fields) for _, fields in entries]
    assert fired == [
        {"timers": ["far", "fire"]},
        {"fired": "x", "values": [1, None, {"a": 1.5}], "timers": ["far"]},
    ]
    assert set(json.loads(client.hget("thing:a", "timers"))) == {"far"}
    server.feed({"key": "a"})
    assert emitted(server)[-1] == {"cancelled": False}


CODE = """
from bettong import App

app = App("timers")

class Thing(app.Entity):
    @app.command(create=True)
    def do(self, code: str) -> int:
        exec(code, {"self": self})
        return len(self.timers)

    def fire(self) -> None:
        self.after(1, self.fire)
"""


@pytest.fixture(scope="module")
def things(launch_shared: Launcher) -> Server:
    return launch_shared(CODE, config="")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("self.after('x', self.fire)", "the delay of self.after() must be a timedelta or seconds"),
        ("self.after(-1, self.fire)", "the delay of self.after() is out of range: -1"),
        ("self.after(1)", "self.after() takes a delay and a method"),
        ("self.after(1, print)", "a timer runs a method of its own entity (self.quiet), not"),
        ("self.after(1, 'nothing')", "Thing has no method 'nothing'"),
        ("self.after(1, self.fire, object())", "an argument of a later call is None, bool, int"),
        ("self.after(1, self.fire, 'x' * 5000)", "have at most 4096 bytes"),
        ("self.after(1, self.fire, when=3)", "takes no keyword arguments: when="),
        ("[self.after(1, self.fire, name=str(i)) for i in range(257)]", "at most 256 timers"),
        ("self.at('x', self.fire)", "the time of self.at() is an int, ms since the epoch"),
    ],
)
def test_what_is_no_timer_says_why(things: Server, key: str, code: str, error: str) -> None:
    client = things.redis()
    with pytest.raises(ResponseError) as raised:
        client.execute_command("CALL", f"thing:{key}", "do", code)
    assert error in str(raised.value)
    assert client.execute_command("CALL", f"thing:{key}", "do", "pass") == 0
