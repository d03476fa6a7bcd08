"""What the native host reads of functions on streams: those without a key, and pipelines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bettong import pipeline
from bettong import stream as stream_module
from bettong._checks import check_columns, check_plain
from bettong._usage import ALL, fields_read
from bettong.policy import OnError
from bettong.stream import On, Stream

if TYPE_CHECKING:
    from bettong._describe import StreamDescription


@dataclass(slots=True)
class Function:
    """A stream's events are given to it; it has no entity."""

    stream: int
    name: str  # unique; letters, marks of what has been done, and metrics go by it
    function: Callable[[Any], None]
    wanted: int  # bit i: it may read field i of the event
    late: bool
    batch: int  # so many events at once; 0: one
    columns: bool  # as columns, not as a list
    on_error: OnError


class Names:
    """Gives each function a name of its own: in the order of declaration, "f", "f #2", "f #3"."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def unique(self, name: str) -> str:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name} #{count}"


def describe_functions(
    streams: list[StreamDescription], methods: Container[int]
) -> list[Function]:
    """Of all that has been declared; ``methods``: the ids of what entity classes have."""
    names = Names()
    functions: list[Function] = []
    seen: set[int] = set()
    for function in stream_module.decorated:
        if id(function) in methods or id(function) in seen:
            continue
        seen.add(id(function))
        functions += _plain(function, names, streams)
    functions += [_chain(chain, names, streams) for chain in pipeline.chains]
    if pipeline.unended:
        first = next(iter(pipeline.unended.values()))
        raise TypeError(
            f"the pipeline {first.name} goes nowhere; end it with .to(stream)"
        )
    return functions


def place_of(stream: Stream[Any], streams: list[StreamDescription], where: str) -> int:
    for index, described in enumerate(streams):
        if stream.name == described.name and any(
            stream is each for each in described.objects
        ):
            return index
    raise TypeError(f"{where}: {stream!r} belongs to no loaded app")


def _plain(
    function: Callable[..., Any], names: Names, streams: list[StreamDescription]
) -> list[Function]:
    marks: list[tuple[Stream[Any], On]] = getattr(function, "__bettong_on__", [])
    qualified = getattr(function, "__qualname__", pipeline.name_of(function))
    where = f"{function.__module__}.{qualified}"
    keyed = next((stream for stream, on in marks if on.key is not None), None)
    if (
        hasattr(function, "__bettong_command__")
        or "." in qualified.rpartition("<locals>.")[2]
    ):
        raise TypeError(
            f"{where}: handlers and commands are methods of an entity class; a handler without "
            "key is a function of the module"
        )
    if keyed is not None:
        raise TypeError(
            f"{where}: handlers with key= are methods of an entity class; leave it out "
            f"(@{keyed.name}.on()), and the function takes all events, without an entity"
        )
    check_plain(where, function, "a handler is a plain function")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise TypeError(f"{where}: a handler without key takes (event)") from None
    name = names.unique(pipeline.name_of(function))
    taken: set[int] = set()
    functions: list[Function] = []
    for stream, on in marks:
        index = place_of(stream, streams, where)
        if index in taken:
            raise TypeError(f"{where}: takes stream {stream.name!r} twice")
        taken.add(index)
        event = streams[index].event
        if on.columns:
            check_columns(where, stream.name, event)
        wanted = ALL if on.batch else fields_read(function, event, position=0)
        functions.append(
            Function(
                index,
                name,
                function,
                wanted,
                on.late,
                on.batch,
                on.columns,
                on.on_error or "dead-letter",
            )
        )
    return functions


def _chain(
    chain: pipeline.Chain, names: Names, streams: list[StreamDescription]
) -> Function:
    where = f"{chain.name}.to({chain.target.name})"
    index = place_of(chain.source, streams, where)
    place_of(chain.target, streams, where)
    return Function(
        index,
        names.unique(chain.name),
        pipeline.compose(chain.steps, chain.target.emit),
        _wanted(chain, streams[index].event),
        False,
        0,
        False,
        chain.on_error,
    )


def _wanted(chain: pipeline.Chain, event: type | None) -> int:
    """What the steps read of the event, up to the first that puts something else in its place."""
    wanted = 0
    for step in chain.steps:
        wanted |= fields_read(step.function, event, position=0)
        if step.verb != "filter":
            return wanted
    return ALL
