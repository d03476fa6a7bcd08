"""Turns: a turn that raises changes nothing, the next sees the state before it, order per key."""

from __future__ import annotations

import json
import threading

import pytest

from apps import with_prelude
from harness import Launcher, Server

pytestmark = pytest.mark.sanitized

TURNS = with_prelude(
    """
    class Thing(app.Entity, ttl=100):
        n: int = 0
        total: float = 0.0
        label: str = "start"
        flag: bool = False
        data: bytes = b""
        maybe: int | None = None
        slots: Array[int, 4]

        @events.on(key="key")
        def take(self, e: In):
            out.emit(what="before", n=self.n, total=self.total, label=self.label, flag=self.flag,
                     data=self.data.hex(), maybe=self.maybe, slots=list(self.slots))
            exec(e.s, {"self": self, "e": e, "out": out})

        def on_create(self):
            out.emit(what="created")

        def on_expire(self):
            out.emit(what="expired")
    """
)

CHANGES = (
    "self.n += 1; self.total += 0.5; self.label += '!'; self.flag = not self.flag; "
    "self.data += b'x'; self.maybe = (self.maybe or 0) + 1; self.slots[self.n % 4] += self.n; "
    "out.emit(what='after')"
)


@pytest.fixture(scope="module")
def turns(launch_shared: Launcher) -> Server:
    return launch_shared(TURNS)


@pytest.mark.parametrize(
    "end",
    [
        "raise ValueError('told to')",
        "1 / 0",
        "self.n = 2**63",
        "self.slots[9] = 1",
        "raise KeyboardInterrupt",
        "raise SystemExit(0)",
        "raise BaseException('base')",
        "self.delete(); raise ValueError('after delete')",
        "self.touch(); raise ValueError('after touch')",
        "self.ttl = 5; raise ValueError('after ttl')",
        "(lambda f: f(f))(lambda f: f(f))",
    ],
)
def test_a_turn_that_raises_changes_nothing(turns: Server, key: str, end: str) -> None:
    outputs = turns.subscribe("out")
    good = {"key": key, "s": CHANGES}
    bad = {"key": key, "s": f"{CHANGES}; {CHANGES}; {end}"}
    # All of them arrive in one piece, so that they are turns of one batch.
    turns.feed(good, bad, bad, good, bad, good, {"key": key})
    received = [outputs.json() for _ in range(8)]
    assert [message["what"] for message in received] == [
        "created",
        *["before", "after"] * 3,
        "before",
    ]
    states = [message for message in received if message["what"] == "before"]
    assert [state["n"] for state in states] == [0, 1, 2, 3]
    assert states[-1] == {
        "what": "before",
        "n": 3,
        "total": 1.5,
        "label": "start!!!",
        "flag": True,
        "data": "787878",
        "maybe": 3,
        "slots": [0, 1, 2, 3],
    }
    assert len(turns.dead_letters(key)) == 3
    assert 0 < turns.redis().ttl(f"thing:{key}") <= 100
    assert turns.redis().ttl(f"thing:{key}") > 10


def test_the_process_outlives_every_kind_of_exception(turns: Server, key: str) -> None:
    kinds = "import sys; sys.exit(3)|raise SystemExit|raise GeneratorExit|raise StopIteration"
    kinds += (
        "|raise MemoryError|assert False|raise Exception('x' * 100000)|raise Exception(b'\\xff')"
    )
    turns.feed(
        *({"key": key, "s": kind} for kind in kinds.split("|")), {"key": key, "s": "self.n = 1"}
    )
    assert len(turns.dead_letters(key)) == len(kinds.split("|"))
    assert turns.redis().hget(f"thing:{key}", "n") == "1"


def test_an_exception_that_cannot_be_shown(turns: Server, key: str) -> None:
    code = (
        "class Odd(Exception):\n"
        "    def __str__(self): raise ValueError('no text')\n"
        "    __repr__ = __str__\n"
        "raise Odd()"
    )
    turns.feed({"key": key, "s": code}, {"key": key, "s": "self.n = 1"})
    (letter,) = turns.dead_letters(key)
    assert "Odd" in letter["traceback"]
    assert turns.redis().hget(f"thing:{key}", "n") == "1"


# -- delete ---------------------------------------------------------------------------------


def test_delete_in_a_turn(turns: Server, key: str) -> None:
    outputs = turns.subscribe("out")
    turns.feed({"key": key, "s": CHANGES}, {"key": key, "s": "self.n = 9; self.delete()"})
    assert [outputs.json()["what"] for _ in range(4)] == ["created", "before", "after", "before"]
    assert turns.redis().exists(f"thing:{key}") == 0
    # The next event finds nobody and makes a fresh one; on_expire was not asked.
    turns.feed({"key": key})
    assert outputs.json() == {"what": "created"}
    assert outputs.json()["n"] == 0


def test_delete_and_the_next_turn_of_the_same_batch(turns: Server, key: str) -> None:
    outputs = turns.subscribe("out")
    delete = {"key": key, "s": "self.delete()"}
    turns.feed({"key": key, "s": CHANGES}, delete, {"key": key, "s": CHANGES}, delete, delete)
    received = [outputs.json() for _ in range(10)]
    assert [message["what"] for message in received] == [
        *["created", "before", "after", "before"],
        *["created", "before", "after", "before"],
        *["created", "before"],
    ]
    assert [m["n"] for m in received if m["what"] == "before"] == [0, 1, 0, 1, 0]
    assert turns.redis().exists(f"thing:{key}") == 0


def test_what_is_emitted_before_a_delete_counts(turns: Server, key: str) -> None:
    outputs = turns.subscribe("out")
    turns.feed({"key": key, "s": "out.emit(what='last words'); self.delete()"})
    assert [outputs.json()["what"] for _ in range(3)] == ["created", "before", "last words"]


# -- order and isolation --------------------------------------------------------------------

SEQUENCE = with_prelude(
    """
    class Seq(app.Entity):
        last: int = 0
        inside: bool = False

        @events.on(key="key")
        def take(self, e: In):
            if e.n != self.last + 1:
                raise ValueError(f"{e.n} after {self.last}")
            self.last = e.n

    class Total(app.Entity):
        n: int = 0

        @events.on(key="s")
        def take(self, e: In):
            self.n += e.n
    """
)


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_events_of_one_connection_are_handled_in_order(launch: Launcher, shards: int) -> None:
    server = launch(SEQUENCE, shards=shards)
    keys, rounds = 50, 200
    server.feed(
        *({"key": f"k{k}", "n": n, "s": "all"} for n in range(1, rounds + 1) for k in range(keys))
    )
    assert server.dead_letters() == []
    client = server.redis()
    assert {client.hget(f"seq:k{k}", "last") for k in range(keys)} == {str(rounds)}
    assert client.hget("total:all", "n") == str(keys * rounds * (rounds + 1) // 2)


def test_connections_do_not_disturb_each_others_order(launch: Launcher) -> None:
    server = launch(SEQUENCE, shards=2)
    rounds = 500

    def send(sender: int) -> None:
        server.feed(*({"key": f"k{sender}", "n": n, "s": "all"} for n in range(1, rounds + 1)))

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert server.dead_letters() == []
    # Six connections wrote one key: not one update was lost.
    assert server.redis().hget("total:all", "n") == str(6 * rounds * (rounds + 1) // 2)


def test_one_turn_at_a_time_whatever_the_door(launch: Launcher) -> None:
    # Events, calls and HINCRBY on one entity, all at once: every one of them counts.
    server = launch(
        with_prelude(
            """
            class Counter(app.Entity):
                n: int = 0

                @events.on(key="key")
                def take(self, e: In):
                    before = self.n
                    for _ in range(50):
                        pass
                    self.n = before + 1

                @app.command
                def add(self):
                    self.n += 1
            """
        )
    )
    server.feed({"key": "k"})
    callers = [server.connect() for _ in range(4)]
    for caller in callers:
        for _ in range(250):
            caller.send("CALL", "counter:k", "add")
            caller.send("HINCRBY", "counter:k", "n", 1)
    server.feed(*({"key": "k"} for _ in range(1_000)))
    for caller in callers:
        for _ in range(500):
            assert not caller.read().is_error
    assert server.redis().hget("counter:k", "n") == str(1 + 4 * 500 + 1_000)


def test_a_failing_key_does_not_disturb_its_neighbours(launch: Launcher) -> None:
    server = launch(TURNS, shards=3)
    outputs = server.subscribe("out")
    events = []
    for n in range(100):
        events.append({"key": f"good{n % 10}", "s": "self.n += 1"})
        events.append({"key": "bad", "s": "self.n += 1; raise ValueError"})
    server.feed(*events)
    client = server.redis()
    assert {client.hget(f"thing:good{n}", "n") for n in range(10)} == {"10"}
    assert client.exists("thing:bad") == 0
    assert len(server.dead_letters()) == 100
    assert all(json.loads(text)["what"] for text in outputs.take(110))
