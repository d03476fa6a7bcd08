"""What stands for the entity and the event while a condition (``when=``) is traced."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from bettong import _valuetypes as vt
from bettong._checks import check_plain
from bettong._condition import (
    ConditionError,
    Expression,
    Symbol,
    Term,
    refuse,
    terms_of,
)
from bettong._windowspec import WindowSpec, keeps
from bettong.entity import EntityMeta, entity_info
from bettong.event import event_info
from bettong.records import record_info

_TYPES = {"int": "number", "float": "number", "bool": "bool", "text": "text"}
_SCALARS = "int, float, bool and str, and of these | None"
_ALWAYS = ("count", "start", "end")
_ESTIMATES = ("distinct", "quantile")
# By what a window must keep.
_KEPT = {
    "sum": "sum", "mean": "sum", "min": "min", "max": "max", "first": "first", "last": "last",
    "variance": "variance",
}  # fmt: skip


def trace(
    cls: EntityMeta,
    where: str,
    when: Callable[..., object],
    stream: str,
    event: type | None,
) -> list[Term]:
    """What ``when`` answers for any entity of the class and any event, in postfix order.

    Raises TypeError where it does what the engine cannot.
    """
    check_plain(where, when, "when= is a plain function of the entity and the event")
    names = _names(where, when)
    symbols = (
        _Entity(where, names[0], cls),
        _Event(where, names[1], stream, event),
    )
    try:
        answer = when(*symbols)
    except ConditionError:
        raise
    except Exception as error:
        raise TypeError(
            f"{where}: when= raises {type(error).__name__}: {error}; it is called once, when the "
            "app is loaded, with what stands for the entity and the event"
        ) from error
    return terms_of(where, answer)


def _names(where: str, when: Callable[..., object]) -> tuple[str, str]:
    """Of its two parameters, for messages."""
    try:
        signature = inspect.signature(when)
    except (TypeError, ValueError):  # of a builtin
        return "self", "event"
    try:
        signature.bind(None, None)
    except TypeError:
        raise TypeError(f"{where}: when= takes (self, event)") from None
    names = [each.name for each in signature.parameters.values()]
    return (names[0], names[1]) if len(names) > 1 else ("self", "event")


def _unknown(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(names)}" if names else "it has none"


class _Entity(Symbol):
    __slots__ = ("_bettong_class",)

    _bettong_class: EntityMeta

    def __init__(self, where: str, text: str, cls: EntityMeta) -> None:
        super().__init__(where, text, f"the {cls.__name__} itself")
        object.__setattr__(self, "_bettong_class", cls)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        cls, text = self._bettong_class, f"{self!r}.{name}"
        if name == "key":
            return Expression(self._bettong_where, text, "text", False, (Term("key"),))
        fields = {field.name: field.type for field in entity_info(cls).fields}
        if name in fields:
            return self._bettong_field(name, fields[name])
        found = inspect.getattr_static(cls, name, self)
        if found is None or isinstance(found, (bool, int, float, str)):
            return found  # a constant of the class
        if found is self:
            refuse(
                self,
                f"uses {text}, but {cls.__name__} has no such field; "
                f"{_unknown(name, ['key', *fields])}",
            )
        refuse(
            self,
            f"uses {text}, which is no field of {cls.__name__}: a condition runs without Python, and "
            "reads the entity's fields and its key; what it computes may stand in a function outside "
            "of the class, as def hot(w): return w.sum > 5 * w.count",
        )

    def _bettong_field(self, name: str, kind: vt.ValueType) -> Symbol:
        where, text = self._bettong_where, f"{self!r}.{name}"
        if kind.kind in _TYPES:
            term = Term("field", name)
            return Expression(where, text, _TYPES[kind.kind], kind.optional, (term,))
        if kind.window is not None:
            return _Window(where, text, name, kind.window)
        if kind.kind == "record" and kind.cls is not None:
            return _Record(where, text, name, kind.cls)
        refuse(
            self,
            f"uses {text}, which is {kind.text}; of an entity's fields a condition reads {_SCALARS}, "
            "records of them, and windows",
        )


class _Record(Symbol):
    __slots__ = ("_bettong_class", "_bettong_field")

    _bettong_field: str
    _bettong_class: type

    def __init__(self, where: str, text: str, field: str, cls: type) -> None:
        super().__init__(
            where, text, f"a record, of which a condition reads {_SCALARS}"
        )
        object.__setattr__(self, "_bettong_field", field)
        object.__setattr__(self, "_bettong_class", cls)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        text = f"{self!r}.{name}"
        fields = {
            each.name: each.type for each in record_info(self._bettong_class).fields
        }
        if name not in fields:
            refuse(
                self,
                f"uses {text}, but {self._bettong_class.__name__} has no such field; "
                f"{_unknown(name, fields)}",
            )
        if fields[name].kind not in _TYPES:
            refuse(
                self,
                f"uses {text}, which is {fields[name].text}; of a record a condition reads "
                f"{_SCALARS}",
            )
        return Expression(
            self._bettong_where,
            text,
            _TYPES[fields[name].kind],
            False,
            (Term("field", f"{self._bettong_field}.{name}"),),
        )


class _Window(Symbol):
    __slots__ = ("_bettong_field", "_bettong_spec")

    _bettong_field: str
    _bettong_spec: WindowSpec

    def __init__(self, where: str, text: str, field: str, spec: WindowSpec) -> None:
        parts = _parts(spec)
        what = f"a window, of which a condition reads {', '.join(parts)}"
        super().__init__(where, text, what)
        object.__setattr__(self, "_bettong_field", field)
        object.__setattr__(self, "_bettong_spec", spec)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        text, parts = f"{self!r}.{name}", _parts(self._bettong_spec)
        if name == "name":
            return self._bettong_field
        if name in parts:
            return Expression(
                self._bettong_where,
                text,
                "number",
                name not in ("count", "sum"),
                (Term("window", self._bettong_field, name),),
            )
        if name in _KEPT:
            refuse(
                self,
                f"uses {text}, which the window does not keep: name {_KEPT[name]} in its keep=; it "
                f"has {', '.join(parts)}",
            )
        if name in _ESTIMATES:
            refuse(
                self,
                f"uses {text}, an estimate that is worked out only when Python asks for it; of this "
                f"window a condition reads {', '.join(parts)}",
            )
        refuse(
            self,
            f"uses {text}; of this window a condition reads {', '.join(parts)}",
        )


def _parts(spec: WindowSpec) -> list[str]:
    return [*_ALWAYS, *(part for part, kept in _KEPT.items() if keeps(spec, kept))]


class _Event(Symbol):
    __slots__ = ("_bettong_class", "_bettong_stream")

    _bettong_class: type | None
    _bettong_stream: str

    def __init__(self, where: str, text: str, stream: str, cls: type | None) -> None:
        super().__init__(
            where,
            text,
            "the event itself"
            if cls is not None
            else f"a dict, as the events of stream {stream!r} are: a condition reads the fields of "
            "an event class",
        )
        object.__setattr__(self, "_bettong_class", cls)
        object.__setattr__(self, "_bettong_stream", stream)

    def __getattr__(self, name: str) -> Any:
        cls = self._bettong_class
        if name.startswith("__"):
            raise AttributeError(name)
        if cls is None:
            return super().__getattr__(name)
        text, info = f"{self!r}.{name}", event_info(cls)
        index = info.index(name)
        if index is None:
            found = inspect.getattr_static(cls, name, self)
            if found is None or isinstance(found, (bool, int, float, str)):
                return found
            refuse(
                self,
                f"uses {text}, but {cls.__name__} has no such field; "
                f"{_unknown(name, (field.name for field in info.fields))}",
            )
        kind = info.fields[index].type
        if kind.kind not in _TYPES:
            refuse(
                self,
                f"uses {text}, which is {kind.text}; of an event's fields a condition reads {_SCALARS}",
            )
        return Expression(
            self._bettong_where,
            text,
            _TYPES[kind.kind],
            kind.optional,
            (Term("event", index),),
        )
