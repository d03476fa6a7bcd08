"""A Kafka source: brokers that are away, that refuse; mistakes; secrets."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from broker import PASSWORD, USER, Brokers, Record, produce_with
from datanode import DataNode
from harness import Launcher, Server, eventually, free_port, run_bettong
from nodes import (
    COUNT_APP,
    assert_answers,
    await_complaint,
    await_counted,
    await_state,
    counted,
    events,
    info,
    kafka_sink,
    kafka_source,
    source_lines,
    totals,
)

pytestmark = pytest.mark.timeout(300)  # brokers take their time

LOGIN = {
    "security.protocol": "sasl_plaintext",
    "sasl.mechanisms": "PLAIN",
    "sasl.username": USER,
}


def start(node: DataNode, broker: Brokers, topic: str, **keys: Any) -> Server:
    return node(COUNT_APP, config=kafka_source(broker.bootstrap, topic, **keys))


# -- a broker that is away ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pause", "stop", "kill"])
def test_a_broker_that_is_away_for_a_while_costs_nothing(
    node: DataNode, broker: Brokers, topic: str, how: str
) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(1000)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(1000)))
    producer = broker.producer()
    if how == "pause":
        broker.pause()
    elif how == "stop":
        broker.stop(1)
    else:
        broker.kill(1)
    # These wait in the producer, which sends them when the broker is back.
    deliveries = produce_with(producer, topic, events(range(1000, 2000)))
    outage = threading.Event()
    for _ in range(30):
        assert_answers(server)
        outage.wait(0.1)  # how long the broker is away: this is no waiting for a condition
    assert counted(server) == totals(range(1000))
    if how == "pause":
        broker.resume()
    else:
        broker.start_one(1)
    assert producer.flush(60) == 0
    assert [each.error for each in deliveries] == [None] * 1000
    await_counted(server, totals(range(2000)), within_s=60)
    assert source_lines(server)["admission"] == "open"


def test_a_node_starts_without_a_broker_and_reads_when_there_is_one(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(100)))
    broker.stop(1)
    try:
        server = start(node, broker, topic)
        assert_answers(server)
        await_complaint(server, broker.bootstrap)
    finally:
        broker.start_one(1)
    await_counted(server, totals(range(100)), within_s=60)


def test_a_node_ends_in_good_order_while_its_broker_is_away(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(100)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(100)))
    broker.pause()
    try:
        assert server.terminate() == 0
    finally:
        broker.resume()
    await_counted(start(node, broker, topic), totals(range(100)))


def test_one_of_three_brokers_dies_and_reading_goes_on(
    node: DataNode, three_brokers: Brokers, topic: str
) -> None:
    three_brokers.create(topic, 6)
    three_brokers.produce(topic, events(range(1000)))
    server = start(node, three_brokers, topic)
    await_counted(server, totals(range(1000)))
    for number in (1, 2, 3):
        three_brokers.kill(number)
        first = 1000 * number
        three_brokers.produce(topic, events(range(first, first + 1000)))
        await_counted(server, totals(range(first + 1000)), within_s=60)
        three_brokers.start()


# -- brokers that refuse ----------------------------------------------------------------------


def test_the_right_password_from_the_environment_and_from_a_file(
    launch: Launcher, broker: Brokers, topic: str, tmp_path: Path
) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(20)))
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    for place in ("env:KAFKA_PASSWORD", f"file:{secret}", PASSWORD):
        kafka = LOGIN | {"sasl.password": place}
        server = launch(
            COUNT_APP,
            config=kafka_source(broker.bootstrap_sasl, topic, kafka=kafka),
            environment={"KAFKA_PASSWORD": PASSWORD},
        )
        await_counted(server, totals(range(20)))
        assert PASSWORD not in "\n".join(server.stderr)
        assert server.terminate() == 0


def test_a_wrong_password_is_told_of_and_stops_nothing_else(
    launch: Launcher, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.create(f"{topic}-open")
    broker.produce(f"{topic}-open", events(range(20)))
    kafka = LOGIN | {"sasl.password": "wrong-horse"}
    config = kafka_source(broker.bootstrap_sasl, topic, name="closed", kafka=kafka)
    config += kafka_source(broker.bootstrap, f"{topic}-open", name="open")
    server = launch(COUNT_APP, config=config)
    await_complaint(server, "closed", "uthentication failed")
    await_counted(server, totals(range(20)))
    assert_answers(server)
    assert "uthentication" in source_lines(server, "closed")["trouble"]
    everything = "\n".join([*server.stderr, *info(server).values()])
    assert "wrong-horse" not in everything


@pytest.mark.parametrize("place", ["env:KAFKA_NO_SUCH_VARIABLE", "file:/no/such/file"])
def test_a_password_that_cannot_be_had_is_refused_at_the_start(
    node: DataNode, topic: str, place: str
) -> None:
    kafka = LOGIN | {"sasl.password": place}
    config = kafka_source("127.0.0.1:1", topic, kafka=kafka)
    code, line = node.refused(COUNT_APP, config=config)
    assert code != 0
    assert place.partition(":")[2] in line


# -- secrets ----------------------------------------------------------------------


def test_passwords_are_shown_as_stars(launch: Launcher, topic: str) -> None:
    kafka = LOGIN | {"sasl.password": "s3cr3t-horse", "ssl.key.password": "s3cr3t-key"}
    address = f"127.0.0.1:{free_port()}"
    config = kafka_source(address, topic, kafka=kafka)
    config += kafka_sink(address, topic, kafka=kafka)
    path, app = launch.write_config(config), launch.write_app(COUNT_APP)
    shown = run_bettong("config", "show", app, "-c", path)
    assert shown.returncode == 0, shown.stderr
    assert "s3cr3t" not in shown.stdout + shown.stderr
    assert shown.stdout.count('"***"') >= 4
    assert USER in shown.stdout
    server = launch(COUNT_APP, config=config)
    with server.connect() as connection:
        assert "s3cr3t" not in str(connection.call("CONFIG", "GET", "*"))
        assert "s3cr3t" not in connection.call("INFO")
    eventually(lambda: server.stderr, "the log has begun")
    assert "s3cr3t" not in "\n".join(server.stderr)


# -- mistakes ----------------------------------------------------------------------

MISTAKES: dict[str, tuple[dict[str, object], list[str]]] = {
    "no topics": ({"topics": []}, ["topics"]),
    "a pattern that is none": ({"topics": ["^a["]}, ["pattern", "^a["]),
    "on_lost": ({"on_lost": "panic"}, ["on_lost", "panic"]),
    "start": ({"start": "tomorrow"}, ["start", "tomorrow"]),
    "stored without a group": ({"start": "stored"}, ["group"]),
    "a format": ({"format": "avro"}, ["format", "avro"]),
    "a key of another kind": ({"listen": "127.0.0.1:0"}, ["listen"]),
    "an unknown key": ({"tpoics": ["x"]}, ["tpoics", "topics"]),
    "prefetch": ({"prefetch": "much"}, ["prefetch", "much"]),
    "an option that librdkafka does not know": (
        {"kafka": {"fetch.wait.max.mss": "5"}},
        ["fetch.wait.max.mss"],
    ),
    "a value that librdkafka does not take": (
        {"kafka": {"fetch.wait.max.ms": "soon"}},
        ["fetch.wait.max.ms", "nvalid value"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_at_the_start(node: DataNode, name: str) -> None:
    keys, parts = MISTAKES[name]
    config = kafka_source("127.0.0.1:1", "t", **keys)
    code, line = node.refused(COUNT_APP, config=config)
    assert code != 0
    assert [part for part in parts if part not in line] == [], line


def test_brokers_are_needed(node: DataNode) -> None:
    config = '[source.events]\nkind = "kafka"\ntopics = ["t"]\nstream = "events"\n'
    code, line = node.refused(COUNT_APP, config=config)
    assert code != 0
    assert "brokers" in line


# -- event time ----------------------------------------------------------------------

TIME_APP = """
from bettong import App, Event, Tumbling, seconds

app = App("time")


class Sample(Event, time="ts"):
    key: str
    ts: int


events = app.stream("events", Sample)
out = app.stream("out")


class Windowed(app.Entity, clock="event"):
    seen: Tumbling[int] = Tumbling(seconds(10), keep=["sum"])
    closed: int

    @events.on(key="key")
    def take(self, e: Sample):
        self.seen.add(1)

    def on_close(self, window):
        self.closed += window.sum
"""


def test_an_idle_partition_does_not_hold_time_back(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 2)
    stamps = [1_700_000_000_000 + 1000 * n for n in range(40)]
    values = [b'{"key": "k", "ts": %d}' % stamp for stamp in stamps]
    broker.produce(topic, [Record(value, partition=0) for value in values])
    config = kafka_source(broker.bootstrap, topic, idle="500ms")
    server = node(TIME_APP, config=config)
    await_state(server, topic, 0, position=40)
    # More events come while partition 1 is silent: by now it counts as idle.
    last = b'{"key": "k", "ts": %d}' % (stamps[-1] + 1)

    def closed() -> bool:
        broker.produce(topic, [Record(last, partition=0)])
        return server.redis().hget("windowed:k", "closed") == "30"

    eventually(closed, "30 events are in windows that have closed", within_s=15)


def test_memory_stays_small_beside_a_large_backlog(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    """What is prefetched is bounded, however much there is to be read and however slow the app."""
    if "BETTONG_TEST_SLOWDOWN" in os.environ:
        pytest.skip("sanitizers need memory of their own")
    broker.create(topic, 8)
    filler = "x" * 1000
    value = b'{"key": "k", "trace": "%s"}' % filler.encode()
    for partition in range(8):
        broker.produce(topic, [Record(value, partition=partition)] * 20_000)  # 160 MB in all
    # The app takes what it gets slowly: a row of a few MB would tell as well.
    app = COUNT_APP.replace("self.count += 1", "self.count += 1; sum(range(2000))")
    server = node(app, config=kafka_source(broker.bootstrap, topic, prefetch="1mb"))
    eventually(
        lambda: sum(count for count, _ in counted(server).values()) > 40_000, "a part is read"
    )
    assert server.memory_peak_bytes() < 160 << 20
