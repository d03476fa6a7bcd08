"""Brokers that are away, all of them, while everything else must go on as if nothing were."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from broker import SLOWDOWN, Brokers, await_condition

# Behind the alerts app: what a source that is not Kafka brings, and who counts it. Each makes an
# alert, too, which must be kept while brokers are away.
PULSE_APP = """

class Beat(Event):
    key: str
    n: int


beats = app.stream("beats", Beat)


class Pulse(app.Entity):
    count: int
    sum: int

    @beats.on(key="key")
    def beat(self, e: Beat) -> None:
        self.count += 1
        self.sum += e.n
        alerts.emit(key=self.key, beat=self.count)

    @app.command
    def total(self) -> list[int]:
        return [self.count, self.sum]
"""
PULSE_SOURCE = """
[source.beats]
kind = "tcp"
listen = "127.0.0.1:0"
stream = "beats"
"""

HOWS = ("pause", "kill")
HEART = "heart"  # the key of all beats
PULSE = f"pulse:{HEART}"
BEAT_S = 0.1
ANSWER_S = 5.0 * SLOWDOWN  # the longest that a command or an event may take meanwhile

Address = tuple[str, int]


class Pulse:
    """Sends events to the TCP source, and asks for what they came to: one after the other."""

    def __init__(self, source: Address, resp: Address) -> None:
        self.beats = 0
        self._sum = 0
        self._line = socket.create_connection(source, timeout=ANSWER_S)
        self._client: Any = redis.Redis(  # redis-py's annotations mix sync and async
            *resp,
            socket_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),  # what is not answered in time has failed
            decode_responses=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._client.close()

    def beat(self) -> None:
        """One event more, which must be processed now, and commands answered."""
        self.beats += 1
        self._sum += self.beats
        right = [self.beats, self._sum]
        what = f"beat {self.beats} is counted"
        try:
            self._line.sendall(json.dumps({"key": HEART, "n": self.beats}).encode() + b"\n")
            await_condition(lambda: self.total() == right, what, within_s=ANSWER_S)
            assert self._client.hget(PULSE, "count") == str(self.beats)
        except (redis.RedisError, OSError) as error:
            raise AssertionError(f"{what}: {error!r}") from error

    def alerts(self) -> list[str]:
        """What all of them must have led to."""
        return [f'{{"key":"{HEART}","beat":{n}}}' for n in range(1, self.beats + 1)]

    def total(self) -> list[int] | None:
        """What CALL says; None: there is no such entity yet."""
        if self.beats == 1 and not self._client.exists(PULSE):
            return None
        return [int(each) for each in self._client.execute_command("CALL", PULSE, "total")]


def all_away(brokers: Brokers, how: str, away_s: float, pulse: Pulse) -> None:
    """Every broker stands still, or is killed; then they are back. Meanwhile the pulse goes on."""
    numbers = range(1, brokers.count + 1)
    pulse.beat()
    try:
        if how == "pause":
            for number in numbers:
                brokers.pause(number)
        else:
            brokers.kill()
        end = time.monotonic() + away_s
        between = threading.Event()
        while time.monotonic() < end:
            pulse.beat()
            between.wait(BEAT_S)  # how often: this is no waiting for a condition
    finally:
        if how == "pause":
            for number in numbers:
                brokers.resume(number)
        else:
            brokers.start()
    pulse.beat()
