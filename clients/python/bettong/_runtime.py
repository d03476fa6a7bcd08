"""The native side where there is one, else stand-ins, so that apps import anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bettong.durations import Duration
from bettong.errors import OutsideTurnError

if not TYPE_CHECKING:
    try:
        from _bettong import EntityBase, StreamBase
    except ImportError:
        _INSIDE = False
    else:
        import collections.abc

        import _bettong

        _INSIDE = True
        collections.abc.Sequence.register(_bettong.Ring)
        collections.abc.Sequence.register(_bettong.List)
        collections.abc.Mapping.register(_bettong.Map)
        collections.abc.Mapping.register(_bettong.Counter)
        collections.abc.Set.register(_bettong.Set)
else:
    _INSIDE = False

INSIDE_NODE: bool = _INSIDE
"""True in the Bettong process, False in editors, type checkers and plain Python."""


def _outside(what: str) -> OutsideTurnError:
    return OutsideTurnError(
        f"{what} works only while a handler runs inside a Bettong node"
    )


if TYPE_CHECKING or not INSIDE_NODE:

    class EntityBase:
        """What every entity has, besides its fields."""

        __slots__ = ()

        @property
        def key(self) -> str:
            """The entity's key, without the class's prefix."""
            raise _outside("self.key")

        @property
        def now(self) -> int:
            """The turn's wall clock time, in ms since the epoch."""
            raise _outside("self.now")

        @property
        def ttl(self) -> float | None:
            """The idle time after which the entity expires, in seconds; None: never.

            Assign a timedelta or seconds to give this one entity a TTL of its own; None: no TTL.
            """
            raise _outside("self.ttl")

        @ttl.setter
        def ttl(self, value: Duration | None) -> None:
            raise _outside("self.ttl")

        def touch(self) -> None:
            """Lets the TTL begin anew; in ``on_expire`` this keeps the entity alive."""
            raise _outside("self.touch()")

        def after(
            self,
            delay: Duration,
            method: Callable[..., None] | str,
            *args: object,
            name: str | None = None,
        ) -> None:
            """Runs ``method(*args)`` of this entity once ``delay`` has passed, in a turn of its own.

            The timer has the name of the method, or ``name``; setting one of a name that is set
            already puts it in its place. Timers survive restarts and end with the entity. They go
            by the class's clock: with ``clock="event"`` the delay counts from the event's time, and
            the timer runs when the watermark has come that far. Arguments are None, bool, int,
            float, str, bytes, or lists and dicts of these. Raises OverflowError beyond 256 timers
            of an entity or 4096 bytes of arguments.
            """
            raise _outside("self.after()")

        def at(
            self,
            time: int,
            method: Callable[..., None] | str,
            *args: object,
            name: str | None = None,
        ) -> None:
            """As ``after``, at a time in ms since the epoch; one that is past is the next ms."""
            raise _outside("self.at()")

        def cancel(self, timer: Callable[..., None] | str) -> bool:
            """Drops the timer of this name, or of this method's; False: there is none."""
            raise _outside("self.cancel()")

        @property
        def timers(self) -> dict[str, int]:
            """The timers that are set: when each is due, ms since the epoch, by name."""
            raise _outside("self.timers")

        def delete(self) -> None:
            """Removes the entity at the end of this turn, without ``on_expire``."""
            raise _outside("self.delete()")

    class StreamBase:
        """The native part of a stream."""

        __slots__ = ("event", "name")
        name: str
        event: type | None

        def __init__(self, name: str, event: type | None) -> None:
            self.name = name
            self.event = event

        if not TYPE_CHECKING:  # Stream declares it

            def emit(self, event: Any = None, /, **fields: Any) -> None:
                raise _outside(f"{self.name}.emit()")
