"""What a window field is, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bettong._fieldref import FieldReference
from bettong.durations import Duration, to_ms

PANES_MAX = 4096
SCALE_MAX = 10**12
KEEP = ("sum", "min", "max")
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
    of: FieldReference | type | None = None
    scale: int | None = None

    def check_item(self, item: type) -> str:
        """Empty, or why a window of ``item`` cannot be fed as ``of`` and ``scale`` say."""
        if self.scale is not None and item is not int:
            return (
                f"scale= makes exact integers: declare it as {self.kind.title()}[int]"
            )
        if not isinstance(self.of, FieldReference):
            return ""
        kind = self.of.kind.kind
        if kind not in ("int", "float", "bool"):
            return f"of={self.of} is {self.of.kind.text}; a window takes numbers"
        if item is int and kind == "float" and self.scale is None:
            return (
                f"of={self.of} is a float; a window of ints takes it with a scale, as scale=100 for "
                "hundredths"
            )
        return ""


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
    kind: str,
    size: Duration,
    pane: Duration,
    keep: Iterable[str] | None,
    of: object,
    scale: object,
    close: bool = True,
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
    source = _source(name, of)
    counted = source if isinstance(source, type) else None
    if keep is None:
        keep = KEEP if counted is None else ()
    keeps = 0
    for each in keep:
        if each not in _BITS:
            raise ValueError(f"{name}: keep= knows {', '.join(_BITS)}, not {each!r}")
        keeps |= _BITS[each]
    if not isinstance(close, bool):
        raise TypeError(f"{name}: close= is True or False, not {close!r}")
    if counted is not None and keeps != 0:
        raise ValueError(
            f"{name}: of={counted.__name__} counts events; there is no value of which to keep "
            "anything"
        )
    factor = _scale(name, source, scale)
    return WindowSpec(kind, size_ms, pane_ms, keeps, close, source, factor)


def _source(name: str, of: object) -> FieldReference | type | None:
    if of is None or isinstance(of, FieldReference):
        return of
    if isinstance(of, type) and "__bettong_event__" in vars(of):
        return of
    raise TypeError(
        f"{name}: of= is a field of an Event class, as Sample.value, or the class itself, to "
        f"count events; not {of!r}"
    )


def _scale(name: str, of: object, scale: object) -> int | None:
    if scale is None:
        return None
    if not isinstance(of, FieldReference):
        raise TypeError(f"{name}: scale= goes with of=, a field of an Event class")
    if not isinstance(scale, int) or isinstance(scale, bool):
        raise TypeError(f"{name}: scale= is an int, not {scale!r}")
    if not 1 <= scale <= SCALE_MAX:
        raise ValueError(f"{name}: scale= is 1 to {SCALE_MAX}, not {scale}")
    return scale
