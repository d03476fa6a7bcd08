"""The alerts workload, in the tests' own words: a generator and a brute-force answer.

An event is {"key", "ts", "metric", "value"}. What is right is recomputed here for every event from
the whole history of its key, without any running state, so that it shares no mistake with an
implementation that updates windows:

- A key's history is cut into lives: a life ends when the next event is more than TTL later.
- Tumbling window: the events of the same life whose time lies in the same WINDOW. The first time
  in a window that it holds at least MINIMUM events with a mean above THRESHOLD, a T alert goes out.
- Sliding window: the events of the same life in the current minute and the four before it. Under
  the same condition an S alert goes out, at most one for each minute; its w is the first minute.
- An event's T alert goes before its S alert. Sums and maxima are in tenths of the value.
- At the end a key lives iff its last event is no more than TTL before the last event of all.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

TTL_MS = 600_000
WINDOW_MS = 300_000
MINUTE_MS = 60_000
PANES = 5
MINIMUM = 10
THRESHOLD_TENTHS = 700
START_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Sample:
    key: str
    ts: int
    tenths: int

    def line(self) -> bytes:
        value = f"{self.tenths // 10}.{self.tenths % 10}"
        text = f'{{"key":"{self.key}","ts":{self.ts},"metric":"cpu","value":{value}}}'
        return text.encode()


@dataclass(frozen=True)
class Answer:
    alerts: dict[str, list[str]]  # lines by key, each key's in their order
    live: int

    @property
    def count(self) -> int:
        return sum(len(lines) for lines in self.alerts.values())


def generate(count: int, keys: int, *, seed: int, span_ms: int = 1_800_000) -> list[Sample]:
    """Events with non-decreasing times, few hot keys and many cold ones.

    Every tenth key falls silent after a third of the time. The mean of a key is its own, so some
    keys never alert and some do at once; with few events per key lives end by themselves too.
    """
    numbers = random.Random(seed)
    means = [numbers.randrange(300, 800) for _ in range(keys)]
    samples = []
    for index in range(count):
        offset_ms = index * span_ms // count
        which = int(keys * numbers.random() ** 2)
        if which % 10 == 7 and offset_ms > span_ms / 3:
            which = (which + 1) % keys
        tenths = max(0, means[which] + numbers.randint(-200, 200))
        samples.append(Sample(f"host-{which:06d}", START_MS + offset_ms, tenths))
    return samples


def generate_edges(*, seed: int, keys: int = 40, events: int = 400) -> list[Sample]:
    """Histories that step on every boundary: exact TTL, window and minute ends, exact mean."""
    numbers = random.Random(seed)
    gaps_ms = [0, 1, 999, MINUTE_MS - 1, MINUTE_MS, MINUTE_MS + 1, WINDOW_MS - 1, WINDOW_MS]
    gaps_ms += [4 * MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS + 1, TTL_MS - 1, TTL_MS, TTL_MS + 1]
    weights = [20, 20, 20, 6, 6, 6, 1, 1, 2, 2, 2, 2, 2, 2]
    samples = []
    for which in range(keys):
        ts = START_MS - START_MS % WINDOW_MS + numbers.choice([0, WINDOW_MS - 1, MINUTE_MS])
        for _ in range(events):
            ts += numbers.choices(gaps_ms, weights)[0]
            tenths = 700 + numbers.choice([0, 0, 0, 0, 0, 0, 1, -1, 100, -100])
            samples.append(Sample(f"edge-{which:03d}", ts, tenths))
    return sorted(samples, key=lambda sample: sample.ts)


def lives(history: list[Sample]) -> list[list[Sample]]:
    cut: list[list[Sample]] = []
    for sample in history:
        if not cut or sample.ts - cut[-1][-1].ts > TTL_MS:
            cut.append([])
        cut[-1].append(sample)
    return cut


def high(window: list[Sample]) -> bool:
    total = sum(sample.tenths for sample in window)
    return len(window) >= MINIMUM and total > THRESHOLD_TENTHS * len(window)


def alert(kind: str, start_ms: int, window: list[Sample]) -> str:
    newest = window[-1]
    fields = {
        "key": newest.key,
        "t": kind,
        "w": start_ms,
        "ts": newest.ts,
        "n": len(window),
        "sum": sum(sample.tenths for sample in window),
        "max": max(sample.tenths for sample in window),
    }
    return json.dumps(fields, separators=(",", ":"))


def alerts_of_life(life: list[Sample]) -> list[str]:
    alerts = []
    told: set[tuple[str, int]] = set()
    tumbling_from = sliding_from = 0
    for index, sample in enumerate(life):
        start_ms = sample.ts - sample.ts % WINDOW_MS
        while life[tumbling_from].ts < start_ms:
            tumbling_from += 1
        window = life[tumbling_from : index + 1]
        if ("T", start_ms) not in told and high(window):
            told.add(("T", start_ms))
            alerts.append(alert("T", start_ms, window))
        minute = sample.ts // MINUTE_MS
        first_ms = (minute - PANES + 1) * MINUTE_MS
        while life[sliding_from].ts < first_ms:
            sliding_from += 1
        window = life[sliding_from : index + 1]
        if ("S", minute) not in told and high(window):
            told.add(("S", minute))
            alerts.append(alert("S", first_ms, window))
    return alerts


def answer(samples: list[Sample]) -> Answer:
    """What must come out for these events, whatever the order among keys."""
    histories: dict[str, list[Sample]] = {}
    for sample in samples:
        histories.setdefault(sample.key, []).append(sample)
    alerts: dict[str, list[str]] = {}
    for key, history in histories.items():
        found = [line for life in lives(history) for line in alerts_of_life(life)]
        if found:
            alerts[key] = found
    newest = max((sample.ts for sample in samples), default=0)
    live = sum(newest - history[-1].ts <= TTL_MS for history in histories.values())
    return Answer(alerts, live)


def alerts_by_key(text: str) -> dict[str, list[str]]:
    """Lines of output in the form of an `Answer`."""
    alerts: dict[str, list[str]] = {}
    for line in text.splitlines():
        alerts.setdefault(json.loads(line)["key"], []).append(line)
    return alerts


def as_lines(samples: list[Sample]) -> bytes:
    return b"".join(sample.line() + b"\n" for sample in samples)


def split_by_key(samples: list[Sample], parts: int) -> list[list[Sample]]:
    """The events apart into several senders; all events of a key go to one of them."""
    senders: list[list[Sample]] = [[] for _ in range(parts)]
    for sample in samples:
        senders[sum(sample.key.encode()) % parts].append(sample)
    return senders
