"""Window fields as they are declared."""

from __future__ import annotations

from typing import Any

import pytest
from bettong import App, Sliding, Tumbling, minutes, seconds
from bettong._windowspec import PANES_MAX, WindowSpec
from bettong.entity import EntityMeta, entity_info


def declare(annotation: object, **default: object) -> EntityMeta:
    app = App("test")
    body = {
        "__module__": __name__,
        "__qualname__": "Host",
        "__annotations__": {"w": annotation},
    }
    return EntityMeta("Host", (app.Entity,), {**body, **default})


def test_a_window_is_its_annotation_and_its_default() -> None:
    cls = declare(
        "Sliding[int]", w=Sliding(minutes(5), pane=60, keep=["last", "variance"])
    )
    (field,) = entity_info(cls).fields
    assert (field.type.kind, field.type.cls, field.type.text) == (
        "window",
        int,
        "Sliding[int]",
    )
    assert field.type.window == WindowSpec(
        "sliding", 300_000, 60_000, 16 | 32, closes=True
    )
    (field,) = entity_info(declare(Tumbling, w=Tumbling(seconds(2)))).fields
    assert field.type.cls is float
    assert field.type.window == WindowSpec(
        "tumbling", 2_000, 2_000, 1 | 2 | 4, closes=True
    )


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        ("Sliding", {}, r"Host\.w: a window needs its size"),
        ("Sliding", {"w": 5}, r"Host\.w: a window needs its size"),
        (
            "Sliding",
            {"w": Tumbling(5)},
            r"the annotation says Sliding, the default is Tumbling",
        ),
        (
            "Sliding[list]",
            {"w": Sliding(5, pane=1)},
            r"Sliding holds int or float, or counts str or bytes, not list",
        ),
        ("Sliding[int] | None", {"w": Sliding(5, pane=1)}, r"Host\.w: "),
    ],
)
def test_what_is_no_window_is_refused(
    annotation: str, default: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        declare(annotation, **default)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"size": 5, "pane": 2},
            ValueError,
            "5000 ms are no whole number of panes of 2000 ms",
        ),
        (
            {"size": 0, "pane": 1},
            ValueError,
            "Sliding: size must be at least a millisecond",
        ),
        (
            {"size": 5, "pane": "1"},
            TypeError,
            "Sliding: pane= must be a timedelta or seconds",
        ),
        (
            {"size": PANES_MAX + 1, "pane": 1},
            ValueError,
            f"up to {PANES_MAX} panes, not",
        ),
        (
            {"size": 5, "pane": 1, "keep": ["mean"]},
            ValueError,
            "keep= knows sum, min, max",
        ),
        ({"size": 5, "pane": 1, "keep": "sum"}, TypeError, "keep= is a list of names"),
    ],
)
def test_impossible_windows_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Sliding(**arguments)
    assert Sliding(PANES_MAX, pane=1)
