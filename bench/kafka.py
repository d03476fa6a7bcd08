"""Alerts from Kafka to Kafka, a broker of its own on the same processors.

.venv/bin/python bench/kafka.py throughput [EVENTS]   a topic of 4 partitions, read to its end
.venv/bin/python bench/kafka.py latency [SECONDS]     event in -> alert read, 20,000 events/s

Both plain and exactly once, alerts_windows.py, and bench_kafka, the same with a handler in C++. The broker is that of tests/kafka (Java, Maven).
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import peers

sys.path[:0] = [str(peers.ROOT / "tests/kafka")]
# A broker as it is in earnest; that of tests starts quickly and is slow.
os.environ.update({"KAFKA_JVM": "-XX:+UseG1GC", "KAFKA_HEAP": "512m"})

from alerts_workload import generate
from broker import Brokers

APP = "examples/alerts/alerts_windows.py"
PARTITIONS = 4
RATE = 20_000  # events/s of `latency`
LATENCY_KEYS = 20_000


@contextlib.contextmanager
def node(
    brokers: Brokers, events: str, alerts: str, exactly_once: bool
) -> Iterator[peers.Server]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "bettong.toml"
        config.write_text(f"""
[source.events]
kind = "kafka"
brokers = "{brokers.bootstrap}"
topics = ["{events}"]
stream = "events"
[sink.alerts]
kind = "kafka"
brokers = "{brokers.bootstrap}"
topic = "{alerts}"
stream = "alerts"
key = "key"
exactly_once = {str(exactly_once).lower()}
""")
        server, _ = peers.bettong(APP, "-c", str(config), data=Path(folder) / "data")
        try:
            yield server
        finally:
            server.stop()


def gauges(server: peers.Server, *names: str) -> list[float]:
    """The sum of each over its labels; of one that is not told -1."""
    match = re.search(r"http=([^ \n]*)", server.line)
    assert match is not None
    with urllib.request.urlopen(f"http://{match[1]}/metrics") as page:
        lines = page.read().decode().splitlines()
    sums = []
    for name in names:
        rows = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
        values = [float(row.rsplit(" ", 1)[1]) for row in rows]
        sums.append(sum(values) if values else -1)
    return sums


def compare(brokers: Brokers, topic: str, expected: Counter[bytes]) -> str:
    read = Counter(one.value or b"" for one in brokers.read_all(topic))
    if read == expected:
        return "same alerts: True"
    missing, more = (expected - read).total(), (read - expected).total()
    return f"same alerts: False, {missing} missing, {more} more"


def throughput(count: int) -> None:
    samples = generate(count, max(count // 30, 1), seed=1)
    with Brokers() as brokers, tempfile.TemporaryDirectory() as folder:
        brokers.create("events", PARTITIONS)
        # Idempotent: in the order of the file, whatever a cold broker has to be sent again.
        producer = brokers.producer(
            linger_ms=20, queue_buffering_max_messages=count, enable_idempotence=True
        )
        lines = Path(folder) / "events"
        with lines.open("wb") as file:
            for sample in samples:
                producer.produce("events", sample.line(), sample.key.encode())
                file.write(sample.line() + b"\n")
                producer.poll(0)
        producer.flush()
        ours = Path(folder) / "ours"
        run = ["run", APP, "--input", str(lines), "--output", str(ours)]
        subprocess.run(
            [str(peers.BETTONG), *run],
            cwd=peers.ROOT,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        expected = Counter(ours.read_bytes().splitlines())
        for exactly_once in (False, True, False, True):
            alerts = brokers.create(f"alerts-{time.monotonic_ns()}", PARTITIONS)
            begin = time.perf_counter()
            with node(brokers, "events", alerts, exactly_once) as server:
                ready_s = time.perf_counter() - begin
                left = (
                    "bettong_source_partition_lag",
                    "bettong_outbox_pending_bytes",
                    "bettong_source_partition_end",
                )
                while gauges(server, *left) != [0, 0, count]:
                    time.sleep(0.02)  # of seconds that are measured
                seconds = time.perf_counter() - begin - ready_s
                cpu_s = server.cpu_s()
            print(
                f"{'exactly once' if exactly_once else 'plain':12} {count / seconds:9,.0f} events/s  "
                f"{cpu_s / count * 1e6:5.2f} CPU s/M, start included; {compare(brokers, alerts, expected)}",
                flush=True,
            )
        for _ in range(2):
            alerts = brokers.create(f"alerts-{time.monotonic_ns()}", PARTITIONS)
            data = Path(folder) / f"data-{time.monotonic_ns()}"
            done = subprocess.run(
                [
                    peers.ROOT / "build/release/bench/bench_kafka",
                    brokers.bootstrap,
                    "events",
                    alerts,
                    str(count),
                    "1",
                    data,
                ],
                check=True,
                capture_output=True,
                text=True,
            )
            match = re.search(
                r"events_per_s=(\d+) cpu_s_per_million=(\S+)", done.stdout
            )
            assert match is not None, done.stdout + done.stderr
            print(
                f"{'C++, exactly':12} {int(match[1]):9,} events/s  "
                f"{float(match[2]):5.2f} CPU s/M; {compare(brokers, alerts, expected)}",
                flush=True,
            )


def latency(seconds: int) -> None:
    with Brokers() as brokers:
        for warm_up, exactly_once in [
            (True, False),
            *[(False, each) for each in (False, True) * 2],
        ]:
            stamp = time.monotonic_ns()
            events = brokers.create(f"events-{stamp}", PARTITIONS)
            alerts = brokers.create(f"alerts-{stamp}", PARTITIONS)
            where = [brokers.bootstrap, events, alerts]
            load = [PARTITIONS, RATE, seconds, LATENCY_KEYS]
            with node(brokers, events, alerts, exactly_once) as server:
                before = server.cpu_s()
                done = subprocess.run(
                    [
                        str(peers.ROOT / "build/release/bench/bench_kafka_latency"),
                        *where,
                        *map(str, load),
                    ],
                    check=True,
                    capture_output=True,
                    text=True,
                    start_new_session=True,
                )
                cpu_s = server.cpu_s() - before
            if warm_up:
                continue  # the broker's compiler has been at work
            print(
                f"{'exactly once' if exactly_once else 'plain':12} {RATE:,} events/s: "
                f"{done.stdout.strip()}, {cpu_s / seconds:.2f} of a processor",
                flush=True,
            )


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if what == "throughput":
        throughput(number or 3_000_000)
    elif what == "latency":
        latency(number or 30)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
