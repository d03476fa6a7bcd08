"""A Kafka source: what becomes of a record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker import Brokers, Record
from datanode import DataNode
from harness import Launcher, Server, eventually, get_page
from nodes import (
    COUNT_APP,
    await_counted,
    await_state,
    counted,
    events,
    info,
    kafka_source,
    source_lines,
    totals,
)

STAMP_MS = 1_700_000_000_123

FORMATS_APP = """
from bettong import App, Event

app = App("formats")


class Line(Event):
    value: str
    key: str = "none"


class Blob(Event):
    data: bytes
    key: bytes


class Row(Event):
    id: str
    n: int
    x: float


class Cpu(Event, time="time"):
    measurement: str
    host: str
    idle: float
    time: int


lines = app.stream("lines", Line)
blobs = app.stream("blobs", Blob)
rows = app.stream("rows", Row)
cpus = app.stream("cpus", Cpu)


class Seen(app.Entity):
    text: str
    data: bytes
    n: int
    x: float
    time: int

    @lines.on(key="key")
    def line(self, e: Line):
        self.text = e.value

    @blobs.on(key="key")
    def blob(self, e: Blob):
        self.data = e.data

    @rows.on(key="id")
    def row(self, e: Row):
        self.n, self.x = e.n, e.x

    @cpus.on(key="host")
    def cpu(self, e: Cpu):
        self.text, self.x, self.time = e.measurement, e.idle, e.time
"""


def start(node: DataNode, broker: Brokers, topic: str, **keys: Any) -> Server:
    return node(COUNT_APP, config=kafka_source(broker.bootstrap, topic, **keys))


def fields(server: Server, key: str, kind: str = "count") -> dict[str, str]:
    return eventually(lambda: server.redis().hgetall(f"{kind}:{key}"), f"{kind}:{key}")


# -- events and their fields --------------------------------------------------------------------


def test_json_records_become_events(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(500)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(500)))
    broker.produce(topic, events(range(500, 700)))
    await_counted(server, totals(range(700)))
    assert server.dead_letters() == []


def test_a_node_without_data_reads_from_the_beginning_each_time(
    launch: Launcher, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(50)))
    for _ in range(2):
        server = launch(COUNT_APP, config=kafka_source(broker.bootstrap, topic))
        await_counted(server, totals(range(50)))
        assert server.terminate() == 0


def test_key_timestamp_and_headers_become_fields(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    headers = [("trace-id", b"t-17"), ("unknown", b"\xff\xfe")]
    broker.produce(topic, [Record(b'{"n": 3}', b"from-the-key", headers, STAMP_MS)])
    server = start(node, broker, topic, key="key", timestamp="ts", headers={"trace-id": "trace"})
    row = fields(server, "from-the-key")
    assert (row["count"], row["total"]) == ("1", "3")
    assert (row["ts"], row["trace"]) == (str(STAMP_MS), "t-17")


def test_a_record_without_the_header_has_the_field_s_default(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.produce(topic, [Record(b'{"n": 1}', b"bare")])
    server = start(node, broker, topic, key="key", headers={"trace-id": "trace"})
    assert fields(server, "bare")["trace"] == ""


def test_the_key_of_a_record_is_not_used_unless_it_is_asked_for(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.produce(topic, [Record(b'{"key": "inside", "n": 1}', b"outside", [("op", b"raise")])])
    server = start(node, broker, topic)
    await_counted(server, {"inside": (1, 1)})


# -- formats ------------------------------------------------------------------------------------


def start_format(node: DataNode, broker: Brokers, topic: str, stream: str, **keys: Any) -> Server:
    return node(FORMATS_APP, config=kafka_source(broker.bootstrap, topic, stream=stream, **keys))


def test_raw_values_go_into_one_field(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, [Record('{"not": "looked at", "ä": 1}'.encode(), b"k")])
    server = start_format(node, broker, topic, "lines", format="raw", key="key")
    assert fields(server, "k", "seen")["text"] == '{"not": "looked at", "ä": 1}'


def test_raw_values_of_any_bytes_go_into_a_bytes_field(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    blob = bytes(range(256))
    broker.produce(topic, [Record(blob, b"k")])
    server = start_format(node, broker, topic, "blobs", format="raw", value="data", key="key")
    client = server.redis(decode_responses=False)
    assert eventually(lambda: client.hget("seen:k", "data"), "the blob") == blob


def test_csv(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, ["a;3;0.5", '"b;c";4;1.5'])
    keys = {"format": "csv", "columns": ["id", "n", "x"], "delimiter": ";"}
    server = start_format(node, broker, topic, "rows", **keys)
    assert fields(server, "b;c", "seen")["n"] == "4"
    assert fields(server, "a", "seen")["x"] == "0.5"


def test_influx(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, ["cpu,host=web-01 idle=99.5 1556813561000"])
    server = start_format(node, broker, topic, "cpus", format="influx", precision="ms")
    row = fields(server, "web-01", "seen")
    assert (row["text"], row["x"], row["time"]) == ("cpu", "99.5", "1556813561000")


# -- what is no event ---------------------------------------------------------------------------

POISON = {
    "no JSON": b"this is no JSON",
    "cut short": b'{"key": "k0", "n": ',
    "no object": b"[1, 2]",
    "the key is missing": b'{"n": 1}',
    "a text for a number": b'{"key": "k0", "n": "many"}',
    "no UTF-8": b'{"key": "\xff\xfe"}',
    "empty": b"",
    "too long": b'{"key": "' + b"x" * 5000 + b'"}',
}


@pytest.mark.parametrize("name", POISON)
def test_a_record_that_is_no_event_is_dead_lettered_and_its_partition_goes_on(
    node: DataNode, broker: Brokers, topic: str, name: str
) -> None:
    broker.create(topic, 2)
    poison = Record(POISON[name], b"p", partition=1)
    broker.produce(topic, [*events(range(10), 1), poison, *events(range(10, 20), 1)])
    server = start(node, broker, topic, max_frame_bytes=4096)
    await_counted(server, totals(range(20)))
    (letter,) = server.wait_dead_letters(1)
    assert json.loads(letter["origin"]) == {
        "source": "events",
        "topic": topic,
        "partition": 1,
        "offset": 10,
    }
    assert letter["stream"] == "events"
    await_state(server, topic, 1, position=21, lag=0, state="reading")
    assert source_lines(server)["dead_letters"] == "1"


def test_a_turn_that_raises_is_dead_lettered_and_its_partition_goes_on(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    bad = Record(b'{"key": "k0", "op": "raise"}')
    broker.produce(topic, [*events(range(5)), bad, *events(range(5, 10))])
    server = start(node, broker, topic)
    await_counted(server, totals(range(10)))
    (letter,) = server.wait_dead_letters(1)
    assert "as it was told" in letter["error"]
    assert json.loads(letter["origin"]) == {
        "source": "events",
        "topic": topic,
        "partition": 0,
        "offset": 5,
    }
    await_state(server, topic, position=11, lag=0, state="reading")


LETTERS_APP = """
from bettong import App, Event, Retry, milliseconds, seconds

app = App("letters")


class Sample(Event, time="at"):
    key: str
    at: int


events = app.stream("events", Sample, lateness=seconds(1), late="dead-letter")


class Count(app.Entity):
    count: int

    @events.on(key="key", on_error=Retry(times=2, backoff=milliseconds(1)))
    def take(self, e: Sample):
        if e.key == "bad":
            raise ValueError("tried again in vain")
        self.count += 1


@events.on()
def look(e: Sample):
    if e.key == "odd":
        raise ValueError("nobody's entity")
"""


def test_letters_of_whatever_kind_tell_where_the_record_lies(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(
        topic, [json.dumps({"key": key, "at": STAMP_MS}) for key in ("good", "bad", "odd")]
    )
    server = node(LETTERS_APP, config=kafka_source(broker.bootstrap, topic))
    server.wait_dead_letters(2)
    await_state(server, topic, position=3)
    broker.produce(topic, [json.dumps({"key": "late", "at": STAMP_MS - 600_000})])
    await_state(server, topic, position=4)
    letters = {
        (letter["key"], letter["handler"]): json.loads(letter["origin"])
        for letter in server.dead_letters()
    }
    of_topic = {"source": "events", "topic": topic, "partition": 0}
    assert letters == {
        ("bad", "take"): of_topic | {"offset": 1},
        ("null", "look"): of_topic | {"offset": 2},
        ("null", "null"): of_topic | {"offset": 3},  # late
    }


def test_dead_letters_are_not_repeated_after_a_kill(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, ["bad", *events(range(5)), "worse"])
    server = start(node, broker, topic)
    await_counted(server, totals(range(5)))
    server.wait_dead_letters(2)
    await_state(server, topic, position=7)
    node.kill(server)
    broker.produce(topic, events(range(5, 10)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(10)))
    assert len(server.dead_letters()) == 2


@pytest.mark.parametrize("key", [None, "key"], ids=["without key", "with key"])
def test_a_tombstone_does_not_stop_its_partition(
    node: DataNode, broker: Brokers, topic: str, key: str | None
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, [*events(range(3)), Record(None, b"dead"), *events(range(3, 6))])
    more = {} if key is None else {"key": key}
    server = start(node, broker, topic, **more)
    await_state(server, topic, position=7, lag=0, state="reading")
    # assumption: it is a dead letter that says where it was, or an event of nothing but the key.
    counts = counted(server)
    letters = server.dead_letters()
    if counts.pop("dead", None) is None:
        origin = {"source": "events", "topic": topic, "partition": 0, "offset": 3}
        assert [json.loads(letter["origin"]) for letter in letters] == [origin]
    else:
        assert key == "key"
        assert letters == []
    assert counts == totals(range(6))


def test_an_empty_topic_is_waited_at(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    server = start(node, broker, topic)
    await_state(server, topic, position=0, end=0, lag=0, state="reading")
    broker.produce(topic, events(range(3)))
    await_counted(server, totals(range(3)))


def test_aborted_transactions_are_not_read_and_what_they_leave_is_passed(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    producer = broker.producer(transactional_id=topic)
    producer.init_transactions()
    for numbers, end in (
        (range(10), producer.commit_transaction),
        (range(1000, 1010), producer.abort_transaction),
        (range(10, 20), producer.commit_transaction),
        (range(2000, 2010), producer.abort_transaction),
    ):
        producer.begin_transaction()
        for record in events(numbers):
            producer.produce(topic, record.value, record.key)
        producer.flush()
        end()
    server = start(node, broker, topic)
    await_counted(server, totals(range(20)))
    # 40 records and 4 marks; no lag stays behind that nothing can ever lessen.
    await_state(server, topic, lag=0, end=44)
    node.kill(server)
    broker.produce(topic, events(range(20, 25)))
    await_counted(start(node, broker, topic), totals(range(25)))


# -- what is told about it ----------------------------------------------------------------------


def test_info_tells_of_the_source_and_each_partition(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 3)
    broker.produce(topic, [*events(range(5), 0), *events(range(5, 7), 2)])
    server = start(node, broker, topic)
    await_counted(server, totals(range(7)))
    for number, count in ((0, 5), (1, 0), (2, 2)):
        await_state(server, topic, number, position=count, end=count, lag=0, state="reading")
    lines = source_lines(server)
    assert lines["events"] == "7"
    assert lines["dead_letters"] == "0"
    assert lines["admission"] == "open"
    assert lines["lag"] == "0"
    assert lines["partitions"] == "3"
    assert not [name for name in lines if name.endswith("_error")]
    assert "source_events_partitions" in info(server)


def test_metrics_tell_of_each_partition(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 2)
    broker.produce(topic, [*events(range(5), 0), *events(range(5, 7), 1)])
    server = start(node, broker, topic)
    await_counted(server, totals(range(7)))
    await_state(server, topic, 0, position=5, end=5)
    await_state(server, topic, 1, position=2, end=2)
    page = get_page(server, "/metrics")
    for number, count in ((0, 5), (1, 2)):
        labels = f'{{source="events",topic="{topic}",partition="{number}"}}'
        for name, value in (("position", count), ("end", count), ("lag", 0)):
            assert f"\nbettong_source_partition_{name}{labels} {value}\n" in page
    assert 'bettong_source_events_total{source="events"} 7\n' in page


def test_large_and_many_records(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 2, config={"max.message.bytes": "3000000"})
    large = json.dumps({"key": "large", "n": 1, "trace": "x" * 900_000})
    some = [*events(range(2000)), large, *events(range(2000, 4000))]
    broker.produce(topic, some, message_max_bytes=3_000_000)
    server = start(node, broker, topic, prefetch="64kb")
    await_counted(server, totals(range(4000)) | {"large": (1, 1)})
    assert len(fields(server, "large")["trace"]) == 900_000
