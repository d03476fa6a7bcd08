"""A damaged log is refused, with what, where and what to do; `--accept-loss` goes on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import bettong
import pytest

from apps import with_prelude
from datanode import DataNode, settle, snapshot
from harness import (
    DEADLINE_S,
    Server,
    eventually,
    file_sink_table,
    free_port,
    run_bettong,
    source_table,
)

COUNT = 600


def fill(server: Server, prefix: str = "k", count: int = COUNT) -> None:
    """Keys in all partitions, in records of a few each."""
    client = server.redis()
    for i in range(count):
        client.set(f"{prefix}{i}", f"v{i}")
        if i % 20 == 0:
            settle(client)
    settle(client)


def entries(node: DataNode) -> list[dict[str, Any]]:
    done = run_bettong("wal", "dump", node.data, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def place_of(node: DataNode, key: str) -> tuple[Path, int]:
    """The segment and the offset of the last record that changes the key."""
    *_, entry = (each for each in entries(node) if each.get("key") == key)
    return node.data / entry["segment"], entry["offset"]


def flip(path: Path, offset: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 0x10
    path.write_bytes(raw)


def damaged(node: DataNode, key: str = f"k{COUNT // 2}") -> tuple[Path, int]:
    path, offset = place_of(node, key)
    flip(path, offset + 60)
    return path, offset


def check_refused(node: DataNode, where: str) -> None:
    """Two starts say the same, with exit code 1, and change nothing."""
    before = node.copy()
    for _ in range(2):
        code, line = node.refused()
        assert code == 1, line
        assert where in line
        assert "Restore the data directory from a copy, or go on without what is lost" in line
        assert line.endswith("--accept-loss")
        assert node.copy() == before


def lost(server: Server) -> list[str]:
    """What the start said about the damage."""
    entries = [entry for entry in server.log() if entry["component"] == "log"]
    return [entry["message"] for entry in entries if entry["level"] == "warning"]


def test_a_damaged_record_is_refused_and_can_be_accepted(node: DataNode) -> None:
    server = node(shards=2)
    fill(server)
    expected = snapshot(server.redis(decode_responses=False))
    assert server.terminate() == 0
    path, offset = damaged(node)
    check_refused(node, f"{path} at {offset}: record ")
    before = node.copy()

    server = node(None, "--accept-loss", shards=2)
    said = lost(server)
    assert said[0].startswith("the log is damaged: ")
    assert str(path) in said[0]
    assert any(
        re.search(rf"{path} at {offset}: records \d+ to \d+ of epoch 1 are lost", line)
        for line in said
    )
    cut = {int(match[1]) for line in said if (match := re.match(r"partition (\d+): ", line))}
    assert cut
    assert str(node.data / "lost-0001") in said[-1]
    kept = snapshot(server.redis(decode_responses=False))
    # What is there is right, what was written before the damage is there, others are whole.
    assert set(kept.items()) < set(expected.items())
    assert all(b"k%d" % i in kept for i in range(COUNT // 2 - 40))
    assert len(kept) > COUNT * 0.7
    # The old log is kept as it was, beside the new one.
    aside = {f"lost-0001/{name}": raw for name, raw in before.items() if name.startswith("shard-")}
    assert aside.items() <= node.copy().items()
    fill(server, "new", 50)
    node.kill(server)

    # From here on it is a log like any other.
    assert run_bettong("wal", "verify", node.data).returncode == 0
    server = node(shards=3)
    assert lost(server) == []
    again = snapshot(server.redis(decode_responses=False))
    assert {key for key in again if not key.startswith(b"new")} == set(kept)
    assert len(again) == len(kept) + 50
    shutil.rmtree(node.data / "lost-0001")
    node.kill(server)
    assert snapshot(node().redis(decode_responses=False)) == again


def test_accepting_what_is_not_lost_changes_nothing(node: DataNode) -> None:
    server = node()
    fill(server, count=100)
    expected = snapshot(server.redis(decode_responses=False))
    node.kill(server)
    server = node(None, "--accept-loss")
    assert snapshot(server.redis(decode_responses=False)) == expected
    assert lost(server) == []
    assert not list(node.data.glob("lost-*"))


def test_a_second_loss_gets_a_folder_of_its_own(node: DataNode) -> None:
    for number in (1, 2):
        server = node(shards=1)
        fill(server, count=200)
        assert server.terminate() == 0
        damaged(node, "k100")
        server = node(None, "--accept-loss", shards=1)
        assert f"lost-000{number}" in lost(server)[-1]
        assert server.terminate() == 0


@pytest.mark.parametrize("what", ["header", "cut off", "segment", "log"])
def test_files_that_are_damaged_or_gone(node: DataNode, what: str) -> None:
    server = node(shards=2)
    for i in range(30):  # several segments in each log
        fill(server, f"s{i}-", 20)
        server.redis().set(f"large{i}", "x" * 300_000)
    expected = snapshot(server.redis(decode_responses=False))
    assert server.terminate() == 0
    segments = sorted(node.data.glob("shard-01/*.log"))
    segments = [path for path in segments if path.name[0].isdigit()]
    assert len(segments) > 2
    path = segments[1]
    where = str(path)
    if what == "header":
        flip(path, 40)
    elif what == "cut off":
        path.write_bytes(path.read_bytes()[:200_000])
    elif what == "segment":
        path.unlink()
        where = str(segments[2])
    else:
        shutil.rmtree(node.data / "shard-01")
        where = "partition "
    check_refused(node, where)
    server = node(None, "--accept-loss", shards=3)
    kept = snapshot(server.redis(decode_responses=False))
    assert set(kept.items()) < set(expected.items()) or what == "header"
    if what == "header":  # all its records can be read
        assert kept == expected
    assert len(kept) > len(expected) // 4
    assert server.terminate() == 0
    assert snapshot(node().redis(decode_responses=False)) == kept


@pytest.mark.parametrize("arguments", [(), ("--accept-loss",)])
def test_another_version_is_refused_whatever_is_accepted(
    node: DataNode, arguments: tuple[str, ...]
) -> None:
    server = node(shards=1)
    fill(server, count=20)
    assert server.terminate() == 0
    whole = node.copy()
    segment = next(path for path in sorted(node.data.glob("shard-00/0*.log")))
    raw = bytearray(segment.read_bytes())
    raw[8] = 2
    segment.write_bytes(raw)
    before = node.copy()
    code, line = node.refused(None, *arguments, shards=1)
    assert code == 1
    assert f"{segment}: format version 2" in line
    assert node.copy() == before

    node.put_back(whole)
    text = (node.data / "NODE").read_text()
    (node.data / "NODE").write_text(text.replace("bettong 1", "bettong 2"))
    before = node.copy()
    code, line = node.refused(None, *arguments, shards=1)
    assert code == 1
    assert str(node.data / "NODE") in line
    assert "2" in line
    assert node.copy() == before


def test_a_loss_that_was_not_finished_is_undone(node: DataNode) -> None:
    server = node(shards=2)
    fill(server)
    assert server.terminate() == 0
    path, offset = damaged(node)
    before = node.copy()
    aside = node.data / "lost-0001"

    # Killed while the logs were being moved.
    (node.data / "ASIDE").write_text("lost-0001\n")
    aside.mkdir()
    (node.data / "shard-00").rename(aside / "shard-00")
    check_refused_and_put_back(node, before, f"{path} at {offset}")
    # Killed while the new ones were being written.
    (node.data / "ASIDE.moved").write_text("lost-0001\n")
    aside.mkdir()
    for shard in ("shard-00", "shard-01"):
        (node.data / shard).rename(aside / shard)
    (node.data / "shard-00").mkdir()
    (node.data / "shard-00" / "00000001.log").write_bytes(b"half")
    check_refused_and_put_back(node, before, f"{path} at {offset}")
    # Killed before anything was moved.
    (node.data / "ASIDE").write_text("lost-")
    check_refused_and_put_back(node, before, f"{path} at {offset}")
    server = node(None, "--accept-loss")
    assert server.redis().get("k0") == "v0"


def check_refused_and_put_back(node: DataNode, files: dict[str, bytes], where: str) -> None:
    code, line = node.refused()
    assert code == 1
    assert where in line
    assert node.copy() == files
    assert not list(node.data.glob("ASIDE*"))
    assert not list(node.data.glob("lost-*"))


APP = with_prelude(
    """
    class Host(app.Entity, ttl=timedelta(hours=1)):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            out.emit(key=self.key, n=e.n)
    """
)


def test_sinks_get_what_comes_after_a_loss(node: DataNode, tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "out.jsonl"
    config = source_table("events", "events") + file_sink_table("file", "out", path)
    config += f"""
[sink.away]
kind = "bettong-stream"
stream = "out"
address = "127.0.0.1:{port}"
"""
    with bettong.Receiver(f"127.0.0.1:{port}", store=tmp_path / "store.db") as receiver:

        def take(count: int) -> list[int]:
            outputs = [receiver.poll(DEADLINE_S) for _ in range(count)]
            receiver.commit()
            return [output.event["n"] for output in outputs if output is not None]

        server = node(APP, config=config)
        for n in range(40):
            server.feed({"key": f"k{n}", "n": n})
        assert sorted(take(40)) == list(range(40))
        settle(server.redis())
        assert server.terminate() == 0
        assert len(path.read_text().splitlines()) == 40
        damaged(node, "host:k20")
        server = node(APP, "--accept-loss", config=config)
        assert lost(server)
        # Nothing that was written is taken back, and what is new comes, though outputs that the
        # node no longer knows to be stored may come again.
        for n in range(100, 140):
            server.feed({"key": f"k{n - 100}", "n": n})
        seen: set[int] = set()
        while not set(range(100, 140)) <= seen:
            seen.update(take(1))

        def written() -> bool:
            numbers = {json.loads(line)["n"] for line in path.read_text().splitlines()}
            return set(range(40)) | set(range(100, 140)) <= numbers

        eventually(written, "old and new lines in the file")
        assert server.terminate() == 0


def test_accept_loss_needs_a_log(node: DataNode) -> None:
    done = run_bettong("serve", "--no-data", "--accept-loss", cwd=node.launch.folder)
    assert done.returncode == 2
    assert "--accept-loss" in done.stderr
