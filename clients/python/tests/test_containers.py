"""Collection fields as they are declared."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bettong import App, Counter, List, Map, Ring, Set
from bettong._collectionspec import ELEMENTS_MAX, CollectionSpec
from bettong.entity import EntityMeta, entity_info


def declare(annotation: object, **default: object) -> EntityMeta:
    app = App("test")
    body = {
        "__module__": __name__,
        "__qualname__": "Host",
        "__annotations__": {"c": annotation},
    }
    return EntityMeta("Host", (app.Entity,), {**body, **default})


@pytest.mark.parametrize(
    ("annotation", "default", "spec"),
    [
        ("Ring[float]", Ring(100), CollectionSpec("ring", "", "float", 100)),
        (Ring[bool], Ring(1), CollectionSpec("ring", "", "bool", 1)),
        ("List[str]", None, CollectionSpec("list", "", "text", ELEMENTS_MAX)),
        ("List[bytes]", List(max=7), CollectionSpec("list", "", "bytes", 7)),
        ("Map[str, int]", None, CollectionSpec("map", "text", "int", ELEMENTS_MAX)),
        ("Map[int, bool]", Map(max=5), CollectionSpec("map", "int", "bool", 5)),
        ("Set[float]", Set(max=5), CollectionSpec("set", "float", "", 5)),
        ("Counter", None, CollectionSpec("counter", "text", "int", ELEMENTS_MAX)),
        (Counter, Counter(max=3), CollectionSpec("counter", "text", "int", 3)),
    ],
)
def test_a_collection_is_its_annotation_and_its_default(
    annotation: object, default: object, spec: CollectionSpec
) -> None:
    cls = declare(annotation, **({} if default is None else {"c": default}))
    (field,) = entity_info(cls).fields
    assert (field.type.kind, field.type.collection) == ("collection", spec)
    text = annotation if isinstance(annotation, str) else field.type.text
    assert field.type.text == text


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        ("Ring[float]", {}, r"Host\.c: a Ring needs its size: `Ring\[float\] = Ring"),
        (
            "Ring",
            {"c": Ring(5)},
            r"Host\.c: Ring needs its elements' type: Ring\[float\]",
        ),
        ("Map", {}, r"Host\.c: Map needs its elements' type: Map\[str, int\]"),
        (
            "List[list]",
            {},
            r"Host\.c: .*List holds int, float, bool, str or bytes or a Record class, not list",
        ),
        ("List[int, str]", {}, r"List is declared like List\[str\]"),
        ("List[str | None]", {}, r"List holds int, float, bool, str or bytes"),
        ("Map[str]", {}, r"Map is declared like Map\[str, int\]"),
        ("Map[float, int]", {}, r"the keys of a Map are int, str or bytes, not float"),
        ("Map[bool, int]", {}, r"the keys of a Map are int, str or bytes, not bool"),
        ("Set[dict]", {}, r"Set holds int, float, bool, str or bytes, not dict"),
        ("Counter[str]", {}, r"Host\.c: "),
        ("List[str] | None", {}, r"Host\.c: "),
        ("Counter | None", {}, r"Host\.c: a collection cannot be optional"),
        (
            "List[str]",
            {"c": ["a"]},
            r"the default of a List is List\(max=100\); it is empty",
        ),
        (
            "List[str]",
            {"c": Ring(5)},
            r"the annotation says List, the default is Ring",
        ),
    ],
)
def test_what_is_no_collection_is_refused(
    annotation: str, default: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        declare(annotation, **default)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Ring(0), ValueError, "Ring: room for 1 to 1048576 elements, not 0"),
        (lambda: List(max=ELEMENTS_MAX + 1), ValueError, "List: room for 1 to"),
        (
            lambda: Map(max=1.5),
            TypeError,
            "Map: the number of elements is an int, not 1.5",
        ),
        (lambda: Set(max=True), TypeError, "Set: the number of elements is an int"),
        (lambda: List(5), TypeError, "positional"),
    ],
)
def test_impossible_rooms_are_refused(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()
    assert List(max=ELEMENTS_MAX)


def test_a_class_may_not_make_it_another_one() -> None:
    app = App("test")

    class Base(app.Entity):  # type: ignore[name-defined, misc]
        names: List[str]

    with pytest.raises(TypeError, match="a base class declares it with another type"):

        class Derived(Base):
            names: List[int]  # type: ignore[assignment]
