"""Record classes, and fields of them as they are declared."""

from __future__ import annotations

import pytest
from bettong import App, List, Map, Record, Set
from bettong._collectionspec import CollectionSpec
from bettong.entity import EntityMeta, entity_info
from bettong.records import FIELDS_MAX, RecordMeta, record_info


class Point(Record):
    x: float
    y: float = 0.5


def make(annotations: dict[str, object], **defaults: object) -> RecordMeta:
    body = {
        "__module__": __name__,
        "__qualname__": "Made",
        "__annotations__": annotations,
    }
    return RecordMeta("Made", (Record,), {**body, **defaults})


def declare(annotation: object, **default: object) -> EntityMeta:
    app = App("test")
    body = {
        "__module__": __name__,
        "__qualname__": "Host",
        "__annotations__": {"p": annotation},
    }
    return EntityMeta("Host", (app.Entity,), {**body, **default})


def test_a_record_is_a_value() -> None:
    assert repr(Point(1.0)) == "Point(x=1.0, y=0.5)"
    assert Point(1, 2) == Point(x=1, y=2) != Point(1, 3)
    assert Point(1, 2) != (1, 2)
    point = Point(1, 2)
    point.x += 1
    assert (point.x, point.y) == (2, 2)
    with pytest.raises(AttributeError):
        point.z = 5  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]
    match point:
        case Point(x, y):
            assert (x, y) == (2, 2)


def test_an_element_is_a_copy_that_cannot_be_changed() -> None:
    element_class = record_info(Point).element
    element = element_class.__new__(element_class)
    assert isinstance(element, Point)
    assert type(element).__name__ == "Point"
    with pytest.raises(TypeError, match="assign a new Point"):
        element.x = 5


def test_fields_of_records() -> None:
    (field,) = entity_info(declare("Point")).fields
    assert (field.type.kind, field.type.cls, field.default) == (
        "record",
        Point,
        (0.0, 0.5),
    )
    (field,) = entity_info(declare(Point, p=Point(3, 4))).fields
    assert field.default == (3, 4)
    (field,) = entity_info(declare("List[Point]", p=List(max=5))).fields
    assert field.type.collection == CollectionSpec("list", "", "record", 5, Point)
    assert field.type.text == "List[Point]"
    (field,) = entity_info(declare(Map[str, Point])).fields
    assert field.type.collection is not None
    assert field.type.collection.record is Point


@pytest.mark.parametrize(
    ("annotations", "defaults", "message"),
    [
        ({}, {}, "a record has 1 to 64 fields, not 0"),
        (
            {"a": "int | None"},
            {},
            r"Made\.a: a record holds int, float, bool, str or bytes",
        ),
        ({"a": "List[int]"}, {}, r"Made\.a: a record holds"),
        ({"a": "Point"}, {}, r"Made\.a: a record holds .* not Point"),
        ({"a": "list"}, {}, r"Made\.a: list has no native type"),
        ({"a": int}, {"a": "x"}, r"Made\.a: the default must be int, not str"),
        (
            {"a": int, "b": int},
            {"a": 1},
            r"Made\.b: a field without a default comes behind",
        ),
        (
            {f"f{i}": int for i in range(FIELDS_MAX + 1)},
            {},
            "a record has 1 to 64 fields, not 65",
        ),
    ],
)
def test_what_is_no_record_is_refused(
    annotations: dict[str, object], defaults: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        make(annotations, **defaults)
    assert make({f"f{i}": int for i in range(FIELDS_MAX)})


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        ("Point | None", {}, r"Host\.p: a record cannot be optional"),
        (
            "Point",
            {"p": (1, 2)},
            r"Host\.p: the default must be Point\(\.\.\.\), not tuple",
        ),
        ("Point", {"p": Point("x")}, r"the default's x must be float, not str"),  # type: ignore[arg-type]
        ("Set[Point]", {}, r"Set holds int, float, bool, str or bytes, not Point"),
        ("Map[Point, int]", {}, r"Map holds int, float, bool, str or bytes, not Point"),
        ("Record", {}, r"Host\.p: Record has no native type"),
    ],
)
def test_what_is_no_field_of_a_record_is_refused(
    annotation: str, default: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        declare(annotation, **default)
    assert Set  # names in annotations are those of this module


def test_a_record_has_no_heirs() -> None:
    with pytest.raises(TypeError, match="a record derives from Record alone"):

        class Point3(Point):
            z: float
