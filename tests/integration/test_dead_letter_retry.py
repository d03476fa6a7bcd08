"""Dead letters are run again: DEADLETTER RETRY, and `bettong dead-letters retry`."""

from __future__ import annotations

import re
from typing import Any

import pytest

from apps import with_prelude
from datanode import DataNode
from harness import DEADLINE_S, Launcher, Server, eventually, run_bettong, source_table
from resp import Connection, RespError

EVENTS = source_table("events", "events")

# What fails does so until `Gate` is opened by a command.
APP = with_prelude(
    """
    class State:
        open = False

    class Point(Event):
        key: str
        x: int

    points = app.stream("points", Point)

    def keys(e):
        if not State.open:
            raise KeyError("closed")
        return [e["a"], e["b"]]

    loose = app.stream("loose")

    class Thing(app.Entity):
        n: int = 0
        log: str = ""

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "send":
                Thing[e.s].credit(7, why="sent")
            elif e.op == "timer":
                self.after(0, self.ring, "a", 2.5)
            elif e.op == "exit":
                self.delete()
            else:
                self.check()
            self.n += 1
            self.log += e.s

        @events.on(key="key")
        def second(self, e: In):
            if e.op == "both":
                self.check()
                self.log += "2"

        @points.on(key="key")
        def point(self, e: Point):
            self.n += e.x

        @loose.on(key=keys)
        def keyed(self, e: dict):
            self.n += 1

        def credit(self, n: int, why: str = ""):
            self.check()
            self.n += n
            self.log += why

        def ring(self, text: str, x: float):
            self.check()
            self.log += f"{text}{x}"

        def on_expire(self):
            raise ValueError("never")

        def check(self):
            if not State.open:
                raise ValueError("closed")

    class Door(app.Entity):
        @app.command(create=True)
        def set(self, open: bool):
            State.open = open
    """
)
SOURCES = EVENTS + source_table("points", "points") + source_table("loose", "loose")


@pytest.fixture
def server(launch: Launcher) -> Server:
    return launch(APP, "--shards", "3", config=SOURCES)


def ask(server: Server, *command: str) -> Any:
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        return connection.call("DEADLETTER", *command)


def open_door(server: Server) -> None:
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        connection.call("CALL", "door:d", "set", "true")


def ids(server: Server, *options: str) -> list[str]:
    return [letter[letter.index("id") + 1] for letter in ask(server, "LIST", *options)]


def field(server: Server, key: str, name: str) -> str | None:
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        value: str | None = connection.call("HGET", f"thing:{key}", name)
        return value


def comes_to(server: Server, key: str, name: str, value: str) -> None:
    eventually(lambda: field(server, key, name) == value, f"{key}.{name} == {value!r}")


def test_an_event_is_run_again_by_the_handler_that_failed(server: Server) -> None:
    server.feed({"key": "a", "s": "x"}, {"key": "b", "op": "both", "s": "y"})
    server.wait_dead_letters(3)
    open_door(server)
    assert ask(server, "RETRY", "ALL") == 3
    assert ask(server, "LEN") == 0
    comes_to(server, "a", "log", "x")
    eventually(lambda: sorted(field(server, "b", "log") or "") == ["2", "y"], "both handlers")
    assert field(server, "b", "n") == "1"


def test_one_and_those_of_a_class(server: Server) -> None:
    server.feed(*({"key": f"k{i}", "s": str(i)} for i in range(4)))
    server.wait_dead_letters(4)
    open_door(server)
    letters = ids(server)
    assert ask(server, "RETRY", letters[2], letters[2]) == 1
    assert ids(server) == [letters[0], letters[1], letters[3]]
    assert ask(server, "RETRY", "CLASS", "Door") == 0
    assert ask(server, "RETRY", "CLASS", "Thing") == 3
    for i in range(4):
        comes_to(server, f"k{i}", "log", str(i))


def test_what_fails_again_is_a_letter_again(server: Server) -> None:
    server.feed({"key": "a", "s": "x"})
    server.wait_dead_letters(1)
    (first,) = ids(server)
    assert ask(server, "RETRY", first) == 1
    server.wait_dead_letters(1)
    (second,) = ids(server)
    assert second != first
    assert server.dead_letters("a")[0]["error"] == "ValueError: closed"


def test_messages_and_timers_are_run_again(server: Server) -> None:
    server.feed({"key": "a", "op": "send", "s": "m"}, {"key": "t", "op": "timer"})
    server.wait_dead_letters(2)
    open_door(server)
    assert ask(server, "RETRY", "ALL") == 2
    comes_to(server, "m", "n", "7")
    assert field(server, "m", "log") == "sent"
    comes_to(server, "t", "log", "a2.5")


def test_key_functions_and_what_reached_no_handler_are_run_again(server: Server) -> None:
    server.feed({"a": "p", "b": "q"}, source="loose")
    server.feed('{"key": "r", "x": "no number"}', source="points")
    server.wait_dead_letters(2)
    open_door(server)
    assert ask(server, "RETRY", "ALL") == 2
    comes_to(server, "p", "n", "1")
    comes_to(server, "q", "n", "1")
    (letter,) = server.wait_dead_letters(1)
    assert "x" in letter["error"]
    assert letter["event"] == '{"key": "r", "x": "no number"}'


def test_what_cannot_be_retried_says_why_and_stays(server: Server) -> None:
    server.feed(b'{"key": "\xff"')
    server.feed('{"key": "' + "k" * (1 << 20) + '"}')
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        open_door(server)
        server.feed({"key": "gone", "s": "x"})
        assert connection.call("PEXPIRE", "thing:gone", "1") == 1
    server.wait_dead_letters(3)
    reasons = [
        "its event is not UTF-8",
        "it holds only the beginning of its event",
        "it is of no event: what ends with an entity or a window cannot run again",
    ]
    letters = ids(server)
    for letter, reason in zip(letters, reasons, strict=True):
        with pytest.raises(RespError, match=re.escape(f"'{letter}' cannot be retried: {reason}")):
            ask(server, "RETRY", letter)
    assert ask(server, "RETRY", "ALL") == 0
    assert ids(server) == letters


def test_of_letters_that_are_named_all_or_none_are_retried(server: Server) -> None:
    server.feed({"key": "a", "s": "x"})
    server.wait_dead_letters(1)
    (letter,) = ids(server)
    with pytest.raises(RespError, match="no such dead letter: '1-1'"):
        ask(server, "RETRY", letter, "1-1")
    assert ids(server) == [letter]


def test_from_the_shell(server: Server) -> None:
    server.feed(*({"key": f"k{i}", "s": str(i)} for i in range(3)))
    server.wait_dead_letters(3)
    open_door(server)

    def tool(*arguments: str) -> str:
        port = str(server.resp[1])
        return run_bettong("dead-letters", "retry", *arguments, "--port", port).stdout

    assert tool(ids(server)[0]) == "retried=1\n"
    assert tool("--class", "Thing") == "retried=2\n"
    assert tool("--all") == "retried=0\n"


def test_a_retry_happens_once_though_the_node_dies(launch: Launcher) -> None:
    node = DataNode(launch)
    server = node(APP, config=SOURCES)
    server.feed(*({"key": f"k{i % 50}", "s": "x"} for i in range(1000)))
    server.wait_dead_letters(1000)
    open_door(server)
    assert ask(server, "RETRY", "ALL") == 1000
    node.kill(server)
    server = node(APP, config=SOURCES)
    open_door(server)
    # What the crash cut off goes on with a closed door and may fail again: then it is a letter.
    eventually(
        lambda: (
            sum(int(field(server, f"k{i}", "n") or 0) for i in range(50)) + ask(server, "LEN")
            == 1000
        ),
        "each event once, or a letter",
    )
    assert ask(server, "RETRY", "ALL") >= 0
    for i in range(50):
        comes_to(server, f"k{i}", "n", "20")
