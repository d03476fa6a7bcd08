"""Columns: several events of one class as numpy arrays, one for each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

E = TypeVar("E")

if TYPE_CHECKING:

    class Columns(Generic[E]):
        """What a handler with ``columns=True`` is given; good until its turn ends.

        ``columns.value`` is a one-dimensional numpy array of the field ``value`` of each event, in order:
        of int64, float64 or bool for fields of those types, of objects for all others and where an
        int or bool is None; a float that is None is NaN. The array itself may be kept.
        ``len(columns)`` is the number of events.
        """

        def __len__(self) -> int: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    try:
        from _bettong import Columns
    except ImportError:

        class Columns:
            """Made by the node for a handler with ``columns=True``."""

            def __class_getitem__(cls, item: object) -> type:
                return cls
