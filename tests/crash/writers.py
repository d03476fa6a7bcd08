"""Clients that write over RESP, and wait for WAITAOF, or (`sync`) for replies.

    python writers.py FOLDER SEED PORT async|sync

Writer I has keys of its own, and notes in FOLDER/writer-I.jsonl:

| record | meaning |
| --- | --- |
| `{"do": n, "op": .., "key": .., ...}` | is about to send write n; written before it is sent |
| `{"replied": n, "at": s}` | writes up to n on this connection have been answered |
| `{"confirmed": n}` | everything up to n, and what was seen, is durable |
| `{"new": true}` | a new connection: writes without a reply may have happened or not |
| `{"saw": {key: value}}` | what the keys held at the beginning of the connection |
| `{"there": bool, "key": .., "from": s, "to": s}` | a key with a deadline was looked at |
| `{"error": n, "text": ..}` | write n was refused |

A value tells which write it is of (`value_of`), so that half a value is seen. May be killed
together with the node only: its successor takes what the keys hold for the outcome of the writes
before.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import zlib
from collections import deque
from pathlib import Path
from typing import Any

from resp import Connection, ConnectionEnded, encode

from control import Control
from journal import Journal, read_journal

WRITERS = 3
STRINGS, COUNTERS, HASHES, PAIRS, FIELDS = 8, 4, 4, 3, 40
DEADLINE_S = 600.0  # a connection ends when the node does, and not before
LOOK_BACK = 40  # keys with a deadline that are looked at

Command = tuple[str | int | bytes, ...]


def value_of(key: str, n: int, size: int) -> str:
    text = f"{n}:{key}:{'x' * size}"
    return f"{text}:{zlib.crc32(text.encode())}"


class Writer:
    def __init__(
        self, number: int, folder: Path, seed: str, port: int, control: Control, *, sync: bool
    ) -> None:
        self.number = number
        self.name = f"writer-{number}"
        self.port = port
        self.control = control
        self.sync = sync
        self.random = random.Random(f"{seed} {self.name} {time.time_ns()}")
        self.journal = Journal(folder / f"{self.name}.jsonl")
        self.n = max((r["do"] for r in read_journal(self.journal.path) if "do" in r), default=0)
        self.deadlines: deque[str] = deque(maxlen=LOOK_BACK)
        self.connection: Connection | None = None
        self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self.thread.start()

    # -- the connection -------------------------------------------------------------------------

    def run(self) -> None:
        while True:
            try:
                if self.connection is None:
                    self.connect()
                self.control.pause_point(self.name, self.come_to_rest)
                self.work()
                time.sleep(self.random.random() * 0.04)  # the pace of the load
            except (OSError, ConnectionEnded):
                if self.connection is not None:
                    self.connection.close()
                    self.connection = None
                time.sleep(0.01)  # until the node is there again

    def connect(self) -> None:
        self.connection = Connection(("127.0.0.1", self.port), deadline_s=DEADLINE_S)
        self.journal.write({"new": True})
        self.look()
        self.confirm()

    def come_to_rest(self) -> None:
        self.confirm()

    def call(self, *command: str | int | bytes) -> Any:
        assert self.connection is not None
        return self.connection.call(*command)

    def confirm(self) -> None:
        local, _ = self.call("WAITAOF", 1, 0, 10_000)
        if local == 1:
            self.journal.write({"confirmed": self.n})

    def look(self) -> None:
        """Reads all keys of this writer, as they are after a start of the node."""
        w = self.number
        keys = [f"str:{w}:{i}" for i in range(STRINGS)] + [f"cnt:{w}:{i}" for i in range(COUNTERS)]
        keys += [f"{{pair:{w}:{i}}}:{half}" for i in range(PAIRS) for half in "ab"]
        saw: dict[str, Any] = {key: self.call("GET", key) for key in keys}
        for i in range(HASHES):
            key = f"map:{w}:{i}"
            flat = self.call("HGETALL", key)
            saw[key] = dict(zip(flat[::2], flat[1::2], strict=True)) or None
        flat = self.call("HGETALL", f"big:{w}")
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        saw |= {f"big:{w} f{i}": fields.get(f"f{i}") for i in range(FIELDS)}
        self.journal.write({"saw": saw})

    # -- the writes -----------------------------------------------------------------------------

    def make(self) -> tuple[dict[str, Any], Command]:
        """The next write: its record, and the command."""
        rng, w = self.random, self.number
        self.n += 1
        n = self.n
        op = rng.choices(
            ["set", "del", "incr", "hset", "field", "mset", "xadd", "add", "lazy", "bump", "px"],
            [16, 3, 12, 8, 12, 8, 8, 8, 8, 8, 6],
        )[0]
        record: dict[str, Any] = {"do": n, "op": op}
        command: Command
        if op == "set":
            record["key"] = key = f"str:{w}:{rng.randrange(STRINGS)}"
            size = rng.choice([0, 10, 100, 1000, 9000, 70_000])
            command = ("SET", key, value_of(key, n, size))
        elif op == "del":
            record["key"] = key = f"str:{w}:{rng.randrange(STRINGS)}"
            command = ("DEL", key)
        elif op == "incr":
            record["key"] = key = f"cnt:{w}:{rng.randrange(COUNTERS)}"
            record["by"] = by = rng.randrange(1, 100)
            command = ("INCRBY", key, by)
        elif op == "hset":
            record["key"] = key = f"map:{w}:{rng.randrange(HASHES)}"
            command = ("HSET", key, "a", n, "b", n, "c", n)
        elif op == "field":
            field = f"f{rng.randrange(FIELDS)}"
            record["key"] = key = f"big:{w} {field}"  # a field of a large hash counts as a key
            command = ("HSET", f"big:{w}", field, value_of(key, n, rng.choice([10, 1000, 4000])))
        elif op == "mset":
            record["key"] = key = f"{{pair:{w}:{rng.randrange(PAIRS)}}}"
            command = ("MSET", f"{key}:a", value_of(f"{key}:a", n, 5),
                       f"{key}:b", value_of(f"{key}:b", n, 500))  # fmt: skip
        elif op == "xadd":
            record["key"] = key = f"list:{w}"
            command = ("XADD", key, "*", "n", n, "text", value_of(key, n, rng.choice([5, 5000])))
        elif op in ("add", "lazy"):
            record["key"] = key = f"e{rng.randrange(8)}"
            command = ("XADD", "adds" if op == "add" else op, "*", "w", w, "n", n, "key", key)
        elif op == "bump":
            record["key"] = key = f"b{rng.randrange(6)}"
            command = ("CALL", f"board:{key}", "bump", w, n)
        else:
            record["key"] = key = f"due:{w}:{n}"
            record["px"] = px = rng.choice([30, 150, 400, 1500])
            command = ("SET", key, value_of(key, n, 20), "PX", px)
            self.deadlines.append(key)
        return record, command

    def work(self) -> None:
        assert self.connection is not None
        rng = self.random
        replied = 0
        made = [self.make() for _ in range(rng.choice([1, 1, 4, 16]))]
        records = [record for record, _ in made]
        now = time.time()
        for record in records:
            if record["op"] == "px":
                record["from"] = now
        self.journal.write(*records)
        self.connection.send_raw(b"".join(encode(*command) for _, command in made))
        try:
            for record in records:
                reply = self.connection.read()
                replied = record["do"]
                if reply.is_error:
                    self.journal.write({"error": replied, "text": reply.words()})
        finally:
            if replied:
                self.journal.write({"replied": replied, "at": time.time()})
                if self.sync:
                    self.journal.write({"confirmed": replied})
        if not self.sync and rng.random() < 0.4:
            self.confirm()
        if self.deadlines and rng.random() < 0.7:
            self.look_at(rng.choice(self.deadlines))

    def look_at(self, key: str) -> None:
        begun = time.time()
        there = self.call("EXISTS", key) == 1
        self.journal.write({"there": there, "key": key, "from": begun, "to": time.time()})


def main() -> None:
    folder, seed, port, durability = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    control = Control()
    writers = [
        Writer(number, folder, seed, port, control, sync=durability == "sync")
        for number in range(WRITERS)
    ]
    control.serve({writer.name for writer in writers})


if __name__ == "__main__":
    main()
