"""What a window field is, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bettong.durations import Duration, to_ms

PANES_MAX = 4096
_BITS = {"sum": 1, "min": 2, "max": 4, "first": 8, "last": 16, "variance": 32}


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """What ``Sliding(...)``, ``Tumbling(...)`` and ``Session(...)`` make; read by the native host.

    ``keeps`` has a bit for each of ``_BITS``. ``closes``: windows stay until the watermark has passed
    them, and ``on_close`` is told; of a class without on_close that is meant for sessions only.
    """

    kind: str
    size_ms: int
    pane_ms: int
    keeps: int
    closes: bool


@dataclass(frozen=True, slots=True)
class WindowAnnotation:
    """What ``Sliding[int]`` evaluates to."""

    kind: str
    item: type

    @classmethod
    def of(cls, kind: str, item: object) -> WindowAnnotation:
        if item is not int and item is not float:
            name = item.__name__ if isinstance(item, type) else item
            raise TypeError(f"{kind.title()} holds int or float, not {name}")
        return cls(kind, item)

    def __repr__(self) -> str:
        return f"{self.kind.title()}[{self.item.__name__}]"

    def __or__(self, other: object) -> object:
        """``Tumbling[int] | Sliding[int]``, of a parameter: nothing reads it here."""
        return Any

    __ror__ = __or__


def make_window_spec(
    kind: str, size: Duration, pane: Duration, keep: Iterable[str], close: bool = True
) -> WindowSpec:
    """Raises TypeError or ValueError for what is no window."""
    name = kind.title()
    size_ms, pane_ms = to_ms(size, f"{name}: size"), to_ms(pane, f"{name}: pane=")
    if size_ms % pane_ms != 0:
        raise ValueError(
            f"{name}: {size_ms} ms are no whole number of panes of {pane_ms} ms"
        )
    if size_ms // pane_ms > PANES_MAX:
        raise ValueError(f"{name}: up to {PANES_MAX} panes, not {size_ms // pane_ms}")
    if isinstance(keep, str):
        raise TypeError(f"{name}: keep= is a list of names, not {keep!r}")
    keeps = 0
    for each in keep:
        if each not in _BITS:
            raise ValueError(f"{name}: keep= knows {', '.join(_BITS)}, not {each!r}")
        keeps |= _BITS[each]
    if not isinstance(close, bool):
        raise TypeError(f"{name}: close= is True or False, not {close!r}")
    return WindowSpec(kind, size_ms, pane_ms, keeps, close)
