"""Windows that the engine feeds: what handlers find in them, and what becomes of failed turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps import with_prelude
from harness import ANY_PORTS, Launcher, Server, source_table

FED = with_prelude(
    """
    from bettong import Session, Sliding, Tumbling, seconds

    class Timed(Event, time="ts"):
        key: str
        ts: int
        x: float = 0.0
        n: int | None = None
        code: str = ""

    timed = app.stream("timed", Timed)

    class Thing(app.Entity):
        tenths: Sliding[int] = Sliding(seconds(3), pane=seconds(1), of=Timed.x, scale=10)
        load: Tumbling = Tumbling(seconds(10), of=Timed.x)
        numbers: Tumbling[int] = Tumbling(seconds(10), of=Timed.n)
        all: Sliding = Sliding(seconds(3), pane=seconds(1), of=Timed)
        plain: Sliding = Sliding(seconds(3), pane=seconds(1), of=In.x)
        created: int = -1

        def on_create(self) -> None:
            self.created = self.all.count

        @timed.on(key="key")
        def add(self, e: Timed):
            exec(e.code, {"self": self, "e": e, "out": out})

        @events.on(key="key")
        def untimed(self, e: In): ...

    class Quiet(app.Entity):
        load: Tumbling[int] = Tumbling(seconds(10), of=Timed.x, scale=1)
        visit: Session = Session(seconds(3), of=Timed.x)

        @timed.on(key="key")
        def add(self, e: Timed):
            \"\"\"Its windows are all there is.\"\"\"

        def on_close(self, window) -> None:
            out.emit(key=self.key, window=window.name, end=window.end, sum=window.sum)
    """
)

CONFIG = source_table("events", "events") + source_table("timed", "timed")


@pytest.fixture(scope="module")
def things(launch_shared: Launcher) -> Server:
    """A server of `Thing`s, shared: every test has a key of its own."""
    return launch_shared(FED, config=CONFIG)


def feed(server: Server, key: str, *values: tuple[int, float], **more: object) -> None:
    events = ({"key": key, "ts": ts, "x": x, **more} for ts, x in values)
    server.feed(*events, source="timed")


def field(server: Server, key: str, name: str) -> dict[str, float]:
    value = server.redis().hget(key, name)
    assert isinstance(value, str)
    return dict(json.loads(value))


def emitted(server: Server, key: str) -> list[dict[str, str]]:
    return [entry for _, entry in server.redis().xrange("out") if entry["key"] == key]


@pytest.mark.sanitized
def test_an_event_is_there_when_its_handler_runs(things: Server, key: str) -> None:
    code = "out.emit(key=e.key, n=self.all.count, sum=self.tenths.sum, created=self.created)"
    feed(things, key, (1000, 0.25), (1999, -0.3), (2000, 57.3), code=code)
    assert emitted(things, key) == [
        {"key": key, "n": "1", "sum": "3", "created": "0"},
        {"key": key, "n": "2", "sum": "0", "created": "0"},
        {"key": key, "n": "3", "sum": "573", "created": "0"},
    ]
    assert field(things, f"thing:{key}", "load")["sum"] == 0.25 - 0.3 + 57.3
    assert field(things, f"thing:{key}", "all") == {"count": 3, "start": 0, "end": 3000}


@pytest.mark.sanitized
def test_a_handler_may_add_more(things: Server, key: str) -> None:
    feed(things, key, (1000, 1.5), code="self.tenths.add(100); self.tenths.add(1, at=3500)")
    assert field(things, f"thing:{key}", "tenths") == {
        "count": 3, "start": 1000, "end": 4000, "sum": 116, "mean": 116 / 3, "min": 1, "max": 100,
    }  # fmt: skip


def test_null_is_no_value(things: Server, key: str) -> None:
    feed(things, key, (1000, 1))
    feed(things, key, (1000, 1), n=None)
    feed(things, key, (1000, 1), n=7)
    numbers = field(things, f"thing:{key}", "numbers")
    assert (numbers["count"], numbers["sum"]) == (1, 7)


def test_an_event_without_a_time_counts_now(things: Server, key: str) -> None:
    things.feed({"key": key, "x": 2.5}, {"key": key, "x": 4})
    plain = field(things, f"thing:{key}", "plain")
    assert (plain["count"], plain["sum"]) == (2, 6.5)
    assert plain["end"] > 1_700_000_000_000


@pytest.mark.sanitized
def test_a_turn_that_fails_has_fed_nothing(things: Server, key: str) -> None:
    feed(things, key, (1000, 5))
    before = things.redis().hgetall(f"thing:{key}")
    feed(things, key, (50_000, 7), code="self.tenths.add(9); 1 / 0")
    assert things.redis().hgetall(f"thing:{key}") == before
    (letter,) = things.dead_letters(key)
    assert "ZeroDivisionError" in letter["error"]
    new = f"{key}-new"
    feed(things, new, (1000, 5), code="1 / 0")
    assert things.redis().exists(f"thing:{new}") == 0
    feed(things, new, (1000, 6))
    assert field(things, f"thing:{new}", "tenths")["sum"] == 60


@pytest.mark.sanitized
def test_what_a_window_does_not_take_is_a_dead_letter(things: Server, key: str) -> None:
    feed(things, key, (1000, 5))
    before = things.redis().hgetall(f"thing:{key}")
    feed(things, key, (1000, 1e300), code="out.emit(key=e.key, ran=True)")
    assert things.redis().hgetall(f"thing:{key}") == before
    letters = {letter["class"]: letter for letter in things.dead_letters(key)}
    assert set(letters) == {"Thing", "Quiet"}
    assert letters["Thing"]["handler"] == "add"
    assert letters["Thing"]["error"] == (
        "Thing.tenths does not take Timed.x = 1e+300: times 10 it does not fit into 64 bits"
    )
    assert emitted(things, key) == []


def test_a_handler_without_a_body_feeds_windows_that_close(launch: Launcher) -> None:
    server = launch(FED, config=CONFIG)  # of its own: its watermark moves
    feed(server, "k", (1000, 1.5), (3999, 2), (9999, 3), (30_000, 4))
    assert emitted(server, "k") == [
        {"key": "k", "window": "visit", "end": "6999", "sum": "3.5"},
        {"key": "k", "window": "load", "end": "10000", "sum": "7"},
        {"key": "k", "window": "visit", "end": "12999", "sum": "3.0"},
    ]
    assert field(server, "quiet:k", "load")["sum"] == 4


@pytest.mark.sanitized
@pytest.mark.parametrize("kill", [False, True])
def test_what_was_fed_survives_a_restart(launch: Launcher, tmp_path: Path, *, kill: bool) -> None:
    arguments = [
        launch.write_app(FED), "-c", launch.write_config(CONFIG), *ANY_PORTS,
        "--data", tmp_path / "data",
    ]  # fmt: skip
    server = Server(*arguments, "--shards", "2", cwd=tmp_path)
    launch.servers.append(server)
    keys = [f"{name}:k{k}" for k in range(10) for name in ("thing", "quiet")]
    for k in range(10):
        feed(server, f"k{k}", *((t * 700 + k, t - k / 4) for t in range(12)), n=k)
    before = {name: server.redis().hgetall(name) for name in keys}
    server.redis().execute_command("WAITAOF", "1", "0", "0")
    if kill:
        server.kill()
    else:
        server.stop()
    server = Server(*arguments, "--shards", "3", cwd=tmp_path)
    launch.servers.append(server)
    assert {name: server.redis().hgetall(name) for name in keys} == before
    feed(server, "k0", (9000, 1))
    assert field(server, "thing:k0", "all")["count"] == 3


def test_feeding_in_another_way_is_the_same_window(launch: Launcher, tmp_path: Path) -> None:
    def start(app: str) -> Server:
        server = Server(
            launch.write_app(app), "-c", launch.write_config(CONFIG), *ANY_PORTS,
            "--data", tmp_path / "data", cwd=tmp_path,
        )  # fmt: skip
        launch.servers.append(server)
        return server

    server = start(FED)
    feed(server, "k", (1000, 5))
    server.stop()
    server = start(FED.replace("seconds(10), of=Timed.x)", "seconds(10))"))
    feed(server, "k", (1000, 6), code="self.load.add(1)")
    assert field(server, "thing:k", "load")["sum"] == 6.0


def test_what_cannot_be_fed_is_an_error_of_loading(launch: Launcher) -> None:
    handler = '@events.on(key="key")'
    app = FED.replace(handler, handler.replace("events", "out"))
    done = launch.run(launch.write_app(app), "--input", "-", stdin=b"")
    assert done.returncode == 3
    assert "Thing.plain: of=In.x, but no handler of Thing takes In events" in done.stderr, (
        done.stderr
    )
