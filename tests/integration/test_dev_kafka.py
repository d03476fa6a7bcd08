"""`bettong dev kafka`: brokers to try things with, and that a source and a sink work with them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from harness import BINARY, DEADLINE_S, Launcher, eventually, run_bettong

APP = """
    from bettong import App, Event

    app = App("tried")

    class Sample(Event):
        host: str
        n: int

    samples = app.stream("samples", Sample)
    sums = app.stream("sums")

    class Host(app.Entity):
        sum: int

        @samples.on(key="host")
        def take(self, e):
            self.sum += e.n
            sums.emit(host=self.key, sum=self.sum)
"""


@pytest.fixture
def brokers() -> Iterator[str]:
    process = subprocess.Popen(
        [BINARY, "dev", "kafka", "--topic", "samples:3", "--topic", "sums:1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        assert "for trying things, not for data" in process.stderr.readline()
        ready = process.stderr.readline()
        match = re.fullmatch(r"ready brokers=(127\.0\.0\.1:\d+)\n", ready)
        assert match is not None, ready
        yield match[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_what_goes_into_a_topic_comes_out_of_another(launch: Launcher, brokers: str) -> None:
    config = f"""
        [source.samples]
        kind = "kafka"
        brokers = "{brokers}"
        topics = ["samples"]
        stream = "samples"
        key = "host"

        [sink.sums]
        kind = "kafka"
        brokers = "{brokers}"
        topic = "sums"
        stream = "sums"
        key = "host"
    """
    server = launch(APP, config=config)
    producer = Producer({"bootstrap.servers": brokers})
    for n in range(30):
        producer.produce("samples", json.dumps({"n": n}), f"web-{n % 3}")
    assert producer.flush(DEADLINE_S) == 0
    right = {f"web-{host}": sum(range(host, 30, 3)) for host in range(3)}
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "test", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition("sums", 0, OFFSET_BEGINNING)])
    found: dict[str, list[int]] = {}

    def all_came() -> bool:
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None, message.error()
            one = json.loads(message.value())
            assert message.key() == one["host"].encode()
            found.setdefault(one["host"], []).append(one["sum"])
        return sum(map(len, found.values())) == 30

    try:
        eventually(all_came, "30 sums")
    finally:
        consumer.close()
    assert {host: sums[-1] for host, sums in found.items()} == right
    with server.connect() as client:
        for host, total in right.items():
            assert client.call("HGET", f"host:{host}", "sum") == str(total)


MISTAKES = {
    "a topic without partitions": (["--topic", "a:0"], "NAME or NAME:N"),
    "no number": (["--topic", "a:x"], "NAME or NAME:N"),
    "the same topic twice": (["--topic", "a", "--topic", "a:2"], "topic 'a'"),
    "no brokers": (["--brokers", "0"], "--brokers"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_cannot_be_made_is_told(arguments: list[str], words: str) -> None:
    done = run_bettong("dev", "kafka", *arguments)
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
