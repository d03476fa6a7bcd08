"""max_age of a stream: what is older than that at the door is dropped, and seen to be."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from bettong.testing import TestGrid

from harness import BINARY, Launcher, eventually, run_bettong

APP = """
    from bettong import App, Event, minutes

    app = App("aged")

    class Sample(Event, time="ts"):
        key: str
        ts: int

    class Late(Event, time="ts"):
        key: str
        ts: int

    events = app.stream("events", Sample, max_age=minutes(5))
    second = app.stream("second", Late, max_age=1)

    class Thing(app.Entity):
        n: int

        @events.on(key="key")
        @second.on(key="key")
        def take(self, e):
            self.n += 1
            if e.key == "first":
                second.emit(key="emitted", ts=0)
"""


def now_ms() -> int:
    return round(time.time() * 1000)


def test_old_events_are_dropped_counted_and_said_once(launch: Launcher) -> None:
    server = launch(APP)
    old = [{"key": "old", "ts": now_ms() - 301_000 - i} for i in range(200)]
    server.feed(*old[:100], {"key": "first", "ts": now_ms()}, *old[100:])
    connection = server.connect()
    added = ["key", "old", "ts", str(now_ms() - 400_000)]
    connection.call("XADD", "events", "*", *added)
    eventually(
        lambda: "stream_events_too_old:201" in connection.call("INFO", "bettong"),
        "the count in INFO",
    )
    assert "stream_second_too_old:0" in connection.call("INFO", "bettong")
    assert connection.call("EXISTS", "thing:old") == 0
    assert connection.call("HGET", "thing:first", "n") == "1"
    eventually(lambda: connection.call("EXISTS", "thing:emitted"), "the event that was emitted")
    assert server.dead_letters() == []
    lines = [line for line in server.logged() if "max_age" in line]
    assert len(lines) == 1
    assert lines[0].startswith("stream events: events older than max_age (300 s) come in and are")


def test_history_is_not_too_old(launch: Launcher, tmp_path: Path) -> None:
    app = launch.write_app(APP)
    lines = "".join(json.dumps({"key": "a", "ts": i}) + "\n" for i in range(10))
    done = run_bettong(
        "run", app, "--stream", "events", "--input", "-", stdin=lines.encode(), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "events=10 outputs=0 live=1 dead_letters=0" in done.stderr


def test_in_a_test_the_clock_is_the_grids(
    launch: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETTONG_BINARY", str(BINARY))
    app = launch.write_app(APP)
    start = 1_000_000_000
    with TestGrid(app, start=start) as grid:
        grid.send("events", {"key": "a", "ts": start - 300_000})
        grid.send("events", {"key": "a", "ts": start - 300_001})
        grid.advance(1)
        grid.send("events", {"key": "a", "ts": start - 300_000})
        assert grid.entities()["thing:a"].n == 1
        assert "stream_events_too_old:2" in grid.command("INFO")


def test_check_says_it(launch: Launcher) -> None:
    done = run_bettong("check", launch.write_app(APP))
    assert "stream events: Sample, 1 handler(s), at most 300 s old\n" in done.stdout


def test_streams_that_cannot_have_it(launch: Launcher) -> None:
    app = launch.write_app(
        """
        from bettong import App
        App("aged").stream("events", max_age=5)
        """
    )
    done = run_bettong("check", app)
    assert done.returncode == 3
    assert "stream 'events': max_age needs events that carry their time" in done.stderr
