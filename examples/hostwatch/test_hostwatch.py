"""The collector's reading of /proc, its connection, and the demo's judgement."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import child
import collector
import demo
import judge
import pytest
from bettong import _wire as wire

HERE = Path(__file__).resolve().parent

# -- golden /proc ------------------------------------------------------------------------

STAT = """\
cpu  300 10 100 800 40 0 5 6 7 0
cpu0 100 10 50 400 30 0 5 6 7 0
cpu1 200 0 50 400 10 0 0 0 0 0
intr 1042350 0 0 0
ctxt 1048365
btime 1795427730
"""

MEMINFO = """\
MemTotal:       1000000 kB
MemFree:         100000 kB
MemAvailable:    750000 kB
Buffers:          11388 kB
Cached:         3276748 kB
SwapCached:            0 kB
"""

DISKSTATS = """\
   7       0 loop0 5 0 40 0 0 0 0 0 0 0 0 0 0 0 0 0 0
   8       0 sda 184505 33304 1000 271191 48401 69014 2000 115364 1 60036 390937 1 2 3 4 5 6
   8       1 sda1 184505 33304 1000 271191 48401 69014 2000 115364 1 60036 390937
   8      16 sdb 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
"""

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0
eth0:3460 7914 0 0 0 0 0 0 4672 4642 0 0 0 0 0 0
  ifb0:       0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
"""


def process_stat(
    pid: int,
    name: str,
    ticks: int,
    *,
    state: str = "S",
    flags: int = 4194560,
    pages: int = 25,
) -> str:
    return (
        f"{pid} ({name}) {state} 1 {pid} {pid} 0 -1 {flags} 99 0 0 0 {ticks - ticks // 3} "
        f"{ticks // 3} 0 0 20 0 1 0 322735 3133440 {pages} 18446744073709551615 1 1 0 0 0\n"
    )


def test_cpus_are_read_one_by_one() -> None:
    assert collector.parse_cpus(STAT) == {
        "cpu0": collector.CpuTimes(total=601, idle=430),
        "cpu1": collector.CpuTimes(total=660, idle=410),
    }


def test_memory_is_total_and_available() -> None:
    assert collector.parse_memory(MEMINFO) == (1_024_000_000, 768_000_000)


def test_memory_of_a_kernel_that_does_not_know_what_is_available() -> None:
    old = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 1 kB\n"
    assert collector.parse_memory(old) == (1_024_000, 102_400)


def test_load_is_that_of_the_last_minute() -> None:
    assert collector.parse_load("1.10 1.74 1.44 3/96 19795\n") == 1.1


def test_disks_that_were_never_used_and_loop_devices_are_left_out() -> None:
    used = collector.Traffic(512_000, 1_024_000, busy_ms=60036)
    assert collector.parse_disks(DISKSTATS) == {"sda": used, "sda1": used}


def test_networks_with_and_without_a_blank_after_the_colon() -> None:
    assert collector.parse_networks(NET_DEV) == {
        "lo": collector.Traffic(100, 200),
        "eth0": collector.Traffic(3460, 4672),
    }


@pytest.mark.parametrize("name", ["python3", "a b", "x) R 1 (y", "(sd-pam)", ""])
def test_a_process_may_be_named_anything(name: str) -> None:
    found = collector.parse_process(process_stat(12, name, 30).encode())
    assert found == collector.ProcessStat(
        name, "S", 4194560, 30, 322735, 25 * collector.PAGE_BYTES
    )


def test_a_name_that_is_not_utf8() -> None:
    raw = process_stat(12, "NAME", 3).encode().replace(b"NAME", b"\xff\xfe")
    assert collector.parse_process(raw).name == "\ufffd\ufffd"


# -- sampling ----------------------------------------------------------------------------


T0_MS = 1_795_000_000_000
BOOT_MS = T0_MS - 10_000_000


class FakeProc:
    """A /proc of ordinary files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "proc"
        self.sys_block = folder / "block"
        (self.folder / "net").mkdir(parents=True)
        (self.sys_block / "sda").mkdir(parents=True)
        self.write("stat", STAT)
        self.write("meminfo", MEMINFO)
        self.write("loadavg", "1.10 1.74 1.44 3/96 19795\n")
        self.write("diskstats", DISKSTATS)
        self.write("net/dev", NET_DEV)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def process(self, pid: int, text: str) -> None:
        (self.folder / str(pid)).mkdir(exist_ok=True)
        self.write(f"{pid}/stat", text)

    def end(self, pid: int) -> None:
        (self.folder / str(pid) / "stat").unlink()
        (self.folder / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


@pytest.fixture
def reader(proc: FakeProc) -> Iterator[collector.Collector]:
    made = collector.Collector(proc.folder, proc.sys_block, BOOT_MS)
    yield made
    made.close()


def samples(reader: collector.Collector, clock_s: float) -> dict[str, dict[str, Any]]:
    data = reader.sample(T0_MS + round(clock_s * 1000), clock_s)
    return {line["name"]: line for line in map(json.loads, data.splitlines())}


def test_the_first_sample_only_sets_the_marks(reader: collector.Collector) -> None:
    assert reader.sample(1000, 50.0) == b""


def test_rates_are_those_since_the_sample_before(
    proc: FakeProc, reader: collector.Collector
) -> None:
    samples(reader, 10.0)
    proc.write("stat", STAT.replace("cpu0 100 10 50 400", "cpu0 115 10 50 405"))
    proc.write(
        "diskstats", DISKSTATS.replace(" 2000 115364 1 60036", " 2010 115364 1 60136")
    )
    proc.write("net/dev", NET_DEV.replace("eth0:3460", "eth0:4460"))
    now = samples(reader, 10.2)
    assert now["cpu0"]["value"] == 75.0
    assert now["cpu1"]["value"] == 0.0
    assert now["memory"]["value"] == 25.0
    assert now["load"] == {
        "ts": T0_MS + 10_200,
        "kind": "load",
        "name": "load",
        "value": 1.1,
        "unit": "processes",
    }
    assert now["sda"] == {
        "ts": T0_MS + 10_200,
        "kind": "disk",
        "name": "sda",
        "value": 50.0,
        "incoming": 0.0,
        "outgoing": 25600.0,
    }
    assert now["eth0"]["value"] == now["eth0"]["incoming"] == 5000.0
    assert "sda1" not in now, "a partition is no disk"


def test_counters_that_were_reset_are_no_negative_rates(
    proc: FakeProc, reader: collector.Collector
) -> None:
    samples(reader, 10.0)
    proc.write("net/dev", NET_DEV.replace("eth0:3460", "eth0:1"))
    assert samples(reader, 10.2)["eth0"]["value"] == 0.0


def test_a_process_and_its_cpu(proc: FakeProc, reader: collector.Collector) -> None:
    proc.process(12, process_stat(12, 'a "b"', 100))
    samples(reader, 10.0)
    proc.process(12, process_stat(12, 'a "b"', 110))
    now = samples(reader, 10.2)['a "b"']
    assert (now["pid"], now["kind"], now["value"]) == (12, "process", 50.0)
    assert now["rss"] == 25 * collector.PAGE_BYTES
    assert now["started"] == BOOT_MS + 322735 * 1000 // collector.TICKS_PER_SECOND


def test_a_new_process_has_used_its_cpu_since_the_last_sample(
    proc: FakeProc, reader: collector.Collector
) -> None:
    samples(reader, 10.0)
    started = (T0_MS + 10_050 - BOOT_MS) * collector.TICKS_PER_SECOND // 1000
    proc.process(12, process_stat(12, "new", 15).replace("322735", str(started)))
    assert samples(reader, 10.2)["new"]["value"] == 75.0


def test_an_old_process_seen_late_has_not_just_used_all_its_cpu(
    proc: FakeProc, reader: collector.Collector
) -> None:
    samples(reader, 10.0)
    proc.process(12, process_stat(12, "old", 100_000))
    assert samples(reader, 10.2)["old"]["value"] == 0.0


def test_kernel_threads_and_zombies_are_left_out(
    proc: FakeProc, reader: collector.Collector
) -> None:
    proc.process(2, process_stat(2, "kthreadd", 0, flags=2129984))
    proc.process(3, process_stat(3, "zombie", 100, state="Z"))
    proc.process(4, process_stat(4, "alive", 100))
    samples(reader, 10.0)
    now = samples(reader, 10.2)
    assert "alive" in now
    assert not {"kthreadd", "zombie"} & now.keys()


def test_no_more_processes_than_allowed(
    proc: FakeProc,
    reader: collector.Collector,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(reader, "_processes_max", 2)
    for pid in (11, 12, 13):
        proc.process(pid, process_stat(pid, f"p{pid}", 0))
    samples(reader, 10.0)
    now = samples(reader, 10.2)
    assert len([line for line in now.values() if line["kind"] == "process"]) == 2
    assert capsys.readouterr().err.count("more than 2 processes") == 1


def test_this_very_process_comes_and_goes() -> None:
    reader = collector.Collector()
    samples(reader, time.monotonic())
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    ) as born:
        data = reader.sample(time.time_ns() // 1_000_000, time.monotonic())
        (line,) = [
            line
            for line in map(json.loads, data.splitlines())
            if line.get("pid") == born.pid
        ]
        assert abs(line["started"] - time.time() * 1000) < 5000
    data = reader.sample(time.time_ns() // 1_000_000, time.monotonic())
    assert f'"pid":{born.pid},'.encode() not in data
    reader.close()


# -- the connection ----------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(10)
        yield made


def test_the_link_waits_ever_longer_until_somebody_listens(
    listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    address = listener.getsockname()
    listener.close()
    waits: list[float] = []
    opened: list[socket.socket] = []

    def sleep(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 8:
            opened.append(socket.create_server(address))

    link = collector.Link(*address, sleep=sleep)
    link.connect()
    link.close()
    opened[0].close()
    assert len(waits) == 8
    for i, wait_s in enumerate(waits):
        assert wait_s == pytest.approx(min(0.1 * 2**i, 5.0), rel=0.21)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, "the same trouble is told once"
    assert "Connection refused; trying again" in lines[0]
    assert "connected to" in lines[1]


def test_the_link_connects_anew_when_it_was_cut(listener: socket.socket) -> None:
    link = collector.Link(*listener.getsockname(), sleep=lambda wait_s: None)
    link.connect()
    assert link.send(b"first\n")
    peer, _ = listener.accept()
    assert peer.recv(100) == b"first\n"
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()  # with a reset
    while link.send(b"lost\n"):
        pass
    link.connect()
    assert link.send(b"second\n")
    peer, _ = listener.accept()
    assert peer.recv(100) == b"second\n"
    peer.close()
    link.close()


def test_a_receiver_that_does_not_read_is_left_after_a_while(
    listener: socket.socket,
) -> None:
    link = collector.Link(
        *listener.getsockname(), sleep=lambda wait_s: None, timeout_s=0.05
    )
    link.connect()
    assert not link.send(b"x" * 50_000_000)
    link.close()


def start_collector(*arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, str(HERE / "collector.py"), "--interval", "0.02"]
    return subprocess.Popen(
        [*line, *arguments], stderr=subprocess.PIPE, text=True, env={}
    )


class Node:
    """A source of kind bettong-stream, for one sender at a time."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.events: list[bytes] = []  # ids are 1, 2, ...
        self.hello: wire.Hello | None = None
        self.has_many = threading.Event()

    def serve(self, until: int | None, *, acknowledge: bool = True) -> None:
        """One connection, until so many events in all have come, or to its end."""
        connection, _ = self.listener.accept()
        reader = wire.FrameReader([wire.HELLO, wire.MSG, wire.PING])
        with connection:
            connection.settimeout(10)
            while until is None or len(self.events) < until:
                data = connection.recv(65536)
                if not data:
                    return
                reader.feed(data)
                while (found := reader.next()) is not None:
                    frame = wire.decode(*found)
                    if isinstance(frame, wire.Hello):
                        self.hello = frame
                        connection.sendall(wire.welcome(len(self.events), 1 << 62))
                    elif isinstance(frame, wire.Msg):
                        assert frame.id == len(self.events) + 1
                        self.events.append(frame.event)
                if len(self.events) >= 400:
                    self.has_many.set()
                if acknowledge and self.events:
                    connection.sendall(wire.ack(len(self.events), 1 << 62))


def test_the_collector_as_a_source_loses_and_repeats_nothing(
    listener: socket.socket,
) -> None:
    host, port = listener.getsockname()
    arguments = ["--connect", f"{host}:{port}", "--source", "web-01", "--token", "s3"]
    process = start_collector(*arguments)
    try:
        node = Node(listener)
        node.serve(200, acknowledge=False)  # and it breaks off
        assert node.hello is not None
        assert (node.hello.source, node.hello.token) == ("web-01", "s3")
        ended = threading.Thread(target=node.serve, args=(None,))
        ended.start()
        assert node.has_many.wait(20)
        process.terminate()
        _, said = process.communicate(timeout=20)
        ended.join(20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    # Those of before the break, too.
    assert f"collector: {len(node.events)} samples acknowledged\n" in said
    samples = [json.loads(event) for event in node.events]
    assert {"cpu", "memory", "process"} <= {sample["kind"] for sample in samples}
    # A thing is sampled once at a time: nothing came twice.
    seen = [(s["ts"], s["kind"], s["name"], s.get("pid")) for s in samples]
    assert len(set(seen)) == len(seen)


def test_the_collector_ends_when_the_node_refuses_it(listener: socket.socket) -> None:
    host, port = listener.getsockname()
    process = start_collector("--connect", f"{host}:{port}", "--source", "x")
    try:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(wire.error(wire.DENIED, "no source of this name"))
            _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert "no source of this name" in said
    assert "acknowledged" not in said, "it never was connected"


def test_the_collector_says_what_it_could_not_send(listener: socket.socket) -> None:
    sender = collector.make_sender(listener.getsockname(), "x", "")
    link = collector.AcknowledgedLink(sender, flush_s=0.01)
    node = Node(listener)
    served = threading.Thread(
        target=node.serve, args=(2,), kwargs={"acknowledge": False}
    )
    served.start()
    link.connect()
    assert link.send(b'{"a":1}\n{"b":2}\n')
    served.join(10)
    assert node.events == [b'{"a":1}', b'{"b":2}']
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collector, "say", said.append)
        link.close()
    assert said == ["0 samples acknowledged, 2 not"]


def test_what_the_node_knew_before_is_not_counted(listener: socket.socket) -> None:
    sender = collector.make_sender(listener.getsockname(), "x", "")
    link = collector.AcknowledgedLink(sender)
    node = Node(listener)
    node.events += [b"of an earlier process"] * 3
    served = threading.Thread(target=node.serve, args=(None,))
    served.start()
    link.connect()
    assert link.send(b'{"a":1}\n{"b":2}\n')
    link.connect()  # as before every sample
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collector, "say", said.append)
        link.close()
    served.join(10)
    assert said == ["2 samples acknowledged"]


@pytest.mark.parametrize(
    "arguments", [["--source", "x"], ["--connect", "127.0.0.1:1", "--source", ""]]
)
def test_a_source_needs_a_name_and_a_node(arguments: list[str]) -> None:
    process = start_collector(*arguments)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "--source needs" in said


@pytest.mark.parametrize("text", ["nowhere", "host:", "host:0", "host:65536", "host:x"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        collector.parse_address(text)


def test_addresses() -> None:
    assert collector.parse_address("example.org:9000") == ("example.org", 9000)
    assert collector.parse_address("[::1]:9000") == ("::1", 9000)
    assert collector.parse_address(":9000") == ("127.0.0.1", 9000)


# -- the demo's judgement ----------------------------------------------------------------

HIGH = {"at": 1, "state": "high", "key": "process:77", "seconds": 3.0}
CALM = {"at": 2, "state": "calm", "key": "process:77", "seconds": 3.0}
GONE = {"at": 3, "state": "gone", "key": "process:77", "seconds": 8.1}


def test_both_alerts_are_demanded() -> None:
    check = judge.Check(77, "job")
    assert len(check.missing()) == 2
    check.see(HIGH)
    check.see(GONE)
    assert check.missing() == []


@pytest.mark.parametrize(
    "other",
    [
        {"state": "high", "key": "process:777"},
        {"state": "high", "key": "part:cpu0"},
        {"state": "calm", "key": "process:77"},
        {"state": "growing", "key": "process:77"},
        {},
    ],
)
def test_alerts_of_others_do_not_count(other: dict[str, Any]) -> None:
    check = judge.Check(77, "job")
    check.see(other)
    check.see(GONE)
    assert check.missing() == ['the CPU alert ("high") of process:77 (job)']


def test_without_gone_the_check_says_so() -> None:
    check = judge.Check(77, "job")
    check.see(HIGH)
    assert check.missing() == ['the "gone" alert of process:77 (job)']


@pytest.mark.parametrize("payload", ["", "nonsense", "[]", "1", '"text"'])
def test_an_alert_that_is_no_json_object_fails_the_demo(payload: str) -> None:
    with pytest.raises(judge.DemoFailed):
        judge.decode_alert(payload)


def troubles_of(*alerts: dict[str, Any], seen: Sequence[dict[str, Any]] = ()) -> str:
    lines = [json.dumps(alert) for alert in alerts]
    return "\n".join(judge.file_troubles(lines, "", seen, "process:77"))


@pytest.mark.parametrize(
    "alerts",
    [
        [HIGH, GONE],
        [HIGH, CALM, {**HIGH, "at": 3}, GONE],
        # The machine stood still for longer than a TTL: two lives.
        [HIGH, GONE, {**HIGH, "at": 9}, {**GONE, "at": 10, "seconds": 12.0}],
        [{**HIGH, "key": "process:7"}, HIGH, GONE, {**GONE, "key": "process:7"}],
    ],
)
def test_lives_that_are_no_trouble(alerts: list[dict[str, Any]]) -> None:
    seen = [dict(reversed(alert.items())) for alert in alerts]
    assert troubles_of(*alerts, seen=seen) == ""


@pytest.mark.parametrize(
    ("alerts", "trouble"),
    [
        ([HIGH, HIGH, GONE], "repeated: 2 times in the file"),
        ([HIGH, {**HIGH, "at": 2}, GONE], 'repeated: "high" of process:77'),
        ([HIGH, GONE, {**GONE, "at": 4}], 'repeated: "gone" of process:77'),
        ([HIGH, CALM, {**CALM, "at": 3}, GONE], 'lost: "calm" of process:77'),
        ([HIGH], "lost: the file has no 'gone' of process:77"),
        ([GONE], "lost: the file has no 'high' of process:77"),
    ],
)
def test_what_no_life_brings_forth(alerts: list[dict[str, Any]], trouble: str) -> None:
    assert trouble in troubles_of(*alerts)


def test_what_came_through_the_port_is_in_the_file_and_came_once() -> None:
    other = {**HIGH, "key": "part:cpu0"}
    assert "lost: came through the port" in troubles_of(HIGH, GONE, seen=[other])
    assert "repeated: came 2 times" in troubles_of(HIGH, GONE, seen=[HIGH, HIGH])


def test_a_file_that_ends_in_the_middle_of_a_line() -> None:
    lines = [json.dumps(HIGH), json.dumps(GONE)]
    (trouble,) = judge.file_troubles(lines, '{"at":', [], "process:77")
    assert "in the middle of a line" in trouble


@pytest.mark.parametrize(
    ("sent", "counted", "failed", "trouble"),
    [
        ((1000, 0), 1000, 0, ""),
        ((1000, 0), 998, 2, ""),
        ((1000, 0), 999, 0, "lost: 1,000 samples acknowledged, 999 counted"),
        ((1000, 0), 998, 1, "lost: 1,000 samples acknowledged, 998 counted, 1 dead"),
        ((1000, 0), 1001, 0, "repeated: 1,000 samples acknowledged, 1,001 counted"),
        # Those that the collector did not get acknowledged in time may have arrived.
        ((1000, 7), 1007, 0, ""),
        ((1000, 7), 1008, 0, "repeated"),
        ((1000, 7), 999, 0, "lost"),
    ],
)
def test_counts(sent: tuple[int, int], counted: int, failed: int, trouble: str) -> None:
    said = judge.count_trouble(judge.Sent(*sent), counted, failed)
    assert trouble in said
    assert bool(said) == bool(trouble)


def test_what_the_collector_said() -> None:
    lines = ["collector: 127.0.0.1:1: Connection refused; trying again"]
    assert judge.parse_sent(lines) is None
    assert judge.parse_sent([*lines, "collector: 12 samples acknowledged"]) == (12, 0)
    assert judge.parse_sent(["collector: 1 samples acknowledged, 3 not"]) == (1, 3)


@pytest.mark.parametrize(
    ("ms", "went_on"),
    [
        (58_900, True),
        (58_500, True),
        (60_000, False),
        (59_900, False),
        (57_500, False),
        (-2, False),
    ],
)
def test_a_ttl_went_on(ms: int, went_on: bool) -> None:
    before = judge.Left(60_000, 10.0, 10.1)
    after = judge.Left(ms, 11.0, 11.6)  # 0.9 to 1.6 s later
    assert (judge.ttl_trouble(before, after) == "") == went_on


def test_idle_processes_that_ended_together_share_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = [
        {
            "state": "gone",
            "key": f"process:{pid}",
            "name": "sh",
            "mean": 0.5,
            "text": "lived",
        }
        for pid in (1, 2, 3)
    ]
    assert all(map(demo.is_idle_gone, ended))
    assert not demo.is_idle_gone({**ended[0], "mean": 1.0})
    assert not demo.is_idle_gone({**ended[0], "state": "high"})
    assert not demo.is_idle_gone({**ended[0], "key": "part:eth0"})
    screen = demo.Screen()
    screen.idle_gone(ended)
    screen.idle_gone(ended[:1])
    together, alone = capsys.readouterr().out.splitlines()
    assert together.endswith(
        "GONE     process:1 sh                     idle; so were sh 2, sh 3"
    )
    assert alone.endswith("GONE     process:1 sh                     lived")


def test_the_ready_line() -> None:
    line = "ready resp=127.0.0.1:6390 source.metrics=[::1]:9000 http=127.0.0.1:80"
    assert child.parse_ready(line) == {
        "resp": ("127.0.0.1", 6390),
        "source.metrics": ("::1", 9000),
        "http": ("127.0.0.1", 80),
    }


def test_demo_seconds_leave_time_for_the_check() -> None:
    assert demo.demo_seconds("30", 8) == 30
    assert demo.demo_seconds("0", 8) == 0
    assert demo.demo_seconds("3", 8) == 8 + demo.USUALLY_S
    for wrong in ("soon", "-1", "nan", "inf"):
        with pytest.raises(SystemExit):
            demo.demo_seconds(wrong, 8)


# -- the whole demo, before a stand-in for the program ------------------------------------


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    path = tmp_path / "bettong"
    path.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/fake_bettong.py" "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


GOOD = ("", "loses", "counts-twice", "loses-alert", "repeats", "fresh-ttl")


def folders(fake: Path) -> list[Path]:
    return list(fake.parent.glob("bettong-demo-*"))


def run_demo(
    fake: Path, monkeypatch: pytest.MonkeyPatch, mode: str, port: int = 0
) -> int:
    monkeypatch.setenv("FAKE_BETTONG", mode)
    monkeypatch.setenv("DEMO_SECONDS", "1")
    monkeypatch.setattr(demo, "USUALLY_S", 0.5)
    for name in ("ALERT", "CAUGHT_UP", "GONE"):
        monkeypatch.setattr(demo, f"{name}_WITHIN_S", 8.0 if mode in GOOD else 2.0)
    monkeypatch.setattr(demo, "ASK_AGAIN_S", 0.1)
    if mode == "stubborn":
        monkeypatch.setattr(demo, "STOP_WITHIN_S", 1.0)
    monkeypatch.setattr(tempfile, "tempdir", str(fake.parent))
    before = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        line = [
            "--bettong",
            str(fake),
            "--resp-port",
            str(port),
            "--busy-seconds",
            "0.5",
        ]
        return demo.main(line)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_demo_passes_and_shows_answers(
    fake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_demo(fake, monkeypatch, "", port) == 0
    shown = capsys.readouterr().out
    assert f"port {port} is in use; taking a free one" in shown
    assert "  HIGH     process:" in shown
    assert "  GONE     process:" in shown
    assert '  "part:cpu0"' in shown
    assert "EXISTS process:" in shown
    assert "kill -9 " in shown
    assert "starting it again" in shown
    nothing = (
        r"nothing lost, nothing repeated: ([\d,]+) samples acknowledged, \1 counted\n"
    )
    assert re.search(nothing, shown), shown
    assert "each once; 3 are in the file, each once, these among them" in shown
    assert "(bettong-busy): 1 high, 1 gone\n" in shown
    assert "TTLs went on" in shown
    assert shown.endswith("demo: PASSED\n")
    assert folders(fake) == []


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("no-gone", 'missing: the "gone" alert of process:'),
        ("no-high", 'missing: the CPU alert ("high") of process:'),
        ("not-ready", "the server ended with exit code 3 before it was ready"),
        ("crash", "the server ended with exit code 70"),
        ("bad-answer", "mean: (error) ERR planted"),
        ("stubborn", "the second server had to be killed"),
        ("no-return", "the second server ended with exit code 3"),
        ("loses", "lost: "),
        ("counts-twice", "repeated: "),
        ("loses-alert", "lost: came through the port, and is not in the file: "),
        ("repeats", "repeated: 2 times in the file: "),
        ("forgets", "lost: process:"),
        ("fresh-ttl", "the TTL did not go on: PTTL was "),
    ],
)
def test_the_demo_fails_and_says_why(
    mode: str,
    reason: str,
    fake: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_demo(fake, monkeypatch, mode) == 1
    shown = capsys.readouterr().out
    assert reason in shown
    assert "the last lines of the server" in shown
    assert "| bettong: a line on stderr" in shown
    (folder,) = folders(fake)
    assert f"log and alerts are in {folder}\n" in shown
    assert (folder / "data").is_dir()
    assert shown.endswith("demo: FAILED\n")


def test_a_program_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(tmp_path / "none", monkeypatch, "") == 1
    assert "cannot start" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(
    fake: Path, number: signal.Signals
) -> None:
    running = subprocess.Popen(
        [
            sys.executable,
            str(HERE / "demo.py"),
            "--bettong",
            str(fake),
            "--resp-port",
            "0",
        ],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
        env={
            **os.environ,
            "DEMO_SECONDS": "0",
            "FAKE_BETTONG": "",
            "TMPDIR": str(fake.parent),
        },
    )
    assert running.stdout is not None
    shown = ""
    while "starting bettong-busy" not in shown:
        line = running.stdout.readline()
        assert line, shown
        shown += line
    children = (
        Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    )
    assert len(children) == 3
    running.send_signal(number)
    running.stdout.read()
    assert running.wait(20) == 128 + number
    running.stdout.close()
    for pid in children:
        assert not Path(f"/proc/{pid}").exists()
    assert folders(fake) == []
