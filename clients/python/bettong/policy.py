"""What becomes of turns that raise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from bettong.durations import Duration, days, minutes, seconds, to_ms

_SECOND = seconds(1)
_MINUTE = minutes(1)

RETRIES_MAX = 1000
RATE_COUNT_MAX = 1_000_000
RATE_PER_MAX = days(1)
BACKOFF_MAX = days(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """``on_error=Retry(times=3)``: the turn is tried again, later, that many times.

    The first time after ``backoff``, then after ``factor`` times as long as before, but never more
    than ``backoff_max``. Meanwhile everything else for this key waits, in order; other keys do not
    notice. When all was in vain the event becomes a dead letter.
    """

    times: int
    backoff: Duration = _SECOND
    factor: float = 2.0
    backoff_max: Duration = _MINUTE

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or isinstance(self.times, bool):
            raise TypeError(f"Retry: times must be an int, not {self.times!r}")
        if not 1 <= self.times <= RETRIES_MAX:
            raise ValueError(f"Retry: times is 1 to {RETRIES_MAX}, not {self.times}")
        for name, value in (
            ("backoff", self.backoff),
            ("backoff_max", self.backoff_max),
        ):
            if to_ms(value, f"Retry: {name}") > BACKOFF_MAX / timedelta(milliseconds=1):
                raise ValueError(
                    f"Retry: {name} is at most {BACKOFF_MAX}, not {value!r}"
                )
        if not isinstance(self.factor, (int, float)) or isinstance(self.factor, bool):
            raise TypeError(f"Retry: factor must be a number, not {self.factor!r}")
        if not 1 <= self.factor <= 1e9:
            raise ValueError(f"Retry: factor is at least 1, not {self.factor!r}")

    @property
    def backoff_ms(self) -> int:
        return to_ms(self.backoff, "Retry: backoff")

    @property
    def backoff_max_ms(self) -> int:
        return to_ms(self.backoff_max, "Retry: backoff_max")


OnErrorOfFunction = Literal["dead-letter", "skip"]

OnError = Literal["dead-letter", "skip"] | Retry
"""What becomes of a turn that raises; see docs/dead-letters.md."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``limit=Rate(100, per=seconds(1))``: how many events of one key a handler takes.

    Each entity has a token bucket: it holds ``count`` tokens, every event takes one, and they come
    back evenly, ``count`` of them ``per`` so much time.
    """

    count: int
    per: Duration = _SECOND

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or isinstance(self.count, bool):
            raise TypeError(f"Rate: count must be an int, not {self.count!r}")
        if not 1 <= self.count <= RATE_COUNT_MAX:
            raise ValueError(f"Rate: count is 1 to {RATE_COUNT_MAX}, not {self.count}")
        if to_ms(self.per, "Rate: per") > RATE_PER_MAX / timedelta(milliseconds=1):
            raise ValueError(f"Rate: per is at most {RATE_PER_MAX}, not {self.per!r}")

    @property
    def per_ms(self) -> int:
        return to_ms(self.per, "Rate: per")


OverLimit = Literal["drop", "dead-letter"]
"""What becomes of an event beyond its handler's rate; it is counted either way."""


def check_limit(limit: object, over: object, where: str) -> Rate | None:
    if over not in ("drop", "dead-letter"):
        raise TypeError(f'{where}: over is "drop" or "dead-letter", not {over!r}')
    if limit is None or isinstance(limit, Rate):
        return limit
    raise TypeError(f"{where}: limit is a Rate(100, per=seconds(1)), not {limit!r}")


def check_on_error(value: object, where: str) -> OnError | None:
    """``value`` as it was declared; None: nothing was."""
    if value is None or isinstance(value, Retry):
        return value
    if value == "dead-letter":
        return "dead-letter"
    if value == "skip":
        return "skip"
    raise TypeError(
        f'{where}: on_error is "dead-letter", "skip" or Retry(times=...), not {value!r}'
    )


def check_on_error_of_function(value: object, where: str) -> OnErrorOfFunction | None:
    """The same for what has no key."""
    checked = check_on_error(value, where)
    if isinstance(checked, Retry):
        raise TypeError(
            f"{where}: on_error=Retry lets a key rest until its turn is tried again, and there is no "
            'key here; on_error is "dead-letter" or "skip"'
        )
    return checked
