"""What the apps of the tests begin with."""

from __future__ import annotations

import textwrap
from typing import Any

PRELUDE = """\
from datetime import timedelta

from bettong import App, Array, Event

app = App("tests")


class In(Event):
    key: str
    op: str = ""
    n: int = 0
    x: float = 0.0
    s: str = ""


events = app.stream("events", In)
out = app.stream("out")

"""


def with_prelude(body: str) -> str:
    """An app: `events` is a typed stream of `In`, `out` one without a class."""
    return PRELUDE + textwrap.dedent(body)


def event(n: int, **more: Any) -> dict[str, Any]:
    """An `In`, one of seven keys."""
    return {"key": f"k{n % 7}", "n": n} | more
