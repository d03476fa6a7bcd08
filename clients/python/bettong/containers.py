"""Collections as fields of an entity: Ring, List, Map, Set and Counter, kept natively."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from bettong._collectionspec import (
    ELEMENTS_MAX,
    CollectionAnnotation,
    CollectionRoom,
    make_room,
)

T = TypeVar("T", bound="int | float | bool | str | bytes | Record")
S = TypeVar("S", int, float, bool, str, bytes)
K = TypeVar("K", int, str, bytes)
V = TypeVar("V", bound="int | float | bool | str | bytes | Record")
D = TypeVar("D")

if TYPE_CHECKING:
    from bettong.records import Record

    class _Sequence(collections.abc.Sequence[T], Generic[T]):
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[T]: ...
        def __contains__(self, value: object) -> bool: ...
        @overload
        def __getitem__(self, index: int) -> T: ...
        @overload
        def __getitem__(self, index: slice) -> list[T]: ...
        def __getitem__(self, index: int | slice) -> T | list[T]: ...
        def __setitem__(self, index: int, value: T) -> None: ...
        def __add__(self, other: Iterable[T]) -> list[T]: ...
        def __iadd__(self, values: Iterable[T]) -> Self: ...
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            """A numpy array with a copy of the elements."""

        def append(self, value: T) -> None:
            """Adds an element at the end."""

        def extend(self, values: Iterable[T]) -> None:
            """Adds all elements, or none if one of them cannot be."""

        def clear(self) -> None:
            """Removes all elements."""

        def copy(self) -> list[T]:
            """A list with a copy of the elements."""

        def tolist(self) -> list[T]:
            """A list with a copy of the elements."""

    class Ring(_Sequence[T]):
        """A field with the last ``size`` elements: a full one drops its first for a new one.

        Declared as ``recent: Ring[float] = Ring(100)``; elements are int (64 bits), float, bool, str
        or bytes. The object belongs to the turn: keep ``tolist()``, not the ring.
        """

        def __init__(self, size: int) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type) -> Ring[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Ring[T]: ...
        def __get__(self, instance: object, owner: type) -> Ring[T]: ...
        def __set__(self, instance: object, value: Iterable[T]) -> None: ...
        @property
        def maxlen(self) -> int:
            """How many elements it has room for."""

    class List(_Sequence[T]):
        """A field that is a list: ``names: List[str]``, or ``List(max=100)`` for less room.

        Elements are int (64 bits), float, bool, str or bytes. What does not fit raises OverflowError
        and changes nothing. The object belongs to the turn: keep ``copy()``, not the list.
        """

        def __init__(self, *, max: int = ELEMENTS_MAX) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type) -> List[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> List[T]: ...
        def __get__(self, instance: object, owner: type) -> List[T]: ...
        def __set__(self, instance: object, value: Iterable[T]) -> None: ...
        def __delitem__(self, index: int | slice) -> None: ...
        def insert(self, index: int, value: T) -> None:
            """Adds an element before ``index``."""

        def pop(self, index: int = -1) -> T:
            """Removes an element and returns it; IndexError if there is none."""

        def remove(self, value: T) -> None:
            """Removes the first such element; ValueError if there is none."""

        def reverse(self) -> None:
            """Reverses in place; logged as the whole content."""

        def sort(
            self, *, key: Callable[[T], Any] | None = None, reverse: bool = False
        ) -> None:
            """Sorts in place; logged as the whole content."""

    class _Mapping(collections.abc.Mapping[K, V], Generic[K, V]):
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[K]: ...
        def __getitem__(self, key: K) -> V: ...
        def __setitem__(self, key: K, value: V) -> None: ...
        def __delitem__(self, key: K) -> None: ...
        def setdefault(self, key: K, default: V) -> V:
            """The key's value, which is the default if it had none."""

        @overload
        def pop(self, key: K) -> V: ...
        @overload
        def pop(self, key: K, default: V | D) -> V | D: ...
        def pop(self, key: K, default: object = None) -> object:
            """Removes a key and returns its value, or the default, or raises KeyError."""

        def popitem(self) -> tuple[K, V]:
            """Removes the newest key; returns it and its value."""

        def clear(self) -> None:
            """Removes all keys."""

        def copy(self) -> dict[K, V]:
            """A dict with the same content."""

    class Map(_Mapping[K, V]):
        """A field that is a dict: ``by_user: Map[str, int]``, or ``Map(max=100)`` for less room.

        Keys are int, str or bytes, values these, float or bool. What does not fit raises
        OverflowError and changes nothing. The object belongs to the turn: keep ``copy()``.
        """

        def __init__(self, *, max: int = ELEMENTS_MAX) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type) -> Map[K, V]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Map[K, V]: ...
        def __get__(self, instance: object, owner: type) -> Map[K, V]: ...
        def __set__(
            self, instance: object, value: collections.abc.Mapping[K, V]
        ) -> None: ...
        def __or__(self, other: collections.abc.Mapping[K, V]) -> dict[K, V]: ...
        def __ior__(self, other: collections.abc.Mapping[K, V]) -> Self: ...
        def update(
            self,
            other: collections.abc.Mapping[K, V] | Iterable[tuple[K, V]] = (),
            /,
            **values: V,
        ) -> None:
            """Sets the values of a mapping or of pairs, all or none."""

    class Counter(_Mapping[str, int]):
        """A field that counts texts: ``hits: Counter``, then ``self.hits["x"] += 1``.

        What has not been counted is 0. Counts are ints of 64 bits. The object belongs to the turn:
        keep ``copy()``, not the counter.
        """

        def __init__(self, *, max: int = ELEMENTS_MAX) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type) -> Counter: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Counter: ...
        def __get__(self, instance: object, owner: type) -> Counter: ...
        def __set__(
            self, instance: object, value: collections.abc.Mapping[str, int]
        ) -> None: ...
        def update(
            self,
            other: collections.abc.Mapping[str, int] | Iterable[str] = (),
            /,
            **counts: int,
        ) -> None:
            """Counts the elements of an iterable, or adds a mapping's counts, all or none."""

        def subtract(
            self,
            other: collections.abc.Mapping[str, int] | Iterable[str] = (),
            /,
            **counts: int,
        ) -> None:
            """As ``update``, downwards."""

        def most_common(self, n: int | None = None) -> list[tuple[str, int]]:
            """The ``n`` most frequent with their counts; all of them if not said."""

        def total(self) -> int:
            """The sum of the counts."""

    class Set(collections.abc.Set[S], Generic[S]):
        """A field that is a set: ``seen: Set[str]``, or ``Set(max=100)`` for less room.

        Elements are int (64 bits), float, bool, str or bytes, and come in the order in which they
        were added. What does not fit raises OverflowError and changes nothing. The object belongs to
        the turn: keep ``copy()``, not the set.
        """

        def __init__(self, *, max: int = ELEMENTS_MAX) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type) -> Set[S]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Set[S]: ...
        def __get__(self, instance: object, owner: type) -> Set[S]: ...
        def __set__(self, instance: object, value: Iterable[S]) -> None: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[S]: ...
        def __contains__(self, value: object) -> bool: ...
        def add(self, value: S) -> None:
            """Adds an element, if it is not in yet."""

        def discard(self, value: S) -> None:
            """Removes an element, if it is in."""

        def remove(self, value: S) -> None:
            """Removes an element; KeyError if it is not in."""

        def pop(self) -> S:
            """Removes the oldest element and returns it; KeyError if there is none."""

        def update(self, *others: Iterable[S]) -> None:
            """Adds all elements of the others, or none if one of them cannot be."""

        def difference_update(self, *others: Iterable[S]) -> None:
            """Removes all elements of the others."""

        def clear(self) -> None:
            """Removes all elements."""

        def copy(self) -> set[S]:
            """A set with the same elements."""

        def union(self, *others: Iterable[S]) -> set[S]: ...
        def intersection(self, *others: Iterable[S]) -> set[S]: ...
        def difference(self, *others: Iterable[S]) -> set[S]: ...
        def issubset(self, other: Iterable[S]) -> bool: ...
        def issuperset(self, other: Iterable[S]) -> bool: ...

else:

    class Ring:
        """Annotation and default of a ring field: see the class of this name above."""

        def __class_getitem__(cls, item: object) -> CollectionAnnotation:
            return CollectionAnnotation.of("ring", item)

        def __new__(cls, size: int) -> CollectionRoom:
            return make_room("ring", size)

    class List:
        """Annotation and default of a list field: see the class of this name above."""

        def __class_getitem__(cls, item: object) -> CollectionAnnotation:
            return CollectionAnnotation.of("list", item)

        def __new__(cls, *, max: int = ELEMENTS_MAX) -> CollectionRoom:
            return make_room("list", max)

    class Map:
        """Annotation and default of a map field: see the class of this name above."""

        def __class_getitem__(cls, items: object) -> CollectionAnnotation:
            return CollectionAnnotation.of("map", items)

        def __new__(cls, *, max: int = ELEMENTS_MAX) -> CollectionRoom:
            return make_room("map", max)

    class Set:
        """Annotation and default of a set field: see the class of this name above."""

        def __class_getitem__(cls, item: object) -> CollectionAnnotation:
            return CollectionAnnotation.of("set", item)

        def __new__(cls, *, max: int = ELEMENTS_MAX) -> CollectionRoom:
            return make_room("set", max)

    class Counter:
        """Annotation and default of a counter field: see the class of this name above."""

        def __new__(cls, *, max: int = ELEMENTS_MAX) -> CollectionRoom:
            return make_room("counter", max)

    for _kind in (Ring, List, Map, Set, Counter):
        _kind.__bettong_collection__ = CollectionAnnotation(_kind.__name__.lower())
