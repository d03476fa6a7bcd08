"""The judge of campaigns notices what it is there for."""

from __future__ import annotations

import pytest

from alerts_judge import Verdict, judge
from alerts_workload import answer, generate

RIGHT = answer(generate(3000, 20, seed=1)).alerts
LINES = [line for lines in RIGHT.values() for line in lines]


def counts(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.lost, verdict.duplicated, verdict.wrong


def test_the_right_alerts_are_right() -> None:
    assert len(LINES) > 50
    assert judge(LINES, RIGHT) == Verdict()


def swapped() -> list[str]:
    """Two alerts of one key change places."""
    key = next(key for key, lines in RIGHT.items() if len(lines) > 1)
    first, second = (LINES.index(line) for line in RIGHT[key][:2])
    lines = list(LINES)
    lines[first], lines[second] = lines[second], lines[first]
    return lines


@pytest.mark.parametrize(
    ("lines", "right"),
    [
        (LINES[1:], (1, 0, 0)),
        ([*LINES, LINES[3]], (0, 1, 0)),
        ([*LINES, LINES[3], LINES[3]], (0, 2, 0)),
        ([*LINES, '{"key":"x"}'], (0, 0, 1)),
        ([*LINES[1:], LINES[0].replace('"n":', '"n":1')], (1, 0, 1)),
        (swapped(), (0, 0, 1)),
        ([], (len(LINES), 0, 0)),
    ],
    ids=["lost", "twice", "three times", "unknown", "another value", "order", "nothing"],
)
def test_what_is_not_right_is_counted(lines: list[str], right: tuple[int, int, int]) -> None:
    verdict = judge(lines, RIGHT)
    assert counts(verdict) == right
    assert verdict.findings


def test_another_order_among_keys_is_right() -> None:
    keys = list(RIGHT)
    assert judge([line for key in reversed(keys) for line in RIGHT[key]], RIGHT).good
