"""Entities as a test sees them: their fields as the class declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """What the engine knows of an entity class."""

    name: str
    prefix: str
    fields: dict[str, str]  # to their types, as SCHEMA shows them

    def inexact(self, fields: Mapping[str, Any]) -> list[str]:
        """Of the fields as JSON, those that are something else: bytes, and floats as NaN."""
        return [
            name
            for name, value in fields.items()
            if (value is not None and self._kind(name) == "bytes")
            or (value is None and self.fields[name] == "float")
        ]

    def exact(self, shown: Mapping[str, str | bytes]) -> dict[str, float | bytes]:
        """The values of such fields, from what HGET shows of them."""
        return {
            name: float(text) if self._kind(name) == "float" else _bytes(text)
            for name, text in shown.items()
        }

    def _kind(self, name: str) -> str:
        return self.fields[name].removesuffix(" | None")


def _bytes(shown: str | bytes) -> bytes:
    return shown if isinstance(shown, bytes) else shown.encode()


class EntityView:
    """One entity at one moment: ``view.cpu`` or ``view["cpu"]``, ``view.key`` and ``view.ttl``.

    Fields are int, float, bool, str, bytes or None as declared, arrays are lists, and windows
    dicts of their numbers. Collections are lists and dicts as in JSON (of a set a list; keys are
    str); the attributes of a record are fields: ``view["pos.x"]``. A view does not change; ask the
    grid again for a new one.
    """

    __slots__ = ("_class_name", "_fields", "key", "ttl")

    key: str
    """Without the class's prefix, as ``self.key``."""
    ttl: float | None
    """What is left of its TTL, in seconds; None: it does not expire."""

    def __init__(
        self, class_name: str, key: str, ttl: float | None, fields: dict[str, Any]
    ) -> None:
        self._class_name = class_name
        self._fields = fields
        self.key = key
        self.ttl = ttl

    def __getattr__(self, name: str) -> Any:
        if name in EntityView.__slots__ or name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(self._missing(name)) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise KeyError(self._missing(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EntityView):
            return NotImplemented
        return (self._class_name, self.key, self.ttl, self._fields) == (
            other._class_name,
            other.key,
            other.ttl,
            other._fields,
        )

    __hash__ = None  # type: ignore[assignment]

    def _asdict(self) -> dict[str, Any]:
        """The fields alone."""
        return dict(self._fields)

    def __repr__(self) -> str:
        fields = "".join(f", {name}={value!r}" for name, value in self._fields.items())
        return f"<{self._class_name} {self.key!r}, ttl={self.ttl}{fields}>"

    def _missing(self, name: str) -> str:
        return f"{self._class_name} has no field {name!r}; it has: {', '.join(self._fields)}"
