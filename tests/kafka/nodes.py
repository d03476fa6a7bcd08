"""What the tests tell Bettong about Kafka, and what they look at: configuration, INFO, counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker import Record
from harness import SLOWDOWN, Server, eventually

# Counts and adds up by key; tells of each event.
COUNT_APP = """
from bettong import App, Event

app = App("counts")


class Sample(Event):
    key: str
    n: int = 0
    ts: int = 0
    trace: str = ""
    op: str = ""


events = app.stream("events", Sample)
out = app.stream("out")


class Count(app.Entity):
    count: int
    total: int
    ts: int
    trace: str

    @events.on(key="key")
    def take(self, e: Sample):
        if e.op == "raise":
            raise ValueError("as it was told")
        self.count += 1
        self.total += e.n
        self.ts = e.ts
        self.trace = e.trace
        out.emit(key=self.key, n=e.n, count=self.count, text="x" * e.ts if e.op == "grow" else "")
"""

KEYS = 7
WITHIN_S = 30.0 * SLOWDOWN


# -- configuration ----------------------------------------------------------------------------


def toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f'"{name}" = {toml(each)}' for name, each in value.items()) + " }"
    return json.dumps(value)


def table(section: str, keys: Mapping[str, Any], kafka: Mapping[str, str] | None) -> str:
    lines = [f"[{section}]", *(f"{name} = {toml(value)}" for name, value in keys.items())]
    if kafka:
        lines += [f"[{section}.kafka]", *(f'"{name}" = {toml(v)}' for name, v in kafka.items())]
    return "\n" + "\n".join(lines) + "\n"


def kafka_source(
    brokers: str,
    *topics: str,
    name: str = "events",
    kafka: Mapping[str, str] | None = None,
    **keys: Any,
) -> str:
    """A source's table; it looks for new topics and partitions often."""
    first = {"kind": "kafka", "brokers": brokers, "topics": list(topics), "stream": "events"}
    return table(f"source.{name}", first | {"discover": "500ms"} | keys, kafka)


def kafka_sink(
    brokers: str,
    topic: str,
    /,
    *,
    name: str = "out",
    kafka: Mapping[str, str] | None = None,
    **keys: Any,
) -> str:
    first = {"kind": "kafka", "brokers": brokers, "topic": topic, "stream": "out"}
    return table(f"sink.{name}", first | keys, kafka)


# -- events and what they come to ---------------------------------------------------------------


def events(numbers: Sequence[int] | range, partition: int | None = None) -> list[Record]:
    """Records of JSON events: KEYS keys, each record with its key."""
    records = []
    for n in numbers:
        key = f"k{n % KEYS}"
        value = json.dumps({"key": key, "n": n})
        records.append(Record(value.encode(), key.encode(), partition=partition))
    return records


def totals(numbers: Sequence[int] | range) -> dict[str, tuple[int, int]]:
    """By key how many events there are and what they add up to."""
    answer: dict[str, tuple[int, int]] = {}
    for n in numbers:
        count, total = answer.get(f"k{n % KEYS}", (0, 0))
        answer[f"k{n % KEYS}"] = (count + 1, total + n)
    return answer


def counted(server: Server) -> dict[str, tuple[int, int]]:
    """What COUNT_APP has counted so far."""
    answer = {}
    client = server.redis()
    for key in client.scan_iter(match="count:*", count=1000):
        count, total = client.hmget(key, "count", "total")
        answer[key.removeprefix("count:")] = (int(count), int(total))
    client.close()
    return answer


def await_counted(
    server: Server, right: Mapping[str, tuple[int, int]], *, within_s: float = WITHIN_S
) -> None:
    """Wait until as many events as there should be have been counted; then each must be right."""
    wanted = sum(count for count, _ in right.values())

    def enough() -> bool:
        return sum(count for count, _ in counted(server).values()) >= wanted

    try:
        eventually(enough, f"{wanted} events have been counted", within_s=within_s)
    except AssertionError as problem:
        raise AssertionError(f"{problem}; {counted(server)}; {source_lines(server)}") from None
    assert counted(server) == right


def check_outputs(outputs: Sequence[Mapping[str, Any]], numbers: Sequence[int] | range) -> None:
    """COUNT_APP's outputs: each once, each key's in order, counted from 1."""
    by_key: dict[str, list[tuple[int, int]]] = {}
    for each in outputs:
        by_key.setdefault(each["key"], []).append((each["n"], each["count"]))
    right: dict[str, list[tuple[int, int]]] = {}
    for n in numbers:
        mine = right.setdefault(f"k{n % KEYS}", [])
        mine.append((n, len(mine) + 1))
    assert by_key == right


# -- INFO ---------------------------------------------------------------------------------------


def info(server: Server) -> dict[str, str]:
    text = server.connect().call("INFO")
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def source_lines(server: Server, name: str = "events") -> dict[str, str]:
    prefix = f"source_{name}_"
    lines = info(server).items()
    return {key.removeprefix(prefix): value for key, value in lines if key.startswith(prefix)}


@dataclass(frozen=True)
class PartitionState:
    position: int
    end: int
    lag: int
    state: str
    error: str | None


def partition_state(
    server: Server, topic: str, number: int = 0, *, name: str = "events"
) -> PartitionState | None:
    lines = source_lines(server, name)
    text = lines.get(f"{topic}_{number}")
    if text is None:
        return None
    match = re.fullmatch(r"position=(-?\d+),end=(-?\d+),lag=(-?\d+),state=(\w+)", text)
    assert match is not None, f"not the state of a partition: {text!r}"
    position, end, lag = map(int, match.groups()[:3])
    return PartitionState(position, end, lag, match[4], lines.get(f"{topic}_{number}_error"))


def await_state(
    server: Server, topic: str, number: int = 0, *, name: str = "events", **wanted: Any
) -> PartitionState:
    """Wait until INFO says this of a partition."""

    def there() -> PartitionState | None:
        state = partition_state(server, topic, number, name=name)
        right = state is not None and all(getattr(state, k) == v for k, v in wanted.items())
        return state if right else None

    try:
        return eventually(there, f"{topic}[{number}] has {wanted}", within_s=WITHIN_S)
    except AssertionError as problem:
        raise AssertionError(f"{problem}; {source_lines(server, name)}") from None


def complaints(server: Server, *parts: str) -> list[str]:
    """Warnings and errors of the node's log so far that have all these parts."""
    entries = (one for one in server.log() if one["level"] in ("warning", "error"))
    return [one["message"] for one in entries if all(part in one["message"] for part in parts)]


def await_complaint(server: Server, *parts: str) -> str:
    what = f"a warning or an error with {parts}"
    return eventually(lambda: complaints(server, *parts), what, within_s=WITHIN_S)[0]


def assert_answers(server: Server) -> None:
    """The RESP port does what it always does."""
    client = server.redis()
    assert client.set("alive", "yes")
    assert client.get("alive") == "yes"
    assert client.delete("alive") == 1
    client.close()
