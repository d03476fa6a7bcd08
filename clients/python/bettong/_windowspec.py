"""What a window field is, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bettong._fieldref import FieldReference
from bettong.durations import Duration, to_ms

PANES_MAX = 4096
SCALE_MAX = 10**12
KEEP = ("sum", "min", "max")
DISTINCT_BITS_MIN, DISTINCT_BITS_MAX = 4, 16
QUANTILE_ERROR_MIN, QUANTILE_ERROR_MAX = 0.001, 0.1
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
    distinct_bits: int = 0  # 2 ** bits registers; 0: different values are not counted
    quantile_error_ppm: int = 0  # 0: quantiles are not kept

    def check_item(self, item: type) -> str:
        """Empty, or why a window of ``item`` cannot be fed as ``of`` and ``scale`` say."""
        hashed = item is str or item is bytes
        if hashed and (self.keeps != 0 or self.quantile_error_ppm != 0):
            return (
                f"of {item.__name__} only different values are counted: say distinct=0.02 and keep "
                "nothing else"
            )
        if self.scale is not None and item is not int:
            return (
                f"scale= makes exact integers: declare it as {self.kind.title()}[int]"
            )
        if not isinstance(self.of, FieldReference):
            return ""
        kind = self.of.kind.kind
        if hashed:
            fits = kind == ("text" if item is str else "bytes")
            return "" if fits else f"of={self.of} is {self.of.kind.text}"
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
        if (
            item is not int
            and item is not float
            and item is not str
            and item is not bytes
        ):
            name = item.__name__ if isinstance(item, type) else item
            raise TypeError(
                f"{kind.title()} holds int or float, or counts str or bytes, not {name}"
            )
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
    distinct: float | None,
    quantiles: float | None,
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
        plain = counted is None and distinct is None and quantiles is None
        keep = KEEP if plain else ()
    keeps = 0
    for each in keep:
        if each not in _BITS:
            raise ValueError(f"{name}: keep= knows {', '.join(_BITS)}, not {each!r}")
        keeps |= _BITS[each]
    if not isinstance(close, bool):
        raise TypeError(f"{name}: close= is True or False, not {close!r}")
    if counted is not None and (distinct is not None or quantiles is not None):
        raise ValueError(
            f"{name}: of={counted.__name__} counts events; say of which field distinct= or "
            "quantiles= are"
        )
    if counted is not None and keeps != 0:
        raise ValueError(
            f"{name}: of={counted.__name__} counts events; there is no value of which to keep "
            "anything"
        )
    factor = _scale(name, source, scale)
    return WindowSpec(
        kind,
        size_ms,
        pane_ms,
        keeps,
        close,
        source,
        factor,
        _distinct_bits(name, distinct),
        _quantile_error_ppm(name, quantiles),
    )


def keeps(spec: WindowSpec, aggregate: str) -> bool:
    return spec.keeps & _BITS[aggregate] != 0


def standard_error(bits: int) -> float:
    """Of a HyperLogLog with 2 ** bits registers."""
    return 1.04 / math.sqrt(1 << bits)


def _distinct_bits(name: str, error: object) -> int:
    if error is None:
        return 0
    if not isinstance(error, float):
        raise TypeError(
            f"{name}: distinct= is the standard error, a float as 0.02, not {error!r}"
        )
    for bits in range(DISTINCT_BITS_MIN, DISTINCT_BITS_MAX + 1):
        # What is said is often rounded: 0.0041 for 16 bits.
        if round(standard_error(bits), 4) <= error <= 1:
            return bits
    raise ValueError(
        f"{name}: distinct= is a standard error of {standard_error(DISTINCT_BITS_MAX):.4f} to 1, "
        f"not {error}"
    )


def _quantile_error_ppm(name: str, error: object) -> int:
    if error is None:
        return 0
    if not isinstance(error, float):
        raise TypeError(
            f"{name}: quantiles= is the relative error, a float as 0.01, not {error!r}"
        )
    if not QUANTILE_ERROR_MIN <= error <= QUANTILE_ERROR_MAX:
        raise ValueError(
            f"{name}: quantiles= is a relative error of {QUANTILE_ERROR_MIN} to "
            f"{QUANTILE_ERROR_MAX}, not {error}"
        )
    return round(error * 1_000_000)


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
