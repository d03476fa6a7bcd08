"""RELOAD while turns rest until they are tried again, and while messages are on their way."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import redis

from apps import with_prelude
from datanode import DataNode
from exposition import parse
from harness import Launcher, Server, eventually, get_page, source_table
from reloads import EVENTS, reload

pytestmark = pytest.mark.sanitized

RESTS = """
from bettong import Retry, hours

class Thing(app.Entity):
    n: int = 0
    {fields}

    @events.on(key="key", on_error=Retry(times=5, backoff=hours(1)))
    def take(self, e: In):
        {body}

    {more}
"""


def app(body: str, fields: str = "", more: str = "") -> str:
    return with_prelude(RESTS.format(body=body, fields=fields, more=more))


FAILS = app(
    "if e.op == 'fail': raise ValueError('old code')\n        self.n += 1",
    more="""
    @app.command
    def first(self) -> int:
        return self.n

    @app.command
    def add(self, by: int) -> int:
        self.n += by
        return self.n
""",
)


def resting(server: Server, keys: int = 1) -> None:
    def rest() -> float:
        return parse(get_page(server, "/metrics"))["bettong_retries_pending"].total()

    eventually(lambda: rest() == keys or None, "the turns rest")


def event(key: str, op: str = "", n: int = 0) -> dict[str, Any]:
    return {"key": key, "op": op, "n": n}


@pytest.mark.parametrize("shards", [1, 3])
def test_the_new_code_tries_at_once_what_rests(launch: Launcher, shards: int) -> None:
    server = launch(FAILS, config=EVENTS, shards=shards)
    client = server.redis()
    keys = [f"k{i}" for i in range(10)]
    # Some are there, others would be created by the turn that rests.
    server.feed(*(event(key) for key in keys[:5]))
    server.source().lines(*(event(key, op) for key in keys for op in ("fail", "", "")))
    resting(server, 10)
    assert client.hget("thing:k0", "n") == "1"
    launch.write_app(
        app("self.n += 10; self.ops += e.op + ';'", "ops: str = ''; pad: Array[int, 60]")
    )
    reload(server)
    for i, key in enumerate(keys):
        n = "31" if i < 5 else "30"
        eventually(lambda k=key, n=n: client.hget(f"thing:{k}", "n") == n or None, key)  # type: ignore[misc]
        assert client.hget(f"thing:{key}", "ops") == "fail;;;"
    assert server.dead_letters() == []
    assert client.delete(*(f"thing:{key}" for key in keys)) == 10


def test_a_turn_rests_on_when_the_new_code_fails_too(launch: Launcher) -> None:
    server = launch(FAILS, config=EVENTS)
    server.source().lines(event("k", "fail"))
    resting(server)
    launch.write_app(FAILS.replace("old code", "new code"))
    reload(server)
    resting(server)
    launch.write_app(app("self.n += 7"))
    reload(server)
    eventually(lambda: server.redis().hget("thing:k", "n") == "7" or None, "the turn")


def test_calls_that_wait_behind_it_go_by_their_names(launch: Launcher) -> None:
    server = launch(FAILS, config=EVENTS)
    server.feed(event("k"))
    server.source().lines(event("k", "fail"))
    resting(server)
    answers: dict[str, Any] = {}

    def call(*args: str) -> None:
        try:
            answers[args[0]] = server.redis().execute_command("CALL", "thing:k", *args)
        except redis.ResponseError as error:
            answers[args[0]] = str(error)

    threads = [threading.Thread(target=call, args=args) for args in (("first",), ("add", "5"))]
    for thread in threads:
        thread.start()
    waiting_calls(server, 2)
    launch.write_app(
        app(
            "self.n += 1",
            more="""
    @app.command
    def another(self) -> int:
        return -1

    @app.command
    def add(self, by: int) -> int:
        self.n += 100 * by
        return self.n
""",
        )
    )
    reload(server)
    for thread in threads:
        thread.join()
    assert answers["add"] == 502
    assert "does not have the method" in answers["first"]


def waiting_calls(server: Server, calls: int) -> None:
    """That many clients wait for an answer to CALL."""
    eventually(
        lambda: (
            sum(each["cmd"] == "call" for each in server.redis().client_list()) >= calls or None
        ),
        "the calls",
    )


def test_what_the_new_code_cannot_take_becomes_a_letter(launch: Launcher) -> None:
    server = launch(FAILS, config=EVENTS)
    server.source().lines(event("k", "fail", 1), event("k", "", 2))
    resting(server)
    launch.write_app(FAILS.replace("def take(", "def other("))
    reload(server)
    letters = server.wait_dead_letters(2)
    assert [json.loads(letter["event"])["n"] for letter in letters] == [1, 2]
    for letter in letters:
        assert "does not have its handler" in letter["error"]
        assert (letter["class"], letter["key"], letter["handler"]) == ("Thing", "k", "take")
    assert server.redis().exists("thing:k") == 0


def test_an_event_of_another_class_is_decoded_anew_by_a_retry(launch: Launcher) -> None:
    server = launch(FAILS, config=EVENTS)
    server.source().lines(event("k", "fail", 41))
    resting(server)
    launch.write_app(
        app("self.n += e.n + e.more").replace(
            "    n: int = 0\n    x", "    n: int = 0\n    more: int = 1\n    x", 1
        )
    )
    reload(server)
    (letter,) = server.wait_dead_letters(1)
    assert "retry the letter" in letter["error"]
    assert server.redis().execute_command("DEADLETTER", "RETRY", "ALL") == 1
    eventually(lambda: server.redis().hget("thing:k", "n") == "42" or None, "the turn")


def test_a_class_whose_only_turns_rest_may_go(launch: Launcher) -> None:
    server = launch(FAILS, config=EVENTS)
    client = server.redis()
    server.source().lines(event("k", "fail"))
    resting(server)
    launch.write_app(app("pass").replace("class Thing", "class Other"))
    reload(server)
    (letter,) = server.wait_dead_letters(1)
    assert letter["class"] == "Thing"
    assert client.exists("thing:k") == 0
    launch.write_app(FAILS)
    reload(server)
    server.feed(event("k"))
    assert client.hget("thing:k", "n") == "1"


def test_a_refused_reload_leaves_what_rests(launch: Launcher) -> None:
    server = launch(FAILS, config=EVENTS)
    server.feed(event("k"))
    server.source().lines(event("k", "fail"))
    resting(server)
    launch.write_app(FAILS.replace("n: int = 0\n", "n: str = ''\n"))
    with pytest.raises(redis.ResponseError, match="nothing has changed"):
        server.redis().execute_command("RELOAD")
    resting(server)
    launch.write_app(app("self.n += 7"))
    reload(server)
    eventually(lambda: server.redis().hget("thing:k", "n") == "8" or None, "the turn")


@pytest.mark.parametrize("logged", [False, True], ids=["memory", "log"])
def test_messages_go_to_the_new_code(launch: Launcher, node: DataNode, logged: bool) -> None:
    walk = with_prelude("""
class First(app.Entity):
    n: int = 0

    @events.on(key="key")
    def take(self, e: In):
        Walker["w" + self.key].step(0)

class Walker(app.Entity):
    n: int = 0

    def step(self, at: int) -> None:
        assert at == self.n
        self.n += 1
        Walker[self.key].step(self.n)
""")
    start = node if logged else launch
    server = start(walk, config=EVENTS, shards=3)
    client = server.redis()
    for i in range(5):
        client.xadd("events", {"key": str(i), "op": "", "n": 0, "x": 0, "s": ""})
    eventually(lambda: int(client.hget("walker:w0", "n") or 0) > 100 or None, "steps")
    # Another class comes before it: the ids must hold.
    walk = walk.replace("class First", "class Before(app.Entity):\n    z: int = 0\n\nclass First")
    for _ in range(5):
        reload(server)
    launch.write_app(walk.replace("Walker[self.key].step(self.n)", "out.emit(n=self.n)"))
    heard = server.subscribe("out")
    reload(server)
    ends = sorted(heard.json()["n"] for _ in range(5))
    assert ends == sorted(int(client.hget(f"walker:w{i}", "n")) for i in range(5))
    assert server.dead_letters() == []


def window(client: Any) -> tuple[int, float]:
    (text,) = client.execute_command("HMGET", "thing:k", "window")
    shown = json.loads(text)
    return shown["count"], shown["sum"]


def test_turns_of_several_events_and_fed_windows_change_hands(launch: Launcher) -> None:
    several = with_prelude("""
from bettong import Sliding, minutes

class Timed(Event, time="at"):
    key: str
    at: int
    x: float

timed = app.stream("timed", Timed)

class Thing(app.Entity):
    n: int = 0
    window: Sliding = Sliding(minutes(5), pane=minutes(1), of=Timed.x)

    @timed.on(key="key", batch=16)
    def take(self, batch: list[Timed]):
        self.n += len(batch)
""")
    server = launch(several, config=source_table("timed", "timed"))
    client = server.redis()
    server.feed(*({"key": "k", "at": 5000, "x": 1.5} for _ in range(100)), source="timed")
    assert client.hget("thing:k", "n") == "100"
    single = several.replace(", batch=16", "").replace("batch: list[Timed]", "e: Timed")
    launch.write_app(single.replace("len(batch)", "1000"))
    reload(server)
    server.feed(*({"key": "k", "at": 5000, "x": 1.5} for _ in range(10)), source="timed")
    assert client.hget("thing:k", "n") == "10100"
    launch.write_app(several)
    reload(server)
    server.feed(*({"key": "k", "at": 5000, "x": 1.5} for _ in range(100)), source="timed")
    assert client.hget("thing:k", "n") == "10200"
    (count, total) = window(client)
    assert (count, total) == (210, 315.0)


def test_a_rate_limit_remembers_what_it_has_let_through(launch: Launcher) -> None:
    limited = with_prelude("""
from bettong import Rate, hours

class Thing(app.Entity):
    n: int = 0

    @events.on(key="key", limit=Rate(3, per=hours(1)))
    def take(self, e: In):
        self.n += 1
""")
    server = launch(limited, config=EVENTS)
    server.feed(*({"key": "k"} for _ in range(2)))
    launch.write_app(
        limited.replace("n: int = 0\n\n", "n: int = 0\n    m: int = 0\n\n").replace("+= 1", "+= 10")
    )
    reload(server)
    server.feed(*({"key": "k"} for _ in range(5)))
    assert server.redis().hget("thing:k", "n") == "12"
