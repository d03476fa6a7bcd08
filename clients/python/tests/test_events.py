"""Event classes outside of a node."""

from __future__ import annotations

from typing import Any

import pytest
from bettong import App, Event, OutsideTurnError
from bettong.event import event_info


class Point(Event):
    x: int
    y: float = 0.5


class Sample(Event, time="ts"):
    host: str
    ts: int
    raw: bytes = b""
    note: str | None = None
    tags: list[str] = ["a"]  # noqa: RUF012
    at: Point | None = None
    table: dict[str, list[int]] = {}  # noqa: RUF012
    anything: Any = None


def test_fields_have_types_and_defaults_as_json() -> None:
    info = event_info(Sample)
    assert [field.name for field in info.fields] == [
        "host", "ts", "raw", "note", "tags", "at", "table", "anything"
    ]  # fmt: skip
    assert [field.type.kind for field in info.fields] == [
        "text", "int", "bytes", "text", "list", "event", "dict", "any"
    ]  # fmt: skip
    assert [field.required for field in info.fields] == [True, True] + [False] * 6
    assert info.fields[4].default_json == '["a"]'
    assert info.fields[3].default_json == "null"
    assert info.time_index == 1


def test_construction_by_keyword_with_fresh_defaults() -> None:
    sample = Sample(host="a", ts=1)
    assert repr(sample).startswith(
        "Sample(host='a', ts=1, raw=b'', note=None, tags=['a']"
    )
    sample.tags.append("b")
    assert Sample(host="a", ts=1).tags == ["a"]
    assert sample != Sample(host="a", ts=1)
    assert Point(x=1) == Point(x=1, y=0.5)
    with pytest.raises(TypeError):
        Sample(host="a")  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        sample.tpyo = 1  # type: ignore[attr-defined]


def test_inheritance_adds_fields() -> None:
    class Point3(Point):
        z: int

    assert [field.name for field in event_info(Point3).fields] == ["x", "y", "z"]
    assert Point3(x=1, z=2).y == 0.5


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("set[int]", r"Bad\.field: set\[int\] is not supported"),
        ("int | str", r"Bad\.field: only X \| None is supported"),
        ("dict[int, str]", r"Bad\.field: the keys of a dict are str"),
        ("complex", r"Bad\.field: complex is not supported"),
        ("NoSuchName", r"Bad\.field: the annotation 'NoSuchName' cannot be resolved"),
    ],
)
def test_unsupported_annotations_are_refused_by_name(
    annotation: str, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        type(Event)("Bad", (Event,), {
            "__module__": __name__, "__qualname__": "Bad", "__annotations__": {"field": annotation},
        })  # fmt: skip


def test_wrong_defaults_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Bad\.x: the default must be int, not str"):

        class Bad(Event):
            x: int = "1"  # type: ignore[assignment]

    with pytest.raises(
        TypeError, match=r"Big\.x: the default does not fit into 64 bits"
    ):

        class Big(Event):
            x: int = 1 << 63

    with pytest.raises(TypeError, match=r"Nan\.x: the default is not JSON"):

        class Nan(Event):
            x: float = float("nan")


def test_time_must_be_an_int_field() -> None:
    with pytest.raises(TypeError, match="names no field"):

        class NoField(Event, time="ts"):
            x: int

    with pytest.raises(TypeError, match="must be int"):

        class NoInt(Event, time="ts"):
            ts: str


def test_streams() -> None:
    app = App("test")
    samples = app.stream("samples", Sample)
    assert app.stream("samples") is samples
    assert repr(samples) == "<Stream samples>"
    with pytest.raises(TypeError, match="different event classes"):
        app.stream("samples", Point)
    with pytest.raises(
        TypeError, match=r"Sample has no such field; did you mean 'host'\?"
    ):
        samples.on(key="hots")
    with pytest.raises(TypeError, match="a key field is str, int or bytes"):
        samples.on(key="tags")
    with pytest.raises(TypeError, match="not a subclass of Event"):
        app.stream("bad", int)
    with pytest.raises(OutsideTurnError, match=r"samples\.emit\(\) works only"):
        samples.emit(host="a")
