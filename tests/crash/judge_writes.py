"""Judges what writers did over RESP (writers.py has the records), against what their keys held.

The model of a key is the list of states that it may come back with: the last one that is known to
be durable, and what unconfirmed writes have made of it since, in their order. A crash takes back
some of the last ones; it never leaves half of one, and never takes back what was confirmed.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from verdict import Verdict

Record = dict[str, Any]
ABSENT = None


@dataclass
class Additions:
    """Writes that have an effect in an entity and an output each: (op, key, writer, n)."""

    certain: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)
    uncertain: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)


def state_of(key: str, value: Any) -> Any:
    """The number of the write that a value is of, or what is wrong with it, as text."""
    if value is None:
        return ABSENT
    if key.startswith("cnt:"):
        return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else repr(value)
    if key.startswith("map:"):
        fields = set(value.values())
        if set(value) == {"a", "b", "c"} and len(fields) == 1:
            return int(fields.pop())
        return f"half of a write: {value}"
    return write_of(key, value)


def write_of(key: str, value: str) -> Any:
    text, _, check = value.rpartition(":")
    n, _, rest = text.partition(":")
    if check != str(zlib.crc32(text.encode())) or not rest.startswith(f"{key}:"):
        return f"not a value that was written: {value[:60]!r} ({len(value)} bytes)"
    return int(n)


class KeyModel:
    def __init__(self) -> None:
        self.states: list[Any] = [ABSENT]

    def write(self, state: Any) -> None:
        self.states.append(state)

    def see(self, state: Any, key: str, verdict: Verdict) -> None:
        """The key holds this after a connection has begun, or at the end."""
        if state in self.states:
            last = len(self.states) - 1 - self.states[::-1].index(state)
            del self.states[last + 1 :]
            return
        if isinstance(state, str):
            verdict.wrong(f"{key}: {state}")
        else:
            verdict.lost(f"{key} holds {state}, but one of {self.states[:5]} must be there")
        self.states = [state]

    def confirm(self) -> None:
        del self.states[:-1]


class WriterJudge:
    """Follows the journal of one writer."""

    def __init__(self, number: int, verdict: Verdict) -> None:
        self.number = number
        self.verdict = verdict
        self.keys: dict[str, KeyModel] = {}
        self.additions = Additions()
        self.listed: dict[int, bool] = {}  # write of the plain stream: whether it is certain
        self.open: list[Record] = []  # without a reply
        self.replied: list[Record] = []  # and not confirmed
        self.due: dict[str, Deadline] = {}

    def follow(self, records: list[Record]) -> None:
        for record in records:
            if "do" in record:
                self.do(record)
            elif "replied" in record:
                self.reply(record["replied"], record["at"])
            elif "confirmed" in record:
                self.confirm()
            elif "new" in record:
                self.give_up()
            elif "saw" in record:
                for key, value in record["saw"].items():
                    self.see(key, value)
                self.see_pairs(record["saw"])
            elif "there" in record:
                if record["key"] in self.due:
                    self.due[record["key"]].look(record, self.verdict)
            elif "error" in record:
                self.verdict.wrong(f"write {record['error']} was refused: {record['text']}")
        self.give_up()

    def model(self, key: str) -> KeyModel:
        return self.keys.setdefault(key, KeyModel())

    def do(self, record: Record) -> None:
        n, op, key = record["do"], record["op"], record["key"]
        self.open.append(record)
        if op == "del":
            self.model(key).write(ABSENT)
        elif op == "incr":
            model = self.model(key)
            model.write((model.states[-1] or 0) + record["by"])
        elif op in ("set", "hset", "field"):
            self.model(key).write(n)
        elif op == "mset":
            self.model(f"{key}:a").write(n)
            self.model(f"{key}:b").write(n)
        elif op == "px":
            self.due[key] = Deadline(record)

    def reply(self, n: int, at: float) -> None:
        while self.open and self.open[0]["do"] <= n:
            record = self.open.pop(0)
            if record["op"] == "px":
                self.due[record["key"]].latest = at + record["px"] / 1000
            if record["op"] == "add":  # its stream says durability = "sync"
                self.settle(record, certain=True)
            else:
                self.replied.append(record)

    def confirm(self) -> None:
        """Comes when nothing is open."""
        for record in self.replied:
            self.settle(record, certain=True)
            if record["op"] == "px":
                self.due[record["key"]].confirmed = True
        self.replied.clear()
        open_keys = {name for record in self.open for name in keys_of(record)}
        for key, model in self.keys.items():
            if key not in open_keys:
                model.confirm()

    def give_up(self) -> None:
        """The connection is gone: what is not confirmed may be there or not."""
        for record in self.replied + self.open:
            self.settle(record, certain=False)
        self.replied.clear()
        self.open.clear()

    def settle(self, record: Record, *, certain: bool) -> None:
        if record["op"] in ("add", "lazy", "bump"):
            name = (record["op"], record["key"], self.number, record["do"])
            (self.additions.certain if certain else self.additions.uncertain)[name] += 1
        elif record["op"] == "xadd":
            self.listed[record["do"]] = certain

    def see(self, key: str, value: Any) -> None:
        self.model(key).see(state_of(key, value), f"writer {self.number}: {key}", self.verdict)

    def see_pairs(self, values: dict[str, Any]) -> None:
        """What one MSET wrote to one slot is there as a whole."""
        for key in values:
            if key.startswith("{pair:") and key.endswith(":a"):
                other = key[:-1] + "b"
                halves = state_of(key, values[key]), state_of(other, values[other])
                if halves[0] != halves[1]:
                    self.verdict.wrong(f"half of an MSET: {key} and {other} are of {halves}")

    def see_list(self, entries: list[dict[str, str]]) -> None:
        """The plain stream, at the end."""
        key = f"list:{self.number}"
        seen: list[int] = []
        for entry in entries:
            n = write_of(key, entry.get("text", ""))
            if str(n) != entry.get("n"):
                self.verdict.wrong(f"{key}: entry {entry.get('n')}: {n}")
            else:
                seen.append(n)
        for n, times in Counter(seen).items():
            if n not in self.listed:
                self.verdict.wrong(f"{key}: nobody wrote {n}")
            elif times > 1:
                self.verdict.duplicated(f"{key}: {n} is there {times} times")
        if seen != sorted(seen):
            self.verdict.wrong(f"{key}: entries are not in the order of their writes")
        for n in sorted({n for n, certain in self.listed.items() if certain} - set(seen)):
            self.verdict.lost(f"{key}: {n} was confirmed")


def keys_of(record: Record) -> list[str]:
    key = record["key"]
    return [f"{key}:a", f"{key}:b"] if record["op"] == "mset" else [key]


class Deadline:
    """A key that was set once, with a time to live."""

    def __init__(self, record: Record) -> None:
        # The node's clock counts whole milliseconds.
        self.earliest = (math.floor(record["from"] * 1000) + int(record["px"])) / 1000
        self.latest = float("inf")
        self.confirmed = False
        self.seen = False
        self.gone = False

    def look(self, record: Record, verdict: Verdict) -> None:
        key = record["key"]
        if record["there"]:
            self.seen = True
            if self.gone:
                verdict.wrong(f"{key} is there again after it was gone")
            return
        if record["to"] < self.earliest and self.confirmed:
            verdict.lost(f"{key} expired {self.earliest - record['to']:.3f} s early")
        self.gone = True
