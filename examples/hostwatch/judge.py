"""What the demo demands: of the alerts through the port, of the file of alerts, of the counts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Alert = dict[str, Any]

TTL_TOLERANCE_MS = 250  # the clock may be set right meanwhile, by a little


class DemoFailed(Exception):
    """The demo cannot go on; says why."""


def decode_alert(payload: str) -> Alert:
    try:
        alert = json.loads(payload)
    except ValueError as error:
        raise DemoFailed(f"an alert is not JSON: {payload!r}: {error}") from None
    if not isinstance(alert, dict):
        raise DemoFailed(f"an alert is not a JSON object: {payload!r}")
    return alert


# -- through the port --------------------------------------------------------------------


class Check:
    """Whether the busy process's alerts came through the port."""

    def __init__(self, pid: int, name: str) -> None:
        self.key = f"process:{pid}"
        self._name = name
        self.high: Alert | None = None
        self.gone: Alert | None = None

    def see(self, alert: Alert) -> None:
        if alert.get("key") != self.key:
            return
        if alert.get("state") == "high" and self.high is None:
            self.high = alert
        elif alert.get("state") == "gone" and self.gone is None:
            self.gone = alert

    def missing(self) -> list[str]:
        missing = []
        if self.high is None:
            missing.append(f'the CPU alert ("high") of {self.key} ({self._name})')
        if self.gone is None:
            missing.append(f'the "gone" alert of {self.key} ({self._name})')
        return missing


# -- in the file -------------------------------------------------------------------------


def file_troubles(
    lines: Sequence[str], rest: str, seen: Sequence[Alert], key: str
) -> list[str]:
    """What is lost or repeated in the file of alerts, of which `seen` came through the port.

    `rest` is what follows the last newline.

    A machine that stands still for longer than a TTL makes "gone" of what lives on, and "high" of
    it once more: these are two lives, and no repetition. So the numbers of `key` are not held
    against the file, only what no life can bring forth: the same line twice, "high" of what is
    high, "calm" of what is not, and two ends of one life. A subscriber is told what is durable,
    so all that came through the port must be in the file.
    """
    alerts = [decode_alert(line) for line in lines]
    troubles = [f"the file of alerts ends in the middle of a line: {rest}"] * bool(rest)
    troubles += [
        f"repeated: {times} times in the file: {line}"
        for line, times in Counter(lines).items()
        if times > 1
    ]
    troubles += _impossible_lives(alerts)
    there = set(map(_frozen, alerts))
    troubles += [
        f"lost: came through the port, and is not in the file: {json.dumps(alert)}"
        for alert in seen
        if _frozen(alert) not in there
    ]
    troubles += [
        f"repeated: came {times} times through the port: {alert}"
        for alert, times in Counter(map(_frozen, seen)).items()
        if times > 1
    ]
    numbers = states(alerts, key)
    troubles += [
        f"lost: the file has no {state!r} of {key}"
        for state in ("high", "gone")
        if not numbers[state]
    ]
    return troubles


def states(alerts: Iterable[Alert], key: str) -> Counter[str]:
    """How often each state is told of the key."""
    return Counter(str(a.get("state")) for a in alerts if a.get("key") == key)


def _impossible_lives(alerts: Iterable[Alert]) -> list[str]:
    troubles = []
    high: set[object] = set()
    ends: set[tuple[object, object]] = set()
    for alert in alerts:
        key, state = alert.get("key"), alert.get("state")
        if state == "high" and key in high:
            troubles.append(f'repeated: "high" of {key}, which is high already')
        elif state == "calm" and key not in high:
            troubles.append(f'lost: "calm" of {key}, and no "high" before')
        elif state == "gone" and str(key).startswith("process:"):
            # A later life of the same process ends later after the process's start.
            end = (key, alert.get("seconds"))
            if end in ends:
                troubles.append(f'repeated: "gone" of {key}, of one and the same life')
            ends.add(end)
        if state == "high":
            high.add(key)
        elif state in ("calm", "gone"):
            high.discard(key)
    return troubles


def _frozen(alert: Alert) -> str:
    return json.dumps(alert, sort_keys=True)


# -- counts and TTLs ---------------------------------------------------------------------


class Sent(NamedTuple):
    """What the collector says at its end."""

    acknowledged: int
    not_acknowledged: int


def parse_sent(lines: Iterable[str]) -> Sent | None:
    for line in lines:
        if said := re.fullmatch(
            r"collector: (\d+) samples acknowledged(?:, (\d+) not)?", line
        ):
            return Sent(int(said[1]), int(said[2] or 0))
    return None


def count_trouble(sent: Sent, counted: int, failed: int) -> str:
    """Compares with the samples that were counted and those whose count failed (dead letters)."""
    done = counted + failed
    numbers = f"{sent.acknowledged:,} samples acknowledged, {counted:,} counted"
    if failed:
        numbers += f", {failed:,} dead letters"
    if done < sent.acknowledged:
        return f"lost: {numbers}"
    if done > sent.acknowledged + sent.not_acknowledged:
        return f"repeated: {numbers}"
    return ""


class Left(NamedTuple):
    """An answer to PTTL, and when it was given: between two readings of the clock, in s."""

    ms: int
    asked_s: float
    answered_s: float


def ttl_trouble(before: Left, after: Left) -> str:
    """Whether as much of the TTL is gone as time has passed."""
    least = 1000 * (after.asked_s - before.answered_s) - TTL_TOLERANCE_MS
    most = 1000 * (after.answered_s - before.asked_s) + TTL_TOLERANCE_MS
    if after.ms >= 0 and least <= before.ms - after.ms <= most:
        return ""
    return (
        f"the TTL did not go on: PTTL was {before.ms} before the kill, and {after.ms} "
        f"{most / 1000:.1f} s later"
    )
