"""examples/alerts gives the right alerts and the right number of living keys, however it is run."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import pytest

from alerts_workload import (
    Answer,
    Sample,
    alerts_by_key,
    answer,
    as_lines,
    generate,
    generate_edges,
    split_by_key,
)
from harness import (
    REPOSITORY,
    Launcher,
    Server,
    eventually,
    file_sink_table,
    source_table,
    summary,
)

APP = REPOSITORY / "examples" / "alerts" / "alerts.py"
WINDOWS_APP = REPOSITORY / "examples" / "alerts" / "alerts_windows.py"
DECLARED_APP = REPOSITORY / "examples" / "alerts" / "alerts_declared.py"

# name: count, keys, seed, span in ms
SIZES = {
    "few-keys": (20_000, 50, 2, 1_800_000),
    "many-keys": (30_000, 1_000, 1, 1_800_000),
    "long-span-many-deaths": (30_000, 300, 3, 14_400_000),
    "one-key": (3_000, 1, 15, 1_800_000),
    "tiny": (30, 5, 5, 1_800_000),
}
WORKLOADS = [*SIZES, "edges-6", "edges-7"]


@cache
def workload(name: str) -> tuple[list[Sample], Answer]:
    if name.startswith("edges-"):
        samples = generate_edges(seed=int(name.removeprefix("edges-")))
    else:
        count, keys, seed, span_ms = SIZES[name]
        samples = generate(count, keys, seed=seed, span_ms=span_ms)
    return samples, answer(samples)


def assert_alerts(path: Path, right: Answer) -> None:
    assert alerts_by_key(path.read_text()) == right.alerts


@pytest.mark.parametrize("shards", [1, 2, 8])
@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize(
    "app", [APP, WINDOWS_APP, DECLARED_APP], ids=["plain", "windows", "declared"]
)
def test_run_from_a_file(
    launch: Launcher, tmp_path: Path, app: Path, name: str, shards: int
) -> None:
    samples, right = workload(name)
    events, output = tmp_path / "events.jsonl", tmp_path / "alerts.jsonl"
    events.write_bytes(as_lines(samples))
    done = launch.run(app, "--input", events, "--output", output, "--shards", str(shards))
    assert done.returncode == 0, done.stderr
    assert_alerts(output, right)
    counts = summary(done)
    del counts["seconds"]
    assert counts == {
        "events": len(samples),
        "outputs": right.count,
        "live": right.live,
        "dead_letters": 0,
    }


def test_a_larger_run_from_standard_input(launch: Launcher, tmp_path: Path) -> None:
    samples = generate(120_000, 4_000, seed=11)
    right = answer(samples)
    output = tmp_path / "alerts.jsonl"
    done = launch.run(APP, "--input", "-", "--output", output, stdin=as_lines(samples))
    assert done.returncode == 0, done.stderr
    assert_alerts(output, right)
    assert summary(done)["live"] == right.live


def serve_alerts(launch: Launcher, output: Path, *, shards: int, connections: int) -> Server:
    config = source_table("metrics", "events", connections=connections)
    config += file_sink_table("alerts", "alerts", output)
    return launch(APP, config=config, shards=shards)


def send_together(server: Server, parts: list[list[Sample]]) -> None:
    """One connection for each part, all at once; returns when the server has closed them all."""

    def send(part: list[Sample]) -> None:
        connection = server.source("metrics")
        data = as_lines(part)
        for start in range(0, len(data), 50_000):  # cuts lines apart, too
            connection.send_raw(data[start : start + 50_000])
        connection.finish()

    senders = [threading.Thread(target=send, args=(part,)) for part in parts]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


@pytest.mark.parametrize("shards", [1, 2, 8])
@pytest.mark.parametrize("name", ["many-keys", "long-span-many-deaths", "edges-6"])
@pytest.mark.parametrize("connections", [1, 3])
def test_over_tcp(
    launch: Launcher, tmp_path: Path, name: str, shards: int, connections: int
) -> None:
    samples, right = workload(name)
    output = tmp_path / "alerts.jsonl"
    server = serve_alerts(launch, output, shards=shards, connections=connections)
    send_together(server, split_by_key(samples, connections))
    # The source has closed, so its alerts are in the sink now, not some time later.
    assert_alerts(output, right)
    eventually(lambda: server.entities() == right.live, f"{right.live} living keys")
    assert server.dead_letters() == []


def test_subscribers_get_the_same_alerts(launch: Launcher, tmp_path: Path) -> None:
    samples, right = workload("many-keys")
    server = serve_alerts(launch, tmp_path / "alerts.jsonl", shards=2, connections=1)
    subscription = server.subscribe("alerts")
    sender = threading.Thread(target=send_together, args=(server, [samples]))
    sender.start()
    received = subscription.take(right.count)
    sender.join()
    assert alerts_by_key("\n".join(received)) == right.alerts


def test_living_keys_can_be_looked_at(launch: Launcher, tmp_path: Path) -> None:
    samples, right = workload("tiny")
    server = serve_alerts(launch, tmp_path / "alerts.jsonl", shards=2, connections=1)
    send_together(server, [samples])
    eventually(lambda: server.entities() == right.live, "the living keys")
    client = server.redis()
    # The stream's own keys are of another type; an entity shows itself as a hash.
    keys = list(client.scan_iter(match="*:host-*"))
    assert len(keys) == right.live
    for key in keys:
        assert client.type(key) == "hash"
        assert client.hgetall(key)
