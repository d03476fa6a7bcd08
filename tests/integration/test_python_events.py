"""Events: decoding into declared classes, dict events, and key functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps import with_prelude
from harness import Launcher, Server, source_table

TYPED = """
from typing import Optional

from bettong import App, Event

app = App("decoding")

class Sample(Event):
    key: str
    i: int = -1
    f: float = -1.0
    b: bool = False
    s: str = "default"
    oi: Optional[int] = None
    os: str | None = "set"

class Inner(Event):
    name: str
    weight: float = 1.0

class Nested(Event):
    key: str
    i: int
    inner: Inner
    maybe: Inner | None = None

class Lists(Event):
    key: str
    i: int
    numbers: list[int]
    words: list[str]
    reals: list[float]
    inners: list[Inner]

samples = app.stream("samples", Sample)
nested = app.stream("nested", Nested)
lists = app.stream("lists", Lists)
free = app.stream("free")
out = app.stream("out")

def shown(value):
    if isinstance(value, Inner):
        return [value.name, value.weight]
    if isinstance(value, list):
        return [shown(one) for one in value]
    return value

class Thing(app.Entity):
    n: int = 0

    def show(self, e, names):
        values = [getattr(e, name) for name in names.split()]
        out.emit(key=self.key, type=type(e).__name__, seen=[shown(value) for value in values],
                 types=[type(value).__name__ for value in values])

    @samples.on(key="key")
    def take_sample(self, e: Sample):
        self.show(e, "i f b s oi os")

    @nested.on(key="key")
    def take_nested(self, e: Nested):
        self.show(e, "i inner maybe")

    @lists.on(key="key")
    def take_lists(self, e: Lists):
        self.show(e, "i numbers words reals inners")

    @free.on(key="key")
    def take_free(self, e: dict):
        out.emit(key=self.key, type=type(e).__name__, event=e)
"""

SOURCES = ("samples", "nested", "lists", "free")
CONFIG = "".join(source_table(name, name) for name in SOURCES)

# Enough of everything for every class, and recognised in the output.
COMPLETE: dict[str, Any] = {
    "i": 424242,
    "inner": {"name": "marker"},
    "numbers": [],
    "words": [],
    "reals": [],
    "inners": [],
}


@pytest.fixture(scope="module")
def decoding(launch_shared: Launcher) -> Server:
    return launch_shared(TYPED, config=CONFIG)


def through(server: Server, key: str, text: str, source: str) -> dict[str, Any] | None:
    """What the handler saw of an event, or None if it came to nothing but a dead letter."""
    outputs = server.subscribe("out")
    # The second event of the same key shows where the first one's output ends.
    server.feed(text, {"key": key, **COMPLETE}, source=source)
    messages = [outputs.json()]
    if "424242" not in json.dumps(messages[0]):
        messages.append(outputs.json())
    assert "424242" in json.dumps(messages[-1])
    return messages[0] if len(messages) == 2 else None


SAMPLE = [-1, -1.0, False, "default", None, "set"]


@pytest.mark.parametrize(
    ("text", "position", "value"),
    [
        ("", 0, -1),
        ('"i":5', 0, 5),
        ('"i":-9223372036854775808', 0, -(2**63)),
        ('"i":9223372036854775807', 0, 2**63 - 1),
        ('"f":0.1', 1, 0.1),
        ('"f":3', 1, 3.0),
        ('"f":-2.5e-3', 1, -0.0025),
        ('"b":true', 2, True),
        ('"s":""', 3, ""),
        ('"s":"d\\u00e9j\\u00e0 \\ud83e\\udd98"', 3, "d\u00e9j\u00e0 \U0001f998"),
        ('"s":"d\u00e9j\u00e0"', 3, "d\u00e9j\u00e0"),
        ('"s":"a\\"b\\\\c\\n\\u0000"', 3, 'a"b\\c\n\x00'),
        ('"oi":0', 4, 0),
        ('"oi":null', 4, None),
        ('"os":null', 5, None),
        ('"os":"x"', 5, "x"),
        ('"unknown":1,"more":{"deep":[1,{"x":null}]},"i":7', 0, 7),
        (' \t"i" : 5 , "unknown" : [] ', 0, 5),
    ],
)
def test_an_event_is_decoded_into_its_class(
    decoding: Server, key: str, text: str, position: int, value: object
) -> None:
    separator = "," if text else ""
    seen = through(decoding, key, f'{{"key":"{key}"{separator}{text}}}', "samples")
    assert seen is not None, decoding.dead_letters()
    assert seen["type"] == "Sample"
    assert seen["seen"] == [*SAMPLE[:position], value, *SAMPLE[position + 1 :]]
    assert seen["types"][:4] == ["int", "float", "bool", "str"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"inner":{"name":"x","weight":2.5}', [1, ["x", 2.5], None]),
        ('"inner":{"name":"x"}', [1, ["x", 1.0], None]),
        ('"inner":{"name":"x","unknown":{}},"maybe":{"name":"y"}', [1, ["x", 1.0], ["y", 1.0]]),
        ('"inner":{"name":"x"},"maybe":null', [1, ["x", 1.0], None]),
    ],
)
def test_nested_objects(decoding: Server, key: str, text: str, expected: list[object]) -> None:
    seen = through(decoding, key, f'{{"key":"{key}","i":1,{text}}}', "nested")
    assert seen is not None, decoding.dead_letters()
    assert seen["seen"] == expected


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("numbers", "[1,-2,3]", [1, -2, 3]),
        ("words", '["a","","\\u00e9"]', ["a", "", "\u00e9"]),
        ("reals", "[1.5,2]", [1.5, 2.0]),
        ("inners", '[{"name":"x"},{"name":"y","weight":2}]', [["x", 1.0], ["y", 2.0]]),
        ("numbers", "[" + ",".join(["7"] * 10_000) + "]", [7] * 10_000),
    ],
    ids=["numbers", "words", "reals", "objects", "many"],
)
def test_lists(decoding: Server, key: str, name: str, text: str, value: list[object]) -> None:
    fields = {"numbers": "[]", "words": "[]", "reals": "[]", "inners": "[]"} | {name: text}
    body = ",".join(f'"{field}":{one}' for field, one in fields.items())
    seen = through(decoding, key, f'{{"key":"{key}","i":1,{body}}}', "lists")
    assert seen is not None, decoding.dead_letters()
    assert dict(zip(fields, seen["seen"][1:], strict=True)) == {
        field: value if field == name else [] for field in fields
    }


WRONG = {
    "samples": [
        '"i":"5"',
        '"i":1.5',
        '"i":9223372036854775808',
        '"i":null',
        '"i":[1]',
        '"i":{}',
        '"f":"x"',
        '"f":null',
        '"b":"true"',
        '"b":null',
        '"s":5',
        '"s":null',
        '"s":["x"]',
        '"oi":"x"',
        '"os":5',
    ],
    "nested": [
        '"i":1',
        '"inner":{"name":"x"}',
        '"i":1,"inner":null',
        '"i":1,"inner":"x"',
        '"i":1,"inner":[]',
        '"i":1,"inner":{"weight":1.0}',
        '"i":1,"inner":{"name":5}',
        '"i":1,"inner":{"name":"x"},"maybe":5',
    ],
    "lists": [
        '"i":1,"words":[],"reals":[],"inners":[]',
        '"i":1,"numbers":5,"words":[],"reals":[],"inners":[]',
        '"i":1,"numbers":[1,"x"],"words":[],"reals":[],"inners":[]',
        '"i":1,"numbers":{"a":1},"words":[],"reals":[],"inners":[]',
        '"i":1,"numbers":[],"words":[1],"reals":[],"inners":[]',
        '"i":1,"numbers":[],"words":[],"reals":[null],"inners":[]',
        '"i":1,"numbers":[],"words":[],"reals":[],"inners":[{"name":"x"},5]',
    ],
}


@pytest.mark.parametrize(
    ("source", "text"), [(source, text) for source, texts in WRONG.items() for text in texts]
)
def test_wrong_types_and_missing_fields_are_dead_lettered(
    decoding: Server, key: str, source: str, text: str
) -> None:
    before = len(decoding.dead_letters())
    assert through(decoding, key, f'{{"key":"{key}",{text}}}', source) is None
    letters = decoding.dead_letters()
    assert len(letters) == before + 1
    assert key in letters[-1]["event"]


@pytest.mark.parametrize("text", ['{"i":5}', '{"key":null}', '{"key":5}', "{}"])
def test_an_event_without_its_key_is_dead_lettered(decoding: Server, key: str, text: str) -> None:
    before = len(decoding.dead_letters())
    assert through(decoding, key, text, "samples") is None
    assert len(decoding.dead_letters()) == before + 1


def test_a_list_may_have_a_default(launch: Launcher) -> None:
    # assumption: `= []` is allowed, and is a fresh list for every event.
    server = launch(
        with_prelude(
            """
            class Tagged(Event):
                key: str
                tags: list[str] = []

            tagged = app.stream("tagged", Tagged)

            class Thing(app.Entity):
                n: int = 0

                @tagged.on(key="key")
                def take(self, e: Tagged):
                    e.tags.append("mine")
                    out.emit(tags=e.tags)
            """
        ),
        config=source_table("tagged", "tagged"),
    )
    outputs = server.subscribe("out")
    server.feed({"key": "a"}, {"key": "a", "tags": ["x"]}, {"key": "a"}, source="tagged")
    assert [outputs.json()["tags"] for _ in range(3)] == [["mine"], ["x", "mine"], ["mine"]]


def test_an_event_without_a_class_is_a_dict(decoding: Server, key: str) -> None:
    event = {
        "key": key,
        "i": 2**53 + 1,
        "big": 2**80,
        "f": 1.5,
        "none": None,
        "yes": True,
        "text": "d\u00e9j\u00e0",
        "list": [1, [2, {"three": 3}], "x"],
        "object": {"a": {"b": []}},
    }
    assert through(decoding, key, json.dumps(event), "free") == {
        "key": key,
        "type": "dict",
        "event": event,
    }


def test_a_dict_event_without_its_key_is_dead_lettered(decoding: Server, key: str) -> None:
    before = len(decoding.dead_letters())
    assert through(decoding, key, '{"nokey":1}', "free") is None
    assert len(decoding.dead_letters()) == before + 1


def test_events_come_with_xadd_too(decoding: Server, key: str) -> None:
    # The fields of an entry are text; they are converted as the annotations say.
    client, outputs = decoding.redis(), decoding.subscribe("out")
    entry = client.xadd("samples", {"key": key, "i": "5", "f": "2.5", "b": "true", "s": "7"})
    assert outputs.json()["seen"] == [5, 2.5, True, "7", None, "set"]
    assert entry.split("-")[0].isdigit()


def test_xadd_of_a_wrong_type_is_dead_lettered(decoding: Server, key: str) -> None:
    client, outputs = decoding.redis(), decoding.subscribe("out")
    before = len(decoding.dead_letters())
    client.xadd("samples", {"key": key, "i": "five"})
    decoding.wait_dead_letters(before + 1)
    client.xadd("samples", {"key": key, "i": "6"})
    assert outputs.json()["seen"][0] == 6


def test_xadd_to_a_stream_without_a_class_gives_text(decoding: Server, key: str) -> None:
    client, outputs = decoding.redis(), decoding.subscribe("out")
    client.xadd("free", {"key": key, "n": "5", "text": "x y"})
    assert outputs.json()["event"] == {"key": key, "n": "5", "text": "x y"}


# -- keys -----------------------------------------------------------------------------------

KEYED = with_prelude(
    """
    class Number(Event):
        id: int
        n: int = 0

    class Line(Event):
        text: str

    numbers = app.stream("numbers", Number)
    lines = app.stream("lines", Line)
    free = app.stream("free")

    def site(e: In) -> str:
        if e.op == "raise":
            raise ValueError("no key today")
        return e.key.split(".")[-1]

    class Site(app.Entity):
        n: int = 0

        @events.on(key=site)
        def take(self, e: In):
            self.n += e.n

    class ById(app.Entity):
        n: int = 0

        @numbers.on(key="id")
        def take(self, e: Number):
            self.n += e.n

    class Word(app.Entity):
        n: int = 0

        @lines.on(key=lambda e: e.text.split())
        def take(self, e: Line):
            self.n += 1

    class Free(app.Entity):
        n: int = 0

        @free.on(key=lambda e: e["a"] + "/" + e["b"])
        def take(self, e: dict):
            self.n += e["n"]
    """
)

KEYED_CONFIG = "".join(source_table(name, name) for name in ("events", "numbers", "lines", "free"))


@pytest.fixture
def keyed(launch: Launcher) -> Server:
    return launch(KEYED, config=KEYED_CONFIG)


def test_a_key_function(keyed: Server) -> None:
    keyed.feed({"key": "web.paris", "n": 1}, {"key": "db.paris", "n": 2}, {"key": "x.rome", "n": 4})
    client = keyed.redis()
    assert client.hget("site:paris", "n") == "3"
    assert client.hget("site:rome", "n") == "4"
    assert keyed.entities() == 2


def test_a_key_function_that_raises_is_dead_lettered(keyed: Server) -> None:
    keyed.feed({"key": "a", "n": 1}, {"key": "a", "op": "raise", "n": 2}, {"key": "a", "n": 4})
    (letter,) = keyed.dead_letters()
    assert "no key today" in letter["traceback"]
    assert '"raise"' in letter["event"]
    assert keyed.redis().hget("site:a", "n") == "5"


def test_an_int_field_as_key(keyed: Server) -> None:
    # assumption: the key is the number's decimal text.
    keyed.feed({"id": 7, "n": 1}, {"id": -7, "n": 2}, {"id": 7, "n": 4}, source="numbers")
    client = keyed.redis()
    assert client.hget("by_id:7", "n") == "5"
    assert client.hget("by_id:-7", "n") == "2"


def test_a_key_function_returning_several(keyed: Server) -> None:
    keyed.feed({"text": "the cat and the dog"}, {"text": ""}, {"text": "cat"}, source="lines")
    client = keyed.redis()
    counts = {key: client.hget(key, "n") for key in client.scan_iter(match="word:*")}
    # One turn for each key returned, also where one comes twice; none for an empty list.
    assert counts == {"word:the": "2", "word:cat": "2", "word:and": "1", "word:dog": "1"}
    assert keyed.dead_letters() == []


def test_a_key_function_of_dict_events(keyed: Server) -> None:
    keyed.feed({"a": "x", "b": "y", "n": 3}, {"a": "x", "b": "y", "n": 4}, source="free")
    assert keyed.redis().hget("free:x/y", "n") == "7"


@pytest.mark.parametrize("shards", [1, 3])
def test_word_count(launch: Launcher, shards: int) -> None:
    server = launch(KEYED, config=KEYED_CONFIG, shards=shards)
    words = [f"w{n * n % 97}" for n in range(3_000)]
    lines = [" ".join(words[start : start + 10]) for start in range(0, len(words), 10)]
    server.feed(*({"text": line} for line in lines), source="lines")
    client = server.redis()
    counts = {key: int(client.hget(key, "n")) for key in client.scan_iter(match="word:*")}
    assert counts == {f"word:{word}": words.count(word) for word in set(words)}


@pytest.mark.parametrize("result", ["None", "5", "[1, 2]", "b'raw'", "['a', None]", "object()"])
def test_a_key_function_that_returns_no_key(launch: Launcher, result: str) -> None:
    server = launch(
        with_prelude(
            f"""
            class Thing(app.Entity):
                n: int = 0

                @events.on(key=lambda e: "good" if e.op == "good" else {result})
                def take(self, e: In):
                    self.n += 1
            """
        )
    )
    # assumption: what is not text is either made text or dead-lettered; nothing worse happens.
    server.feed({"key": "k"}, {"key": "k", "op": "good"})
    assert server.redis().hget("thing:good", "n") == "1"
    assert server.dead_letters() or server.entities() > 1
