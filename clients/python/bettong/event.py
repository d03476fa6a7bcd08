"""Event classes: the typed shape of what flows through a stream."""

from __future__ import annotations

import difflib
import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from bettong import _valuetypes as vt
from bettong._fieldref import FieldReference
from bettong._json import to_json

FIELDS_MAX = 64


@dataclass(frozen=True, slots=True)
class EventField:
    """One declared field; read by the native host."""

    name: str
    type: vt.ValueType
    required: bool
    default: object
    default_json: str


@dataclass(frozen=True, slots=True)
class EventInfo:
    """What the native host knows of an event class."""

    name: str
    fields: tuple[EventField, ...]
    time_index: int | None

    def index(self, name: str) -> int | None:
        return next(
            (i for i, field in enumerate(self.fields) if field.name == name), None
        )


def event_info(cls: type) -> EventInfo:
    info: EventInfo = vars(cls)["__bettong_event__"]
    return info


_Meta = TypeVar("_Meta", bound="EventMeta")


@dataclass_transform(kw_only_default=True)
class EventMeta(type):
    """Turns annotations into slots, a constructor and an EventInfo."""

    def __new__(
        mcls: type[_Meta],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        time: str | None = None,
    ) -> _Meta:
        if not any(isinstance(base, EventMeta) for base in bases):
            return super().__new__(mcls, name, bases, {**namespace, "__slots__": ()})
        frame = sys._getframe(1)
        scope = {**frame.f_locals, **namespace}
        inherited = _inherited(name, bases)
        own = _own_fields(name, namespace, scope)
        fields = {field.name: field for base in inherited for field in base.fields}
        slots = tuple(field for field in own if field not in fields)
        for field in own.values():
            if field.name in fields and fields[field.name].type.kind != field.type.kind:
                raise TypeError(
                    f"{name}.{field.name}: a base class declares it with another type"
                )
            fields[field.name] = field
        if len(fields) > FIELDS_MAX:
            raise TypeError(
                f"{name}: an event has at most {FIELDS_MAX} fields, not {len(fields)}"
            )
        info = EventInfo(
            name,
            tuple(fields.values()),
            _time_index(name, time, tuple(fields.values()), inherited),
        )
        body = {key: value for key, value in namespace.items() if key not in own}
        body["__slots__"] = slots
        body["__bettong_event__"] = info
        body["__bettong_known__"] = {
            field.name: field.required for field in info.fields
        }
        if "__init__" not in body:
            body["__init__"] = _make_init(
                info, body["__qualname__"], namespace["__module__"]
            )
        return super().__new__(mcls, name, bases, body)

    def __init__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        time: str | None = None,
    ) -> None:
        super().__init__(name, bases, namespace)

    if not TYPE_CHECKING:  # to type checkers a field is what it is annotated as
        # Read off the class, as in ``of=Sample.value``, a field is a reference to it. Instances do
        # not come here.
        def __getattribute__(cls, name: str) -> object:
            found = type.__getattribute__(cls, name)
            if type(found) is not types.MemberDescriptorType:
                return found
            info = event_info(cls)
            index = info.index(name)
            if index is None:
                return found
            return FieldReference(cls, name, info.fields[index].type)

        def __getattr__(cls, name: str) -> object:
            info = vars(cls).get("__bettong_event__")
            names = [] if info is None else [field.name for field in info.fields]
            near = difflib.get_close_matches(name, names, 1)
            raise AttributeError(
                f"{cls.__name__} has no field {name!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                name=name,
                obj=cls,
            )


class Event(metaclass=EventMeta):
    """Base of event classes: ``class Sample(Event, time="ts")``.

    Annotated fields are decoded from JSON outside of the interpreter: int (64 bits), float, bool,
    str, bytes, list[...], dict[str, ...], other Event classes, one of these ``| None``, or Any.
    Unknown JSON fields are ignored; a missing one takes its default, or sends the event to the
    dead letters. ``time`` names the int field that holds the event time in ms since the epoch.
    """

    def __repr__(self) -> str:
        values = ", ".join(
            f"{field.name}={getattr(self, field.name, None)!r}"
            for field in event_info(type(self)).fields
        )
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            getattr(self, field.name, None) == getattr(other, field.name, None)
            for field in event_info(type(self)).fields
        )

    __hash__ = None  # type: ignore[assignment]


def _inherited(name: str, bases: tuple[type, ...]) -> list[EventInfo]:
    if len(bases) > 1:
        raise TypeError(f"{name}: an event class has one base class")
    return [event_info(base) for base in bases if "__bettong_event__" in vars(base)]


def _own_fields(
    name: str, namespace: dict[str, Any], scope: dict[str, Any]
) -> dict[str, EventField]:
    if "__slots__" in namespace:
        raise TypeError(f"{name}: __slots__ are made from the annotations")
    fields: dict[str, EventField] = {}
    for field, annotation in namespace.get("__annotations__", {}).items():
        try:
            annotation = vt.resolve(annotation, namespace["__module__"], scope)
            if vt.is_class_var(annotation):
                continue
            kind = vt.json_value_type(annotation, Event)
        except vt.UnsupportedAnnotation as error:
            raise TypeError(f"{name}.{field}: {error}") from None
        if field not in namespace:
            fields[field] = EventField(field, kind, True, None, "")
            continue
        default = namespace[field]
        if wrong := vt.check_default(default, kind):
            raise TypeError(f"{name}.{field}: the default {wrong}")
        try:
            fields[field] = EventField(field, kind, False, default, to_json(default))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name}.{field}: the default is not JSON: {error}"
            ) from None
    return fields


def _time_index(
    name: str,
    time: str | None,
    fields: tuple[EventField, ...],
    inherited: list[EventInfo],
) -> int | None:
    if time is None:
        return next(
            (info.time_index for info in inherited if info.time_index is not None), None
        )
    for index, field in enumerate(fields):
        if field.name == time:
            if field.type.kind != "int" or field.type.optional:
                raise TypeError(
                    f"{name}: the time field {time!r} must be int (ms since the epoch)"
                )
            return index
    raise TypeError(f"{name}: time={time!r} names no field")


def _make_init(info: EventInfo, qualname: str, module: str) -> object:
    """A constructor with keyword arguments, compiled as dataclasses do."""
    scope: dict[str, Any] = {"_copy": _copy_default}
    arguments, lines = [], []
    for i, field in enumerate(info.fields):
        if field.required:
            arguments.append(field.name)
        else:
            scope[f"_default{i}"] = field.default
            arguments.append(f"{field.name}=_default{i}")
        value = field.name
        if isinstance(field.default, (list, dict)):
            value = (
                f"_copy(_default{i}) if {field.name} is _default{i} else {field.name}"
            )
        lines.append(f"    _self.{field.name} = {value}")
    star = ", *, " if arguments else ""
    source = f"def __init__(_self{star}{', '.join(arguments)}):\n" + (
        "\n".join(lines) or "    pass"
    )
    exec(source, scope)  # noqa: S102
    init = scope["__init__"]
    init.__qualname__ = f"{qualname}.__init__"
    init.__module__ = module
    return init


def _copy_default(default: list[Any] | dict[str, Any]) -> object:
    return default.copy()
