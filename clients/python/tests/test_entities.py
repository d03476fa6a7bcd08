"""Entity classes outside of a node: how they are made, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

import pytest
from bettong import (
    App,
    Array,
    Entity,
    Event,
    OutsideTurnError,
    StaleEntityError,
    _describe,
    minutes,
)
from bettong.entity import EntityMeta, entity_info, make_stale_class, snake_case


class Sample(Event, time="ts"):
    host: str
    value: float
    ts: int


def fields(cls: Any) -> dict[str, tuple[str, bool, object]]:
    return {
        field.name: (field.type.kind, field.type.optional, field.default)
        for field in entity_info(cls).fields
    }


def test_annotations_become_fields_with_zero_defaults() -> None:
    app = App("test")

    class Host(app.Entity):
        a: int
        b: float = 1.5
        c: bool
        d: str = "x"
        e: bytes
        f: int | None
        g: Array[int, 5]
        h: Array[float, 2] = [1.0, 2]  # noqa: RUF012
        i: Array[int, Literal[3]]
        LIMIT = 700
        OTHER: ClassVar[int] = 5

    assert fields(Host) == {
        "a": ("int", False, 0),
        "b": ("float", False, 1.5),
        "c": ("bool", False, False),
        "d": ("text", False, "x"),
        "e": ("bytes", False, b""),
        "f": ("int", True, None),
        "g": ("array", False, ()),
        "h": ("array", False, (1.0, 2)),
        "i": ("array", False, ()),
    }
    assert Host.LIMIT == 700
    assert app.entities == [Host]


@pytest.mark.parametrize(
    "annotation",
    [
        "list[int]",
        "dict[str, int]",
        "datetime",
        "int | str",
        "Any",
        "Array[int, 5] | None",
        "Sample",
    ],
)
def test_annotations_without_native_type_are_refused_by_name(annotation: str) -> None:
    app = App("test")
    with pytest.raises(TypeError, match=r"Host\.field: "):
        EntityMeta("Host", (app.Entity,), {
            "__module__": __name__, "__qualname__": "Host", "__annotations__": {"field": annotation},
        })  # fmt: skip
    assert app.entities == []


@pytest.mark.parametrize(
    "parameters", [(str, 5), (int, 0), (int, 4097), (int, True), (int,), int]
)
def test_arrays_hold_int_or_float_of_a_fixed_size(parameters: Any) -> None:
    with pytest.raises(TypeError):
        Array[parameters]  # type: ignore[misc]


def test_class_header() -> None:
    app = App("test")

    class HTTPHost(app.Entity, ttl=minutes(10), clock="event"):
        pass

    class Other(app.Entity, ttl=0.5, prefix="o"):
        pass

    assert entity_info(HTTPHost).prefix == "http_host"
    assert entity_info(HTTPHost).ttl_ms == 600_000
    assert entity_info(HTTPHost).clock == "event"
    assert entity_info(Other).ttl_ms == 500
    assert entity_info(Other).prefix == "o"
    for keywords, message in [
        ({"tll": 5}, r"unknown keyword tll=.*did you mean ttl=\?"),
        ({"ttl": "5"}, "ttl= must be a timedelta or seconds, not str"),
        ({"ttl": 0}, "ttl= must be at least a millisecond"),
        ({"ttl": float("inf")}, "out of range"),
        ({"ttl": timedelta(days=-1)}, "at least"),
        ({"clock": "sun"}, 'clock= must be "event" or "wall"'),
        ({"prefix": "a:b"}, "without colon"),
        ({"prefix": ""}, "without colon"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            EntityMeta("Bad", (app.Entity,), {"__module__": __name__}, **keywords)  # type: ignore[arg-type]


def test_snake_case() -> None:
    names = ["Host", "HostPart", "HTTPServer", "Host2Part", "already_snake"]
    assert [snake_case(name) for name in names] == [
        "host", "host_part", "http_server", "host2_part", "already_snake"
    ]  # fmt: skip


def test_reserved_names_and_methods_are_refused() -> None:
    app = App("test")
    for name in ("key", "now", "ttl", "touch", "delete", "on_expire"):
        with pytest.raises(TypeError, match=rf"Host\.{name}: the name is taken"):
            EntityMeta("Host", (app.Entity,), {
                "__module__": __name__, "__annotations__": {name: int},
            })  # fmt: skip
    with pytest.raises(TypeError, match="use on_create"):

        class Host(app.Entity):
            def __init__(self) -> None: ...


def test_an_entity_needs_an_app() -> None:
    with pytest.raises(TypeError, match=r"derive from app\.Entity"):

        class Host(Entity):
            pass

    app = App("test")

    class Other(Entity, app=app):
        pass

    assert app.entities == [Other]


def test_inheritance() -> None:
    app = App("test")
    samples = app.stream("samples", Sample)

    class Base(app.Entity, abstract=True, ttl=5):
        count: int = 1

        @samples.on(key="host")
        def sample(self, e: Sample) -> None: ...

        @app.command
        def reset(self) -> None: ...

    class Host(Base):
        name: str

        def reset(self) -> None: ...

    assert app.entities == [Host]
    assert list(fields(Host)) == ["count", "name"]
    assert entity_info(Host).ttl_ms == 5000
    described = _describe.describe().entities[-1]
    assert [handler.method for handler in described.handlers] == ["sample"]
    assert [command.function for command in described.commands] == [Host.reset]


def test_wrong_default_is_refused() -> None:
    app = App("test")
    for annotation, default in [
        (int, "x"),
        (int, 1.5),
        (int, True),
        (bool, 1),
        (str, None),
    ]:
        with pytest.raises(TypeError, match=r"Host\.field: the default must be"):
            EntityMeta("Host", (app.Entity,), {
                "__module__": __name__, "__annotations__": {"field": annotation}, "field": default,
            })  # fmt: skip


def test_outside_of_a_turn() -> None:
    app = App("test")

    class Host(app.Entity):
        count: int = 0

    entity = Host()
    for use in (
        lambda: entity.key,
        lambda: entity.now,
        lambda: entity.ttl,
        entity.touch,
    ):
        with pytest.raises(OutsideTurnError):
            use()
    with pytest.raises(AttributeError):
        entity.cuont = 1
    entity.__class__ = make_stale_class(Host)
    for name in ("key", "count", "touch"):
        with pytest.raises(StaleEntityError, match="this Host was kept"):
            getattr(entity, name)


def test_commands_are_described() -> None:
    app = App("test")

    class Host(app.Entity):
        @app.command
        def mean(self, digits: int, base: float = 2.0, *rest: str) -> dict[str, float]:
            return {}

        @app.command(create=True)
        def plain(self, text): ...  # type: ignore[no-untyped-def]

    mean, plain = _describe.describe().entities[-1].commands
    assert (mean.name, mean.create, mean.returns) == ("mean", False, "dict[str, float]")
    assert mean.parameters.usage == "digits: int, [base: float], [rest: str ...]"
    assert plain.create
    assert plain.parameters.positional[0].type.kind == "text"

    class Bad(app.Entity):
        @app.command
        def wrong(self, value: complex) -> None: ...

    with pytest.raises(
        TypeError, match=r"Bad\.wrong: argument value: complex is not supported"
    ):
        _describe.describe()


def test_handlers_outside_of_an_entity_class_are_refused() -> None:
    app = App("test")
    samples = app.stream("samples", Sample)

    class Base(app.Entity, abstract=True):
        @samples.on(key="host")
        def unused(self, e: Sample) -> None: ...

    _describe.describe()

    @samples.on(key="host")
    def lost(e: Sample) -> None: ...

    with pytest.raises(
        TypeError, match="lost: handlers with key= are methods of an entity class"
    ):
        _describe.describe()


@pytest.fixture(autouse=True)
def forget_apps() -> None:
    _describe.reset()


def of_kind(kind: str, *, takes_event: bool) -> Any:
    """A fresh function of a kind whose call runs nothing of it."""

    async def coroutine(self: Any, e: Any) -> None: ...
    async def bare_coroutine(self: Any) -> None: ...

    def generator(self: Any, e: Any) -> Any:
        yield e

    def bare_generator(self: Any) -> Any:
        yield self

    if kind == "coroutine":
        return coroutine if takes_event else bare_coroutine
    return generator if takes_event else bare_generator


@pytest.mark.parametrize("what", ["handler", "command", "on_create", "on_expire"])
@pytest.mark.parametrize("kind", ["coroutine", "generator"])
def test_methods_of_which_a_call_runs_nothing_are_refused(what: str, kind: str) -> None:
    """A generator or a coroutine would silently never run."""
    app = App("test")
    samples = app.stream("samples", Sample)
    method = of_kind(kind, takes_event=what == "handler")
    if what == "handler":
        method = samples.on(key="host")(method)
    elif what == "command":
        method = app.command(method)
    name = what if what.startswith("on_") else "run"
    type(app.Entity)("Host", (app.Entity,), {name: method, "__module__": __name__})
    with pytest.raises(TypeError, match=rf"Host.{name}: .* is a plain method"):
        _describe.describe()
