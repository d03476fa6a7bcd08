"""Publish and subscribe: what the transcript (pubsub.txt) cannot say."""

from __future__ import annotations

import pytest

from harness import DEADLINE_S, Server, eventually
from resp import Connection

pytestmark = pytest.mark.sanitized


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_pubsub(plain: Server, protocol: int) -> None:
    client = plain.redis(protocol=protocol)
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("w*")
        kinds = [pubsub.get_message(timeout=DEADLINE_S)["type"] for _ in range(2)]
        assert kinds == ["subscribe", "psubscribe"]
        assert client.publish("news", "one") == 1
        assert client.publish("weather", "two") == 1
        first = pubsub.get_message(timeout=DEADLINE_S)
        second = pubsub.get_message(timeout=DEADLINE_S)
        assert (first["type"], first["channel"], first["data"]) == ("message", "news", "one")
        assert (second["type"], second["pattern"]) == ("pmessage", "w*")
        assert (second["channel"], second["data"]) == ("weather", "two")
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        kinds = [pubsub.get_message(timeout=DEADLINE_S)["type"] for _ in range(2)]
        assert kinds == ["unsubscribe", "punsubscribe"]
    assert client.publish("news", "nobody") == 0


def test_messages_of_one_publisher_arrive_in_order(plain: Server) -> None:
    subscribers = [plain.subscribe("numbers") for _ in range(4)]
    publisher = plain.connect()
    counts = publisher.pipeline([("PUBLISH", "numbers", n) for n in range(2_000)])
    assert {reply.python() for reply in counts} == {4}
    for subscriber in subscribers:
        assert subscriber.take(2_000) == [str(n) for n in range(2_000)]


def test_a_subscriber_of_many_channels(plain: Server) -> None:
    names = [f"channel:{n}" for n in range(200)]
    subscriber = plain.subscribe(*names)
    publisher = plain.connect()
    for name in names:
        assert publisher.call("PUBLISH", name, f"to {name}") == 1
    assert [subscriber.next_message() for _ in names] == [(name, f"to {name}") for name in names]


def test_a_subscriber_that_leaves_is_forgotten(plain: Server) -> None:
    leaving, staying = plain.subscribe("news"), plain.subscribe("news")
    publisher = plain.connect()
    assert publisher.call("PUBLISH", "news", "both") == 2
    leaving.connection.close()
    eventually(lambda: publisher.call("PUBLISH", "news", "one") == 1, "one subscriber left")
    assert staying.next() == "both"


def test_large_messages(plain: Server) -> None:
    subscriber = plain.subscribe("large")
    message = "0123456789" * 300_000
    assert plain.connect().call("PUBLISH", "large", message) == 1
    assert subscriber.next() == message


def test_a_subscriber_that_does_not_read_is_cut_off(plain: Server) -> None:
    # assumption: the output limit of a subscriber is below 256 MB (Redis's is 32 MB).
    subscriber, publisher = plain.subscribe("flood"), plain.connect()
    message = b"x" * 1_000_000
    for _ in range(256):
        if publisher.call("PUBLISH", "flood", message) == 0:
            break
    else:
        pytest.fail("256 MB were kept for a subscriber that does not read")
    assert publisher.call("PING") == "PONG"
    subscriber.connection.close()


@pytest.mark.parametrize("pattern", ["__keyevent@0__:expired", "__keyevent@*__:*"])
def test_expired_events_by_event(plain: Server, cache: Connection, pattern: str) -> None:
    cache.call("CONFIG", "SET", "notify-keyspace-events", "Ex")
    subscriber = plain.subscribe(pattern, pattern=True)
    cache.call("SET", "gone", "v", "PX", 20)
    assert subscriber.next_message() == ("__keyevent@0__:expired", "gone")


def test_expired_events_by_key(plain: Server, cache: Connection) -> None:
    cache.call("CONFIG", "SET", "notify-keyspace-events", "Kx")
    subscriber = plain.subscribe("__keyspace@0__:gone", "__keyevent@0__:expired")
    cache.call("HSET", "gone", "f", "v")
    cache.call("PEXPIRE", "gone", 20)
    assert subscriber.next_message() == ("__keyspace@0__:gone", "expired")
    # `E` was not asked for, so nothing came on the other channel.
    cache.call("PUBLISH", "__keyevent@0__:expired", "end")
    assert subscriber.next_message() == ("__keyevent@0__:expired", "end")


def test_expired_events_need_to_be_switched_on(plain: Server, cache: Connection) -> None:
    def expired() -> int:
        return int(plain.redis().info("stats")["expired_keys"])

    subscriber, before = plain.subscribe("__keyevent@0__:expired"), expired()
    cache.call("SET", "silent", "v", "PX", 10)
    eventually(lambda: expired() == before + 1, "the key's end")
    cache.call("CONFIG", "SET", "notify-keyspace-events", "Ex")
    cache.call("SET", "told", "v", "PX", 10)
    assert subscriber.next() == "told"


def test_a_publisher_may_subscribe_to_itself_in_resp3(plain: Server) -> None:
    connection = plain.connect(protocol=3)
    connection.send("SUBSCRIBE", "echo")
    assert connection.push().python() == ["subscribe", "echo", 1]
    assert connection.call("PUBLISH", "echo", "hello") == 1
    assert connection.push().python() == ["message", "echo", "hello"]
