"""Chains of map, filter and flat_map on streams."""

from __future__ import annotations

import random
from typing import Any

import pytest

from apps import event, with_prelude
from grids import Grids
from harness import Launcher, run_bettong, source_table

pytestmark = pytest.mark.sanitized


CHAINED = '''
def n_of(v):
    return v["n"] if isinstance(v, dict) else v.n

def even(v):
    return n_of(v) % 2 == 0

def small(v):
    return [1] if n_of(v) < 40 else []  # true or not, no bool

def plus(v):
    return {"n": n_of(v) + 1}

def triple(v):
    return {"n": n_of(v) * 3}

def pair(v):
    return [{"n": n_of(v)}, {"n": -n_of(v)}]

def spread(v):
    for i in range(n_of(v) % 4):
        yield {"n": n_of(v) * 10 + i}
'''  # fmt: skip
STEPS = {
    "filter": ["even", "small"],
    "map": ["plus", "triple"],
    "flat_map": ["pair", "spread"],
}


def recompute(chain: list[tuple[str, str]], start: list[Any]) -> list[Any]:
    functions: dict[str, Any] = {}
    exec(CHAINED, functions)
    values = start
    for verb, name in chain:
        function = functions[name]
        if verb == "filter":
            values = [value for value in values if function(value)]
        elif verb == "map":
            values = [function(value) for value in values]
        else:
            values = [each for value in values for each in function(value)]
    return values


def test_random_chains_do_what_python_does(grids: Grids) -> None:
    generator = random.Random(11)
    chains = [
        [
            (verb, generator.choice(STEPS[verb]))
            for verb in generator.choices(list(STEPS), k=generator.randint(1, 6))
        ]
        for _ in range(60)
    ]
    body = CHAINED
    for i, chain in enumerate(chains):
        steps = "".join(f".{verb}({name})" for verb, name in chain)
        body += f'\nassert events{steps}.to(app.stream("out{i}")).name == "out{i}"\n'
    grid = grids(body)
    sent = [{"key": "k", "op": "", "n": n, "x": 0.0, "s": ""} for n in range(-5, 60)]
    grid.send("events", sent)
    several = 0
    for i, chain in enumerate(chains):
        expected = recompute(chain, sent)
        assert grid.outputs(f"out{i}") == expected, chain
        several += len(expected) > 20
    assert several > 20


def test_chains_go_on_and_branch_and_handlers_follow(grids: Grids) -> None:
    grid = grids(
        """
        class Half(Event):
            key: str
            n: int

        halves = app.stream("halves", Half)
        even = events.filter(lambda e: e.n % 2 == 0)
        keyed = even.map(lambda e: Half(key=e.key, n=e.n // 2)).to(halves).key_by("key")
        even.map(lambda e: {"even": e.n}).to(out)

        class Thing(app.Entity):
            total: int

            @keyed.on()
            def take(self, e: Half):
                self.total += e.n
        """
    )
    grid.send("events", [event(n) for n in range(1, 9)])
    assert grid.outputs("out") == [{"even": n} for n in (2, 4, 6, 8)]
    assert grid.outputs("halves") == [{"key": f"k{n % 7}", "n": n // 2} for n in (2, 4, 6, 8)]
    assert {key: view.total for key, view in grid.entities().items()} == {
        "thing:k1": 4, "thing:k2": 1, "thing:k4": 2, "thing:k6": 3
    }  # fmt: skip


def test_what_no_stream_takes_is_a_dead_letter(grids: Grids) -> None:
    grid = grids(
        """
        class Point(Event):
            x: int

        events.map(lambda e: [e.n, None, {"y": 1}, {"x": 7}][e.n]).to(app.stream("points", Point))
        """
    )
    grid.send("events", [event(0), event(1), event(2)])
    letters = grid.dead_letters()
    assert [letter.handler for letter in letters] == ["events.map(<lambda>)"] * 3
    assert all("points.emit()" in letter.error for letter in letters), letters
    grid.send("events", event(3, s="x"))
    assert grid.outputs("points") == [{"x": 7}]


def test_it_says_its_streams_handlers_by_name(launch: Launcher) -> None:
    app = launch.write_app(
        with_prelude(
            """
            import functools

            def scale(by, e):
                return {"n": by * e.n}

            class Twice:
                def __call__(self, e):
                    return [e, e]

            twice = functools.partial(scale, 2)
            events.filter(len).map(twice).to(out)
            events.filter(len).map(twice).to(out)
            events.flat_map(Twice()).to(out)

            @events.on(batch=5)
            def f(events):
                pass

            def another():
                @events.on()
                def f(e):
                    pass

            another()

            @app.stream("a", In).on()
            @app.stream("b", In).on()
            def g(e):
                pass
            """
        )
    )
    server = launch(app, config=source_table("events", "events"))
    names = [
        "f", "f #2", "events.filter(len).map(scale)", "events.filter(len).map(scale) #2",
        "events.flat_map(Twice)",
    ]  # fmt: skip
    schema = server.redis(protocol=3).execute_command("SCHEMA")
    handlers = {stream["name"]: stream["handlers"] for stream in schema["streams"]}
    assert handlers["events"] == names
    assert handlers["a"] == handlers["b"] == ["g"]
    done = run_bettong("check", app, cwd=launch.folder)
    assert "stream events: In, 5 handler(s)" in done.stdout
    assert "function f: events of stream events, up to 5 at once\n" in done.stdout
    assert "function events.flat_map(Twice): events of stream events\n" in done.stdout
