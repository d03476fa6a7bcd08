"""Conditions at random, and what Python itself makes of them.

Apps of tests import this module: a condition is traced for the engine, and evaluated in a
handler with `View` of the entity and the event. Python's own operators do the work there; only None
and ints of more than 128 bits are as the documentation of conditions has them.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from typing import Any

INT_BOUND = 1 << 127
TOO_LARGE = "too large"


class View:
    """An entity, an event, a window or a record, whose attributes are `Value`s."""

    def __init__(self, of: object) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._of, name)
        plain = value is None or isinstance(value, (bool, int, float, str))
        return Value(value) if plain else View(value)


class Value:
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: object) -> None:
        self.value = value

    def __bool__(self) -> bool:
        raise AssertionError("a condition asks for no truth")

    def __neg__(self) -> Value:
        return self._computed(operator.mul, -1)

    def _computed(
        self, function: Callable[[Any, Any], Any], other: Any, back: bool = False
    ) -> Value:
        a, b = self.value, _of(other)
        if TOO_LARGE in (a, b):
            return Value(TOO_LARGE)
        if a is None or b is None:
            return Value(None)
        result = function(b, a) if back else function(a, b)
        fits = not isinstance(result, int) or -INT_BOUND <= result < INT_BOUND
        return Value(result if fits else TOO_LARGE)

    def _compared(self, function: Callable[[Any, Any], Any], other: Any) -> Value:
        a, b = self.value, _of(other)
        if TOO_LARGE in (a, b):
            return Value(TOO_LARGE)
        if function not in (operator.eq, operator.ne) and (a is None or b is None):
            return Value(False)
        return Value(function(a, b))

    def __add__(self, other: Any) -> Value:
        return self._computed(operator.add, other)

    def __radd__(self, other: Any) -> Value:
        return self._computed(operator.add, other, back=True)

    def __sub__(self, other: Any) -> Value:
        return self._computed(operator.sub, other)

    def __rsub__(self, other: Any) -> Value:
        return self._computed(operator.sub, other, back=True)

    def __mul__(self, other: Any) -> Value:
        return self._computed(operator.mul, other)

    def __rmul__(self, other: Any) -> Value:
        return self._computed(operator.mul, other, back=True)

    def __lt__(self, other: Any) -> Value:
        return self._compared(operator.lt, other)

    def __le__(self, other: Any) -> Value:
        return self._compared(operator.le, other)

    def __gt__(self, other: Any) -> Value:
        return self._compared(operator.gt, other)

    def __ge__(self, other: Any) -> Value:
        return self._compared(operator.ge, other)

    def __eq__(self, other: object) -> Value:  # type: ignore[override]
        return self._compared(operator.eq, other)

    def __ne__(self, other: object) -> Value:  # type: ignore[override]
        return self._compared(operator.ne, other)

    # The second one counts where the first one does not decide.
    def __and__(self, other: Value) -> Value:
        return other if self.value is True else self

    def __or__(self, other: Value) -> Value:
        return other if self.value is False else self


def _of(value: object) -> Any:
    return value.value if isinstance(value, Value) else value


INTS = (0, 1, -1, 2, 7, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 0.5, -2.5, 7.0, 2.0**53, 2.0**63, -(2.0**63), 1e300, 5e-324)
TEXTS = ("", "a", "b", "ü", "a text that is quite long")

NUMBERS = (
    *("self.n", "self.x", "self.on", "self.maybe", "self.pos.x", "self.pos.n"),
    *("e.n", "e.x", "e.up", "e.flag", "e.real"),
)
WINDOWS = ("self.ints", "self.floats", "self.last", "self.visit", "self.open")
PARTS = ("count", "sum", "mean", "min", "max", "first", "last", "variance", "start", "end")
NAMES = ("self.key", "self.name", "self.note", "e.s", "e.t", "self.pos.name")


class Generator:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def condition(self, depth: int) -> str:
        chance = self.chance
        kind = chance.randrange(8 if depth > 0 else 3)
        if kind == 0:
            return chance.choice(["self.on", "e.up"])
        if kind == 1:
            other = chance.choice([*NAMES, *map(repr, TEXTS), "None"])
            return f"({chance.choice(NAMES)} {self.equality()} {other})"
        if kind == 2:
            return self.pair(self.equality(), depth - 1, none=True)
        if kind <= 4:
            return self.pair(chance.choice(["<", "<=", ">", ">="]), depth - 1)
        sign = chance.choice("&|")
        return f"({self.condition(depth - 1)} {sign} {self.condition(depth - 1)})"

    def equality(self) -> str:
        return self.chance.choice(["==", "!="])

    def pair(self, sign: str, depth: int, *, none: bool = False) -> str:
        """Two numbers, not both of them constants."""
        chance = self.chance
        first = self.number(depth)
        constants = [repr(chance.choice(INTS)), repr(chance.choice(FLOATS)), "True"]
        if none:
            constants.append("None")
        second = chance.choice([*constants, self.number(depth), self.number(depth)])
        if chance.random() < 0.5:
            first, second = second, first
        return f"({first} {sign} {second})"

    def number(self, depth: int) -> str:
        chance = self.chance
        if depth > 0 and chance.random() < 0.5:
            if chance.random() < 0.2:
                return f"(-{self.number(depth - 1)})"
            return self.pair(chance.choice("+-*"), depth - 1)
        if depth > 0 and chance.random() < 0.1:
            return self.condition(depth - 1)
        if chance.random() < 0.4:
            return f"{chance.choice(WINDOWS)}.{chance.choice(PARTS)}"
        return chance.choice(NUMBERS)
