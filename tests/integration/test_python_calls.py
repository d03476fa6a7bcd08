"""CALL, FCALL and SCHEMA: methods of entities through the Redis port."""

from __future__ import annotations

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import Launcher, Server, eventually
from resp import Connection, RespError

CALLS = with_prelude(
    """
    class WebServer(app.Entity):
        n: int = 0
        total: float = 0.0
        label: str = ""

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1

        @app.command
        def arguments(self, i: int, f: float, b: bool, s: str, y: bytes) -> str:
            return repr([i, f, b, s, y])

        @app.command
        def defaults(self, i: int, j: int = 7, s: str = "x") -> str:
            return repr([i, j, s])

        @app.command
        def maybe(self, i: int | None = None) -> str:
            return repr(i)

        @app.command
        def bare(self, anything) -> str:
            return repr(anything)

        @app.command
        def add(self, i: int) -> int:
            self.n += i
            return self.n

        @app.command
        def fail(self, text: str):
            self.n += 1000
            out.emit(never=True)
            raise ValueError(text)

        @app.command
        def tell(self, text: str):
            out.emit(key=self.key, text=text)

        @app.command
        def give(self, what: str):
            return {
                "none": None,
                "int": 42,
                "negative": -1,
                "large": 2**63 - 1,
                "float": 2.5,
                "true": True,
                "false": False,
                "str": "d\\u00e9j\\u00e0",
                "empty": "",
                "bytes": b"\\x00\\xff",
                "list": [1, "two", 3.5, None, True],
                "tuple": (1, 2),
                "dict": {"a": 1, "b": [2, {"c": None}]},
                "nothing": [],
                "nobody": {},
                "object": object(),
                "huge": 2**70,
            }[what]

        @app.command
        def remove(self):
            self.delete()

        def not_a_command(self) -> int:
            return 1

    class Other(app.Entity):
        n: int = 0

        @app.command(create=True)
        def start(self) -> int:
            self.n += 1
            return self.n
    """
)


@pytest.fixture(scope="module")
def calls(launch_shared: Launcher) -> Server:
    return launch_shared(CALLS)


@pytest.fixture
def web(calls: Server, key: str) -> str:
    """The Redis key of an entity that lives."""
    calls.feed({"key": key})
    return f"web_server:{key}"


@pytest.fixture
def client(calls: Server) -> Connection:
    return calls.connect()


# -- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["5", "2.5", "true", "text", "raw"], [5, 2.5, True, "text", b"raw"]),
        (["-5", "3", "false", "", ""], [-5, 3.0, False, "", b""]),
        (["0", "1e3", "1", "5", "5"], [0, 1000.0, True, "5", b"5"]),
        (["9223372036854775807", "-0.5", "0", "a b", "x"], [2**63 - 1, -0.5, False, "a b", b"x"]),
    ],
)
def test_arguments_are_converted_by_their_annotations(
    client: Connection, web: str, arguments: list[str], expected: list[object]
) -> None:
    # assumption: a bool is given as true or false, 1 or 0.
    assert client.call("CALL", web, "arguments", *arguments) == repr(expected)


def test_bytes_and_text_arguments(client: Connection, web: str) -> None:
    answer = client.call(
        "CALL", web, "arguments", 1, 1, "true", "d\u00e9j\u00e0".encode(), b"\x00\xff"
    )
    assert answer == repr([1, 1.0, True, "d\u00e9j\u00e0", b"\x00\xff"])


def test_defaults_optionals_and_bare_arguments(client: Connection, web: str) -> None:
    assert client.call("CALL", web, "defaults", 1) == "[1, 7, 'x']"
    assert client.call("CALL", web, "defaults", 1, 2) == "[1, 2, 'x']"
    assert client.call("CALL", web, "defaults", 1, 2, "y") == "[1, 2, 'y']"
    assert client.call("CALL", web, "maybe") == "None"
    assert client.call("CALL", web, "maybe", 5) == "5"
    # assumption: an argument without an annotation stays text.
    assert client.call("CALL", web, "bare", 5) == "'5'"


@pytest.mark.parametrize(
    "call",
    [
        ["add"],
        ["add", "1", "2"],
        ["add", "x"],
        ["add", ""],
        ["add", "1.5"],
        ["add", "9223372036854775808"],
        ["arguments", "1", "x", "true", "s", "y"],
        ["arguments", "1", "1.0", "maybe", "s", "y"],
        ["arguments", "1", "1.0", "true", b"\xff\xfe", "y"],
        ["nosuchmethod"],
        ["not_a_command"],
        ["take"],
        ["__init__"],
        ["touch"],
        ["n"],
        [],
    ],
)
def test_a_call_that_cannot_be_made_is_refused(
    client: Connection, web: str, call: list[str | bytes]
) -> None:
    answer = client.reply("CALL", web, *call)
    assert answer.is_error
    assert answer.words().startswith("ERR "), answer
    assert client.call("HGET", web, "n") == "1"
    assert client.call("CALL", web, "add", 1) == 2


def test_a_refusal_names_what_was_wrong(client: Connection, web: str) -> None:
    with pytest.raises(RespError, match="nosuchmethod"):
        client.call("CALL", web, "nosuchmethod")
    with pytest.raises(RespError, match=r"\bi\b|int"):
        client.call("CALL", web, "add", "x")


# -- results --------------------------------------------------------------------------------

RESULTS_RESP3: dict[str, tuple[bytes, object]] = {
    "none": (b"_", None),
    "int": (b":", 42),
    "negative": (b":", -1),
    "large": (b":", 2**63 - 1),
    "float": (b",", 2.5),
    "true": (b"#", True),
    "false": (b"#", False),
    "str": (b"$", "d\u00e9j\u00e0"),
    "empty": (b"$", ""),
    "list": (b"*", [1, "two", 3.5, None, True]),
    "tuple": (b"*", [1, 2]),
    "dict": (b"%", {"a": 1, "b": [2, {"c": None}]}),
    "nothing": (b"*", []),
    "nobody": (b"%", {}),
}

RESULTS_RESP2: dict[str, tuple[bytes, object]] = {
    "none": (b"$", None),
    "int": (b":", 42),
    "negative": (b":", -1),
    "large": (b":", 2**63 - 1),
    "float": (b"$", "2.5"),
    "true": (b":", 1),
    "false": (b":", 0),
    "str": (b"$", "d\u00e9j\u00e0"),
    "empty": (b"$", ""),
    "list": (b"*", [1, "two", "3.5", None, 1]),
    "tuple": (b"*", [1, 2]),
    "dict": (b"*", ["a", 1, "b", [2, ["c", None]]]),
    "nothing": (b"*", []),
    "nobody": (b"*", []),
}


@pytest.mark.parametrize("what", RESULTS_RESP3)
@pytest.mark.parametrize("protocol", [2, 3])
def test_results_keep_their_types(calls: Server, web: str, what: str, protocol: int) -> None:
    kind, value = (RESULTS_RESP3 if protocol == 3 else RESULTS_RESP2)[what]
    reply = calls.connect(protocol=protocol).reply("CALL", web, "give", what)
    assert (reply.kind, reply.python()) == (kind, value)


def test_bytes_come_back_as_they_are(calls: Server, web: str) -> None:
    for protocol in (2, 3):
        reply = calls.connect(protocol=protocol).reply("CALL", web, "give", "bytes")
        assert (reply.kind, reply.text) == (b"$", b"\x00\xff")


@pytest.mark.parametrize("what", ["object", "huge"])
def test_a_result_without_a_redis_form_is_an_error(client: Connection, web: str, what: str) -> None:
    # assumption: an int of more than 64 bits is refused as well, or comes as a RESP3 big number.
    reply = client.reply("CALL", web, "give", what)
    assert reply.is_error or (what == "huge" and int(reply.words()) == 2**70)
    assert client.call("PING") == "PONG"


# -- what a call does -----------------------------------------------------------------------


def test_a_call_changes_the_entity(calls: Server, client: Connection, web: str, key: str) -> None:
    assert client.call("CALL", web, "add", 41) == 42
    assert client.call("HGET", web, "n") == "42"
    calls.feed({"key": key})
    assert client.call("CALL", web, "add", 0) == 43


def test_a_call_that_raises_changes_nothing(calls: Server, client: Connection, web: str) -> None:
    outputs = calls.subscribe("out")
    # assumption: the error says what the last line of the traceback says.
    with pytest.raises(RespError, match="ValueError: as it was told"):
        client.call("CALL", web, "fail", "as it was told")
    assert client.call("HGET", web, "n") == "1"
    client.call("CALL", web, "tell", "end")
    assert outputs.json()["text"] == "end"


def test_an_error_stays_one_line(client: Connection, web: str) -> None:
    answer = client.reply("CALL", web, "fail", "two\r\nlines")
    assert answer.is_error
    assert client.call("ECHO", "still in step") == "still in step"


def test_a_call_emits(calls: Server, client: Connection, web: str, key: str) -> None:
    outputs = calls.subscribe("out")
    assert client.call("CALL", web, "tell", "hello") is None
    assert outputs.json() == {"key": key, "text": "hello"}


def test_a_call_may_delete(client: Connection, web: str) -> None:
    client.call("CALL", web, "remove")
    assert client.call("EXISTS", web) == 0
    with pytest.raises(RespError):
        client.call("CALL", web, "remove")


def test_pipelined_calls_are_turns_in_order(client: Connection, web: str) -> None:
    replies = client.pipeline([("CALL", web, "add", 1) for _ in range(2_000)])
    assert [reply.python() for reply in replies] == list(range(2, 2_002))


def test_calls_and_reads_of_one_connection_keep_their_order(client: Connection, web: str) -> None:
    commands: list[tuple[str | int, ...]] = []
    for _ in range(300):
        commands += [("CALL", web, "add", 1), ("HGET", web, "n"), ("HINCRBY", web, "n", 1)]
    values = [int(reply.python()) for reply in client.pipeline(commands)]
    expected = []
    for n in range(300):
        expected += [2 + 2 * n, 2 + 2 * n, 3 + 2 * n]
    assert values == expected


def test_calls_of_many_connections_all_count(calls: Server, web: str) -> None:
    connections = [calls.connect() for _ in range(8)]
    for connection in connections:
        for _ in range(100):
            connection.send("CALL", web, "add", 1)
    results = [connection.read().python() for connection in connections for _ in range(100)]
    assert sorted(results) == list(range(2, 802))


def test_call_on_what_is_no_entity(client: Connection, key: str) -> None:
    client.call("SET", key, "v")
    for name in (key, f"{key}:x", f"nosuchclass:{key}"):
        answer = client.reply("CALL", name, "add", 1)
        assert answer.is_error
    assert client.call("GET", key) == "v"


# -- FCALL ----------------------------------------------------------------------------------


def test_fcall_is_the_same(client: Connection, web: str) -> None:
    assert client.call("FCALL", "web_server.add", 1, web, 41) == 42
    assert client.call("CALL", web, "add", 0) == 42
    assert client.call("FCALL", "web_server.defaults", 1, web, 1, 2) == "[1, 2, 'x']"
    assert client.reply("FCALL", "web_server.give", 1, web, "dict").kind == b"*"


def test_fcall_creates_where_call_does(client: Connection, key: str) -> None:
    assert client.call("FCALL", "other.start", 1, f"other:{key}") == 1
    assert client.call("FCALL", "other.start", 1, f"other:{key}") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuchclass.add", "1", "KEY", "1"],
        ["web_server.nosuchmethod", "1", "KEY"],
        ["web_server", "1", "KEY"],
        ["other.start", "1", "KEY"],
        ["web_server.add", "0"],
        ["web_server.add", "2", "KEY", "KEY"],
        ["web_server.add", "x", "KEY", "1"],
        ["web_server.add", "-1", "KEY", "1"],
        ["web_server.add", "1"],
        ["web_server.add", "1", "KEY"],
        ["web_server.add", "1", "KEY", "x"],
        ["web_server.add", "1", "web_server:missing", "1"],
    ],
)
def test_fcall_refuses(client: Connection, web: str, arguments: list[str]) -> None:
    answer = client.reply("FCALL", *(one.replace("KEY", web) for one in arguments))
    assert answer.is_error
    assert client.call("HGET", web, "n") == "1"


def test_redis_py_fcall(calls: Server, web: str) -> None:
    client = calls.redis(protocol=3)
    assert client.fcall("web_server.add", 1, web, 5) == 6
    assert client.execute_command("CALL", web, "give", "dict") == {"a": 1, "b": [2, {"c": None}]}
    with pytest.raises(ResponseError, match="ValueError: told"):
        client.fcall("web_server.fail", 1, web, "told")


# -- SCHEMA ---------------------------------------------------------------------------------


def test_schema_lists_the_classes(client: Connection) -> None:
    text = repr(client.call("SCHEMA"))
    assert "web_server" in text
    assert "other" in text


def test_schema_of_a_class_lists_its_fields(client: Connection) -> None:
    # assumption: names and types of fields appear in this order, whatever is around them.
    text = repr(client.call("SCHEMA", "web_server"))
    positions = [text.index(word) for word in ("'n'", "int", "'total'", "float", "'label'", "str")]
    assert positions == sorted(positions)


def test_schema_of_an_unknown_class_is_an_error(client: Connection) -> None:
    with pytest.raises(RespError, match="nosuch"):
        client.call("SCHEMA", "nosuch")


FAILING = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 0

        def on_create(self):
            if self.key == "unborn":
                raise ValueError("not made")

        @app.command(create=True)
        def fail(self, text: str):
            self.helper(text)

        def helper(self, text: str):
            raise ValueError(text)
    """
)


def test_the_traceback_of_a_call_that_raises_is_on_stderr(launch: Launcher) -> None:
    server = launch(FAILING, config="")
    connection = server.connect()
    assert connection.reply("CALL", "thing:a", "fail", "first").is_error
    assert connection.reply("CALL", "thing:unborn", "fail", "x").is_error
    # Without user code there is nothing to trace.
    assert connection.reply("CALL", "thing:a", "fail").is_error
    entries = eventually(
        lambda: entries if "not made" in str(entries := server.log()) else None,
        "the tracebacks",
    )
    first, unborn = entries
    assert (first["level"], first["component"]) == ("warning", "python")
    lines = first["message"].splitlines()
    assert lines[0] == "CALL of Thing.fail on 'thing:a' raised:"
    assert lines[1] == "Traceback (most recent call last):"
    assert ", in fail" in lines[2]
    assert lines[-1] == "ValueError: first"
    assert "CALL of Thing.on_create on 'thing:unborn' raised:" in unborn["message"]


def test_tracebacks_of_calls_are_bounded(launch: Launcher) -> None:
    server = launch(FAILING, config="")
    connection = server.connect()
    connection.pipeline([("CALL", "thing:a", "fail", "again") for _ in range(1_000)])
    assert 10 <= sum(line == "ValueError: again" for line in server.logged()) < 100

    # A long text is cut.
    def told() -> str | None:
        connection.reply("CALL", "thing:a", "fail", "y" * 1_000_000)
        return next((line for line in server.logged() if line.startswith("ValueError: yyy")), None)

    line = eventually(told, "a traceback with a long text")
    assert len(line) < 17_000
    assert "bytes in all)" in line
    assert any("before it that are not shown" in line for line in server.logged())
