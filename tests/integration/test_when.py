"""Conditions of handlers (`when=`): when Python is entered, and what a turn without it does."""

from __future__ import annotations

from typing import Any

import pytest

from apps import with_prelude
from datanode import DataNode
from grids import Grids
from harness import DEADLINE_S, Launcher, eventually
from reloads import EVENTS, reload, thing
from resp import Connection

COUNTING = """
    from bettong import Rate, Sliding, Tumbling, seconds

    class Timed(Event, time="ts"):
        key: str
        ts: int
        x: float = 0.0
        n: int | None = None

    timed = app.stream("timed", Timed)
    ran = []  # what Python has been entered for

    class Thing(app.Entity, ttl=seconds(10)):
        load: Tumbling[int] = Tumbling(seconds(5), of=Timed.x, scale=1)
        limit: int = 100
        created: bool

        def on_create(self):
            ran.append("create")
            self.limit = 10

        @timed.on(key="key", when=lambda self, e: self.load.sum > self.limit)
        def over(self, e: Timed):
            ran.append(f"over {e.ts}")
            self.limit = self.load.sum
            out.emit(key=self.key, sum=self.load.sum)

        @timed.on(key="key", when=lambda self, e: e.n != None, limit=Rate(2, per=seconds(3600)))
        def number(self, e: Timed):
            ran.append(f"number {e.n}")

        @app.command
        def ran(self) -> list[str]:
            return list(ran)

        @app.command
        def set(self, limit: int):
            self.limit = limit
"""


def test_python_is_entered_where_the_condition_holds(grids: Grids) -> None:
    with grids(COUNTING) as grid:
        for ts, x in ((1000, 4), (1001, 6), (1002, 1), (1003, 0), (6000, 50)):
            grid.send("timed", {"key": "k", "ts": ts, "x": x})
        assert grid.call("thing:k", "ran") == ["create", "over 1002", "over 6000"]
        assert grid.outputs("out") == [{"key": "k", "sum": 11}, {"key": "k", "sum": 50}]
        thing = grid.entity("thing:k")
        assert thing is not None
        assert thing.limit == 50


def test_an_event_without_python_makes_the_entity_and_keeps_it(grids: Grids) -> None:
    with grids(COUNTING) as grid:
        for _ in range(3):
            grid.send("timed", {"key": "k", "ts": 1000, "x": 1})
            grid.advance(9)
        thing = grid.entity("thing:k")
        assert thing is not None
        assert (thing.limit, thing.load["count"]) == (10, 3)
        grid.advance(1)
        assert grid.entity("thing:k") is None


def test_an_event_without_python_counts_for_the_limit(grids: Grids) -> None:
    with grids(COUNTING) as grid:
        for n in (None, 1, 2):
            grid.send("timed", {"key": "k", "ts": 1000, "n": n})
        assert grid.call("thing:k", "ran") == ["create", "number 1"]


def test_a_command_changes_what_holds(grids: Grids) -> None:
    with grids(COUNTING) as grid:
        grid.send("timed", {"key": "k", "ts": 1000, "x": 5})
        grid.call("thing:k", "set", 4)
        grid.send("timed", {"key": "k", "ts": 1000, "x": 0})
        assert grid.outputs("out") == [{"key": "k", "sum": 5}]


# --- windows that close, and late events

CLOSING = """
    from bettong import Session, Sliding, seconds

    class Timed(Event, time="ts"):
        key: str
        ts: int
        x: float = 0.0

    timed = app.stream("timed", Timed)

    class Thing(app.Entity, ttl=seconds(100), clock="event"):
        visit: Session = Session(seconds(2), of=Timed.x)
        last: Sliding[int] = Sliding(seconds(2), pane=seconds(1), of=Timed.x, scale=1)

        @timed.on(key="key", when=lambda self, e: (self.visit.count >= 2) & (self.last.end == 3000))
        def take(self, e: Timed):
            out.emit(ts=e.ts, sum=self.visit.sum)

        @timed.late(key="key", when=lambda self, e: (e.ts < 1000) & (self.last.sum > 5))
        def late(self, e: Timed):
            out.emit(late=e.ts)

        def on_close(self, window):
            out.emit(closed=window.name, sum=window.sum)
"""


def test_of_windows_that_close_the_current_one_is_read(grids: Grids) -> None:
    with grids(CLOSING) as grid:
        for ts, x in ((1000, 1.0), (2000, 2.0), (2500, 4.0), (999, 1.0), (2499, 1.0), (3500, 8.0)):
            grid.send("timed", {"key": "k", "ts": ts, "x": x})
        outputs = grid.outputs("out")
        assert [each for each in outputs if "closed" not in each] == [
            {"ts": 2000, "sum": 3.0},
            {"ts": 2500, "sum": 7.0},
            {"late": 999},
        ]


# --- what is as large as may be

LONGEST = "-(e.n" + " + 1" * 126 + ") < -126"  # 256 operands and operators
DEEPEST = "self.n + (" * 31 + "e.n" + ")" * 31 + " > 0"  # 32 operands wait


def test_the_largest_conditions_are_evaluated(grids: Grids) -> None:
    body = f"""
        class Thing(app.Entity):
            n: int
            log: str

            @events.on(key="key", when=lambda self, e: {LONGEST})
            def long(self, e: In):
                self.log += f"l{{e.n}}"

            @events.on(key="key", when=lambda self, e: {DEEPEST})
            def deep(self, e: In):
                self.log += f"d{{e.n}}"
    """
    with grids(body) as grid:
        grid.send("events", [{"key": "k", "n": n} for n in (-1, 0, 1, 2)])
        entity = grid.entity("thing:k")
        assert entity is not None
        assert entity.log == "l1d1l2d2"


# --- what fails

FAILING = """
    from bettong import Retry

    class Thing(app.Entity):
        n: int = 1
        taken: int

        @events.on(key="key", when=lambda self, e: self.n * self.n * self.n * e.n > 0)
        def take(self, e: In):
            self.taken += 1
            if e.op == "raise":
                raise ValueError("told to")

        @events.on(key="key")
        def set(self, e: In):
            if e.op == "set":
                self.n = e.n
"""


def test_ints_beyond_128_bits_fail_the_turn(grids: Grids) -> None:
    with grids(FAILING) as grid:
        grid.send("events", {"key": "k", "op": "set", "n": 1 << 41})
        grid.send("events", {"key": "k", "n": 15})
        grid.send("events", {"key": "k", "n": 16})
        (letter,) = grid.dead_letters()
        assert letter.error == (
            "OverflowError: Thing.take: when= computes an int of more than 128 bits"
        )
        assert (letter.handler, letter.key, letter.event["n"]) == ("take", "k", 16)
        thing = grid.entity("thing:k")
        assert thing is not None
        assert thing.taken == 2


def letters(connection: Connection) -> list[Any]:
    return list(connection.call("DEADLETTER", "LIST"))


def test_a_letter_is_judged_anew_when_it_is_retried(launch: Launcher) -> None:
    server = launch(with_prelude(FAILING), config=EVENTS)
    server.feed({"key": "k", "op": "raise", "n": 1})
    server.feed({"key": "k", "op": "set", "n": -1})
    assert len(server.dead_letters("k")) == 1
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        ids = [letter[letter.index("id") + 1] for letter in letters(connection)]
        connection.call("DEADLETTER", "RETRY", *ids)
        # It does not hold any more: the letter is settled, and the handler has not run.
        eventually(lambda: letters(connection) == [], "no letters")
        assert connection.call("HGET", "thing:k", "taken") == "0"


# --- other code


def limited(condition: str) -> str:
    return thing("sum: int", "self.sum += e.n").replace(
        'key="key")', f'key="key", when=lambda self, e: {condition})'
    )


def test_a_reload_brings_another_condition(launch: Launcher) -> None:
    server = launch(limited("e.n > 10"), config=EVENTS)

    def take(n: int) -> str:
        server.feed({"key": "k", "n": n})
        return str(server.redis().hget("thing:k", "sum"))

    assert [take(n) for n in (10, 11, 5)] == ["0", "11", "11"]
    reload(server, launch.write_app(limited("(e.n > 4) & (self.sum < 20)"), "next.py"))
    assert [take(n) for n in (4, 5, 6, 7)] == ["11", "16", "22", "22"]
    reload(server, launch.write_app(thing("sum: int", "self.sum += e.n"), "always.py"))
    assert take(1) == "23"
    wrong = launch.write_app(limited("e.n > 4 and e.n < 9"), "wrong.py")
    with pytest.raises(Exception, match=r"Thing\.take: when= asks whether e\.n > 4 is true"):
        reload(server, wrong)
    assert take(1) == "24"


def test_a_grid_reloads_another_condition(grids: Grids) -> None:
    body = """
        class Thing(app.Entity):
            n: int

            @events.on(key="key", when=lambda self, e: e.n > LIMIT)
            def take(self, e: In):
                self.n += 1
    """
    with grids(body.replace("LIMIT", "5")) as grid:
        grid.send("events", [{"key": "k", "n": n} for n in range(10)])
        path = grids.app(body.replace("LIMIT", "7"), "next.py")
        grid.reload(path)
        grid.send("events", [{"key": "k", "n": n} for n in range(10)])
        entity = grid.entity("thing:k")
        assert entity is not None
        assert entity.n == 4 + 2


@pytest.mark.parametrize("kill", [False, True])
def test_what_python_was_not_told_of_is_there_after_a_restart(
    node: DataNode, *, kill: bool
) -> None:
    text = with_prelude(
        """
        from bettong import Sliding, seconds

        class Timed(Event, time="ts"):
            key: str
            ts: int
            x: float

        timed = app.stream("timed", Timed)

        class Thing(app.Entity):
            sums: Sliding[int] = Sliding(seconds(9), pane=seconds(3), of=Timed.x, scale=10)
            told: int

            @timed.on(key="key", when=lambda self, e: self.sums.sum > 100 * (self.told + 1))
            def take(self, e: Timed):
                self.told += 1
        """
    )
    config = EVENTS + EVENTS.replace("events", "timed")

    def feed(server: Any, *values: float) -> None:
        server.feed(
            *({"key": f"k{k}", "ts": 1000, "x": x} for x in values for k in range(7)),
            source="timed",
        )

    def told(server: Any) -> set[tuple[str, ...]]:
        return {tuple(server.redis().hmget(f"thing:k{k}", "told", "sums")) for k in range(7)}

    server = node(text, config=config)
    feed(server, 3, 4, 5, 2)
    before = told(server)
    assert {each[0] for each in before} == {"1"}
    server.redis().execute_command("WAITAOF", "1", "0", "0")
    server.kill() if kill else server.stop()
    server = node(text, config=config, shards=3)
    assert told(server) == before
    feed(server, 6)
    assert {each[0] for each in told(server)} == {"1"}
    feed(server, 0.1)
    assert {each[0] for each in told(server)} == {"2"}


# --- what cannot be a condition


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("when=lambda self, e: e.n > 1 and e.up", "asks whether e.n > 1 is true"),
        ("when=lambda self, e: e.nn > 1", "uses e.nn, but In has no such field; did you mean 'n'?"),
        ("when=lambda self, e: self.log > 'a'", "computes self.log > 'a': self.log is a text"),
        ("when=lambda self, e: self.list == 1", "uses self.list, which is List[int]"),
        ("when=lambda self, e: True", "is always True"),
        ("when=lambda self, e: e.n", "answers e.n, a number"),
        ("when=lambda self, e: e.n > 1, batch=5", "is a condition of one event"),
        ("when=lambda e: e.n > 1", "takes (self, event)"),
        ("when=lambda self, e: e.n > 1 / 0", "raises ZeroDivisionError"),
    ],
)
def test_what_is_no_condition_is_an_error_of_loading(
    launch: Launcher, declared: str, message: str
) -> None:
    app = thing("log: str\n    list: List[int]", "pass").replace(
        'key="key")', f'key="key", {declared})'
    )
    done = launch.run(app.replace("Event\n", "Event, List\n", 1), "--input", "-", stdin=b"")
    assert done.returncode == 3, done.stderr
    where = "events.on()" if "batch" in declared else "Thing.take"
    assert f"{where}: when= {message}" in done.stderr, done.stderr


def test_a_function_has_no_condition(launch: Launcher) -> None:
    app = with_prelude("@events.on(when=lambda self, e: e.n > 1)\ndef take(e): ...\n")
    done = launch.run(app, "--input", "-", stdin=b"")
    assert done.returncode == 3
    assert "without key= there is no entity here: say events.filter(...) instead" in done.stderr
