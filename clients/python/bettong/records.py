"""Records: a few scalars that belong together, as a field of an entity or an element of a collection."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, dataclass_transform

from bettong import _valuetypes as vt

FIELDS_MAX = 64
_SCALARS = ("int", "float", "bool", "text", "bytes")
_ZEROS: dict[str, object] = {
    "int": 0, "float": 0.0, "bool": False, "text": "", "bytes": b"",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordField:
    """One scalar of a record; read by the native host."""

    name: str
    type: vt.ValueType
    required: bool
    default: object  # zero where it is required


@dataclass(frozen=True, slots=True)
class RecordInfo:
    """What the native host knows of a record class.

    ``element`` is the class of what a collection gives: copies that cannot be changed.
    """

    name: str
    fields: tuple[RecordField, ...]
    element: type


_Meta = TypeVar("_Meta", bound="RecordMeta")


@dataclass_transform()
class RecordMeta(type):
    """Turns annotations into slots and a constructor."""

    def __new__(
        mcls: type[_Meta],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
    ) -> _Meta:
        if not any(isinstance(base, RecordMeta) for base in bases):
            return super().__new__(mcls, name, bases, {**namespace, "__slots__": ()})
        if len(bases) > 1 or any("__bettong_record__" in vars(base) for base in bases):
            raise TypeError(f"{name}: a record derives from Record alone")
        frame = sys._getframe(1)
        fields = _own_fields(name, namespace, {**frame.f_locals, **namespace})
        names = {field.name: field for field in fields}
        body = {key: value for key, value in namespace.items() if key not in names}
        body["__slots__"] = tuple(names)
        body["__match_args__"] = tuple(names)
        body["__bettong_known__"] = dict.fromkeys(names, True)
        if "__init__" not in body:
            body["__init__"] = _make_init(
                fields, body["__qualname__"], body["__module__"]
            )
        cls = super().__new__(mcls, name, bases, body)
        element = type.__new__(
            mcls,
            name,
            (cls,),
            {
                "__slots__": (),
                "__module__": body["__module__"],
                "__qualname__": body["__qualname__"],
                "__setattr__": _refuse_change,
                "__delattr__": _refuse_change,
            },
        )
        cls.__bettong_record__ = RecordInfo(name, tuple(fields), element)  # type: ignore[attr-defined]
        return cls

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
    ) -> None:
        super().__init__(name, bases, namespace)


class Record(metaclass=RecordMeta):
    """Base of record classes: ``class Point(Record): x: float; y: float``.

    Annotated fields are int (64 bits), float, bool, str or bytes; what has no default must be given
    to the constructor. As a field of an entity (``pos: Point``) it begins with the defaults, or
    zeros, its attributes can be assigned, and only those that change are logged. Elements of a
    collection (``path: List[Point]``) are copies: assign them as a whole.
    """

    def __repr__(self) -> str:
        values = ", ".join(
            f"{field.name}={getattr(self, field.name, None)!r}"
            for field in record_info(type(self)).fields
        )
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        info = record_info(type(self))
        if not isinstance(other, Record) or record_info(type(other)) is not info:
            return NotImplemented
        return all(
            getattr(self, field.name, None) == getattr(other, field.name, None)
            for field in info.fields
        )

    __hash__ = None  # type: ignore[assignment]


def record_info(cls: type) -> RecordInfo:
    """Of a record class; an AttributeError of any other."""
    info: RecordInfo = cls.__bettong_record__  # type: ignore[attr-defined]
    return info


def is_record(annotation: object) -> bool:
    return isinstance(annotation, RecordMeta) and annotation is not Record


def _refuse_change(self: object, name: str, *_: object) -> NoReturn:
    raise TypeError(
        f"this {type(self).__name__} is a copy of a collection's element: assign a new "
        f"{type(self).__name__}(...) to the element instead of its {name}"
    )


def _own_fields(
    name: str, namespace: dict[str, Any], scope: dict[str, Any]
) -> list[RecordField]:
    if "__slots__" in namespace:
        raise TypeError(f"{name}: __slots__ are made from the annotations")
    fields: list[RecordField] = []
    for field, annotation in namespace.get("__annotations__", {}).items():
        try:
            annotation = vt.resolve(annotation, namespace["__module__"], scope)
            if vt.is_class_var(annotation):
                continue
            kind = vt.entity_field_type(annotation)
        except vt.UnsupportedAnnotation as error:
            raise TypeError(f"{name}.{field}: {error}") from None
        if kind.kind not in _SCALARS or kind.optional:
            raise TypeError(
                f"{name}.{field}: a record holds int, float, bool, str or bytes, not {kind.text}"
            )
        required = field not in namespace
        default = _ZEROS[kind.kind] if required else namespace[field]
        if wrong := vt.check_default(default, kind):
            raise TypeError(f"{name}.{field}: the default {wrong}")
        if required and fields and not fields[-1].required:
            raise TypeError(
                f"{name}.{field}: a field without a default comes behind one that has it"
            )
        fields.append(RecordField(field, kind, required, default))
    if not 1 <= len(fields) <= FIELDS_MAX:
        raise TypeError(
            f"{name}: a record has 1 to {FIELDS_MAX} fields, not {len(fields)}"
        )
    return fields


def _make_init(fields: list[RecordField], qualname: str, module: str) -> object:
    """A constructor, compiled as dataclasses do; it sets slots that an element class refuses to."""
    arguments = [
        field.name if field.required else f"{field.name}=_default{i}"
        for i, field in enumerate(fields)
    ]
    scope: dict[str, Any] = {f"_default{i}": f.default for i, f in enumerate(fields)}
    lines = [f"    _self.{field.name} = {field.name}" for field in fields]
    source = f"def __init__(_self, {', '.join(arguments)}):\n" + "\n".join(lines)
    exec(source, scope)  # noqa: S102
    init = scope["__init__"]
    init.__qualname__ = f"{qualname}.__init__"
    init.__module__ = module
    return init
