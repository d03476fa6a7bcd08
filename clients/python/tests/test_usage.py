"""Which fields of an event a handler reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bettong import Event
from bettong._usage import ALL, fields_read


class Sample(Event):
    a: int
    b: int
    c: int

    def both(self) -> int:
        return self.a + self.b


def reads_two(self: Any, e: Sample) -> None:
    self.x = e.a
    if e.a > 3:
        self.y = [e.c for _ in range(2)] if e.c else 0


def reads_one(self: Any, e: Sample) -> None:
    self.x = e.b


def reads_none(self: Any, e: Sample) -> None:
    self.x = 1


def passes_on(self: Any, e: Sample) -> None:
    print(e)


def calls_method(self: Any, e: Sample) -> None:
    e.both()


def closes_over(self: Any, e: Sample) -> None:
    self.x = [f for f in (1,) if e.a]
    self.y = lambda: e.b


def reflects(self: Any, e: Sample) -> None:
    self.x = locals()


def rebinds(self: Any, e: Sample) -> None:
    e = self.other
    self.x = e.a


def writes(self: Any, e: Sample) -> None:
    e.a = 1


def variadic(self: Any, *rest: Any) -> None:
    self.x = rest


@pytest.mark.parametrize(("function", "bits"), [(reads_one, 0b010), (reads_none, 0)])
def test_only_what_is_read(function: Callable[..., None], bits: int) -> None:
    assert fields_read(function, Sample) == bits


@pytest.mark.parametrize(
    "function",
    [
        reads_two,
        passes_on,
        calls_method,
        closes_over,
        reflects,
        rebinds,
        writes,
        variadic,
        print,
    ],
)
def test_everything_when_in_doubt(function: Callable[..., None]) -> None:
    # reads_two: its comprehension is a closure over the event.
    assert fields_read(function, Sample) == ALL
