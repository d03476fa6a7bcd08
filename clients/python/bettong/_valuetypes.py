"""Annotations, understood: the types that fields, events and command arguments may have."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from bettong._collectionspec import CollectionAnnotation, CollectionSpec
from bettong._windowspec import WindowAnnotation, WindowSpec

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
ARRAY_ELEMENTS_MAX = 4096

SCALARS: dict[object, str] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "text",
    bytes: "bytes",
}


class UnsupportedAnnotation(TypeError):
    """An annotation that has no native type. The message lacks the class and field."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What ``Array[int, 5]`` evaluates to."""

    item: type
    size: int

    def __repr__(self) -> str:
        return f"Array[{self.item.__name__}, {self.size}]"


@dataclass(frozen=True, slots=True)
class ValueType:
    """One annotation.

    ``kind`` is int, float, bool, text, bytes, list, dict, event, any, array, window,
    collection or record. The native host reads these objects too: names are part of that contract.
    """

    kind: str
    text: str
    optional: bool = False
    item: ValueType | None = None  # of list and dict
    cls: type | None = None  # of event and record; the element type of array and window
    size: int = 0  # of array
    window: WindowSpec | None = None  # of window
    collection: CollectionSpec | None = None  # of collection


def spell(annotation: object) -> str:
    """An annotation as a user would write it."""
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def resolve(annotation: object, module: str, names: Mapping[str, Any]) -> object:
    """Evaluates a string annotation where the class was written; others are returned as is."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    scope = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return resolve(eval(annotation, dict(scope), dict(names)), module, names)
    except Exception as error:  # noqa: BLE001
        raise UnsupportedAnnotation(
            f"the annotation {annotation!r} cannot be resolved: {error}"
        ) from None


def is_class_var(annotation: object) -> bool:
    return ClassVar in (annotation, get_origin(annotation))


def split_optional(annotation: object) -> tuple[object, bool]:
    """``X | None`` gives (X, True), anything else (itself, False)."""
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) > 1:
            raise UnsupportedAnnotation(
                f"only X | None is supported, not a wider union: {spell(annotation)}"
            )
        return parts[0], True
    return annotation, False


def make_array_spec(parameters: object) -> ArraySpec:
    """``Array[item, size]``; the size may be spelled ``Literal[5]`` for type checkers."""
    if not isinstance(parameters, tuple) or len(parameters) != 2:
        raise TypeError("Array needs an element type and a size: Array[int, 5]")
    item, size = parameters
    origin: object = get_origin(size)
    if origin is Literal:
        (size,) = get_args(size)
    if item is not int and item is not float:
        raise TypeError(f"Array holds int or float, not {spell(item)}")
    if (
        not isinstance(size, int)
        or isinstance(size, bool)
        or not 1 <= size <= ARRAY_ELEMENTS_MAX
    ):
        raise TypeError(
            f"the size of an Array is 1 to {ARRAY_ELEMENTS_MAX}, not {size!r}"
        )
    return ArraySpec(item, size)


def entity_field_type(annotation: object) -> ValueType:
    """The native type of an entity's field, or UnsupportedAnnotation."""
    inner, optional = split_optional(annotation)
    if isinstance(inner, ArraySpec):
        if optional:
            raise UnsupportedAnnotation("an Array cannot be optional")
        kind = "array"
        return ValueType(kind, repr(inner), cls=inner.item, size=inner.size)
    window = inner if isinstance(inner, WindowAnnotation) else None
    if isinstance(inner, type):
        window = getattr(inner, "__bettong_window__", None)
    if window is not None:
        if optional:
            raise UnsupportedAnnotation("a window cannot be optional")
        return ValueType("window", repr(window), cls=window.item)
    if isinstance(inner, type) and hasattr(inner, "__bettong_record__"):
        if optional:
            raise UnsupportedAnnotation("a record cannot be optional")
        return ValueType("record", spell(annotation), cls=inner)
    if collection_annotation(inner) is not None:
        if optional:
            raise UnsupportedAnnotation("a collection cannot be optional")
        return ValueType("collection", repr(collection_annotation(inner)))
    if isinstance(inner, type) and inner in SCALARS:
        return ValueType(SCALARS[inner], spell(annotation), optional)
    raise UnsupportedAnnotation(
        f"{spell(annotation)} has no native type; an entity's fields are int, float, bool, str, "
        "bytes, one of these | None, Array[int, N], Array[float, N], Ring, List, Map, Set, Counter, "
        "Sliding, Tumbling or a Record class"
    )


def collection_annotation(annotation: object) -> CollectionAnnotation | None:
    """What ``List[str]``, ``Counter`` and a bare ``List`` say; None of anything else."""
    if isinstance(annotation, CollectionAnnotation):
        return annotation
    if isinstance(annotation, type):
        found = getattr(annotation, "__bettong_collection__", None)
        return found if isinstance(found, CollectionAnnotation) else None
    return None


def json_value_type(annotation: object, event_base: type) -> ValueType:
    """The type of an event's field or a command's argument, or UnsupportedAnnotation."""
    if annotation is Any or annotation is object:
        return ValueType("any", "Any")
    inner, optional = split_optional(annotation)
    text = spell(annotation)
    origin = get_origin(inner) or inner
    if origin is list:
        args = get_args(inner)
        item = json_value_type(args[0], event_base) if args else ValueType("any", "Any")
        return ValueType("list", text, optional, item)
    if origin is dict:
        args = get_args(inner)
        if args and args[0] is not str:
            raise UnsupportedAnnotation(f"the keys of a dict are str in JSON: {text}")
        item = json_value_type(args[1], event_base) if args else ValueType("any", "Any")
        return ValueType("dict", text, optional, item)
    if isinstance(inner, type):
        if inner in SCALARS:
            return ValueType(SCALARS[inner], text, optional)
        if issubclass(inner, event_base) and inner is not event_base:
            return ValueType("event", text, optional, cls=inner)
    raise UnsupportedAnnotation(
        f"{text} is not supported; use int, float, bool, str, bytes, list[...], dict[str, ...], "
        "an Event class, one of these | None, or Any"
    )


def check_default(value: object, kind: ValueType) -> str | None:
    """None if ``value`` may be a default of ``kind``, else what is wrong with it."""
    if value is None:
        return (
            None
            if kind.optional or kind.kind == "any"
            else f"must be {kind.text}, not None"
        )
    accepted: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
        "text": (str,),
        "bytes": (bytes,),
        "list": (list,),
        "dict": (dict,),
    }
    if kind.kind in accepted and not isinstance(value, accepted[kind.kind]):
        return f"must be {kind.text}, not {type(value).__name__}"
    if kind.kind in ("int", "float") and isinstance(value, bool):
        return f"must be {kind.text}, not bool"
    if (
        kind.kind == "int"
        and isinstance(value, int)
        and not INT_MIN <= value <= INT_MAX
    ):
        return f"does not fit into 64 bits: {value}"
    if (
        kind.kind == "event"
        and kind.cls is not None
        and not isinstance(value, kind.cls)
    ):
        return f"must be {kind.text}, not {type(value).__name__}"
    return None
