"""Fixed-size native arrays as fields of an entity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from bettong._valuetypes import ArraySpec, make_array_spec

T = TypeVar("T", int, float)
N = TypeVar("N")

if TYPE_CHECKING:

    class Array(Generic[T, N]):
        """A field of exactly N ints (64 bits) or floats, kept natively in the entity's row.

        Declared as ``panes: Array[int, 5]``, zero at first. Elements are read and written by
        index; only those that change are logged. Assigning a whole sequence of the right length
        is allowed. The object belongs to the turn: keep ``tolist()``, not the array.
        """

        @overload
        def __get__(self, instance: None, owner: type) -> Array[T, N]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Array[T, N]: ...
        def __get__(self, instance: object, owner: type) -> Array[T, N]: ...
        def __set__(
            self, instance: object, value: Array[T, N] | Sequence[T]
        ) -> None: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[T]: ...
        def __contains__(self, value: object) -> bool: ...
        @overload
        def __getitem__(self, index: int) -> T: ...
        @overload
        def __getitem__(self, index: slice) -> list[T]: ...
        def __getitem__(self, index: int | slice) -> T | list[T]: ...
        def __setitem__(self, index: int, value: T) -> None: ...
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            """A numpy array with a copy of the elements."""

        def tolist(self) -> list[T]:
            """A list with a copy of the elements."""

        def sum(self) -> T:
            """The sum of the elements, exact for ints of any size."""

        def max(self) -> T:
            """The greatest element."""

        def min(self) -> T:
            """The least element."""

        def fill(self, value: T) -> None:
            """Sets every element."""

else:

    class Array:
        """Annotation of an array field: ``Array[int, 5]`` or ``Array[float, 5]``."""

        def __class_getitem__(cls, parameters: object) -> ArraySpec:
            return make_array_spec(parameters)

        def __new__(cls) -> Self:
            raise TypeError("Array is an annotation: write `panes: Array[int, 5]`")
