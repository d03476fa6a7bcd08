"""Kafka brokers for tests: started and hurt through kafka.sh, and used through confluent-kafka.

Every wait here is for a condition, with a deadline; what did not come true is said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, TopicMetadata

T = TypeVar("T")

SCRIPT = Path(__file__).resolve().parent / "kafka.sh"
SLOWDOWN = float(os.environ.get("BETTONG_TEST_SLOWDOWN", "1"))
SCRIPT_S = 180.0
WAIT_S = 30.0 * SLOWDOWN
POLL_S = 0.05
USER, PASSWORD = "bettong", "correct-horse"
KEY_PASSWORD = "correct-donkey"  # of the key of clients' certificate

# Clients that notice soon that a broker is back.
IMPATIENT: Mapping[str, Any] = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "socket.connection.setup.timeout.ms": 3000,
    "log.connection.close": False,
    "log_level": 0,
}

Headers = Sequence[tuple[str, bytes | None]]


class Unavailable(Exception):
    """There can be no broker here: no Java, no jars."""


@dataclass(frozen=True)
class Record:
    """A record to be produced, or one that has been read."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp: int | None = None  # ms since 1970; of one to be produced None: now
    partition: int | None = None  # of one to be produced None: by its key, as Java's clients do
    offset: int = -1
    topic: str = ""

    def header(self, name: str) -> bytes | None:
        """The last header of that name."""
        return dict(self.headers).get(name)


def await_condition(condition: Callable[[], T | None], what: str, *, within_s: float = WAIT_S) -> T:
    """Ask until the answer is true, and return it; fail at the deadline."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {within_s} s (last: {value!r})")
        time.sleep(POLL_S)
    return value


def require_kafka() -> None:
    """Raise Unavailable, with what is missing, if brokers cannot be started here."""
    for command in ("check", "install"):
        done = subprocess.run([SCRIPT, command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(done.stderr.strip().rpartition("\n")[2])


def results(futures: Mapping[Any, Future[Any]]) -> dict[Any, Any]:
    """What an admin call has led to; an error of any part of it is raised."""
    return {key: future.result(WAIT_S) for key, future in futures.items()}


class Brokers:
    """One set of brokers with a folder of its own, which goes when the set is closed.

    Numbers of brokers are 1, 2, 3. Nobody else's processes are touched.
    """

    def __init__(self, count: int = 1, *, sasl: bool = False, tls: bool = False) -> None:
        self.count = count
        self._sasl = sasl
        self._tls = tls
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._admin: AdminClient | None = None

    # -- the processes --------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        assert self._folder is not None, "the brokers have not been started"
        return Path(self._folder.name)

    def _script(self, command: str, *arguments: object) -> str:
        environment = os.environ | {"KAFKA_OWNER": str(os.getpid())}
        if self._sasl:
            environment["KAFKA_SASL"] = f"{USER}:{PASSWORD}"
        if self._tls:
            environment["KAFKA_TLS"] = KEY_PASSWORD
        done = subprocess.run(
            [SCRIPT, command, self.folder, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=SCRIPT_S,
            check=False,
        )
        assert done.returncode == 0, f"kafka.sh {command}: {done.stderr.strip()}"
        return done.stdout.strip()

    def start(self, count: int | None = None) -> None:
        """Start those that do not run; returns when all of them serve."""
        if self._folder is None:
            self.count = count or self.count
            self._folder = tempfile.TemporaryDirectory(prefix="bettong-kafka-")
        self._script("start", self.count)
        await_condition(self._all_there, f"{self.count} brokers")

    def _all_there(self) -> bool:
        try:
            return len(self.admin.list_topics(timeout=2).brokers) == self.count
        except KafkaException:
            return False

    def start_one(self, number: int) -> None:
        self._script("start-one", number)

    def stop(self, number: int | None = None) -> None:
        """In good order: all of them, or one."""
        self._script("stop", *([] if number is None else [number]))

    def kill(self, number: int | None = None) -> None:
        """kill -9: all of them, or one."""
        self._script("kill", *([] if number is None else [number]))

    def restart(self, number: int = 1) -> None:
        self._script("restart", number)
        await_condition(self._all_there, f"broker {number} is back")

    def pause(self, number: int = 1) -> None:
        """SIGSTOP: connections stay, nothing is answered."""
        self._script("pause", number)

    def resume(self, number: int = 1) -> None:
        self._script("resume", number)

    def close(self) -> None:
        """The end of the set and of all its data."""
        if self._folder is None:
            return
        self._admin = None
        try:
            self.kill()
        finally:
            folder, self._folder = self._folder, None
            shutil.rmtree(folder.name, ignore_errors=True)

    @property
    def bootstrap(self) -> str:
        return self._script("bootstrap")

    @property
    def bootstrap_sasl(self) -> str:
        """Where USER is asked for PASSWORD (SASL_PLAINTEXT, PLAIN)."""
        return self._script("bootstrap", "sasl")

    @property
    def bootstrap_tls(self) -> str:
        """Where clients need a certificate (SSL)."""
        return self._script("bootstrap", "tls")

    @property
    def certificates(self) -> Path:
        """ca.pem, client.pem, and client.key with KEY_PASSWORD."""
        return self.folder / "tls"

    def logs(self) -> dict[str, str]:
        """The end of what each broker has said."""
        if self._folder is None:
            return {}
        paths = sorted(self.folder.glob("broker-*/log"))
        return {path.parent.name: path.read_text()[-4000:] for path in paths}

    # -- topics ---------------------------------------------------------------------------------

    @property
    def admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient({**IMPATIENT, "bootstrap.servers": self.bootstrap})
        return self._admin

    def topics(self) -> dict[str, TopicMetadata]:
        """All topics; asked again while brokers come and go."""

        def ask() -> dict[str, TopicMetadata] | None:
            try:
                return self.admin.list_topics(timeout=2).topics
            except KafkaException:
                return None

        return await_condition(
            lambda: (found,) if (found := ask()) is not None else None, "topics"
        )[0]

    def partitions(self, topic: str) -> int:
        """How many partitions with a leader a topic has; 0: there is none of that name."""
        found = self.topics().get(topic)
        if found is None or found.error is not None:
            return 0
        return sum(each.leader >= 0 for each in found.partitions.values())

    def create(
        self, topic: str, partitions: int = 4, *, config: Mapping[str, str] | None = None
    ) -> str:
        """Make a topic; its partitions have their leaders when this returns."""
        new = NewTopic(topic, partitions, self.count, config=dict(config or {}))
        self._ask(lambda: self.admin.create_topics([new]), done=KafkaError.TOPIC_ALREADY_EXISTS)
        self._await_partitions(topic, partitions)
        return topic

    def _ask(self, call: Callable[[], dict[Any, Future[Any]]], *, done: int) -> None:
        """Ask again when a connection has gone; `done` then says that the first time was enough."""
        gone = (KafkaError._DESTROY_BROKER, KafkaError._TRANSPORT)
        for again in (False, True, True):
            try:
                results(call())
                return
            except KafkaException as error:
                code = error.args[0].code()
                if again and code == done:
                    return
                if code not in gone:
                    raise
        raise AssertionError("the brokers do not answer")

    def _await_partitions(self, topic: str, count: int) -> None:
        await_condition(lambda: self.partitions(topic) == count, f"{count} partitions of {topic}")

    def delete(self, topic: str) -> None:
        done = KafkaError.UNKNOWN_TOPIC_OR_PART
        self._ask(lambda: self.admin.delete_topics([topic]), done=done)
        there = "the end of the topic"
        await_condition(lambda: topic not in self.topics(), there)

    def grow(self, topic: str, partitions: int) -> None:
        """To so many partitions in all."""
        results(self.admin.create_partitions([NewPartitions(topic, partitions)]))
        self._await_partitions(topic, partitions)

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Forget the records of each partition below an offset."""
        parts = [TopicPartition(topic, *each) for each in before.items()]
        results(self.admin.delete_records(parts))

    # -- records --------------------------------------------------------------------------------

    def producer(self, **options: Any) -> Producer:
        given = {name.replace("_", "."): value for name, value in options.items()}
        basic = {
            "bootstrap.servers": self.bootstrap,
            "partitioner": "murmur2_random",
            "acks": "all",
        }
        return Producer({**IMPATIENT, **basic, "linger.ms": 1, **given})

    def produce(
        self, topic: str, records: Iterable[Record | bytes | str], **options: Any
    ) -> list[Record]:
        """Write records (bare values among them), in order; what became of them, in order."""
        producer = self.producer(**options)
        done = produce_with(producer, topic, records)
        left = producer.flush(WAIT_S)
        assert left == 0, f"{left} records for {topic} have not been taken within {WAIT_S} s"
        return [each.record() for each in done]

    def consumer(self, *, isolation: str = "read_committed", **options: Any) -> Consumer:
        given = {name.replace("_", "."): value for name, value in options.items()}
        return Consumer(
            {
                **IMPATIENT,
                "bootstrap.servers": self.bootstrap,
                "group.id": "tests-that-commit-nothing",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": isolation,
                "fetch.wait.max.ms": 50,
                **given,
            }
        )

    def read_all(self, topic: str, isolation: str = "read_committed") -> list[Record]:
        """All records up to the ends as they are now; by partition, then by offset."""
        with Reader(self, topic, isolation=isolation) as reader:
            return sorted(reader.catch_up(), key=lambda record: (record.partition, record.offset))

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Where each partition goes on: behind what is there and decided."""
        consumer = self.consumer()
        try:
            ends = {}
            for number in range(self.partitions(topic)):
                part = TopicPartition(topic, number)
                ends[number] = consumer.get_watermark_offsets(part, timeout=WAIT_S)[1]
            return ends
        finally:
            consumer.close()

    # -- groups ---------------------------------------------------------------------------------

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        consumer = self.consumer(group_id=group)
        try:
            parts = [TopicPartition(topic, *each) for each in offsets.items()]
            consumer.commit(offsets=parts, asynchronous=False)
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The offsets that a group has committed; partitions without one are left out."""
        consumer = self.consumer(group_id=group)
        try:
            parts = [TopicPartition(topic, number) for number in range(self.partitions(topic))]
            found = consumer.committed(parts, timeout=WAIT_S)
            return {each.partition: each.offset for each in found if each.offset >= 0}
        finally:
            consumer.close()


@dataclass
class Delivery:
    """What became of one record that was given to a producer."""

    topic: str
    error: KafkaError | None = None
    message: Message | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        self.error, self.message = error, message

    def record(self) -> Record:
        assert self.error is None, f"a record for {self.topic} was refused: {self.error}"
        assert self.message is not None
        return to_record(self.message)


def to_record(message: Message) -> Record:
    headers = [(name, value) for name, value in message.headers() or []]
    return Record(
        value=message.value(),
        key=message.key(),
        headers=headers,
        timestamp=message.timestamp()[1],
        partition=message.partition(),
        offset=message.offset(),
        topic=message.topic(),
    )


def produce_with(
    producer: Producer, topic: str, records: Iterable[Record | bytes | str]
) -> list[Delivery]:
    """Hand records to a producer, in order; to be flushed by the caller."""
    done = []
    for each in records:
        record = each if isinstance(each, Record) else Record(_as_bytes(each))
        more: dict[str, Any] = {}
        if record.partition is not None:
            more["partition"] = record.partition
        if record.timestamp is not None:
            more["timestamp"] = record.timestamp
        delivery = Delivery(topic)
        done.append(delivery)
        given = {"key": record.key, "headers": list(record.headers), "on_delivery": delivery}
        while True:
            try:
                producer.produce(topic, record.value, **given, **more)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    return done


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


@dataclass
class Reader:
    """Reads all partitions of a topic from their beginning, on and on."""

    brokers: Brokers
    topic: str
    isolation: str = "read_committed"
    records: list[Record] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.consumer = self.brokers.consumer(isolation=self.isolation)
        # A broker may hear of a topic some time after the one that made it.
        count = await_condition(
            lambda: self.brokers.partitions(self.topic), f"a topic {self.topic}"
        )
        self.next = dict.fromkeys(range(count), OFFSET_BEGINNING)
        self._assign()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()

    def _assign(self) -> None:
        self.consumer.assign([TopicPartition(self.topic, *each) for each in self.next.items()])

    def poll(self, within_s: float = POLL_S) -> set[int]:
        """Take what has come; the partitions that had no more."""
        at_end = set()
        for message in self.consumer.consume(10_000, within_s):
            error = message.error()
            if error is None:
                # A batch may hold what was fetched before partitions were assigned anew.
                if message.offset() < self.next[message.partition()]:
                    continue
                self.records.append(to_record(message))
                self.next[message.partition()] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                at_end.add(message.partition())
            else:
                raise KafkaException(error)
        return at_end

    def catch_up(self, within_s: float = WAIT_S) -> list[Record]:
        """Read until every partition has had no more; all records so far."""
        self._assign()  # an end that has been told of once is told of again
        missing = set(self.next)
        end = time.monotonic() + within_s
        while missing:
            missing -= self.poll()
            assert time.monotonic() < end, (
                f"partitions {sorted(missing)} of {self.topic}: not read to their ends "
                f"within {within_s} s, {len(self.records)} records so far"
            )
        return self.records

    def until(self, count: int, within_s: float = WAIT_S) -> list[Record]:
        """Read until so many records have come in all; more may have."""
        end = time.monotonic() + within_s
        while len(self.records) < count:
            self.poll()
            assert time.monotonic() < end, (
                f"{len(self.records)} of {count} records of {self.topic} within {within_s} s"
            )
        return self.records
