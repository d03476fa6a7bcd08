"""Compares the alerts that came out with those that must, one by one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Verdict:
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.wrong)

    def add(self, other: Verdict) -> None:
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.wrong += other.wrong
        self.findings += other.findings

    def __str__(self) -> str:
        return f"lost={self.lost} duplicated={self.duplicated} wrong={self.wrong}"


def judge(got: Sequence[str], right: Mapping[str, Sequence[str]]) -> Verdict:
    """`got` in the order of reading, `right` by key in order.

    Lost: a right alert that did not come. Duplicated: one that came again. Wrong: one that is not
    right at all; and a key whose alerts are the right ones in another order.
    """
    verdict = Verdict()
    expected = Counter(line for lines in right.values() for line in lines)
    found = Counter(got)
    for line, count in (expected - found).items():
        verdict.lost += count
        verdict.findings.append(f"lost: {line}")
    for line, count in (found - expected).items():
        if line in expected:
            verdict.duplicated += count
            verdict.findings.append(f"duplicated: {line}")
        else:
            verdict.wrong += count
            verdict.findings.append(f"wrong: {line}")
    if verdict.good:
        judge_order(got, right, verdict)
    return verdict


def judge_order(got: Sequence[str], right: Mapping[str, Sequence[str]], verdict: Verdict) -> None:
    by_key: dict[str, list[str]] = {}
    for line in got:
        by_key.setdefault(json.loads(line)["key"], []).append(line)
    for key, lines in by_key.items():
        if lines != list(right[key]):
            verdict.wrong += 1
            verdict.findings.append(f"wrong: the order of {key}'s alerts")
