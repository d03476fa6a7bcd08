"""Streams outside of a node."""

from __future__ import annotations

import pytest
from bettong import App, Event, _describe, minutes


class Sample(Event, time="ts"):
    host: str
    ts: int


class Plain(Event):
    host: str


def test_max_age_is_kept_in_milliseconds() -> None:
    app = App("test")
    assert app.stream("a", Sample, max_age=minutes(5)).max_age_ms == 300_000
    assert app.stream("b", Sample, max_age=0.001).max_age_ms == 1
    assert app.stream("c", Sample).max_age_ms is None
    assert app.stream("a") is app.streams["a"]
    assert app.stream("a", max_age=300) is app.streams["a"]


@pytest.mark.parametrize("event", [Plain, None])
def test_max_age_needs_a_time(event: type | None) -> None:
    with pytest.raises(TypeError, match="max_age needs events that carry their time"):
        App("test").stream("a", event, max_age=1)  # type: ignore[call-overload]


@pytest.mark.parametrize("age", [0, -1, 0.0004, float("inf")])
def test_max_age_is_a_millisecond_at_least(age: float) -> None:
    with pytest.raises(ValueError, match="stream 'a': max_age"):
        App("test").stream("a", Sample, max_age=age)


def test_one_stream_has_one_max_age() -> None:
    app = App("test")
    app.stream("a", Sample, max_age=1)
    with pytest.raises(TypeError, match="with different values of max_age"):
        app.stream("a", Sample, max_age=2)


def test_apps_agree_on_a_streams_max_age() -> None:
    _describe.reset()
    App("one").stream("a", Sample, max_age=1)
    App("two").stream("a", Sample)
    (stream,) = _describe.describe().streams
    assert stream.max_age_ms == 1000
    App("three").stream("a", Sample, max_age=2)
    with pytest.raises(
        TypeError, match="'a' has two values of max_age: 1000 ms and 2000 ms"
    ):
        _describe.describe()
    _describe.reset()
