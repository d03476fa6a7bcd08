"""Lengths of time, readable where a ``ttl`` is declared."""

from __future__ import annotations

import math
from datetime import timedelta

Duration = timedelta | int | float
"""A length of time: a timedelta, or a number of seconds."""

_MILLISECOND = timedelta(milliseconds=1)
_MS_MAX = 1 << 53


def milliseconds(value: float) -> timedelta:
    """``value`` milliseconds."""
    return timedelta(milliseconds=value)


def seconds(value: float) -> timedelta:
    """``value`` seconds."""
    return timedelta(seconds=value)


def minutes(value: float) -> timedelta:
    """``value`` minutes."""
    return timedelta(minutes=value)


def hours(value: float) -> timedelta:
    """``value`` hours."""
    return timedelta(hours=value)


def days(value: float) -> timedelta:
    """``value`` days."""
    return timedelta(days=value)


def to_ms(value: object, what: str) -> int:
    """A duration in whole milliseconds, at least 1; ``what`` names it in errors."""
    if isinstance(value, timedelta):
        ms = value / _MILLISECOND
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        ms = value * 1000
    else:
        raise TypeError(
            f"{what} must be a timedelta or seconds, not {type(value).__name__}"
        )
    if not math.isfinite(ms) or ms > _MS_MAX:
        raise ValueError(f"{what} is out of range: {value!r}")
    rounded = round(ms)
    if rounded < 1:
        raise ValueError(f"{what} must be at least a millisecond, not {value!r}")
    return rounded
