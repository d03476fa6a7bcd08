"""A Kafka source: where it begins, and that it goes on where it was."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from broker import Brokers, Record, await_condition
from datanode import DataNode, settle
from harness import Server, eventually, file_sink_table
from nodes import (
    COUNT_APP,
    await_counted,
    await_state,
    check_outputs,
    counted,
    events,
    kafka_source,
    partition_state,
    totals,
)

NOON = datetime.datetime(2026, 3, 29, 12, tzinfo=datetime.UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def start(node: DataNode, broker: Brokers, topic: str, shards: int = 2, **keys: Any) -> Server:
    config = kafka_source(broker.bootstrap, topic, **keys)
    return node(COUNT_APP, config=config, shards=shards)


# -- where a partition begins -------------------------------------------------------------------


def test_earliest_is_the_first_record_that_there_still_is(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    broker.delete_records(topic, {0: 4})
    server = start(node, broker, topic)
    await_counted(server, totals(range(4, 10)))
    # Nothing that was to be read is gone.
    await_state(server, topic, position=10, state="reading", error=None)


def test_latest_is_what_comes_after_the_start(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 2)
    broker.produce(topic, [*events(range(10), 0), *events(range(10, 13), 1)])
    server = start(node, broker, topic, start="latest")
    await_state(server, topic, 0, position=10, lag=0, state="reading")
    await_state(server, topic, 1, position=3, lag=0, state="reading")
    broker.produce(topic, events(range(100, 110)))
    await_counted(server, totals(range(100, 110)))


def test_latest_is_decided_once(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    server = start(node, broker, topic, start="latest")
    await_state(server, topic, position=10, state="reading")
    settle(server.redis())
    node.kill(server)
    # What came while it was away is behind the place where it began.
    broker.produce(topic, events(range(10, 20)))
    await_counted(start(node, broker, topic, start="latest"), totals(range(10, 20)))


@pytest.mark.parametrize("form", ["text", "number"])
def test_a_time_is_the_first_record_of_that_time_or_later(
    node: DataNode, broker: Brokers, topic: str, form: str
) -> None:
    broker.create(topic, 2)
    stamps = [-2000, -1, 0, 1, 2000]
    for partition in range(2):
        broker.produce(
            topic,
            [
                Record(b'{"key": "k", "n": %d}' % 10**i, None, [], NOON_MS + stamp, partition)
                for i, stamp in enumerate(stamps)
            ],
        )
    when = NOON.strftime("%Y-%m-%dT%H:%M:%SZ") if form == "text" else NOON_MS
    server = start(node, broker, topic, start=when)
    await_counted(server, {"k": (6, 2 * 11_100)})


def test_a_time_behind_all_records_is_the_end(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, [Record(b'{"key": "k"}', timestamp=NOON_MS)])
    server = start(node, broker, topic, start=NOON_MS + 1)
    await_state(server, topic, position=1, lag=0, state="reading")
    broker.produce(topic, events(range(5)))
    await_counted(server, totals(range(5)))


def test_stored_is_what_the_group_has_committed(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 2)
    broker.produce(topic, [*events(range(10), 0), *events(range(10, 20), 1)])
    broker.commit(topic, topic, {0: 6})
    server = start(node, broker, topic, start="stored", group=topic)
    # Of partition 1 nothing is committed: all of it.
    await_counted(server, totals(range(6, 20)))


@pytest.mark.parametrize("keys", [{"start": "earliest"}, {"start": "stored"}], ids=str)
def test_committed_offsets_are_not_read_where_the_log_knows_better(
    node: DataNode, broker: Brokers, topic: str, keys: dict[str, str]
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    server = start(node, broker, topic, group=topic, **keys)
    await_counted(server, totals(range(10)))
    await_condition(lambda: broker.committed(topic, topic) == {0: 10}, "10 are committed")
    node.kill(server)
    for wrong in (3, 12):
        broker.produce(topic, events(range(10, 15)) if wrong == 3 else [])
        broker.commit(topic, topic, {0: wrong})
        server = start(node, broker, topic, group=topic, **keys)
        await_counted(server, totals(range(15)))
        await_state(server, topic, position=15)
        node.kill(server)


def test_earliest_does_not_ask_the_group(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    broker.commit(topic, topic, {0: 6})
    server = start(node, broker, topic, group=topic)
    await_counted(server, totals(range(10)))


def test_a_group_is_told_how_far_each_partition_is(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 3)
    broker.produce(topic, [*events(range(5), 0), *events(range(5, 7), 2)])
    server = start(node, broker, topic, group=topic)
    await_counted(server, totals(range(7)))

    def told() -> bool:
        found = broker.committed(topic, topic)
        return (found.get(0), found.get(2)) == (5, 2)

    await_condition(told, "offsets are committed to the group")
    assert server.terminate() == 0
    assert told()


# -- going on ------------------------------------------------------------------------------------


def test_a_restart_goes_on_where_it_was(node: DataNode, broker: Brokers, topic: str) -> None:
    broker.create(topic)
    for life in range(4):
        broker.produce(topic, events(range(100 * life, 100 * life + 100)))
        server = start(node, broker, topic, 1 + life % 3)
        await_counted(server, totals(range(100 * life + 100)))
        assert server.terminate() == 0


def test_every_record_counts_once_across_kills(
    node: DataNode, broker: Brokers, topic: str, tmp_path: Path
) -> None:
    """Killed while it reads, again and again, with other numbers of shards each time."""
    broker.create(topic)
    output = tmp_path / "out.jsonl"
    config = kafka_source(broker.bootstrap, topic, prefetch="64kb")
    config += file_sink_table("file", "out", output)
    produced, kills, kills_while_reading = 0, 0, 0
    # It takes a while for all events of a step.
    slow = COUNT_APP.replace("self.count += 1", "self.count += 1; sum(range(2000))")
    server = node(slow, config=config)
    while kills < 6:
        broker.produce(topic, events(range(produced, produced + 8000)))
        before, produced = produced, produced + 8000
        reached = before + 1 + 1000 * kills

        def has_begun(server: Server = server, reached: int = reached) -> int:
            done = sum(count for count, _ in counted(server).values())
            return done if done >= reached else 0

        done = eventually(has_begun, f"{reached} events are counted")
        node.kill(server)
        kills += 1
        kills_while_reading += done < produced
        server = node(slow, config=config, shards=1 + kills % 4)
    await_counted(server, totals(range(produced)))
    assert server.dead_letters() == []
    assert server.terminate() == 0
    outputs = [json.loads(line) for line in output.read_text().splitlines()]
    check_outputs(outputs, range(produced))
    assert kills_while_reading > 0, "each kill came after all had been read: it tested nothing"


def test_a_kill_at_once_after_the_start_loses_and_repeats_nothing(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.produce(topic, events(range(5000)))
    for life in range(5):
        server = start(node, broker, topic, 1 + life % 3)
        node.kill(server)
    server = start(node, broker, topic)
    await_counted(server, totals(range(5000)))


def test_the_position_in_info_is_never_behind_what_was_there_before(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(300)))
    server = start(node, broker, topic)
    await_counted(server, totals(range(300)))
    await_state(server, topic, position=300)
    settle(server.redis())
    node.kill(server)
    server = start(node, broker, topic)
    state = eventually(lambda: partition_state(server, topic), "the partition is known")
    assert state.position in (0, 300) if state.state != "reading" else state.position == 300
    await_state(server, topic, position=300, lag=0, state="reading")


def test_two_sources_of_one_topic_have_positions_of_their_own(
    node: DataNode, broker: Brokers, topic: str
) -> None:
    broker.create(topic, 1)
    broker.produce(topic, events(range(10)))
    one = kafka_source(broker.bootstrap, topic, name="one")
    two = kafka_source(broker.bootstrap, topic, name="two")
    server = node(COUNT_APP, config=one)
    await_counted(server, totals(range(10)))
    node.kill(server)
    server = node(COUNT_APP, config=one + two)
    twice = {key: (2 * count, 2 * total) for key, (count, total) in totals(range(10)).items()}
    await_counted(server, twice)
    await_state(server, topic, name="two", position=10)
