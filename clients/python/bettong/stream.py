"""Streams: named flows of events that entities subscribe to and emit into."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from bettong import pipeline
from bettong._checks import check_open
from bettong._runtime import StreamBase
from bettong.durations import Duration, to_ms
from bettong.event import EventMeta, event_info
from bettong.pipeline import Pipeline
from bettong.policy import (
    OnError,
    OverLimit,
    Rate,
    check_limit,
    check_on_error,
    check_on_error_of_function,
)

E = TypeVar("E")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., None])

EVENTS_PER_TURN_MAX = 4096

Key = str | int | bytes
KeyFunction = Callable[[E], Key | Iterable[Key]]
Condition = Callable[[Any, E], bool]

if TYPE_CHECKING:

    class _Base(StreamBase, Generic[E]): ...

else:
    # The native class is not generic; at run time neither is this one.
    class _Base(StreamBase):
        __slots__ = ()

        def __class_getitem__(cls, item: object) -> type:
            return cls


@dataclass(frozen=True, slots=True)
class On:
    """How a method or function takes a stream's events."""

    key: str | Callable[..., Any] | None  # None: a function, without an entity
    late: bool = False
    batch: int = 0
    columns: bool = False
    on_error: OnError | None = None  # None: as the class says
    limit: Rate | None = None
    over: OverLimit = "drop"
    when: Callable[..., Any] | None = None


decorated: list[Callable[..., Any]] = []
"""Every function that was made a handler or command since the node began to load."""


class Stream(_Base[E]):
    """Made by ``app.stream(name, EventClass)``."""

    __slots__ = ("late_events", "lateness_ms", "max_age_ms")

    max_age_ms: int | None
    """Older events are dropped at the door; None: none are."""
    lateness_ms: int | None
    """By so much the watermark lags behind the highest event time; None: as others declare."""
    late_events: str | None
    """What becomes of events older than the watermark, "handle" or "dead-letter"; None likewise."""

    def __repr__(self) -> str:
        return f"<Stream {self.name}>"

    def on(
        self,
        *,
        key: str | KeyFunction[E] | None = None,
        when: Condition[E] | None = None,
        batch: int | None = None,
        columns: bool = False,
        on_error: OnError | None = None,
        limit: Rate | None = None,
        over: OverLimit = "drop",
    ) -> Callable[[F], F]:
        """Makes a method of an entity class, or a function, the handler of this stream's events.

        A method needs ``key``, which says which entity an event belongs to: the name of a field of the event, or a
        function of the event that answers one key or an iterable of them. Keys are str, int or
        bytes. The method is called as ``method(self, event)`` on the entity of each key.

        A function, of a module and not of a class, has no key and no entity: it is called as
        ``function(event)``, and what it emits is all that comes of it. ``Retry`` and ``limit`` are
        for keys.

        With ``when=lambda self, e: ...`` the method is called only for events for which that condition
        holds: as if it began with ``if not ...: return``, but the engine evaluates it, without Python.
        The function is called once, when the app is loaded, with what stands for the entity and the
        event. It compares numbers and texts of them, and what windows keep, with ``+ - * < <= > >=
        == !=``, and joins comparisons with ``&`` and ``|``.

        With ``batch=256`` it is called as ``method(self, events)`` with a list of what is there for
        the entity, in order, up to so many (at most 4096); with ``columns=True`` too, with
        ``Columns`` of them, whose attributes are numpy arrays; a function likewise, with events of
        all keys. That is one turn: it counts as a
        whole, or, if it raises, each event is given a turn of its own.

        If it raises the turn has changed nothing, and ``on_error`` says what then becomes of the
        event: "dead-letter", unless the class says otherwise; "skip", which counts it; or
        ``Retry(times=3, backoff=seconds(1))``.

        With ``limit=Rate(100, per=seconds(1))`` it takes so many events of one key, by the clock of
        its class; ``over`` says what becomes of the others: "drop" or "dead-letter".
        """
        where = f"{self.name}.on()"
        if columns and batch is None:
            batch = EVENTS_PER_TURN_MAX
        if batch is not None and (
            type(batch) is not int or not 1 <= batch <= EVENTS_PER_TURN_MAX
        ):
            raise TypeError(
                f"{where}: batch is a number of events, 1 to {EVENTS_PER_TURN_MAX}, not {batch!r}"
            )
        if batch is not None and limit is not None:
            raise TypeError(
                f"{where}: a limit counts events one by one; leave out batch"
            )
        if batch is not None and when is not None:
            raise TypeError(
                f"{where}: when= is a condition of one event; a handler of several looks at them "
                "itself: leave out batch= and columns=, or when="
            )
        on = On(key, False, batch or 0, columns, on_error, limit, over, when)
        return self._handler(on, where)

    def late(
        self,
        *,
        key: str | KeyFunction[E] | None = None,
        when: Condition[E] | None = None,
        on_error: OnError | None = None,
        limit: Rate | None = None,
        over: OverLimit = "drop",
    ) -> Callable[[F], F]:
        """Makes a method, or without key a function, the handler of this stream's late events; they go nowhere else then.

        An event is late if it is older than the stream's watermark as of that event: the highest
        event time, less the stream's ``lateness``.
        """
        self._check_timed("late events")
        on = On(key, late=True, on_error=on_error, limit=limit, over=over, when=when)
        return self._handler(on, f"{self.name}.late()")

    def _handler(self, on: On, where: str) -> Callable[[F], F]:
        check_open(where)
        if on.key is None:
            check_on_error_of_function(on.on_error, where)
            if on.limit is not None:
                raise TypeError(
                    f"{where}: limit is a rate of each key, and there is no key here"
                )
            if on.when is not None:
                raise TypeError(
                    f"{where}: when= is a condition of an entity and an event, and without key= "
                    f"there is no entity here: say {self.name}.filter(...) instead"
                )
        else:
            self._check_key(on.key)
            check_on_error(on.on_error, where)
        check_limit(on.limit, on.over, where)
        if on.when is not None and not callable(on.when):
            raise TypeError(
                f"{where}: when= is a function, as lambda self, e: e.value > 5, not {on.when!r}"
            )

        def decorate(method: F) -> F:
            decorated.append(method)
            handlers = list(getattr(method, "__bettong_on__", ()))
            handlers.append((self, on))
            method.__bettong_on__ = handlers  # type: ignore[attr-defined]
            return method

        return decorate

    def filter(self, function: Callable[[E], object], /) -> Pipeline[E]:
        """Events for which ``function`` answers something true; ``.to(stream)`` says where to."""
        return pipeline.begin(self).filter(function)

    def map(self, function: Callable[[E], R], /) -> Pipeline[R]:
        """What ``function`` answers for each event; ``.to(stream)`` says where to."""
        return pipeline.begin(self).map(function)

    def flat_map(self, function: Callable[[E], Iterable[R]], /) -> Pipeline[R]:
        """All that ``function`` answers for each event, in order; ``.to(stream)`` says where to."""
        return pipeline.begin(self).flat_map(function)

    def key_by(self, key: str | KeyFunction[E], /) -> KeyedStream[E]:
        """The same stream with ``key`` said once for ``.on()`` and ``.late()``."""
        self._check_key(key)
        return KeyedStream(self, key)

    def _check_timed(self, what: str) -> None:
        if self.event is None or event_info(self.event).time_index is None:
            raise TypeError(
                f"stream {self.name!r}: {what} needs events that carry their time "
                '(class Sample(Event, time="ts"))'
            )

    if TYPE_CHECKING:

        @overload
        def emit(self, event: E, /) -> None: ...
        @overload
        def emit(self, event: Mapping[str, Any], /) -> None: ...
        @overload
        def emit(self, /, **fields: Any) -> None: ...
        def emit(self, event: Any = None, /, **fields: Any) -> None:
            """Sends an event once this turn has succeeded; a turn that fails emits nothing.

            Takes an event instance, a dict, or the fields as keyword arguments.
            """

    def _check_key(self, key: object) -> None:
        if callable(key):
            return
        if not isinstance(key, str) or not key:
            raise TypeError(
                f"{self.name}.on(): key must be a field's name or a function, not {key!r}"
            )
        if self.event is None:
            return
        info = event_info(self.event)
        index = info.index(key)
        if index is None:
            near = difflib.get_close_matches(
                key, [field.name for field in info.fields], 1
            )
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"{self.name}.on(key={key!r}): {info.name} has no such field{hint}"
            )
        if info.fields[index].type.kind not in ("text", "int", "bytes"):
            raise TypeError(
                f"{self.name}.on(key={key!r}): a key field is str, int or bytes"
            )


@dataclass(frozen=True, slots=True)
class KeyedStream(Generic[E]):
    """A stream and what makes keys of its events."""

    stream: Stream[E]
    key: str | KeyFunction[E]

    def on(
        self,
        *,
        when: Condition[E] | None = None,
        batch: int | None = None,
        columns: bool = False,
        on_error: OnError | None = None,
        limit: Rate | None = None,
        over: OverLimit = "drop",
    ) -> Callable[[F], F]:
        """``stream.on(key=key, ...)``."""
        return self.stream.on(
            key=self.key,
            when=when,
            batch=batch,
            columns=columns,
            on_error=on_error,
            limit=limit,
            over=over,
        )

    def late(
        self,
        *,
        when: Condition[E] | None = None,
        on_error: OnError | None = None,
        limit: Rate | None = None,
        over: OverLimit = "drop",
    ) -> Callable[[F], F]:
        """``stream.late(key=key, ...)``."""
        return self.stream.late(
            key=self.key, when=when, on_error=on_error, limit=limit, over=over
        )


def make_stream(
    name: str,
    event: type | None,
    max_age: Duration | None = None,
    lateness: Duration | None = None,
    late: str | None = None,
) -> Stream[Any]:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a stream's name is a non-empty string, not {name!r}")
    if event is not None and not (
        isinstance(event, EventMeta) and "__bettong_event__" in vars(event)
    ):
        raise TypeError(f"stream {name!r}: {event!r} is not a subclass of Event")
    stream: Stream[Any] = Stream(name, event)
    stream.max_age_ms = None
    if max_age is not None:
        stream.max_age_ms = to_ms(max_age, f"stream {name!r}: max_age")
        stream._check_timed("max_age")
    stream.lateness_ms = None
    if lateness is not None:
        stream.lateness_ms = to_ms(lateness, f"stream {name!r}: lateness")
        stream._check_timed("lateness")
    if late not in (None, "handle", "dead-letter"):
        raise TypeError(
            f'stream {name!r}: late must be "handle" or "dead-letter", not {late!r}'
        )
    stream.late_events = late
    if late is not None:
        stream._check_timed("late")
    return stream
