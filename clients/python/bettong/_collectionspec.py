"""What a collection field is, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ELEMENTS_MAX = 1 << 20
_ELEMENTS: dict[object, str] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "text",
    bytes: "bytes",
}
_KEYS = (int, str, bytes)
_EXAMPLES = {
    "ring": "Ring[float]",
    "list": "List[str]",
    "map": "Map[str, int]",
    "set": "Set[str]",
    "counter": "Counter",
}


@dataclass(frozen=True, slots=True)
class CollectionRoom:
    """What ``Ring(100)`` and ``List(max=100)`` make: the default of a collection field."""

    kind: str
    elements_max: int


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection field; read by the native host. ``key`` and ``value`` are "" where there is none."""

    kind: str
    key: str
    value: str
    elements_max: int = ELEMENTS_MAX
    record: type | None = None  # of values that are records: their class


@dataclass(frozen=True, slots=True)
class CollectionAnnotation:
    """What ``Map[str, int]`` evaluates to."""

    kind: str
    items: tuple[type, ...] = ()

    @classmethod
    def of(cls, kind: str, parameters: object) -> CollectionAnnotation:
        name, items = kind.title(), parameters
        if not isinstance(items, tuple):
            items = (items,)
        if len(items) != (2 if kind == "map" else 1):
            raise TypeError(f"{name} is declared like {_EXAMPLES[kind]}")
        for i, item in enumerate(items):
            may_be_record = kind != "set" and i == len(items) - 1
            if item in _ELEMENTS or (may_be_record and _is_record(item)):
                continue
            raise TypeError(
                f"{name} holds int, float, bool, str or bytes"
                f"{' or a Record class' if may_be_record else ''}, not {_spell(item)}"
            )
        if kind == "map" and items[0] not in _KEYS:
            raise TypeError(
                f"the keys of a Map are int, str or bytes, not {_spell(items[0])}"
            )
        return cls(kind, items)

    def spec(self, room: object) -> CollectionSpec:
        """With the field's default, or None if it has none. The errors lack class and field."""
        name = self.kind.title()
        if not self.items and self.kind != "counter":
            raise TypeError(f"{name} needs its elements' type: {_EXAMPLES[self.kind]}")
        if room is None and self.kind == "ring":
            raise TypeError(f"a Ring needs its size: `{self!r} = Ring(100)`")
        elements_max = ELEMENTS_MAX
        if room is not None:
            if not isinstance(room, CollectionRoom):
                raise TypeError(
                    f"the default of a {name} is {_EXAMPLE_ROOMS[self.kind]}; it is empty at first, "
                    "on_create can fill it"
                )
            if room.kind != self.kind:
                raise TypeError(
                    f"the annotation says {name}, the default is {room.kind.title()}(...)"
                )
            elements_max = room.elements_max
        names = [_ELEMENTS.get(item, "record") for item in self.items]
        record = self.items[-1] if names and names[-1] == "record" else None
        if self.kind == "counter":
            key, value = "text", "int"
        elif self.kind == "set":
            key, value = names[0], ""
        else:
            key, value = ["", *names][-2:]
        return CollectionSpec(self.kind, key, value, elements_max, record)

    def __repr__(self) -> str:
        items = ", ".join(item.__name__ for item in self.items)
        return f"{self.kind.title()}[{items}]" if items else self.kind.title()

    def __or__(self, other: object) -> object:
        """``List[str] | list[str]``, of a parameter: nothing reads it here."""
        return Any

    __ror__ = __or__


_EXAMPLE_ROOMS = {
    "ring": "Ring(100)",
    "list": "List(max=100)",
    "map": "Map(max=100)",
    "set": "Set(max=100)",
    "counter": "Counter(max=100)",
}


def make_room(kind: str, elements_max: object) -> CollectionRoom:
    """Raises TypeError or ValueError for what is no number of elements."""
    if not isinstance(elements_max, int) or isinstance(elements_max, bool):
        raise TypeError(
            f"{kind.title()}: the number of elements is an int, not {elements_max!r}"
        )
    if not 1 <= elements_max <= ELEMENTS_MAX:
        raise ValueError(
            f"{kind.title()}: room for 1 to {ELEMENTS_MAX} elements, not {elements_max}"
        )
    return CollectionRoom(kind, elements_max)


def _is_record(item: object) -> bool:
    return isinstance(item, type) and hasattr(item, "__bettong_record__")


def _spell(item: object) -> str:
    return item.__name__ if isinstance(item, type) else repr(item)
