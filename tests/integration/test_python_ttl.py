"""Time to live of entities, by the wall clock and by event time (DESIGN section 6).

To see whether something refreshes without waiting, a test first gives the entity a far deadline
with EXPIRE, which holds until the next refresh brings the class's own time to live back.
"""

from __future__ import annotations

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import (
    DEADLINE_S,
    Launcher,
    Server,
    encode_event,
    eventually,
    run_bettong,
    source_table,
    summary,
)

LONG_S = 50_000

# -- wall clock -----------------------------------------------------------------------------

WALL = with_prelude(
    """
    class Thing(app.Entity, ttl=100):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            if e.op == "raise":
                raise ValueError("told to")
            if e.op == "ttl":
                self.ttl = e.n
            if e.op == "ttl and raise":
                self.ttl = e.n
                raise ValueError("told to")
            if e.op == "touch and raise":
                self.touch()
                raise ValueError("told to")

        @app.command
        def look(self) -> int:
            return self.n

        @app.command
        def change(self) -> int:
            self.n += 1
            return self.n

        @app.command
        def refresh(self):
            self.touch()

        @app.command
        def refresh_and_raise(self):
            self.touch()
            raise ValueError("told to")

    def word(e):
        return [e.s] if e.s else []

    class Eternal(app.Entity):
        n: int = 0

        @events.on(key=word)
        def take(self, e: In):
            self.n += 1

    class Delta(app.Entity, ttl=timedelta(minutes=5)):
        n: int = 0

        @events.on(key=word)
        def take(self, e: In):
            self.n += 1
    """
)


@pytest.fixture(scope="module")
def wall(launch_shared: Launcher) -> Server:
    return launch_shared(WALL)


def refreshed(server: Server, key: str) -> bool:
    """Whether the class's time to live counts again, after `postpone`."""
    remaining = int(server.redis().ttl(f"thing:{key}"))
    assert 0 < remaining <= 100 or LONG_S - 100 < remaining <= LONG_S, remaining
    return remaining <= 100


def postpone(server: Server, key: str) -> None:
    assert server.redis().expire(f"thing:{key}", LONG_S) is True
    assert not refreshed(server, key)


def test_ttl_is_seconds_or_a_timedelta_or_none(wall: Server, key: str) -> None:
    wall.feed({"key": key, "s": key})
    client = wall.redis()
    assert 99_000 - DEADLINE_S * 1_000 < client.pttl(f"thing:{key}") <= 100_000
    assert 299_000 - DEADLINE_S * 1_000 < client.pttl(f"delta:{key}") <= 300_000
    assert client.ttl(f"eternal:{key}") == -1


def test_an_event_refreshes(wall: Server, key: str) -> None:
    wall.feed({"key": key})
    postpone(wall, key)
    wall.feed({"key": key})
    assert refreshed(wall, key)


@pytest.mark.parametrize("op", ["raise", "ttl and raise", "touch and raise"])
def test_an_event_whose_turn_raises_does_not_refresh(wall: Server, key: str, op: str) -> None:
    wall.feed({"key": key})
    postpone(wall, key)
    wall.feed({"key": key, "op": op, "n": 7})
    assert len(wall.dead_letters(key)) == 1
    assert not refreshed(wall, key)
    # and with the turns in one batch: the good ones around it count
    wall.feed({"key": key}, {"key": key, "op": op, "n": 7})
    assert refreshed(wall, key)
    assert wall.redis().ttl(f"thing:{key}") > 7


@pytest.mark.parametrize(
    "command",
    [
        "HGETALL KEY",
        "HGET KEY n",
        "TTL KEY",
        "EXISTS KEY",
        "HSET KEY n 5",
        "HINCRBY KEY n 1",
        "CALL KEY look",
        "CALL KEY change",
        "FCALL thing.change 1 KEY",
    ],
)
def test_commands_and_calls_do_not_refresh(wall: Server, key: str, command: str) -> None:
    wall.feed({"key": key})
    postpone(wall, key)
    wall.connect().call(*command.replace("KEY", f"thing:{key}").split())
    assert not refreshed(wall, key)


def test_a_call_that_touches_refreshes(wall: Server, key: str) -> None:
    wall.feed({"key": key})
    postpone(wall, key)
    with pytest.raises(ResponseError):
        wall.redis().execute_command("CALL", f"thing:{key}", "refresh_and_raise")
    assert not refreshed(wall, key)
    wall.redis().execute_command("CALL", f"thing:{key}", "refresh")
    assert refreshed(wall, key)


def test_persist_holds_until_the_next_refresh(wall: Server, key: str) -> None:
    wall.feed({"key": key})
    client = wall.redis()
    assert client.persist(f"thing:{key}") is True
    assert client.ttl(f"thing:{key}") == -1
    client.execute_command("CALL", f"thing:{key}", "change")
    assert client.ttl(f"thing:{key}") == -1
    wall.feed({"key": key})
    assert 0 < client.ttl(f"thing:{key}") <= 100


def test_expire_gives_an_eternal_entity_an_end_until_the_next_refresh(
    wall: Server, key: str
) -> None:
    wall.feed({"key": key, "s": key})
    client = wall.redis()
    assert client.expire(f"eternal:{key}", 1_000) is True
    assert 0 < client.ttl(f"eternal:{key}") <= 1_000
    wall.feed({"key": key, "s": key})
    assert client.ttl(f"eternal:{key}") == -1


def test_expire_flags_work_on_entities(wall: Server, key: str) -> None:
    wall.feed({"key": key})
    client = wall.redis()
    assert client.expire(f"thing:{key}", 1_000, nx=True) is False
    assert client.expire(f"thing:{key}", 1_000, lt=True) is False
    assert client.expire(f"thing:{key}", 1_000, gt=True) is True
    assert client.expireat(f"thing:{key}", 33_177_117_420, xx=True) is True
    assert client.expiretime(f"thing:{key}") == 33_177_117_420


def test_assigning_ttl_in_a_handler(wall: Server, key: str) -> None:
    # assumption: self.ttl is assigned as ttl= is given: seconds or a timedelta.
    wall.feed({"key": key, "op": "ttl", "n": 5_000})
    assert 4_900 < wall.redis().ttl(f"thing:{key}") <= 5_000


LIFE_AFTER = with_prelude(
    """
    class Touching(app.Entity, ttl=0.06):
        n: int = 0
        reprieves: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += e.n

        def on_expire(self):
            out.emit(what="touching", n=self.n, reprieves=self.reprieves)
            if self.reprieves < 2:
                self.reprieves += 1
                self.touch()

    class Extending(app.Entity, ttl=0.06):
        n: int = 0

        @events.on(key="s")
        def take(self, e: In):
            self.n += e.n

        def on_expire(self):
            out.emit(what="extending", n=self.n)
            self.n += 100
            self.ttl = 1000
    """
)


def test_on_expire_may_keep_the_entity_by_touching_it(launch: Launcher) -> None:
    server = launch(LIFE_AFTER)
    client = server.redis()
    client.config_set("notify-keyspace-events", "Ex")
    outputs, expired = server.subscribe("out"), server.subscribe("__keyevent@0__:expired")
    server.feed({"key": "a", "n": 5, "s": "z"})
    seen: list[tuple[int, int]] = []
    while len(seen) < 3:
        message = outputs.json()
        if message["what"] == "touching":
            seen.append((message["n"], message["reprieves"]))
    assert seen == [(5, 0), (5, 1), (5, 2)]
    # Only the third time it really went, and only then it was told.
    assert expired.next() == "touching:a"
    assert client.exists("touching:a") == 0


def test_on_expire_may_keep_the_entity_by_a_new_ttl(launch: Launcher) -> None:
    server = launch(LIFE_AFTER)
    client, outputs = server.redis(), server.subscribe("out")
    server.feed({"key": "z", "s": "b", "n": 5})
    while outputs.json()["what"] != "extending":
        pass
    eventually(lambda: client.hget("extending:b", "n") == "105", "the kept entity")
    assert 900 < client.ttl("extending:b") <= 1_000


RAISING = with_prelude(
    """
    class Thing(app.Entity, ttl=0.05):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += e.n

        def on_expire(self):
            out.emit(what="first")
            self.n = 1000
            if self.key.startswith("delete"):
                self.delete()
                return
            raise RuntimeError("no goodbye")
    """
)


def test_on_expire_that_raises_is_dead_lettered_and_the_key_goes(launch: Launcher) -> None:
    server = launch(RAISING)
    server.redis().config_set("notify-keyspace-events", "Ex")
    outputs, expired = server.subscribe("out"), server.subscribe("__keyevent@0__:expired")
    server.feed({"key": "a", "n": 41})
    (letter,) = server.wait_dead_letters(1)
    assert "no goodbye" in letter["traceback"]
    assert "41" in letter["state"]
    assert expired.next() == "thing:a"
    assert server.redis().exists("thing:a") == 0
    assert server.entities() == 0
    # What it emitted before it raised did not happen.
    server.redis().publish("out", '"end"')
    assert outputs.json() == "end"


def test_on_expire_may_delete(launch: Launcher) -> None:
    server = launch(RAISING)
    outputs = server.subscribe("out")
    server.feed({"key": "delete me", "n": 1})
    assert outputs.json() == {"what": "first"}
    eventually(lambda: server.entities() == 0, "the end")
    assert server.dead_letters() == []


# -- event time -----------------------------------------------------------------------------

EVENT_CLOCK = """
from datetime import timedelta

from bettong import App, Event

app = App("event-clock")

class In(Event, time="ts"):
    key: str
    ts: int
    op: str = ""

events = app.stream("events", In)
other = app.stream("other", In)
out = app.stream("out")

class Visit(app.Entity, ttl=600, clock="event"):
    count: int = 0
    last: int = 0

    @events.on(key="key")
    def take(self, e: In):
        if e.op == "raise":
            self.count += 1000
            raise ValueError("told to")
        self.count += 1
        self.last = e.ts
        out.emit(kind="event", key=self.key, ts=e.ts, count=self.count)

    def on_expire(self):
        out.emit(kind="gone", key=self.key, count=self.count, last=self.last)
        if self.key == "raises":
            raise ValueError("told to")
        if self.key == "stays" and self.count < 1000:
            self.count += 1000
            self.touch()

class Both(app.Entity, ttl=timedelta(minutes=10), clock="event"):
    n: int = 0

    @events.on(key=lambda e: [e.key] if e.op == "both" else [])
    def one(self, e: In):
        self.n += 1

    @other.on(key="key")
    def two(self, e: In):
        self.n += 1
"""

T = 1_700_000_000_000
TTL = 600_000


def at(offset_ms: int, key: str = "a", op: str = "") -> dict[str, object]:
    return {"key": key, "ts": T + offset_ms, "op": op}


@pytest.mark.parametrize(
    ("gap_ms", "alive"), [(0, True), (TTL - 1, True), (TTL, True), (TTL + 1, False)]
)
def test_alive_iff_the_gap_is_at_most_the_ttl(launch: Launcher, gap_ms: int, alive: bool) -> None:
    server = launch(EVENT_CLOCK)
    outputs = server.subscribe("out")
    server.feed(at(0), at(gap_ms))
    assert outputs.json()["count"] == 1
    second = outputs.json()
    if alive:
        assert second == {"kind": "event", "key": "a", "ts": T + gap_ms, "count": 2}
    else:
        assert second == {"kind": "gone", "key": "a", "count": 1, "last": T}
        assert outputs.json() == {"kind": "event", "key": "a", "ts": T + gap_ms, "count": 1}


@pytest.mark.parametrize("connections", [None, 0, 1])
def test_without_connections_to_wait_for_the_first_moves_the_watermark(
    launch: Launcher, connections: int | None
) -> None:
    config = source_table("events", "events", connections=connections)
    server = launch(EVENT_CLOCK, config=config)
    outputs = server.subscribe("out")
    server.source().lines(at(0), at(TTL + 1, "b"))
    kinds = {(message["kind"], message["key"]) for message in (outputs.json() for _ in range(3))}
    assert kinds == {("event", "a"), ("event", "b"), ("gone", "a")}


def test_it_is_judged_by_the_events_own_time_not_by_the_watermark(launch: Launcher) -> None:
    # Another key is far ahead; the stream's watermark with it. What counts for `a` is `a`'s event.
    config = source_table("events", "events", connections=2)
    server = launch(EVENT_CLOCK, config=config)
    outputs = server.subscribe("out")
    behind, ahead = server.source(), server.source()
    behind.lines(at(0))
    assert outputs.json()["count"] == 1
    ahead.lines(at(100 * TTL, "b"))
    assert outputs.json()["key"] == "b"
    behind.lines(at(TTL))
    assert outputs.json() == {"kind": "event", "key": "a", "ts": T + TTL, "count": 2}


def test_last_is_the_highest_time_seen(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK)
    outputs = server.subscribe("out")
    # The second is older than the first; the third comes TTL after the first, so it finds it alive.
    server.feed(at(1_000), at(0), at(1_000 + TTL))
    assert [outputs.json()["count"] for _ in range(3)] == [1, 2, 3]


def test_a_turn_that_raises_does_not_refresh_in_event_time(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK)
    outputs = server.subscribe("out")
    server.feed(at(0), at(TTL - 1, op="raise"), at(TTL + 1))
    assert outputs.json()["count"] == 1
    assert outputs.json() == {"kind": "gone", "key": "a", "count": 1, "last": T}
    assert outputs.json()["count"] == 1


def test_without_an_event_it_ends_when_the_watermark_is_past(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK, shards=3)
    outputs = server.subscribe("out")
    source = server.source()
    source.lines(at(0), at(TTL, "b"))
    assert {outputs.json()["key"] for _ in range(2)} == {"a", "b"}
    assert server.redis().exists("visit:a") == 1
    source.lines(at(TTL + 1, "b"))
    messages = [outputs.json() for _ in range(2)]
    assert {"kind": "gone", "key": "a", "count": 1, "last": T} in messages
    eventually(lambda: server.entities() == 1, "one entity")
    assert server.redis().exists("visit:b") == 1


def test_the_watermark_reaches_every_entity_of_every_shard(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK, shards=3)
    outputs = server.subscribe("out")
    source = server.source()
    count = 200
    source.lines(*(at(n, f"k{n}") for n in range(count)))
    source.lines(at(TTL + count // 2, "ahead"))
    kinds = [outputs.json() for _ in range(count + 1 + count // 2)]
    gone = {message["key"] for message in kinds if message["kind"] == "gone"}
    assert gone == {f"k{n}" for n in range(count // 2)}
    eventually(lambda: server.entities() == count // 2 + 1, "the others to live")


def test_on_expire_raising_in_event_time(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK)
    outputs = server.subscribe("out")
    server.feed(at(0, "raises"), at(TTL + 1, "raises"))
    # The old one is gone although it raised, what it emitted is not; the event got a fresh one.
    assert outputs.json()["count"] == 1
    assert outputs.json() == {"kind": "event", "key": "raises", "ts": T + TTL + 1, "count": 1}
    assert len(server.dead_letters()) == 1


def test_a_kept_entity_takes_the_event(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK)
    outputs = server.subscribe("out")
    server.feed(at(0, "stays"), at(TTL + 1, "stays"))
    assert outputs.json()["count"] == 1
    assert outputs.json()["kind"] == "gone"
    assert outputs.json()["count"] == 1002


def test_ttl_answers_in_event_time_and_expire_is_refused(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK)
    outputs, client = server.subscribe("out"), server.redis()
    source = server.source()
    source.lines(at(0), at(100_000, "b"))
    assert {outputs.json()["key"] for _ in range(2)} == {"a", "b"}
    # assumption: what remains is last + ttl - watermark.
    eventually(lambda: client.pttl("visit:a") == TTL - 100_000, "event time to go on")
    assert client.ttl("visit:a") == 500
    assert client.pttl("visit:b") == TTL
    for command in ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"):
        with pytest.raises(ResponseError):
            client.execute_command(command, "visit:a", 33_177_117_420_123)
    assert client.pttl("visit:a") == TTL - 100_000


def test_connections_hold_the_watermark_until_all_have_joined(launch: Launcher) -> None:
    config = source_table("events", "events", connections=2)
    server = launch(EVENT_CLOCK, config=config)
    outputs = server.subscribe("out")
    first, second = server.source(), server.source()
    first.lines(at(0), at(10 * TTL, "b"), at(20 * TTL, "c"))
    assert {outputs.json()["key"] for _ in range(3)} == {"a", "b", "c"}
    assert server.redis().exists("visit:a") == 1
    # The other connection joins with its first event, and is behind: still nothing is due.
    second.lines(at(TTL, "d"))
    assert outputs.json()["key"] == "d"
    assert server.redis().exists("visit:a", "visit:b") == 2
    second.lines(at(10 * TTL + 1, "d"))
    messages = [outputs.json() for _ in range(3)]
    assert [m["key"] for m in messages if m["kind"] == "gone" and m["key"] != "d"] == ["a"]
    eventually(lambda: server.entities() == 3, "b, c and d to live")


def test_a_connection_that_leaves_holds_nothing_back(launch: Launcher) -> None:
    server = launch(EVENT_CLOCK)
    outputs = server.subscribe("out")
    slow, fast = server.source(), server.source()
    slow.lines(at(0))
    assert outputs.json()["key"] == "a"
    fast.lines(at(TTL + 1, "b"))
    assert outputs.json()["key"] == "b"
    assert server.redis().exists("visit:a") == 1
    slow.finish()
    assert outputs.json() == {"kind": "gone", "key": "a", "count": 1, "last": T}


def test_the_end_of_the_last_connection_expires_what_is_due_and_no_more(launch: Launcher) -> None:
    config = source_table("events", "events", connections=2)
    server = launch(EVENT_CLOCK, config=config)
    first, second = server.source(), server.source()
    first.lines(at(0), at(5 * TTL, "b"))
    second.lines(at(TTL, "c"), at(6 * TTL, "d"))
    first.finish()
    second.finish()
    # The watermark is now the highest time seen, 6 * TTL: b is exactly TTL old and lives.
    eventually(lambda: server.entities() == 2, "two entities")
    assert server.redis().exists("visit:b", "visit:d") == 2


def test_an_entity_of_two_streams_waits_for_the_slower(launch: Launcher) -> None:
    config = source_table("events", "events") + source_table("other", "other")
    server = launch(EVENT_CLOCK, config=config)
    client = server.redis()
    events, other = server.source("events"), server.source("other")
    events.lines(at(0, "x", "both"))
    other.lines(at(0, "y"))
    eventually(lambda: client.exists("both:x", "both:y") == 2, "both entities")
    outputs = server.subscribe("out")
    events.lines(at(TTL + 1, "z", "both"))
    assert {outputs.json()["key"], outputs.json()["key"]} == {"x", "z"}  # Visit hears one stream
    eventually(lambda: client.exists("both:x", "both:y", "both:z") == 3, "three entities")
    other.lines(at(TTL + 1, "z"))
    eventually(lambda: client.exists("both:x", "both:y") == 0, "the end of both")
    eventually(lambda: client.hget("both:z", "n") == "2", "both events of z")


def test_the_end_of_a_run_expires_what_is_due(launch: Launcher) -> None:
    lines = [at(0, "a"), at(1, "b"), at(1_000, "c"), at(TTL + 1, "d")]
    path = launch.folder / "in.jsonl"
    path.write_bytes(b"".join(encode_event(line) + b"\n" for line in lines))
    app = launch.write_app(EVENT_CLOCK)
    output = launch.folder / "out.jsonl"
    done = run_bettong("run", app, "--input", path, "--stream", "events", "--output", output)
    assert done.returncode == 0, done.stderr
    gone = [line for line in output.read_text().splitlines() if '"gone"' in line]
    assert gone == [f'{{"kind":"gone","key":"a","count":1,"last":{T}}}']
    counts = summary(done)
    assert (counts["events"], counts["outputs"], counts["live"]) == (4, 5, 3)


def test_a_run_does_not_expire_what_is_merely_idle(launch: Launcher) -> None:
    path = launch.folder / "in.jsonl"
    path.write_text('{"key":"a","s":"x"}\n{"key":"b","s":"x"}\n')
    done = launch.run(WALL, "--input", path, "--output", "-")
    counts = summary(done)
    # Thing a and b, Eternal x, Delta x
    assert (counts["events"], counts["live"]) == (2, 4)
