"""Tests of the oracle: a world in which all is well, and what is done to it must be noticed."""

from __future__ import annotations

import copy
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import crash_oracle
from writers import value_of

Output = dict[str, Any]
Record = dict[str, Any]
MODULUS = (1 << 61) - 1


@dataclass
class World:
    """What a faithful node would have left behind; tests spoil parts of it."""

    sent: dict[int, list[Any]] = field(default_factory=dict)
    file: list[Output] = field(default_factory=list)
    receiver: list[Output] = field(default_factory=list)
    file_letters: list[Output] = field(default_factory=list)
    receiver_letters: list[Output] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)  # partition, sequence
    problems: list[Record] = field(default_factory=list)
    journal: list[Record] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    listed: list[dict[str, str]] = field(default_factory=list)
    view: list[Output] = field(default_factory=list)
    entities: dict[str, dict[str, str]] = field(default_factory=dict)
    half_line: str = ""

    # -- as evidence.Node

    def keys(self) -> list[str]:
        return [*self.values, *self.entities, "list:0", "outs"]

    def wait_gone(self, prefix: str, within_s: float) -> list[str]:
        del within_s
        return [key for key in self.keys() if key.startswith(prefix)]

    def value(self, key: str) -> Any:
        return self.values.get(key)

    def entries(self, key: str, count: int | None = None) -> list[dict[str, str]]:
        if key == "outs":
            return [{k: str(v) for k, v in o.items()} for o in self.view[-(count or 0) :]]
        return self.listed

    # -- as files

    def write(self, folder: Path) -> None:
        def lines(name: str, records: list[Any]) -> None:
            text = "".join(json.dumps(record) + "\n" for record in records)
            (folder / name).write_text(text + (self.half_line if name == "outs.jsonl" else ""))

        for sender, events in self.sent.items():
            records = [{"id": n, "event": event} for n, event in enumerate(events, 1)]
            lines(f"sender-{sender}.jsonl", [*records, {"acknowledged": len(events)}])
        lines("problems-sender-0.jsonl", self.problems)
        lines("writer-0.jsonl", self.journal)
        lines("outs.jsonl", self.file)
        lines("letters.jsonl", self.file_letters)
        store = sqlite3.connect(folder / "store.db")
        store.execute(
            "CREATE TABLE outputs (id INTEGER PRIMARY KEY, sink, node, part, sequence, event)"
        )
        both = [("rx", o) for o in self.receiver]
        both += [("rx_letters", o) for o in self.receiver_letters]
        for i, (sink, output) in enumerate(both):
            part, sequence = self.rows[i] if i < len(self.rows) else (0, i + 1)
            store.execute(
                "INSERT INTO outputs (sink, node, part, sequence, event) VALUES (?, ?, ?, ?, ?)",
                (sink, "n0", part, sequence, json.dumps(output).encode()),
            )
        store.commit()
        store.close()


def event(s: int, n: int, op: str, key: str, **rest: Any) -> Record:
    return {"s": s, "n": n, "op": op, "key": key, **rest}


def make_world() -> World:
    """Two senders, a writer; every kind of event and of write."""
    world = World()
    outs: list[Output] = []
    count: Counter[str] = Counter()

    def out(k: str, key: str, **rest: Any) -> None:
        outs.append({"k": k, "key": key, **rest})

    world.sent = {0: [], 1: []}
    chain = 0
    last = [0] * 8
    for n in range(1, 5):
        for s in (0, 1):
            world.sent[s].append(event(s, n, "ledger", "k1", q=n, pad="p" * n))
            chain = (chain * 31 + s * 1_000_003 + n) % MODULUS
            count["ledger"] += 1
            out("ledger", "k1", s=s, n=n, q=n, was=last[s], count=count["ledger"],
                chain=chain, pad="p" * n)  # fmt: skip
            last[s] = n
    size = 2 * (1 + 2 + 3 + 4)
    state = {"count": "8", "chain": str(chain), "size": str(size), "last": json.dumps(last)}
    state["last"] = state["last"].replace(" ", "")
    world.entities["ledger:k1"] = state

    for n, amount in ((5, 70), (6, 30)):
        world.sent[0].append(event(0, n, "pay", "a1", to="a2", amount=amount))
        out("pay", "a1", s=0, n=n, count=n - 4, amount=amount)
        out("receipt", "a2", s=0, n=n, count=n - 4, of="a1", sent=n - 4, amount=amount)
    world.entities["account:a1"] = {"balance": "-100", "sent": "2", "received": "0"}
    world.entities["account:a2"] = {"balance": "100", "sent": "0", "received": "2"}

    world.sent[0] += [
        event(0, 7, "visit", "v1", ttl=100, amount=1),
        event(0, 8, "visit", "v1", ttl=200, amount=1),
        event(0, 9, "visit", "v1", ttl=100, amount=0),
        event(0, 10, "leave", "v1"),
    ]
    out("visit", "v1", s=0, n=7, count=1, ttl=100, renew=1, now=1000)
    out("visit", "v1", s=0, n=8, count=2, ttl=200, renew=1, now=1050)
    out("renew", "v1", count=2, renew=0, now=1250)
    out("gone", "v1", count=2, now=1450)
    out("visit", "v1", s=0, n=9, count=1, ttl=100, renew=0, now=1500)
    out("leave", "v1", s=0, n=10, count=1, now=1550)

    world.sent[0].append(event(0, 11, "tally", "t1", to="t1"))
    out("tally", "t1", s=0, n=11, count=1)
    out("tally", "t1", s=0, n=11, count=2)
    world.entities["tally:t1"] = {"count": "2"}

    world.sent[0].append(event(0, 12, "hop", "h0"))
    for left, key in ((3, "h0"), (2, "h3"), (1, "h24"), (0, "h11")):
        out("hop", key, s=0, n=12, count=1, left=left)
        world.entities[f"hop:{key}"] = {"count": "1"}

    world.sent[0].append(event(0, 13, "ledger", "k1", fail=True))
    world.sent[0].append('{"garbage": "s0 n14", "key": ')
    letters = [
        {"event": event(0, 13, "ledger", "k1", fail=True), "error": "told to"},
        {"event": '{"garbage": "s0 n14", "key": ', "error": "not JSON"},
    ]

    def do(n: int, op: str, key: str, **rest: Any) -> Record:
        return {"do": n, "op": op, "key": key, **rest}

    world.journal = [
        {"new": True},
        {"saw": {}},
        {"confirmed": 0},
        do(1, "set", "str:0:0"), do(2, "incr", "cnt:0:0", by=5), do(3, "hset", "map:0:0"),
        do(3, "field", "big:0 f2"),
        do(4, "mset", "{pair:0:0}"), do(5, "xadd", "list:0"), do(6, "add", "e1"),
        do(7, "lazy", "e1"), do(8, "bump", "b1"), do(9, "px", "due:0:9", px=100, **{"from": 10.0}),
        {"replied": 9, "at": 10.01},
        {"confirmed": 9},
        {"there": True, "key": "due:0:9", "from": 10.05, "to": 10.06},
        {"there": False, "key": "due:0:9", "from": 10.2, "to": 10.21},
        do(10, "set", "str:0:0"), do(10, "field", "big:0 f1"),
        do(11, "incr", "cnt:0:0", by=7), do(12, "lazy", "e1"),
        {"replied": 12, "at": 10.3},
        do(13, "incr", "cnt:0:0", by=1), do(14, "bump", "b1"),
        {"new": True},
        {"saw": {"str:0:0": value_of("str:0:0", 1, 3), "cnt:0:0": "12", "big:0 f1": None}},
        {"confirmed": 14},
    ]  # fmt: skip
    out("add", "e1", w=0, n=6, count=1)
    out("lazy", "e1", w=0, n=7, count=1)
    out("bump", "b1", w=0, n=8, count=1)
    out("bump", "b1", w=0, n=14, count=2)
    world.entities["adder:e1"] = {"count": "1"}
    world.entities["idler:e1"] = {"count": "1"}
    world.entities["board:b1"] = {"count": "2"}
    world.values = {
        "big:0 f1": None,
        "big:0 f2": value_of("big:0 f2", 3, 9),
        "str:0:0": value_of("str:0:0", 1, 3),
        "cnt:0:0": "12",
        "map:0:0": {"a": "3", "b": "3", "c": "3"},
        "{pair:0:0}:a": value_of("{pair:0:0}:a", 4, 5),
        "{pair:0:0}:b": value_of("{pair:0:0}:b", 4, 50),
    }
    world.listed = [{"n": "5", "text": value_of("list:0", 5, 5)}]
    world.file, world.receiver, world.view = (copy.deepcopy(outs) for _ in range(3))
    world.file_letters, world.receiver_letters = (copy.deepcopy(letters) for _ in range(2))
    return world


def judge(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(crash_oracle, "ARRIVE_S", 0)
    world.write(folder)

    class Node:
        def __getattr__(self, name: str) -> Any:
            if name == "entities":
                return lambda: world.entities
            return getattr(world, name)

    verdict, _ = crash_oracle.judge(folder, Node())  # type: ignore[arg-type]
    return verdict.violations


def test_a_faithful_node_is_not_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(make_world(), tmp_path, monkeypatch) == []


def test_a_write_that_nobody_was_promised_may_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    late = {"k": "lazy", "key": "e1", "w": 0, "n": 12, "count": 2}
    for outputs in (world.file, world.receiver, world.view):
        outputs.append(late)
    world.entities["idler:e1"]["count"] = "2"
    world.journal[-2]["saw"]["str:0:0"] = world.values["str:0:0"] = value_of("str:0:0", 10, 0)
    assert judge(world, tmp_path, monkeypatch) == []


def nth(outputs: list[Output], k: str, n: int = 0) -> int:
    """The place of the n-th output of a kind."""
    return [i for i, o in enumerate(outputs) if o["k"] == k][n]


def drop(k: str, n: int = 0) -> Callable[[World], None]:
    def doctor(world: World) -> None:
        for outputs in (world.file, world.receiver, world.view):
            del outputs[nth(outputs, k, n)]

    return doctor


def repeat(k: str, n: int = 0) -> Callable[[World], None]:
    def doctor(world: World) -> None:
        for outputs in (world.file, world.receiver, world.view):
            at = nth(outputs, k, n)
            outputs.insert(at, dict(outputs[at]))

    return doctor


def change(k: str, nth_: int = 0, /, **fields: Any) -> Callable[[World], None]:
    def doctor(world: World) -> None:
        for outputs in (world.file, world.receiver, world.view):
            outputs[nth(outputs, k, nth_)].update(fields)

    return doctor


def swap(k: str, n: int, m: int, *, renumber: bool = False) -> Callable[[World], None]:
    """Two outputs change places; with `renumber` the entity saw them in that order, too."""

    def doctor(world: World) -> None:
        for outputs in (world.file, world.receiver, world.view):
            i, j = nth(outputs, k, n), nth(outputs, k, m)
            outputs[i], outputs[j] = outputs[j], outputs[i]
            if renumber:
                outputs[i]["count"], outputs[j]["count"] = outputs[j]["count"], outputs[i]["count"]

    return doctor


def entity(name: str, **fields: str) -> Callable[[World], None]:
    return lambda world: world.entities.setdefault(name, {}).update(fields)


def value(key: str, what: Any) -> Callable[[World], None]:
    return lambda world: world.values.update({key: what})


def only(part: str, act: Callable[[Any], object]) -> Callable[[World], None]:
    return lambda world: act(getattr(world, part)) and None


def insert_record(at: int, record: Record) -> Callable[[World], None]:
    return lambda world: world.journal.insert(at, record)


LOOKED = 14  # in the journal: behind the looks at the key with a deadline
DOCTORED: dict[str, tuple[str, Callable[[World], None]]] = {
    # events
    "an output is lost": ("lost", drop("ledger", 7)),
    "an output in the middle is lost": ("lost", drop("ledger", 3)),
    "an output comes twice": ("duplicated", repeat("ledger")),
    "an output has another value": ("wrong", change("ledger", pad="q")),
    "an output of nobody": ("wrong", change("ledger", 2, n=99)),
    "outputs change places": ("wrong", swap("ledger", 0, 2)),
    "events of a sender change places": ("wrong", swap("pay", 0, 1, renumber=True)),
    "messages between two entities change places": ("wrong", swap("receipt", 0, 1, renumber=True)),
    "the entity forgot a turn": ("wrong", change("ledger", 5, count=5)),
    "the entity has another history": ("wrong", change("ledger", 5, chain=5)),
    "the entity saw an event again": ("wrong", change("ledger", 6, was=4)),
    "a transfer does not arrive": ("lost", drop("receipt", 1)),
    "a transfer arrives twice": ("duplicated", repeat("receipt", 1)),
    "a transfer arrives with another amount": ("wrong", change("receipt", amount=71)),
    "a hop is lost on the way": ("lost", drop("hop", 2)),
    "the second key of an event is left out": ("lost", drop("tally", 1)),
    "only the file lost one": ("lost", only("file", lambda o: o.pop(0))),
    "only the receiver lost one": ("lost", only("receiver", lambda o: o.pop(0))),
    "only the file has one twice": ("duplicated", only("file", lambda o: o.insert(0, o[0]))),
    "only the receiver has one twice": ("duplicated", only("receiver", lambda o: o.append(o[0]))),
    "half a line in the file": ("wrong", lambda w: setattr(w, "half_line", '{"k":"led')),
    "sequences of the receiver fall": ("wrong", only("rows", lambda r: r.extend([(0, 2), (0, 1)]))),
    "a sender found a contradiction": (
        "lost",
        only("problems", lambda p: p.append({"kind": "lost", "what": "acknowledged 9"})),
    ),
    # dead letters
    "a letter is lost": ("lost", only("file_letters", lambda o: o.pop())),
    "a letter comes twice": ("duplicated", only("receiver_letters", lambda o: o.append(o[0]))),
    "a letter of nobody": ("wrong", only("file_letters", lambda o: o.append({"event": "?"}))),
    # entities
    "an entity is gone": ("lost", lambda w: w.entities.pop("ledger:k1") and None),
    "an entity counts too much": ("wrong", entity("tally:t1", count="3")),
    "an entity has another order in mind": ("wrong", entity("ledger:k1", last="[4,3,0]")),
    "money is made": ("wrong", entity("account:a2", balance="101")),
    "an entity of a failed turn": ("wrong", entity("ledger:k9", count="1")),
    # time
    "an expiry is lost": ("lost", drop("gone")),
    "an expiry comes twice": ("duplicated", repeat("gone")),
    "an expiry is early": ("wrong", change("gone", now=1449)),
    "a renewal is lost": ("wrong", drop("renew")),
    "an entity is resurrected": ("wrong", change("visit", 2, count=3)),
    "an entity outlives its end": ("wrong", entity("visit:v1", count="1")),
    # RESP
    "a confirmed write is lost": ("lost", value("map:0:0", None)),
    "an older value is back": ("lost", value("cnt:0:0", "0")),
    "a field of a large hash is lost": ("lost", value("big:0 f2", None)),
    "half a value": ("wrong", value("str:0:0", value_of("str:0:0", 10, 30)[:20])),
    "half of a write of fields": ("wrong", value("map:0:0", {"a": "3", "b": "3", "c": "2"})),
    "half of an MSET": ("wrong", value("{pair:0:0}:b", None)),
    "a counter counted twice": ("lost", value("cnt:0:0", "19")),
    "garbage": ("wrong", value("cnt:0:0", "x")),
    "a key of nobody": ("wrong", value("what", "x")),
    "a confirmed entry is lost": ("lost", only("listed", lambda o: o.clear() or True)),
    "an entry comes twice": ("duplicated", only("listed", lambda o: o.append(o[0]))),
    "a durable addition is lost": ("lost", drop("add")),
    "a confirmed addition is lost": ("lost", drop("lazy")),
    "a confirmed call is lost": ("lost", drop("bump")),
    "an unconfirmed call counts twice": ("duplicated", repeat("bump", 1)),
    "a call of nobody": ("wrong", change("bump", 1, n=15)),
    "a write is refused": ("wrong", insert_record(4, {"error": 1, "text": "ERR no"})),
    "a key is there after its end": (
        "wrong",
        insert_record(LOOKED + 3, {"there": True, "key": "due:0:9", "from": 10.3, "to": 10.3}),
    ),
    "a key with a deadline goes early": (
        "lost",
        insert_record(LOOKED + 1, {"there": False, "key": "due:0:9", "from": 10.07, "to": 10.08}),
    ),
    "a key with a deadline stays": ("wrong", value("due:0:9", "x")),
    # the view
    "the view has one twice": ("duplicated", only("view", lambda o: o.append(o[0]))),
    "the view lost one": ("lost", only("view", lambda o: o.pop())),
    "the view has what no sink got": ("wrong", only("view", lambda o: o[0].update(n=77) or True)),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_a_violation_is_noticed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, doctor = DOCTORED[name]
    world = make_world()
    doctor(world)
    found = judge(world, tmp_path, monkeypatch)
    assert kind in {violation.kind for violation in found}, found


def test_a_write_seen_durable_may_not_go_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a connection found after a crash, and WAITAOF confirmed, stays."""
    world = make_world()
    world.journal[-2]["saw"]["str:0:0"] = value_of("str:0:0", 10, 0)
    found = judge(world, tmp_path, monkeypatch)
    assert [violation.kind for violation in found] == ["lost"]
