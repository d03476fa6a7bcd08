"""Messages from one entity to another: Account["bob"].credit(30)."""

from __future__ import annotations

from pathlib import Path

import pytest
from bettong.testing import TestGrid

from apps import with_prelude
from documentation import blocks
from grids import Grids
from harness import (
    ANY_PORTS,
    Launcher,
    Server,
    eventually,
    file_sink_table,
    json_lines,
    source_table,
)

pytestmark = pytest.mark.sanitized

BANK = """
    from bettong import List
    class Point(Event):
        x: int
        y: int = 7

    class Account(app.Entity):
        balance: int
        seen: List[str]

        def credit(self, amount: int, note: str = "", *rest: int):
            self.balance += amount
            self.seen.append(note)
            out.emit(key=self.key, balance=self.balance, note=note, rest=rest)

        def fails(self, amount: int):
            self.balance += amount
            raise ValueError("not today")

        def typed(self, at: Point, ratio: float, names: list[str], flag: bool | None = None):
            assert isinstance(at, Point) and type(ratio) is float
            out.emit(x=at.x, y=at.y, ratio=ratio, names=names, flag=flag)

        def anything(self, value):
            out.emit(value=value)

        def raw(self, value: bytes):
            out.emit(value=repr(value))

        def strange(self, value: set):
            pass

        def keywords(self, *, needed: int, extra=None):
            out.emit(needed=needed, extra=extra)

        def many(self, **rest):
            pass

        async def later(self):
            pass

        def bounce(self, left: int):
            self.balance += 1
            if left:
                Account[self.key].bounce(left - 1)

    class Desk(app.Entity):
        n: int

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            exec(e.s, globals() | {"self": self, "e": e})
            if e.op == "raise":
                raise ValueError("told to")
"""


@pytest.fixture
def bank(grids: Grids) -> TestGrid:
    return grids(BANK)


def desk(bank: TestGrid, code: str, op: str = "") -> None:
    bank.send("events", {"key": "d", "s": code, "op": op})


def test_a_message_runs_a_method_of_another_entity(bank: TestGrid) -> None:
    desk(bank, "assert Account['bob'].credit(30, 'rent') is None")
    assert bank.outputs("out") == [{"key": "bob", "balance": 30, "note": "rent", "rest": []}]
    account = bank.entity("account:bob")
    assert account is not None
    assert account.balance == 30


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("Account[7].credit(1)", {"key": "7", "balance": 1, "note": "", "rest": []}),
        ("Account[b'b'].credit(1)", {"key": "b", "balance": 1, "note": "", "rest": []}),
        ("Account['ü:{x}'].credit(1, note='ß\\n')",
         {"key": "ü:{x}", "balance": 1, "note": "ß\n", "rest": []}),
        ("Account['k'].credit(-2**63, 'x', 1, 2)",
         {"key": "k", "balance": -(2**63), "note": "x", "rest": [1, 2]}),
        ("Account['k'].credit(note='n', amount=2)",
         {"key": "k", "balance": 2, "note": "n", "rest": []}),
        ("Account['k'].typed(Point(x=1), 2, ('a', 'b'))",
         {"x": 1, "y": 7, "ratio": 2.0, "names": ["a", "b"], "flag": None}),
        ("Account['k'].typed({'x': 1, 'y': 2}, ratio=0.5, names=[], flag=True)",
         {"x": 1, "y": 2, "ratio": 0.5, "names": [], "flag": True}),
        ("Account['k'].anything({'a': [1, None, {'b': 0.5}]})",
         {"value": {"a": [1, None, {"b": 0.5}]}}),
        ("Account['k'].raw(b'x')", {"value": "b'x'"}),
        ("Account['k'].keywords(needed=1)", {"needed": 1, "extra": None}),
        ("Account['k'].keywords(extra=[2], needed=1)", {"needed": 1, "extra": [2]}),
        ("send = Account['k'].anything; send(1)", {"value": 1}),
    ],
)  # fmt: skip
def test_keys_and_arguments_arrive(bank: TestGrid, code: str, output: object) -> None:
    desk(bank, code)
    assert bank.outputs("out") == [output]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("Account['k'].nothing()", "AttributeError: Account[...].nothing: the class has no such"),
        ("Account['k'].balance", "AttributeError: Account[...].balance: the class has no such"),
        ("Account['k']()", "TypeError: Account['k'] is the address of an entity"),
        ("Account['k'].credit()", "TypeError: Account.credit() takes amount: int, [note: str]"
         ", [rest: int ...]; amount is missing"),
        ("Account['k'].fails(1, 2)", "TypeError: Account.fails() takes amount: int; 2 arguments"),
        ("Account['k'].fails(1, amount=2)", "amount is given twice"),
        ("Account['k'].fails(1, more=2)", "more= is none of them"),
        ("Account['k'].strange(1)", "cannot be sent: Account.strange: argument value:"),
        ("Account['k'].keywords(1)", "takes needed: int, [extra: Any]; 1 argument"),
        ("Account['k'].keywords(extra=1)", "takes needed: int, [extra: Any]; needed is missing"),
        ("Account['k'].many(a=1)", "cannot be sent: Account.many: a message cannot pass **rest"),
        ("Account['k'].later()", "cannot be sent: Account.later: what a message runs is a plain"),
        ("Account['k'].anything(object())", "Account.anything(): argument [0] is of a type that"),
        ("Account['k'].anything(value=float('nan'))", "Account.anything(): argument value is nan"),
        ("Account[''].credit(1)", "ValueError: Account[...]: a key has 1 to 65536 bytes, not 0"),
        ("Account['x' * 65537].credit(1)", "a key has 1 to 65536 bytes, not 65537"),
        ("Account[1.5].credit(1)", "TypeError: Account[...]: a key is str, int or bytes"),
        ("Account[True].credit(1)", "a key is str, int or bytes, not bool"),
        ("Account[b'\\xff'].credit(1)", "UnicodeDecodeError"),
        ("app.Entity['k'].credit(1)", "OutsideTurnError: Entity[...] sends messages"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_fails_the_sender(bank: TestGrid, code: str, error: str) -> None:
    desk(bank, code)
    (letter,) = bank.dead_letters()
    assert error in letter.error
    assert letter.handler == "take"
    assert bank.outputs("out") == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("Account['k'].fails(5)", "ValueError: not today"),
        ("Account['k'].fails('x')",
         "Account.fails() takes amount: int; it must be int, not text (amount)"),
        ("Account['k'].fails(2**64)", "the message has a number of more than 64 bits"),
        ("Account['k'].typed({'y': 1}, 1.0, [])", ".x is missing (at)"),
    ],
)  # fmt: skip
def test_what_fails_at_the_receiver_is_a_dead_letter(bank: TestGrid, code: str, error: str) -> None:
    desk(bank, code)
    (letter,) = bank.dead_letters()
    assert error in letter.error
    assert (letter.stream, letter.entity_class, letter.key) == ("bettong:messages", "Account", "k")
    assert letter.handler == code.split(".")[1].split("(")[0]
    assert bank.entity("account:k") is None


def test_a_turn_that_fails_sends_nothing(bank: TestGrid) -> None:
    desk(bank, "Account['bob'].credit(30)", op="raise")
    assert len(bank.dead_letters()) == 1
    assert bank.entity("account:bob") is None


def test_messages_keep_the_order_they_were_sent_in(bank: TestGrid) -> None:
    desk(bank, "for i in range(500): Account['ab'[i % 2]].credit(1, str(i))")
    seen = [output["note"] for output in bank.outputs("out")]
    for half in (0, 1):
        assert [n for n in seen if int(n) % 2 == half] == [str(i) for i in range(half, 500, 2)]


def test_an_entity_may_send_to_itself(bank: TestGrid) -> None:
    desk(bank, "Account['k'].bounce(9)")
    account = bank.entity("account:k")
    assert account is not None
    assert account.balance == 10


def test_messages_refresh_and_come_from_every_kind_of_turn(grids: Grids) -> None:
    grid = grids("""
        class Log(app.Entity):
            def note(self, text: str):
                out.emit(text=text)

        class Host(app.Entity, ttl=10):
            @events.on(key="key")
            def take(self, e: In):
                self.after(3, self.quiet)

            def on_create(self):
                Log["log"].note("create")

            def quiet(self):
                Log["log"].note("timer")

            def on_expire(self):
                Log["log"].note("expire")

            def stay(self):
                Log["log"].note("stay")

            @app.command
            def call(self):
                Log["log"].note("call")

        class Friend(app.Entity):
            @app.command(create=True)
            def wake(self, host: str):
                Host[host].stay()
    """)

    def texts() -> list[str]:
        return [output["text"] for output in grid.outputs("out")]

    grid.send("events", {"key": "h"})
    grid.call("host:h", "call")
    assert texts() == ["create", "call"]
    grid.advance(9)
    assert texts() == ["timer"]
    grid.call("friend:f", "wake", "h")
    grid.advance(9)  # 18 s after the event: the message has refreshed it
    assert texts() == ["stay"]
    grid.advance(2)
    assert texts() == ["expire"]


def test_a_message_carries_event_time(grids: Grids) -> None:
    grid = grids("""
        class Reading(Event, time="ts"):
            key: str
            ts: int

        readings = app.stream("readings", Reading)

        class Sensor(app.Entity):
            @readings.on(key="key")
            def take(self, e: Reading):
                Room["r"].noted()

        class Room(app.Entity, ttl=10, clock="event"):
            n: int

            @readings.on(key="key")
            def take(self, e: Reading):
                pass

            def noted(self):
                self.n += 1
                out.emit(n=self.n)
    """)
    for ts in (0, 10_000, 20_001):
        grid.send("readings", {"key": "s", "ts": ts})
    # The third came 10.001 s of event time after the second: another life.
    assert [output["n"] for output in grid.outputs("out")] == [1, 2, 1]


def test_the_page_does_what_it_says(launch: Launcher) -> None:
    (block,) = blocks("docs/messages.md", "python")
    server = launch(block.text, config=source_table("orders", "orders"))
    orders = [("ann", "bob", 30), ("bob", "eve", 125), ("bob", "ann", 6), ("ann", "bob", 70)]
    for payer, payee, cents in orders:
        server.feed({"payer": payer, "payee": payee, "cents": cents}, source="orders")
    with server.redis() as client:
        cents = {who: client.hget(f"account:{who}", "cents") for who in ("ann", "bob", "eve")}
        assert cents == {"ann": "0", "bob": "75", "eve": "225"}
        assert client.hmget("ledger:all", "orders", "moved") == ["3", "225"]


CROWD = with_prelude(
    """
    from bettong import Map

    class Sender(app.Entity):
        n: int

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            for to in range(3):
                Receiver[f"r{(hash_of(self.key) + to) % 7}"].get(self.key, self.n, to)

    def hash_of(key: str) -> int:
        return sum(key.encode())

    class Receiver(app.Entity):
        last: Map[str, int]

        def get(self, sender: str, n: int, to: int):
            assert self.last.get(sender, 0) + 1 == n, (self.key, sender, self.last.get(sender), n)
            self.last[sender] = n
            out.emit(sender=sender, n=n, to=to)
    """
)


def test_they_arrive_once_and_in_order_through_kills(launch: Launcher, tmp_path: Path) -> None:
    sink = tmp_path / "out.jsonl"
    config = source_table("events", "events") + file_sink_table("out", "out", sink)
    arguments = [
        launch.write_app(CROWD), "-c", launch.write_config(config), "--shards", "3", *ANY_PORTS,
        "--data", tmp_path / "data",
    ]  # fmt: skip
    server = Server(*arguments, cwd=tmp_path)
    launch.servers.append(server)
    for life in range(1, 5):
        # What is on its way when the process dies has not been logged and never was, or it has.
        client = server.source("events").lines(*({"key": f"s{i % 11}"} for i in range(3300)))
        eventually(
            lambda size=life * 300: sink.exists() and sink.read_text().count("\n") >= size,
            "some messages",
        )
        server.kill()
        client.close()
        server = Server(*arguments, cwd=tmp_path)
        launch.servers.append(server)
    server.feed({"key": "s0"})
    connection = server.connect()
    expected = {
        (f"s{i}", n, to)
        for i in range(11)
        for n in range(1, int(connection.call("HGET", f"sender:s{i}", "n") or 0) + 1)
        for to in range(3)
    }
    eventually(lambda: sink.read_text().count("\n") >= len(expected), "all messages")
    got = [tuple(line.values()) for line in json_lines(sink.read_text())]
    assert len(got) == len(expected) > 1200
    assert set(got) == expected
    assert server.dead_letters() == []
