"""The oracle: judges whether a node has kept its promises. Knows ports and files only.

    python crash_oracle.py FOLDER RESP_PORT

The load is at rest and all its events are acknowledged when this is called. Prints every violation,
and as its last line `{"lost": .., "duplicated": .., "wrong": .., "events": ..}`; exit code 1 if
there are any.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

import judge_events as je
from evidence import (
    ENTITY_PREFIXES,
    STREAMS,
    Arrivals,
    Node,
    read_journal,
    read_lines,
    read_sent,
    read_store,
)
from judge_writes import Additions, WriterJudge
from verdict import Verdict

ARRIVE_S = 60.0
SHOWN = 40
VIEW_TAIL = 2000
WRITTEN_KEYS = ("str:", "cnt:", "map:", "big:", "list:", "{pair:")


def judge_keys(node: Node, writers: list[WriterJudge], verdict: Verdict) -> None:
    """What clients wrote, and that there is nothing else."""
    for key in node.wait_gone("due:", ARRIVE_S):
        verdict.wrong(f"{key} is there long after its deadline")
    for writer in writers:
        values = {key: node.value(key) for key in writer.keys}
        for key, value in values.items():
            writer.see(key, value)
        writer.see_pairs(values)
        writer.see_list(node.entries(f"list:{writer.number}"))
    for key in node.keys():  # noqa: SIM118 (not a dict)
        known = key in STREAMS or key.startswith(WRITTEN_KEYS)
        if not known and key.partition(":")[0] not in ENTITY_PREFIXES:
            verdict.wrong(f"a key that nobody wrote: {key!r}")


def judge_view(node: Node, outputs: list[je.Output], verdict: Verdict) -> None:
    """The newest entries of the stream's view: each of them an output, and once."""
    entries = node.entries("outs", VIEW_TAIL)
    if len(entries) < min(VIEW_TAIL, len(outputs)):
        verdict.lost(f"the view of outs holds {len(entries)} of {len(outputs)} outputs")
    known = Counter(signature(output) for output in outputs)
    for one, times in Counter(signature(decoded(entry)) for entry in entries).items():
        if not known[one]:
            verdict.wrong(f"the view of outs holds what no sink got: {one!r}")
        elif times > known[one]:
            verdict.duplicated(f"the view of outs holds {times} times {one!r}")


def decoded(entry: dict[str, str]) -> dict[str, Any]:
    return {
        field: int(text) if text.lstrip("-").isdigit() else text for field, text in entry.items()
    }


def signature(output: je.Output) -> bytes:
    return orjson.dumps(output, option=orjson.OPT_SORT_KEYS)


def judge(folder: Path, node: Node) -> tuple[Verdict, int]:
    verdict = Verdict()
    sent = read_sent(folder, verdict)
    expected = je.Expected(sent)
    writers: list[WriterJudge] = []
    additions = Additions()
    for path in sorted(folder.glob("writer-*.jsonl")):
        writer = WriterJudge(int(path.stem.removeprefix("writer-")), verdict)
        writer.follow(read_journal(path))
        writers.append(writer)
        additions.certain += writer.additions.certain
        additions.uncertain += writer.additions.uncertain
    must = expected.outputs + additions.certain
    Arrivals(folder).wait(must, expected.letters.total(), ARRIVE_S)

    stored = read_store(folder / "store.db", verdict)
    sinks = {
        "file": read_lines(folder / "outs.jsonl", verdict),
        "receiver": stored.pop("rx", []),
    }
    for where, outputs in sinks.items():
        je.judge_sink(where, outputs, must, additions.uncertain, verdict)
    je.judge_same(sinks, verdict)
    letters = {
        "letters, file": read_lines(folder / "letters.jsonl", verdict),
        "letters, receiver": stored.pop("rx_letters", []),
    }
    for where, some in letters.items():
        je.judge_letters(where, some, expected.letters, verdict)
    verdict.equal(list(stored), [], "sinks that nobody knows")

    judge_keys(node, writers, verdict)
    judge_view(node, sinks["file"], verdict)
    je.judge_entities(sinks["file"], node.entities(), verdict)
    return verdict, sum(map(len, sent.values()))


def main() -> int:
    gc.disable()  # it lives for a moment
    verdict, events = judge(Path(sys.argv[1]), Node(int(sys.argv[2])))
    for violation in verdict.violations[:SHOWN]:
        print(f"{violation.kind}: {violation.what}"[:1000])
    if len(verdict.violations) > SHOWN:
        print(f"... and {len(verdict.violations) - SHOWN} more")
    print(json.dumps({**verdict.counts(), "events": events}))
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
