"""What the oracle has to go by: journals, files of sinks, Receivers' stores, and the RESP port."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from resp import Connection

from judge_events import OF_TIME, Event, Name, Output, name_of
from patience import wait_until
from verdict import Verdict

CALL_S = 600.0
ENTITY_PREFIXES = ("ledger", "account", "visit", "tally", "hop", "adder", "idler", "board")
STREAMS = {
    "events", "transfers", "hops", "adds", "lazy", "outs", "bettong:dead-letters",
}  # fmt: skip


def read_lines(path: Path, verdict: Verdict) -> list[Any]:
    """The JSON lines of a file; one that is not whole is said to be wrong."""
    values = []
    data = path.read_bytes() if path.exists() else b""
    for line in data.split(b"\n"):
        try:
            if line:
                values.append(orjson.loads(line))
        except ValueError:
            verdict.wrong(f"{path.name}: not JSON: {line[:200]!r}")
    if data and not data.endswith(b"\n"):
        verdict.wrong(f"{path.name}: ends in half a line")
    return values


def read_journal(path: Path) -> list[Any]:
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [orjson.loads(line) for line in lines]


def read_sent(folder: Path, verdict: Verdict) -> dict[int, list[Event]]:
    """Every event of each sender, in the order of their ids, which have no gaps."""
    sent: dict[int, list[Event]] = {}
    for path in sorted(folder.glob("sender-*.jsonl")):
        events: list[Event] = []
        for record in read_journal(path):
            if "event" in record:
                events.append(record["event"])
                verdict.equal(record["id"], len(events), f"{path.name}: id")
        sent[int(path.stem.removeprefix("sender-"))] = events
    for path in sorted(folder.glob("problems-*.jsonl")):
        for problem in read_journal(path):
            (verdict.lost if problem["kind"] == "lost" else verdict.wrong)(problem["what"])
    return sent


def read_store(path: Path, verdict: Verdict) -> dict[str, list[Any]]:
    """What a consumer has stored, by sink, in its order."""
    outputs: dict[str, list[Any]] = {}
    last: dict[tuple[str, int], int] = {}
    nodes: set[str] = set()
    for sink, node, part, sequence, event in store_rows(path, 0):
        outputs.setdefault(sink, []).append(orjson.loads(event))
        nodes.add(node)
        if sequence <= last.get((sink, part), 0):
            verdict.wrong(f"{sink}: {sequence} of partition {part} came after {last[sink, part]}")
        last[sink, part] = sequence
    if len(nodes) > 1:
        verdict.wrong(f"a node has changed its id: {nodes}")
    return outputs


def store_rows(path: Path, after: int) -> Iterator[tuple[str, str, int, int, bytes]]:
    connection = sqlite3.connect(path, timeout=CALL_S)
    try:
        yield from connection.execute(
            "SELECT sink, node, part, sequence, event FROM outputs WHERE id > ? ORDER BY id",
            (after,),
        )
    finally:
        connection.close()


class Watch:
    """Follows a sink until all that must come has come, and all visits have ended."""

    def __init__(self) -> None:
        self.names: Counter[Name] = Counter()
        self.letters = 0
        self.living: set[str] = set()

    def take(self, output: Output) -> None:
        if "k" not in output:
            self.letters += 1
            return
        if output["k"] not in OF_TIME:
            self.names[name_of(output)] += 1
        if output["k"] in ("visit", "renew"):
            self.living.add(output["key"])
        elif output["k"] in ("gone", "leave"):
            self.living.discard(output["key"])

    def satisfied(self, must: Counter[Name], letters: int) -> bool:
        if self.letters < letters or self.living or self.names.total() < must.total():
            return False
        return not must - self.names


class Arrivals:
    """Reads what sinks have got, again and again, from where it stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = Watch()
        self.store = Watch()
        self.offsets: Counter[str] = Counter()
        self.rows = 0

    def wait(self, must: Counter[Name], letters: int, within_s: float) -> None:
        """Returns at the deadline, too: the verdict will say what is missing."""

        def arrived() -> bool:
            self.read()
            return self.file.satisfied(must, letters) and self.store.satisfied(must, letters)

        wait_until(arrived, within_s)

    def read(self) -> None:
        for name in ("outs.jsonl", "letters.jsonl"):
            path = self.folder / name
            if not path.exists():
                continue
            with open(path, "rb") as file:
                file.seek(self.offsets[name])
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self.offsets[name] += len(whole)
            for line in whole.splitlines():
                self.file.take(orjson.loads(line))
        for row in store_rows(self.folder / "store.db", self.rows):
            self.rows += 1
            self.store.take(orjson.loads(row[4]))


class Node:
    """What the RESP port tells."""

    def __init__(self, port: int) -> None:
        self.connection = Connection(("127.0.0.1", port), deadline_s=CALL_S)

    def keys(self) -> list[str]:
        found: list[str] = []
        cursor = "0"
        while True:
            cursor, some = self.connection.call("SCAN", cursor, "COUNT", 1000)
            found += some
            if cursor == "0":
                return found

    def wait_gone(self, prefix: str, within_s: float) -> list[str]:
        """Until no key begins so; those that are left at the deadline."""

        def left() -> list[str]:
            return [key for key in self.keys() if key.startswith(prefix)]

        wait_until(lambda: not left(), within_s)
        return left()

    def hash(self, key: str) -> dict[str, str]:
        flat = self.connection.call("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def value(self, key: str) -> Any:
        """What writers know as a key: also a field of a large hash, "big:0 f7"."""
        if key.startswith("map:"):
            return self.hash(key) or None
        if key.startswith("big:"):
            return self.connection.call("HGET", *key.split(" "))
        return self.connection.call("GET", key)

    def entries(self, key: str, count: int | None = None) -> list[dict[str, str]]:
        """Of a stream, the newest ones, in its order."""
        limit = () if count is None else ("COUNT", count)
        newest = self.connection.call("XREVRANGE", key, "+", "-", *limit)
        return [dict(zip(f[::2], f[1::2], strict=True)) for _, f in reversed(newest)]

    def entities(self) -> dict[str, dict[str, str]]:
        keys = [key for key in self.keys() if key.partition(":")[0] in ENTITY_PREFIXES]
        return {key: self.hash(key) for key in keys}
