"""Bettong beside its peers, in one run: ratios and CPU seconds per million operations.

.venv/bin/python bench/bench.py alerts [EVENTS]     plain Python arithmetic, file and TCP
.venv/bin/python bench/bench.py resp                redis-benchmark against redis-server
.venv/bin/python bench/bench.py call                pipelined CALL of a one-line method
.venv/bin/python bench/bench.py memory [KEYS]       RSS per key
.venv/bin/python bench/bench.py expiry              lateness of `expired`; a million at once
"""

from __future__ import annotations

import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import peers
from redis import Redis


def commands(
    port: int, lines: list[tuple[str, ...]], replies: int, pipeline: int = 500
) -> None:
    """Sends commands over one raw connection, a pipeline at a time."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        reader = client.makefile("rb")
        for at in range(0, len(lines), pipeline):
            batch = lines[at : at + pipeline]
            client.sendall(
                "".join(
                    f"*{len(line)}\r\n"
                    + "".join(f"${len(arg)}\r\n{arg}\r\n" for arg in line)
                    for line in batch
                ).encode()
            )
            for _ in range(len(batch) * replies):
                reader.readline()


def write_alerts(path: Path, count: int, keys: int) -> None:
    from alerts_workload import generate

    with path.open("wb") as file:
        for sample in generate(count, keys, seed=1):
            file.write(sample.line() + b"\n")


def run_file(app: str, events: Path, output: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of `bettong run`."""
    command = [str(peers.BETTONG), "run", app, "--input", str(events)]
    _, cpu_s, last = peers.timed([*command, "--output", str(output)])
    match = re.search(r"seconds=([\d.]+)", last)
    assert match is not None
    return float(match[1]), cpu_s


def run_tcp(app: str, events: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of a node that is sent the file over TCP."""
    settings = ("source.in.listen=127.0.0.1:0", "source.in.stream=events")
    sets = [argument for each in settings for argument in ("--set", each)]
    server, _ = peers.bettong(app, *sets)
    address = re.search(r"source\.in=([^:]*):(\d+)", server.line)
    assert address is not None
    before, begin = server.cpu_s(), time.perf_counter()
    with socket.create_connection((address[1], int(address[2]))) as client:
        with events.open("rb") as file:
            client.sendfile(file)
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
    seconds = time.perf_counter() - begin
    cpu_s = server.cpu_s() - before
    server.stop()
    return seconds, cpu_s


def print_row(
    name: str, count: int, seconds: float, cpu_s: float, loop_s: float
) -> None:
    print(
        f"{name:24} {count / seconds:9,.0f} events/s  {cpu_s / count * 1e6:5.2f} CPU s/M"
        f"  x{loop_s / seconds:.2f} of the loop",
        flush=True,
    )


ALERTS = ("alerts", "alerts_windows", "alerts_declared")


def alerts(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        events, ours, theirs = (
            Path(folder) / name for name in ("events", "ours", "theirs")
        )
        write_alerts(events, count, max(count // 30, 1))
        python = peers.virtual_environment_python()
        loop_s, loop_cpu, _ = peers.timed(
            [python, "bench/alerts_loop.py", str(events), str(theirs)]
        )
        print_row("alerts orjson loop", count, loop_s, loop_cpu, loop_s)
        expected = sorted(theirs.read_bytes().splitlines())
        for name in ALERTS:
            app = f"examples/alerts/{name}.py"
            print_row(f"{name} file", count, *run_file(app, events, ours), loop_s)
            same = sorted(ours.read_bytes().splitlines()) == expected
            print_row(f"{name} TCP", count, *run_tcp(app, events), loop_s)
            print(f"{name} same answer: {same}")
        app = "bench/columns_app.py"
        print_row("columns file", count, *run_file(app, events, ours), loop_s)
        print_row("columns TCP", count, *run_tcp(app, events), loop_s)


def resp() -> None:
    ours, our_port = peers.bettong("--shards", "1")
    theirs, their_port = peers.redis()
    for test in ("set", "get", "incr", "hset"):
        cost: dict[str, list[float]] = {"bettong": [], "redis": []}
        for _ in range(3):
            for name, server, port in (
                ("bettong", ours, our_port),
                ("redis", theirs, their_port),
            ):
                before = server.cpu_s()
                line = f"redis-benchmark -p {port} -t {test} -n 1000000 -r 1000000 -P 16 -d 64 -q"
                subprocess.run(line.split(), check=True, capture_output=True)
                cost[name].append(server.cpu_s() - before)
        mine, peer = sorted(cost["bettong"])[1], sorted(cost["redis"])[1]
        print(
            f"resp {test:5} bettong {mine:.2f} redis {peer:.2f} CPU s/M  x{mine / peer:.2f}"
        )
    ours.stop()
    theirs.stop()


def bench_app(*arguments: str) -> tuple[peers.Server, int]:
    app = Path(tempfile.mkdtemp()) / "bench_app.py"
    app.write_text(peers.ENTITY_APP)
    return peers.bettong(str(app), *arguments)


def call() -> None:
    server, port = bench_app("--shards", "1")
    keys = 100_000
    commands(
        port,
        [("XADD", "samples", "*", "key", str(k), "value", "1") for k in range(keys)],
        2,
    )
    line = f"redis-benchmark -p {port} -n 2000000 -r {keys} -P 32 -q CALL ent:__rand_int__ sum"
    # redis-benchmark writes random keys with twelve digits; make entities of those names.
    names = [f"{k:012d}" for k in range(keys)]
    commands(port, [("XADD", "samples", "*", "key", k, "value", "1") for k in names], 2)
    done = subprocess.run(line.split(), check=True, capture_output=True, text=True)
    print("call", done.stdout.replace("\r", "\n").strip().splitlines()[-1])
    server.stop()


def latencies_ms(port: int, seconds: float) -> list[float]:
    """Of SET, one at a time, as often as they go; sorted."""
    found = []
    end = time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (begin := time.perf_counter()) < end:
            client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
            client.recv(64)
            found.append((time.perf_counter() - begin) * 1e3)
            time.sleep(0.0005)
    return sorted(found)


def slow() -> None:
    """SET beside a handler that sleeps 50 ms for each event of one key, and quietly."""
    for attempt in range(3):
        server, port = bench_app("--shards", "1")
        quiet = latencies_ms(port, 5)
        lines = [("XADD", "slow", "*", "key", "hot")] * 200
        with socket.create_connection(("127.0.0.1", port)) as feeder:
            for line in lines:
                feeder.sendall(
                    (
                        f"*{len(line)}\r\n"
                        + "".join(f"${len(a)}\r\n{a}\r\n" for a in line)
                    ).encode()
                )
            busy = latencies_ms(port, 5)
        for name, found in (("quiet", quiet), ("slow key", busy)):
            print(
                f"slow {attempt} {name:8} SET p50 {found[len(found) // 2]:.3f} "
                f"p99 {found[len(found) * 99 // 100]:.3f} ms of {len(found):,}"
            )
        server.stop()


def memory(keys: int) -> None:
    value = "x" * 32
    cases = {
        "16 B + 32 B": lambda k: ("SET", f"key:{k:012d}", value),
        "same with TTL": lambda k: ("SET", f"key:{k:012d}", value, "EX", "100000"),
        "entity of 5 ints": lambda k: (
            "XADD",
            "samples",
            "*",
            "key",
            f"{k:012d}",
            "value",
            "1",
        ),
    }
    for name, line in cases.items():
        server, port = bench_app()
        before = server.rss()
        commands(port, [line(k) for k in range(keys)], 2 if line(0)[0] == "XADD" else 1)
        print(f"memory {name:17} {(server.rss() - before) / keys:6.1f} B RSS per key")
        server.stop()


def expiry() -> None:
    server, port = peers.bettong()
    client = Redis(port=port)
    client.config_set("notify-keyspace-events", "Ex")
    commands(
        port, [("SET", f"long:{k}", "x", "EX", "86400") for k in range(1_000_000)], 1
    )
    listener = client.pubsub()
    listener.subscribe("__keyevent@0__:expired")
    listener.get_message(timeout=5)
    late: list[float] = []

    def listen() -> None:
        while len(late) < 100_000 and (message := listener.get_message(timeout=20)):
            if message["type"] == "message":
                late.append(time.time() * 1000 - int(message["data"].split(b":")[1]))

    thread = threading.Thread(target=listen)
    thread.start()
    due = int(time.time() * 1000) + 4000
    times = [due + random.randrange(10_000) for _ in range(100_000)]
    commands(
        port,
        [("SET", f"e:{t}:{n}", "x", "PXAT", str(t)) for n, t in enumerate(times)],
        1,
    )
    thread.join()
    late.sort()
    print(
        f"expiry {len(late)} of 100000 events; p50 {late[len(late) // 2]:.1f} ms, ",
        end="",
    )
    print(f"p99 {late[int(len(late) * 0.99)]:.1f} ms, max {late[-1]:.1f} ms late")
    client.flushall()
    client.config_set("notify-keyspace-events", "")
    due = int(time.time() * 1000) + 15_000
    commands(
        port, [("SET", f"k:{n}", "x", "PXAT", str(due)) for n in range(1_000_000)], 1
    )
    while client.dbsize() > 0:
        time.sleep(0.002)
    print(
        f"expiry 1M keys of one millisecond: gone after {time.time() * 1000 - due:.0f} ms"
    )
    server.stop()


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if what == "alerts":
        alerts(number or 3_000_000)
    elif what == "resp":
        resp()
    elif what == "call":
        call()
    elif what == "slow":
        slow()
    elif what == "memory":
        memory(number or 1_000_000)
    elif what == "expiry":
        expiry()
    else:
        raise SystemExit(__doc__)


main()
