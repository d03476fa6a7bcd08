"""What could not be processed lies in the stream `bettong:dead-letters`, with all that is known."""

from __future__ import annotations

import base64
import json
import re

import pytest

from apps import with_prelude
from harness import (
    Launcher,
    Server,
    encode_event,
    eventually,
    json_lines,
    source_table,
    summary,
)

FIELDS = {"stream", "class", "key", "handler", "event", "state", "error", "traceback"}
PART_BYTES_MAX = 65_536  # of each part of a letter
EVENT_BYTES_MAX = 1 << 20

APP = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 7
        label: str = "fresh"

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            self.label = "changed"
            if e.op == "raise":
                raise ValueError(f"no {e.s} please")
            if e.op == "deep":
                self.helper(e)
            if e.op == "shout":
                raise ValueError("x" * e.n)
            if e.op == "grow":
                self.label = "y" * e.n
            out.emit(key=self.key, n=self.n)

        def helper(self, e: In):
            raise KeyError("from the helper")

        @app.command
        def fail(self):
            raise ValueError("called")
    """
)


@pytest.fixture
def server(launch: Launcher) -> Server:
    return launch(APP)


def test_a_dead_letter_tells_all(server: Server) -> None:
    server.feed({"key": "a"}, {"key": "a", "op": "raise", "s": "umbrellas"})
    (letter,) = server.dead_letters()
    assert set(letter) >= FIELDS
    # assumption: the class is its Python name or its prefix, the key with or without the prefix.
    assert letter["class"].lower() == "thing"
    assert letter["key"] in ("a", "thing:a")
    event = json.loads(letter["event"])
    assert (event["key"], event["op"], event["s"]) == ("a", "raise", "umbrellas")
    # assumption: the state is JSON, the fields before the turn.
    state = json.loads(letter["state"])
    assert (state["n"], state["label"]) == (8, "changed")
    lines = letter["traceback"].rstrip("\n").split("\n")
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: no umbrellas please"
    assert any("app.py" in line and ", in take" in line for line in lines)


def test_a_traceback_goes_all_the_way_down(server: Server) -> None:
    server.feed({"key": "a", "op": "deep"})
    (letter,) = server.dead_letters()
    assert ", in take" in letter["traceback"]
    assert ", in helper" in letter["traceback"]
    assert "KeyError: 'from the helper'" in letter["traceback"]


def test_every_letter_names_its_stream_and_who_it_was_for(launch: Launcher) -> None:
    server = launch(
        with_prelude(
            """
            raw = app.stream("raw")

            def key_of(e: In) -> str:
                if e.op == "key":
                    raise ValueError("no key")
                return e.key

            class Thing(app.Entity, ttl=0.05):
                n: int = 0

                @events.on(key=key_of)
                def take(self, e: In):
                    if e.op == "raise":
                        raise ValueError("told to")

                @raw.on(key="k")
                def take_raw(self, e):
                    pass

                def on_expire(self):
                    raise ValueError("no end")
            """
        ),
        config=source_table("events", "events") + source_table("raw", "raw"),
    )
    server.feed("garbage")
    server.feed({"key": "a", "op": "key"})
    server.feed({"key": "b", "op": "raise"})
    server.feed({"x": 1}, {"k": None}, source="raw")
    server.feed({"key": "c"})
    letters = server.wait_dead_letters(6)
    assert all(set(letter) == FIELDS for letter in letters)
    names = ("stream", "class", "key", "handler")
    assert [tuple(letter[name] for name in names) for letter in letters] == [
        ("events", "null", "null", "null"),
        ("events", "Thing", "null", "take"),
        ("events", "Thing", "b", "take"),
        ("raw", "Thing", "null", "take_raw"),
        ("raw", "Thing", "null", "take_raw"),
        ("null", "Thing", "c", "on_expire"),
    ]


def test_a_letter_is_kept_however_long_its_parts(server: Server) -> None:
    letters = server.subscribe("bettong:dead-letters")
    server.feed({"key": "a", "op": "grow", "n": 100_000})
    # As long as a line may be; with the fields that it lacks it is longer than a letter keeps.
    event = {"key": "a", "op": "shout", "n": 70_000_000, "s": ""}
    event["s"] = "z" * (EVENT_BYTES_MAX - len(encode_event(event)))
    server.feed(event)
    letter = letters.json()
    assert set(letter) == FIELDS
    for name in ("event", "state", "error", "traceback"):
        kept, size = re.fullmatch(
            r"(.*) \.\.\. \(cut: (\d+) bytes in all\)", letter[name], re.DOTALL
        ).groups()
        bytes_max = EVENT_BYTES_MAX if name == "event" else PART_BYTES_MAX
        assert len(kept) == bytes_max
        assert int(size) > bytes_max
    assert letter["event"].startswith('{"key":"a","op":"shout"')
    assert letter["error"].startswith("ValueError: xxx")
    assert letter["error"].endswith(f"(cut: {70_000_000 + len('ValueError: ')} bytes in all)")
    assert (letter["class"], letter["key"], letter["handler"]) == ("Thing", "a", "take")
    assert server.redis().hget("thing:a", "n") == "8"


def test_the_state_is_the_one_before_the_turn(server: Server) -> None:
    bad = {"key": "a", "op": "raise"}
    server.feed({"key": "a"}, bad, {"key": "a"}, bad)
    states = [json.loads(letter["state"]) for letter in server.dead_letters()]
    assert [state["n"] for state in states] == [8, 9]


def test_letters_come_in_the_order_of_the_events(server: Server) -> None:
    server.feed(*({"key": "a", "op": "raise", "n": n} for n in range(200)))
    numbers = [json.loads(letter["event"])["n"] for letter in server.dead_letters()]
    assert numbers == list(range(200))


def test_letters_can_be_waited_for(server: Server) -> None:
    client, reader = server.redis(), server.connect()
    reader.send("XREAD", "BLOCK", 0, "STREAMS", "bettong:dead-letters", "$")
    eventually(lambda: client.info("clients")["blocked_clients"] == 1, "a blocked client")
    server.feed({"key": "a", "op": "raise"})
    ((name, ((_, fields),)),) = reader.read().python()
    assert name == "bettong:dead-letters"
    assert set(fields[::2]) >= FIELDS
    assert client.xlen("bettong:dead-letters") == 1


UNDECODABLE = [
    "not json",
    "{",
    '{"key":"a"',
    '{"key":"a"}}',
    '{"key":"a"} {"key":"b"}',
    "{'key':'a'}",
    '{"key":"a",}',
    '{"key":"a","n":01}',
    '{"key":"a","n":NaN}',
    "[1,2]",
    '"text"',
    "5",
    "null",
    '{"key":"\x01"}',
    '{"key":"\\ud800"}',
    '{"key":"a","n":"five"}',
    '{"n":5}',
]


@pytest.mark.parametrize("line", UNDECODABLE)
def test_an_undecodable_event_is_kept_as_it_came(server: Server, line: str) -> None:
    server.feed({"key": "good", "n": 1}, line, {"key": "good", "n": 2})
    (letter,) = server.dead_letters()
    assert set(letter) >= FIELDS
    assert letter["event"] == line
    assert letter["traceback"]
    assert server.redis().hget("thing:good", "n") == "9"
    assert server.entities() == 1


def test_invalid_utf8_is_dead_lettered(server: Server) -> None:
    line = b'{"key":"\xff\xfe"}'
    server.feed({"key": "good"}, line, {"key": "good"})
    raw = server.redis(decode_responses=False)
    ((_, fields),) = raw.xrange("bettong:dead-letters")
    assert fields[b"event"] == '{"key":"\ufffd\ufffd"}'.encode()
    assert base64.b64decode(fields[b"event_base64"]) == line
    assert raw.hget("thing:good", "n") == b"9"


def test_a_call_that_raises_is_answered_to_its_caller(server: Server) -> None:
    server.feed({"key": "a"})
    answer = server.connect().reply("CALL", "thing:a", "fail")
    assert answer.is_error
    assert "called" in answer.words()


def test_one_bad_event_among_many(launch: Launcher) -> None:
    server = launch(APP, shards=3)
    lines: list[dict[str, object] | str] = [{"key": f"k{n % 10}"} for n in range(1_000)]
    lines[500] = "garbage"
    server.feed(*lines)
    (letter,) = server.dead_letters()
    assert letter["event"] == "garbage"
    client = server.redis()
    assert sum(int(client.hget(f"thing:k{n}", "n")) - 7 for n in range(10)) == 999


def test_a_flood_of_bad_events_is_counted_and_bounded(launch: Launcher) -> None:
    # assumption: the stream keeps fewer than 200,000 letters.
    server = launch(APP)
    server.feed(*(["garbage"] * 200_000), {"key": "good"})
    assert server.redis().hget("thing:good", "n") == "8"
    assert 0 < server.redis().xlen("bettong:dead-letters") < 200_000


def test_a_run_counts_dead_letters_and_goes_on(launch: Launcher) -> None:
    path = launch.folder / "in.jsonl"
    good, bad = '{"key":"a"}\n', '{"key":"a","op":"raise"}\n'
    path.write_text(good + "garbage\n" + bad + good + '{"n":1}\n' + good)
    done = launch.run(APP, "--input", path, "--output", "-")
    assert done.returncode == 0, done.stderr
    assert [line["n"] for line in json_lines(done.stdout)] == [8, 9, 10]
    counts = summary(done)
    assert (counts["dead_letters"], counts["outputs"], counts["live"]) == (3, 3, 1)


def test_a_handler_of_dead_letters_that_fails_is_not_given_its_own(launch: Launcher) -> None:
    app = with_prelude(
        """
        letters = app.stream("bettong:dead-letters")

        class Letter(app.Entity):
            n: int = 0

            @letters.on(key="stream")
            def take(self, e):
                raise ValueError("no letters please")

        class Thing(app.Entity):
            n: int = 0

            @events.on(key="key")
            def take(self, e: In):
                raise ValueError("no things please")
        """
    )
    server = launch(app)
    server.feed({"key": "a"})
    letters = server.wait_dead_letters(2)
    assert [letter["stream"] for letter in letters] == ["events", "bettong:dead-letters"]
    server.feed({"key": "b"})
    assert len(server.wait_dead_letters(4)) == 4
