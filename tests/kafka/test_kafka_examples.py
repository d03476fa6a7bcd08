"""The examples' configurations as they stand: only where brokers are is told by `--set`."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts_judge import judge
from alerts_workload import Sample, answer
from broker import Brokers, Reader, Record
from datanode import DataNode
from harness import REPOSITORY, Server, eventually
from murmur import partition_of
from nodes import WITHIN_S, await_state

EXAMPLES = REPOSITORY / "examples"
sys.path.append(str(EXAMPLES / "hostwatch"))

import collector  # noqa: E402
from test_hostwatch import BOOT_MS, T0_MS, FakeProc, process_stat  # noqa: E402

pytestmark = pytest.mark.timeout(300)  # brokers take their time


@pytest.fixture
def make(broker: Brokers) -> Iterator[Callable[[str, int], None]]:
    """Makes topics with the examples' names, and removes them."""
    made = []

    def create(name: str, partitions: int) -> None:
        made.append(broker.create(name, partitions))

    yield create
    for name in made:
        broker.delete(name)


def start(node: DataNode, broker: Brokers, app: Path, config: Path) -> Server:
    """With the file itself; each of its brokers is ours."""
    tables = tomllib.loads(config.read_text())
    words: list[str | Path] = ["-c", config]
    for kind in ("source", "sink"):
        for name, keys in tables[kind].items():
            assert keys["kind"] == "kafka"
            words += ["--set", f"{kind}.{name}.brokers={broker.bootstrap}"]
    return node(app, *words)


def await_committed(broker: Brokers, group: str, topic: str) -> None:
    """Lag monitors see that everything has been read."""

    def lag() -> dict[int, int]:
        committed = broker.committed(group, topic)
        ends = broker.end_offsets(topic).items()
        return {number: end for number, end in ends if end != committed.get(number, 0)}

    eventually(lambda: not lag(), f"{group} has read {topic}", within_s=WITHIN_S)


# -- alerts ---------------------------------------------------------------------------------

ALERTS = EXAMPLES / "alerts" / "kafka.toml"


def documented_event() -> dict[str, Any]:
    """The event in the file's comment."""
    found = re.search(r"^\[source\.events\]\s+# (\{.*\})$", ALERTS.read_text(), re.MULTILINE)
    assert found is not None
    event: dict[str, Any] = json.loads(found[1])
    assert set(event) == {"key", "ts", "value"}
    return event


def documented_topics() -> dict[str, int]:
    """The topics that the file's comment makes, and their partitions."""
    found = re.findall(r"--create --topic (\S+) --partitions (\d+)", ALERTS.read_text())
    assert [name for name, _ in found] == ["events", "alerts"]
    return {name: int(partitions) for name, partitions in found}


def alert_samples(count: int, first_ms: int) -> list[Sample]:
    """Each second: a host above the limit, one that is at it, and one with too few events."""
    high, low, few = ("host-1", 715), ("host-2", 700), ("host-3", 999)
    samples = []
    for n in range(count):
        for key, tenths in (high, low, *([few] if n < 4 else [])):
            samples.append(Sample(key, first_ms + 1000 * n, tenths))
    return samples


def test_alerts_come_as_the_example_says_each_once_across_a_kill(
    node: DataNode, broker: Brokers, make: Callable[[str, int], None]
) -> None:
    topics = documented_topics()
    for name, partitions in topics.items():
        make(name, partitions)
    event = documented_event()
    samples: list[Sample] = []

    def produce(more: list[Sample]) -> None:
        samples.extend(more)
        lines = [event | {"key": s.key, "ts": s.ts, "value": s.tenths / 10} for s in more]
        broker.produce(
            "events", [Record(json.dumps(each).encode(), each["key"].encode()) for each in lines]
        )

    app = ALERTS.parent / "alerts_windows.py"
    with Reader(broker, "alerts") as reader:
        # What was there before the node is read, too.
        produce(alert_samples(6, event["ts"]))
        server = start(node, broker, app, ALERTS)
        await_committed(broker, "alerts", "events")
        produce(alert_samples(12, event["ts"] + 6000))
        reader.until(2)
        node.kill(server)
        # A life later it alerts once more.
        produce(alert_samples(12, event["ts"] + 700_000))
        start(node, broker, app, ALERTS)
        reader.until(4)
        await_committed(broker, "alerts", "events")
        records = reader.catch_up()
    right = answer(samples).alerts
    assert {key: len(lines) for key, lines in right.items()} == {"host-1": 4}
    records.sort(key=lambda one: (one.partition, one.offset))
    verdict = judge([(one.value or b"").decode() for one in records], right)
    assert verdict.findings == []
    for one in records:
        key = json.loads(one.value or b"")["key"].encode()
        assert (one.key, one.partition) == (key, partition_of(key, topics["alerts"]))


# -- hostwatch ------------------------------------------------------------------------------

HOSTWATCH = EXAMPLES / "hostwatch" / "kafka.toml"
BUSY, EARLIER = 77, 66


def collected(folder: Path, pid: int, name: str, busy: int, idle: int) -> list[bytes]:
    """The collector's lines of a machine whose process has a CPU for a while, then does nothing."""
    proc = FakeProc(folder)
    made = collector.Collector(proc.folder, proc.sys_block, BOOT_MS)
    lines: list[bytes] = []
    for n in range(busy + idle + 1):
        ticks = collector.TICKS_PER_SECOND // 5 * min(n, busy)
        proc.process(pid, process_stat(pid, name, 1000 + ticks))
        lines += made.sample(T0_MS + 200 * n, 100 + 0.2 * n).splitlines()
    made.close()
    return lines


def test_hostwatch_tells_of_a_busy_process_once_and_of_its_end(
    node: DataNode, broker: Brokers, make: Callable[[str, int], None], tmp_path: Path
) -> None:
    make("samples", 2)
    make("host-alerts", 1)

    def produce(lines: list[bytes]) -> None:
        broker.produce("samples", [Record(line, partition=0) for line in lines])

    # Of no interest: start = "latest".
    produce(collected(tmp_path / "before", EARLIER, "earlier", busy=20, idle=0))
    server = start(node, broker, HOSTWATCH.parent / "hostwatch.py", HOSTWATCH)
    for number in range(2):
        await_state(server, "samples", number, name="samples", state="reading")
    lines = collected(tmp_path / "now", BUSY, "busy", busy=20, idle=20)
    produce(lines)
    samples = list(map(json.loads, lines))
    parts = {one["name"] for one in samples if "pid" not in one}
    assert {"cpu0", "memory", "load", "sda", "eth0"} <= parts

    key = f"process:{BUSY}"
    states = [("high", key), ("calm", key), ("gone", key)]
    right = Counter(states) + Counter(("gone", f"part:{name}") for name in parts)
    with Reader(broker, "host-alerts") as reader:
        reader.until(right.total())
        await_committed(broker, "hostwatch", "samples")
        client = server.redis()
        for kind in ("part:*", "process:*"):
            eventually(lambda kind=kind: not client.keys(kind), f"no {kind} is left to alert")
        alerts = [json.loads(one.value or b"") for one in reader.catch_up()]
    told = [(one["state"], one["key"]) for one in alerts]
    assert Counter(told) == right
    assert [one for one in told if one[1] == key] == states
    (high, calm, gone) = (one for one in alerts if one["key"] == key)
    assert high["name"] == calm["name"] == gone["name"] == "busy"
    assert (high["mean"], high["text"]) == (100, "100% CPU over 3 s")
    # The tallies know of nothing else, and of all that.
    for kind, count in Counter(one["kind"] for one in samples).items():
        assert client.hget(f"tally:{kind}", "count") == str(count)
    assert not client.exists(f"process:{EARLIER}")
