"""Conditions of handlers (`when=`) are what Python says they are."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from apps import with_prelude
from harness import Launcher, by_key, json_lines, summary
from random_conditions import INTS, TEXTS, TOO_LARGE, Generator

# --- the same app, with conditions and with checks in the handlers

# Of each handler the condition, and the same as a check in Python, where None cannot be compared.
CHECKS = {
    "busy": ("busy(self.tenths, self.told)", "busy(self.tenths, self.told)"),
    "other": (
        "(e.n != self.maybe) & (e.n > self.told * 0 + 2)",
        "e.n != self.maybe and e.n is not None and e.n > 2",
    ),
    "better": (
        "(self.load.mean > self.best) | (self.note == e.s) | (self.pos.name == self.key)",
        "self.load.mean is not None and self.load.mean > self.best or self.note == e.s"
        " or self.pos.name == self.key",
    ),
    "lately": (
        "(e.up == self.on) & (e.x * 2 - 1 < self.load.max)",
        "e.up == self.on and self.load.max is not None and e.x * 2 - 1 < self.load.max",
    ),
}

APP = """
    from bettong import Record, Sliding, Tumbling, seconds

    class Timed(Event, time="ts"):
        key: str
        ts: int
        n: int | None = None
        x: float = 0.0
        s: str = ""
        up: bool = False

    timed = app.stream("timed", Timed)
    calls = app.stream("calls")

    class Point(Record):
        x: float
        name: str

    def busy(w, told):
        return (w.sum > 20 * w.count) & (w.count >= 3) & (w.end != told)

    class Thing(app.Entity, ttl=seconds(20), clock="event"):
        tenths: Sliding[int] = Sliding(seconds(3), pane=seconds(1), of=Timed.x, scale=10)
        load: Tumbling = Tumbling(seconds(5), of=Timed.x)
        told: int
        maybe: int | None
        on: bool
        log: str

        def on_create(self):
            self.maybe = len(self.key)

        @timed.on(key="key"{busy.when})
        def busy(self, e: Timed):
            {busy.check}
            self.told = self.tenths.end
            self.log += "b"
            out.emit(key=self.key, busy=e.ts, n=self.tenths.count, sum=self.tenths.sum)

        @timed.on(key="key"{other.when})
        def other(self, e: Timed):
            {other.check}
            self.maybe = None if e.n % 3 == 0 else e.n
            self.log += "o"
            if e.n == 7:
                raise ValueError("seven")
            out.emit(key=self.key, other=e.n)

        @timed.late(key="key"{lately.when})
        def lately(self, e: Timed):
            {lately.check}
            self.on = not self.on
            self.log += "l"
            out.emit(key=self.key, late=e.ts)

        @timed.on(key="key")
        def always(self, e: Timed):
            if e.s == "tell":
                self.tell("told")

        def on_expire(self):
            self.tell("gone")

        def tell(self, why):
            windows = [[w.count, w.sum, w.min, w.start, w.end] for w in (self.tenths, self.load)]
            out.emit(key=self.key, why=why, told=self.told, maybe=self.maybe, on=self.on,
                     log=self.log, windows=windows)

    # Of a class of its own: an event takes longer to the entities of a key function, so that what
    # other handlers do comes before it or after it.
    class Best(app.Entity, ttl=seconds(20), clock="event"):
        load: Tumbling = Tumbling(seconds(5), of=Timed.x)
        best: float = 1.5
        note: str | None
        pos: Point = Point(0.5, "k1")

        @timed.on(key=lambda e: [e.key, "all"]{better.when})
        def better(self, e: Timed):
            {better.check}
            self.best += 0.25
            self.note = e.s or None
            self.load.add(e.x / 2)
            out.emit(key="best " + self.key, better=e.ts, best=self.best, note=self.note,
                     mean=self.load.mean, x=self.pos.x)
"""  # fmt: skip


def app(*, conditions: bool) -> str:
    text = APP
    for name, (when, check) in CHECKS.items():
        declared = f", when=lambda self, e: {when}" if conditions else ""
        checked = "pass" if conditions else f"if not ({check}): return"
        text = text.replace(f"{{{name}.when}}", declared).replace(f"{{{name}.check}}", checked)
    return with_prelude(text)


@cache
def events(seed: int) -> list[dict[str, Any]]:
    """Of few keys, with gaps longer than the TTL; some are late."""
    chance = random.Random(seed)
    keys = [f"k{k}" for k in range(12)]
    made: list[dict[str, Any]] = []
    ts = 1_000_000
    for _ in range(6000):
        ts += chance.choice([0, 1, 20, 90, 300, 300, 300]) if chance.random() > 0.002 else 60_000
        late = chance.choice([0] * 9 + [700, 2500])
        event: dict[str, Any] = {"key": chance.choice(keys), "ts": ts - late}
        event["n"] = chance.choice([None, 1, 2, 3, 4, 6, 7, 2**53 + 1])
        event["x"] = chance.choice([0, 0.5, 1, 1.75, 2.25, 3.1, 9.0, -1.5])
        event["s"] = chance.choice(["", "", "a", "b", "a text that is longer"])
        event["up"] = chance.random() < 0.5
        made.append(event)
    return made + [{"key": key, "ts": ts, "s": "tell"} for key in [*keys, "all"]]


def run(launch: Launcher, folder: Path, *, conditions: bool, shards: int) -> Any:
    lines, output = folder / "events.jsonl", folder / "out.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in events(1)))
    done = launch.run(
        app(conditions=conditions), "--input", lines, "--output", output,
        "--stream", "timed", "--shards", str(shards),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return by_key(json_lines(output.read_text())), done.stderr.split("seconds=")[0]


@pytest.mark.parametrize("shards", [1, 3])
def test_it_is_as_if_the_handler_began_with_it(
    launch: Launcher, tmp_path: Path, shards: int
) -> None:
    right, right_counts = run(launch, tmp_path, conditions=False, shards=1)
    outputs, counts = run(launch, tmp_path, conditions=True, shards=shards)
    assert outputs == right
    assert counts.rsplit("\n")[-1] == right_counts.rsplit("\n")[-1]
    assert "dead_letters=0" not in counts
    told = [emitted for key in right for emitted in right[key]]
    for name in ("busy", "other", "better", "late"):
        assert sum(name in each for each in told) > 50, name
    assert sum(each.get("why") == "gone" for each in told) > 20


# --- any condition, and Python itself

KEEP = '["sum", "min", "max", "first", "last", "variance"]'
PROPERTY = f"""
    from bettong import Record, Session, Sliding, Tumbling, seconds
    from random_conditions import View

    class Any(Event, time="ts"):
        key: str
        ts: int
        i: int
        n: int | None
        x: float | None
        real: float
        s: str
        t: str | None
        up: bool
        flag: bool | None

    anything = app.stream("anything", Any)

    class Point(Record):
        x: float
        n: int
        name: str

    class Thing(app.Entity):
        ints: Sliding[int] = Sliding(seconds(3), pane=seconds(1), keep={KEEP}, of=Any.real, scale=4)
        floats: Tumbling = Tumbling(seconds(5), keep={KEEP}, of=Any.x)
        last: Sliding[int] = Sliding(seconds(20), pane=seconds(5), keep={KEEP})
        visit: Session = Session(seconds(2), keep={KEEP}, of=Any.real)
        open: Tumbling[int] = Tumbling(seconds(4), keep={KEEP}, of=Any.real, scale=1)
        n: int
        x: float = -0.0
        on: bool
        maybe: int | None
        name: str = "a"
        note: str | None
        pos: Point = Point(0.5, -3, "b")

        def on_close(self, window):
            self.maybe = window.count

        @anything.on(key="key")
        def feed(self, e: Any): ...

        @anything.on(key="key")
        def expect(self, e: Any):
            answers = [c(View(self), View(e)).value for c in CONDITIONS]
            out.emit(key="expected", i=e.i, answers=answers)

HANDLERS
        @anything.on(key="key")
        def update(self, e: Any):
            self.n = e.n if e.n is not None and e.up else self.n // 2 + 1
            self.x = e.real * (1e300 if e.flag else 1.0) * self.x + e.real
            self.on = e.up and e.i % 3 > 0
            self.maybe = e.n
            self.name, self.note = e.s, e.t
            self.pos.x, self.pos.n, self.pos.name = e.real / 2, e.i, self.key if e.up else e.s
            if e.n is not None and abs(e.n) < 1 << 60:
                self.last.add(e.n)
"""


def property_app(conditions: list[str]) -> str:
    handlers = "".join(
        f"""
        @anything.on(key="key", when=lambda self, e: {text})
        def handler{i}(self, e: Any):
            out.emit(key="ran", i=e.i, handler={i})
"""
        for i, text in enumerate(conditions)
    )
    functions = "".join(f"lambda self, e: {text},\n" for text in conditions)
    app = with_prelude(PROPERTY.replace("HANDLERS", handlers))
    folder = Path(__file__).parent
    return f"import sys\nsys.path.insert(0, {str(folder)!r})\n{app}\nCONDITIONS = [\n{functions}]\n"


def any_events(seed: int, count: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    ts = 1_000_000
    made = []
    for i in range(count):
        ts += chance.choice([0, 1, 400, 1200, 5000])
        event: dict[str, Any] = {"key": chance.choice(["", "a", "b", "ü"]) or "c", "ts": ts, "i": i}
        event["n"] = chance.choice([None, *INTS])
        event["x"] = chance.choice([None, 0, 0.5, -2.5, 7, 2**53])
        event["real"] = chance.choice([0.0, -0.0, 0.5, -2.5, 7.0, 1024.0])
        event["s"] = chance.choice(TEXTS)
        event["t"] = chance.choice([None, *TEXTS])
        event["up"] = chance.random() < 0.5
        event["flag"] = chance.choice([None, False, True])
        made.append(event)
    return made


TOO_LARGE_AT_TIMES = [
    "e.n * e.n * e.n > self.maybe",
    "self.on & (e.n * 9223372036854775807 * -3 > self.n)",
    "e.up | ((e.n * e.n + e.n * e.n < e.real) & self.on)",
    "(e.n != None) & (0.5 < -(-(e.n * e.n) - e.n * e.n))",
]


@pytest.mark.sanitized
@pytest.mark.parametrize("seed", [1, 2])
def test_any_condition_is_what_python_says(launch: Launcher, tmp_path: Path, seed: int) -> None:
    generator = Generator(seed)
    conditions = [generator.condition(1 + i % 4) for i in range(100)] + TOO_LARGE_AT_TIMES
    lines, output = tmp_path / "events.jsonl", tmp_path / "out.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in any_events(seed, 300)))
    done = launch.run(
        property_app(conditions), "--input", lines, "--output", output, "--stream", "anything"
    )
    assert done.returncode == 0, done.stderr
    outputs = by_key(json_lines(output.read_text()))
    ran = {(each["i"], each["handler"]) for each in outputs["ran"]}
    too_large = 0
    for expected in outputs["expected"]:
        for handler, answer in enumerate(expected["answers"]):
            held = (expected["i"], handler) in ran
            assert held == (answer is True), (conditions[handler], expected["i"], answer)
            too_large += answer == TOO_LARGE
    assert len(outputs["expected"]) == 300
    assert 3000 < len(ran) < 27_000
    assert too_large > 20
    assert summary(done)["dead_letters"] == too_large
