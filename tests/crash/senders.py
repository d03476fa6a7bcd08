"""Senders of acknowledged events.

    python senders.py FOLDER SEED PORT

Sender I notes each event in FOLDER/sender-I.jsonl before it sends it, and there also what was
acknowledged; what contradicts the protocol goes to problems-sender-I.jsonl. The process may be
killed and started again at any time: it goes on with what the journals have above what the node
says to be durable, under the same source names, with new incarnations. See control.py for how it is
told to stop and go.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import bettong

from control import Control
from journal import Journal, read_journal

SENDERS = 4
PENDING_MAX = 1500  # of a Sender, before it makes no more events for a while
FLUSHES = 180  # of a second each


class Events:
    """Makes the events of one sender."""

    def __init__(self, sender: int, seed: str) -> None:
        self.sender = sender
        self.random = random.Random(seed)
        self.q: Counter[str] = Counter()
        self.n = 0

    def seen(self, event: Any) -> None:
        """An event of the journal counts as made."""
        self.n += 1
        if isinstance(event, dict) and event["op"] == "ledger" and not event.get("fail"):
            self.q[event["key"]] += 1

    def next(self) -> dict[str, Any] | str:
        rng = self.random
        self.n += 1
        if rng.random() < 0.02:
            return f'{{"garbage": "s{self.sender} n{self.n}", "key": '
        op = rng.choices(
            ["ledger", "pay", "visit", "leave", "tally", "hop"], [40, 20, 18, 2, 12, 8]
        )[0]
        event: dict[str, Any] = {"s": self.sender, "n": self.n, "op": op}
        if rng.random() < 0.04:
            event["fail"] = True
        if op == "ledger":
            event["key"] = key = f"k{min(rng.randrange(24), rng.randrange(24))}"
            if not event.get("fail"):
                self.q[key] += 1
                event["q"] = self.q[key]
            if rng.random() < 0.1:
                event["pad"] = "p" * rng.choice([10, 200, 2000, 20_000])
        elif op == "pay":
            event["key"], event["to"] = f"a{rng.randrange(16)}", f"a{rng.randrange(16)}"
            event["amount"] = rng.randrange(1, 1000)
        elif op == "visit":
            event["key"] = f"v{rng.randrange(40)}"
            event["ttl"] = rng.choice([20, 100, 250, 400, 700])
            event["amount"] = rng.choice([0, 0, 0, 1, 2])
        elif op == "leave":
            event["key"] = f"v{rng.randrange(40)}"
            event.pop("fail", None)
        elif op == "tally":
            event["key"], event["to"] = f"t{rng.randrange(12)}", f"t{rng.randrange(12)}"
        elif op == "hop":
            event["key"] = f"h{rng.randrange(32)}"
        return event


class Source:
    """One sender: a journal, and a bettong.Sender that is now and then replaced by a new one."""

    def __init__(self, number: int, folder: Path, seed: str, port: int, control: Control) -> None:
        self.name = f"sender-{number}"
        self.control = control
        self.address = f"127.0.0.1:{port}"
        self.problems = Journal(folder / f"problems-{self.name}.jsonl")
        self.journal = Journal(folder / f"{self.name}.jsonl")
        self.kept: deque[tuple[int, Any]] = deque()  # may not be durable yet
        self.events = Events(number, f"{seed} {number} {time.time_ns()}")
        self.last_id = 0
        self.acknowledged = 0
        for record in read_journal(self.journal.path):
            if "event" in record:
                self.last_id = record["id"]
                self.kept.append((self.last_id, record["event"]))
                self.events.seen(record["event"])
            else:
                self.acknowledged = record["acknowledged"]
        self.sender = self.open()
        self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self.thread.start()

    def open(self) -> bettong.Sender:
        return bettong.Sender(self.address, source=self.name, reconnect_max=0.1)

    def resume(self) -> None:
        """Sends again what the node has not processed, as a process does that was started anew."""
        self.sender.connect()
        durable = self.sender.durable
        if durable < self.acknowledged:
            self.problem("lost", f"acknowledged {self.acknowledged}, then welcomed at {durable}")
        if durable > self.last_id:
            self.problem("wrong", f"welcomed at {durable}, but sent only {self.last_id}")
        self.note_acknowledged()
        for id_, event in list(self.kept):
            self.give(id_, event)

    def give(self, id_: int, event: Any) -> None:
        given = self.sender.send(event)
        if given != id_:
            self.problem("wrong", f"event {id_} was given id {given}")

    def problem(self, kind: str, what: str) -> None:
        self.problems.write({"kind": kind, "what": f"{self.name}: {what}"})

    def note_acknowledged(self) -> None:
        durable = self.sender.durable
        while self.kept and self.kept[0][0] <= durable:
            self.kept.popleft()
        if durable > self.acknowledged:
            self.acknowledged = durable
            self.journal.write({"acknowledged": durable})

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.problem("wrong", f"the sender ended: {error!r}")
            raise

    def work(self) -> None:
        rng = self.events.random
        self.resume()
        while True:
            self.control.pause_point(self.name, self.come_to_rest)
            if rng.random() < 0.004:
                self.reopen(kindly=rng.random() < 0.3)
            made = [
                (self.last_id + 1 + i, self.events.next())
                for i in range(rng.choice([1, 2, 10, 40]))
            ]
            self.last_id = made[-1][0]
            self.journal.write(*({"id": id_, "event": event} for id_, event in made))
            self.kept.extend(made)
            for id_, event in made:
                self.give(id_, event)
            self.note_acknowledged()
            time.sleep(rng.random() * 0.12)  # the pace of the load
            while self.sender.pending > PENDING_MAX and self.control.working:
                self.sender.flush(0.05)

    def come_to_rest(self) -> None:
        if not any(self.sender.flush(1.0) for _ in range(FLUSHES)):
            pending, trouble = self.sender.pending, self.sender.trouble
            self.problem("lost", f"{pending} events are not acknowledged: {trouble}")
        self.note_acknowledged()

    def reopen(self, *, kindly: bool) -> None:
        """A new incarnation takes over: after a good end, or while the older one still sends."""
        older = self.sender
        if kindly:
            older.close(0.0)
        self.sender = self.open()
        self.resume()
        if not kindly:
            # The older one is fenced, or would be if it came back.
            with contextlib.suppress(bettong.SenderFenced):
                older.close(0.0)


def main() -> None:
    folder, seed, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    logging.disable(logging.WARNING)  # that the node is away is no news here
    control = Control()
    sources = [Source(number, folder, seed, port, control) for number in range(SENDERS)]
    control.serve({source.name for source in sources})


if __name__ == "__main__":
    main()
