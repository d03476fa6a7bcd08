"""Judges what became of events: outputs at each sink, dead letters, entities.

The rules of the app in the oracle's own words: which outputs an event must have, and what the
outputs of one key must look like in their order.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from verdict import Verdict

Event = dict[str, Any] | str
Output = dict[str, Any]
Name = tuple[Any, ...]
"""Names an output: (k, key, sender or writer, its number), and what else it must say (VALUES)."""

MODULUS = (1 << 61) - 1
HOPS = 3
GARBAGE = re.compile(r"s(\d+) n(\d+)")
# What says something about an event or a write, and what only about time.
OF_TIME = ("renew", "gone")
CLASSES = {
    "ledger": "ledger", "pay": "account", "receipt": "account", "visit": "visit",
    "leave": "visit", "renew": "visit", "gone": "visit", "tally": "tally", "hop": "hop",
    "add": "adder", "lazy": "idler", "bump": "board",
}  # fmt: skip


VALUES = {
    "ledger": ("q", "pad"),
    "pay": ("amount",),
    "receipt": ("of", "amount"),
    "visit": ("ttl", "renew"),
    "hop": ("left",),
}


def name_of(output: Output) -> Name:
    k = output["k"]
    who = output.get("s", output.get("w"))
    return (k, output["key"], who, output["n"], *(output[field] for field in VALUES.get(k, ())))


def hop_after(key: str) -> str:
    return f"h{(int(key[1:]) * 7 + 3) % 32}"


def outputs_of(event: dict[str, Any]) -> list[Name]:
    """What an event that does not fail must come to."""
    op, key, who = event["op"], event["key"], (event["s"], event["n"])
    if op == "ledger":
        return [("ledger", key, *who, event["q"], event.get("pad", ""))]
    if op == "visit":
        return [("visit", key, *who, event["ttl"], event["amount"])]
    if op == "pay":
        amount = event["amount"]
        return [("pay", key, *who, amount), ("receipt", event["to"], *who, key, amount)]
    if op == "tally":
        return [("tally", key, *who), ("tally", event["to"], *who)]
    if op == "hop":
        names: list[Name] = []
        for left in range(HOPS, -1, -1):
            names.append(("hop", key, *who, left))
            key = hop_after(key)
        return names
    return [(op, key, *who)]


class Expected:
    """What must come of the events sent so far: outputs, and letters as (sender, number)."""

    def __init__(self, sent: dict[int, list[Event]]) -> None:
        self.outputs: Counter[Name] = Counter()
        self.letters: Counter[tuple[int, int]] = Counter()
        for sender, events in sent.items():
            for n, event in enumerate(events, 1):
                if isinstance(event, str) or event.get("fail"):
                    self.letters[sender, n] += 1
                else:
                    self.outputs.update(outputs_of(event))


def compare(
    got: Counter[Any], must: Counter[Any], may: Counter[Any], where: str, verdict: Verdict
) -> None:
    for name in must.keys() | got.keys():
        least, there = must[name], got[name]
        most = least + may[name]
        if there < least:
            verdict.lost(f"{where}: {name}")
        elif there > most:
            if most > 0:
                verdict.duplicated(f"{where}: {name} is there {there} times")
            else:
                verdict.wrong(f"{where}: {name} belongs to nothing that was sent")


def judge_sink(
    where: str, outputs: list[Output], must: Counter[Name], may: Counter[Name], verdict: Verdict
) -> None:
    got = Counter(name_of(o) for o in outputs if o["k"] not in OF_TIME)
    compare(got, must, may, where, verdict)
    for (kind, key), of_key in by_entity(outputs).items():
        judge = ORDERS.get(kind, judge_counts)
        judge(f"{where}: {kind}:{key}", of_key, verdict)
        judge_senders_order(f"{where}: {kind}:{key}", of_key, verdict)


def by_entity(outputs: Iterable[Output]) -> dict[tuple[str, str], list[Output]]:
    groups: dict[tuple[str, str], list[Output]] = defaultdict(list)
    for output in outputs:
        kind: str = output["k"]
        groups[CLASSES.get(kind, kind), output["key"]].append(output)
    return groups


def judge_senders_order(where: str, outputs: list[Output], verdict: Verdict) -> None:
    """What one sender sends to one key takes effect in its order; so do messages between two."""
    last: dict[Name, int] = {}
    for o in outputs:
        if o["k"] in OF_TIME or (o["k"] == "hop" and o["left"] < HOPS):
            continue
        if o["k"] == "receipt":
            sender, n = ("of", o["of"]), o["sent"]
        elif "s" in o:
            sender, n = ("s", o["s"]), o["n"]
        else:
            sender, n = (o["k"], o["w"]), o["n"]
        before = last.get(sender, 0)
        if n < before or (n == before and o["k"] != "tally"):
            verdict.wrong(f"{where}: {n} of {sender} came after {before}")
        last[sender] = n


def judge_counts(where: str, outputs: list[Output], verdict: Verdict) -> None:
    for count, output in enumerate(outputs, 1):
        if output["count"] != count:
            verdict.wrong(f"{where}: output {count} says that it is the {output['count']}th")
            return


def judge_account(where: str, outputs: list[Output], verdict: Verdict) -> None:
    for kind in ("pay", "receipt"):
        judge_counts(f"{where} {kind}", [o for o in outputs if o["k"] == kind], verdict)


def chain_of(outputs: list[Output]) -> int:
    chain = 0
    for o in outputs:
        chain = (chain * 31 + o["s"] * 1_000_003 + o["n"]) % MODULUS
    return chain


def judge_ledger(where: str, outputs: list[Output], verdict: Verdict) -> None:
    judge_counts(where, outputs, verdict)
    chain = 0
    last: Counter[int] = Counter()
    for o in outputs:
        chain = (chain * 31 + o["s"] * 1_000_003 + o["n"]) % MODULUS
        if o["was"] != last[o["s"]] or o["q"] != o["was"] + 1:
            verdict.wrong(
                f"{where}: sender {o['s']}'s {o['q']} came after {last[o['s']]}, "
                f"and the entity knew of {o['was']}"
            )
        if o["chain"] != chain:
            verdict.wrong(f"{where}: another history than the outputs' before {o['s']} {o['n']}")
            return
        last[o["s"]] = o["q"]


def judge_visit(where: str, outputs: list[Output], verdict: Verdict) -> None:
    """Lives follow each other: visits, counted from one; then leave, or one `gone`, not early."""
    alive = False
    count = renew = deadline = ttl = 0
    for o in outputs:
        k, now = o["k"], o["now"]
        if k == "visit":
            if o["count"] == 1 and alive:
                verdict.lost(f"{where}: the end of the life before {o}")
            elif o["count"] != (count + 1 if alive else 1):
                how = "continues" if alive else "is resurrected"
                verdict.wrong(f"{where} {how} with {o} after count {count}")
            alive, count, renew, ttl = True, o["count"], o["renew"], o["ttl"]
            deadline = now + ttl
        elif k == "leave":
            verdict.equal(o["count"], count if alive else 0, f"{where}: count at leave {o}")
            alive = False
        else:
            if not alive:
                verdict.duplicated(f"{where}: an expiry of what is gone: {o}")
                continue
            verdict.equal(o["count"], count, f"{where}: count at {o}")
            if now < deadline:
                verdict.wrong(f"{where}: expired {deadline - now} ms early: {o}")
            if k == "renew":
                verdict.equal(o["renew"], renew - 1, f"{where}: renewals left at {o}")
                renew, deadline = o["renew"], now + ttl
            else:
                verdict.equal(renew, 0, f"{where}: renewals left when gone")
                alive = False
    if alive:
        verdict.lost(f"{where}: its end, due at {deadline}")


ORDERS = {"ledger": judge_ledger, "account": judge_account, "visit": judge_visit}


def judge_letters(
    where: str, letters: list[Output], must: Counter[tuple[int, int]], verdict: Verdict
) -> None:
    got: Counter[tuple[int, int]] = Counter()
    for letter in letters:
        if (who := sender_of(letter["event"])) is None:
            verdict.wrong(f"{where}: a letter nobody sent: {json.dumps(letter)[:300]}")
        else:
            got[who] += 1
    compare(got, must, Counter(), where, verdict)


def sender_of(event: Any) -> tuple[int, int] | None:
    """Whose event a dead letter holds, and which."""
    if isinstance(event, str):
        if found := GARBAGE.search(event):
            return int(found[1]), int(found[2])
        try:
            event = json.loads(event)
        except ValueError:
            return None
    if isinstance(event, dict) and "s" in event and "n" in event:
        return event["s"], event["n"]
    return None


def judge_same(outputs: dict[str, list[Output]], verdict: Verdict) -> None:
    """All sinks have the same, in the same order for each key."""
    (first_name, first), *others = [(name, by_entity(o)) for name, o in outputs.items()]
    for name, other in others:
        for entity in first.keys() | other.keys():
            if first.get(entity) != other.get(entity):
                verdict.wrong(f"{first_name} and {name} differ in the outputs of {entity}")


def judge_entities(
    outputs: list[Output], entities: dict[str, dict[str, str]], verdict: Verdict
) -> None:
    """`entities`: what HGETALL says, by Redis key."""
    left = dict(entities)
    total = 0
    for (kind, key), of_key in by_entity(outputs).items():
        name = f"{kind}:{key}"
        state = left.pop(name, None)
        if kind == "visit":
            if state is not None:
                verdict.wrong(f"{name} is there after its end: {state}")
            continue
        if state is None:
            verdict.lost(f"{name} is not there")
            continue
        expected = expected_state(kind, of_key)
        total += int(expected.get("balance", 0))
        verdict.equal({field: state.get(field) for field in expected}, expected, name)
    for name, state in left.items():
        verdict.wrong(f"{name} is there, but said nothing: {state}")
    verdict.equal(total, 0, "the sum of all balances")


def expected_state(kind: str, outputs: list[Output]) -> dict[str, str]:
    if kind == "account":
        paid = [o["amount"] for o in outputs if o["k"] == "pay"]
        got = [o["amount"] for o in outputs if o["k"] == "receipt"]
        return {
            "balance": str(sum(got) - sum(paid)),
            "sent": str(len(paid)),
            "received": str(len(got)),
        }
    state = {"count": str(len(outputs))}
    if kind == "ledger":
        last: Counter[int] = Counter()
        for o in outputs:
            last[o["s"]] = o["q"]
        state["chain"] = str(chain_of(outputs))
        state["size"] = str(sum(len(o["pad"]) for o in outputs))
        state["last"] = json.dumps([last[s] for s in range(8)], separators=(",", ":"))
    return state
