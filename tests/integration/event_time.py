"""What windows hold and when they close, worked out anew from all values: the brute-force answer.

One source partition. The watermark as of an event is the highest time so far, that event's
included, less the lateness. Of a key, before each of its events and at the end, everything closes
whose end the watermark has reached: by end, then in the order of the fields.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Protocol

Sample = tuple[int, int]  # time, value


@dataclass(frozen=True)
class Closed:
    end: int
    start: int
    values: tuple[Sample, ...]


class Model(Protocol):
    def add(self, time: int, value: int, watermark: int) -> bool: ...
    def close(self, watermark: int) -> list[Closed]: ...


@dataclass
class Panes:
    """A tumbling or sliding window field of one key."""

    size: int
    pane: int
    values: list[Sample] = field(default_factory=list)
    passed: int | None = None

    def ends(self, time: int) -> range:
        first = time // self.pane * self.pane + self.pane
        return range(first, first + self.size, self.pane)

    def add(self, time: int, value: int, watermark: int) -> bool:
        if self.ends(time)[-1] <= watermark:
            return False
        self.values.append((time, value))
        return True

    def close(self, watermark: int) -> list[Closed]:
        due = {
            end
            for time, _ in self.values
            for end in self.ends(time)
            if end <= watermark and (self.passed is None or end > self.passed)
        }
        self.passed = watermark
        return [
            Closed(
                end,
                end - self.size,
                tuple(v for v in self.values if end in self.ends(v[0])),
            )
            for end in sorted(due)
        ]


@dataclass
class Sessions:
    """A session field of one key."""

    gap: int
    open: list[Sample] = field(default_factory=list)

    def add(self, time: int, value: int, watermark: int) -> bool:
        joins = any(abs(other - time) < self.gap for other, _ in self.open)
        if not joins and time + self.gap <= watermark:
            return False
        self.open.append((time, value))
        return True

    def close(self, watermark: int) -> list[Closed]:
        closed: list[Closed] = []
        ordered = sorted(self.open)
        while ordered:
            count = 1
            while count < len(ordered) and ordered[count][0] - ordered[count - 1][0] < self.gap:
                count += 1
            end = ordered[count - 1][0] + self.gap
            if end > watermark:
                break
            closed.append(Closed(end, ordered[0][0], tuple(ordered[:count])))
            del ordered[:count]
        self.open = ordered
        return closed


def answer(
    events: list[dict[str, Any]], lateness: int, fields: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """What each key emits: ``fields`` makes the model of each window field, in their order."""
    keys: dict[str, dict[str, Model]] = {}
    emitted: dict[str, list[dict[str, Any]]] = {}

    def close(key: str, watermark: int) -> None:
        due = [
            (closed.end, place, name, closed)
            for place, (name, model) in enumerate(keys[key].items())
            for closed in model.close(watermark)
        ]
        for end, _, name, closed in sorted(due, key=lambda each: each[:2]):
            values = [value for _, value in closed.values]
            emitted[key].append(
                {
                    "key": key,
                    "window": name,
                    "start": closed.start,
                    "end": end,
                    "count": len(values),
                    "sum": sum(values),
                    "min": min(values),
                    "max": max(values),
                }
            )

    highest = None
    for event in events:
        key, time = event["key"], event["ts"]
        highest = time if highest is None else max(highest, time)
        if key not in keys:
            keys[key] = {name: make() for name, make in fields.items()}
            emitted[key] = []
        close(key, highest - lateness)
        late = time < highest - lateness
        taken = [
            name
            for name, model in keys[key].items()
            if model.add(time, event["v"], highest - lateness)
        ]
        emitted[key].append({"key": key, "late": late, "taken": taken})
    for key in keys:
        close(key, highest if highest is not None else 0)
    return emitted


def random_events(seed: int, count: int) -> list[dict[str, Any]]:
    """In order on the whole, with skew, gaps, and times that are the same."""
    rng = random.Random(seed)
    now, skew = rng.randrange(1_000_000), rng.choice([0, 50, 400, 2000])
    events = []
    for _ in range(count):
        if rng.random() < 0.5:
            now += rng.randrange(60)
        if rng.random() < 0.02:
            now += rng.randrange(5000)
        back = rng.randrange(skew + 1) if rng.random() < 0.3 else 0
        events.append(
            {"key": f"k{rng.randrange(5)}", "ts": now - back, "v": rng.randrange(-99, 100)}
        )
    return events
