"""Dead letters are listed, shown and dropped: DEADLETTER, and `bettong dead-letters`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from apps import with_prelude
from datanode import DataNode, settle
from harness import DEADLINE_S, Launcher, Server, free_port, run_bettong, source_table
from resp import Connection, RespError

EVENTS = source_table("events", "events")

APP = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 7

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "raise":
                raise ValueError(e.s)

    class Other(app.Entity):
        @events.on(key="key")
        def see(self, e: In):
            if e.op == "other":
                raise ValueError(e.s)
    """
)


def ask(server: Server, *command: str) -> Any:
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        return connection.call("DEADLETTER", *command)


def fields(letter: list[Any]) -> dict[str, Any]:
    return dict(zip(letter[::2], letter[1::2], strict=True))


def listed(server: Server, *options: str) -> list[dict[str, Any]]:
    return [fields(letter) for letter in ask(server, "LIST", *options)]


def fill(server: Server, count: int = 3) -> None:
    server.feed(*({"key": f"a{i}", "op": "raise", "s": f"no {i}"} for i in range(count)))
    server.feed({"key": "b", "op": "other", "s": "not this"})
    server.wait_dead_letters(count + 1)


@pytest.fixture
def server(launch: Launcher) -> Server:
    return launch(APP)


def test_no_letters(server: Server) -> None:
    assert ask(server, "LEN") == 0
    assert ask(server, "LIST") == []
    assert ask(server, "DROP", "ALL") == 0


def test_a_list_tells_what_each_letter_is_about(server: Server) -> None:
    fill(server)
    assert ask(server, "LEN") == 4
    letters = listed(server)
    ids = [letter.pop("id") for letter in letters]
    assert ids == sorted(ids, key=lambda one: [int(part) for part in one.split("-")])
    by_key = {letter["key"]: letter for letter in letters}
    assert by_key["a1"] == {
        "stream": "events",
        "class": "Thing",
        "key": "a1",
        "handler": "take",
        "error": "ValueError: no 1",
    }
    assert by_key["b"]["handler"] == "see"


def test_a_list_by_class_stream_and_page(server: Server) -> None:
    fill(server)
    assert [one["key"] for one in listed(server, "CLASS", "Other")] == ["b"]
    assert len(listed(server, "STREAM", "events")) == 4
    assert listed(server, "STREAM", "nosuch") == []
    everything = [one["id"] for one in listed(server)]
    first = [one["id"] for one in listed(server, "COUNT", "2")]
    rest = [one["id"] for one in listed(server, "FROM", f"({first[-1]}", "COUNT", "2")]
    assert first + rest == everything
    assert [one["id"] for one in listed(server, "FROM", everything[2])] == everything[2:]


def test_a_list_has_a_hundred_letters_and_heads_of_errors(server: Server) -> None:
    server.feed(*({"key": f"k{i}", "op": "raise", "s": "x" * 300} for i in range(101)))
    server.wait_dead_letters(101)
    letters = listed(server)
    assert len(letters) == 100
    assert letters[0]["error"] == f"ValueError: {'x' * 244} ... (cut: 312 bytes in all)"


def test_a_letter_as_a_whole(server: Server) -> None:
    fill(server)
    (other,) = listed(server, "CLASS", "Other")
    letter = fields(ask(server, "GET", other["id"]))
    assert (letter["id"], letter["error"]) == (other["id"], "ValueError: not this")
    assert json.loads(letter["event"])["s"] == "not this"
    assert "Traceback" in letter["traceback"]


def test_what_is_not_known_is_null(server: Server) -> None:
    server.feed("{nonsense")
    server.wait_dead_letters(1)
    (letter,) = listed(server)
    assert (letter["stream"], letter["class"], letter["key"]) == ("events", None, None)
    assert fields(ask(server, "GET", letter["id"]))["event"] == "{nonsense"


def test_letters_are_maps_with_resp3(server: Server) -> None:
    fill(server)
    with Connection(server.resp, deadline_s=DEADLINE_S) as connection:
        connection.call("HELLO", "3")
        (letter,) = connection.call("DEADLETTER", "LIST", "CLASS", "Other")
        assert letter["key"] == "b"
        assert connection.call("DEADLETTER", "GET", letter["id"])["handler"] == "see"


def test_dropped_by_id_by_class_and_all(server: Server) -> None:
    fill(server)
    ids = [one["id"] for one in listed(server, "CLASS", "Thing")]
    assert ask(server, "DROP", ids[1], ids[1], "1-1") == 1
    assert [one["id"] for one in listed(server, "CLASS", "Thing")] == [ids[0], ids[2]]
    assert ask(server, "DROP", "CLASS", "Thing") == 2
    assert [one["key"] for one in listed(server)] == ["b"]
    assert ask(server, "DROP", "ALL") == 1
    assert ask(server, "LEN") == 0
    server.feed({"key": "z", "op": "raise", "s": "again"})
    server.wait_dead_letters(1)
    assert [one["key"] for one in listed(server)] == ["z"]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["NOSUCH"], "unknown subcommand"),
        (["GET"], "wrong number of arguments for 'deadletter|get' command"),
        (["GET", "x"], "Invalid stream ID"),
        (["GET", "1-1"], "no such dead letter: '1-1'"),
        (["LIST", "COUNT"], "syntax error"),
        (["LIST", "COUNT", "0"], "COUNT must be positive"),
        (["LIST", "COUNT", "x"], "not an integer"),
        (["LIST", "FROM", "x"], "Invalid stream ID"),
        (["LIST", "NOSUCH", "x"], "syntax error"),
        (["DROP"], "wrong number of arguments for 'deadletter|drop' command"),
        (["DROP", "CLASS"], "syntax error"),
        (["DROP", "ALL", "x"], "syntax error"),
        (["DROP", "x"], "Invalid stream ID"),
        (["LEN", "x"], "wrong number of arguments for 'deadletter|len' command"),
    ],
)
def test_mistakes(server: Server, command: list[str], error: str) -> None:
    with pytest.raises(RespError, match=re.escape(error)):
        ask(server, *command)


# --- the command line


def tool(server: Server, *arguments: str) -> Any:
    return run_bettong("dead-letters", *arguments, "--port", str(server.resp[1]))


def test_from_the_shell(server: Server) -> None:
    fill(server)
    done = tool(server, "list")
    letters = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in letters] == [one["id"] for one in listed(server)]
    done = tool(server, "list", "--class", "Thing", "--stream", "events", "--count", "2")
    assert (
        done.stdout.splitlines()
        == [json.dumps(one, separators=(",", ":")) for one in letters if one["class"] == "Thing"][
            :2
        ]
    )
    done = tool(server, "show", letters[0]["id"])
    assert json.loads(done.stdout)["event"]["key"] == letters[0]["key"]
    assert tool(server, "drop", letters[0]["id"]).stdout == "dropped=1\n"
    left = len(listed(server, "CLASS", "Thing"))
    assert tool(server, "drop", "--class", "Thing").stdout == f"dropped={left}\n"
    assert tool(server, "drop", "--all").stdout == f"dropped={3 - left}\n"
    assert tool(server, "list").stdout == ""


def test_the_shell_lists_more_than_one_answer_holds(server: Server) -> None:
    fill(server, 1001)
    assert len(tool(server, "list").stdout.splitlines()) == 1002
    assert len(tool(server, "list", "--count", "501").stdout.splitlines()) == 501


def test_mistakes_on_the_shell(server: Server) -> None:
    done = tool(server, "show", "1-1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such dead letter: '1-1'" in done.stderr
    for wrong in ([], ["drop"], ["show"], ["drop", "--all", "--class", "x"], ["list", "x"]):
        assert run_bettong("dead-letters", *wrong).returncode == 2, wrong
    done = run_bettong("dead-letters", "list", "--port", str(free_port()))
    assert done.returncode == 1
    assert "is a node running there?" in done.stderr


# --- durable


def test_what_is_dropped_stays_dropped_after_a_crash(launch: Launcher) -> None:
    node = DataNode(launch)
    server = node(APP, config=EVENTS)
    fill(server)
    ids = [one["id"] for one in listed(server)]
    assert ask(server, "DROP", ids[0], ids[2]) == 2
    with server.redis() as client:
        settle(client)
    node.kill(server)
    server = node(APP, config=EVENTS)
    assert [one["id"] for one in listed(server)] == [ids[1], ids[3]]
