"""Conditions of handlers: what ``when=`` is traced to, and what it refuses."""

from __future__ import annotations

import enum
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from bettong import (
    App,
    Array,
    Event,
    List,
    Record,
    Sliding,
    Stream,
    Tumbling,
    minutes,
)
from bettong._condition import DEPTH_MAX, TERMS_MAX, Term
from bettong._describe import describe, reset

When = Callable[[Any, Any], Any]


class Sample(Event, time="ts"):
    SCALE = 10

    host: str
    ts: int
    value: float
    jobs: int | None = None
    up: bool = False
    maybe: bool | None = None
    note: str | None = None
    raw: bytes = b""
    tags: list[str] = []  # noqa: RUF012


class Point(Record):
    x: float
    name: str = ""
    raw: bytes = b""


class Color(enum.IntEnum):
    RED = 3


def hot(window: Any, limit: int) -> Any:
    return (window.sum > limit * window.count) & (window.count >= 10)


@pytest.fixture
def stream() -> Stream[Sample]:
    reset()
    return App("test").stream("samples", Sample)


def traced(stream: Stream[Any], when: When) -> list[Term]:
    app = App("of it")

    class Host(app.Entity):  # type: ignore[name-defined,misc]
        LIMIT = 700
        n: int
        x: float | None
        on: bool
        text: str
        blob: bytes
        panes: Array[int, 3]
        names: List[str]
        pos: Point = Point(1)
        ints: Tumbling[int] = Tumbling(minutes(5), keep=["sum", "max"])
        floats: Sliding = Sliding(
            minutes(5), pane=minutes(1), keep=["first", "variance"]
        )
        users: Sliding[str] = Sliding(minutes(5), pane=minutes(1), distinct=0.1)

        @property
        def twice(self) -> int:
            return 2 * self.n

        @stream.on(key="host", when=when)
        def sample(self, e: Sample) -> None:
            self.n += 1

    (entity,) = describe().entities
    assert entity is not None
    return entity.handlers[0].when


def spelled(terms: list[Term]) -> str:
    return " ".join(
        ".".join(str(each) for each in (t.kind, t.value, t.part) if each not in ("", None))
        for t in terms
    )  # fmt: skip


@pytest.mark.parametrize(
    ("when", "terms"),
    [
        (lambda self, e: e.value > 5, "event.2 int.5 greater"),
        (lambda self, e: 5 < e.value, "event.2 int.5 greater"),
        (lambda self, e: 5 >= e.value, "event.2 int.5 less_equal"),
        (lambda self, e: e.value == 0.5, "event.2 float.0.5 equal"),
        (lambda self, e: e.jobs != None, "event.3 none not_equal"),
        (lambda self, e: e.up, "event.4"),
        (lambda self, e: e.maybe == True, "event.5 bool.True equal"),
        (lambda self, e: (e.up == False) & self.on, "event.4 bool.False equal field.on and"),
        (lambda self, e: e.host == self.text, "event.0 field.text equal"),
        (lambda self, e: "a" != self.key, "key text.a not_equal"),
        (lambda self, e: e.note == None, "event.6 none equal"),
        (
            lambda self, e: -self.n + 1 < 2 - e.ts * self.x,
            "field.n negate int.1 add int.2 event.1 field.x multiply subtract less",
        ),
        (
            lambda self, e: (self.pos.x > 1) | (self.pos.name == "b"),
            "field.pos.x int.1 greater field.pos.name text.b equal or",
        ),
        (
            lambda self, e: hot(self.ints, self.LIMIT),
            "window.ints.sum int.700 window.ints.count multiply greater window.ints.count int.10 greater_equal and",
        ),
        (
            lambda self, e: self.ints.mean + self.ints.max > self.floats.first - self.floats.variance,
            "window.ints.mean window.ints.max add window.floats.first window.floats.variance subtract greater",
        ),
        (
            lambda self, e: (self.users.start != self.users.end) & (self.users.count > 3),
            "window.users.start window.users.end not_equal window.users.count int.3 greater and",
        ),
        (lambda self, e: self.text == self.ints.name, "field.text text.ints equal"),
        (lambda self, e: self.n == Color.RED, "field.n int.3 equal"),
        (
            lambda self, e: (e.value > 1) + (e.ts > 1) + self.on >= 2,
            "event.2 int.1 greater event.1 int.1 greater add field.on add int.2 greater_equal",
        ),
        (lambda self, e: e.value * e.SCALE > 5, "event.2 int.10 multiply int.5 greater"),
        (lambda self, e: e.ts < (1 << 63) - 1, f"event.1 int.{(1 << 63) - 1} less"),
    ],
)  # fmt: skip
def test_it_is_traced_to_terms(stream: Stream[Sample], when: When, terms: str) -> None:
    assert spelled(traced(stream, when)) == terms


def test_any_plain_function_will_do(stream: Stream[Sample]) -> None:
    def over(limit: int, self: Any, e: Any) -> Any:
        return e.value > limit

    assert (
        spelled(traced(stream, functools.partial(over, 7))) == "event.2 int.7 greater"
    )


def test_it_is_part_of_the_declaration(stream: Stream[Sample]) -> None:
    app = App("of it")

    class Base(app.Entity, abstract=True):
        n: int

        @stream.key_by("host").on(when=lambda self, e: self.n > 1)
        def sample(self, e: Sample) -> None:
            self.n += 1

        @stream.late(key="host", when=lambda self, e: e.value > 1)
        def late(self, e: Sample) -> None:
            self.n += 1

        @stream.key_by("host").late(when=lambda self, e: e.value > 2)
        def later(self, e: Sample) -> None:
            self.n += 1

        @stream.on(key="host")
        def always(self, e: Sample) -> None:
            self.n += 1

    class Host(Base):
        def sample(self, e: Sample) -> None:
            self.n += 2

    (entity,) = describe().entities
    assert entity is not None
    assert [spelled(handler.when) for handler in entity.handlers] == [
        "field.n int.1 greater",
        "event.2 int.1 greater",
        "event.2 int.2 greater",
        "",
    ]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        # What has to be known at once.
        (lambda self, e: e.value > 1 and e.ts > 1, "asks whether e.value > 1 is true, which is not known while it is traced: say & and | instead of and, or, if and in, with parentheses around comparisons, as (a > 1) & (b < 2); a < b < c is (a < b) & (b < c), and not is the opposite comparison"),
        (lambda self, e: self.on or e.up, "asks whether self.on is true"),
        (lambda self, e: not e.up, "asks whether e.up is true"),
        (lambda self, e: 1 < e.value < 5, "asks whether e.value > 1 is true"),
        (lambda self, e: 1 if e.up else 2, "asks whether e.up is true"),
        (lambda self, e: e.ts in (1, 2), "asks whether e.ts == 1 is true"),
        (lambda self, e: max(e.value, 3) > 4, "asks whether e.value < 3 is true"),
        (lambda self, e: self.ints or e.up, "asks whether self.ints is true"),
        # Names.
        (lambda self, e: e.vlaue > 1, "uses e.vlaue, but Sample has no such field; did you mean 'value'?"),
        (lambda self, e: e.cpu > 1, "uses e.cpu, but Sample has no such field; there are host, ts, value, jobs, up, maybe, note, raw, tags"),
        (lambda self, e: self.txt == "", "uses self.txt, but Host has no such field; did you mean 'text'?"),
        (lambda self, e: self.pos.y > 1, "uses self.pos.y, but Point has no such field; there are x, name, raw"),
        # What is no number and no text.
        (lambda self, e: e.tags == "x", "uses e.tags, which is list[str]; of an event's fields a condition reads int, float, bool and str, and of these | None"),
        (lambda self, e: e.raw == "x", "uses e.raw, which is bytes; of an event's fields"),
        (lambda self, e: self.blob == "x", "uses self.blob, which is bytes; of an entity's fields a condition reads int, float, bool and str, and of these | None, records of them, and windows"),
        (lambda self, e: self.panes[0] > 1, "uses self.panes, which is Array[int, 3]; of an entity's fields"),
        (lambda self, e: len(self.names) > 1, "uses self.names, which is List[str]; of an entity's fields"),
        (lambda self, e: self.pos.raw == "x", "uses self.pos.raw, which is bytes; of a record a condition reads"),
        (lambda self, e: self.pos == 1, "uses == of self.pos, a record, of which a condition reads"),
        (lambda self, e: self.pos, "answers self.pos, a record"),
        (lambda self, e: e, "answers e, the event itself"),
        (lambda self, e: e > 1, "uses > of e, the event itself"),
        (lambda self, e: e.value > self, "uses self in e.value > self: it is the Host itself"),
        (lambda self, e: self.twice > 1, "uses self.twice, which is no field of Host"),
        (lambda self, e: self.now > 1, "uses self.now, which is no field of Host"),
        (lambda self, e: self.sample(e), "uses self.sample, which is no field of Host: a condition runs without Python, and reads the entity's fields and its key; what it computes may stand in a function outside of the class, as def hot(w): return w.sum > 5 * w.count"),
        # Windows.
        (lambda self, e: self.ints.min > 1, "uses self.ints.min, which the window does not keep: name min in its keep=; it has count, start, end, sum, mean, max"),
        (lambda self, e: self.floats.mean > 1, "uses self.floats.mean, which the window does not keep: name sum in its keep="),
        (lambda self, e: self.users.sum > 1, "uses self.users.sum, which the window does not keep"),
        (lambda self, e: self.users.distinct > 1, "uses self.users.distinct, an estimate that is worked out only when Python asks for it; of this window a condition reads count, start, end"),
        (lambda self, e: self.ints.quantile(0.5) > 1, "uses self.ints.quantile, an estimate"),
        (lambda self, e: self.ints.add(1), "uses self.ints.add; of this window a condition reads count"),
        (lambda self, e: self.ints.cuont > 1, "uses self.ints.cuont; of this window a condition reads count"),
        (lambda self, e: self.ints > 1, "uses > of self.ints, a window, of which a condition reads count, start, end, sum, mean, max"),
        (lambda self, e: 1 == self.ints, "uses == of self.ints, a window"),
        (lambda self, e: e.value > self.ints, "uses self.ints in e.value > self.ints: it is a window"),
        (lambda self, e: e.up & self.ints, "uses self.ints in e.up & self.ints: it is a window"),
        (lambda self, e: 1 + self.ints > 1, "uses + of self.ints, a window"),
        # Types.
        (lambda self, e: self.text > "a", "computes self.text > 'a': self.text is a text, and + - * < <= > >= are of numbers"),
        (lambda self, e: "a" + self.key == "b", "computes 'a' + self.key: 'a' is a text"),
        (lambda self, e: -self.key == 1, "computes -self.key: self.key is a text"),
        (lambda self, e: self.text == 1, "compares self.text == 1: self.text is a text and 1 is a number, which are never equal"),
        (lambda self, e: e.up != e.host, "compares e.up != e.host: e.up is a bool and e.host is a text"),
        (lambda self, e: e.jobs > None, "computes e.jobs > None: None is neither less nor more; say == None"),
        (lambda self, e: e.value > 1 & e.ts, "uses 1 in 1 & e.ts: it is a number, and & and | are of comparisons and bools; put parentheses around comparisons, as (a > 1) & (b < 2)"),
        (lambda self, e: e.maybe & (e.ts > 1), "uses e.maybe in e.maybe & (e.ts > 1): it may be None; say e.maybe == True"),
        (lambda self, e: e.maybe, "answers e.maybe, which may be None; say e.maybe == True"),
        # Constants.
        (lambda self, e: True, "is always True: a condition compares what the event or the entity has"),
        (lambda self, e: e.jobs is None, "is always False: a condition compares what the event or the entity has; note that `is` compares at once, and == None does not"),
        (lambda self, e: (e.jobs is None) | (e.jobs > 3), "uses the constant False in False | (e.jobs > 3); note that `is`"),
        (lambda self, e: (e.jobs > 3) & True, "uses the constant True in (e.jobs > 3) & True"),
        (lambda self, e: e.ts > 1 << 63, "uses a constant of more than 64 bits in e.ts > 9223372036854775808"),
        (lambda self, e: e.ts > minutes(5), "uses a timedelta in e.ts > datetime.timedelta(seconds=300); constants are int, float, bool, str and None"),
        (lambda self, e: e.host == b"a", "uses a bytes in e.host == b'a'"),
        (lambda self, e: e.host == "\ud800", "uses a text with lone surrogates in"),
        # Answers.
        (lambda self, e: None, "answers None; a condition is a comparison, a bool field, or several of them with & and |"),
        (lambda self, e: e.value + 1, "answers e.value + 1, a number; a condition is a comparison"),
        (lambda self, e: self.text, "answers self.text, a text; a condition is a comparison"),
        (lambda self, e: [e.up], "answers [e.up]; a condition is"),
        # Everything else.
        (lambda self, e: e.value / 2 > 1, "uses / of e.value, a number; a condition has + - * < <= > >= == != & | of numbers, texts and bools"),
        (lambda self, e: 1 // e.ts > 1, "uses // of e.ts"),
        (lambda self, e: e.ts % 2 == 1, "uses % of e.ts"),
        (lambda self, e: 2**e.ts > 1, "uses ** of e.ts"),
        (lambda self, e: e.ts ^ 1, "uses ^ of e.ts"),
        (lambda self, e: ~e.up, "uses ~ (instead of it: == False) of e.up, a bool"),
        (lambda self, e: abs(e.value) > 1, "uses abs() of e.value"),
        (lambda self, e: round(e.value) > 1, "uses round() of e.value"),
        (lambda self, e: int(e.value) > 1, "uses int() of e.value"),
        (lambda self, e: math.sqrt(e.value) > 1, "uses float() of e.value"),
        (lambda self, e: math.floor(e.value) > 1, "uses floor() of e.value"),
        (lambda self, e: e.host.startswith("a"), "uses e.host.startswith: e.host is a text, and a condition runs without Python and calls no methods"),
        (lambda self, e: e.host[0] == "a", "uses [...] of e.host"),
        (lambda self, e: len(e.host) > 1, "uses len() of e.host"),
        (lambda self, e: "a" in e.host, "uses in of e.host"),
        (lambda self, e: f"{e.host}" == "a", "uses an f-string of e.host"),
        (lambda self, e: str(e.ts) == "1", "uses str() of e.ts"),
        (lambda self, e: e.ts in {1, 2}, "uses hash(), as a set, a dict or a cache does of e.ts"),
        (lambda self, e: list(e.host) == [], "uses iteration of e.host"),
        (lambda self, e: [5, 6][e.ts] == 5, "uses an int's place of e.ts"),
        (lambda self, e: e.up(), "uses a call of e.up"),
        (lambda self, e: setattr(self, "n", 1), "assigns self.n, and a condition changes nothing"),
        (lambda self, e: delattr(e, "ts"), "deletes e.ts, and a condition changes nothing"),
        (lambda self, e: e.value > 1 / 0, "raises ZeroDivisionError: division by zero; it is called once, when the app is loaded, with what stands for the entity and the event"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused(
    stream: Stream[Sample], when: When, message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(f"Host.sample: when= {message}")):
        traced(stream, when)


def test_messages_name_the_parameters_as_they_are_named(
    stream: Stream[Sample],
) -> None:
    with pytest.raises(TypeError, match=r"when= uses event\.cpu, but Sample"):
        traced(stream, lambda host, event: event.cpu > host.n)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (lambda e: e.ts > 1, "when= takes (self, event)"),
        (lambda self, e, more: e.ts > 1, "when= takes (self, event)"),
        (5, "samples.on(): when= is a function, as lambda self, e: e.value > 5, not 5"),
    ],
)
def test_what_is_no_function_of_two_is_refused(
    stream: Stream[Sample], when: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        traced(stream, when)


def test_a_generator_is_refused(stream: Stream[Sample]) -> None:
    def when(self: Any, e: Any) -> Any:
        yield e.up

    with pytest.raises(TypeError, match="when= is a plain function of the entity"):
        traced(stream, when)


def of_dicts(when: When) -> list[Term]:
    reset()
    app = App("test")
    plain = app.stream("plain")

    class Host(app.Entity):  # type: ignore[name-defined,misc]
        n: int

        @plain.on(key="host", when=when)
        def sample(self, e: dict[str, Any]) -> None:
            self.n += 1

    (entity,) = describe().entities
    assert entity is not None
    return entity.handlers[0].when


def test_of_events_without_a_class_the_entity_can_be_read() -> None:
    assert spelled(of_dicts(lambda self, e: self.n > 1)) == "field.n int.1 greater"


@pytest.mark.parametrize(
    "when", [lambda self, e: e["x"] > 1, lambda self, e: e.get("x") > 1]
)
def test_events_without_a_class_have_no_fields(when: When) -> None:
    with pytest.raises(
        TypeError,
        match=r"Host\.sample: when= uses .* a dict, as the events of stream 'plain' are: a "
        "condition reads the fields of an event class",
    ):
        of_dicts(when)


@pytest.mark.parametrize("several", [{"batch": 5}, {"columns": True}])
def test_several_events_at_once_have_no_condition(
    stream: Stream[Sample], several: dict[str, Any]
) -> None:
    with pytest.raises(
        TypeError,
        match=r"samples\.on\(\): when= is a condition of one event; a handler of several looks at "
        r"them itself: leave out batch= and columns=, or when=",
    ):
        stream.on(key="host", when=lambda self, e: e.ts > 1, **several)


def test_a_function_has_a_filter_instead(stream: Stream[Sample]) -> None:
    for decorator in (stream.on, stream.late):
        with pytest.raises(
            TypeError,
            match=r"when= is a condition of an entity and an event, and without key= there is no "
            r"entity here: say samples\.filter\(\.\.\.\) instead",
        ):
            decorator(when=lambda self, e: e.ts > 1)


def test_it_has_so_many_terms_and_no_more(stream: Stream[Sample]) -> None:
    def total(e: Any, count: int) -> Any:
        value = e.ts
        for _ in range(count):
            value = value + 1
        return value

    most = TERMS_MAX // 2 - 2
    with pytest.raises(
        TypeError, match=f"when= has more than {TERMS_MAX} operands and operators$"
    ):
        traced(stream, lambda self, e: total(e, most + 1) > 1)
    reset()
    stream = App("test").stream("samples", Sample)
    assert len(traced(stream, lambda self, e: -total(e, most) > 1)) == TERMS_MAX


def test_it_may_be_nested_so_deeply_and_no_more(stream: Stream[Sample]) -> None:
    def nested(e: Any, depth: int) -> Any:
        value = e.ts
        for _ in range(depth - 1):
            value = e.value + value
        return value > 1

    with pytest.raises(
        TypeError,
        match=f"when= is nested too deeply: more than {DEPTH_MAX} operands wait for their",
    ):
        traced(stream, lambda self, e: nested(e, DEPTH_MAX + 1))
    reset()
    stream = App("test").stream("samples", Sample)
    assert traced(stream, lambda self, e: nested(e, DEPTH_MAX))
