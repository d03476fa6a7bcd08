"""The test-bed itself: brokers come, go, and keep what they have been given."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException, Producer

from broker import PASSWORD, USER, Brokers, Reader, Record, await_condition, produce_with


def values(records: list[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def test_records_are_read_as_they_were_produced(broker: Brokers, topic: str) -> None:
    broker.create(topic, 2)
    given = Record(b"v", b"k", [("h", b"1"), ("h", None)], 1_700_000_000_123, 1)
    (written,) = broker.produce(topic, [given])
    assert (written.partition, written.offset) == (1, 0)
    assert broker.read_all(topic) == [
        Record(b"v", b"k", [("h", b"1"), ("h", None)], 1_700_000_000_123, 1, 0, topic)
    ]


def test_a_topic_grows_and_loses_records_and_goes(broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, [str(n) for n in range(5)])
    broker.grow(topic, 3)
    broker.produce(topic, [Record(b"new", partition=2)])
    broker.delete_records(topic, {0: 3})
    assert values(broker.read_all(topic)) == [b"3", b"4", b"new"]
    assert broker.end_offsets(topic) == {0: 5, 1: 0, 2: 1}
    broker.delete(topic)
    assert broker.partitions(topic) == 0


def test_an_aborted_transaction_is_seen_by_read_uncommitted_only(
    broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    producer = broker.producer(transactional_id=topic)
    producer.init_transactions()
    for value, end in (
        (b"no", producer.abort_transaction),
        (b"yes", producer.commit_transaction),
    ):
        producer.begin_transaction()
        produce_with(producer, topic, [value])
        producer.flush()
        end()
    with Reader(broker, topic) as reader:
        assert values(reader.catch_up()) == [b"yes"]
        broker.produce(topic, ["more"])
        assert values(reader.catch_up()) == [b"yes", b"more"]
    assert values(broker.read_all(topic, "read_uncommitted")) == [b"no", b"yes", b"more"]


def test_offsets_of_a_group_are_committed_and_read(broker: Brokers, topic: str) -> None:
    broker.create(topic, 3)
    assert broker.committed("lag", topic) == {}
    broker.commit("lag", topic, {0: 7, 2: 1})
    assert broker.committed("lag", topic) == {0: 7, 2: 1}


@pytest.mark.parametrize("how", ["restart", "kill", "pause"])
def test_records_outlive_what_is_done_to_the_broker(broker: Brokers, topic: str, how: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, ["before"])
    if how == "restart":
        broker.restart(1)
    elif how == "kill":
        broker.kill(1)
        broker.start_one(1)
    else:
        broker.pause(1)
        waiting = broker.producer()
        (delivery,) = produce_with(waiting, topic, ["meanwhile"])
        assert waiting.flush(0.5) == 1
        assert delivery.message is None
        broker.resume(1)
        assert waiting.flush(10) == 0
    broker.produce(topic, ["after"])
    between = [b"meanwhile"] if how == "pause" else []
    assert values(broker.read_all(topic)) == [b"before", *between, b"after"]


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_password_is_asked_for(broker: Brokers, topic: str, password: str) -> None:
    broker.create(topic, 1)
    errors: list[str] = []
    client = Producer(
        {
            "bootstrap.servers": broker.bootstrap_sasl,
            "security.protocol": "sasl_plaintext",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": USER,
            "sasl.password": password,
            "error_cb": lambda error: errors.append(error.str()),
            "log_level": 0,
        }
    )
    if password == PASSWORD:
        assert len(client.list_topics(topic, timeout=10).topics[topic].partitions) == 1
        return
    with pytest.raises(KafkaException):
        client.list_topics(topic, timeout=1)
    await_condition(lambda: client.poll(0.1) or errors, "an error of authentication")
    assert any("uthentication failed" in error for error in errors)


def test_three_brokers_go_on_without_one(three_brokers: Brokers, topic: str) -> None:
    three_brokers.create(topic, 4)
    records = [Record(b"%d" % n, partition=n % 4) for n in range(40)]
    three_brokers.produce(topic, records[:20])
    three_brokers.kill(2)
    three_brokers.produce(topic, records[20:])
    three_brokers.start_one(2)
    read = three_brokers.read_all(topic)
    assert sorted(values(read)) == sorted(values(records))
