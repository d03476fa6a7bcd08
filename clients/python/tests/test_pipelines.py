"""Functions on streams and pipelines outside of a node."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from bettong import App, Event, KeyedStream, Pipeline, Retry, Stream, _describe, seconds
from bettong._usage import ALL
from bettong.pipeline import Step, compose


class Sample(Event, time="ts"):
    host: str
    value: float
    ts: int = 0


@pytest.fixture(autouse=True)
def nothing_declared() -> Iterator[None]:
    _describe.reset()
    yield
    _describe.reset()


def valid(e: Sample) -> bool:
    return e.value > 0


def scaled(e: Sample) -> dict[str, Any]:
    return {"host": e.host}


def parts(value: object) -> Iterator[object]:
    yield from (value, value)


def two_streams() -> tuple[Stream[Sample], Stream[dict[str, Any]]]:
    app = App("test")
    return app.stream("samples", Sample), app.stream("out")


def test_each_step_gives_a_new_pipeline() -> None:
    samples, out = two_streams()
    first = samples.filter(valid)
    second = first.map(scaled)
    assert first is not second and isinstance(first, Pipeline)
    assert repr(first) == "<Pipeline samples.filter(valid)>"
    assert repr(second.flat_map(parts)).endswith(
        "samples.filter(valid).map(scaled).flat_map(parts)>"
    )
    assert second.to(out) is out
    with pytest.raises(AttributeError):
        first._steps = ()  # type: ignore[misc]


def test_what_is_described() -> None:
    samples, out = two_streams()

    @samples.on(batch=3, on_error="skip")
    def several(events: list[Sample]) -> None: ...

    @samples.late()
    def late(e: Sample) -> None: ...

    samples.filter(valid).map(scaled).to(out, on_error="skip")
    described = _describe.describe().functions
    assert [
        (each.stream, each.name, each.late, each.batch, each.columns, each.on_error)
        for each in described
    ] == [
        (0, "several", False, 3, False, "skip"),
        (0, "late", True, 0, False, "dead-letter"),
        (0, "samples.filter(valid).map(scaled)", False, 0, False, "skip"),
    ]
    _describe.reset()
    assert _describe.describe().functions == []


def wanted(pipeline: Pipeline[Any], out: Stream[Any]) -> int:
    pipeline.to(out)
    return _describe.describe().functions[-1].wanted


def test_only_fields_that_are_read_are_made() -> None:
    samples, out = two_streams()
    host, value = 1, 2
    assert wanted(samples.map(scaled), out) == host
    assert wanted(samples.filter(valid).map(scaled), out) == host | value
    assert wanted(samples.map(scaled).map(str), out) == host
    assert wanted(samples.map(lambda e: {"v": e.value}), out) == value
    # The event itself goes on, or nobody knows.
    assert wanted(samples.filter(valid), out) == ALL
    assert wanted(samples.map(functools.partial(scaled)), out) == ALL
    assert wanted(samples.flat_map(parts), out) == ALL


def test_names_are_unique_and_in_the_order_of_declaration() -> None:
    samples, out = two_streams()
    for _ in range(3):
        samples.map(scaled).to(out)
    names = [each.name for each in _describe.describe().functions]
    assert names == [
        "samples.map(scaled)",
        "samples.map(scaled) #2",
        "samples.map(scaled) #3",
    ]


def test_key_by_says_the_key_once() -> None:
    samples, _ = two_streams()
    keyed = samples.key_by("host")
    assert isinstance(keyed, KeyedStream)

    class Host(App("more").Entity):  # type: ignore[misc]
        @keyed.on(on_error=Retry(times=3, backoff=seconds(1)))
        def take(self, e: Sample) -> None: ...

        @keyed.late()
        def late(self, e: Sample) -> None: ...

        @keyed.on(batch=5)
        def several(self, events: list[Sample]) -> None: ...

    (entity,) = _describe.describe().entities
    assert entity is not None
    assert [(each.key, each.late, each.batch) for each in entity.handlers] == [
        ("host", False, 0),
        ("host", True, 0),
        ("host", False, 5),
    ]
    assert entity.handlers[0].on_error == Retry(times=3, backoff=seconds(1))


def test_a_chain_outside_of_a_node_emits_nothing() -> None:
    samples, out = two_streams()
    samples.map(scaled).to(out)
    (function,) = _describe.describe().functions
    with pytest.raises(RuntimeError, match="only while a handler runs inside"):
        function.function(Sample(host="a", value=1.0))


def test_steps_are_composed() -> None:
    emitted: list[Any] = []
    steps = (
        Step("flat_map", range),
        Step("filter", lambda n: n != 1),
        Step("map", str),
    )
    compose(steps, emitted.append)(3)
    assert emitted == ["0", "2"]
