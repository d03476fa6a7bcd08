"""Entities of Python classes: names, life, the making of classes, stale instances."""

from __future__ import annotations

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import Launcher, eventually, run_bettong
from resp import RespError

COUNTER = with_prelude(
    """
    class Counter(app.Entity):
        count: int = 0
        total: float = 0.5
        label: str = "fresh"

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "raise":
                raise ValueError("told to")
            self.count += 1
            self.total += e.x

        def on_expire(self):
            out.emit(kind="expired", key=self.key)

        @app.command
        def look(self) -> int:
            return self.count

        @app.command(create=True)
        def start(self, n: int) -> int:
            self.count += n
            return self.count
    """
)

# -- names ----------------------------------------------------------------------------------

NAMES = with_prelude(
    """
    class WebServer(app.Entity):
        seen: str = ""

        @events.on(key="key")
        def take(self, e: In):
            self.seen = self.key

    class Other(app.Entity, prefix="o2"):
        seen: str = ""

        @events.on(key="key")
        def take(self, e: In):
            self.seen = self.key

    class URLCounter3(app.Entity, prefix="url"):
        n: int = 0
    """
)


@pytest.mark.parametrize(
    "key",
    ["a", "web-01.example.org", "a:b:c", "{tag}x", "two words", "d\u00e9j\u00e0", "*?[x]", "0"],
)
def test_a_redis_key_is_prefix_colon_key(launch: Launcher, key: str) -> None:
    server = launch(NAMES)
    server.feed({"key": key})
    client = server.redis()
    entities = {name for name in client.keys("*") if client.type(name) == "hash"}
    assert entities == {f"web_server:{key}", f"o2:{key}"}
    assert client.hget(f"web_server:{key}", "seen") == key
    assert client.hget(f"o2:{key}", "seen") == key


@pytest.mark.parametrize(
    "classes",
    [
        "class One(app.Entity, prefix='p'):\n    n: int = 0\n"
        "class Two(app.Entity, prefix='p'):\n    n: int = 0\n",
        "class Host(app.Entity):\n    n: int = 0\n"
        "class Other(app.Entity, prefix='host'):\n    n: int = 0\n",
    ],
)
def test_two_classes_with_one_prefix_are_refused(launch: Launcher, classes: str) -> None:
    done = launch.run(with_prelude("") + classes, "--input", "-", "--stream", "events")
    # assumption: refused like any app that does not load.
    assert done.returncode == 3, done.stderr
    assert "prefix" in done.stderr


def test_two_classes_with_one_name_are_refused_with_both_places(launch: Launcher) -> None:
    one = "class A(app.Entity, prefix='a'):\n    n: int = 0\n"
    two = "class A(app.Entity, prefix='b'):\n    n: int = 0\n"
    begin = "from bettong import App\napp = App('tests')\n"
    both = launch.write_app(begin + one + two, "both.py")
    first = launch.write_app(begin + one, "first.py")
    second = launch.write_app(begin + two, "second.py")
    line = begin.count("\n") + 1
    for apps, places in [
        ([both], [f"{both}:{line}", f"{both}:{line + 2}"]),
        ([first, second], [f"{first}:{line}", f"{second}:{line}"]),
    ]:
        done = run_bettong("check", *apps)
        assert done.returncode == 3, done.stderr
        expected = f"two entity classes have the name 'A': {' and '.join(places)}"
        assert expected in done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "app.stream('host:news')\nclass Host(app.Entity):\n    n: int = 0\n",
            "the stream 'host:news' lies among the keys 'host:...' of entity class Host",
        ),
        (
            "class Bettong(app.Entity):\n    n: int = 0\n",
            "entity class Bettong: the keys 'bettong:...' belong to the node",
        ),
    ],
)
def test_streams_among_entities_are_refused(launch: Launcher, code: str, words: str) -> None:
    done = run_bettong("check", launch.write_app(with_prelude("") + code))
    assert done.returncode == 3, done.stderr
    assert words in done.stderr


# -- life -----------------------------------------------------------------------------------


def test_the_first_event_creates_with_defaults(launch: Launcher) -> None:
    server = launch(COUNTER)
    server.feed({"key": "a", "x": 1.25})
    fields = server.redis().hgetall("counter:a")
    assert list(fields) == ["count", "total", "label"]
    assert (fields["count"], float(fields["total"]), fields["label"]) == ("1", 1.75, "fresh")
    assert server.entities() == 1


def test_every_key_has_its_own_entity(launch: Launcher) -> None:
    server = launch(COUNTER, shards=3)
    server.feed(*({"key": f"k{n % 500}", "x": 1.0} for n in range(5_000)))
    assert server.entities() == 500
    client = server.redis()
    for n in range(0, 500, 7):
        assert client.hget(f"counter:k{n}", "count") == "10"


def test_reading_never_creates(launch: Launcher) -> None:
    server = launch(COUNTER)
    client = server.redis()
    assert client.hgetall("counter:a") == {}
    assert client.hget("counter:a", "count") is None
    assert client.hmget("counter:a", "count", "total") == [None, None]
    assert client.hlen("counter:a") == 0
    assert client.hexists("counter:a", "count") is False
    assert client.exists("counter:a") == 0
    assert client.type("counter:a") == "none"
    assert client.ttl("counter:a") == -2
    assert client.persist("counter:a") is False
    assert client.expire("counter:a", 100) is False
    assert client.delete("counter:a") == 0
    assert server.entities() == 0


def test_call_on_a_missing_key_is_an_error(launch: Launcher) -> None:
    server = launch(COUNTER)
    client = server.redis()
    with pytest.raises(ResponseError):
        client.execute_command("CALL", "counter:a", "look")
    assert server.entities() == 0
    assert client.exists("counter:a") == 0


def test_a_command_that_says_so_creates(launch: Launcher) -> None:
    server = launch(COUNTER)
    client = server.redis()
    assert client.execute_command("CALL", "counter:a", "start", "5") == 5
    assert client.execute_command("CALL", "counter:a", "start", "5") == 10
    assert client.execute_command("CALL", "counter:a", "look") == 10
    assert client.hget("counter:a", "label") == "fresh"
    assert server.entities() == 1


def test_a_creating_command_that_raises_creates_nothing(launch: Launcher) -> None:
    server = launch(
        with_prelude(
            """
            class Thing(app.Entity):
                n: int = 0

                @app.command(create=True)
                def start(self):
                    self.n = 1
                    raise RuntimeError("not today")
            """
        )
    )
    client = server.redis()
    with pytest.raises(ResponseError, match="not today"):
        client.execute_command("CALL", "thing:a", "start")
    assert client.exists("thing:a") == 0
    assert server.entities() == 0


def test_a_first_event_that_raises_creates_nothing(launch: Launcher) -> None:
    server = launch(COUNTER)
    server.feed({"key": "a", "op": "raise"}, {"key": "b"})
    assert server.redis().exists("counter:a") == 0
    assert server.entities() == 1


@pytest.mark.parametrize("command", ["DEL", "UNLINK"])
def test_del_removes_without_on_expire(launch: Launcher, command: str) -> None:
    server = launch(COUNTER)
    client, outputs = server.redis(), server.subscribe("out")
    server.feed({"key": "a"}, {"key": "a"})
    assert client.execute_command(command, "counter:a") == 1
    assert server.entities() == 0
    assert client.exists("counter:a") == 0
    # A fresh one follows; its expiry is the first that is told.
    server.feed({"key": "a"})
    assert client.hget("counter:a", "count") == "1"
    client.pexpire("counter:a", 20)
    assert outputs.json() == {"kind": "expired", "key": "a"}
    eventually(lambda: server.entities() == 0, "the end of the second")
    client.publish("out", '"end"')
    assert outputs.json() == "end"


def test_flushall_removes_entities_without_on_expire(launch: Launcher) -> None:
    server = launch(COUNTER)
    client, outputs = server.redis(), server.subscribe("out")
    server.feed(*({"key": f"k{n}"} for n in range(50)))
    client.flushall()
    assert server.entities() == 0
    server.feed({"key": "k1"})
    assert client.hget("counter:k1", "count") == "1"
    client.publish("out", '"end"')
    assert outputs.json() == "end"


CREATE = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 7
        born: str = ""
        births: int = 0

        def on_create(self):
            self.births += 1
            self.born = f"{self.key} with {self.n}"
            out.emit(kind="created", key=self.key)
            if self.key == "bad":
                raise ValueError("stillborn")

        @events.on(key="key")
        def take(self, e: In):
            out.emit(kind="event", key=self.key, n=self.n, born=self.born)
            self.n = e.n
            if e.op == "raise":
                raise ValueError("told to")

        @app.command(create=True)
        def poke(self) -> str:
            return self.born
    """
)


def test_on_create_runs_once_before_the_first_event(launch: Launcher) -> None:
    server = launch(CREATE)
    outputs = server.subscribe("out")
    server.feed({"key": "a", "n": 1}, {"key": "a", "n": 2})
    assert [outputs.json() for _ in range(3)] == [
        {"kind": "created", "key": "a"},
        {"kind": "event", "key": "a", "n": 7, "born": "a with 7"},
        {"kind": "event", "key": "a", "n": 1, "born": "a with 7"},
    ]
    assert server.redis().hget("thing:a", "births") == "1"


def test_on_create_runs_for_a_creating_command(launch: Launcher) -> None:
    server = launch(CREATE)
    client = server.redis()
    assert client.execute_command("CALL", "thing:b", "poke") == "b with 7"
    assert client.execute_command("CALL", "thing:b", "poke") == "b with 7"
    assert client.hget("thing:b", "births") == "1"


def test_on_create_that_raises_creates_nothing(launch: Launcher) -> None:
    server = launch(CREATE)
    outputs = server.subscribe("out")
    server.feed({"key": "bad"}, {"key": "good"})
    assert outputs.json() == {"kind": "created", "key": "good"}
    assert server.redis().exists("thing:bad") == 0
    (letter,) = server.dead_letters()
    assert "stillborn" in letter["traceback"]


def test_a_first_turn_that_raises_takes_on_create_back(launch: Launcher) -> None:
    server = launch(CREATE)
    outputs = server.subscribe("out")
    server.feed({"key": "a", "op": "raise"}, {"key": "a", "n": 3})
    assert outputs.json() == {"kind": "created", "key": "a"}
    assert outputs.json()["n"] == 7
    client = server.redis()
    assert client.hmget("thing:a", "births", "n") == ["1", "3"]


# -- the making of classes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation", ["set", "object", "complex", "int | str", "list[complex]", "In", "Array[str, 3]"]
)
def test_an_unsupported_annotation_is_refused(launch: Launcher, annotation: str) -> None:
    app = with_prelude("") + f"class Thing(app.Entity):\n    odd_one: {annotation}\n"
    done = launch.run(app, "--input", "-", "--stream", "events")
    assert done.returncode == 3, done.stderr
    assert "odd_one" in done.stderr
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.parametrize(
    "field", ["n: int = 'x'", "s: str = 5", "n: int = 2**63", "f: float = 'x'"]
)
def test_an_impossible_default_is_refused(launch: Launcher, field: str) -> None:
    app = with_prelude("") + f"class Thing(app.Entity):\n    {field}\n"
    done = launch.run(app, "--input", "-", "--stream", "events")
    assert done.returncode == 3, done.stderr


def test_annotations_may_be_strings(launch: Launcher) -> None:
    source = "from __future__ import annotations\n" + COUNTER
    server = launch(source)
    server.feed({"key": "a", "x": 1.0})
    assert server.redis().hget("counter:a", "count") == "1"
    assert server.redis().execute_command("CALL", "counter:a", "start", "2") == 3


def test_an_app_of_several_classes_on_one_stream(launch: Launcher) -> None:
    server = launch(
        with_prelude(
            """
            class ByKey(app.Entity):
                n: int = 0

                @events.on(key="key")
                def take(self, e: In):
                    self.n += 1

            class ByWord(app.Entity):
                n: int = 0

                @events.on(key="s")
                def take(self, e: In):
                    self.n += e.n
            """
        )
    )
    server.feed({"key": "a", "s": "x", "n": 5}, {"key": "b", "s": "x", "n": 6})
    client = server.redis()
    assert [client.hget(key, "n") for key in ("by_key:a", "by_key:b", "by_word:x")] == [
        "1",
        "1",
        "11",
    ]


# -- the environment ------------------------------------------------------------------------


def test_numpy_works(launch: Launcher) -> None:
    server = launch(
        with_prelude(
            """
            import numpy as np

            class Mean(app.Entity):
                values: Array[float, 4]
                count: int = 0
                mean: float = 0.0

                @events.on(key="key")
                def take(self, e: In):
                    self.values[self.count % 4] = e.x
                    self.count += 1
                    self.mean = float(np.mean(np.array(list(self.values))))
            """
        )
    )
    server.feed(*({"key": "k", "x": x} for x in (1.0, 2.0, 3.0, 6.0)))
    assert float(server.redis().hget("mean:k", "mean")) == 3.0


def test_modules_beside_the_app_import(launch: Launcher) -> None:
    launch.write_app("FACTOR = 3\n", name="beside.py")
    server = launch(
        with_prelude(
            """
            from beside import FACTOR

            class Thing(app.Entity):
                n: int = 0

                @events.on(key="key")
                def take(self, e: In):
                    self.n += FACTOR
            """
        )
    )
    server.feed({"key": "k"}, {"key": "k"})
    assert server.redis().hget("thing:k", "n") == "6"


# -- stale instances ------------------------------------------------------------------------

STALE = with_prelude(
    """
    kept = []

    class Thing(app.Entity):
        n: int = 0
        a: Array[int, 2]

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "keep":
                kept.append(self)
            elif e.op == "keep array":
                kept.append(self.a)
            elif e.op == "read":
                out.emit(n=kept[0].n)
            elif e.op == "write":
                kept[0].n = 99
            elif e.op == "call":
                kept[0].touch()
            elif e.op == "key":
                out.emit(key=kept[0].key)
            elif e.op == "write array":
                kept[0][0] = 99
            self.n += 1
    """
)


@pytest.mark.parametrize("use", ["read", "write", "call", "key"])
@pytest.mark.parametrize("other", ["a", "b"])
def test_an_instance_kept_after_its_turn_raises_on_use(
    launch: Launcher, use: str, other: str
) -> None:
    server = launch(STALE)
    server.feed({"key": "a", "op": "keep"}, {"key": "b"}, {"key": "a"})
    server.feed({"key": other, "op": use})
    (letter,) = server.dead_letters()
    assert "Stale" in letter["traceback"] or "stale" in letter["traceback"]
    client = server.redis()
    assert client.hget("thing:a", "n") == "2"
    assert client.hget("thing:b", "n") == "1"
    server.feed({"key": "a"}, {"key": "b"})
    assert client.hget("thing:a", "n") == "3"
    assert client.hget("thing:b", "n") == "2"


def test_an_array_kept_after_its_turn_changes_nothing(launch: Launcher) -> None:
    server = launch(STALE)
    server.feed({"key": "a", "op": "keep array"}, {"key": "b"})
    before = server.redis().hget("thing:a", "a")
    server.feed({"key": "b", "op": "write array"})
    assert server.redis().hget("thing:a", "a") == before
    (letter,) = server.dead_letters()
    assert "Error" in letter["traceback"]


# -- what Redis commands may not do -----------------------------------------------------------

STATE_TAKERS = [
    ("SET", "counter:a", "v"),
    ("SET", "counter:a", "v", "NX"),
    ("SET", "counter:a", "v", "GET"),
    ("SETNX", "counter:a", "v"),
    ("MSET", "counter:a", "v"),
    ("INCR", "counter:a"),
    ("INCRBYFLOAT", "counter:a", "1"),
    ("HSET", "counter:a", "count", "1"),
    ("HSETNX", "counter:a", "count", "1"),
    ("HINCRBY", "counter:a", "count", "1"),
    ("HINCRBYFLOAT", "counter:a", "total", "1"),
    ("XADD", "counter:a", "*", "f", "v"),
]


@pytest.mark.parametrize("command", STATE_TAKERS, ids=" ".join)
def test_a_free_key_with_the_prefix_of_a_class_takes_no_value(
    launch: Launcher, command: tuple[str, ...]
) -> None:
    server = launch(COUNTER)
    with pytest.raises(RespError, match=r"^WRONGTYPE .*'counter:a'.* class Counter"):
        server.connect().call(*command)
    client = server.redis()
    assert client.exists("counter:a") == 0
    assert client.dbsize() == 0
    # The key is as free as before: its first event creates the entity with its defaults.
    server.feed({"key": "a", "x": 1.0})
    assert client.hgetall("counter:a") == {"count": "1", "total": "1.5", "label": "fresh"}


def test_a_conditional_set_that_does_nothing_is_no_error(launch: Launcher) -> None:
    connection = launch(COUNTER).connect()
    assert connection.call("SET", "counter:a", "v", "XX") is None
    assert connection.call("DBSIZE") == 0


def test_only_keys_with_the_whole_prefix_belong_to_a_class(launch: Launcher) -> None:
    connection = launch(COUNTER).connect()
    for key in ("counter", "counters:a", "Counter:a", "a:counter:a"):
        assert connection.call("SET", key, "v") == "OK"


@pytest.mark.parametrize("fields", [("count",), ("nosuch",), ("count", "total", "label")])
def test_fields_of_an_entity_cannot_be_removed(launch: Launcher, fields: tuple[str, ...]) -> None:
    server = launch(COUNTER)
    server.feed({"key": "a", "x": 1.0})
    before = server.redis().hgetall("counter:a")
    with pytest.raises(RespError, match=r"^ERR .*cannot be removed.*'counter:a'.* class Counter"):
        server.connect().call("HDEL", "counter:a", *fields)
    assert server.redis().hgetall("counter:a") == before


def test_removing_fields_of_a_missing_entity_removes_none(launch: Launcher) -> None:
    connection = launch(COUNTER).connect()
    assert connection.call("HDEL", "counter:a", "count") == 0
    assert connection.call("EXISTS", "counter:a") == 0
