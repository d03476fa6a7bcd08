"""App: what one module declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast, overload

from bettong.durations import Duration, to_ms
from bettong.entity import Entity, EntityMeta
from bettong.stream import Stream, decorated, make_stream

E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., Any])

declared: list[App] = []
"""Every App made since the node began to load its modules, in order."""


class App:
    """The streams and entity classes that belong together; one per application module."""

    Entity: type[Entity]
    """Base class of this app's entities: ``class Host(app.Entity, ttl=minutes(10))``."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"an app's name is a non-empty string, not {name!r}")
        self.name = name
        self.streams: dict[str, Stream[Any]] = {}
        self.entities: list[EntityMeta] = []
        self.bases: list[EntityMeta] = []  # abstract ones
        self.Entity = cast(
            "type[Entity]",
            EntityMeta(
                "Entity",
                (Entity,),
                {
                    "__module__": __name__,
                    "__qualname__": "App.Entity",
                    "__doc__": Entity.__doc__,
                },
                app=self,
                abstract=True,
            ),
        )
        declared.append(self)

    def __repr__(self) -> str:
        return f"<App {self.name}>"

    @overload
    def stream(
        self,
        name: str,
        event: type[E],
        *,
        max_age: Duration | None = None,
        lateness: Duration | None = None,
        late: Literal["handle", "dead-letter"] | None = None,
    ) -> Stream[E]: ...
    @overload
    def stream(self, name: str, event: None = None) -> Stream[dict[str, Any]]: ...
    def stream(
        self,
        name: str,
        event: type | None = None,
        *,
        max_age: Duration | None = None,
        lateness: Duration | None = None,
        late: Literal["handle", "dead-letter"] | None = None,
    ) -> Stream[Any]:
        """The stream of this name. The same name in another app is the same stream.

        With an event class its events are decoded into instances of it, else they are dicts.
        With ``max_age``, a timedelta or seconds, what sources and clients bring is dropped, and
        counted, if the event's own time is longer ago than that. ``bettong run`` takes any age.

        The stream's watermark is the highest event time of each of its sources, the least of them,
        less ``lateness``. What is older is late: it is counted, and handled all the same, but closed
        windows do not take it. ``late="dead-letter"``: it is dead-lettered instead. A method with
        ``@stream.late`` takes late events in the place of all others.
        """
        known = self.streams.get(name)
        if known is None:
            known = self.streams[name] = make_stream(
                name, event, max_age, lateness, late
            )
        elif event is not None and known.event is not event:
            raise TypeError(
                f"stream {name!r} is declared twice, with different event classes"
            )
        elif max_age is not None and known.max_age_ms != to_ms(max_age, "max_age"):
            raise TypeError(
                f"stream {name!r} is declared twice, with different values of max_age"
            )
        elif lateness is not None and known.lateness_ms != to_ms(lateness, "lateness"):
            raise TypeError(
                f"stream {name!r} is declared twice, with different values of lateness"
            )
        elif late is not None and known.late_events != late:
            raise TypeError(
                f"stream {name!r} is declared twice, with different values of late"
            )
        return known

    @overload
    def command(self, method: F, /) -> F: ...
    @overload
    def command(self, /, *, create: bool = False) -> Callable[[F], F]: ...
    def command(
        self, method: F | None = None, /, *, create: bool = False
    ) -> F | Callable[[F], F]:
        """Makes a method callable by clients: ``CALL host:web-01 mean``.

        Arguments arrive as text and are converted by the method's annotations. On a key that does
        not exist CALL answers an error, unless the command says ``create=True``.
        """

        def decorate(function: F) -> F:
            if not inspect.isfunction(function):
                raise TypeError(f"@app.command is for methods, not {function!r}")
            decorated.append(function)
            function.__bettong_command__ = create  # type: ignore[attr-defined]
            return function

        return decorate if method is None else decorate(method)
