"""A disk that is full: writes are refused, reads go on, and it resumes by itself."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import bettong
import pytest
import redis

from apps import with_prelude
from datanode import DataNode, settle, snapshot
from harness import (
    DEADLINE_S,
    Launcher,
    RedisClient,
    eventually,
    source_table,
    view_entry,
)

MISCONF = "MISCONF"


class Disk:
    """A place for data directories that can be full, for one process or for all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, pid: int) -> None:
        raise NotImplementedError

    def free(self, pid: int) -> None:
        raise NotImplementedError


class LimitedDisk(Disk):
    """Needs no rights: files of the process may not grow beyond a limit."""

    def fill(self, pid: int) -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (64 << 10, hard))

    def free(self, pid: int) -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


class MountedDisk(Disk):
    """A file system in memory, filled by somebody else's file."""

    def fill(self, pid: int) -> None:
        del pid
        with open(self.path / "filling", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(64 << 10))
            except OSError:
                pass

    def free(self, pid: int) -> None:
        del pid
        (self.path / "filling").unlink()


def can_mount() -> bool:
    """Whether this process may mount a file system."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none"]
    with tempfile.TemporaryDirectory() as path:
        if subprocess.run([*mount, path], capture_output=True, check=False).returncode != 0:
            return False
        subprocess.run(["umount", path], check=True)
    return True


DISKS: list[type[Disk]] = [LimitedDisk, MountedDisk] if can_mount() else [LimitedDisk]


@pytest.fixture(params=DISKS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    kind: type[Disk] = request.param
    path = tmp_path / "disk"
    path.mkdir()
    if kind is not MountedDisk:
        yield kind(path)
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(path)], check=True)
    try:
        yield kind(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


APP = with_prelude(
    """
    class Host(app.Entity, ttl=timedelta(seconds=3)):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += e.n

        @app.command(create=True)
        def nothing(self):
            return None

        def on_expire(self):
            out.emit(key=self.key, n=self.n)
    """
)

COMMANDS: list[tuple[str, ...]] = [
    ("SET", "new", "v"),
    ("INCR", "number"),
    ("HSET", "hash", "f", "v"),
    ("HDEL", "hash", "f1"),
    ("XADD", "stream", "*", "f", "v"),
    ("XTRIM", "stream", "MAXLEN", "0"),
    ("DEL", "string"),
    ("UNLINK", "string"),
    ("EXPIRE", "string", "100"),
    ("PERSIST", "string"),
    ("MSET", "a", "1", "b", "2"),
    ("GETDEL", "string"),
    ("FLUSHALL",),
]


def fill_until_refused(client: RedisClient) -> int:
    """SETs until one is refused; how many were not."""
    for n in itertools.count():
        try:
            client.set("filler", f"{n}:" + "x" * 20_000)
        except redis.ResponseError as error:
            if not str(error).startswith(MISCONF):
                raise
            return n
    raise AssertionError


def refuses_writes(client: RedisClient) -> Callable[[], bool]:
    def refused() -> bool:
        try:
            client.set("probe", "x")
        except redis.ResponseError as error:
            if not str(error).startswith(MISCONF):
                raise
            return True
        return False

    return refused


def accepts_writes(client: RedisClient) -> Callable[[], bool]:
    refused = refuses_writes(client)
    return lambda: not refused()


def test_writes_are_refused_reads_go_on_and_it_resumes(disk: Disk, launch: Launcher) -> None:
    node = DataNode(launch, disk.path / "data")
    server = node(None, shards=1)
    client = server.redis()
    client.set("string", "s")
    client.hset("hash", mapping={"f1": "1", "f2": "2"})
    client.xadd("stream", {"f": "v"})
    settle(client)
    disk.fill(server.pid)
    written = fill_until_refused(client)
    eventually(refuses_writes(client))
    for command in COMMANDS:
        with pytest.raises(redis.ResponseError, match=r"^MISCONF") as refused:
            client.execute_command(*command)
        assert "disk" in str(refused.value), refused.value
    assert client.get("string") == "s"
    assert client.hgetall("hash") == {"f1": "1", "f2": "2"}
    assert client.xlen("stream") == 1
    assert client.get("new") is None
    assert written > 0
    assert client.ping()
    # The room that is left for records under way is no room.
    assert all(refuses_writes(client)() for _ in range(300))

    def notices() -> int:
        return sum("is full: sources are not read" in line for line in server.logged())

    eventually(notices)
    assert notices() == 1

    disk.free(server.pid)
    eventually(accepts_writes(client), "writes are taken again")
    eventually(lambda: "there is room on the disk again" in server.logged())
    client.set("after", "a")
    settle(client)
    expected = snapshot(server.redis(decode_responses=False))
    node.kill(server)
    server = node(None, shards=1)
    assert snapshot(server.redis(decode_responses=False)) == expected
    assert server.redis().get("after") == "a"


def test_expiries_wait_and_their_keys_read_as_absent(disk: Disk, launch: Launcher) -> None:
    node = DataNode(launch, disk.path / "data")
    server = node(APP, config="", shards=1)
    client = server.redis()
    settle(client)
    disk.fill(server.pid)
    fill_until_refused(client)
    disk.free(server.pid)
    eventually(accepts_writes(client))
    client.xadd("events", {"key": "k", "n": 5})
    eventually(lambda: client.hget("host:k", "n") == "5")
    client.set("string", "s", px=600)
    settle(client)
    disk.fill(server.pid)
    fill_until_refused(client)
    eventually(refuses_writes(client))
    eventually(lambda: client.get("string") is None)
    eventually(lambda: not client.exists("host:k"))
    assert client.hgetall("host:k") == {}
    assert client.xlen("out") == 0
    disk.free(server.pid)
    eventually(lambda: client.xlen("out") == 1, "the expiry has its turn")


def test_sources_wait_and_lose_nothing(disk: Disk, launch: Launcher) -> None:
    acknowledged = """
        [source.acknowledged]
        kind = "bettong-stream"
        listen = "127.0.0.1:0"
        stream = "events"
    """
    node = DataNode(launch, disk.path / "data")
    config = source_table("plain", "events") + textwrap.dedent(acknowledged)
    server = node(APP, config=config, shards=1)
    client = server.redis()
    settle(client)
    address = "{}:{}".format(*server.sources["acknowledged"])
    with bettong.Sender(address, source="s") as sender:
        sender.send({"key": "a", "n": 1})
        assert sender.flush(DEADLINE_S)
        plain = server.source("plain").lines({"key": "p", "n": 1})
        eventually(lambda: client.exists("host:p") or client.xlen("out") > 0)
        disk.fill(server.pid)
        fill_until_refused(client)
        eventually(refuses_writes(client))
        with pytest.raises(redis.ResponseError, match=r"^MISCONF"):
            client.xadd("events", {"key": "c", "n": 1})
        with pytest.raises(redis.ResponseError, match=r"^MISCONF"):
            client.execute_command("CALL", "host:a", "nothing")
        # What each source has in its hands when it notices may be taken; nothing after it is.
        plain.lines({"key": "p", "n": 10})
        sender.send({"key": "a", "n": 10})

        def held(name: str) -> Callable[[], bool]:
            word = "closed (the log's disk is full)"
            return lambda: client.info("bettong")[f"source_{name}_admission"] == word

        eventually(held("plain"), "the plain source waits")
        eventually(held("acknowledged"), "the acknowledged source waits")
        sender.send({"key": "a", "n": 100})
        assert sender.durable <= 2
        disk.free(server.pid)
        eventually(accepts_writes(client))
        assert sender.flush(DEADLINE_S)
        plain.lines({"key": "p", "n": 100}).finish()
    eventually(lambda: totals(client) == {"a": 111, "p": 111}, "each event once")


def totals(client: RedisClient) -> dict[str, int]:
    """What has been counted for each key, by living entities and by those that expired."""
    sums: dict[str, int] = {}
    for _, fields in client.xrange("out"):
        event = view_entry(fields)
        sums[event["key"]] = sums.get(event["key"], 0) + event["n"]
    for key in ("a", "p"):
        sums[key] = sums.get(key, 0) + int(client.hget(f"host:{key}", "n") or 0)
    return sums


def test_sigterm_with_a_full_disk_says_what_is_lost(disk: Disk, launch: Launcher) -> None:
    node = DataNode(launch, disk.path / "data")
    server = node(None, shards=1)
    client = server.redis()
    client.set("k", "v")
    settle(client)
    disk.fill(server.pid)
    fill_until_refused(client)
    eventually(refuses_writes(client))
    assert server.terminate() == 0
    if isinstance(disk, MountedDisk):
        # There was room for what had been taken.
        disk.free(server.pid)
    else:
        text = "shutdown: the disk is full: what is not on it yet is lost"
        assert any(text in line for line in server.logged()), server.logged()
    assert node(None, shards=1).redis().get("k") == "v"


def test_a_start_on_a_full_disk_says_so(disk: Disk, launch: Launcher) -> None:
    disk.fill(os.getpid())  # what it starts has its limit
    try:
        code, line = DataNode(launch, disk.path / "data").refused()
    finally:
        disk.free(os.getpid())
    assert code == 1
    assert "No space left on device" in line or "File too large" in line, line
    assert str(disk.path) in line
