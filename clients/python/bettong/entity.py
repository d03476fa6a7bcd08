"""Entity classes: state of one key with the code that changes it."""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from bettong import _valuetypes as vt
from bettong._runtime import EntityBase
from bettong._windowspec import WindowSpec
from bettong.durations import Duration, to_ms
from bettong.errors import OutsideTurnError, StaleEntityError
from bettong.policy import OnError, check_on_error
from bettong.records import record_info

if TYPE_CHECKING:
    from bettong.app import App
    from bettong.windows import Window

FIELDS_MAX = 512
_RESERVED = frozenset(
    {
        "key",
        "now",
        "ttl",
        "touch",
        "delete",
        "after",
        "at",
        "cancel",
        "timers",
        "on_create",
        "on_expire",
        "on_close",
    }
)
_KEYWORDS = ("ttl", "clock", "prefix", "timers", "on_error", "app", "abstract")


@dataclass(frozen=True, slots=True)
class EntityField:
    """One native field; read by the native host."""

    name: str
    type: vt.ValueType
    default: object


@dataclass(frozen=True, slots=True)
class EntityInfo:
    """What the native host knows of an entity class."""

    name: str
    prefix: str
    ttl_ms: int | None
    clock: str
    abstract: bool
    app: App | None
    fields: tuple[EntityField, ...]
    place: str  # of its declaration, "/path/app.py:12"
    timers: bool | None = None  # None: as its methods look
    on_error: OnError | None = None  # of turns whose handler says nothing


_Meta = TypeVar("_Meta", bound="EntityMeta")
_E = TypeVar("_E", bound="Entity")


class EntityMeta(type):
    """Turns annotations into native fields; registers the class with its app."""

    __bettong_entity__: EntityInfo

    def __new__(
        mcls: type[_Meta],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        ttl: Duration | None = None,
        clock: Literal["event", "wall"] | None = None,
        prefix: str | None = None,
        timers: bool | None = None,
        on_error: OnError | None = None,
        app: App | None = None,
        abstract: bool = False,
        **unknown: object,
    ) -> _Meta:
        if not any(isinstance(base, EntityMeta) for base in bases):
            return super().__new__(mcls, name, bases, {**namespace, "__slots__": ()})
        _refuse_unknown(name, unknown)
        parent = _parent(name, bases)
        _check_namespace(name, namespace)
        declaration = sys._getframe(1)
        scope = {**declaration.f_locals, **namespace}
        own = _own_fields(name, namespace, scope)
        fields = {field.name: field for field in (parent.fields if parent else ())}
        slots = tuple(field for field in own if field not in fields)
        for field in own.values():
            if field.name in fields and fields[field.name].type != field.type:
                raise TypeError(
                    f"{name}.{field.name}: a base class declares it with another type"
                )
            fields[field.name] = field
        if len(fields) > FIELDS_MAX:
            raise TypeError(
                f"{name}: an entity has at most {FIELDS_MAX} fields, not {len(fields)}"
            )
        info = EntityInfo(
            name,
            _check_prefix(name, snake_case(name) if prefix is None else prefix),
            _ttl_ms(name, ttl, parent),
            _check_clock(name, clock, parent),
            abstract,
            app or (parent.app if parent else None),
            tuple(fields.values()),
            f"{declaration.f_code.co_filename}:{declaration.f_lineno}",
            timers if timers is not None or parent is None else parent.timers,
            check_on_error(on_error, name) or (parent.on_error if parent else None),
        )
        if info.app is None and not abstract:
            raise TypeError(
                f"{name}: derive from app.Entity, or say app=... in the class's header"
            )
        body = {key: value for key, value in namespace.items() if key not in own}
        body["__slots__"] = slots
        body["__bettong_entity__"] = info
        cls = super().__new__(mcls, name, bases, body)
        if info.app is not None:
            (info.app.bases if abstract else info.app.entities).append(cls)
        return cls

    def __init__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        **_keywords: object,
    ) -> None:
        super().__init__(name, bases, namespace)

    def __getitem__(cls: type[_E], key: str | int | bytes) -> _E:  # type: ignore[misc]
        """The entity of this key, to be sent messages: ``Account["bob"].credit(30)``.

        Calling a method of it sends a message, once the turn at hand has succeeded, and answers
        None; the method runs in a turn of that entity's own, exactly once, in the order in which
        this entity sent. It creates the entity if need be. Arguments are what JSON can carry, and
        are converted by the method's annotations. Nothing but methods can be reached this way.
        """
        mailbox = vars(cls).get("__bettong_mailbox__")
        if mailbox is None:
            raise OutsideTurnError(
                f"{cls.__name__}[...] sends messages: that works only while a handler runs "
                "inside a Bettong node, and for classes of a loaded app"
            )
        address: _E = mailbox[key]
        return address


class Entity(EntityBase, metaclass=EntityMeta):
    """State of one key: native fields, and the methods that run on it, one turn at a time.

    Annotated attributes are native fields: int (64 bits), float, bool, str, bytes, one of these
    ``| None``, ``Array[int, N]`` and ``Array[float, N]``, collections (``Ring``, ``List``, ``Map``,
    ``Set``, ``Counter``), windows and ``Record`` classes. What has no default starts at zero, empty or None. In the class's header:

    - ``ttl``: idle time after which the entity expires, a timedelta or seconds;
    - ``clock``: "wall" (default), or "event" to measure ``ttl`` in the events' own time;
    - ``prefix``: of its Redis keys; the class's name in snake case by default;
    - ``timers=True``: its entities have timers though no method of it says self.after or self.at;
    - ``on_error``: what becomes of turns that raise, where the handler says nothing else:
      "dead-letter" (default), "skip" or ``Retry(times=3)``. It holds for timers, ``on_close`` and
      ``on_expire``, too, but these are not tried again;
    - ``abstract=True``: only a base for other classes.
    """

    def on_create(self) -> None:
        """Runs when the entity has just been created, before the turn that created it."""

    def on_expire(self) -> None:
        """Runs when the TTL has ended, with the state in hand; afterwards the entity is gone."""

    def on_close(self, window: Window[Any]) -> None:
        """Runs when the watermark has passed the end of a window that has values.

        ``window`` is that window, good for this turn; ``window.name`` is the field's. It takes no
        further values. When the entity expires, what is open closes before ``on_expire``.
        """


def entity_info(cls: EntityMeta) -> EntityInfo:
    info: EntityInfo = vars(cls)["__bettong_entity__"]
    return info


def snake_case(name: str) -> str:
    """CamelCase to camel_case; HTTPHost to http_host."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def make_stale_class(cls: EntityMeta) -> type:
    """The class that an instance is given when its turn is over and user code kept it."""

    def stale(self: object, *_: object) -> NoReturn:
        raise StaleEntityError(
            f"this {cls.__name__} was kept after its turn had ended; entities are views of "
            "native state: keep their values instead"
        )

    body = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__getattribute__": stale,
        "__setattr__": stale,
        "__delattr__": stale,
        "__bettong_entity__": entity_info(cls),
    }
    return type.__new__(EntityMeta, f"Stale{cls.__name__}", (cls,), body)


def _refuse_unknown(name: str, unknown: dict[str, object]) -> None:
    for keyword in unknown:
        near = difflib.get_close_matches(keyword, _KEYWORDS, 1)
        hint = (
            f"; did you mean {near[0]}=?"
            if near
            else f"; known: {', '.join(_KEYWORDS)}"
        )
        raise TypeError(
            f"{name}: unknown keyword {keyword}= in the class's header{hint}"
        )


def _parent(name: str, bases: tuple[type, ...]) -> EntityInfo | None:
    parents = [base for base in bases if isinstance(base, EntityMeta)]
    with_fields = [
        base
        for base in parents
        if "__bettong_entity__" in vars(base) and entity_info(base).fields
    ]
    if len(with_fields) > 1:
        raise TypeError(f"{name}: only one base class may have fields")
    for base in bases:
        if (
            not isinstance(base, EntityMeta)
            and not getattr(base, "__slots__", None) == ()
        ):
            raise TypeError(
                f"{name}: the mix-in {base.__name__} must say __slots__ = ()"
            )
    known = with_fields or [
        base for base in parents if "__bettong_entity__" in vars(base)
    ]
    return entity_info(known[0]) if known else None


def _check_namespace(name: str, namespace: dict[str, Any]) -> None:
    if "__slots__" in namespace:
        raise TypeError(f"{name}: __slots__ are made from the annotations")
    for method in ("__init__", "__new__"):
        if method in namespace:
            raise TypeError(
                f"{name}.{method}: entities are created by the node; use on_create"
            )
    for method in (
        "__getattribute__",
        "__setattr__",
        "__getattr__",
        "__delattr__",
        "__del__",
    ):
        if method in namespace:
            raise TypeError(f"{name}.{method}: an entity's attributes are native")


def _own_fields(
    name: str, namespace: dict[str, Any], scope: dict[str, Any]
) -> dict[str, EntityField]:
    fields: dict[str, EntityField] = {}
    for field, annotation in namespace.get("__annotations__", {}).items():
        try:
            annotation = vt.resolve(annotation, namespace["__module__"], scope)
            if vt.is_class_var(annotation):
                continue
            if field in _RESERVED:
                raise vt.UnsupportedAnnotation("the name is taken by Entity itself")
            kind = vt.entity_field_type(annotation)
            if kind.kind == "collection":
                kind = _collection(kind, annotation, namespace.get(field))
                fields[field] = EntityField(field, kind, None)
                continue
            if kind.kind == "window":
                kind = _window(kind, namespace.get(field))
                fields[field] = EntityField(field, kind, None)
                continue
            default = (
                _default(kind, namespace[field]) if field in namespace else _zero(kind)
            )
        except vt.UnsupportedAnnotation as error:
            raise TypeError(f"{name}.{field}: {error}") from None
        fields[field] = EntityField(field, kind, default)
    return fields


def _collection(kind: vt.ValueType, annotation: object, room: object) -> vt.ValueType:
    """The type of a collection field: what the annotation says and how much room the default."""
    declared = vt.collection_annotation(annotation)
    assert declared is not None
    try:
        return replace(kind, collection=declared.spec(room))
    except TypeError as error:
        raise vt.UnsupportedAnnotation(str(error)) from None


def _window(kind: vt.ValueType, spec: object) -> vt.ValueType:
    """The type of a window field: what the annotation says and the default has more of."""
    name = kind.text.partition("[")[0]
    if not isinstance(spec, WindowSpec):
        raise vt.UnsupportedAnnotation(
            f"a window needs its size: `{name} = {name}(minutes(5)...)`"
        )
    if spec.kind != name.lower():
        raise vt.UnsupportedAnnotation(
            f"the annotation says {name}, the default is {spec.kind.title()}(...)"
        )
    assert kind.cls is not None
    if wrong := spec.check_item(kind.cls):
        raise vt.UnsupportedAnnotation(wrong)
    return replace(kind, window=spec)


def _zero(kind: vt.ValueType) -> object:
    if kind.optional:
        return None
    if kind.kind == "record" and kind.cls is not None:
        return tuple(field.default for field in record_info(kind.cls).fields)
    zeros: dict[str, object] = {
        "int": 0,
        "float": 0.0,
        "bool": False,
        "text": "",
        "bytes": b"",
    }
    return zeros.get(kind.kind, ())


def _default(kind: vt.ValueType, value: object) -> object:
    if kind.kind == "record":
        if type(value) is not kind.cls:
            raise vt.UnsupportedAnnotation(
                f"the default must be {kind.text}(...), not {type(value).__name__}"
            )
        values = tuple(
            getattr(value, field.name) for field in record_info(kind.cls).fields
        )
        for field, each in zip(record_info(kind.cls).fields, values, strict=True):
            if wrong := vt.check_default(each, field.type):
                raise vt.UnsupportedAnnotation(f"the default's {field.name} {wrong}")
        return values
    if kind.kind == "array":
        if not isinstance(value, (list, tuple)) or len(value) != kind.size:
            raise vt.UnsupportedAnnotation(
                f"the default must be a list of {kind.size} elements"
            )
        item = vt.ValueType(
            "int" if kind.cls is int else "float", f"{kind.text}'s element"
        )
        for element in value:
            if wrong := vt.check_default(element, item):
                raise vt.UnsupportedAnnotation(f"an element of the default {wrong}")
        return tuple(value)
    if wrong := vt.check_default(value, kind):
        raise vt.UnsupportedAnnotation(f"the default {wrong}")
    return value


def _check_prefix(name: str, prefix: str) -> str:
    if not isinstance(prefix, str) or not prefix or re.search(r"[:\s]", prefix):
        raise TypeError(
            f"{name}: prefix= must be a word without colon or blank, not {prefix!r}"
        )
    return prefix


def _ttl_ms(name: str, ttl: Duration | None, parent: EntityInfo | None) -> int | None:
    if ttl is None:
        return parent.ttl_ms if parent else None
    return to_ms(ttl, f"{name}: ttl=")


def _check_clock(name: str, clock: str | None, parent: EntityInfo | None) -> str:
    if clock is None:
        return parent.clock if parent else "wall"
    if clock not in ("event", "wall"):
        raise TypeError(f'{name}: clock= must be "event" or "wall", not {clock!r}')
    return clock
