"""Handlers that take several events of an entity in one turn, as lists and as columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bettong.testing import AppError, TestGrid

from apps import with_prelude
from grids import Grids
from harness import Launcher, json_lines, source_table

LISTS = """
    class Tick(Event, time="ts"):
        key: str
        n: int
        ts: int = 0

    ticks = app.stream("ticks", Tick)

    class Thing(app.Entity):
        last: int = -1
        turns: int

        @ticks.on(key="key", batch={batch})
        def take(self, events: list[Tick]):
            assert 1 <= len(events) <= {batch}
            for e in events:
                assert e.n > self.last, (self.last, [e.n for e in events])
                self.last = e.n
                if e.n % 1000 == 999:
                    raise ValueError(f"{{e.n}} is poison")
            assert len({{id(e) for e in events}}) == len(events)
            self.turns += 1
            out.emit(key=self.key, ns=[e.n for e in events], turn=self.turns)
"""


def run(launch: Launcher, body: str, events: list[dict[str, Any]], *arguments: str) -> Any:
    path = launch.folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return launch.run(
        with_prelude(body), "--input", path, "--output", "-", "--stream", "ticks", *arguments
    )


@pytest.mark.sanitized
@pytest.mark.parametrize("batch", [1, 7, 4096])
@pytest.mark.parametrize("shards", ["1", "3"])
def test_every_event_once_in_order_and_poison_alone(
    launch: Launcher, batch: int, shards: str
) -> None:
    count = 5000
    events = [{"key": f"k{i % 3}", "n": i} for i in range(count)]
    done = run(launch, LISTS.format(batch=batch), events, "--shards", shards)
    outputs = json_lines(done.stdout)
    poison = set(range(999, count, 1000))
    assert done.returncode == 0
    assert f"dead_letters={len(poison)} " in done.stderr
    for k in range(3):
        got = [n for output in outputs if output["key"] == f"k{k}" for n in output["ns"]]
        assert got == [n for n in range(k, count, 3) if n not in poison]
        turns = [output["turn"] for output in outputs if output["key"] == f"k{k}"]
        assert turns == list(range(1, len(turns) + 1))
    longest = max(len(output["ns"]) for output in outputs)
    assert longest == 1 if batch == 1 else 1 < longest <= batch


def test_other_turns_of_the_entity_keep_their_place(launch: Launcher) -> None:
    body = """
        class Tick(Event):
            key: str
            n: int

        ticks = app.stream("ticks", Tick)

        class Thing(app.Entity):
            seen: int

            @ticks.on(key="key", batch=100)
            def several(self, events: list[Tick]):
                self.seen += len(events)
                out.emit(key=self.key, at=events[-1].n, seen=self.seen)

            @ticks.on(key=lambda e: [e.key] if e.n % 10 == 0 else [])
            def tenth(self, e: Tick):
                pass

        class Each(app.Entity):
            last: int = -1

            @ticks.on(key="key")
            def one(self, e: Tick):
                assert e.n > self.last
                self.last = e.n
    """
    done = run(launch, body, [{"key": f"k{i % 2}", "n": i} for i in range(2000)])
    outputs = json_lines(done.stdout)
    assert "dead_letters=0 " in done.stderr
    assert {o["key"]: o["seen"] for o in outputs} == {"k0": 1000, "k1": 1000}


def test_event_time_ends_an_entity_between_the_events_of_a_batch(launch: Launcher) -> None:
    body = """
        class Tick(Event, time="ts"):
            key: str
            ts: int

        ticks = app.stream("ticks", Tick)

        class Visit(app.Entity, ttl=10, clock="event"):
            n: int

            @ticks.on(key="key", batch=100)
            def take(self, events: list[Tick]):
                self.n += len(events)

            def on_expire(self):
                out.emit(key=self.key, n=self.n)
    """
    # Three ticks 4 s apart, then a pause of 20 s, and again.
    times = [base + step for base in range(0, 28_000 * 50, 28_000) for step in (0, 4_000, 8_000)]
    done = run(launch, body, [{"key": "a", "ts": ts} for ts in times])
    outputs = json_lines(done.stdout)
    # The last visit is not over: nothing says that time goes on.
    assert outputs == [{"key": "a", "n": 3}] * 49


COLUMNS = """
    from bettong import Columns

    class Tick(Event):
        key: str
        i: int
        f: float
        on: bool
        maybe: int | None = None
        half: float | None = None
        tags: list[str] = []

    ticks = app.stream("ticks", Tick)
    kept = []

    class Thing(app.Entity):
        count: int
        total: float
        top: int

        @ticks.on(key="key", columns=True)
        def take(self, c: Columns[Tick]):
            kept.append(c)
            if self.key == "shape":
                out.emit(
                    kinds=[str(getattr(c, n).dtype) for n in Tick.__slots__ if n != "key"],
                    values=[repr(getattr(c, n).tolist()[0]) for n in Tick.__slots__],
                    writable=bool(c.i.flags.writeable), same=c.i is c.i, size=len(c))
            elif self.key == "wrong":
                c.nothing
            elif self.key == "stale":
                kept[0].i
            self.count += len(c)
            self.total += float(c.f.sum())
            self.top = max(self.top, int(c.i.max()))

        @app.command
        def read(self) -> list[float]:
            return [self.count, self.total, self.top]
"""


def test_columns_are_arrays_of_the_fields_types(tmp_path: Path) -> None:
    grids = Grids(tmp_path)
    grid = grids(COLUMNS)
    grid.send("ticks", {"key": "shape", "i": 2**62, "f": 0.5, "on": True, "tags": ["a"]})
    (shape,) = grid.outputs("out")
    assert shape.pop("values") == [
        "'shape'", str(2**62), "0.5", "True", "None", "nan", "['a']"
    ]  # fmt: skip
    assert shape == {
        "kinds": ["int64", "float64", "bool", "object", "float64", "object"],
        "writable": True, "same": True, "size": 1,
    }  # fmt: skip
    for key, error in (("wrong", "Tick has no field 'nothing'"), ("stale", "StaleEntityError")):
        grid.send("ticks", {"key": key, "i": 1, "f": 1.0, "on": False})
        (letter,) = grid.dead_letters()
        assert error in letter.error
    grids.close()


def test_columns_sum_up_what_lists_would(launch: Launcher) -> None:
    events = [
        {"key": f"k{i % 4}", "i": (i * 7919) % 10_007, "f": i / 8, "on": i % 2 == 0}
        for i in range(20_000)
    ]
    server = launch(with_prelude(COLUMNS), config=source_table("ticks", "ticks"))
    server.feed(*events, source="ticks")
    connection = server.connect()
    for k in range(4):
        mine = [event for event in events if event["key"] == f"k{k}"]
        count, total, top = connection.call("CALL", f"thing:k{k}", "read")
        assert (int(count), float(total), int(top)) == (
            len(mine), sum(event["f"] for event in mine), max(event["i"] for event in mine),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("on", "error"),
    [
        ('events.on(key="key", batch=0)', "batch is a number of events, 1 to 4096, not 0"),
        ('events.on(key="key", batch=4097)', "1 to 4096, not 4097"),
        ('events.on(key="key", batch=True)', "1 to 4096, not True"),
        ('out.on(key="key", columns=True)', "columns need events with a class"),
        (
            '__import__("sys").modules.update(numpy=None) or events.on(key="key", columns=True)',
            "columns are arrays of numpy, which cannot be imported",
        ),
    ],
)
def test_mistakes_are_told_when_the_app_is_loaded(tmp_path: Path, on: str, error: str) -> None:
    path = tmp_path / "app.py"
    path.write_text(
        with_prelude(f"""
            class Thing(app.Entity):
                @{on}
                def take(self, events):
                    pass
        """)
    )
    with pytest.raises(AppError, match=error):
        TestGrid(path)
