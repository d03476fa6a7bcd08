"""Fields of entities: native types, arrays, and what Redis commands see of them."""

from __future__ import annotations

import time

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import Launcher, Server

TYPES = with_prelude(
    """
    from typing import Optional

    class Thing(app.Entity):
        i: int = 1
        f: float = 1.5
        b: bool = False
        s: str = "text"
        y: bytes = b"raw"
        oi: Optional[int] = None
        of: float | None = None
        ob: bool | None = True
        os: str | None = "set"
        oy: bytes | None = b"set"
        a: Array[int, 3]
        g: Array[float, 2]

        LIMIT = 10  # no annotation: an ordinary class attribute

        def helper(self) -> int:
            return self.i + self.LIMIT

        @events.on(key="key")
        def take(self, e: In):
            exec(e.s, {"self": self, "e": e, "out": out})
            if e.op == "look":
                out.emit(i=self.i, f=self.f, b=self.b, s=self.s, oi=self.oi, of=self.of, os=self.os,
                         a=[self.a[k] for k in range(3)], g=[self.g[k] for k in range(2)])

        @app.command
        def read(self, name: str) -> str:
            return repr(getattr(self, name))
    """
)


@pytest.fixture(scope="module")
def types(launch_shared: Launcher) -> Server:
    """A server of `Thing`s, shared: every test has a key of its own."""
    return launch_shared(TYPES)


def test_defaults_and_their_python_types(types: Server, key: str) -> None:
    types.feed({"key": key})
    client = types.redis()
    seen = {
        name: client.execute_command("CALL", f"thing:{key}", "read", name)
        for name in ("i", "f", "b", "s", "y", "oi", "of", "os")
    }
    assert seen == {
        "i": "1",
        "f": "1.5",
        "b": "False",
        "s": "'text'",
        "y": "b'raw'",
        "oi": "None",
        "of": "None",
        "os": "'set'",
    }


@pytest.mark.parametrize(
    ("code", "name", "shown"),
    [
        ("self.i = -5", "i", "-5"),
        ("self.i = 2**63 - 1", "i", "9223372036854775807"),
        ("self.i = -2**63", "i", "-9223372036854775808"),
        ("self.i = self.helper()", "i", "11"),
        ("self.f = 0.1", "f", "0.1"),
        ("self.f = -1e300", "f", "-1e+300"),
        ("self.f = 3", "f", "3.0"),  # an int is a float, as in any annotated Python
        ("self.f = float('inf')", "f", "inf"),
        ("self.b = True", "b", "True"),
        ("self.s = ''", "s", "''"),
        ("self.s = 'd\u00e9j\u00e0 \u2603 \U0001f998'", "s", "'d\u00e9j\u00e0 \u2603 \U0001f998'"),
        ("self.s = 'a\\x00b\\n'", "s", "'a\\x00b\\n'"),
        ("self.s = 'x' * 100000; self.s = self.s[:3]", "s", "'xxx'"),
        ("self.y = bytes([0, 255, 10])", "y", "b'\\x00\\xff\\n'"),
        ("self.y = b''", "y", "b''"),
        ("self.oi = 0", "oi", "0"),
        ("self.oi = 5; self.oi = None", "oi", "None"),
        ("self.of = 2.5", "of", "2.5"),
        ("self.os = None", "os", "None"),
        ("self.os = ''", "os", "''"),
    ],
)
def test_assignment(types: Server, key: str, code: str, name: str, shown: str) -> None:
    types.feed({"key": key, "s": code})
    client = types.redis()
    assert types.dead_letters(key) == []
    assert client.execute_command("CALL", f"thing:{key}", "read", name) == shown
    # and the next turn still sees it
    types.feed({"key": key})
    assert client.execute_command("CALL", f"thing:{key}", "read", name) == shown


@pytest.mark.parametrize(
    "code",
    [
        "self.i = 2**63",
        "self.i = -2**63 - 1",
        "self.i = 2**63 - 1; self.i += 1",
        "self.i = 'x'",
        "self.i = 1.5",
        "self.i = None",
        "self.f = 'x'",
        "self.f = None",
        "self.b = 'yes'",
        "self.s = 5",
        "self.s = b'raw'",
        "self.s = None",
        "self.s = '\\ud800'",
        "self.y = 'text'",
        "self.oi = 'x'",
        "self.of = 'x'",
        "self.os = 5",
        "self.os = 2**70",
        "self.cuont = 1",
        "self.a[0] = 'x'",
        "self.a[0] = 2**63",
        "self.a[0] = None",
        "self.a[0] = 1.5",
        "self.a[3] = 1",
        "self.a[-4] = 1",
        "self.a[3]",
        "self.a.append(1)",
        "self.g[0] = 'x'",
        "self.g[2] = 1.0",
        "del self.a[0]",
    ],
)
def test_what_a_field_cannot_hold_raises(types: Server, key: str, code: str) -> None:
    outputs = types.subscribe("out")
    types.feed(
        {"key": key, "s": "self.i = 42; self.a[1] = 43"},
        {"key": key, "s": f"self.i = 1; self.f = 9.0; self.a[1] = 2; self.s = 'changed'; {code}"},
        {"key": key, "op": "look"},
    )
    (letter,) = types.dead_letters(key)
    assert "Error" in letter["traceback"]
    state = outputs.json()
    assert (state["i"], state["f"], state["s"], state["a"]) == (42, 1.5, "text", [0, 43, 0])
    fields = types.redis().hmget(f"thing:{key}", "i", "f", "s")
    assert (fields[0], float(fields[1]), fields[2]) == ("42", 1.5, "text")


def test_arrays(types: Server, key: str) -> None:
    outputs = types.subscribe("out")
    look = {"key": key, "op": "look"}
    types.feed(
        look,
        {"key": key, "s": "self.a[0] = 5; self.a[2] = -7; self.g[1] = 2.5"},
        look,
        {"key": key, "s": "self.a[0] += 10; self.a[-1] = 9; self.g[0] = 3"},
        look,
        {"key": key, "s": "out.emit(n=len(self.a), all=list(self.a), sum=sum(self.a))"},
        {"key": key, "s": "self.a[1] = 2**63 - 1; self.a[0] = -2**63"},
        look,
    )
    # assumption: an array without a default begins with zeros; it has a length and is iterable.
    values = [outputs.json() for _ in range(5)]
    assert (values[0]["a"], values[0]["g"]) == ([0, 0, 0], [0.0, 0.0])
    assert (values[1]["a"], values[1]["g"]) == ([5, 0, -7], [0.0, 2.5])
    assert (values[2]["a"], values[2]["g"]) == ([15, 0, 9], [3.0, 2.5])
    assert values[3] == {"n": 3, "all": [15, 0, 9], "sum": 24}
    assert values[4]["a"] == [-(2**63), 2**63 - 1, 9]


def test_a_large_string_grows_and_shrinks(types: Server, key: str) -> None:
    client = types.redis()
    for size in (10, 1_000, 1_000_000, 5, 70_000, 0):
        types.feed({"key": key, "s": f"self.s = 'y' * {size}"})
        assert client.hget(f"thing:{key}", "s") == "y" * size


def test_now_is_milliseconds(types: Server, key: str) -> None:
    before_ms = time.time_ns() // 1_000_000
    types.feed({"key": key, "s": "self.i = self.now"})
    after_ms = time.time_ns() // 1_000_000
    assert before_ms <= int(types.redis().hget(f"thing:{key}", "i")) <= after_ms


# -- what an entity is to Redis commands ----------------------------------------------------


def test_hash_commands_read_entities(types: Server, key: str) -> None:
    types.feed({"key": key, "s": "self.b = True; self.y = bytes([0, 255])"})
    client, raw = types.redis(), types.redis(decode_responses=False)
    assert client.type(f"thing:{key}") == "hash"
    assert client.hget(f"thing:{key}", "i") == "1"
    assert client.hget(f"thing:{key}", "nosuch") is None
    assert client.hmget(f"thing:{key}", "s", "nosuch", "i") == ["text", None, "1"]
    assert client.hexists(f"thing:{key}", "s") is True
    assert client.hexists(f"thing:{key}", "nosuch") is False
    assert client.hstrlen(f"thing:{key}", "s") == 4
    assert float(client.hget(f"thing:{key}", "f")) == 1.5
    assert raw.hget(f"thing:{key}", "y") == b"\x00\xff"
    # assumption: how a bool is shown is open; it must not look like False.
    assert client.hget(f"thing:{key}", "b").lower() in ("1", "true")
    everything = raw.hgetall(f"thing:{key}")
    assert {b"i", b"f", b"b", b"s", b"y", b"os", b"a", b"g"} <= set(everything)
    # assumption: an optional field that is None is absent, or null, or empty.
    assert everything.get(b"oi") in (None, b"")
    names = raw.hkeys(f"thing:{key}")
    assert names == list(everything)
    assert raw.hvals(f"thing:{key}") == list(everything.values())
    assert client.hlen(f"thing:{key}") == len(everything)
    assert client.hrandfield(f"thing:{key}") in client.hkeys(f"thing:{key}")
    cursor, scanned = raw.hscan(f"thing:{key}", 0, count=100)
    assert cursor == 0
    assert scanned == everything
    assert list(client.scan_iter(match=f"thing:{key}", _type="hash")) == [f"thing:{key}"]


def test_hset_is_typed(types: Server, key: str) -> None:
    types.feed({"key": key})
    client = types.redis()
    # assumption: HSET on an existing field answers 0, as on a hash that has it.
    assert client.hset(f"thing:{key}", mapping={"i": "41", "f": "2.25", "s": "new", "oi": "6"}) == 0
    types.feed({"key": key, "s": "self.i += 1; self.f *= 2; self.s += '!'; self.oi += 1"})
    assert types.dead_letters(key) == []
    values = client.hmget(f"thing:{key}", "i", "f", "s", "oi")
    assert (values[0], float(values[1]), *values[2:]) == ("42", 4.5, "new!", "7")
    assert client.hset(f"thing:{key}", "f", "3") == 0
    assert client.execute_command("CALL", f"thing:{key}", "read", "f") == "3.0"
    assert client.hset(f"thing:{key}", "y", b"\x00\xff") == 0
    assert client.execute_command("CALL", f"thing:{key}", "read", "y") == "b'\\x00\\xff'"


def test_hset_of_empty_text_makes_an_optional_field_none(types: Server, key: str) -> None:
    types.feed({"key": key})
    client = types.redis()
    assert client.hset(f"thing:{key}", mapping={"oi": "6", "of": "1.5", "ob": "0"}) == 0
    for name in ("oi", "of", "ob"):
        assert client.hset(f"thing:{key}", name, "") == 0
        assert client.hget(f"thing:{key}", name) == ""
        assert client.execute_command("CALL", f"thing:{key}", "read", name) == "None"
    # Text and bytes can be empty.
    for name, empty in (("os", "''"), ("oy", "b''")):
        assert client.hset(f"thing:{key}", name, "") == 0
        assert client.execute_command("CALL", f"thing:{key}", "read", name) == empty
    assert client.hincrby(f"thing:{key}", "oi", 5) == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("i", "x"),
        ("i", ""),
        ("i", "1.5"),
        ("i", "9223372036854775808"),
        ("i", " 1"),
        ("f", "x"),
        ("f", ""),
        ("b", "maybe"),
        ("b", ""),
        ("a", ""),
        ("s", b"\xff\xfe"),
        ("oi", "x"),
        ("nosuch", "1"),
    ],
)
def test_hset_of_what_a_field_cannot_hold_is_refused(
    types: Server, key: str, field: str, value: str | bytes
) -> None:
    types.feed({"key": key})
    client = types.redis()
    before = types.redis(decode_responses=False).hgetall(f"thing:{key}")
    with pytest.raises(ResponseError, match=field):
        client.hset(f"thing:{key}", field, value)
    # All or nothing: a good field beside the bad one is not written either.
    with pytest.raises(ResponseError):
        client.execute_command("HSET", f"thing:{key}", "i", "5", field, value, "s", "changed")
    assert types.redis(decode_responses=False).hgetall(f"thing:{key}") == before


def test_hincrby_is_typed(types: Server, key: str) -> None:
    types.feed({"key": key})
    client = types.redis()
    assert client.hincrby(f"thing:{key}", "i", 41) == 42
    assert client.hincrby(f"thing:{key}", "i", -2) == 40
    assert float(client.hincrbyfloat(f"thing:{key}", "f", 0.25)) == 1.75
    for field in ("s", "y", "nosuch"):
        with pytest.raises(ResponseError):
            client.hincrby(f"thing:{key}", field, 1)
        with pytest.raises(ResponseError):
            client.hincrbyfloat(f"thing:{key}", field, 1.5)
    client.hset(f"thing:{key}", "i", 2**63 - 1)
    with pytest.raises(ResponseError):
        client.hincrby(f"thing:{key}", "i", 1)
    assert client.hget(f"thing:{key}", "i") == str(2**63 - 1)
    assert client.hget(f"thing:{key}", "s") == "text"
    assert client.hexists(f"thing:{key}", "nosuch") is False


@pytest.mark.parametrize(
    "command",
    [
        "SET KEY x",
        "SET KEY x XX",
        "SET KEY x GET",
        "GET KEY",
        "INCR KEY",
        "INCRBYFLOAT KEY 1",
        "MSET KEY x",
        "XADD KEY * f v",
        "XLEN KEY",
        "XRANGE KEY - +",
        "XREAD STREAMS KEY 0",
    ],
)
def test_commands_of_other_types_say_what_the_key_is(types: Server, key: str, command: str) -> None:
    types.feed({"key": key, "s": "self.i = 42"})
    connection = types.connect()
    answer = connection.reply(*command.replace("KEY", f"thing:{key}").split())
    assert answer.is_error
    assert answer.words().startswith("WRONGTYPE ")
    assert "entity" in answer.words().lower()
    assert connection.call("HGET", f"thing:{key}", "i") == "42"


def test_mget_shows_an_entity_as_null(types: Server, key: str) -> None:
    types.feed({"key": key})
    assert types.redis().mget(f"thing:{key}") == [None]
