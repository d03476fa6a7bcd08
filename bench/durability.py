"""What the log costs: each figure with the log on beside the same with it off, in one run.

.venv/bin/python bench/durability.py alerts [EVENTS]     Sender -> alerts -> file sink
.venv/bin/python bench/durability.py latency [SECONDS]   event in -> alert at a Receiver, 20k/s
.venv/bin/python bench/durability.py checkpoint [SECONDS]   the same, with rounds of 500,000 entities
.venv/bin/python bench/durability.py set [COMMANDS]      SET -P 16, against Redis's appendonly
.venv/bin/python bench/durability.py recovery [ENTITIES]

A thread that sleeps for a millisecond at a time runs beside each; a run of which it was late by
more than a millisecond at the 99th percentile says little about latency.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import peers

sys.path[:0] = [str(peers.ROOT / "clients/python")]

from bettong import Receiver, Sender

ALERTS = "examples/alerts/alerts.py"


def quantile(values: list[float], of: float) -> float:
    return (
        sorted(values)[min(int(len(values) * of), len(values) - 1)] if values else 0.0
    )


class Probe:
    """How late a thread wakes that wants to wake every millisecond: what neighbours cost."""

    def __init__(self) -> None:
        self._late_ms: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            begin = time.perf_counter()
            time.sleep(0.001)
            self._late_ms.append((time.perf_counter() - begin) * 1000 - 1)

    def stop(self) -> str:
        self._stop.set()
        self._thread.join()
        late = self._late_ms
        p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
        return f"probe p50 {p50:.2f} p99 {p99:.2f} max {max(late):.0f} ms late"


@contextlib.contextmanager
def node(*arguments: str, data: Path | None) -> Iterator[peers.Server]:
    server, _ = peers.bettong(*arguments, data=data)
    try:
        yield server
    finally:
        server.stop()


def address(server: peers.Server, name: str) -> str:
    match = re.search(rf"{re.escape(name)}=([^ ]*:\d+)", server.line)
    assert match is not None, server.line
    return match[1]


def threads_s(server: peers.Server) -> dict[str, float]:
    """CPU seconds by thread name, numbers left out."""
    used: dict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        name = re.sub(r"[-\d]+$", "", (task / "comm").read_text().strip())
        used[name] += int((task / "schedstat").read_text().split()[0]) / 1e9
    return used


def stream_source(name: str, stream: str) -> list[str]:
    keys = {"kind": "bettong-stream", "listen": "127.0.0.1:0", "stream": stream}
    return [
        part for key in keys for part in ("--set", f"source.{name}.{key}={keys[key]}")
    ]


def metric(server: peers.Server, name: str) -> float:
    """The sum over its labels."""
    url = f"http://{address(server, 'http')}/metrics"
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    rows = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
    assert rows, name
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


def log_bytes(data: Path) -> int:
    return sum(file.stat().st_size for file in data.rglob("*") if file.is_file())


def alerts_once(
    lines: list[bytes], data: Path | None, out: Path
) -> tuple[float, float, str]:
    sink = ["--set", "sink.out.kind=file", "--set", "sink.out.stream=alerts"]
    sink += ["--set", f"sink.out.path={out}"]
    with node(ALERTS, *stream_source("in", "events"), *sink, data=data) as server:
        before, begin = threads_s(server), time.perf_counter()
        with Sender(address(server, "source.in"), source="bench") as sender:
            for line in lines:
                sender.send(line)
            sender.flush()
        seconds = time.perf_counter() - begin
        after = threads_s(server)
        million = len(lines) / 1e6
        logged = metric(server, "bettong_log_written_bytes_total") if data else 0
        by_thread = {
            name: (used - before.get(name, 0.0)) / million
            for name, used in after.items()
        }
        names = sorted(by_thread, key=lambda name: -by_thread[name])
        text = ", ".join(
            f"{n} {by_thread[n]:.2f}" for n in names if by_thread[n] > 0.005
        )
        if data:
            text += f"; {logged / len(lines):.0f} bytes logged per event"
    return seconds, sum(by_thread.values()), text


def alerts(count: int) -> None:
    from alerts_workload import generate

    lines = [sample.line() for sample in generate(count, max(count // 30, 1), seed=1)]
    seconds: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(3):
        for name in ("off", "on"):
            with tempfile.TemporaryDirectory(dir=peers.ROOT / "build") as folder:
                data = Path(folder) / "data" if name == "on" else None
                probe = Probe()
                took_s, cpu, text = alerts_once(
                    lines, data, Path(folder) / "alerts.jsonl"
                )
                seconds[name].append(took_s)
                print(
                    f"alerts, log {name:3} {count / took_s:9,.0f} events/s  {cpu:.2f} CPU s/M"
                    f" ({text})  {probe.stop()}",
                    flush=True,
                )
    off, on = (sorted(seconds[name])[1] for name in ("off", "on"))
    print(f"alerts, log on / off: {off / on:.2f} of the events/s (medians)")


LATENCY_APP = """
from bettong import App, Event, seconds
app = App("latency")
class Sample(Event):
    key: str
    n: int
    at_us: int
samples = app.stream("samples", Sample)
alerts = app.stream("alerts")
class Host(app.Entity, ttl=seconds(600)):
    count: int = 0
    total: int = 0
    @samples.on(key="key")
    def sample(self, e: Sample) -> None:
        self.count += 1
        self.total += e.at_us & 1023
        if e.n % 20 == 0:
            alerts.emit(key=self.key, at_us=e.at_us, count=self.count)
"""


def latency(seconds: int, keys: int = 2_000, *settings: str) -> None:
    with tempfile.TemporaryDirectory(dir=peers.ROOT / "build") as name:
        folder = Path(name)
        (folder / "app.py").write_text(LATENCY_APP)
        receiver = Receiver("127.0.0.1:0", store=folder / "receiver.db")
        sink = {
            "kind": "bettong-stream",
            "stream": "alerts",
            "address": receiver.address,
        }
        sets = [
            part for key in sink for part in ("--set", f"sink.out.{key}={sink[key]}")
        ]
        sets += [*stream_source("in", "samples"), *settings]
        with node(str(folder / "app.py"), *sets, data=folder / "data") as server:
            late_ms: list[float] = []
            stop = threading.Event()

            def receive() -> None:
                while not stop.is_set():
                    output = receiver.poll(timeout=0.2)
                    if output is not None:
                        late_ms.append(
                            time.time() * 1000 - output.event["at_us"] / 1000
                        )

            thread = threading.Thread(target=receive)
            thread.start()
            with Sender(address(server, "source.in"), source="keys") as sender:
                for key in range(keys):
                    sender.send(b'{"key":"host-%06d","n":1,"at_us":0}' % key)
            send_at_rate(address(server, "source.in"), 20_000, 5, keys)
            rounds = metric(server, "bettong_checkpoint_rounds_total")
            probe = Probe()
            late_ms.clear()
            send_at_rate(address(server, "source.in"), 20_000, seconds, keys)
            told = probe.stop()
            rounds = metric(server, "bettong_checkpoint_rounds_total") - rounds
            stop.set()
            thread.join()
        receiver.close()
        print(
            f"{len(late_ms)} alerts of 20,000 events/s, {keys:,} keys, {rounds:.0f} rounds: p50 {quantile(late_ms, 0.5):.2f} "
            f"p99 {quantile(late_ms, 0.99):.2f} p99.9 {quantile(late_ms, 0.999):.2f} "
            f"max {max(late_ms):.2f} ms; {told}"
        )


def send_at_rate(to: str, rate: int, seconds: int, keys: int = 2_000) -> None:
    command = [
        peers.virtual_environment_python(),
        __file__,
        "send",
        to,
        str(rate),
        str(seconds),
    ]
    subprocess.run([*command, str(keys)], check=True)


def send(to: str, rate: int, seconds: int, keys: int) -> None:
    """The sending end, in a process of its own."""
    with Sender(to, source="bench") as sender:
        assert sender.connect(10)
        begin = time.perf_counter()
        sent = 0
        while sent < rate * seconds:
            due = min(int((time.perf_counter() - begin) * rate) + 1, rate * seconds)
            at_us = time.time_ns() // 1000
            for index in range(sent, due):
                key = index * 7919 % keys
                event = b'{"key":"host-%06d","n":%d,"at_us":%d}' % (key, index, at_us)
                sender.send(event)
            sent = due
            time.sleep(0.0005)
        sender.flush()


def redis_benchmark(port: int, commands: int) -> float:
    line = f"redis-benchmark -p {port} -t set -n {commands} -r 1000000 -P 16 -d 64 -q"
    begin = time.perf_counter()
    subprocess.run(line.split(), check=True, capture_output=True)
    return time.perf_counter() - begin


def set_commands(commands: int) -> None:
    with tempfile.TemporaryDirectory(dir=peers.ROOT / "build") as name:
        folder = Path(name)
        (folder / "redis").mkdir()
        aof = [
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--dir",
            str(folder / "redis"),
        ]
        redis, redis_port = peers.redis(*aof)
        with (
            node("--shards", "1", data=None) as off,
            node("--shards", "1", data=folder / "data") as on,
        ):
            servers = {
                "bettong, log off": (off, int(address(off, "resp").rsplit(":", 1)[1])),
                "bettong, async": (on, int(address(on, "resp").rsplit(":", 1)[1])),
                "redis, everysec": (redis, redis_port),
            }
            rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
            for _ in range(5):
                for who, (server, port) in servers.items():
                    before = server.cpu_s()
                    took_s = redis_benchmark(port, commands)
                    rows[who].append((took_s, server.cpu_s() - before))
        redis.stop()
    for who, row in rows.items():
        took_s = sorted(took for took, _ in row)[2]
        cpu_s = sorted(cpu for _, cpu in row)[2]
        print(
            f"set {who:17} {commands / took_s:9,.0f} /s  {cpu_s / commands * 1e6:.2f} CPU s/M"
        )


def recovery(entities: int) -> None:
    with tempfile.TemporaryDirectory(dir=peers.ROOT / "build") as name:
        folder = Path(name)
        (folder / "app.py").write_text(peers.ENTITY_APP)
        app = str(folder / "app.py")
        with node(app, *stream_source("in", "samples"), data=folder / "data") as server:
            with Sender(address(server, "source.in"), source="bench") as sender:
                for key in range(entities):
                    sender.send(b'{"key":"k%011d","value":%d}' % (key, key & 1023))
                sender.flush()
            server.process.kill()
        log = log_bytes(folder / "data")
        for shards in ("2", "2", "1"):
            begin = time.perf_counter()
            with node(app, "--shards", shards, data=folder / "data") as server:
                took_s = time.perf_counter() - begin
                told = [line for line in server.line.splitlines() if "recover" in line]
                cpu_s = server.cpu_s()
                server.process.kill()
            print(
                f"recovery {entities} entities, {log / 1e6:.0f} MB, {shards} shards: "
                f"{took_s:.2f} s to ready, {cpu_s:.2f} CPU s; {told[-1] if told else ''}"
            )


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    number = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdigit() else 0
    if what == "alerts":
        alerts(number or 1_000_000)
    elif what == "latency":
        latency(number or 20)
    elif what == "checkpoint":
        latency(number or 60, 500_000, "--set", "log.segment_bytes=4mb")
    elif what == "set":
        set_commands(number or 1_000_000)
    elif what == "recovery":
        recovery(number or 1_000_000)
    elif what == "send":
        send(sys.argv[2], *(int(argument) for argument in sys.argv[3:]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
