"""A Kafka sink: what it writes, and what becomes of outputs that it cannot write."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import bettong
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from broker import Brokers, Reader, Record, results
from datanode import DataNode
from harness import DEADLINE_S, Launcher, Server, eventually, free_port, get_page
from murmur import murmur2, partition_of
from nodes import (
    COUNT_APP,
    KEYS,
    assert_answers,
    await_complaint,
    check_outputs,
    counted,
    kafka_sink,
    totals,
)

pytestmark = pytest.mark.timeout(300)  # brokers take their time
MODES = pytest.mark.parametrize("exactly_once", [False, True], ids=["plain", "exactly once"])


class Pipe:
    """A node between a Sender, whose events come in once, and sinks at Kafka."""

    def __init__(self, launch: Launcher, sinks: str) -> None:
        self.node = DataNode(launch)
        self.port = free_port()
        source = f'[source.in]\nkind = "bettong-stream"\nlisten = "127.0.0.1:{self.port}"\n'
        self.config = source + 'stream = "events"\n' + sinks
        self.lives = 0
        self.server = self.start()
        self.sender = bettong.Sender(f"127.0.0.1:{self.port}", source="s", reconnect_max=0.1)

    def start(self) -> Server:
        self.lives += 1
        self.server = self.node(COUNT_APP, config=self.config, shards=1 + self.lives % 3)
        return self.server

    def send(self, numbers: range, **more: Any) -> None:
        for n in numbers:
            self.sender.send({"key": f"k{n % KEYS}", "n": n} | more)

    def flush(self) -> None:
        assert self.sender.flush(DEADLINE_S)

    def kill(self) -> None:
        self.node.kill(self.server)
        self.start()


@pytest.fixture
def pipes(launch: Launcher) -> Iterator[Any]:
    made: list[Pipe] = []

    def make(sinks: str) -> Pipe:
        made.append(Pipe(launch, sinks))
        return made[-1]

    yield make
    for pipe in made:
        pipe.sender.close(timeout=0)


def outputs(records: list[Record]) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in records]


def name_of(record: Record) -> tuple[int, int]:
    """What a consumer drops repeats by."""
    partition, sequence = record.header("bettong-partition"), record.header("bettong-sequence")
    assert partition is not None
    assert sequence is not None
    assert partition.isdigit()
    assert sequence.isdigit()
    return int(partition), int(sequence)


def without_repeats(records: list[Record]) -> list[Record]:
    """Each output's first record; all its records must be the same."""
    first: dict[tuple[int, int], Record] = {}
    for record in records:
        original = first.setdefault(name_of(record), record)
        assert (record.value, record.key) == (original.value, original.key)
    return list(first.values())


def check_names(records: list[Record]) -> None:
    """Of each Bettong partition the numbers have no gap, and rise within a Kafka partition."""
    sequences: dict[int, list[int]] = {}
    last: dict[tuple[int, int | None], int] = {}
    for record in records:
        partition, sequence = name_of(record)
        sequences.setdefault(partition, []).append(sequence)
        place = (partition, record.partition)
        assert last.get(place, -1) < sequence, f"{place}: {sequence} after {last[place]}"
        last[place] = sequence
    for partition, numbers in sequences.items():
        ordered = sorted(numbers)
        right = list(range(ordered[0], ordered[0] + len(ordered)))
        assert ordered == right, f"bettong partition {partition}"
        assert ordered[0] <= 1


def sink(broker: Brokers, topic: str, **keys: Any) -> str:
    """A sink with keys; its transactional id is no other test's."""
    if keys.get("exactly_once"):
        keys.setdefault("transactional_id", topic)
    return kafka_sink(broker.bootstrap, topic, **({"key": "key"} | keys))


def read(broker: Brokers, topic: str, count: int) -> list[Record]:
    """All that there is, once there are as many as there should be (repeats do not count)."""
    with Reader(broker, topic) as reader:
        eventually(
            lambda: len({name_of(one) for one in reader.catch_up()}) >= count,
            f"{count} outputs in {topic}",
            within_s=60,
        )
        return sorted(reader.records, key=lambda one: (one.partition, one.offset))


# -- records ----------------------------------------------------------------------


@MODES
def test_every_output_is_a_record(
    pipes: Any, broker: Brokers, topic: str, exactly_once: bool
) -> None:
    broker.create(topic)
    pipe = pipes(sink(broker, topic, exactly_once=exactly_once))
    pipe.send(range(3000))
    pipe.flush()
    records = read(broker, topic, 3000)
    assert len(records) == 3000
    check_outputs(outputs(records), range(3000))
    check_names(records)
    assert {one.key for one in records} == {b"k%d" % k for k in range(KEYS)}
    assert pipe.server.terminate() == 0
    assert len(broker.read_all(topic)) == 3000


def test_records_have_no_key_unless_a_field_is_named(
    pipes: Any, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 2)
    pipe = pipes(kafka_sink(broker.bootstrap, topic))
    pipe.send(range(50))
    records = read(broker, topic, 50)
    assert {one.key for one in records} == {None}


def test_murmur2_is_java_s() -> None:
    vectors = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    assert {key: (murmur2(key) ^ 1 << 31) - (1 << 31) for key in vectors} == vectors


@MODES
def test_a_key_s_partition_is_the_one_that_java_s_clients_choose(
    pipes: Any, broker: Brokers, topic: str, exactly_once: bool
) -> None:
    broker.create(topic, 12)
    pipe = pipes(sink(broker, topic, exactly_once=exactly_once))
    keys = ["21", "foobar", "a-little-bit-long-string", "ä", *map(str, range(200))]
    for key in keys:
        pipe.sender.send({"key": key, "n": 1})
    records = read(broker, topic, len(keys))
    placed = {(one.key, one.partition) for one in records}
    assert placed == {(key.encode(), partition_of(key.encode(), 12)) for key in keys}


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compression(pipes: Any, broker: Brokers, topic: str, compression: str) -> None:
    broker.create(topic, 1)
    pipe = pipes(sink(broker, topic, compression=compression, linger="20ms"))
    pipe.send(range(2000), op="grow", ts=100)
    check_outputs(outputs(read(broker, topic, 2000)), range(2000))
    segments = (broker.folder / "broker-1/data" / f"{topic}-0").glob("*.log")
    small = sum(path.stat().st_size for path in segments) < 150 * 2000
    assert small == (compression != "none")


def test_two_sinks_of_one_stream_each_get_all(pipes: Any, broker: Brokers, topic: str) -> None:
    other = f"{topic}-once"
    broker.create(topic, 2)
    broker.create(other, 3)
    sinks = sink(broker, topic, name="plain")
    pipe = pipes(sinks + sink(broker, other, name="once", exactly_once=True))
    for step in range(3):
        pipe.send(range(1000 * step, 1000 * step + 1000))
        pipe.kill()
    pipe.flush()
    check_outputs(outputs(without_repeats(read(broker, topic, 3000))), range(3000))
    once = read(broker, other, 3000)
    assert len(once) == 3000
    check_outputs(outputs(once), range(3000))


def test_dead_letters_can_go_to_a_topic(pipes: Any, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    pipe = pipes(kafka_sink(broker.bootstrap, topic, stream="bettong:dead-letters"))
    pipe.send(range(1), op="raise")
    (letter,) = outputs(read(broker, topic, 1))
    assert "as it was told" in letter["error"]


# -- kills ----------------------------------------------------------------------


def send_across_kills(pipe: Pipe, reader: Reader, steps: int) -> int:
    """Kills the node when a part of what was sent has come out; how many were sent."""
    for step in range(steps):
        pipe.send(range(1000 * step, 1000 * step + 1000))
        reader.until(1000 * step + 50 + 150 * step, within_s=60)
        pipe.kill()
    pipe.flush()
    return 1000 * steps


def test_repeats_after_a_kill_have_the_names_of_the_first(
    pipes: Any, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    pipe = pipes(sink(broker, topic))
    with Reader(broker, topic) as reader:
        count = send_across_kills(pipe, reader, 5)
    records = without_repeats(read(broker, topic, count))
    check_outputs(outputs(records), range(count))
    check_names(records)


def test_committed_readers_see_each_output_once_across_kills(
    pipes: Any, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    pipe = pipes(sink(broker, topic, exactly_once=True))
    with Reader(broker, topic) as reader:
        count = send_across_kills(pipe, reader, 6)
    records = read(broker, topic, count)
    assert len(records) == count
    check_outputs(outputs(records), range(count))
    check_names(records)
    # Nothing is left open that would hold readers back.
    assert pipe.server.terminate() == 0
    broker.produce(topic, [Record(b"{}", b"last", partition=0)])
    assert len(broker.read_all(topic)) == count + 1


def test_an_orderly_restart_repeats_nothing(pipes: Any, broker: Brokers, topic: str) -> None:
    broker.create(topic)
    pipe = pipes(sink(broker, topic))
    for step in range(3):
        pipe.send(range(500 * step, 500 * step + 500))
        pipe.flush()
        assert pipe.server.terminate() == 0
        pipe.start()
    records = read(broker, topic, 1500)
    assert len(records) == 1500
    check_outputs(outputs(records), range(1500))


# -- brokers that are away, or refuse ----------------------------------------


@MODES
@pytest.mark.parametrize("how", ["pause", "stop", "kill"])
def test_outputs_wait_for_a_broker_that_is_away(
    pipes: Any, broker: Brokers, topic: str, how: str, exactly_once: bool
) -> None:
    broker.create(topic)
    pipe = pipes(sink(broker, topic, exactly_once=exactly_once))
    pipe.send(range(500))
    read(broker, topic, 500)
    if how == "pause":
        broker.pause()
    elif how == "stop":
        broker.stop(1)
    else:
        broker.kill(1)
    pipe.send(range(500, 1500))
    eventually(lambda: counted(pipe.server) == totals(range(1500)), "all are counted")
    assert_answers(pipe.server)
    if how == "pause":
        broker.resume()
    else:
        broker.start_one(1)
    records = read(broker, topic, 1500)
    check_outputs(outputs(without_repeats(records)), range(1500))
    if exactly_once:
        assert len(records) == 1500


@MODES
def test_a_kill_while_the_broker_is_away_loses_nothing(
    pipes: Any, broker: Brokers, topic: str, exactly_once: bool
) -> None:
    broker.create(topic)
    pipe = pipes(sink(broker, topic, exactly_once=exactly_once))
    pipe.send(range(500))
    pipe.flush()
    broker.stop(1)
    pipe.send(range(500, 1000))
    eventually(lambda: counted(pipe.server) == totals(range(1000)), "all are counted")
    pipe.kill()
    assert_answers(pipe.server)
    broker.start_one(1)
    pipe.flush()
    records = read(broker, topic, 1000)
    check_outputs(outputs(without_repeats(records)), range(1000))
    if exactly_once:
        assert len(records) == 1000


@pytest.mark.parametrize("quarters", [0, 2, 3])
def test_a_node_ends_in_good_order_while_its_outputs_wait(
    pipes: Any, topic: str, quarters: int
) -> None:
    address = f"127.0.0.1:{free_port()}"
    pipe = pipes(kafka_sink(address, topic, exactly_once=True, transactional_id=topic))
    await_complaint(pipe.server, "sink out", address)
    pipe.send(range(200))
    eventually(lambda: counted(pipe.server) == totals(range(200)), "all are counted")
    # At a moment of its own between two tries: this is no waiting for a condition.
    threading.Event().wait(0.25 * quarters)
    assert pipe.server.terminate() == 0


@MODES
def test_each_of_three_brokers_dies_once(
    pipes: Any, three_brokers: Brokers, topic: str, exactly_once: bool
) -> None:
    three_brokers.create(topic, 6)
    pipe = pipes(sink(three_brokers, topic, exactly_once=exactly_once))
    for number in (1, 2, 3):
        pipe.send(range(500 * number - 500, 500 * number))
        three_brokers.kill(number)
        read(three_brokers, topic, 500 * number)
        three_brokers.start()
    records = read(three_brokers, topic, 1500)
    check_outputs(outputs(without_repeats(records)), range(1500))
    if exactly_once:
        assert len(records) == 1500


@MODES
def test_a_topic_that_is_not_there_is_told_of_and_waited_for(
    pipes: Any, broker: Brokers, topic: str, exactly_once: bool
) -> None:
    pipe = pipes(sink(broker, topic, exactly_once=exactly_once))
    pipe.send(range(300))
    await_complaint(pipe.server, "out", topic)
    assert_answers(pipe.server)
    assert counted(pipe.server) == totals(range(300))
    broker.create(topic)
    check_outputs(outputs(without_repeats(read(broker, topic, 300))), range(300))


def gauge(server: Server, name: str) -> float:
    lines = get_page(server, "/metrics").splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def allow(broker: Brokers, topic: str, size: int) -> None:
    """The largest batch that a topic takes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    results(broker.admin.incremental_alter_configs([resource]))


@MODES
def test_an_output_that_the_topic_does_not_take_is_told_of_and_kept(
    pipes: Any, broker: Brokers, topic: str, exactly_once: bool
) -> None:
    broker.create(topic, 1, config={"max.message.bytes": "20000"})
    pipe = pipes(sink(broker, topic, exactly_once=exactly_once, linger=0))
    pipe.send(range(100))
    read(broker, topic, 100)
    pipe.send(range(100, 101), op="grow", ts=50_000)
    pipe.send(range(101, 110))
    await_complaint(pipe.server, topic, "too large")
    assert_answers(pipe.server)
    eventually(lambda: gauge(pipe.server, "bettong_outbox_pending_bytes") > 50_000, "it is kept")
    pipe.kill()
    eventually(lambda: gauge(pipe.server, "bettong_outbox_pending_bytes") > 50_000, "it is kept")
    allow(broker, topic, 1_000_000)
    pipe.kill()
    records = read(broker, topic, 110)
    check_outputs(outputs(without_repeats(records)), range(110))
    if exactly_once:
        assert len(records) == 110


def test_a_second_node_of_the_same_transactional_id_ends_the_first_one_s_writing(
    pipes: Any, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    pipe = pipes(sink(broker, topic, exactly_once=True))
    pipe.send(range(100))
    read(broker, topic, 100)
    # The sink's two producers: docs/kafka.md.
    for lane in range(2):
        broker.producer(transactional_id=f"{topic}-{lane}").init_transactions()
    pipe.send(range(100, 200))
    # It says so; that it fights back or gives up is left open, but nothing comes twice.
    await_complaint(pipe.server, "out", "fenced")
    assert_answers(pipe.server)
    pipe.kill()
    records = read(broker, topic, 200)
    assert len(records) == 200
    check_outputs(outputs(records), range(200))


SINK_MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "compression": ({"compression": "zip"}, ["compression", "zip"]),
    "an id without transactions": ({"transactional_id": "x"}, ["transactional_id"]),
    "an unknown key": ({"topics": ["x"]}, ["topics", "topic"]),
    "no topic": ({"topic": ""}, ["topic"]),
    "linger": ({"linger": "long"}, ["linger", "long"]),
    "an option that librdkafka does not know": ({"kafka": {"lingers": "5"}}, ["lingers"]),
}


@pytest.mark.parametrize("name", SINK_MISTAKES)
def test_mistakes_are_named_at_the_start(node: DataNode, name: str) -> None:
    keys, parts = SINK_MISTAKES[name]
    config = kafka_sink("127.0.0.1:1", "t", **keys)
    code, line = node.refused(COUNT_APP, config=config)
    assert code != 0
    assert [part for part in parts if part not in line] == [], line
