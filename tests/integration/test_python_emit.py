"""What an app emits: its JSON, its order, and where it can be read."""

from __future__ import annotations

import json

import pytest

from apps import with_prelude
from harness import Launcher, Server, eventually, file_sink_table, source_table, view_entry

EMIT = with_prelude(
    """
    class Alert(Event):
        host: str
        mean: float | None = None
        state: str = "high"
        count: int = 0
        seen: bool = False

    alerts = app.stream("alerts", Alert)

    class Thing(app.Entity):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            exec(e.s, globals() | {"self": self, "e": e})
            self.n += 1
    """
)


@pytest.fixture(scope="module")
def emitting(launch_shared: Launcher) -> Server:
    return launch_shared(EMIT)


def emitted(server: Server, key: str, code: str, stream: str) -> str:
    outputs = server.subscribe(stream)
    server.feed({"key": key, "s": code})
    assert server.dead_letters(key) == []
    return outputs.next()


@pytest.mark.parametrize(
    ("code", "line"),
    [
        # keywords: in the order of the arguments
        ("out.emit(b=1, a=2)", '{"b":1,"a":2}'),
        ("out.emit(host=self.key, state='silent')", '{"host":"KEY","state":"silent"}'),
        ("out.emit(x=None, y=True, z=False)", '{"x":null,"y":true,"z":false}'),
        ("out.emit(f=1.5, g=-0.25, h=1e-7)", '{"f":1.5,"g":-0.25,"h":1e-07}'),
        ("out.emit(l=[1, 'a', None, [2.5]])", '{"l":[1,"a",null,[2.5]]}'),
        ("out.emit(t=(1, 2))", '{"t":[1,2]}'),
        ("out.emit(d={'z': 1, 'a': {'b': []}})", '{"d":{"z":1,"a":{"b":[]}}}'),
        ("out.emit(big=2**63 - 1, small=-2**63)", None),
        ("out.emit(s='a b')", '{"s":"a b"}'),
    ],
)
def test_keywords_become_compact_json(
    emitting: Server, key: str, code: str, line: str | None
) -> None:
    text = emitted(emitting, key, code, "out")
    if line is None:
        line = f'{{"big":{2**63 - 1},"small":{-(2**63)}}}'
    if "1e-07" in line:
        # assumption: floats are written so that they read back the same; the spelling is open.
        assert json.loads(text) == json.loads(line)
        assert " " not in text
    else:
        assert text == line.replace("KEY", key)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        # an event: all its fields, in the order of the declaration
        (
            "alerts.emit(Alert(state='low', host='h', count=3))",
            '{"host":"h","mean":null,"state":"low","count":3,"seen":false}',
        ),
        (
            "alerts.emit(Alert(host='h', mean=91.5, seen=True))",
            '{"host":"h","mean":91.5,"state":"high","count":0,"seen":true}',
        ),
    ],
)
def test_an_event_becomes_compact_json(emitting: Server, key: str, code: str, line: str) -> None:
    assert emitted(emitting, key, code, "alerts") == line


def test_keywords_into_a_typed_stream_keep_their_order(emitting: Server, key: str) -> None:
    # assumption: what keywords leave out is left out; the example in DESIGN 6 names two of three.
    text = emitted(emitting, key, "alerts.emit(state='silent', host='h')", "alerts")
    assert text.startswith('{"state":"silent","host":"h"')


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "\\",
        "a\nb\r\tc",
        "\x00\x01\x1f",
        "d\u00e9j\u00e0 \u2603 \U0001f998",
        "</script>",
        "\x7f",
        "\u2028",
    ],
)
def test_any_text_survives(emitting: Server, key: str, text: str) -> None:
    line = emitted(emitting, key, f"out.emit(s={text!r}, n=1)", "out")
    assert json.loads(line) == {"s": text, "n": 1}
    assert "\n" not in line


@pytest.mark.parametrize(
    "code",
    [
        "out.emit(x=object())",
        "out.emit(x={1, 2})",
        "out.emit(5)",
        "alerts.emit(Alert())",
        "out.nosuch()",
    ],
)
def test_what_cannot_be_emitted_raises(emitting: Server, key: str, code: str) -> None:
    emitting.feed({"key": key}, {"key": key, "s": f"self.n = 100; {code}"}, {"key": key})
    (letter,) = emitting.dead_letters(key)
    assert "Error" in letter["traceback"]
    assert emitting.redis().hget(f"thing:{key}", "n") == "2"


def test_the_order_within_and_among_turns_of_a_key(emitting: Server, key: str) -> None:
    outputs = emitting.subscribe("out")
    code = "for i in range(3): out.emit(n=self.n, i=i)"
    emitting.feed(*({"key": key, "s": code} for _ in range(200)))
    received = [outputs.json() for _ in range(600)]
    assert received == [{"n": n, "i": i} for n in range(200) for i in range(3)]


def test_two_streams_from_one_turn(emitting: Server, key: str) -> None:
    outputs, alerts = emitting.subscribe("out"), emitting.subscribe("alerts")
    emitting.feed({"key": key, "s": "out.emit(a=1); alerts.emit(Alert(host='h')); out.emit(a=2)"})
    assert outputs.take(2) == ['{"a":1}', '{"a":2}']
    assert alerts.json()["host"] == "h"


def test_many_outputs_of_one_turn(emitting: Server, key: str) -> None:
    outputs = emitting.subscribe("out")
    emitting.feed({"key": key, "s": "for i in range(500): out.emit(i=i)"})
    assert [outputs.json()["i"] for _ in range(500)] == list(range(500))


# -- where outputs can be read --------------------------------------------------------------


def test_the_view_of_a_stream(launch: Launcher) -> None:
    server = launch(EMIT)
    client = server.redis()
    assert client.xlen("out") == 0
    code = "out.emit(key=self.key, n=self.n, text='x y')"
    server.feed(*({"key": "a", "s": code} for _ in range(5)))
    eventually(lambda: client.xlen("out") == 5, "five entries")
    entries = client.xrange("out")
    seen = [view_entry(fields) for _, fields in entries]
    assert seen == [{"key": "a", "n": n, "text": "x y"} for n in range(5)]
    ids = [tuple(map(int, entry.split("-"))) for entry, _ in entries]
    assert ids == sorted(set(ids))
    assert client.type("out") == "stream"
    assert client.xrevrange("out", count=1) == entries[-1:]
    ((_, later),) = client.xread({"out": entries[2][0]})
    assert later == entries[3:]


def test_xread_block_waits_for_the_next_output(launch: Launcher) -> None:
    server = launch(EMIT)
    client, reader = server.redis(), server.connect()
    reader.send("XREAD", "BLOCK", 0, "STREAMS", "out", "$")
    eventually(lambda: client.info("clients")["blocked_clients"] == 1, "a blocked client")
    server.feed({"key": "a", "s": "out.emit(n=41)"})
    ((name, ((_, fields),)),) = reader.read().python()
    assert name == "out"
    assert view_entry(dict(zip(fields[::2], fields[1::2], strict=True))) == {"n": 41}


def test_the_view_is_bounded(launch: Launcher) -> None:
    # assumption: the view keeps fewer than 200,000 entries.
    server = launch(EMIT)
    code = "for i in range(2000): out.emit(i=i)"
    server.feed(*({"key": f"k{n}", "s": code} for n in range(100)))
    assert 0 < server.redis().xlen("out") < 200_000


def test_psubscribe_sees_outputs(launch: Launcher) -> None:
    server = launch(EMIT)
    subscriber = server.subscribe("o*", pattern=True)
    server.feed({"key": "a", "s": "out.emit(n=1)"})
    assert subscriber.next_message() == ("out", '{"n":1}')


def test_resp3_subscribers_see_outputs(launch: Launcher) -> None:
    server = launch(EMIT)
    subscriber = server.subscribe("out", protocol=3)
    server.feed({"key": "a", "s": "out.emit(n=1)"})
    assert subscriber.next() == '{"n":1}'


# -- chains ---------------------------------------------------------------------------------

CHAIN = """
from bettong import App, Event

app = App("chain")

class Start(Event, time="ts"):
    key: str
    ts: int = 0
    n: int = 0

class Middle(Event, time="ts"):
    group: str
    sender: str
    ts: int
    n: int

start = app.stream("start", Start)
middle = app.stream("middle", Middle)
plain = app.stream("plain")
out = app.stream("out")

class First(app.Entity):
    n: int = 0

    @start.on(key="key")
    def take(self, e: Start):
        self.n += 1
        middle.emit(Middle(group=f"g{e.n % 3}", sender=self.key, ts=e.ts, n=self.n))

class Second(app.Entity):
    total: int = 0
    order: int = 0

    @middle.on(key="group")
    def take(self, e: Middle):
        self.total += e.n
        plain.emit(group=self.key, sender=e.sender, n=e.n)

class Third(app.Entity):
    last: int = 0

    @plain.on(key="sender")
    def take(self, e: dict):
        if e["n"] != self.last + 1 and e["group"] == "g0":
            raise ValueError("out of order")
        self.last = e["n"]
        out.emit(sender=self.key, n=e["n"])
"""


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_streams_can_be_chained(launch: Launcher, shards: int) -> None:
    path = launch.folder / "out.jsonl"
    config = source_table("start", "start") + file_sink_table("out", "out", path)
    server = launch(CHAIN, config=config, shards=shards)
    senders, rounds = 30, 20
    server.feed(
        *({"key": f"s{n}", "n": 0, "ts": r} for r in range(rounds) for n in range(senders)),
        source="start",
    )
    # assumption: a source that has closed has seen its own outputs out; later stages may follow.
    count = senders * rounds
    eventually(lambda: path.read_bytes().count(b"\n") == count, "all outputs of the last stage")
    assert server.dead_letters() == []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for n in range(senders):
        mine = [line["n"] for line in lines if line["sender"] == f"s{n}"]
        assert mine == list(range(1, rounds + 1))
    client = server.redis()
    assert client.hget("second:g0", "total") == str(senders * rounds * (rounds + 1) // 2)


def test_an_entity_may_emit_into_its_own_stream(launch: Launcher) -> None:
    server = launch(
        """
        from bettong import App, Event

        app = App("loop")

        class Step(Event):
            key: str
            left: int

        steps = app.stream("events", Step)

        class Walker(app.Entity):
            count: int = 0

            @steps.on(key="key")
            def step(self, e: Step):
                self.count += 1
                if e.left:
                    key = self.key if e.left % 2 else f"other-{e.left % 7}"
                    steps.emit(Step(key=key, left=e.left - 1))
        """
    )
    server.feed({"key": "a", "left": 1_000})
    client = server.redis()

    def steps() -> int:
        return sum(int(client.hget(key, "count")) for key in client.scan_iter(match="walker:*"))

    eventually(lambda: steps() == 1_001, "the last step")


def test_a_turn_that_emits_without_end_fails_whole(launch: Launcher) -> None:
    server = launch(
        """
        from bettong import App, Event

        app = App("flood")

        class Item(Event):
            key: str
            mebibytes: int

        items = app.stream("items", Item)
        out = app.stream("out")

        class Flood(app.Entity):
            turns: int = 0

            @items.on(key="key")
            def item(self, e: Item) -> None:
                self.turns += 1
                for n in range(e.mebibytes):
                    out.emit(n=n, text="x" * (1 << 20))
        """,
        config="[python]\nhandler_timeout = 60\n",
    )
    client = server.redis()
    client.xadd("items", {"key": "a", "mebibytes": 3})
    eventually(lambda: client.xlen("out") == 3, "three outputs")
    client.xadd("items", {"key": "a", "mebibytes": 64})
    (letter,) = eventually(server.dead_letters, "the dead letter")
    assert "64 MiB" in letter["traceback"]
    assert (client.xlen("out"), client.hget("flood:a", "turns")) == (3, "1")
