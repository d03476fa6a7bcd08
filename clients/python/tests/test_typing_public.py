"""Every public name in programs as users write them, under mypy --strict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("mypy")

import bettong
import bettong.testing
from test_typing import run_mypy

APP = """
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bettong import (
    App, Array, Columns, Counter, Duration, Entity, Event, HandlerTimeout, Key, List, Map, OutsideTurnError,
    Rate, Record, Retry, Ring, Session, Set, Sliding, StaleEntityError, Stream, Tumbling,
    days, hours, milliseconds, minutes, seconds,
)
from bettong.windows import Window

app = App("shop")
LIFE: Duration = hours(2)

class Place(Record):
    street: str
    number: int = 1

class Item(Event):
    name: str
    cents: int

class Order(Event, time="ts"):
    user: str
    ts: int
    items: list[Item]
    first: Item | None = None
    tags: dict[str, Any] = {}
    paid: bool = False

def places(order: Order) -> Iterable[Key]:
    return [order.user, 5, b"raw"]

orders = app.stream("orders", Order, max_age=days(1), lateness=seconds(5), late="dead-letter")
checks = app.stream("checks")

class User(app.Entity, ttl=LIFE, clock="event", prefix="u", timers=True):
    n: int
    mean: float
    vip: bool = False
    name: str = "nobody"
    photo: bytes = b""
    note: str | None
    slots: Array[int, 24]
    weights: Array[float, 2]
    home: Place
    recent: Ring[int] = Ring(10)
    path: List[Place] = List(max=100)
    prices: Map[str, float]
    seen: Set[int]
    hits: Counter = Counter(max=10)
    load: Sliding[int] = Sliding(minutes(5), pane=minutes(1), keep=["sum"], close=False)
    spent: Tumbling = Tumbling(minutes(5))
    visit: Session[int] = Session(milliseconds(1500))

    @orders.on(key="user")
    def order(self, order: Order) -> None:
        reveal_type(order.user)  # str
        reveal_type(order.items[0].cents)  # int
        reveal_type(order.first)  # app.Item | None
        reveal_type(order.tags)  # dict[str, Any]
        reveal_type(self.n)  # int
        reveal_type(self.mean)  # float
        reveal_type(self.vip)  # bool
        reveal_type(self.photo)  # bytes
        reveal_type(self.note)  # str | None
        reveal_type(self.weights.max())  # float
        reveal_type(self.weights.tolist())  # list[float]
        reveal_type([v for v in self.slots])  # list[int]
        reveal_type(self.home.street)  # str
        reveal_type(self.recent.maxlen)  # int
        reveal_type(self.recent + [1])  # list[int]
        reveal_type(self.path[0].number)  # int
        reveal_type(self.prices.setdefault("a", 1.5))  # float
        reveal_type(self.prices.popitem())  # tuple[str, float]
        reveal_type(self.prices | {"b": 2})  # dict[str, float]
        reveal_type(self.seen.pop())  # int
        reveal_type(self.seen.union([1]))  # set[int]
        reveal_type(self.seen & {1})  # typing.AbstractSet[int]
        reveal_type(self.hits.get("x"))  # int | None
        reveal_type(self.load.sum)  # int
        reveal_type(self.spent.sum)  # float
        reveal_type(self.spent.variance)  # float | None
        reveal_type(self.visit.first)  # int | None
        reveal_type(self.visit.end)  # int | None
        reveal_type(self.cancel("later"))  # bool
        reveal_type(self.timers)  # dict[str, int]
        reveal_type(self.key)  # str
        reveal_type(self.now)  # int
        reveal_type(self.ttl)  # float | None
        self.after(minutes(1), self.remind, 5, name="later")
        self.at(self.now + 1000, "remind", 5)
        self.cancel(self.remind)
        self.ttl = LIFE
        self.ttl = None
        self.delete()
        self.load.add(1)
        self.path.sort(key=lambda place: place.number)
        orders.emit(Order(user="ann", ts=1, items=[Item(name="tea", cents=5)]))
        orders.emit({"user": "ann"})
        orders.emit(user="ann", ts=1)
        checks.emit({"a": 1})

    @orders.late(key=places)
    def late(self, order: Order) -> None:
        try:
            self.n += 1
        except (HandlerTimeout, StaleEntityError, OutsideTurnError):
            raise

    @checks.on(key=lambda check: str(check["user"]))
    def check(self, check: dict[str, Any]) -> None: ...

    @orders.on(key="user", batch=100, on_error=Retry(times=3, backoff=seconds(2)))
    def several(self, some: list[Order]) -> None:
        reveal_type(some[0].paid)  # bool

    @orders.on(key="user", columns=True)
    def columns(self, c: Columns[Order]) -> None:
        reveal_type(len(c))  # int
        self.mean = float(c.ts.mean())

    @checks.on(key="user", limit=Rate(5, per=seconds(1)), over="dead-letter")
    def some(self, check: dict[str, Any]) -> None:
        User["ann"].remind(3)

    def remind(self, n: int) -> None:
        self.touch()

    def on_create(self) -> None: ...

    def on_expire(self) -> None: ...

    def on_close(self, window: Window[Any]) -> None:
        reveal_type(window.name)  # str
        reveal_type(window.start)  # int | None
        reveal_type(window.count)  # int

    @app.command
    def favourites(self, n: int = 3, *rest: str, by: float = 1.0) -> list[tuple[str, int]]:
        return self.hits.most_common(n)

class Vip(User, abstract=True):
    level: int = 0

def read(user: User, vip: Vip, stream: Stream[Order], entity: Entity) -> None:
    reveal_type(user.favourites(3, "a", by=2.0))  # list[tuple[str, int]]
    reveal_type(vip.n + vip.level)  # int
    reveal_type(stream.name)  # str
    reveal_type(entity.key)  # str
    reveal_type(app.stream("orders", Order))  # bettong.stream.Stream[app.Order]
    reveal_type(app.stream("checks"))  # bettong.stream.Stream[dict[str, Any]]
    reveal_type(User.order)  # def (self: app.User, order: app.Order)
"""

CHAINS = """
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bettong import App, Columns, Event, KeyedStream, Pipeline

app = App("chains")

class Celsius(Event, time="ts"):
    host: str
    ts: int
    value: float

class Fahrenheit(Event):
    host: str
    value: float

celsius = app.stream("celsius", Celsius)
fahrenheit = app.stream("fahrenheit", Fahrenheit)
loose = app.stream("loose")

def valid(e: Celsius) -> bool:
    return e.value > -274

def to_fahrenheit(e: Celsius) -> Fahrenheit:
    return Fahrenheit(host=e.host, value=e.value * 1.8 + 32)

def twice(e: Fahrenheit) -> Iterator[dict[str, Any]]:
    yield {"host": e.host}

@celsius.on(on_error="skip")
def single(e: Celsius) -> None: ...

@celsius.on(batch=5)
def several(some: list[Celsius]) -> None: ...

@celsius.on(columns=True)
def columns(c: Columns[Celsius]) -> None: ...

@celsius.late()
def late(e: Celsius) -> None: ...

reveal_type(celsius.filter(valid))  # bettong.pipeline.Pipeline[app.Celsius]
reveal_type(celsius.map(to_fahrenheit))  # bettong.pipeline.Pipeline[app.Fahrenheit]
reveal_type(celsius.map(lambda e: e.value))  # bettong.pipeline.Pipeline[float]
chain: Pipeline[Fahrenheit] = celsius.filter(valid).map(to_fahrenheit)
reveal_type(chain.to(fahrenheit))  # bettong.stream.Stream[app.Fahrenheit]
reveal_type(chain.flat_map(twice))  # bettong.pipeline.Pipeline[dict[str, Any]]
reveal_type(chain.flat_map(twice).to(loose, on_error="skip"))  # bettong.stream.Stream[dict[str, Any]]
reveal_type(chain.flat_map(twice).to(fahrenheit))  # bettong.stream.Stream[app.Fahrenheit]
keyed: KeyedStream[Fahrenheit] = chain.to(fahrenheit).key_by("host")
by_function = fahrenheit.key_by(lambda e: e.host)

class Host(app.Entity):
    @keyed.on(batch=5)
    def take(self, some: list[Fahrenheit]) -> None: ...
"""

CHAIN_MISTAKES = """
from bettong import App, Event

app = App("chains")

class A(Event):
    n: int

class B(Event):
    n: int

a = app.stream("a", A)
b = app.stream("b", B)

def back(e: B) -> A:
    return A(n=e.n)

def number(e: A) -> int:
    return e.n

a.map(back)  # "map" of "Stream" has incompatible type
b.map(back).to(b)  # to "to" of "Pipeline"
a.map(lambda e: e.m)  # has no attribute "m"
a.flat_map(number)  # "flat_map" of "Stream" has incompatible type
"""

CLIENT = """
from __future__ import annotations

import sqlite3

from bettong import (
    BufferFull, NotDurable, Output, ProtocolViolation, Receiver, Sender, SenderDenied, SenderFenced,
    SenderRefused, StoreError, StreamClosed, StreamError, VersionMismatch,
)

def send() -> None:
    with Sender("127.0.0.1:9000", source="s", token="t", when_full="raise") as sender:
        try:
            reveal_type(sender.send({"a": 1}))  # int
        except (BufferFull, NotDurable, StreamClosed, SenderDenied, SenderFenced) as error:
            reveal_type(error.args)  # tuple[Any, ...]
        except (VersionMismatch, ProtocolViolation, SenderRefused, StreamError):
            raise
        reveal_type(sender.flush(timeout=1))  # bool
        reveal_type(sender.durable)  # int
        reveal_type(sender.connected)  # bool
        reveal_type(sender.trouble)  # str

def receive() -> None:
    with Receiver("127.0.0.1:0", store="positions.sqlite") as receiver:
        reveal_type(receiver.address)  # str
        reveal_type(receiver.connection)  # sqlite3.Connection
        for output in receiver:
            reveal_type(output.event)  # Any
            reveal_type(output.sequence)  # int
        polled: Output | None = receiver.poll(timeout=0)
        try:
            receiver.commit()
        except StoreError:
            raise

def of(output: Output) -> sqlite3.Connection | None:
    return None
"""

TESTS = """
from __future__ import annotations

from bettong.testing import (
    DEFAULT_START, AppError, CommandError, DeadLetter, EngineNotFound, EntityView, GridError,
    ScenarioError, ScenarioMismatch, TestGrid, UnreadDeadLetters, run_scenario,
)

def test_it() -> None:
    with TestGrid("app.py", start=DEFAULT_START, shards=2) as grid:
        grid.send("orders", [{"user": "ann"}, "raw"])
        grid.advance(5)
        grid.advance_to(grid.now + 1)
        reveal_type(grid.now)  # int
        reveal_type(grid.entity("u:ann"))  # bettong.testing.views.EntityView | None
        reveal_type(grid.outputs("checks"))  # list[dict[str, Any]]
        reveal_type(grid.drain())  # dict[str, list[dict[str, Any]]]
        reveal_type(grid.dead_letters()[0].error)  # str
        reveal_type(grid.watermark("orders"))  # int | None
        grid.call("u:ann", "favourites", 3)
        grid.command("HGETALL", "u:ann")

def run(letter: DeadLetter, view: EntityView) -> None:
    reveal_type(letter.traceback)  # str
    reveal_type(view.key)  # str
    try:
        run_scenario("a.events.jsonl", "app.py")
    except (AppError, CommandError, EngineNotFound, ScenarioError, UnreadDeadLetters) as error:
        raise GridError from error
    except ScenarioMismatch:
        raise
"""

PROGRAMS = {"app": APP, "chains": CHAINS, "client": CLIENT, "tests": TESTS}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_users_is_strictly_typed(tmp_path: Path, name: str) -> None:
    source = PROGRAMS[name]
    output = run_mypy(tmp_path, source, plugin=True)
    assert ": error:" not in output, output
    expected = re.findall(r"reveal_type\(.*\)  # (.+)", source)
    assert re.findall(r'Revealed type is "(.+)"', output) == expected


def test_steps_that_do_not_fit_are_mistakes(tmp_path: Path) -> None:
    output = run_mypy(tmp_path, CHAIN_MISTAKES, plugin=True)
    lines = CHAIN_MISTAKES.split("\n")
    for number, line in enumerate(lines, 1):
        if "  # " in line:
            error = re.search(rf"app.py:{number}: error: (.*)", output)
            assert error and line.split("  # ")[1] in error[1], output
    assert output.count(": error:") == CHAIN_MISTAKES.count("  # "), output


def test_the_programs_use_every_public_name() -> None:
    used = set(re.findall(r"\w+", "".join(PROGRAMS.values())))
    assert set(bettong.__all__) - used == set()
    assert set(bettong.testing.__all__) - used == set()


def test_what_is_public_has_a_docstring() -> None:
    for module in (bettong, bettong.testing):
        for name in module.__all__:
            value = getattr(module, name)
            assert not callable(value) or value.__doc__, name
