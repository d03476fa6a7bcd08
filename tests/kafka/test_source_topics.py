"""A Kafka source: topics and partitions come, grow, and go; records are gone."""

from __future__ import annotations

from typing import Any

import pytest

from broker import Brokers
from datanode import DataNode
from harness import Server, eventually, source_table
from nodes import (
    COUNT_APP,
    assert_answers,
    await_complaint,
    await_counted,
    await_state,
    complaints,
    counted,
    events,
    kafka_source,
    source_lines,
    totals,
)


def start(node: DataNode, broker: Brokers, *topics: str, **keys: Any) -> Server:
    return node(COUNT_APP, config=kafka_source(broker.bootstrap, *topics, **keys))


# -- more of them -------------------------------------------------------------------------------


def test_partitions_that_are_added_while_it_runs_lose_nothing(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 4)
    server = start(node, broker, topic)
    broker.produce(topic, events(range(1000)))
    await_counted(server, totals(range(1000)))
    broker.grow(topic, 32)
    # Those that nobody has read yet get records at once.
    for partition in range(32):
        first = 1000 + 100 * partition
        broker.produce(topic, events(range(first, first + 100), partition))
    await_counted(server, totals(range(4200)))
    lines = eventually(
        lambda: found if (found := source_lines(server))["partitions"] == "32" else None,
        "32 partitions",
    )
    assert sum(name.startswith(f"{topic}_") for name in lines) == 32
    node.kill(server)
    broker.produce(topic, events(range(4200, 4300)))
    await_counted(start(node, broker, topic), totals(range(4300)))


def test_partitions_that_were_added_while_it_was_away_are_read(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(10)))
    node.kill(server)
    broker.grow(topic, 3)
    broker.produce(topic, events(range(10, 20), 2))
    await_counted(start(node, broker, topic), totals(range(20)))


def test_several_topics(node: DataNode, broker: Brokers, topic: str) -> None:
    names = [broker.create(f"{topic}-{n}", 2) for n in range(3)]
    for n, name in enumerate(names):
        broker.produce(name, events(range(10 * n, 10 * n + 10)))
    server = start(node, broker, *names)
    await_counted(server, totals(range(30)))
    assert source_lines(server)["partitions"] == "6"


def test_topics_by_pattern_and_one_that_comes_later(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(f"{topic}-in-a", 1)
    broker.create(f"{topic}-out", 1)
    broker.produce(f"{topic}-in-a", events(range(10)))
    broker.produce(f"{topic}-out", events(range(1000, 1010)))
    server = start(node, broker, f"^{topic}-in-.*")
    await_counted(server, totals(range(10)))
    broker.create(f"{topic}-in-b", 2)
    broker.create(f"un{topic}-in-c", 1)  # what begins otherwise does not match
    broker.produce(f"un{topic}-in-c", events(range(2000, 2010)))
    broker.produce(f"{topic}-in-b", events(range(10, 20)))
    await_counted(server, totals(range(20)))
    assert source_lines(server)["partitions"] == "3"


def test_a_pattern_goes_on_after_a_kill(node: DataNode, broker: Brokers, topic: str) -> None:
    names = [broker.create(f"{topic}-{n}", 1) for n in range(2)]
    for n, name in enumerate(names):
        broker.produce(name, events(range(10 * n, 10 * n + 10)))
    server = start(node, broker, f"^{topic}-.$")
    await_counted(server, totals(range(20)))
    node.kill(server)
    broker.produce(broker.create(f"{topic}-2", 1), events(range(20, 30)))
    await_counted(start(node, broker, f"^{topic}-.$"), totals(range(30)))


def test_a_topic_that_is_not_there_is_told_of_and_waited_for(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(f"{topic}-there", 1)
    broker.produce(f"{topic}-there", events(range(10)))
    config = source_table("tcp", "events")
    config += kafka_source(broker.bootstrap, topic, f"{topic}-there")
    server = node(COUNT_APP, config=config)
    await_complaint(server, topic)
    await_counted(server, totals(range(10)))
    assert topic in source_lines(server)["trouble"]
    assert_answers(server)
    server.feed({"key": "k0", "n": 10}, source="tcp")
    more = totals(range(10)) | {"k0": (3, 0 + 7 + 10)}
    await_counted(server, more)
    broker.create(topic, 1)
    broker.produce(topic, events([14]))
    await_counted(server, more | {"k0": (4, 0 + 7 + 10 + 14)})
    await_state(server, topic, position=1, lag=0, state="reading", error=None)
    assert source_lines(server)["trouble"] == ""
    # Told once, not with each look for it.
    assert len(complaints(server, topic)) <= 3


# -- records that are gone ----------------------------------------------------------------------


def lose_records(node: DataNode, broker: Brokers, topic: str) -> None:
    """Ten events are counted; of the next ten five are gone before anybody has read them."""
    broker.create(topic, 2)
    broker.produce(topic, events(range(10), 0))
    server = start(node, broker, topic)
    await_counted(server, totals(range(10)))
    await_state(server, topic, position=10)
    node.kill(server)
    broker.produce(topic, events(range(10, 20), 0))
    broker.delete_records(topic, {0: 15})


def test_records_deleted_before_they_were_read_stop_their_partition(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    lose_records(node, broker, topic)
    server = start(node, broker, topic)  # on_lost = "stop" is the default
    state = await_state(server, topic, 0, state="stopped", position=10)
    assert state.error is not None
    assert "10" in state.error  # what was to be read
    assert "15" in state.error  # what there is
    await_complaint(server, topic, "10", "15")
    # Nobody else is stopped.
    broker.produce(topic, events(range(100, 110), 1))
    await_counted(server, totals([*range(10), *range(100, 110)]))
    assert_answers(server)
    # It stays so until somebody decides.
    node.kill(server)
    server = start(node, broker, topic)
    await_state(server, topic, 0, state="stopped", position=10)
    assert server.terminate() == 0
    server = start(node, broker, topic, on_lost="skip")
    await_counted(server, totals([*range(10), *range(15, 20), *range(100, 110)]))


def test_records_deleted_before_they_were_read_are_skipped_aloud(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    lose_records(node, broker, topic)
    server = start(node, broker, topic, on_lost="skip")
    await_counted(server, totals([*range(10), *range(15, 20)]))
    await_state(server, topic, 0, position=20, lag=0, state="reading")
    await_complaint(server, topic, "10", "15")


def test_all_records_deleted_are_records_lost(node: DataNode, broker: Brokers, topic: str) -> None:
    lose_records(node, broker, topic)
    broker.delete_records(topic, {0: 20})
    server = start(node, broker, topic)
    await_state(server, topic, 0, state="stopped", position=10)


def test_deleting_what_has_been_read_loses_nothing(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(10)))
    broker.delete_records(topic, {0: 10})
    broker.produce(topic, events(range(10, 20)))
    await_counted(server, totals(range(20)))
    await_state(server, topic, position=20)
    node.kill(server)
    broker.delete_records(topic, {0: 20})
    server = start(node, broker, topic)
    await_state(server, topic, position=20, lag=0, state="reading", error=None)
    broker.produce(topic, events(range(20, 30)))
    await_counted(server, totals(range(30)))


def recreate(broker: Brokers, topic: str) -> None:
    broker.delete(topic)
    broker.create(topic, 1)


def start_and_count(node: DataNode, broker: Brokers, topic: str, **keys: Any) -> Server:
    broker.create(topic, 1)
    broker.produce(topic, events(range(20)))
    server = start(node, broker, topic, **keys)
    await_counted(server, totals(range(20)))
    await_state(server, topic, position=20)
    return server


@pytest.mark.parametrize("when", ["running", "away"])
def test_a_topic_made_anew_stops_its_partitions(
    node: DataNode, broker: Brokers, topic: str, when: str
) -> None:
    server = start_and_count(node, broker, topic)
    if when == "away":
        node.kill(server)
    recreate(broker, topic)
    broker.produce(topic, events(range(100, 105)))
    if when == "away":
        server = start(node, broker, topic)
    state = await_state(server, topic, state="stopped")
    assert state.error
    await_complaint(server, topic)
    assert_answers(server)
    assert counted(server) == totals(range(20))


@pytest.mark.parametrize("when", ["running", "away"])
def test_a_topic_made_anew_is_read_from_its_beginning_if_records_may_be_skipped(
    node: DataNode, broker: Brokers, topic: str, when: str
) -> None:
    server = start_and_count(node, broker, topic, on_lost="skip")
    if when == "away":
        node.kill(server)
    recreate(broker, topic)
    broker.produce(topic, events(range(100, 105)))
    if when == "away":
        server = start(node, broker, topic, on_lost="skip")
    await_counted(server, totals([*range(20), *range(100, 105)]))
    await_complaint(server, topic)
    # The new records count once, too.
    await_state(server, topic, position=5)
    node.kill(server)
    broker.produce(topic, events(range(105, 110)))
    server = start(node, broker, topic, on_lost="skip")
    await_counted(server, totals([*range(20), *range(100, 110)]))


@pytest.mark.parametrize("when", ["running", "away"])
@pytest.mark.parametrize("on_lost", ["stop", "skip"])
def test_a_topic_made_anew_and_longer_than_before_is_not_taken_for_the_old_one(
    node: DataNode, broker: Brokers, topic: str, when: str, on_lost: str
) -> None:
    """Reading on at 20 would leave out the first 20 of its records in silence."""
    server = start_and_count(node, broker, topic, on_lost=on_lost)
    if when == "away":
        node.kill(server)
    recreate(broker, topic)
    broker.produce(topic, events(range(100, 150)))
    if when == "away":
        server = start(node, broker, topic, on_lost=on_lost)
    if on_lost == "stop":
        await_state(server, topic, state="stopped")
        assert counted(server) == totals(range(20))
    else:
        await_counted(server, totals([*range(20), *range(100, 150)]))


def test_a_topic_that_goes_while_it_is_read_is_told_of_and_stops_nothing_else(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    server = start_and_count(node, broker, topic)
    broker.delete(topic)
    await_complaint(server, topic)
    eventually(lambda: topic in source_lines(server)["trouble"], "INFO tells of it")
    assert_answers(server)


def test_a_node_ends_in_good_order_when_its_topic_is_gone(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    server = start_and_count(node, broker, topic)
    broker.delete(topic)
    await_complaint(server, topic)
    assert server.terminate() == 0
