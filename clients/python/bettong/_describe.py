"""What the loaded apps declare, in the form that the native host reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bettong import _functions, pipeline
from bettong import _valuetypes as vt
from bettong import app as app_module
from bettong import stream as stream_module
from bettong._checks import check_columns, check_plain
from bettong._condition import Term
from bettong._fieldref import FieldReference
from bettong._trace import trace
from bettong._usage import ALL, does_nothing, fields_read, sets_timers
from bettong.entity import (
    Entity,
    EntityField,
    EntityInfo,
    EntityMeta,
    entity_info,
    make_stale_class,
)
from bettong.event import Event, event_info
from bettong.policy import OnError, OverLimit, Rate
from bettong.stream import Stream


@dataclass(slots=True)
class StreamDescription:
    name: str
    event: type | None = None
    max_age_ms: int | None = None
    lateness_ms: int | None = None
    late_events: str | None = None
    objects: list[Stream[Any]] = field(default_factory=list)


@dataclass(slots=True)
class Feed:
    """A window that a handler's events are added to before it runs."""

    window: str  # the entity's field
    field: int | None  # of the event; None: events are counted
    scale: int | None


@dataclass(slots=True)
class Handler:
    stream: int
    method: str
    function: Callable[..., None]
    key: str | Callable[..., Any]
    wanted: int  # bit i: the handler may read field i of the event
    late: bool
    batch: int  # so many events at once; 0: one
    columns: bool  # as columns, not as a list
    on_error: OnError
    limit: Rate | None
    over: OverLimit
    has_code: bool  # False: it is never called
    when: list[
        Term
    ]  # in postfix order: what must hold for it to be called; empty: it always is
    feeds: list[Feed] = field(default_factory=list)


@dataclass(slots=True)
class Parameter:
    name: str
    type: vt.ValueType
    required: bool


@dataclass(slots=True)
class Parameters:
    """What a method takes besides self."""

    positional: list[Parameter]
    named: list[Parameter]  # that can be given by name only
    rest: Parameter | None  # *args
    usage: str  # "digits: int, [base: float]", for error messages


@dataclass(slots=True)
class Command:
    name: str
    function: Callable[..., Any]
    create: bool
    parameters: Parameters
    returns: str


@dataclass(slots=True)
class Method:
    """What timers may run, and messages, unless something is unsendable."""

    function: Callable[..., Any]
    parameters: Parameters | None
    unsendable: str  # why it takes no messages, or ""


@dataclass(slots=True)
class EntityDescription:
    cls: EntityMeta
    info: EntityInfo
    stale: type
    handlers: list[Handler]
    commands: list[Command]
    on_create: Callable[..., None] | None
    on_expire: Callable[..., None] | None
    on_close: Callable[..., None] | None
    migrate: Callable[..., dict[str, Any]] | None
    methods: dict[str, Method]
    timers: bool
    on_error: OnError  # of turns that no handler is for


@dataclass(slots=True)
class Description:
    streams: list[StreamDescription]
    entities: list[EntityDescription | None]  # None: known before, and gone
    functions: list[_functions.Function]


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier version declared, in the order that must stay: none of it, at the start."""

    streams: list[str]
    classes: list[str]
    timers: frozenset[str]  # classes with timers


NOTHING = Known([], [], frozenset())


def reset() -> None:
    """Forgets apps of an earlier load."""
    app_module.declared.clear()
    stream_module.decorated.clear()
    pipeline.chains.clear()
    pipeline.unended.clear()


def declared_count() -> int:
    """How much has been declared since reset(): it grows with every declaration."""
    return sum(
        1 + len(app.streams) + len(app.entities) + len(app.bases)
        for app in app_module.declared
    )


def describe(known: Known = NOTHING) -> Description:
    """Everything that was declared since reset(); raises where it does not fit together.

    Known streams and classes come first, in their order, those that are gone included.
    """
    streams = _streams(known.streams)
    entities: list[EntityDescription] = []
    names: dict[str, EntityMeta] = {}
    prefixes: dict[str, EntityMeta] = {}
    for app in app_module.declared:
        for cls in app.entities:
            info = entity_info(cls)
            entity = _entity(cls, streams)
            # Timers that are set must not be lost with the last line that sets one.
            entity.timers |= info.name in known.timers
            entities.append(entity)
            other = names.setdefault(info.name, cls)
            if other is not cls:
                raise TypeError(
                    f"two entity classes have the name {info.name!r}: "
                    f"{entity_info(other).place} and {info.place}"
                )
            prefix = info.prefix
            if prefix in prefixes:
                raise TypeError(
                    f"two entity classes have the prefix {prefix!r}: "
                    f"{_full_name(prefixes[prefix])} and {_full_name(cls)}"
                )
            prefixes[prefix] = cls
    functions = _functions.describe_functions(streams, _methods_of(entities))
    return Description(streams, _in_places(entities, known.classes), functions)


def _in_places(
    entities: list[EntityDescription], known: list[str]
) -> list[EntityDescription | None]:
    by_name = {entity.info.name: entity for entity in entities}
    old: list[EntityDescription | None] = [by_name.get(name) for name in known]
    return old + [each for each in entities if each.info.name not in known]


def _methods_of(entities: list[EntityDescription]) -> set[int]:
    """The ids of all that entity classes have, what decorators have wrapped included."""
    methods = set()
    for entity in entities:
        for base in entity.cls.__mro__:
            for value in vars(base).values():
                if isinstance(value, (staticmethod, classmethod)):
                    continue  # no handler can be one
                method: object = value
                while method is not None and id(method) not in methods:
                    methods.add(id(method))
                    method = getattr(method, "__wrapped__", None)
    bases = {base for app in app_module.declared for base in app.bases}
    for base in bases:
        methods |= {id(value) for value in vars(base).values()}
    return methods


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


# What apps may say of a stream, each in one way, with its unit.
_STREAM_OPTIONS = {"max_age_ms": " ms", "lateness_ms": " ms", "late_events": ""}


def _streams(known_names: list[str]) -> list[StreamDescription]:
    streams = {name: StreamDescription(name) for name in known_names}
    for app in app_module.declared:
        for name, stream in app.streams.items():
            known = streams.setdefault(name, StreamDescription(name))
            if stream.event is not None:
                if known.event is not None and known.event is not stream.event:
                    raise TypeError(
                        f"stream {name!r} has two event classes: "
                        f"{_full_name(known.event)} and {_full_name(stream.event)}"
                    )
                known.event = stream.event
            for option, unit in _STREAM_OPTIONS.items():
                value = getattr(stream, option)
                if value is None:
                    continue
                if getattr(known, option) not in (None, value):
                    raise TypeError(
                        f"stream {name!r} has two values of {option.removesuffix('_ms')}: "
                        f"{getattr(known, option)}{unit} and {value}{unit}"
                    )
                setattr(known, option, value)
            known.objects.append(stream)
    return list(streams.values())


def _entity(cls: EntityMeta, streams: list[StreamDescription]) -> EntityDescription:
    info = entity_info(cls)
    handlers: list[Handler] = []
    commands: list[Command] = []
    for name, function in _methods(cls).items():
        for stream, on in getattr(function, "__bettong_on__", ()):
            where = f"{cls.__name__}.{name}"
            place = _functions.place_of(stream, streams, where)
            if on.key is None:
                raise TypeError(
                    f"{where}: a method takes the events of an entity, by key= "
                    f'(@{stream.name}.on(key="...")); what has no key is a function outside of '
                    "the class"
                )
            _check_handler(cls, name, function, streams[place])
            method = getattr(cls, name)
            event = streams[place].event
            if on.columns:
                check_columns(where, stream.name, event)
            handlers.append(
                Handler(
                    place,
                    name,
                    method,
                    on.key,
                    ALL if on.batch else fields_read(method, event),
                    on.late,
                    on.batch,
                    on.columns,
                    on.on_error or info.on_error or "dead-letter",
                    on.limit,
                    on.over,
                    event is None or not does_nothing(method),
                    []
                    if on.when is None
                    else trace(cls, where, on.when, stream.name, event),
                )
            )
        if hasattr(function, "__bettong_command__"):
            commands.append(_command(cls, name, function))
    for each in info.fields:
        _feed(cls, each, handlers, streams)
    methods = _plain_methods(cls)
    on_close = _life_method(cls, "on_close")
    return EntityDescription(
        cls,
        replace(info, fields=tuple(_settle(each, on_close) for each in info.fields)),
        make_stale_class(cls),
        handlers,
        commands,
        _life_method(cls, "on_create"),
        _life_method(cls, "on_expire"),
        on_close,
        _migrate(cls),
        {name: _method(cls, method) for name, method in methods.items()},
        sets_timers(methods.values()) if info.timers is None else info.timers,
        info.on_error or "dead-letter",
    )


def _feed(
    cls: EntityMeta,
    window: EntityField,
    handlers: list[Handler],
    streams: list[StreamDescription],
) -> None:
    """Notes with the handlers what they add to the window.

    Late handlers have what others do not take, so they add nothing. Of several that take one stream
    by one key, which would each have the event, the first does.
    """
    spec = window.type.window
    if spec is None or spec.of is None:
        return
    name = spec.of.name if isinstance(spec.of, FieldReference) else None
    wanted = spec.of.event if isinstance(spec.of, FieldReference) else spec.of
    fed: list[tuple[int, object]] = []
    for handler in handlers:
        event = streams[handler.stream].event
        takes = event is not None and issubclass(event, wanted) and not handler.late
        if event is None or not takes or (handler.stream, handler.key) in fed:
            continue
        fed.append((handler.stream, handler.key))
        index = None if name is None else event_info(event).index(name)
        handler.feeds.append(Feed(window.name, index, spec.scale))
    if not fed:
        of = spec.of if name is not None else wanted.__name__
        raise TypeError(
            f"{cls.__name__}.{window.name}: of={of}, but no handler of {cls.__name__} takes "
            f'{wanted.__name__} events (@stream.on(key="..."))'
        )


def _settle(field: EntityField, on_close: object) -> EntityField:
    """Windows wait for the watermark only where somebody is told when they close; sessions must."""
    spec = field.type.window
    if spec is None or spec.kind == "session":
        return field
    spec = replace(spec, closes=spec.closes and on_close is not None)
    return replace(field, type=replace(field.type, window=spec))


def _plain_methods(cls: EntityMeta) -> dict[str, Callable[..., None]]:
    """Functions of the class and its bases, by name."""
    methods: dict[str, Callable[..., None]] = {}
    for base in reversed(cls.__mro__):
        if base in Entity.__mro__:
            continue
        for name, value in vars(base).items():
            if inspect.isfunction(value) and not name.startswith("__"):
                methods[name] = getattr(cls, name)
    return methods


def _life_method(cls: EntityMeta, name: str) -> Callable[..., None] | None:
    method: Callable[..., None] = getattr(cls, name)
    if method is getattr(Entity, name):
        return None
    check_plain(f"{cls.__name__}.{name}", method, f"{name} is a plain method")
    return method


def _migrate(cls: EntityMeta) -> Callable[..., dict[str, Any]] | None:
    for base in cls.__mro__:
        if "migrate" not in vars(base):
            continue
        method = vars(base)["migrate"]
        # A handler or a command may have the name, too.
        marked = hasattr(method, "__bettong_on__") or hasattr(
            method, "__bettong_command__"
        )
        if not isinstance(method, classmethod):
            if marked:
                return None
            raise TypeError(
                f"{cls.__name__}.migrate makes new fields of old ones: @classmethod def "
                "migrate(cls, old)"
            )
        bound: Callable[..., dict[str, Any]] = getattr(cls, "migrate")  # noqa: B009
        return bound
    return None


def _methods(cls: EntityMeta) -> dict[str, Any]:
    """Handlers and commands by name: base classes first, overrides in place."""
    methods: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if hasattr(value, "__bettong_on__") or hasattr(
                value, "__bettong_command__"
            ):
                methods[name] = value
            elif name in methods:  # an override without decorator keeps the declaration
                for mark in ("__bettong_on__", "__bettong_command__"):
                    if hasattr(methods[name], mark):
                        setattr(value, mark, getattr(methods[name], mark))
                methods[name] = value
    return methods


def _check_handler(
    cls: EntityMeta, name: str, function: Callable[..., None], stream: StreamDescription
) -> None:
    where = f"{cls.__name__}.{name}"
    check_plain(where, function, "a handler is a plain method")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise TypeError(f"{where}: a handler takes (self, event)") from None
    timed = stream.event is not None and event_info(stream.event).time_index is not None
    if entity_info(cls).clock == "event" and not timed:
        raise TypeError(
            f'{where}: {cls.__name__} has clock="event", but the events of stream '
            f'{stream.name!r} carry no time (class Sample(Event, time="ts"))'
        )


def _command(cls: EntityMeta, name: str, function: Callable[..., Any]) -> Command:
    where = f"{cls.__name__}.{name}"
    check_plain(where, function, "a command is a plain method")
    parameters = _parameters(cls, where, function, vt.ValueType("text", "str"), "CALL")
    for parameter in parameters.named:
        if parameter.required:
            raise TypeError(f"{where}: CALL cannot pass the keyword {parameter.name}")
    parameters = Parameters(
        parameters.positional,
        [],
        parameters.rest,
        _takes(parameters.positional, parameters.rest),
    )
    returns = inspect.signature(function).return_annotation
    return Command(
        name,
        function,
        function.__bettong_command__,  # type: ignore[attr-defined]
        parameters,
        "" if returns is inspect.Signature.empty else _annotation_text(returns),
    )


def _method(cls: EntityMeta, function: Callable[..., Any]) -> Method:
    where = f"{cls.__name__}.{function.__name__}"
    try:
        check_plain(where, function, "what a message runs is a plain method")
        parameters = _parameters(
            cls, where, function, vt.ValueType("any", "Any"), "a message"
        )
    except (TypeError, ValueError) as error:
        return Method(function, None, str(error))
    return Method(function, parameters, "")


def _parameters(
    cls: EntityMeta,
    where: str,
    function: Callable[..., Any],
    unannotated: vt.ValueType,
    caller: str,
) -> Parameters:
    signature = inspect.signature(function)
    scope = getattr(function, "__globals__", {})
    positional: list[Parameter] = []
    named: list[Parameter] = []
    rest: Parameter | None = None
    for position, parameter in enumerate(signature.parameters.values()):
        if position == 0:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            raise TypeError(f"{where}: {caller} cannot pass **{parameter.name}")
        annotation = parameter.annotation
        kind = unannotated
        try:
            if annotation is not parameter.empty:
                annotation = vt.resolve(annotation, cls.__module__, scope)
                kind = vt.json_value_type(annotation, Event)
        except vt.UnsupportedAnnotation as error:
            raise TypeError(f"{where}: argument {parameter.name}: {error}") from None
        required = parameter.default is parameter.empty
        described = Parameter(parameter.name, kind, required)
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = described
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named.append(described)
        else:
            positional.append(described)
    if not signature.parameters:
        raise TypeError(f"{where}: a method takes self")
    return Parameters(positional, named, rest, _takes(positional + named, rest))


def _annotation_text(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else vt.spell(annotation)


def _takes(parameters: list[Parameter], rest: Parameter | None) -> str:
    """What a command takes, in words: "(digits: int, [base: float], values: int...)"."""
    parts = []
    for parameter in parameters:
        text = f"{parameter.name}: {parameter.type.text}"
        parts.append(text if parameter.required else f"[{text}]")
    if rest is not None:
        parts.append(f"[{rest.name}: {rest.type.text} ...]")
    return ", ".join(parts) or "no arguments"
