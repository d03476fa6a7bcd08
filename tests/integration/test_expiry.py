"""Time to live is exact: never early, never forgotten, and a refreshed deadline never fires.

Tests compare the server's wall clock with their own (the same machine's) and wait for observable
events; how late an expiry comes is a matter of bench/, not of tests.
"""

from __future__ import annotations

import json
import time

import pytest

from harness import SLOWDOWN, Launcher, Server, eventually
from resp import Connection

EXPIRED = "__keyevent@0__:expired"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def watched(plain: Server) -> Connection:
    """A connection to an empty server that tells `expired` events."""
    connection = plain.connect()
    connection.call("CONFIG", "SET", "notify-keyspace-events", "Ex")
    return connection


def test_a_value_is_there_until_its_deadline_and_never_after(cache: Connection) -> None:
    for round_number in range(5):
        deadline_ms = now_ms() + 40
        key = f"k{round_number}"
        assert cache.call("SET", key, "v", "PXAT", deadline_ms) == "OK"
        while True:
            before_ms = now_ms()
            value = cache.call("GET", key)
            after_ms = now_ms()
            if value is None:
                assert after_ms >= deadline_ms, "expired early"
                break
            assert before_ms <= deadline_ms, "read after its deadline"


@pytest.mark.parametrize("command", ["EXISTS", "TYPE", "PTTL", "HGETALL", "HGET", "HLEN"])
def test_no_command_sees_an_expired_key(cache: Connection, command: str) -> None:
    extra = ["f"] if command == "HGET" else []
    cache.call("HSET", "missing-later", "f", "v")
    nothing = cache.call(command, "missing", *extra)
    assert cache.call(command, "missing-later", *extra) != nothing
    cache.call("PEXPIRE", "missing-later", 20)
    while cache.call(command, "missing-later", *extra) != nothing:
        pass
    assert cache.call("EXISTS", "missing-later") == 0
    assert cache.call("KEYS", "*") == []
    assert cache.call("SCAN", 0, "COUNT", 1000)[1] == []


def test_expired_events_tell_every_key_and_none_early(plain: Server, watched: Connection) -> None:
    subscriber = plain.subscribe(EXPIRED)
    count, start_ms = 2_000, now_ms() + int(300 * SLOWDOWN)
    deadlines = {f"k{n}": start_ms + n % 300 for n in range(count)}
    watched.pipeline([("SET", key, "v", "PXAT", at_ms) for key, at_ms in deadlines.items()])
    told = []
    for _ in range(count):
        key = subscriber.next()
        assert now_ms() >= deadlines[key], f"{key} expired early"
        told.append(key)
    assert sorted(told) == sorted(deadlines)
    assert watched.call("DBSIZE") == 0


def test_long_and_short_deadlines_side_by_side(plain: Server, watched: Connection) -> None:
    # Deadlines on every level of a timing wheel; only the near ones come.
    subscriber = plain.subscribe(EXPIRED)
    far = [10**exponent for exponent in range(5, 13)]
    watched.pipeline([("SET", f"far:{after_ms}", "v", "PX", after_ms) for after_ms in far])
    near = [1, 10, 63, 64, 65, 255, 257]
    watched.pipeline([("SET", f"near:{after_ms}", "v", "PX", after_ms) for after_ms in near])
    assert sorted(subscriber.take(7)) == sorted(f"near:{after_ms}" for after_ms in near)
    assert sorted(watched.call("KEYS", "*")) == sorted(f"far:{after_ms}" for after_ms in far)


def test_twenty_thousand_keys_due_at_once(plain: Server, watched: Connection) -> None:
    subscriber = plain.subscribe(EXPIRED)
    count, deadline_ms = 20_000, now_ms() + int(1_000 * SLOWDOWN)
    watched.pipeline([("SET", f"k{n}", "v", "PXAT", deadline_ms) for n in range(count)])
    watched.call("SET", "stays", "v")
    assert sorted(subscriber.take(count)) == sorted(f"k{n}" for n in range(count))
    assert now_ms() >= deadline_ms
    assert watched.call("KEYS", "*") == ["stays"]
    assert watched.call("DBSIZE") == 1


@pytest.mark.parametrize(
    "saving",
    [
        ("PERSIST", "k"),
        ("PEXPIRE", "k", 1_000_000),
        ("EXPIRE", "k", 1_000),
        ("SET", "k", "w"),
        ("SET", "k", "w", "EX", 1_000),
        ("SET", "k", "w", "KEEPTTL", "GET"),
    ],
)
def test_a_refreshed_deadline_does_not_fire(
    plain: Server, watched: Connection, saving: tuple[str | int, ...]
) -> None:
    subscriber = plain.subscribe(EXPIRED)
    # Neighbours with the same deadline and with one a little later: when both have come, the old
    # deadline of `k` has passed for good.
    old_ms = now_ms() + int(150 * SLOWDOWN)
    commands = [("SET", key, "v", "PXAT", old_ms) for key in ("k", "{k}same")]
    watched.pipeline([*commands, ("SET", "{k}later", "v", "PXAT", old_ms + 40), saving])
    if "KEEPTTL" in saving:  # the one that saves nothing: shows that the test can fail
        assert sorted(subscriber.take(3)) == ["k", "{k}later", "{k}same"]
        return
    assert sorted(subscriber.take(2)) == ["{k}later", "{k}same"]
    assert watched.call("EXISTS", "k") == 1


def test_a_shortened_deadline_fires_at_the_new_time(plain: Server, watched: Connection) -> None:
    subscriber = plain.subscribe(EXPIRED)
    watched.call("SET", "k", "v", "EX", 100_000)
    watched.call("PEXPIRE", "k", 20)
    assert subscriber.next() == "k"
    assert watched.call("EXISTS", "k") == 0


def test_a_deleted_key_does_not_expire(plain: Server, watched: Connection) -> None:
    subscriber = plain.subscribe(EXPIRED)
    deadline_ms = now_ms() + int(150 * SLOWDOWN)
    watched.pipeline(
        [
            ("SET", "k", "old", "PXAT", deadline_ms),
            ("DEL", "k"),
            ("SET", "k", "new"),
            ("SET", "{k}other", "v", "PXAT", deadline_ms + 20),
        ]
    )
    assert subscriber.next() == "{k}other"
    assert watched.call("GET", "k") == "new"


def test_a_key_expires_again_after_it_was_made_anew(plain: Server, watched: Connection) -> None:
    subscriber = plain.subscribe(EXPIRED)
    for _ in range(5):
        assert watched.call("SET", "k", "v", "NX", "PX", 15) == "OK"
        assert subscriber.next() == "k"


def test_an_expired_key_can_be_taken_at_once(cache: Connection) -> None:
    cache.call("SET", "lock", "one", "PX", 30)
    while cache.call("SET", "lock", "two", "NX") is None:
        assert cache.call("GET", "lock") in ("one", None)
    assert cache.call("GET", "lock") == "two"
    assert cache.call("TTL", "lock") == -1


def test_a_counter_that_expired_starts_again(cache: Connection) -> None:
    cache.call("SET", "n", "10", "PX", 20)
    eventually(lambda: cache.call("GET", "n") is None, "the counter's end")
    assert cache.call("INCR", "n") == 1
    assert cache.call("TTL", "n") == -1


def test_a_deadline_touched_again_and_again(plain: Server, watched: Connection) -> None:
    # Refreshed for three times its time to live, then left alone: one event, at the last deadline.
    subscriber = plain.subscribe(EXPIRED)
    watched.call("SET", "k", "v", "PX", 60)
    end_ms, last_ms = now_ms() + 180, 0
    while now_ms() < end_ms:
        sent_ms = now_ms()
        if watched.call("PEXPIRE", "k", 60) == 0:
            # Only a machine that stalled for 60 ms can get here.
            assert now_ms() >= last_ms + 60
            watched.call("SET", "k", "v", "PX", 60)
            assert subscriber.next() == "k"
        last_ms = sent_ms
    assert subscriber.next() == "k"
    assert now_ms() >= last_ms + 60


ENTITY = """
from bettong import App, Event

app = App("expiry")

class Tick(Event):
    key: str
    n: int = 0

events = app.stream("events", Tick)
out = app.stream("out")

class Visit(app.Entity, ttl=0.15):
    count: int = 0
    total: int = 0

    @events.on(key="key")
    def tick(self, e: Tick):
        self.count += 1
        self.total += e.n
        out.emit(key=self.key, kind="tick", at=self.now)

    def on_expire(self):
        out.emit(key=self.key, kind="gone", count=self.count, total=self.total, at=self.now)
"""


@pytest.mark.parametrize("shards", [1, 2])
def test_entities_expire_once_with_their_value_in_hand(launch: Launcher, shards: int) -> None:
    server = launch(ENTITY, shards=shards)
    server.connect().call("CONFIG", "SET", "notify-keyspace-events", "Ex")
    outputs, expired = server.subscribe("out"), server.subscribe(EXPIRED)
    count = 300
    server.feed(*({"key": f"v{n}", "n": n} for n in range(count) for _ in range(2)))
    last_tick: dict[str, int] = {}
    gone: dict[str, dict[str, int]] = {}
    while len(gone) < count:
        message = json.loads(outputs.next())
        if message["kind"] == "tick":
            assert message["key"] not in gone, "a tick after the end"
            last_tick[message["key"]] = message["at"]
        else:
            assert message["key"] not in gone, "gone twice"
            gone[message["key"]] = message
    for n in range(count):
        end = gone[f"v{n}"]
        assert (end["count"], end["total"]) == (2, 2 * n)
        assert end["at"] - last_tick[f"v{n}"] >= 150, "expired early"
    assert sorted(expired.take(count)) == sorted(f"visit:v{n}" for n in range(count))
    assert server.entities() == 0


def test_an_entity_fed_again_after_its_end_starts_anew(launch: Launcher) -> None:
    server = launch(ENTITY)
    outputs = server.subscribe("out")
    for _ in range(3):
        server.feed({"key": "v", "n": 5})
        assert outputs.json()["kind"] == "tick"
        end = outputs.json()
        assert (end["kind"], end["count"], end["total"]) == ("gone", 1, 5)


def test_an_entity_past_its_deadline_is_invisible(launch: Launcher) -> None:
    server = launch(ENTITY)
    client = server.connect()
    server.feed({"key": "v"})
    while client.call("EXISTS", "visit:v"):
        pass
    assert client.call("HGETALL", "visit:v") == []
    assert client.call("TTL", "visit:v") == -2
