"""The demo's app: which samples make which alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from bettong import Sender

from harness import REPOSITORY, Launcher, eventually, summary

HOSTWATCH = REPOSITORY / "examples" / "hostwatch"
APP = HOSTWATCH / "hostwatch.py"

SOURCE = """
[source.metrics]
kind = "tcp"
listen = "127.0.0.1:0"
stream = "samples"
"""

T0_MS = 1_795_000_000_000
MB = 1 << 20

Sample = dict[str, Any]


def process(
    i: int, *, cpu: float = 0.0, rss_mb: int = 50, pid: int = 7, name: str = "job"
) -> Sample:
    """The i-th sample of a process; 5 make a second."""
    return {
        "ts": T0_MS + 200 * i,
        "kind": "process",
        "name": name,
        "value": cpu,
        "pid": pid,
        "started": T0_MS - 10_000,
        "rss": rss_mb * MB,
    }


def part(i: int, value: float, *, kind: str = "cpu", name: str = "cpu0") -> Sample:
    return {"ts": T0_MS + 200 * i, "kind": kind, "name": name, "value": value}


def alerts(launch: Launcher, samples: Iterable[Sample]) -> list[tuple[str, str, str]]:
    """State, key and text of what the app says about these samples."""
    text = "".join(json.dumps(sample) + "\n" for sample in samples)
    done = launch.run(
        APP, "--stream", "samples", "--input", "-", "--output", "-", stdin=text.encode()
    )
    assert done.returncode == 0, done.stderr
    assert summary(done)["dead_letters"] == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [(line["state"], line["key"], line["text"]) for line in lines]


def test_a_busy_process_is_told_once_and_then_that_it_calmed_down(launch: Launcher) -> None:
    busy = [process(i, cpu=90.0) for i in range(60)]
    idle = [process(i, cpu=0.0) for i in range(60, 80)]
    assert alerts(launch, busy + idle) == [
        ("high", "process:7", "90% CPU over 3 s"),
        ("calm", "process:7", "down to 18% CPU over 3 s"),
    ]


@pytest.mark.parametrize(("samples", "told"), [(14, 0), (15, 1)])
def test_only_three_seconds_of_cpu_are_sustained(launch: Launcher, samples: int, told: int) -> None:
    assert len(alerts(launch, [process(i, cpu=100.0) for i in range(samples)])) == told


def test_a_short_burst_is_no_alert(launch: Launcher) -> None:
    assert alerts(launch, [process(i, cpu=100.0 if i % 15 < 5 else 0.0) for i in range(90)]) == []


def test_a_cpu_may_be_busier_than_a_process(launch: Launcher) -> None:
    assert alerts(launch, [part(i, 85.0) for i in range(40)]) == []
    assert alerts(launch, [part(i, 95.0) for i in range(40)]) == [
        ("high", "part:cpu0", "95% CPU over 3 s")
    ]


def test_other_parts_have_no_level_that_is_too_high(launch: Launcher) -> None:
    kinds = ("memory", "load", "disk", "network")
    busy = [part(i, 100.0, kind=kind, name=kind) for i in range(40) for kind in kinds]
    assert alerts(launch, busy) == []


def test_memory_that_grows_for_ten_seconds_is_told_at_each_doubling(launch: Launcher) -> None:
    leak = [process(i, rss_mb=20 + 2 * i) for i in range(200)]
    assert alerts(launch, leak) == [
        ("growing", "process:7", "memory grew by 100 MB in 10 s, to 128 MB"),
        ("growing", "process:7", "memory grew by 100 MB in 10 s, to 258 MB"),
    ]


def test_memory_that_rests_is_no_alert(launch: Launcher) -> None:
    steps = [process(i, rss_mb=20 + 200 * (i // 40)) for i in range(200)]
    assert alerts(launch, steps) == []


def test_a_silent_process_says_what_was_known_of_it(launch: Launcher) -> None:
    server = launch(APP, config=SOURCE)
    told = server.subscribe("alerts")
    server.feed(
        *[process(i, cpu=20.0, name="lived") for i in range(15)],
        *[process(i, cpu=20.0, name="short", pid=8) for i in range(14)],
        source="metrics",
    )
    with server.connect() as connection:
        assert connection.call("CALL", "process:7", "mean") == "20"
        history = connection.call("CALL", "process:8", "history")
        assert history == ["20"] * 14
        eventually(lambda: not connection.call("EXISTS", "process:7", "process:8"), "their end")
    gone = told.json()
    assert gone["state"] == "gone"
    assert gone["key"] == "process:7"
    assert gone["name"] == "lived"
    assert gone["mean"] == 20.0
    assert gone["seconds"] == 12.8
    with server.connect() as connection:
        assert connection.call("XLEN", "alerts") == 1, "14 samples are a short life"


def test_the_five_greatest_are_ranked(launch: Launcher) -> None:
    server = launch(APP, config=SOURCE)
    uses = {pid: (10.0 * pid, 100 - pid) for pid in range(1, 9)}
    server.feed(
        *[
            process(i, cpu=cpu, rss_mb=rss_mb, pid=pid)
            for i in range(5)
            for pid, (cpu, rss_mb) in uses.items()
        ],
        source="metrics",
    )
    with server.connect() as connection:
        assert connection.call("CALL", "top:cpu", "ranking") == [
            f"process:{pid} {10 * pid}.0% CPU" for pid in (8, 7, 6, 5, 4)
        ]
        assert connection.call("CALL", "top:memory", "ranking") == [
            f"process:{pid} {100 - pid}.0 MB" for pid in (1, 2, 3, 4, 5)
        ]


def test_samples_are_counted_for_ever(launch: Launcher) -> None:
    server = launch(APP, config=SOURCE)
    server.feed(
        *[process(i) for i in range(4)], *[part(i, 1.0) for i in range(3)], source="metrics"
    )
    with server.connect() as connection:
        counts = {
            key: connection.call("HGET", f"tally:{key}", "count") for key in ("process", "cpu")
        }
        assert counts == {"process": "4", "cpu": "3"}
        assert connection.call("PTTL", "tally:process") == -1


def test_the_configuration_of_the_example_is_valid(launch: Launcher) -> None:
    text = (HOSTWATCH / "hostwatch.toml").read_text()
    settings = ("--set", "source.metrics.listen=127.0.0.1:0")
    server = launch(APP, *settings, config=text)
    host, port = server.sources["metrics"]
    with Sender(f"{host}:{port}", "test") as sender:
        for i in range(15):
            sender.send(part(i, 99.0))
    line = eventually(lambda: server.stdout, "an alert on standard output")[0]
    assert json.loads(line)["key"] == "part:cpu0"
    with server.connect() as connection:
        assert connection.call("HGET", "tally:cpu", "count") == "15"


def test_what_the_configuration_leaves_out_is_valid(launch: Launcher) -> None:
    text = (HOSTWATCH / "hostwatch.toml").read_text()
    whole = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    archive = launch.folder / "alerts.jsonl"
    settings = ("source.metrics.listen=127.0.0.1:0", "source.plain.listen=127.0.0.1:0")
    sets = [word for one in (*settings, f"sink.archive.path={archive}") for word in ("--set", one)]
    server = launch(APP, *sets, config=whole)
    server.feed(*[part(i, 99.0) for i in range(15)], source="plain")
    (line,) = eventually(lambda: archive.read_text().splitlines(), "an alert in the file")
    assert json.loads(line)["key"] == "part:cpu0"
