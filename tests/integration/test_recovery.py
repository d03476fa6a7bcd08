"""What comes back after kill -9, after SIGTERM, with other shards, and with other classes."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import bettong
import pytest
import redis

from apps import with_prelude
from datanode import DataNode, settle, snapshot
from harness import (
    DEADLINE_S,
    Launcher,
    RedisClient,
    Server,
    eventually,
    file_sink_table,
    free_port,
    source_table,
    view_entry,
)

ALL_TYPES = with_prelude(
    """
    class Thing(app.Entity, ttl=timedelta(hours=1)):
        count: int = 7
        ratio: float = 0.5
        on: bool = True
        text: str = "default"
        blob: bytes = b"\\x00\\xff"
        maybe: int | None = None
        past: Array[int, 4]
        means: Array[float, 3]

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "raise":
                raise ValueError(e.s)
            self.count = e.n
            self.ratio = e.x
            self.on = e.n % 2 == 0
            self.text = e.s
            self.blob = bytes([e.n % 256]) + b"\\x00\\xfe"
            self.maybe = e.n if e.n % 3 == 0 else None
            self.past[e.n % 4] = e.n
            self.means[e.n % 3] = e.x
            if e.op == "own":
                self.ttl = timedelta(hours=5)
            if e.op == "delete":
                self.delete()
            out.emit(key=self.key, n=e.n)

        @app.command(create=True)
        def bump(self, by: int) -> int:
            self.count += by
            return self.count

    class Plain(app.Entity):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += e.n
    """
)

EVENTS = source_table("events", "events")


def write_every_kind(server: Server, seed: int) -> None:
    """Every kind of value, made, changed and deleted."""
    client = server.redis(decode_responses=False)
    client.set("empty", "")
    client.set(f"plain{seed}", "v" * seed)
    client.set("binary", bytes(range(256)))
    client.set("large", b"\x00" * 300_000)
    client.set("soon", "x", px=3_600_000)
    client.set("persisted", "x", ex=3600)
    client.persist("persisted")
    client.set("gone", "x")
    client.delete("gone")
    client.incrby("number", seed)
    client.append("text", f"+{seed}")
    client.hset("hash", mapping={f"f{i}": f"v{i * seed}" for i in range(10)})
    client.hdel("hash", "f3", "f4")
    client.hset("big hash", mapping={f"field{i}": f"{i}" * 3 for i in range(700)})
    client.expire("big hash", 7200)
    client.hset("emptied", "f", "v")
    client.hdel("emptied", "f")
    for i in range(1, 40):
        client.xadd("stream", {"n": i, b"\xff": b"\x00"}, id=f"{seed}-{i}")
    client.xtrim("stream", maxlen=30, approximate=False)
    client.xadd("trimmed", {"n": 1}, id=f"{seed}-9")
    client.xtrim("trimmed", maxlen=0, approximate=False)
    for i in range(50):
        server.feed({"key": f"k{i}", "n": i * seed, "x": i / 4, "s": f"té{i}"})
    server.feed({"key": "own", "op": "own", "n": seed})
    server.feed({"key": "k1", "op": "delete"})
    server.feed({"key": "bad", "op": "raise", "s": f"no {seed}"}, "no JSON")
    client.execute_command("CALL", "thing:called", "bump", 3)
    client.expire("thing:k2", 12345)
    client.persist("thing:k3")


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 4)])
def test_every_kind_of_value_survives_kills_with_other_shards(
    node: DataNode, before: int, after: int
) -> None:
    server = node(ALL_TYPES, config=EVENTS, shards=before)
    write_every_kind(server, 3)
    client = server.redis(decode_responses=False)
    settle(client)
    expected = snapshot(client)
    assert len(expected) > 100
    assert client.ttl("thing:own") > 4 * 3600
    assert client.ttl("thing:k3") == -1
    node.kill(server)

    server = node(ALL_TYPES, config=EVENTS, shards=after)
    client = server.redis(decode_responses=False)
    assert snapshot(client) == expected
    # It is not only shown: changes go on from it.
    write_every_kind(server, 5)
    assert client.get("number") == b"8"
    assert client.get("text") == b"+3+5"
    assert client.execute_command("CALL", "thing:called", "bump", 1) == 14
    assert len(server.dead_letters()) == 4
    settle(client)
    expected = snapshot(client)
    node.kill(server)

    server = node(ALL_TYPES, config=EVENTS, shards=before)
    assert snapshot(server.redis(decode_responses=False)) == expected
    assert server.entities() == sum(key.startswith((b"thing:", b"plain:")) for key in expected)


def test_sigterm_loses_nothing_and_the_next_start_has_nothing_to_cut(node: DataNode) -> None:
    server = node(ALL_TYPES, config=EVENTS)
    write_every_kind(server, 2)
    expected = snapshot(server.redis(decode_responses=False))
    assert server.terminate() == 0
    server = node(ALL_TYPES, config=EVENTS)
    assert snapshot(server.redis(decode_responses=False)) == expected
    assert not any("torn" in line for line in server.logged())
    assert any("recovered" in line for line in server.logged()), server.logged()


def test_a_stream_goes_on_above_its_last_id(node: DataNode) -> None:
    server = node()
    client = server.redis()
    client.xadd("s", {"n": 1}, id="9-9")
    client.xtrim("s", maxlen=0, approximate=False)
    settle(client)
    node.kill(server)
    client = node(shards=3).redis()
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        client.xadd("s", {"n": 2}, id="9-9")
    assert client.xadd("s", {"n": 2}, id="9-*") == "9-10"


# --- classes that change


def versioned(fields: str) -> str:
    return with_prelude(
        f"""
        class Thing(app.Entity, ttl=timedelta(hours=1)):
            {fields}

            @events.on(key="key")
            def take(self, e: In):
                for name in ("a", "b", "c"):
                    if hasattr(self, name):
                        setattr(self, name, type(getattr(self, name))(e.n))
        """
    )


def test_rows_follow_their_class_by_field_name(node: DataNode) -> None:
    server = node(versioned("a: int = 0; b: str = 'x'; c: bool = False"), config=EVENTS)
    server.feed({"key": "k", "n": 5}, {"key": "other", "n": 0})
    settle(server.redis())
    node.kill(server)
    # Another order, b gone, d new, ints read as floats and bools as ints.
    app = versioned("d: str = 'new'; c: int = 9; a: float = 0.5; e: int | None = None")
    server = node(app, config=EVENTS, shards=3)
    client = server.redis()
    converted = {"d": "new", "c": "1", "a": "5", "e": ""}
    assert client.hgetall("thing:k") == converted
    assert client.hgetall("thing:other") == {"d": "new", "c": "0", "a": "0", "e": ""}
    server.feed({"key": "k", "n": 8})
    assert client.hgetall("thing:k") == {"d": "new", "c": "8", "a": "8", "e": ""}
    settle(client)
    node.kill(server)
    # Rows of both versions lie in the log.
    server = node(versioned("a: float = 0.5; f: str = 'third'"), config=EVENTS, shards=1)
    client = server.redis()
    assert client.hgetall("thing:k") == {"a": "8", "f": "third"}
    assert client.hgetall("thing:other") == {"a": "0", "f": "third"}


def test_a_field_of_an_unfit_type_is_refused_and_nothing_is_lost(node: DataNode) -> None:
    server = node(versioned("a: str = ''; b: int = 1"), config=EVENTS)
    server.feed({"key": "k", "n": 5})
    settle(server.redis())
    node.kill(server)
    before = node.copy()
    code, line = node.refused(versioned("a: int = 0; b: int = 1"), config=EVENTS)
    assert code == 3, line
    assert line.endswith(
        "field 'a' was str when it was written and is int now; give the new field another name"
    )
    assert "class Thing" in line
    assert node.copy() == before
    server = node(versioned("a: str = ''; b: int = 1"), config=EVENTS)
    assert server.redis().hgetall("thing:k") == {"a": "5", "b": "5"}


def test_a_class_that_is_gone_is_refused_by_name(node: DataNode) -> None:
    server = node(versioned("a: int = 0"), config=EVENTS)
    server.feed({"key": "k", "n": 5})
    settle(server.redis())
    node.kill(server)
    before = node.copy()
    code, line = node.refused()
    assert code == 3, line
    assert line.endswith(
        "key 'thing:k': an entity, and no app declares a class with this prefix; "
        "start with the app that does"
    )
    assert node.copy() == before


# --- durability


def test_off_leaves_nothing_on_disk(node: DataNode) -> None:
    server = node(None, "--set", "log.durability=off")
    server.redis().set("k", "v")
    node.kill(server)
    assert not node.data.exists()
    assert node(None, "--set", "log.durability=off").redis().get("k") is None


def count_up(client: RedisClient, acknowledged: dict[str, int]) -> None:
    """INCRs keys in turn until the connection breaks."""
    try:
        for i in itertools.count():
            key = f"n{i % 7}"
            acknowledged[key] = client.incr(key)
    except (redis.ConnectionError, ValueError):
        pass  # ValueError: the test has closed the client meanwhile


@pytest.mark.parametrize("durability", ["async", "sync"])
def test_what_a_kill_under_load_may_take(node: DataNode, durability: str) -> None:
    setting = ("--set", f"log.durability={durability}")
    server = node(None, *setting)
    clients = [server.redis() for _ in range(3)]
    acknowledged: list[dict[str, int]] = [{} for _ in clients]
    threads = [
        threading.Thread(target=count_up, args=pair)
        for pair in zip(clients, acknowledged, strict=True)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: all(seen.get("n0", 0) > 100 for seen in acknowledged))
    waiter = server.redis()
    known = {key: int(waiter.get(key)) for key in waiter.scan_iter()}
    settle(waiter)
    eventually(lambda: all(seen["n0"] > known["n0"] for seen in acknowledged))
    node.kill(server)
    for thread in threads:
        thread.join()
    client = node(None, *setting, shards=3).redis()
    for key, durable in known.items():
        value = int(client.get(key))
        last = max(seen[key] for seen in acknowledged)
        # Each of the clients may have had one INCR under way.
        assert durable <= value <= last + len(clients)
        if durability == "sync":
            assert value >= last


def test_a_sync_stream_survives_in_an_async_node(node: DataNode) -> None:
    app = with_prelude("")
    setting = ("--set", "stream.events.durability=sync")
    server = node(app, *setting, config="")
    client = server.redis()
    ids = [client.xadd("events", {"key": "k", "n": n}) for n in range(20)]
    node.kill(server)
    client = node(app, *setting, config="", shards=1).redis()
    assert [entry for entry, _ in client.xrange("events")] == ids


# --- WAITAOF, as Redis 7.2 answers


def test_waitaof_with_a_log(node: DataNode) -> None:
    connection = node().connect()
    connection.call("SET", "k", "v")
    assert connection.call("WAITAOF", "1", "0", "0") == [1, 0]
    assert connection.call("WAITAOF", "1", "0", "1000") == [1, 0]
    local, replicas = connection.call("WAITAOF", "0", "0", "0")
    assert local in (0, 1)
    assert replicas == 0
    # There are no replicas: it waits for the timeout, and then tells what is durable.
    assert connection.call("WAITAOF", "1", "1", "20") == [1, 0]
    assert connection.call("WAITAOF", "0", "2", "20") == [1, 0]


WRONG = [
    (("2", "0", "0"), "ERR value is out of range, must be between 0 and 1"),
    (("-1", "0", "0"), "ERR value is out of range, must be between 0 and 1"),
    (("x", "0", "0"), "ERR value is not an integer or out of range"),
    (("1", "-1", "0"), "ERR value is out of range, must be positive"),
    (("1", "x", "0"), "ERR value is out of range, must be positive"),
    (("1", "0", "x"), "ERR timeout is not an integer or out of range"),
    (("1", "0", "-1"), "ERR timeout is negative"),
    (("1", "0"), "ERR wrong number of arguments for 'waitaof' command"),
    (("1", "0", "0", "0"), "ERR wrong number of arguments for 'waitaof' command"),
]


@pytest.mark.parametrize("logged", [True, False])
def test_waitaof_refuses_what_redis_refuses(node: DataNode, launch: Launcher, logged: bool) -> None:
    connection = (node() if logged else launch()).connect()
    for arguments, error in WRONG:
        assert connection.reply("WAITAOF", *arguments).text == error.encode(), arguments
    assert connection.call("PING") == "PONG"


def test_waitaof_without_a_log(launch: Launcher) -> None:
    connection = launch().connect()
    assert connection.call("WAITAOF", "0", "0", "0") == [0, 0]
    reply = connection.reply("WAITAOF", "1", "0", "0")
    assert reply.is_error
    assert reply.text.startswith(b"ERR WAITAOF cannot be used when numlocal is set but ")
    assert b"--no-data" in reply.text


def test_waitaof_of_a_client_that_goes_harms_nobody(node: DataNode) -> None:
    server = node()
    connection = server.connect()
    connection.send("WAITAOF", "0", "1", "0")
    connection.close()
    assert server.redis().ping()


# --- expiry while the node is down


EXPIRING = with_prelude(
    """
    class Session(app.Entity, ttl=timedelta(seconds=1)):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += e.n

        def on_expire(self):
            out.emit(key=self.key, n=self.n)
    """
)

ACKNOWLEDGED = """
[source.events]
kind = "bettong-stream"
listen = "127.0.0.1:0"
stream = "events"
"""


def outputs(server: Server) -> list[dict[str, Any]]:
    return [view_entry(fields) for _, fields in server.redis().xrange("out")]


def make_sessions(server: Server) -> None:
    client = server.redis()
    for i in range(20):
        client.xadd("events", {"key": f"s{i}", "n": i})
    eventually(lambda: server.entities() == 20 or None, "20 sessions")
    client.set("string", "x", px=1000)
    settle(client)


def wait_until_due() -> None:
    due = time.monotonic() + 1
    eventually(lambda: time.monotonic() > due)


def test_what_came_due_while_the_node_was_down_expires_once(node: DataNode) -> None:
    server = node(EXPIRING, config=EVENTS)
    make_sessions(server)
    node.kill(server)
    wait_until_due()
    server = node(EXPIRING, config=EVENTS, shards=3)
    # No source of it can have a backlog: nothing is waited for.
    assert server.redis().get("string") is None
    eventually(lambda: len(outputs(server)) == 20, "20 expiries")
    expected = [{"key": f"s{i}", "n": i} for i in range(20)]
    assert sorted(outputs(server), key=lambda each: each["n"]) == expected
    settle(server.redis())
    node.kill(server)
    server = node(EXPIRING, config=EVENTS, shards=1)
    assert server.entities() == 0
    assert len(outputs(server)) == 20
    assert server.redis().exists("session:s1", "string") == 0


def test_what_is_due_expires_though_nothing_else_happens(node: DataNode) -> None:
    path = node.launch.folder / "out.jsonl"
    config = EVENTS + file_sink_table("out", "out", path)
    server = node(EXPIRING, config=config)
    make_sessions(server)
    server.redis().xadd("events", {"key": "late", "n": 7})
    eventually(lambda: server.entities() == 21 or None)
    settle(server.redis())
    node.kill(server)
    # Nobody talks to it; some are due at once, some a little later.
    node(EXPIRING, config=config, shards=3)
    eventually(lambda: path.read_text().count("\n") == 21, "21 expiries")


def make_known(server: Server) -> None:
    """The node knows of a sender, which may have a backlog the next time."""
    with bettong.Sender("{}:{}".format(*server.sources["events"]), source="known") as sender:
        sender.send({"key": "s0", "n": 0})
        assert sender.flush(DEADLINE_S)


def test_recovery_grace_spares_entities_and_ends(node: DataNode) -> None:
    grace = ("--set", "log.recovery_grace=2s")
    server = node(EXPIRING, *grace, config=ACKNOWLEDGED)
    make_known(server)
    make_sessions(server)
    node.kill(server)
    wait_until_due()
    server = node(EXPIRING, *grace, config=ACKNOWLEDGED, shards=3)
    client = server.redis()
    # Of keys that no event refreshes there is nothing to wait for.
    assert client.get("string") is None
    assert client.hget("session:s3", "n") == "3"
    assert outputs(server) == []
    client.xadd("events", {"key": "s3", "n": 100})
    eventually(lambda: client.hget("session:s3", "n") == "103", "the session goes on")
    eventually(lambda: len(outputs(server)) == 20, "20 expiries")
    assert {each["key"]: each["n"] for each in outputs(server)}["s3"] == 103
    assert server.entities() == 0
    settle(client)
    node.kill(server)
    server = node(EXPIRING, *grace, config=ACKNOWLEDGED, shards=1)
    assert server.entities() == 0
    assert len(outputs(server)) == 20


def test_a_second_crash_within_the_grace_expires_nothing_twice(node: DataNode) -> None:
    grace = ("--set", "log.recovery_grace=1h")
    server = node(EXPIRING, *grace, config=ACKNOWLEDGED)
    make_known(server)
    make_sessions(server)
    node.kill(server)
    wait_until_due()
    for shards in (3, 1):
        server = node(EXPIRING, *grace, config=ACKNOWLEDGED, shards=shards)
        assert server.entities() == 20
        node.kill(server)
    server = node(EXPIRING, "--set", "log.recovery_grace=0", config=ACKNOWLEDGED)
    eventually(lambda: len(outputs(server)) == 20, "20 expiries")
    assert server.entities() == 0


def test_grace_ends_when_all_known_senders_have_caught_up(node: DataNode) -> None:
    grace = ("--set", "log.recovery_grace=1h")
    config = ACKNOWLEDGED.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}")
    server = node(EXPIRING, *grace, config=config)
    address = "{}:{}".format(*server.sources["events"])
    said = "all senders have caught up"
    with bettong.Sender(address, source="other") as other:
        other.send({"key": "s1", "n": 0})
        assert other.flush(DEADLINE_S)
    with bettong.Sender(address, source="one", reconnect_max=0.05) as one:
        one.send({"key": "s0", "n": 0})
        assert one.flush(DEADLINE_S)
        make_sessions(server)
        node.kill(server)
        # Its backlog refreshes two of them.
        for key in ("s3", "s4"):
            one.send({"key": key, "n": 100})
        wait_until_due()
        server = node(EXPIRING, *grace, config=config, shards=3)
        assert one.flush(DEADLINE_S)
        client = server.redis()
        # The other one may still have something: s5 is spared, s3 and s4 have been refreshed.
        eventually(lambda: len(outputs(server)) == 2, "the end of those that were refreshed")
        assert {each["key"]: each["n"] for each in outputs(server)} == {"s3": 103, "s4": 104}
        assert client.hget("session:s5", "n") == "5"
        assert not any(said in line for line in server.logged())
        with bettong.Sender(address, source="other", reconnect_max=0.05) as other:
            other.send({"key": "s5", "n": 200})
            assert other.flush(DEADLINE_S)
            eventually(lambda: len(outputs(server)) == 20, "all expiries")
    assert {each["key"]: each["n"] for each in outputs(server)}["s5"] == 205
    eventually(lambda: any(said in line for line in server.logged()))


def test_grace_is_over_at_once_where_nobody_can_have_a_backlog(node: DataNode) -> None:
    grace = ("--set", "log.recovery_grace=1h")
    server = node(EXPIRING, *grace, config=ACKNOWLEDGED)
    make_sessions(server)
    node.kill(server)
    wait_until_due()
    server = node(EXPIRING, *grace, config=ACKNOWLEDGED)
    eventually(lambda: len(outputs(server)) == 20, "all expiries")


# --- files that outputs go to


def test_a_file_sink_has_each_output_once_whatever_was_killed(node: DataNode) -> None:
    path = node.launch.folder / "out.jsonl"
    config = EVENTS + file_sink_table("out", "out", path)
    for life in range(4):
        server = node(ALL_TYPES, config=config, shards=1 + life % 3)
        client = server.redis()
        for n in range(50):
            client.xadd("events", {"key": "k", "n": life * 50 + n})
        settle(client)
        node.kill(server)
    server = node(ALL_TYPES, config=config)
    assert server.terminate() == 0
    lines = path.read_text().splitlines()
    assert lines == [f'{{"key":"k","n":{n}}}' for n in range(200)]


# --- who may use a data directory


def test_a_second_process_is_refused_and_harms_nothing(node: DataNode) -> None:
    server = node()
    client = server.redis()
    client.set("k", "v")
    settle(client)
    # Stopped, the first one does not write a marker behind its last record meanwhile.
    os.kill(server.pid, signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{server.pid}/stat").read_text().rsplit(") ")[1][0] == "T")
    before = node.copy()
    code, line = node.refused()
    assert code == 1
    assert str(node.data) in line
    assert str(server.pid) in line, line
    assert node.copy() == before
    os.kill(server.pid, signal.SIGCONT)
    client.set("k", "w")
    settle(client)
    node.kill(server)
    # A lock dies with its process.
    assert node().redis().get("k") == "w"


def test_a_folder_of_something_else_is_refused(node: DataNode) -> None:
    node.data.mkdir()
    (node.data / "letter.txt").write_text("dear")
    code, line = node.refused()
    assert code == 1
    assert f"open {node.data}: it holds letter.txt but no NODE" in line
    assert sorted(path.name for path in node.data.iterdir()) == ["LOCK", "letter.txt"]
