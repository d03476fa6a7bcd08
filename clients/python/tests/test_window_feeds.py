"""Windows that are fed by the engine: ``of=Sample.value``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bettong import App, Event, Session, Sliding, Tumbling, seconds
from bettong._describe import Feed, describe, reset
from bettong._fieldref import FieldReference
from bettong._usage import does_nothing
from bettong._windowspec import SCALE_MAX, WindowSpec, standard_error


class Sample(Event, time="ts"):
    host: str
    rack: str
    ts: int
    value: float
    jobs: int = 0
    up: bool | None = None
    tags: list[str] | None = None


class Detailed(Sample):
    first: int = 0


class Other(Event):
    host: str
    value: float


def feeds_of(app: App) -> list[list[Feed]]:
    return [
        handler.feeds for entity in describe().entities for handler in entity.handlers
    ]


@pytest.fixture
def app() -> App:
    reset()
    return App("test")


def test_a_field_read_off_the_class_is_a_reference_to_it() -> None:
    reference: Any = Sample.value
    assert isinstance(reference, FieldReference)
    assert repr(reference) == "Sample.value"
    inherited: Any = Detailed.value
    assert (inherited.event, inherited.name) == (Detailed, "value")
    sample = Sample(host="a", rack="r", ts=1, value=2.5)
    assert sample.value == 2.5
    with pytest.raises(
        AttributeError, match=r"Sample has no field 'valeu'; did you mean 'value'\?"
    ):
        Sample.valeu  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(Event, "value")


def test_a_window_is_fed_by_the_handlers_that_take_the_event(app: App) -> None:
    samples = app.stream("samples", Sample)
    detailed = app.stream("detailed", Detailed)
    others = app.stream("others", Other)

    class Host(app.Entity):
        cpu: Sliding[int] = Sliding(5, pane=1, of=Sample.value, scale=10)
        all: Tumbling = Tumbling(5, of=Sample)
        first: Session[int] = Session(5, of=Detailed.first)

        @samples.on(key="host")
        def sample(self, e: Sample) -> None: ...

        @detailed.on(key="host")
        def detail(self, e: Detailed) -> None: ...

        @others.on(key="host")
        def other(self, e: Other) -> None: ...

        @samples.late(key="host")
        def late(self, e: Sample) -> None: ...

    assert feeds_of(app) == [
        [Feed("cpu", 3, 10), Feed("all", None, None)],
        [Feed("cpu", 3, 10), Feed("all", None, None), Feed("first", 7, None)],
        [],
        [],
    ]


def test_of_handlers_with_one_stream_and_key_the_first_feeds(app: App) -> None:
    samples = app.stream("samples", Sample)

    class Host(app.Entity):
        cpu: Sliding = Sliding(5, pane=1, of=Sample.value)

        @samples.on(key="host")
        def one(self, e: Sample) -> None: ...

        @samples.on(key="host")
        def two(self, e: Sample) -> None: ...

        @samples.on(key="rack")
        def three(self, e: Sample) -> None: ...

    assert feeds_of(app) == [[Feed("cpu", 3, None)], [], [Feed("cpu", 3, None)]]


def test_no_handler_takes_the_event(app: App) -> None:
    others = app.stream("others", Other)
    samples = app.stream("samples", Sample)

    class Host(app.Entity):
        cpu: Sliding = Sliding(5, pane=1, of=Sample.value)

        @others.on(key="host")
        def other(self, e: Other) -> None: ...

        @samples.late(key="host")
        def late(self, e: Sample) -> None: ...

    with pytest.raises(
        TypeError,
        match=r"Host\.cpu: of=Sample\.value, but no handler of Host takes Sample events",
    ):
        describe()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sliding(5, pane=1, of=5.0), TypeError, "of= is a field of an Event"),
        (lambda: Sliding(5, pane=1, of=App), TypeError, "of= is a field of an Event"),  # type: ignore[arg-type]
        (lambda: Sliding(5, pane=1, of=Event), TypeError, "of= is a field of an Event"),
        (lambda: Tumbling(5, scale=10), TypeError, "scale= goes with of="),
        (lambda: Tumbling(5, of=Sample, scale=10), TypeError, "scale= goes with of="),
        (
            lambda: Tumbling(5, of=Sample.value, scale=0),
            ValueError,
            "scale= is 1 to 1000000000000, not 0",
        ),
        (
            lambda: Session(5, of=Sample.value, scale=SCALE_MAX + 1),
            ValueError,
            "scale= is 1 to",
        ),
        (
            lambda: Session(5, of=Sample.value, scale=1.5),  # type: ignore[arg-type]
            TypeError,
            "scale= is an int, not 1.5",
        ),
        (
            lambda: Sliding(5, pane=1, of=Sample, keep=["sum"]),
            ValueError,
            "of=Sample counts events",
        ),
    ],
)
def test_what_is_no_feed_is_refused(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


def test_the_greatest_scale_is_taken() -> None:
    window: Session[int] = Session(seconds(5), of=Sample.value, scale=SCALE_MAX)
    assert isinstance(window, WindowSpec)


@pytest.mark.parametrize(
    ("annotation", "of", "scale", "message"),
    [
        (Sliding, "value", 10, "scale= makes exact integers: declare it as Sliding"),
        (Sliding[int], "value", None, r"of=Sample\.value is a float; a window of ints"),
        (
            Sliding[int],
            "host",
            None,
            r"Host\.w: of=Sample\.host is str; a window takes numbers",
        ),
        (Sliding, "tags", None, r"of=Sample\.tags is list\[str\] \| None; a window"),
    ],
)
def test_what_does_not_fit_the_window_is_refused(
    app: App, annotation: Any, of: str, scale: int | None, message: str
) -> None:
    window = Sliding(5, pane=1, of=getattr(Sample, of), scale=scale)
    with pytest.raises(TypeError, match=message):

        class Host(app.Entity):
            w: annotation = window


def test_a_body_that_does_nothing_is_known() -> None:
    def empty(self: object, e: object) -> None:
        """Only a docstring."""

    def dots(self: object, e: object) -> None: ...

    def something(self: list[object], e: object) -> None:
        self.append(e)

    def answers(self: object, e: object) -> object:
        return 5

    assert does_nothing(empty)
    assert does_nothing(dots)
    assert not does_nothing(something)
    assert not does_nothing(answers)
    assert not does_nothing(print)


# --- sketches


@pytest.mark.parametrize(
    ("error", "bits"),
    [(1.0, 4), (0.26, 4), (0.1, 7), (0.02, 12), (0.01, 14), (0.0041, 16)],
)
def test_an_error_takes_as_few_registers_as_have_it(error: float, bits: int) -> None:
    window: Any = Tumbling(5, distinct=error)
    assert window.distinct_bits == bits
    assert round(standard_error(bits), 4) <= error
    assert window.keeps == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"distinct": True}, TypeError, "distinct= is the standard error, a float"),
        ({"distinct": 0.004}, ValueError, "distinct= is a standard error of 0.0041 to"),
        ({"distinct": 1.1}, ValueError, "distinct= is a standard error of 0.0041 to"),
        ({"quantiles": 1}, TypeError, "quantiles= is the relative error, a float"),
        (
            {"quantiles": 0.00099},
            ValueError,
            "quantiles= is a relative error of 0.001 to",
        ),
        (
            {"quantiles": 0.101},
            ValueError,
            "quantiles= is a relative error of 0.001 to 0.1",
        ),
        ({"of": Sample, "distinct": 0.1}, ValueError, "say of which field distinct="),
    ],
)
def test_impossible_errors_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Tumbling(5, **arguments)


def test_what_is_kept_beside_sketches_is_said() -> None:
    kept: Any = Sliding(5, pane=1, quantiles=0.001, distinct=0.1, keep=["sum"])
    assert (kept.keeps, kept.quantile_error_ppm) == (1, 1000)


@pytest.mark.parametrize(
    ("annotation", "window", "message"),
    [
        (
            Sliding[str],
            Sliding(5, pane=1),
            r"Host\.w: of str only different values are counted",
        ),
        (
            Sliding[bytes],
            Sliding(5, pane=1, distinct=0.1, quantiles=0.1),
            "of bytes only different values are counted",
        ),
        (
            Sliding[str],
            Sliding(5, pane=1, distinct=0.1, of=Sample.value),
            r"of=Sample\.value is float",
        ),
        (
            Sliding[str],
            Sliding(5, pane=1, distinct=0.1, of=Sample.jobs, scale=3),
            "scale= makes exact integers",
        ),
    ],
)
def test_texts_are_only_counted(
    app: App, annotation: Any, window: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):

        class Host(app.Entity):
            w: annotation = window
