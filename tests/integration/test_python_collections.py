"""Ring, List, Map, Set and Counter fields: what user code gets, and that nothing of it is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import ANY_PORTS, REPOSITORY, Launcher, Server, source_table
from like_python import LIKE_PYTHON
from test_http import metrics

COLLECTIONS = with_prelude(
    """
    import collections
    import numpy
    from bettong import Counter, List, Map, Ring, Set

    kept = []

    class Thing(app.Entity):
        recent: Ring[float] = Ring(3)
        ring: Ring[int] = Ring(5)
        names: List[str]
        numbers: List[int] = List(max=20)
        raw: List[bytes]
        flags: List[bool]
        by_user: Map[str, int]
        by_id: Map[int, float] = Map(max=4)
        blobs: Map[bytes, str]
        seen: Set[str]
        ids: Set[int] = Set(max=4)
        hits: Counter
        few: Counter = Counter(max=2)
        n: int = 0

        @events.on(key="key")
        def run(self, e: In):
            exec(e.s, {"self": self, "e": e, "kept": kept, "out": out, "numpy": numpy})

        @app.command
        def see(self, code: str) -> str:
            return repr(eval(code, {"self": self, "kept": kept, "numpy": numpy}))

        @app.command(create=True)
        def compare(self, field: str, begin: str, code: str) -> list:
            "The same code on the field and on what it feels like."
            like = {
                "ring": collections.deque(maxlen=5), "numbers": [], "names": [], "by_user": {},
                "by_id": {}, "seen": set(), "ids": set(), "hits": collections.Counter(),
            }[field]
            handle = getattr(self, field)
            told = []
            for x in (handle, like):
                try:
                    exec(begin, {"x": x})
                    scope = {"x": x}
                    exec(code[1:] if code.startswith("!") else "r = " + code, scope)
                    result = scope.get("r")
                    result = type(result) if result is x else result
                    told.append("same object" if scope.get("r") is x else repr(result))
                except Exception as error:
                    told.append(type(error).__name__)
                x = sorted(x) if isinstance(like, set) else x
                told.append(repr(list(x.items()) if hasattr(x, "items") else list(x)))
            setattr(self, field, type(like)()) if field != "ring" else handle.clear()
            return told
    """
)

CONFIG = source_table("events", "events")


@pytest.fixture(scope="module")
def things(launch_shared: Launcher) -> Server:
    """A server of `Thing`s, shared: every test has a key of its own."""
    return launch_shared(COLLECTIONS, config=CONFIG)


def see(server: Server, key: str, code: str) -> str:
    return str(server.redis().execute_command("CALL", f"thing:{key}", "see", code))


def run(server: Server, key: str, *codes: str) -> None:
    server.feed(*({"key": key, "s": code} for code in codes))


def content(server: Server, key: str) -> Mapping[str, object]:
    fields = server.redis().hgetall(f"thing:{key}")
    return {name: json.loads(value) for name, value in fields.items()}


def test_the_example_of_the_documentation(launch: Launcher) -> None:
    lines = (REPOSITORY / "docs" / "containers.md").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("    from bettong"))
    end = next(i for i in range(begin, len(lines)) if lines[i].startswith("|"))
    app = "\n".join(line.removeprefix("    ") for line in lines[begin:end])
    server = launch(app, config=source_table("visits", "visits"))
    pages = ("/home", "/cart", "/home")
    server.feed(*({"user": "ann", "page": page, "seconds": 1.5} for page in pages), source="visits")
    alerts = [fields for _, fields in server.redis().xrange("alerts")]
    assert [alert["new"] for alert in alerts] == ["/home", "/cart"]
    client = server.redis()
    assert client.execute_command("CALL", "user:ann", "favourites") == [["/home", 2], ["/cart", 1]]
    assert client.hget("user:ann", "hits") == '{"/home":2,"/cart":1}'
    page = ("ENTITY.FIELD", "user:ann", "path")
    assert client.execute_command(*page, "CURSOR", 0, "COUNT", 2) == ["2", ["/home", "/cart"]]
    assert client.execute_command(*page, "CURSOR", 2) == ["0", ["/home"]]


@pytest.mark.sanitized
@pytest.mark.parametrize("field", sorted({field for field, _, _ in LIKE_PYTHON}))
def test_fields_feel_like_python(things: Server, key: str, field: str) -> None:
    client = things.redis()
    for name, begin, code in LIKE_PYTHON:
        if name != field:
            continue
        told = client.execute_command("CALL", f"thing:{key}", "compare", field, begin, code)
        assert told[:2] == told[2:], code


@pytest.mark.sanitized
def test_clients_read_collections_and_cannot_write_them(things: Server, key: str) -> None:
    run(
        things, key,
        "self.recent.extend([1, 2.5, 3, 4]); self.names.append('ü'); self.raw.append(b'\\xff')",
        "self.flags += [True, False]; self.by_user['a'] = 1; self.by_id[7] = 0.5",
        "self.blobs[b'k'] = 'v'; self.seen |= {'x'}; self.hits['y'] += 2",
    )  # fmt: skip
    assert content(things, key) == {
        "recent": [2.5, 3.0, 4.0], "ring": [], "names": ["ü"], "numbers": [], "raw": ["�"],
        "flags": [True, False], "by_user": {"a": 1}, "by_id": {"7": 0.5}, "blobs": {"k": "v"},
        "seen": ["x"], "ids": [], "hits": {"y": 2}, "few": {}, "n": 0,
    }  # fmt: skip
    client = things.redis()
    for command in (
        ("HSET", "names", "[]"),
        ("HINCRBY", "hits", "1"),
        ("HINCRBYFLOAT", "recent", "1"),
    ):
        with pytest.raises(ResponseError, match=r"is a (List\[str\]|Counter|Ring\[float\])"):
            client.execute_command(command[0], f"thing:{key}", *command[1:])
    with pytest.raises(ResponseError, match="a collection is filled by its class's methods"):
        client.hset(f"thing:{key}", "seen", "x")


@pytest.mark.sanitized
def test_a_turn_that_fails_changes_nothing(things: Server, key: str) -> None:
    run(
        things, key,
        "self.ring.extend(range(7)); self.names.extend(['a' * 50, 'b', 'c' * 20])",
        "self.by_user.update(a=1, b=2); self.seen.update(['x', 'y' * 99]); self.hits.update('aab')",
    )  # fmt: skip
    before = things.redis().hgetall(f"thing:{key}")
    run(
        things, key,
        "self.ring.append(9); self.names.pop(0); self.names.insert(0, 'z');"
        "self.names[1] = 'q' * 70;"
        "self.names.clear(); self.names.append('new'); del self.by_user['a'];"
        "self.by_user['c'] = 3;"
        "self.by_user['b'] += 1; self.seen.discard('x'); self.seen.add('w'); self.hits.clear();"
        "self.hits['a'] += 1; self.numbers = [5]; 1 / 0",
    )  # fmt: skip
    assert things.redis().hgetall(f"thing:{key}") == before
    (letter,) = things.dead_letters(key)
    assert "ZeroDivisionError" in letter["error"]
    assert json.loads(letter["state"])["by_user"] == {"a": 1, "b": 2}
    assert see(things, key, "self.names[0]") == repr("a" * 50)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("self.names.append(5)", "TypeError: Thing.names takes str, not int"),
        ("self.names.append(None)", "TypeError: Thing.names takes str, not None"),
        ("self.raw.append('x')", "TypeError: Thing.raw takes bytes, not str"),
        ("self.flags.append(1)", "TypeError: Thing.flags takes bool, not int"),
        ("self.numbers.append(1.0)", "TypeError: Thing.numbers takes int, not float"),
        ("self.recent.append('1')", "TypeError: Thing.recent takes float, not str"),
        ("self.by_user[1] = 1", "TypeError: Thing.by_user takes str, not int"),
        ("self.by_user['a'] = 'b'", "TypeError: Thing.by_user takes int, not str"),
        ("self.seen.add(1)", "TypeError: Thing.seen takes str, not int"),
        ("self.by_user.setdefault('z')", "TypeError: Thing.by_user takes int, not None"),
        ("self.hits['x'] = 1.5", "TypeError: Thing.hits takes int, not float"),
        (
            "self.numbers.append(2**63)",
            "OverflowError: Thing.numbers: the int does not fit into 64 bits",
        ),
        (
            "self.hits['x'] = 2**63 - 1; self.hits['x'] += 1",
            "OverflowError: Thing.hits: the int does not fit",
        ),
        (
            "self.hits['x'] = 2**63 - 1; self.hits.update('x')",
            "OverflowError: Thing.hits: the count does not fit",
        ),
        (
            "self.names.append('\\ud800')",
            "ValueError: Thing.names takes no text with lone surrogates",
        ),
        ("del self.ring[0]", "TypeError: elements of a ring cannot be deleted"),
        (
            "self.numbers[0:1] = [5]",
            "TypeError: elements of a list are assigned by integer index",
        ),
        (
            "self.numbers.extend(range(21))",
            "OverflowError: Thing.numbers is full: it has room for 20 elements",
        ),
        ("self.numbers = range(21)", "OverflowError: Thing.numbers is full"),
        ("self.by_id = {n: 1 for n in range(5)}", "OverflowError: Thing.by_id is full"),
        ("self.ids.update(range(5))", "OverflowError: Thing.ids is full"),
        ("self.few.update('abc')", "OverflowError: Thing.few is full"),
        (
            "self.names.append('x' * (2**20 + 1))",
            "OverflowError: Thing.names: an element is longer",
        ),
        (
            "for _ in range(16): self.names.append('x' * 2**20)",
            "OverflowError: Thing.names would hold more than 16777216 bytes",
        ),
        (
            "while True: self.names.append('x' * 2**20); self.names.pop()",
            "OverflowError: one turn changes more than 67108864 bytes of Thing.names",
        ),
        (
            "self.names = 'abc'",
            "TypeError: Thing.names must be a list or another iterable, not str",
        ),
        (
            "self.names = None",
            "TypeError: Thing.names must be a list or another iterable, not None",
        ),
        (
            "del self.names",
            "TypeError: Thing.names must be a list or another iterable, not deleted",
        ),
        ("self.by_user = ['a']", "TypeError: Thing.by_user must be a dict, not list"),
        ("self.seen = 5", "TypeError: Thing.seen must be a set or another iterable, not int"),
        ("self.names = ['a', 5]", "TypeError: Thing.names takes str, not int"),
    ],
)
def test_misuse_is_an_error_of_the_turn(things: Server, key: str, code: str, error: str) -> None:
    run(things, key, "self.names.append('first'); self.n = 1", code)
    (letter,) = things.dead_letters(key)
    assert re.match(error, letter["error"]), letter["error"]
    assert content(things, key)["names"] == ["first"]


@pytest.mark.sanitized
def test_a_call_that_does_not_fit_changes_nothing(things: Server, key: str) -> None:
    attempt = "try: {}\nexcept (OverflowError, TypeError): self.n += 1"
    run(
        things, key,
        "self.numbers.extend(range(18)); self.ids.update([1, 2]); self.by_id.update({1: 1, 2: 2})",
        *(
            attempt.format(code)
            for code in (
                "self.numbers.extend([1, 2, 3])", "self.numbers.extend([1, 'x'])",
                "self.ids.update([3, 4, 5])",
                "self.ids |= {3, 'x'}", "self.by_id.update({3: 3, 4: 4, 5: 5})",
                "self.by_id.update({3: 'x'})",
                "self.few.update('abc')", "self.hits.update(a=1, b='x')", "self.numbers += ['y']",
            )
        ),
    )  # fmt: skip
    now = content(things, key)
    assert (now["n"], now["few"], now["hits"]) == (9, {}, {})
    assert (now["numbers"], now["ids"]) == (list(range(18)), [1, 2])
    assert now["by_id"] == {"1": 1.0, "2": 2.0}


@pytest.mark.sanitized
def test_code_that_runs_while_values_are_converted(things: Server, key: str) -> None:
    evil = "Evil = type('Evil', (), {{'__index__': lambda _: ({}, 7)[1]}})"
    clear, fill = evil.format("self.numbers.clear()"), evil.format("self.numbers.append(1)")
    run(
        things, key,
        *(
            f"self.numbers.extend([1, 2, 3])\n{clear}\ntry: {code}\nexcept IndexError: self.n += 1"
            for code in (
                "self.numbers[2] = Evil()", "self.numbers[Evil()]", "self.numbers.pop(Evil())",
            )
        ),
        f"self.numbers = [1]\n{clear}",
        f"{clear}\nself.numbers.append(2); self.numbers.insert(Evil(), Evil())",
        f"{clear}\nself.numbers.extend([1, Evil(), 2]); self.ring.append(Evil())",
        f"{fill}\nself.numbers[Evil():]; del self.numbers[:Evil()]; self.by_id[Evil()] = 1",
        f"{fill}\nself.numbers = [Evil(), 5]; self.ids.update([Evil()])",
    )  # fmt: skip
    now = content(things, key)
    assert things.dead_letters(key) == []
    assert (now["n"], now["ring"], now["by_id"], now["ids"]) == (3, [7], {"7": 1.0}, [7])
    assert now["numbers"] == [7, 5, 1]


@pytest.mark.sanitized
def test_whole_values_are_assigned(things: Server, key: str) -> None:
    run(
        things, key,
        "self.names = ['a', 'b']; self.ring = range(9); self.by_user = {'x': 1}",
        "self.seen = {'q'}",
        "self.hits = {'a': 2, 'b': 3}; self.numbers = (n for n in (3, 4))",
        # From what is there.
        "self.names = self.names[::-1]; self.numbers = [n + 1 for n in self.numbers]",
        "self.by_user = {**self.by_user, 'y': 2}; self.seen = self.seen | {'r'}",
        "self.ring = self.numbers; self.hits = self.by_user; self.names = (n for n in self.names)",
        "self.numbers = self.numbers",
    )  # fmt: skip
    now = content(things, key)
    assert (now["names"], now["numbers"], now["ring"]) == (["b", "a"], [4, 5], [4, 5])
    assert now["by_user"] == now["hits"] == {"x": 1, "y": 2}
    assert sorted(now["seen"]) == ["q", "r"]  # type: ignore[arg-type]
    assert things.dead_letters(key) == []


@pytest.mark.sanitized
def test_kept_collections_are_stale(things: Server, key: str) -> None:
    run(
        things, key,
        "self.names.append('a'); self.by_user['a'] = 1; self.seen.add('s')",
        "kept[:] = [self.names, iter(self.names), self.by_user.items(), self.seen]",
        "kept.append(iter(self.by_user))",
        "kept[0].append('b')", "kept[0][0]", "next(kept[1])", "list(kept[2])", "len(kept[2])",
        "kept[3].add('t')", "'s' in kept[3]", "next(kept[4])", "len(kept[0])", "repr(kept[0])",
        "kept[3] == {'s'}",
        "self.names = kept[0]",
    )  # fmt: skip
    errors = [letter["error"] for letter in things.dead_letters(key)]
    assert len(errors) == 12
    assert all("this collection was used after its turn had ended" in error for error in errors)
    assert content(things, key)["names"] == ["a"]


def test_numpy_gets_copies(things: Server, key: str) -> None:
    run(
        things, key,
        "self.recent.extend([1, 2, 3, 4.5]); self.ring.extend(range(8))",
        "self.flags.extend([True, False])",
        "self.names.append('a')",
    )  # fmt: skip
    for code, value in {
        "(numpy.asarray(self.recent).dtype.str, numpy.asarray(self.recent).tolist())": (
            "<f8",
            [2.0, 3.0, 4.5],
        ),
        "(numpy.asarray(self.ring).dtype.str, numpy.asarray(self.ring).tolist())": (
            "<i8",
            [3, 4, 5, 6, 7],
        ),
        "(numpy.asarray(self.flags).dtype.str, numpy.asarray(self.flags).tolist())": (
            "|b1",
            [True, False],
        ),
        "numpy.asarray(self.ring, dtype='f4').dtype.str": "<f4",
        "numpy.asarray(self.names).tolist()": ["a"],
        "numpy.asarray(self.numbers).tolist()": [],
        "float(numpy.mean(self.ring))": 5.0,
    }.items():
        assert see(things, key, code) == repr(value), code
    run(things, key, "numpy.asarray(self.ring)[0] = 99; self.numbers.append(numpy.int64(5))")
    assert (content(things, key)["ring"], content(things, key)["numbers"]) == ([3, 4, 5, 6, 7], [5])


def test_collections_are_emitted_and_returned(things: Server, key: str) -> None:
    run(
        things, key,
        "self.ring.extend([1, 2]); self.hits.update('aab'); self.seen.add('s')",
        "self.by_id[4] = 0.5",
        "out.emit(key=e.key, ring=self.ring, hits=self.hits, seen=self.seen, names=self.names)",
    )  # fmt: skip
    (fields,) = [f for _, f in things.redis().xrange("out") if f["key"] == key]
    assert fields == {
        "key": key, "ring": "[1,2]", "hits": '{"a":2,"b":1}', "seen": '["s"]', "names": "[]",
    }  # fmt: skip
    assert see(things, key, "self.ring, self.seen, self.by_id, self.hits") == (
        "(Ring([1, 2]), Set(['s']), Map({4: 0.5}), Counter({'a': 2, 'b': 1}))"
    )


def test_a_new_life_begins_with_empty_collections(things: Server, key: str) -> None:
    run(things, key, "self.names.append('a' * 99)", "self.names.append('b'); self.delete()")
    assert things.redis().exists(f"thing:{key}") == 0
    run(things, key, "self.names.append('c')")
    assert content(things, key)["names"] == ["c"]
    assert things.redis().delete(f"thing:{key}") == 1
    # Made and deleted in one turn: it never was.
    run(things, key, "self.names.append('d'); self.delete()")
    assert things.redis().exists(f"thing:{key}") == 0


@pytest.mark.sanitized
def test_pages_of_a_field(things: Server, key: str) -> None:
    run(
        things, key,
        "self.names.extend(str(n) for n in range(250)); self.by_id.update({1: 0.5, 2: 1.5})",
        "self.flags.extend([True, False]); self.hits.update('aab'); self.seen.update('xyz')",
        "self.raw.append(b'\\xff\\x00'); self.ids.update([1, 2, 3]); self.ids.remove(1)",
    )  # fmt: skip
    client = things.redis()

    def page(field: str, *options: object, key: str = f"thing:{key}") -> object:
        return client.execute_command("ENTITY.FIELD", key, field, *options)

    names, cursor = [], "0"
    sizes = []
    while True:
        cursor, elements = page("names", "CURSOR", cursor, "COUNT", 60)  # type: ignore[misc]
        names += elements
        sizes.append(len(elements))
        if cursor == "0":
            break
    assert names == [str(n) for n in range(250)]
    assert sizes == [60, 60, 60, 60, 10]
    assert page("names", "count", 1, "cursor", 249) == ["0", ["249"]]
    assert len(page("names")[1]) == 100  # type: ignore[index]
    assert page("names", "CURSOR", 999) == ["0", []]
    assert page("by_id") == ["0", [1, "0.5", 2, "1.5"]]
    assert page("hits", "COUNT", 1) == ["1", ["a", 2]]
    assert page("hits", "CURSOR", 1) == ["0", ["b", 1]]
    assert page("flags") == ["0", [1, 0]]
    assert page("ids") == ["0", [2, 3]]
    assert page("seen", "COUNT", 2)[1] == ["x", "y"]  # type: ignore[index]
    for arguments, error in {
        ("names", "CURSOR"): "syntax error",
        ("names", "SIZE", 5): "syntax error",
        ("names", "CURSOR", "x"): "invalid cursor",
        ("names", "COUNT", 0): "COUNT is from 1 to 10000",
        ("names", "COUNT", 10001): "COUNT is from 1 to 10000",
        ("nams",): "Thing has no field 'nams'; did you mean 'names'?",
        ("n",): "field 'n' of Thing is no container but int; HGET reads it",
    }.items():
        with pytest.raises(ResponseError, match=re.escape(error)):
            page(*arguments)
    assert page("names", "COUNT", 10000)[0] == "0"  # type: ignore[index]
    with pytest.raises(ResponseError, match="no such key: 'thing:none'"):
        page("names", key="thing:none")
    client.set(f"text:{key}", "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        page("names", key=f"text:{key}")
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        client.execute_command("ENTITY.FIELD", f"thing:{key}")


@pytest.mark.sanitized
def test_pages_in_resp3(things: Server, key: str) -> None:
    run(
        things, key,
        "self.by_id.update({1: 0.5}); self.flags.append(True); self.hits.update('aab')",
        "self.ring.append(4)",
        "self.raw.append(b'\\xff')",
    )  # fmt: skip
    with things.connect(protocol=3) as connection:
        for field, elements in {
            "by_id": {1: 0.5}, "flags": [True], "hits": {"a": 2, "b": 1}, "ring": [4], "seen": [],
        }.items():  # fmt: skip
            assert connection.call("ENTITY.FIELD", f"thing:{key}", field) == ["0", elements], field


def test_the_command_is_described(things: Server) -> None:
    client = things.redis()
    (info,) = client.execute_command("COMMAND", "INFO", "ENTITY.FIELD").values()
    assert (info["arity"], info["first_key_pos"], info["last_key_pos"]) == (-3, 1, 1)
    assert "readonly" in info["flags"]
    with things.connect() as connection:
        assert "entity.field" in connection.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "read")


def used_memory(server: Server) -> int:
    return int(server.redis().info("memory")["used_memory_dataset"])


def test_memory_follows_what_collections_hold(things: Server, key: str) -> None:
    def of_class() -> float:
        return metrics(things)["bettong_entity_container_bytes"].total(**{"class": "Thing"})

    run(things, key, "self.n = 1")
    bare, bare_of_class = used_memory(things), of_class()
    run(
        things,
        key,
        "self.names = ['x' * 1000] * 5000; self.by_user = {str(n): n for n in range(1000)}",
    )
    full = used_memory(things) - bare
    assert 5_000_000 < full < 5_600_000
    assert of_class() - bare_of_class == full
    run(things, key, "del self.names[:4990]; self.by_user.clear()")
    assert used_memory(things) - bare < 20_000
    run(things, key, "self.names = ['x' * 1000] * 5000")
    assert used_memory(things) - bare > 5_000_000
    run(things, key, "self.names.append('more'); self.delete()")
    assert used_memory(things) <= bare
    assert of_class() < bare_of_class
    run(things, key, "self.names = ['x' * 1000] * 5000")
    things.redis().delete(f"thing:{key}")
    assert used_memory(things) <= bare
    # A turn that fails leaves a letter, and nothing else.
    run(things, key, "self.names.append('a')")
    bare_of_class = of_class()
    run(things, key, "self.names.extend(['y' * 1000] * 5000); 1 / 0")
    assert of_class() == bare_of_class


def test_maxmemory_counts_collections(launch: Launcher) -> None:
    server = launch(COLLECTIONS, config=CONFIG)
    run(server, "a", "self.names = ['x' * 1000] * 5000")
    client = server.redis()
    client.config_set("maxmemory", 4_000_000)
    with pytest.raises(ResponseError, match="command not allowed when used memory"):
        client.set("k", "v")
    client.delete("thing:a")
    assert client.set("k", "v")


CHANGES = (
    "self.recent.append({n} / 4); self.ring.append({n}); self.names.append('name' * {n})",
    "self.by_user['u' + str({n} % 7)] = {n}; self.hits['h' + str({n} % 3)] += {n}",
    "self.seen.add(str({n} % 5))",
    "self.names and self.names.insert(0, self.names.pop()); self.flags.append({n} % 2 == 0)",
    "self.by_user.pop('u' + str({n} % 5), None); self.raw.append(bytes([{n}])); self.ids = [{n}]",
    "self.numbers = [{n}] * 3; self.names.append('lost'); raise ValueError",
    "self.blobs[bytes([{n} % 4])] = 'x' * {n}; del self.names[:-6]",
)


@pytest.mark.sanitized
@pytest.mark.parametrize("kill", [False, True])
def test_collections_survive_a_restart(launch: Launcher, tmp_path: Path, *, kill: bool) -> None:
    arguments = [
        launch.write_app(COLLECTIONS), "-c", launch.write_config(CONFIG), *ANY_PORTS,
        "--data", tmp_path / "data",
    ]  # fmt: skip
    server = Server(*arguments, "--shards", "2", cwd=tmp_path)
    launch.servers.append(server)
    for n in range(60):
        run(server, f"k{n % 8}", *(code.format(n=n) for code in CHANGES))
    client = server.redis()
    before = {k: client.hgetall(f"thing:k{k}") for k in range(8)}
    assert json.loads(before[0]["names"])
    client.execute_command("WAITAOF", "1", "0", "0")
    if kill:
        server.kill()
    else:
        server.stop()
    server = Server(*arguments, "--shards", "3", cwd=tmp_path)
    launch.servers.append(server)
    after = {k: server.redis().hgetall(f"thing:k{k}") for k in range(8)}
    assert after == before
    run(server, "k0", "self.names = ['on']; self.hits['h0'] += 1; self.ring.append(5)")
    assert content(server, "k0")["names"] == ["on"]


def test_another_collection_is_refused_at_the_start(launch: Launcher, tmp_path: Path) -> None:
    def arguments(app: str) -> list[str | Path]:
        return [
            launch.write_app(app), "-c", launch.write_config(CONFIG), *ANY_PORTS,
            "--data", tmp_path / "data",
        ]  # fmt: skip

    server = Server(*arguments(COLLECTIONS), cwd=tmp_path)
    launch.servers.append(server)
    run(server, "k", "self.by_user['a'] = 5; self.ring.extend(range(5))")
    server.stop()
    other = COLLECTIONS.replace("by_user: Map[str, int]", "by_user: Map[str, float]")
    with pytest.raises(
        AssertionError, match=re.escape("'by_user' was Map[str, int] when it was written")
    ):
        Server(*arguments(other), cwd=tmp_path)
    # Less room is no other collection: a ring gets smaller with its next element.
    smaller = COLLECTIONS.replace("Ring(5)", "Ring(2)").replace(
        "deque(maxlen=5)", "deque(maxlen=2)"
    )
    server = Server(*arguments(smaller), cwd=tmp_path)
    launch.servers.append(server)
    assert content(server, "k")["ring"] == [0, 1, 2, 3, 4]
    run(server, "k", "self.ring.append(5)")
    assert content(server, "k")["ring"] == [4, 5]
