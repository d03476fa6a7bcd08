"""bettong.testing.TestGrid: the engine under a clock that only the test moves."""

from __future__ import annotations

import copy
import pickle
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bettong import Event, hours, milliseconds, minutes, seconds
from bettong.testing import (
    DEFAULT_START,
    AppError,
    CommandError,
    EngineNotFound,
    GridError,
    TestGrid,
    UnreadDeadLetters,
)

from grids import Grids

pytestmark = pytest.mark.sanitized

COUNTER = """
    class Counter(app.Entity, ttl=10):
        n: int
        x: float
        on: bool
        s: str
        b: bytes
        maybe: int | None
        last: Array[int, 3]

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "raise":
                raise ValueError(f"told to by {self.key}")
            if e.op == "print":
                print('{"now": 1}')
            if e.op == "end":
                import os
                os._exit(9)
            self.n += 1
            self.x += e.x
            self.on = True
            self.s = e.s
            self.b = b"\\xff" + e.s.encode()
            if e.op == "maybe":
                self.maybe = e.n
            self.last = [*self.last[1:], e.n]
            out.emit(key=self.key, n=self.n, at=self.now)

        def on_expire(self):
            out.emit(key=self.key, gone=self.now, n=self.n)

        @app.command
        def add(self, n: int, x: float = 0.5) -> float:
            self.n += n
            return self.n + x

        @app.command
        def shape(self) -> dict[str, list[int] | None]:
            return {"last": list(self.last), "none": None}

        @app.command
        def fail(self) -> None:
            raise RuntimeError("not today")
"""


class In(Event):
    key: str
    n: int = 0


# -- events in, entities and outputs out


def test_an_event_has_had_its_effects_when_send_returns(grids: Grids) -> None:
    grid = grids(COUNTER)
    assert grid.entity("counter:a") is None
    grid.send("events", {"key": "a", "x": 1.5, "s": "käse"})
    view = grid.entity("counter:a")
    assert view is not None
    assert (view.n, view.x, view.on, view.s) == (1, 1.5, True, "käse")
    assert (view.b, view.maybe, view.last) == (b"\xffk\xc3\xa4se", None, [0, 0, 0])
    assert (view.key, view.ttl) == ("a", 10.0)
    assert view["n"] == 1
    assert "n" in view
    assert "no" not in view
    assert list(view) == ["n", "x", "on", "s", "b", "maybe", "last"]
    assert grid.outputs("out") == [{"key": "a", "n": 1, "at": DEFAULT_START}]
    assert grid.outputs("out") == []


def test_a_field_that_is_not_there_is_named(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", {"key": "a", "op": "maybe", "n": 7})
    view = grid.entity("counter:a")
    assert view is not None
    assert view.maybe == 7
    with pytest.raises(AttributeError, match="Counter has no field 'm'; it has: n, x, on"):
        _ = view.m
    with pytest.raises(KeyError, match="Counter has no field 'm'"):
        view["m"]
    assert repr(view).startswith("<Counter 'a', ttl=10.0, n=1, x=0.0, on=True")
    assert view == grid.entity("counter:a")
    grid.send("events", {"key": "a"})
    assert view.n == 1
    assert view != grid.entity("counter:a")


def test_events_may_be_dicts_instances_texts_and_lists_of_them(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", In(key="a", n=1))
    grid.send("events", '{"key": "a", "n": 2}')
    grid.send("events", '{"key": "a", "s": "käse"}'.encode())
    grid.send("events", [{"key": "a", "n": 4}, In(key="b", n=5)])
    grid.send("events", [])
    assert [(each["key"], each["n"]) for each in grid.outputs("out")] == [
        ("a", 1),
        ("a", 2),
        ("a", 3),
        ("a", 4),
        ("b", 1),
    ]
    assert list(grid.entities()) == ["counter:a", "counter:b"]
    assert list(grid.entities("*:b")) == ["counter:b"]
    assert grid.entities("nothing") == {}


def test_values_that_json_has_no_word_for(grids: Grids) -> None:
    grid = grids(
        """
        from bettong import Sliding, minutes

        class Thing(app.Entity):
            nan: float
            some: float | None
            text: str | None
            empty: str | None
            data: bytes
            cpu: Sliding = Sliding(minutes(5), pane=minutes(1), keep=["sum"])

            @events.on(key="key")
            def take(self, e: In):
                self.nan = float(e.s)
                self.empty = ""
                self.data = b"\\xff\\x00"
                self.cpu.add(e.x, at=60_000)
        """
    )
    grid.send("events", {"key": "a", "s": "-inf", "x": 2.5})
    view = grid.entity("thing:a")
    assert view is not None
    assert view.ttl is None
    assert view.nan == float("-inf")
    assert (view.some, view.text, view.empty, view.data) == (None, None, "", b"\xff\x00")
    assert (view.cpu["count"], view.cpu["sum"]) == (1, 2.5)


def test_keys_that_are_no_text(grids: Grids) -> None:
    grid = grids(
        """
        class Host(app.Entity):
            n: int

            @events.on(key=lambda e: [b"\\xffx", "käse", "cpu:1"])
            def take(self, e: In):
                self.n += 1
        """
    )
    grid.send("events", {"key": "2"})
    assert list(grid.entities()) == ["host:cpu:1", "host:käse", "host:\udcffx"]
    view = grid.entity("host:\udcffx")
    assert view is not None
    assert (view.key, view.n) == ("\udcffx", 1)


def test_a_view_can_be_copied(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", {"key": "a"})
    view = grid.entity("counter:a")
    assert copy.deepcopy(view) == view
    assert pickle.loads(pickle.dumps(view)) == view


def test_streams_of_streams_have_happened_too(grids: Grids) -> None:
    grid = grids(
        """
        second = app.stream("second")
        third = app.stream("third")

        class First(app.Entity):
            @events.on(key="key")
            def take(self, e: In):
                second.emit(key=self.key, depth=2)

        class Second(app.Entity):
            @second.on(key="key")
            def take(self, e):
                third.emit(key="all", depth=e["depth"] + 1)

        class Third(app.Entity):
            n: int

            @third.on(key=lambda e: [e["key"], "both"])
            def take(self, e):
                self.n += 1
                out.emit(key=self.key, n=self.n)
        """
    )
    grid.send("events", [{"key": "a"}, {"key": "b"}])
    assert grid.drain() == {
        "second": [{"key": "a", "depth": 2}, {"key": "b", "depth": 2}],
        "third": [{"key": "all", "depth": 3}] * 2,
        "out": [
            {"key": "all", "n": 1},
            {"key": "both", "n": 1},
            {"key": "all", "n": 2},
            {"key": "both", "n": 2},
        ],
    }
    assert grid.drain() == {}


# -- time


def test_expiries_happen_at_exactly_their_own_times_in_order(grids: Grids) -> None:
    start = 1_700_000_000_123
    grid = grids(COUNTER, start=start)
    for i in range(300):
        grid.send("events", {"key": f"k{i}"})
        grid.advance(milliseconds(7))
    grid.outputs("out")
    grid.advance(minutes(10))
    assert grid.now == start + 300 * 7 + 600_000
    gone = [(each["key"], each["gone"]) for each in grid.outputs("out")]
    assert gone == [(f"k{i}", start + 7 * i + 10_000) for i in range(300)]
    assert grid.entities() == {}


def test_nothing_expires_a_millisecond_early(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", {"key": "a"})
    grid.outputs("out")
    grid.advance(milliseconds(9_999))
    view = grid.entity("counter:a")
    assert view is not None
    assert view.ttl == 0.001
    assert grid.outputs("out") == []
    grid.advance(milliseconds(1))
    assert grid.entity("counter:a") is None
    assert grid.outputs("out") == [{"key": "a", "gone": grid.now, "n": 1}]


@pytest.mark.parametrize("ttl_ms", [1, 255, 256, 65_537, 3_600_001, 86_400_000 * 45 + 3])
def test_far_deadlines_are_as_exact_as_near_ones(grids: Grids, ttl_ms: int) -> None:
    grid = grids(
        f"""
        class Thing(app.Entity, ttl={ttl_ms / 1000!r}):
            @events.on(key="key")
            def take(self, e: In): ...

            def on_expire(self):
                out.emit(at=self.now)
        """
    )
    grid.send("events", {"key": "a"})
    grid.advance(hours(24 * 60))
    assert grid.outputs("out") == [{"at": DEFAULT_START + ttl_ms}]


def test_what_an_expiry_causes_comes_before_what_is_due_later(grids: Grids) -> None:
    grid = grids(
        """
        wake = app.stream("wake")

        class Thing(app.Entity, ttl=10):
            lives: int

            @events.on(key="key")
            def take(self, e: In): ...

            def on_expire(self):
                self.lives += 1
                wake.emit(key=self.key, at=self.now)
                if self.lives < 3:
                    self.touch()

        class Watch(app.Entity, ttl=4):
            @wake.on(key="key")
            def take(self, e):
                out.emit(key=self.key, woken=self.now)

            def on_expire(self):
                out.emit(key=self.key, slept=self.now)
        """,
        start=0,
    )
    grid.send("events", {"key": "a"})
    grid.advance(seconds(60))
    assert grid.outputs("out") == [
        {"key": "a", "woken": 10_000},
        {"key": "a", "slept": 14_000},
        {"key": "a", "woken": 20_000},
        {"key": "a", "slept": 24_000},
        {"key": "a", "woken": 30_000},
        {"key": "a", "slept": 34_000},
    ]


def test_a_refreshed_ttl_does_not_fire(grids: Grids) -> None:
    grid = grids(COUNTER)
    for _ in range(5):
        grid.send("events", {"key": "a"})
        grid.advance(9)
    assert [each["n"] for each in grid.outputs("out")] == [1, 2, 3, 4, 5]
    grid.advance(1)
    assert [each["n"] for each in grid.outputs("out")] == [5]


def test_time_is_ms_or_a_datetime_and_does_not_go_back(grids: Grids) -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    grid = grids(COUNTER, start=start)
    assert grid.now == 1_777_636_800_000
    grid.advance_to(datetime(2026, 5, 1, 12, 0, 1, tzinfo=UTC))
    grid.advance_to(grid.now)
    assert grid.now == 1_777_636_801_000
    with pytest.raises(GridError, match="it is 1777636801000 ms already"):
        grid.advance_to(1_777_636_800_999)
    with pytest.raises(ValueError, match="no time zone"):
        grid.advance_to(datetime(2026, 5, 1, 13))
    with pytest.raises(TypeError, match="a time is ms"):
        grid.advance_to(1.5)  # type: ignore[arg-type]
    grid.send("events", {"key": "a"})
    assert grid.outputs("out") == [{"key": "a", "n": 1, "at": 1_777_636_801_000}]


def test_event_time_and_its_watermark(grids: Grids) -> None:
    grid = grids(
        """
        class Tick(Event, time="ts"):
            key: str
            ts: int

        ticks = app.stream("ticks", Tick)

        class Thing(app.Entity, ttl=5, clock="event"):
            n: int

            @ticks.on(key="key")
            def take(self, e):
                self.n += 1

            def on_expire(self):
                out.emit(key=self.key, n=self.n)
        """
    )
    assert grid.watermark("ticks") is None
    assert grid.watermark("events") is None
    grid.send("ticks", {"key": "a", "ts": 1_000})
    assert grid.watermark("ticks") == 1_000
    grid.advance(hours(1))
    assert grid.outputs("out") == []  # no event: no time
    grid.send("ticks", [{"key": "b", "ts": 6_000}, {"key": "b", "ts": 3_000}])
    assert (grid.watermark("ticks"), grid.outputs("out")) == (6_000, [])
    grid.send("ticks", {"key": "b", "ts": 6_001})
    assert grid.outputs("out") == [{"key": "a", "n": 1}]


# -- commands


def test_calls_and_commands(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", {"key": "a", "n": 3})
    assert grid.call("counter:a", "add", 4) == 5.5
    assert grid.call("counter:a", "add", 4, 0.25) == 9.25
    assert grid.call("counter:a", "shape") == {"last": [0, 0, 3], "none": None}
    assert grid.command("HGET", "counter:a", "n") == "9"
    assert grid.command("SET", "k", b"\xff\x00") == "OK"
    assert grid.command("GET", "k") == b"\xff\x00"
    assert grid.command("STRLEN", "k") == 2
    assert grid.command("GET", "none") is None
    assert grid.command("SET", "k", "ä", "EX", 60) == "OK"
    assert grid.command("GET", "k") == "ä"
    grid.advance(60)
    assert grid.command("EXISTS", "k") == 0
    assert grid.command("XADD", "events", "*", "key", "z", "n", "1") == f"{grid.now}-0"
    assert grid.outputs("out")[-1]["key"] == "z"
    with pytest.raises(CommandError, match="RuntimeError: not today"):
        grid.call("counter:z", "fail")
    with pytest.raises(CommandError, match="Counter has no command 'nope'"):
        grid.call("counter:z", "nope")
    with pytest.raises(CommandError, match="unknown command"):
        grid.command("NOPE")
    with pytest.raises(TypeError, match="no NoneType"):
        grid.command("SET", "k", None)


def test_a_command_that_waits_is_refused_and_forgotten(grids: Grids) -> None:
    grid = grids(COUNTER)
    with pytest.raises(GridError, match="XREAD has no reply: it waits for something"):
        grid.command("XREAD", "BLOCK", 0, "STREAMS", "out", "$")
    grid.send("events", {"key": "a"})
    assert grid.command("XLEN", "out") == 1
    with pytest.raises(GridError, match="CLIENT has no reply"):
        grid.command("CLIENT", "REPLY", "OFF")
    assert grid.command("PING") == "PONG"


def test_a_configuration_without_what_needs_ports_or_a_log(grids: Grids, tmp_path: Path) -> None:
    config = tmp_path / "bettong.toml"
    config.write_text(
        """
        [log]
        durability = "sync"
        [resp]
        password = "secret"
        [stream.events]
        durability = "sync"
        [source.in]
        kind = "tcp"
        listen = "127.0.0.1:1"
        stream = "events"
        [node]
        maxmemory = "10mb"
        notify_keyspace_events = "Ex"
        """
    )
    grid = grids(COUNTER, config=config)
    grid.command("XADD", "events", "*", "key", "a")
    assert [each["n"] for each in grid.outputs("out")] == [1]
    assert grid.command("CONFIG", "GET", "maxmemory") == {"maxmemory": str(10 << 20)}
    with pytest.raises(CommandError, match="WAITAOF"):
        grid.command("WAITAOF", 1, 0, 0)


# -- what goes wrong


def test_a_handler_that_raises_leaves_a_dead_letter_with_its_traceback(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", {"key": "a", "op": "raise"})
    (letter,) = grid.dead_letters()
    assert (letter.stream, letter.entity_class, letter.handler) == ("events", "Counter", "take")
    assert (letter.key, letter.event["op"], letter.state) == ("a", "raise", None)
    assert letter.error == "ValueError: told to by a"
    assert 'app.py", line' in letter.traceback
    assert "told to" in letter.traceback
    assert grid.dead_letters() == []
    assert grid.entity("counter:a") is None


def test_an_event_that_cannot_be_decoded_is_a_dead_letter(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid.send("events", ["not json", b'{"key": "\xff"}', {"key": 5}, {"n": 1}, {"key": "ok"}])
    assert len(grid.dead_letters()) == 4
    assert [each["key"] for each in grid.outputs("out")] == ["ok"]


@pytest.mark.parametrize(("size", "letters"), [(1 << 20, 0), ((1 << 20) + 1, 1)])
def test_an_event_is_as_long_as_a_source_takes_it(grids: Grids, size: int, letters: int) -> None:
    grid = grids(COUNTER)
    text = '{"key": "a"}'
    grid.send("events", text + " " * (size - len(text)))
    assert len(grid.dead_letters()) == letters


def test_dead_letters_that_nobody_reads_are_raised_at_the_end(grids: Grids) -> None:
    app = grids.app(COUNTER)

    def use(grid: TestGrid, *, read: bool = False, fail: bool = False) -> None:
        with grid:
            grid.send("events", {"key": "a", "op": "raise"})
            grid.drain()
            if read:
                assert len(grid.dead_letters()) == 1
            if fail:
                raise ZeroDivisionError

    with pytest.raises(UnreadDeadLetters, match=r"1 dead letter.*\n\n.*Counter.take, key 'a'"):
        use(TestGrid(app))
    use(TestGrid(app), read=True)
    # An error of the test itself is not covered up.
    with pytest.raises(ZeroDivisionError):
        use(TestGrid(app), fail=True)


def test_an_app_that_does_not_import(grids: Grids) -> None:
    path = grids.app("import no_such_module")
    with pytest.raises(AppError, match="No module named 'no_such_module'") as caught:
        TestGrid(path)
    assert "app.py" in str(caught.value)


def test_apps_are_files_modules_and_their_names(
    grids: Grids, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grids.app(COUNTER, "named_app.py")
    monkeypatch.syspath_prepend(tmp_path)
    import named_app

    apps: list[Any] = [path, str(path), "named_app", "named_app:app", named_app]
    for app in apps:
        with TestGrid(app) as grid:
            grid.send(named_app.events, {"key": "a"})
            assert len(grid.outputs(named_app.out)) == 1
    with pytest.raises(GridError, match="neither a file nor a module's name"):
        TestGrid("no_such_app")
    with pytest.raises(GridError, match="no such file"):
        TestGrid("no/such/app.py")
    with pytest.raises(TypeError, match="at least one app"):
        TestGrid()


def test_without_the_engine_it_says_how_to_get_it(
    grids: Grids, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = grids.app(COUNTER)
    monkeypatch.setenv("BETTONG_BINARY", str(tmp_path / "nothing"))
    with pytest.raises(EngineNotFound, match=r"BETTONG_BINARY names no program: .*/nothing"):
        TestGrid(app)


def test_mistakes_in_names_are_said(grids: Grids) -> None:
    grid = grids(COUNTER)
    with pytest.raises(GridError, match="stream 'event'; did you mean 'events'"):
        grid.send("event", {"key": "a"})
    with pytest.raises(GridError, match="the stream 'ou'; there are: events, out"):
        grid.outputs("ou")
    with pytest.raises(GridError, match="'host:a' is no entity's key; they begin with: counter:"):
        grid.entity("host:a")
    with pytest.raises(GridError, match="no app declares the stream 'x'"):
        grid.watermark("x")


def test_what_the_app_prints_is_not_taken_for_an_answer(
    grids: Grids, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = grids(COUNTER)
    grid.send("events", {"key": "a", "op": "print"})
    assert len(grid.outputs("out")) == 1
    grid.close()
    assert '{"now": 1}' in capsys.readouterr().err


def test_an_engine_that_has_ended_says_so(grids: Grids) -> None:
    grid = grids(COUNTER)
    with pytest.raises(GridError, match="the engine has ended with code 9"):
        grid.send("events", {"key": "a", "op": "end"})
    with pytest.raises(GridError, match="the engine has ended with code 9"):
        grid.advance(1)


def test_an_engine_that_does_not_end_well_says_so(grids: Grids) -> None:
    grid = grids(COUNTER)
    grid._engine._process.kill()
    with pytest.raises(GridError, match="the engine has ended with code -9"):
        grid.close()
    grid.close()


def test_a_handler_that_never_ends_is_interrupted(grids: Grids, tmp_path: Path) -> None:
    config = tmp_path / "quick.toml"
    config.write_text('[python]\nhandler_timeout = "50ms"\n')
    grid = grids(
        """
        class Thing(app.Entity):
            @events.on(key="key")
            def take(self, e: In):
                while True:
                    pass
        """,
        config=config,
    )
    grid.send("events", {"key": "a"})
    (letter,) = grid.dead_letters()
    assert "HandlerTimeout" in letter.error


def test_streams_that_feed_each_other_for_ever_are_an_error(grids: Grids) -> None:
    grid = grids(
        """
        class Thing(app.Entity):
            @events.on(key="key")
            def take(self, e: In):
                events.emit(key=self.key)
        """
    )
    with pytest.raises(GridError, match="there is always more to do"):
        grid.send("events", {"key": "a"})


# -- several shards, and the same again


@pytest.mark.parametrize("shards", [1, 3])
def test_shards_make_no_difference_to_what_one_key_sees(grids: Grids, shards: int) -> None:
    grid = grids(COUNTER, shards=shards)
    grid.send("events", [{"key": f"k{i % 40}", "n": i} for i in range(400)])
    assert len(grid.entities("counter:*")) == 40
    outputs = grid.outputs("out")
    assert [each["n"] for each in outputs if each["key"] == "k7"] == list(range(1, 11))
    assert grid.command("DBSIZE") == 41  # and the view of `out`
    grid.advance(10)
    assert {each["gone"] for each in grid.outputs("out")} == {grid.now}
    assert grid.entities() == {}


def test_two_runs_are_alike(grids: Grids) -> None:
    def run() -> list[dict[str, Any]]:
        with TestGrid(grids.folder / "app.py", shards=3) as grid:
            for i in range(200):
                grid.send("events", {"key": f"k{i % 60}", "n": i})
                grid.advance(milliseconds(100))
            grid.advance(60)
            return grid.outputs("out")

    grids.app(COUNTER)
    assert run() == run()


def test_the_interpreter_is_the_one_that_runs_the_test(grids: Grids) -> None:
    grid = grids(
        """
        import sys

        class Thing(app.Entity):
            @app.command(create=True)
            def prefix(self) -> str:
                return sys.prefix
        """
    )
    assert grid.call("thing:a", "prefix") == sys.prefix
