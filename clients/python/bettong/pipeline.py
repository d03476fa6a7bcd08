"""Pipelines: chains of plain functions from one stream to another."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from bettong._checks import check_open
from bettong._runtime import StreamBase
from bettong.policy import check_on_error_of_function

if TYPE_CHECKING:
    from bettong.stream import Stream

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")
M = TypeVar("M", bound=Mapping[str, Any])

Verb = Literal["filter", "map", "flat_map"]


@dataclass(frozen=True, slots=True)
class Step:
    verb: Verb
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """A pipeline that has been ended by ``to``."""

    name: str
    source: Stream[Any]
    target: Stream[Any]
    steps: tuple[Step, ...]
    on_error: Literal["dead-letter", "skip"]


chains: list[Chain] = []
"""Every chain that was declared since the node began to load."""

unended: dict[int, Pipeline[Any]] = {}
"""Pipelines that so far go nowhere, by id; kept here, so that none has the id of another."""


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline(Generic[T]):
    """A stream's events with some functions applied: ``samples.filter(valid).map(to_fahrenheit)``.

    Each step answers a new pipeline; ``to`` ends it, and sends what comes out into a stream.
    """

    _source: Stream[Any]
    _steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """What dead letters and metrics call it: "samples.filter(valid).map(to_fahrenheit)"."""
        steps = (f".{each.verb}({name_of(each.function)})" for each in self._steps)
        return self._source.name + "".join(steps)

    def __repr__(self) -> str:
        return f"<Pipeline {self.name}>"

    def filter(self, function: Callable[[T], object], /) -> Pipeline[T]:
        """Lets those through for which ``function`` answers something true."""
        return self._with("filter", function)

    def map(self, function: Callable[[T], R], /) -> Pipeline[R]:
        """Puts what ``function`` answers in the place of each."""
        return self._with("map", function)

    def flat_map(self, function: Callable[[T], Iterable[R]], /) -> Pipeline[R]:
        """Puts all that ``function`` answers in the place of each: any number, in order.

        A list or a tuple, or what a generator yields.
        """
        return self._with("flat_map", function)

    def _with(self, verb: Verb, function: Callable[[Any], Any]) -> Pipeline[Any]:
        where = f"{self.name}.{verb}()"
        check_open(where)
        _check_step(where, verb, function)
        unended.pop(id(self), None)
        longer: Pipeline[Any] = Pipeline(
            self._source, (*self._steps, Step(verb, function))
        )
        unended[id(longer)] = longer
        return longer

    @overload
    def to(
        self,
        stream: Stream[T],
        /,
        *,
        on_error: Literal["dead-letter", "skip"] | None = None,
    ) -> Stream[T]: ...
    @overload
    def to(
        self: Pipeline[M],
        stream: Stream[S],
        /,
        *,
        on_error: Literal["dead-letter", "skip"] | None = None,
    ) -> Stream[S]: ...
    def to(
        self,
        stream: Stream[Any],
        /,
        *,
        on_error: Literal["dead-letter", "skip"] | None = None,
    ) -> Stream[Any]:
        """Emits what comes out, an event or a dict of its fields, into ``stream``, and answers that.

        An event and all that comes of it are one turn: if a function raises nothing is emitted, and
        the event is dead-lettered, or with ``on_error="skip"`` counted.
        """
        where = f"{self.name}.to()"
        check_open(where)
        if not isinstance(stream, StreamBase):
            raise TypeError(f"{where} takes a stream, not {stream!r}")
        declared = check_on_error_of_function(on_error, where)
        unended.pop(id(self), None)
        chains.append(
            Chain(
                self.name,
                self._source,
                stream,
                self._steps,
                declared or "dead-letter",
            )
        )
        return stream


def begin(source: Stream[Any]) -> Pipeline[Any]:
    """All of the stream's events; not one that has to be ended."""
    return Pipeline(source, ())


def compose(
    steps: tuple[Step, ...], then: Callable[[Any], None]
) -> Callable[[Any], None]:
    """One function that does it all with an event, and gives ``then`` what comes out."""
    for step in reversed(steps):
        then = _COMPOSED[step.verb](step.function, then)
    return then


def name_of(function: object) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _check_step(where: str, verb: Verb, function: object) -> None:
    if not callable(function):
        raise TypeError(f"{where} takes a function of an event, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{where}: {name_of(function)} is async, and must be plain")
    if verb != "flat_map" and inspect.isgeneratorfunction(function):
        raise TypeError(
            f"{where}: {name_of(function)} is a generator; flat_map() takes those"
        )
    if isinstance(function, (types.FunctionType, types.MethodType)):
        try:
            inspect.signature(function).bind(None)
        except TypeError:
            raise TypeError(
                f"{where}: {name_of(function)} must take one argument, the event"
            ) from None


def _filtered(
    function: Callable[[Any], Any], then: Callable[[Any], None]
) -> Callable[[Any], None]:
    def run(value: Any) -> None:
        if function(value):
            then(value)

    return run


def _mapped(
    function: Callable[[Any], Any], then: Callable[[Any], None]
) -> Callable[[Any], None]:
    def run(value: Any) -> None:
        then(function(value))

    return run


def _flat_mapped(
    function: Callable[[Any], Any], then: Callable[[Any], None]
) -> Callable[[Any], None]:
    def run(value: Any) -> None:
        for each in function(value):
            then(each)

    return run


_COMPOSED = {"filter": _filtered, "map": _mapped, "flat_map": _flat_mapped}
