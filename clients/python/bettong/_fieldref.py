"""What ``Sample.value`` is: a field of an event class, named so that type checkers know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bettong._valuetypes import ValueType


@dataclass(frozen=True, slots=True)
class FieldReference:
    """One field of an event class, as reading it off the class answers it."""

    event: type
    name: str
    kind: ValueType

    def __repr__(self) -> str:
        return f"{self.event.__name__}.{self.name}"
