"""Window fields: what user code gets, what clients see, and that nothing of it is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from redis import ResponseError

from apps import with_prelude
from documentation import blocks
from harness import ANY_PORTS, Launcher, Server, source_table

WINDOWS = with_prelude(
    """
    import itertools
    from bettong import Sliding, Tumbling, seconds

    kept = []

    class Timed(Event, time="ts"):
        key: str
        ts: int
        x: float = 0.0
        code: str = ""

    timed = app.stream("timed", Timed)

    class Thing(app.Entity):
        last: Sliding[int] = Sliding(
            seconds(3), pane=seconds(1), keep=["sum", "min", "max", "first", "last", "variance"]
        )
        load: Tumbling = Tumbling(seconds(10))
        bare: Sliding = Sliding(seconds(2), pane=1, keep=[])
        n: int = 0

        @timed.on(key="key")
        def add(self, e: Timed):
            if e.code:
                exec(e.code, {"self": self, "e": e, "kept": kept, "out": out})
                return
            self.last.add(int(e.x))
            self.load.add(e.x)
            self.n += 1

        @events.on(key="key")
        def untimed(self, e: In):
            exec(e.s, {"self": self, "e": e, "kept": kept, "out": out})

        @app.command
        def see(self, code: str) -> str:
            return repr(eval(code, {"self": self, "kept": kept}))

        @app.command
        def wait(self, code: str) -> int:
            exec(code, {"self": self})
            return self.n
    """
)

CONFIG = source_table("events", "events") + source_table("timed", "timed")


@pytest.fixture(scope="module")
def things(launch_shared: Launcher) -> Server:
    """A server of `Thing`s, shared: every test has a key of its own."""
    return launch_shared(WINDOWS, config=CONFIG)


def feed(server: Server, key: str, *values: tuple[int, float]) -> None:
    server.feed(*({"key": key, "ts": ts, "x": x} for ts, x in values), source="timed")


def see(server: Server, key: str, code: str) -> str:
    return str(server.redis().execute_command("CALL", f"thing:{key}", "see", code))


def field(server: Server, key: str, name: str, prefix: str = "thing") -> dict[str, float]:
    value = server.redis().hget(f"{prefix}:{key}", name)
    assert isinstance(value, str)
    return dict(json.loads(value))


def test_the_example_of_the_documentation(launch: Launcher) -> None:
    (block,) = blocks("docs/windows.md", "python")
    server = launch(block.text, config=source_table("samples", "samples"))
    server.feed(
        *(
            {"host": "a", "ts": 1000 * n, "value": 91, "user": f"u{n % 3}", "took": 10 * n}
            for n in range(10)
        ),
        source="samples",
    )
    ((_, alert),) = server.redis().xrange("alerts")
    # Of ten values the 99th percentile is the one of rank 8.
    assert float(alert.pop("p99")) == pytest.approx(80, rel=0.01)
    assert alert == {"host": "a", "mean": "91.0", "users": "3", "since": "-240000"}
    assert field(server, "a", "tenths", "host")["sum"] == 9100


@pytest.mark.sanitized
def test_what_a_window_tells(things: Server, key: str) -> None:
    feed(things, key, (1000, 5), (1999, 2), (2000, 9), (3500, 4))
    for code, value in {
        "count": 4, "sum": 20, "mean": 5.0, "min": 2, "max": 9, "first": 5, "last": 4,
        "variance": 6.5, "start": 1000, "end": 4000,
    }.items():  # fmt: skip
        assert see(things, key, f"self.last.{code}") == repr(value), code
    # Five seconds later the first panes are gone.
    feed(things, key, (5001, 7))
    assert see(things, key, "(self.last.count, self.last.sum, self.last.start)") == "(2, 11, 3000)"
    assert see(things, key, "(self.load.count, self.load.sum, self.load.end)") == "(5, 27.0, 10000)"


def test_before_the_first_value(things: Server, key: str) -> None:
    things.feed({"key": key, "s": "pass"})
    names = ("mean", "min", "max", "first", "last", "variance", "start", "end")
    code = f"[getattr(self.last, name) for name in {names}]"
    assert see(things, key, code) == repr([None] * len(names))
    assert see(things, key, "(self.last.count, self.last.sum, self.load.sum)") == "(0, 0, 0.0)"
    assert field(things, key, "last") == {"count": 0}


@pytest.mark.sanitized
def test_clients_read_windows_and_cannot_write_them(things: Server, key: str) -> None:
    feed(things, key, (1000, 5), (2000, 8))
    client = things.redis()
    assert field(things, key, "last") == {
        "count": 2, "start": 0, "end": 3000, "sum": 13, "mean": 6.5, "min": 5, "max": 8,
        "first": 5, "last": 8, "variance": 2.25,
    }  # fmt: skip
    everything = client.hgetall(f"thing:{key}")
    assert json.loads(everything["load"])["max"] == 8.0
    assert everything["n"] == "2"
    for command in (("HSET", "last", "1"), ("HINCRBY", "last", "1"), ("HINCRBYFLOAT", "load", "1")):
        with pytest.raises(ResponseError, match=r"is a (Sliding\[int\]|Tumbling\[float\])"):
            client.execute_command(command[0], f"thing:{key}", *command[1:])
    assert field(things, key, "last")["sum"] == 13


@pytest.mark.sanitized
def test_a_turn_that_fails_adds_nothing(things: Server, key: str) -> None:
    feed(things, key, (1000, 5), (2000, 8))
    before = things.redis().hgetall(f"thing:{key}")
    code = "self.last.add(1); self.last.add(2, at=99_000); self.load.add(3.5); self.n = 9; 1 / 0"
    things.feed({"key": key, "ts": 50_000, "code": code}, source="timed")
    assert things.redis().hgetall(f"thing:{key}") == before
    (letter,) = things.dead_letters(key)
    assert "ZeroDivisionError" in letter["error"]
    assert json.loads(json.loads(json.dumps(letter["state"])))["last"]["sum"] == 13


def test_late_values_are_not_counted(things: Server, key: str) -> None:
    feed(things, key, (10_000, 5))
    code = "out.emit(key=e.key, got=[self.last.add(1, at=t) for t in (7999, 8000, 9999, 10999)])"
    things.feed({"key": key, "s": code})
    got = [f["got"] for _, f in things.redis().xrange("out") if f["key"] == key]
    assert got == ["[false,true,true,true]"]
    assert field(things, key, "last")["count"] == 4


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("self.last.add(1.5)", "TypeError: a window of int takes ints, not float"),
        ("self.load.add('1')", "TypeError: a window of float takes numbers, not str"),
        ("self.load.add(float('nan'))", "ValueError: a window takes finite numbers"),
        ("self.last.add(2**63)", "OverflowError: the value does not fit into 64 bits"),
        (
            "self.last.add(2**63 - 1); self.last.add(1)",
            "OverflowError: the sum of the window's pane",
        ),
        ("self.last.add(1, at='x')", "TypeError: at= is a time in ms, an int, not str"),
        (
            "self.last.add(1, at=2**62)",
            "OverflowError: the time of the value, in ms, is out of range",
        ),
        (
            "self.last.add(1, at=2**64)",
            "OverflowError: the time of the value, in ms, is out of range",
        ),
        ("self.last.add()", r"TypeError: add\(\) takes a value"),
        ("self.last.add(1, 2, 3)", r"TypeError: add\(\) takes a value"),
        ("self.bare.max", "AttributeError: the window does not keep max"),
        ("self.last = 5", "TypeError: Thing.last is a window"),
        ("self.last = self.load", "TypeError: Thing.last is a window"),
        ("del self.load", "TypeError: Thing.load is a window"),
        ("self.last.count = 5", "AttributeError"),
    ],
)
def test_misuse_is_an_error_of_the_turn(things: Server, key: str, code: str, error: str) -> None:
    things.feed({"key": key, "s": "self.n = 1; self.last.add(3, at=500)"})
    things.feed({"key": key, "s": code})
    (letter,) = things.dead_letters(key)
    assert re.match(error, letter["error"]), letter["error"]
    assert field(things, key, "last")["sum"] == 3


def test_sums_of_ints_are_exact(things: Server, key: str) -> None:
    most = 2**63 - 1
    things.feed({"key": key, "s": f"for t in (0, 1000, 2000): self.last.add({most}, at=t)"})
    assert see(things, key, "self.last.sum") == str(3 * most)
    assert field(things, key, "last")["sum"] == 3 * most


@pytest.mark.sanitized
@pytest.mark.parametrize("keep", ["self.last", "self.last.add"])
def test_a_kept_window_is_stale(things: Server, key: str, keep: str) -> None:
    things.feed({"key": key, "s": f"self.last.add(1); kept[:] = [{keep}]"})
    things.feed({"key": key, "s": "kept[0].add(1) if hasattr(kept[0], 'add') else kept[0](1)"})
    window = "getattr(kept[0], '__self__', kept[0])"
    things.feed({"key": key, "s": f"{window}.count"})
    things.feed({"key": key, "s": f"self.last.add(1); {window}.add(1)"})
    errors = [letter["error"] for letter in things.dead_letters(key)]
    assert len(errors) == 3
    assert all("this window was used after its turn had ended" in error for error in errors)
    # What is let go of leaves nothing behind that the next turn could stumble over.
    things.feed({"key": key, "s": "kept.clear(); self.last.add(1)"})
    assert field(things, key, "last")["count"] == 2


def test_a_new_life_begins_with_empty_windows(things: Server, key: str) -> None:
    feed(things, key, (1000, 5))
    things.feed({"key": key, "s": "self.last.add(2); self.delete()"})
    assert things.redis().exists(f"thing:{key}") == 0
    feed(things, key, (100, 7))
    assert field(things, key, "last")["sum"] == 7
    assert things.redis().delete(f"thing:{key}") == 1
    # Made and deleted in one turn: it never was.
    things.feed({"key": key, "s": "self.last.add(2); self.delete()"})
    assert things.redis().exists(f"thing:{key}") == 0


@pytest.mark.sanitized
@pytest.mark.parametrize("kill", [False, True])
def test_windows_survive_a_restart(launch: Launcher, tmp_path: Path, *, kill: bool) -> None:
    arguments = [
        launch.write_app(WINDOWS), "-c", launch.write_config(CONFIG), *ANY_PORTS,
        "--data", tmp_path / "data",
    ]  # fmt: skip
    server = Server(*arguments, "--shards", "2", cwd=tmp_path)
    launch.servers.append(server)
    for k in range(20):
        feed(server, f"k{k}", *((t * 700 + k, t - k / 4) for t in range(12)))
    client = server.redis()
    before = {k: client.hgetall(f"thing:k{k}") for k in range(20)}
    client.execute_command("WAITAOF", "1", "0", "0")
    if kill:
        server.kill()
    else:
        server.stop()
    server = Server(*arguments, "--shards", "3", cwd=tmp_path)
    launch.servers.append(server)
    after = {k: server.redis().hgetall(f"thing:k{k}") for k in range(20)}
    assert after == before
    feed(server, "k0", (9000, 1))
    assert field(server, "k0", "last")["count"] == 3


def test_a_changed_window_is_refused_at_the_start(launch: Launcher, tmp_path: Path) -> None:
    def arguments(app: str) -> list[str | Path]:
        return [
            launch.write_app(app), "-c", launch.write_config(CONFIG), *ANY_PORTS,
            "--data", tmp_path / "data",
        ]  # fmt: skip

    server = Server(*arguments(WINDOWS), cwd=tmp_path)
    launch.servers.append(server)
    feed(server, "k", (1000, 5))
    server.stop()
    other = WINDOWS.replace("Tumbling(seconds(10))", "Tumbling(seconds(20))")
    with pytest.raises(AssertionError, match="'load' is a window of another size"):
        Server(*arguments(other), cwd=tmp_path)
