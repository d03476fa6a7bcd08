"""Windows that count different values and tell quantiles: what user code and clients get."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import ANY_PORTS, Launcher, Server, source_table

SKETCHES = with_prelude(
    """
    from bettong import Session, Sliding, Tumbling, seconds

    class Timed(Event, time="ts"):
        key: str
        ts: int
        user: str | None = None
        raw: bytes = b""
        n: int = 0
        x: float = 0.0
        code: str = ""

    timed = app.stream("timed", Timed)

    class Thing(app.Entity):
        users: Sliding[str] = Sliding(
            seconds(3), pane=seconds(1), of=Timed.user, distinct=0.02, close=False
        )
        raws: Sliding[bytes] = Sliding(
            seconds(3), pane=seconds(1), of=Timed.raw, distinct=0.1, close=False
        )
        numbers: Sliding[int] = Sliding(
            seconds(3), pane=seconds(1), of=Timed.n, keep=["max"], distinct=0.02, close=False
        )
        took: Tumbling = Tumbling(seconds(10), of=Timed.x, quantiles=0.01)
        visit: Session = Session(seconds(2), of=Timed.x, distinct=0.02, quantiles=0.05)
        plain: Tumbling = Tumbling(seconds(10), close=False)

        @timed.on(key="key")
        def add(self, e: Timed):
            exec(e.code, {"self": self, "e": e, "out": out})

        @app.command
        def see(self, code: str) -> str:
            return repr(eval(code, {"self": self}))

        def on_close(self, window) -> None:
            distinct = window.distinct if window.name == "visit" else None
            out.emit(
                key=self.key, window=window.name, distinct=distinct, median=window.quantile(0.5)
            )
    """
)

CONFIG = source_table("events", "events") + source_table("timed", "timed")


@pytest.fixture(scope="module")
def things(launch_shared: Launcher) -> Server:
    """A server of `Thing`s, shared: every test has a key of its own, and times before 3 s."""
    return launch_shared(SKETCHES, config=CONFIG)


def see(server: Server, key: str, code: str) -> str:
    return str(server.redis().execute_command("CALL", f"thing:{key}", "see", code))


def field(server: Server, key: str, name: str) -> dict[str, float]:
    value = server.redis().hget(f"thing:{key}", name)
    assert isinstance(value, str)
    return dict(json.loads(value))


@pytest.mark.sanitized
def test_different_values_are_counted(things: Server, key: str) -> None:
    users = [f"user-{n % 50}" for n in range(200)]
    things.feed(
        *(
            {"key": key, "ts": 10 * n, "user": user, "raw": user, "n": n % 7}
            for n, user in enumerate(users)
        ),
        {"key": key, "ts": 2000, "n": 3},
        source="timed",
    )
    told = see(things, key, "(self.users.count, self.users.distinct, self.numbers.distinct)")
    count, distinct, numbers = json.loads(told.replace("(", "[").replace(")", "]"))
    assert (count, numbers) == (200, 7)  # null is no value
    assert abs(distinct - 50) <= 3
    assert field(things, key, "users")["distinct"] == distinct
    assert abs(field(things, key, "raws")["distinct"] - 51) <= 20
    assert field(things, key, "numbers") == {
        "count": 201, "start": 0, "end": 3000, "max": 6, "distinct": 7,
    }  # fmt: skip


@pytest.mark.sanitized
def test_quantiles_are_within_their_error(things: Server, key: str) -> None:
    values = [random.Random(n).lognormvariate(3, 2) for n in range(500)]
    things.feed(*({"key": key, "ts": n, "x": x} for n, x in enumerate(values)), source="timed")
    values.sort()
    for share in (0, 0.1, 0.5, 0.9, 0.99, 1):
        right = values[int(share * (len(values) - 1))]
        told = float(see(things, key, f"self.took.quantile({share})"))
        assert told == pytest.approx(right, rel=0.01), share
    shown = field(things, key, "took")
    assert shown["p99"] == float(see(things, key, "self.took.quantile(0.99)"))
    assert list(shown) == ["count", "start", "end", "p50", "p90", "p99"]


def test_clients_are_told_what_is_counted(things: Server, key: str) -> None:
    things.feed({"key": key, "ts": 100, "user": "ann"}, source="timed")
    for name, of in {"users": "str", "raws": "bytes", "numbers": "int"}.items():
        with pytest.raises(ResponseError, match=rf"'{name}' of Thing is a Sliding\[{of}\]"):
            things.redis().hset(f"thing:{key}", name, "1")


def test_before_the_first_value(things: Server, key: str) -> None:
    things.feed({"key": key, "ts": 5, "code": "self.n = 1"}, source="timed")  # fails
    code = "out.emit(key=e.key, got=[self.plain.count, self.users.distinct])"
    things.feed({"key": key, "ts": 5, "code": code}, source="timed")
    got = [entry["got"] for _, entry in things.redis().xrange("out") if entry["key"] == key]
    assert got == ["[0,0]"]
    assert field(things, key, "users") == {"count": 0}


@pytest.mark.sanitized
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("self.users.add(5)", "TypeError: a window of str takes no int"),
        ("self.users.add(b'x')", "TypeError: a window of str takes no bytes"),
        ("self.raws.add('x')", "TypeError: a window of bytes takes no str"),
        (r"self.users.add('\ud800')", "UnicodeEncodeError"),
        ("self.took.add('x')", "TypeError: a window of float takes numbers, not str"),
        ("self.plain.distinct", "AttributeError: the window does not count different values"),
        ("self.plain.quantile(0.5)", "AttributeError: the window does not keep quantiles"),
        ("self.took.quantile(1.01)", r"ValueError: quantile\(\) takes a number from 0 to 1"),
        ("self.took.quantile(-1)", r"ValueError: quantile\(\) takes a number from 0 to 1"),
        ("self.took.quantile(float('nan'))", "ValueError"),
        ("self.took.quantile('x')", r"TypeError: quantile\(\) takes a number from 0 to 1"),
        ("self.users.sum", "AttributeError: the window does not keep sum"),
        ("self.users.add('a'); self.users.add('b', at=2500); 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_turn_that_fails_changes_nothing(things: Server, key: str, code: str, error: str) -> None:
    things.feed({"key": key, "ts": 100, "user": "ann", "x": 2}, source="timed")
    before = things.redis().hgetall(f"thing:{key}")
    things.feed({"key": key, "ts": 200, "user": "bob", "x": 3, "code": code}, source="timed")
    (letter,) = things.dead_letters(key)
    assert re.match(error, letter["error"]), letter["error"]
    assert things.redis().hgetall(f"thing:{key}") == before


def test_a_closed_window_has_its_own(launch: Launcher) -> None:
    server = launch(SKETCHES, config=CONFIG)
    server.feed(
        *({"key": "k", "ts": 100 * n, "x": float(n)} for n in range(10)),
        {"key": "k", "ts": 20_000, "x": 1000.0},
        source="timed",
    )
    closed = {entry["window"]: entry for _, entry in server.redis().xrange("out")}
    assert float(closed["took"]["median"]) == pytest.approx(4, rel=0.01)
    assert float(closed["visit"]["median"]) == pytest.approx(4, rel=0.05)
    assert closed["visit"]["distinct"] == "10"
    assert field(server, "k", "took")["p50"] == pytest.approx(1000, rel=0.01)


@pytest.mark.sanitized
@pytest.mark.parametrize("kill", [False, True])
def test_sketches_survive_a_restart(launch: Launcher, tmp_path: Path, *, kill: bool) -> None:
    def start(shards: int) -> Server:
        server = Server(
            launch.write_app(SKETCHES), "-c", launch.write_config(CONFIG), *ANY_PORTS,
            "--data", tmp_path / "data", "--shards", str(shards), cwd=tmp_path,
        )  # fmt: skip
        launch.servers.append(server)
        return server

    server = start(2)
    for k in range(8):
        server.feed(
            *(
                {
                    "key": f"k{k}",
                    "ts": 50 * n,
                    "user": f"u{n * k}",
                    "raw": f"{n}",
                    "n": n,
                    "x": n / 3,
                }
                for n in range(100)
            ),
            source="timed",
        )
    before = {k: server.redis().hgetall(f"thing:k{k}") for k in range(8)}
    server.redis().execute_command("WAITAOF", "1", "0", "0")
    if kill:
        server.kill()
    else:
        server.stop()
    server = start(3)
    assert {k: server.redis().hgetall(f"thing:k{k}") for k in range(8)} == before
