"""`bettong wal ls`, `dump` and `verify`, on logs that real servers wrote."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps import with_prelude
from harness import Launcher, Server, ServerDied, eventually, run_bettong, source_table

APP = with_prelude(
    """
    class Host(app.Entity, ttl=timedelta(hours=1)):
        cpu: float = 0.0
        seen: int = 0
        note: str = ""
        maybe: int | None = None
        last: Array[float, 3]

        @events.on(key="key")
        def take(self, e: In):
            self.cpu = e.x
            self.seen += 1
            self.note = e.s
            self.last[self.seen % 3] = e.x
            out.emit(key=self.key, n=self.seen)
    """
)

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Node:
    """Starts one server after the other on the same data directory."""

    def __init__(self, launch: Launcher) -> None:
        self.launch = launch
        self.data = launch.folder / "data"
        self.app = launch.write_app(APP)
        self.config = launch.write_config(source_table("events", "events"))

    def __call__(self, *arguments: str, shards: int = 1, app: bool = True) -> Server:
        line: list[str | Path] = [self.app, "-c", self.config] if app else []
        line += ["--shards", str(shards), "--resp-port", "0", "--data", self.data]
        line += ["--set", "log.segment_bytes=1mb", *arguments]
        server = Server(*line, cwd=self.launch.folder)
        self.launch.servers.append(server)
        return server

    def crash(self, server: Server) -> None:
        server.process.kill()
        server.process.wait()
        server.stopped = True
        server.close_clients()

    def wal(self, command: str, *arguments: str | Path) -> str:
        """What the command prints, when all is well."""
        done = run_bettong("wal", command, self.data, *arguments)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def dump(self, *arguments: str | Path) -> list[str]:
        lines = self.wal("dump", *arguments).splitlines()
        return [line for line in lines if " open, " not in line]

    def entries(self, *arguments: str | Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.wal("dump", "--json", *arguments).splitlines()]

    def contents(self) -> dict[str, bytes]:
        files = [path for path in self.data.rglob("*") if path.is_file() and path.name != "LOCK"]
        return {str(path.relative_to(self.data)): path.read_bytes() for path in files}

    def records(self, segment: str) -> list[int]:
        """Offsets of the records of a segment, oldest first."""
        return sorted({e["offset"] for e in self.entries() if e["segment"] == segment})


@pytest.fixture
def node(launch: Launcher) -> Node:
    return Node(launch)


def write_all_kinds(node: Node) -> None:
    """A log with every kind of value, of two epochs, the first of which ended with kill -9."""
    server = node(shards=2)
    client = server.redis()
    server.feed(
        {"key": "web-01", "x": 0.5, "s": "héllo"}, {"key": "web-01", "x": 1.5, "s": "y" * 200}
    )
    client.set("greeting", "hello")
    client.set("bytes", b"\xff\x00\x01")
    client.hset("h", mapping={"a": "1", "b b": "2"})
    client.xadd("x", {"f": "v"}, id="5-1")
    client.xadd("events", {"key": "web-02", "x": "7"}, id="9-1")
    eventually(lambda: client.hget("host:web-02", "seen") == "1")
    written = ["greeting", "bytes", "h", "x", "web-02"]
    eventually(lambda: all(name in node.wal("dump") for name in written), "a durable log")
    node.crash(server)
    server = node(shards=2)
    server.feed({"key": "web-01", "x": 9})
    server.redis().set("after", "crash")
    assert server.terminate() == 0


def test_a_tiny_log_line_by_line(node: Node) -> None:
    server = node(app=False)
    client = server.redis()
    client.set("k", "v")
    client.delete("k")
    assert server.terminate() == 0
    start = r"shard-00/00000001.log @"
    where = rf"lsn \d+ epoch 1 p29 #\d {TIME}"
    lines = "\n".join(node.dump())
    assert re.fullmatch(
        rf"""{start}7208 lsn 2 epoch 1 marker durable 1
{start}7248 {where} change k string "v"
{start}\d+ {where} change k delete
{start}\d+ lsn \d+ epoch 1 marker durable \d+""",
        lines,
    ), lines
    opens = [line for line in node.wal("dump").splitlines() if " open, empty" in line]
    assert len(opens) == 64
    assert re.fullmatch(rf"{start}4096 lsn 1 epoch 1 p0 #1 {TIME} open, empty", opens[0])


def test_ls_lists_segments_and_totals(node: Node) -> None:
    write_all_kinds(node)
    lines = node.wal("ls").splitlines()
    assert re.fullmatch(r"node [0-9a-f]{32}  64 partitions", lines[0])
    segment = (
        r"shard-(\d\d)/(\d{8})\.log  epoch (\d)  lsn 1-(\d+)  (\d+) records  (\d+) sections  "
        rf"(\d+)/1048576 bytes  {TIME} to {TIME}"
    )
    found = [re.fullmatch(segment, line) for line in lines[1:-1] if "durable" not in line]
    assert [match and match.group(1, 2, 3) for match in found] == [
        ("00", "00000001", "1"),
        ("00", "00000002", "2"),
        ("01", "00000001", "1"),
        ("01", "00000002", "2"),
    ]
    durable = [line for line in lines if "durable" in line]
    assert len(durable) == 2
    assert all(re.fullmatch(r"shard-\d\d/durable  epoch 2  lsn \d+", line) for line in durable)

    def total(group: int) -> int:
        return sum(int(match[group]) for match in found if match)

    assert lines[-1] == (
        f"total  2 logs  4 segments  2 epochs  {total(5)} records  {total(6)} sections  "
        f"{total(7)}/4194304 bytes"
    )


def test_dump_shows_values_by_the_schemas_in_the_log(node: Node) -> None:
    write_all_kinds(node)
    text = "\n".join(node.dump())
    for shown in (
        r"class Host cpu:float seen:int note:str maybe:int\? last:float\[3\]",
        r'change host:web-01 create cpu=0.5 seen=1 note="héllo" maybe=null last=\{0:0 1:0.5 2:0\}',
        r'change host:web-01 delta cpu=1.5 seen=2 note="y{80}"… \(200 bytes\) last=\{2:1.5\}',
        rf"change host:web-01 deadline {TIME}",
        r'change greeting string "hello"',
        r"change bytes string 0xff0001",
        r"change h new hash",
        r'change h hash_set a="1" "b b"="2"',
        r'change x stream_append 5-1 f="v"',
        r'output out #1 \{"key":"web-01","n":1\}',
        r'input events #1 9-1 key="web-02" x="7"',
        r"applied outbox:p\d+ 1/[0-9a-f]{16}",
        r"confirmed #\d+",
        r"epoch 2 p\d+ #\d+ \S+ change host:web-01 delta cpu=9",
    ):
        assert re.search(shown, text), f"{shown}\n{text}"
    assert "open, continues epoch 1 behind #" in node.wal("dump")


def test_dump_as_json(node: Node) -> None:
    write_all_kinds(node)
    entries = node.entries()
    assert len(entries) == len(node.wal("dump").splitlines())
    creates = [e for e in entries if e.get("op") == "create" and e["key"] == "host:web-01"]
    assert creates[0]["fields"] == {
        "cpu": 0.5,
        "seen": 1,
        "note": "héllo",
        "maybe": None,
        "last": {"0": 0, "1": 0.5, "2": 0},
    }
    deltas = [e for e in entries if e.get("op") == "delta" and e["key"] == "host:web-01"]
    assert deltas[0]["fields"]["note"] == "y" * 200
    assert [e["value"] for e in entries if e.get("key") == "bytes" and e["op"] == "string"] == [
        {"hex": "ff0001"}
    ]
    kinds = {e["kind"] for e in entries}
    assert kinds >= {"open", "marker", "class", "change", "output", "input", "applied", "confirmed"}
    change = next(e for e in entries if e["kind"] == "change")
    assert set(change) >= {"segment", "offset", "lsn", "epoch", "partition", "sequence", "time_ms"}


def test_dump_of_a_part(node: Node) -> None:
    write_all_kinds(node)
    every = node.entries()
    of_key = node.entries("--key", "host:web-01")
    assert of_key == [e for e in every if e.get("key") == "host:web-01"]
    assert len({e["epoch"] for e in of_key}) == 2
    partition = of_key[0]["partition"]
    assert node.entries("--partition", str(partition)) == [
        e for e in every if e.get("partition") == partition
    ]
    assert node.entries("--shard", "1") == [e for e in every if e["segment"].startswith("shard-01")]
    late = node.entries("--from-segment", "2")
    assert late == [e for e in every if e["segment"].endswith("00000002.log")]
    # The epoch writes its own schemas.
    assert any(e.get("op") == "delta" and e["fields"]["cpu"] == 9 for e in late)


def test_verify_of_a_good_log(node: Node) -> None:
    write_all_kinds(node)
    before = node.contents()
    told = node.wal("verify")
    entries = node.entries()
    of_sections = len([e for e in entries if e["kind"] not in ("open", "marker")])
    assert re.fullmatch(
        rf"ok: 4 segments, \d+ records, \d+ sections, {of_sections} entries, 4194304 bytes\n", told
    ), (told, of_sections)
    assert node.contents() == before


def test_a_node_that_runs_is_not_disturbed(node: Node) -> None:
    server = node(shards=2)
    client = server.redis()
    stop = threading.Event()

    def write() -> None:
        connection = server.redis()
        n = 0
        while not stop.is_set():
            n += 1
            connection.set(f"k{n % 500}", f"{n:08d}" * 100)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            assert run_bettong("wal", "verify", node.data).stdout.startswith("ok: ")
            node.wal("ls")
            node.wal("dump", "--key", "k1")
    finally:
        stop.set()
        writer.join()
    assert client.ping()
    assert server.terminate() == 0
    node.wal("verify")


def flip(path: Path, offset: int) -> Path:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    return path


def test_the_first_bad_offset_is_named(node: Node) -> None:
    write_all_kinds(node)
    name = "shard-01/00000002.log"
    offset = node.records(name)[2]
    whole = node.dump("--shard", "1")
    path = flip(node.data / name, offset + 100)
    before = node.contents()
    done = run_bettong("wal", "verify", node.data)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{path} at {offset}: record 3 of epoch 2 is not whole" in done.stderr
    assert "was durable" in done.stderr
    assert "Restore the data directory from a copy" in done.stderr
    # A node says the same, and starts as little.
    with pytest.raises(ServerDied, match=re.escape(f"{path} at {offset}")) as refusal:
        node(shards=2)
    assert "exit code 1 " in str(refusal.value)
    assert node.contents() == before
    # What can be read is shown all the same.
    done = run_bettong("wal", "dump", node.data, "--shard", "1")
    assert done.returncode == 0
    shown = [line for line in done.stdout.splitlines() if " open, " not in line]
    assert shown == [line for line in whole if f"{name} @" not in line or "lsn 2 " in line]
    assert f"{path} at {offset}" in done.stderr
    done = run_bettong("wal", "ls", node.data)
    assert done.returncode == 0
    assert f"{name}  epoch 2  lsn 1-2  2 records" in done.stdout


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_an_entry_that_makes_no_sense_under_a_right_checksum(node: Node) -> None:
    server = node(app=False)
    server.redis().set("k", "some value")
    eventually(lambda: "some value" in node.wal("dump"), "a durable log")
    node.crash(server)
    name = "shard-00/00000001.log"
    entry = next(e for e in node.entries() if e.get("op") == "string")
    path, at = node.data / name, entry["offset"]
    data = bytearray(path.read_bytes())
    size = 40 + int.from_bytes(data[at + 12 : at + 16], "little")
    data[at + 40 + 32] = 99  # the kind of the first entry of the first section
    data[at + 4 : at + 8] = crc32c(bytes(data[at + 8 : at + size])).to_bytes(4, "little")
    data[at + size : at + size + 200] = bytes(200)  # a marker may have followed
    path.write_bytes(data)
    (node.data / "shard-00" / "durable").unlink()
    done = run_bettong("wal", "verify", node.data)
    assert done.returncode == 1
    assert (
        f"{path} at {at}: partition {entry['partition']}, section 2, entry of kind 99"
        in done.stderr
    )
    with pytest.raises(ServerDied, match=r"entry of kind 99 at byte 0 of the section"):
        node(app=False)
    done = run_bettong("wal", "dump", node.data)
    assert done.returncode == 0
    assert "entry of kind 99 at byte 0 is malformed" in done.stderr


def test_a_torn_tail_is_noted_and_no_fault(node: Node) -> None:
    server = node()
    server.redis().set("k", "v")
    node.crash(server)
    # As if a power failure had come in the middle of the next record, whose beginning is there.
    name = "shard-00/00000001.log"
    entries = node.entries()
    last = max(entries, key=lambda e: e["lsn"])
    path = node.data / name
    data = bytearray(path.read_bytes())
    size = 40 + int.from_bytes(data[last["offset"] + 12 : last["offset"] + 16], "little")
    end = last["offset"] + (size + 7) // 8 * 8
    data[end : end + 40] = data[last["offset"] : last["offset"] + 40]
    data[end + 16 : end + 24] = (last["lsn"] + 1).to_bytes(8, "little")
    path.write_bytes(data)
    told = node.wal("verify").splitlines()
    assert told[0].startswith("note: a node that starts here would have cut a torn tail: ")
    assert f"{path} at {end}: record {last['lsn'] + 1} of epoch 1 is not whole" in told[0]
    assert told[1].startswith("ok: 1 segments")
    server = node()
    assert any(f"cut a torn tail: {path} at {end}" in line for line in server.stderr)
    assert server.terminate() == 0
    assert node.wal("verify").startswith("ok: 2 segments")


@pytest.mark.parametrize("where", ["NODE", "shard-00/00000001.log"])
def test_another_format_version_is_refused_by_all(node: Node, where: str) -> None:
    server = node()
    server.redis().set("k", "v")
    assert server.terminate() == 0
    path = node.data / where
    if where == "NODE":
        path.write_text(path.read_text().replace("bettong 1\n", "bettong 7\n"))
    else:
        data = bytearray(path.read_bytes())
        data[8] = 7
        path.write_bytes(data)
    before = node.contents()
    told = f"{path}: format version 7, this program knows 1: written by another version of Bettong"
    done = run_bettong("wal", "verify", node.data)
    assert done.returncode == 1
    assert told in done.stderr
    with pytest.raises(ServerDied, match=re.escape(told)) as refusal:
        node()
    assert "exit code 1 " in str(refusal.value)
    assert node.contents() == before
    for command in ("ls", "dump"):
        done = run_bettong("wal", command, node.data)
        assert done.returncode == 0
        assert told in done.stderr
    assert node.contents() == before


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path, "No such file"),
    "empty": (lambda path: path.mkdir(), "NODE"),
    "a file": (lambda path: path.write_text("x"), "Not a directory"),
    "other things": (
        lambda path: (path.mkdir(), (path / "thesis.tex").write_text("x")),
        "NODE",
    ),
    "an empty NODE": (lambda path: (path.mkdir(), (path / "NODE").touch()), "NODE"),
    "noise": (lambda path: (path.mkdir(), (path / "NODE").write_bytes(b"\xff" * 9000)), "NODE"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("command", ["ls", "dump", "verify"])
def test_what_is_no_data_directory(tmp_path: Path, name: str, command: str) -> None:
    make, told = HOSTILE[name]
    path = tmp_path / "data"
    make(path)
    done = run_bettong("wal", command, path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"bettong: wal {command} {path}: ")
    assert told in done.stderr
    assert not path.exists() or not (path / "LOCK").exists()


def test_a_node_leaves_other_peoples_directories_alone(node: Node) -> None:
    node.data.mkdir()
    (node.data / "thesis.tex").write_text("x")
    with pytest.raises(ServerDied, match=re.escape("holds thesis.tex but no NODE")) as refusal:
        node()
    assert "exit code 1 " in str(refusal.value)


def test_files_of_noise_in_a_data_directory(node: Node) -> None:
    write_all_kinds(node)
    path = node.data / "shard-00" / "00000002.log"
    good = path.read_bytes()
    for bad in (
        b"",
        b"BETTONGL",
        b"\x00" * 4096,
        good[:5000],
        good[:4096],
        good + b"more",
        good[100:],
    ):
        path.write_bytes(bad)
        for command in ("ls", "dump"):
            done = run_bettong("wal", command, node.data)
            assert done.returncode == 0, (len(bad), done.stderr)
            assert "shard-01/00000002.log" in done.stdout
        assert run_bettong("wal", "verify", node.data).returncode == (
            0 if bad == good + b"more" else 1
        )
    path.write_bytes(good)
    (node.data / "shard-00" / "00000009.log").write_bytes(good)
    done = run_bettong("wal", "verify", node.data)
    assert done.returncode == 1
    assert "the segment before it is missing" in done.stderr


def test_a_log_of_several_segments(node: Node) -> None:
    server = node(app=False)
    client = server.redis()
    for n in range(400):
        client.set(f"k{n % 40}", str(n % 10) * 5000)
    assert server.terminate() == 0
    segments = node.wal("ls").splitlines()[1:-2]
    assert len(segments) >= 2
    ends = [0]
    for line in segments:
        match = re.search(r"lsn (\d+)-(\d+)  ", line)
        assert match is not None, line
        assert int(match[1]) == ends[-1] + 1
        ends.append(int(match[2]))
    entries = node.entries()
    assert {e["segment"][-12:] for e in entries} == {line.split()[0][-12:] for line in segments}
    strings = [e for e in entries if e.get("op") == "string"]
    assert len(strings) == 400
    assert [e["value"] for e in strings if e["key"] == "k39"] == ["9" * 5000] * 10
    assert node.wal("verify").startswith(f"ok: {len(segments)} segments, ")


def test_the_default_directory(node: Node) -> None:
    server = node(app=False)
    assert server.terminate() == 0
    shutil.copytree(node.data, node.launch.folder / "bettong-data")
    for command in ("ls", "dump", "verify"):
        assert run_bettong("wal", command, cwd=node.launch.folder).returncode == 0


def test_usage() -> None:
    assert run_bettong("wal").returncode == 2
    assert run_bettong("wal", "cat").returncode == 2
    assert run_bettong("wal", "dump", "--shard", "x").returncode == 2
    assert run_bettong("wal", "dump", "--partition", "-1").returncode == 2
