"""Windows of event time as fields of an entity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, Literal

from bettong._windowspec import WindowAnnotation, WindowSpec, make_window_spec
from bettong.durations import Duration

Kept = Literal["sum", "min", "max", "first", "last", "variance"]
"""What a window keeps of its values; their count it always has, their mean with the sum."""

if TYPE_CHECKING:
    # Known to every type checker, whether it is installed or not.
    from typing_extensions import TypeVar

    from bettong.event import Event

    N = TypeVar("N", int, float, str, bytes, default=float)

    class Window(Generic[N]):
        """What ``Sliding``, ``Tumbling`` and ``Session`` share: the values of the current window.

        Times are ms since the epoch. The current window ends with the newest pane that a value has
        fallen into; panes begin at whole multiples of their length. A window without values has a
        count and a sum of 0, and None for everything else. The object belongs to the turn: keep its
        values, not the window.
        """

        def add(self, value: N, at: int | None = None) -> bool:
            """Counts ``value`` at the time ``at``: the event's if not said, now without an event.

            False: that is before the window, and is not counted. Raises TypeError for what is no
            number (of ``[int]``: no int), ValueError for NaN and infinity, OverflowError where the
            sum of a pane's ints has more than 64 bits.
            """

        @property
        def count(self) -> int:
            """How many values."""

        @property
        def sum(self) -> N:
            """Their sum; of ints exact, of any size."""

        @property
        def mean(self) -> float | None:
            """Their mean."""

        @property
        def min(self) -> N | None:
            """The least."""

        @property
        def max(self) -> N | None:
            """The greatest."""

        @property
        def first(self) -> N | None:
            """The earliest, by time and then by arrival. Needs ``keep=["first"]``."""

        @property
        def last(self) -> N | None:
            """The latest, by time and then by arrival. Needs ``keep=["last"]``."""

        @property
        def variance(self) -> float | None:
            """Their variance, of a whole population. Needs ``keep=["variance"]``."""

        @property
        def distinct(self) -> int:
            """How many different values. Needs ``distinct``."""

        def quantile(self, share: float, /) -> float | None:
            """The value below which that share of them lies, 0 to 1. Needs ``quantiles``."""

        @property
        def name(self) -> str:
            """The field's name: in ``on_close`` it tells which window has closed."""

        @property
        def start(self) -> int | None:
            """Where the current window begins."""

        @property
        def end(self) -> int | None:
            """Where it ends; no longer in it."""

    class Sliding(Window[N]):
        """A field with the last ``size`` of event time, moved on by panes.

        Declared as ``cpu: Sliding = Sliding(minutes(5), pane=minutes(1))``, of floats, or as
        ``Sliding[int]``, of ints of 64 bits. ``keep`` names what is kept of the values: their sum,
        min and max if nothing is said. ``close=False``: ``on_close`` is not told of this field's
        windows.

        ``of=Sample.value``: each Sample that a handler of the class takes is added before the
        handler runs, without its doing; None is no value. ``of=Sample`` counts them. ``scale``: ints
        ``value * scale``, rounded, halves upwards.

        ``distinct``: different values are counted, with that standard error, 0.0041 to 0.26; the only
        thing that is kept of ``[str]`` and ``[bytes]``. ``quantiles``: ``quantile()`` is off by no
        more than that share of the value, 0.001 to 0.1. With either, ``keep`` is nothing if nothing
        is said.
        """

        def __init__(
            self,
            size: Duration,
            *,
            pane: Duration,
            keep: Iterable[Kept] | None = None,
            close: bool = True,
            of: float | str | bytes | type[Event] | None = None,
            scale: int | None = None,
            distinct: float | None = None,
            quantiles: float | None = None,
        ) -> None: ...

    class Tumbling(Window[N]):
        """A field with one window of ``size`` after the other: the one of the newest value.

        Declared as ``load: Tumbling[int] = Tumbling(minutes(5))``; the rest as of ``Sliding``.
        """

        def __init__(
            self,
            size: Duration,
            *,
            keep: Iterable[Kept] | None = None,
            close: bool = True,
            of: float | str | bytes | type[Event] | None = None,
            scale: int | None = None,
            distinct: float | None = None,
            quantiles: float | None = None,
        ) -> None: ...

    class Session(Window[N]):
        """A field with sessions: values less than ``gap`` apart belong together.

        Declared as ``visit: Session[int] = Session(minutes(30))``. A session begins with its first
        value and ends ``gap`` after its last; one that lies between two makes them one. The rest as
        of ``Sliding``. The current one is the latest.
        """

        def __init__(
            self,
            gap: Duration,
            *,
            keep: Iterable[Kept] | None = None,
            of: float | str | bytes | type[Event] | None = None,
            scale: int | None = None,
            distinct: float | None = None,
            quantiles: float | None = None,
        ) -> None: ...

else:

    class Sliding:
        """Annotation and default of a window field: see the class of this name above."""

        def __class_getitem__(cls, item: object) -> WindowAnnotation:
            return WindowAnnotation.of("sliding", item)

        def __new__(
            cls,
            size: Duration,
            *,
            pane: Duration,
            keep: Iterable[str] | None = None,
            close: bool = True,
            of: object = None,
            scale: object = None,
            distinct: float | None = None,
            quantiles: float | None = None,
        ) -> WindowSpec:
            return make_window_spec(
                "sliding", size, pane, keep, of, scale, distinct, quantiles, close
            )

    class Tumbling:
        """Annotation and default of a window field: see the class of this name above."""

        def __class_getitem__(cls, item: object) -> WindowAnnotation:
            return WindowAnnotation.of("tumbling", item)

        def __new__(
            cls,
            size: Duration,
            *,
            keep: Iterable[str] | None = None,
            close: bool = True,
            of: object = None,
            scale: object = None,
            distinct: float | None = None,
            quantiles: float | None = None,
        ) -> WindowSpec:
            return make_window_spec(
                "tumbling", size, size, keep, of, scale, distinct, quantiles, close
            )

    class Session:
        """Annotation and default of a window field: see the class of this name above."""

        def __class_getitem__(cls, item: object) -> WindowAnnotation:
            return WindowAnnotation.of("session", item)

        def __new__(
            cls,
            gap: Duration,
            *,
            keep: Iterable[str] | None = None,
            of: object = None,
            scale: object = None,
            distinct: float | None = None,
            quantiles: float | None = None,
        ) -> WindowSpec:
            return make_window_spec(
                "session", gap, gap, keep, of, scale, distinct, quantiles
            )

    Sliding.__bettong_window__ = WindowAnnotation("sliding", float)
    Session.__bettong_window__ = WindowAnnotation("session", float)
    Tumbling.__bettong_window__ = WindowAnnotation("tumbling", float)
