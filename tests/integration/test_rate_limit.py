"""limit=: how many events of one key a handler takes."""

from __future__ import annotations

import pytest
from bettong import milliseconds, seconds
from bettong.testing import AppError, TestGrid

from apps import with_prelude
from datanode import DataNode, settle
from exposition import parse
from grids import Grids
from harness import Launcher, eventually, get_page, source_table

pytestmark = pytest.mark.sanitized

APP = """
    from bettong import Event, Rate, seconds

    class Timed(Event, time="ts"):
        key: str
        ts: int

    timed = app.stream("timed", Timed)

    class Host(app.Entity, ttl=60):
        n: int

        @events.on(key="key", limit=Rate(4, per=seconds(1)))
        def take(self, e: In):
            self.n += 1
            if e.op == "raise":
                raise ValueError("no")

    class Strict(app.Entity, clock="event"):
        n: int

        @timed.on(key="key", limit=Rate(2, per=seconds(10)), over="dead-letter")
        def take(self, e: Timed):
            self.n += 1
"""


def n(grid: TestGrid, key: str) -> int:
    view = grid.entity(key)
    return 0 if view is None else int(view.n)


def test_a_key_takes_so_many_at_once_and_then_as_they_come_back(grids: Grids) -> None:
    grid = grids(APP)
    grid.send("events", [{"key": "a"}] * 5)
    assert n(grid, "host:a") == 4
    grid.send("events", [{"key": "b"}] * 3)
    assert n(grid, "host:b") == 3
    grid.advance(milliseconds(249))
    grid.send("events", {"key": "a"})
    assert n(grid, "host:a") == 4
    grid.advance(milliseconds(1))
    grid.send("events", [{"key": "a"}] * 2)
    assert n(grid, "host:a") == 5
    grid.advance(seconds(50))
    grid.send("events", [{"key": "a"}] * 99)
    assert n(grid, "host:a") == 9
    grid.check_dead_letters()


def test_its_state_is_nothing_that_clients_are_shown(grids: Grids) -> None:
    grid = grids(APP)
    grid.send("events", {"key": "a"})
    view = grid.entity("host:a")
    assert view is not None
    assert list(view) == ["n"]
    assert grid.command("HGETALL", "host:a") == {"n": "1"}
    assert grid.command("HLEN", "host:a") == 1


def test_a_turn_that_raises_has_taken_nothing(grids: Grids) -> None:
    grid = grids(APP)
    grid.send("events", {"key": "a"})
    grid.send("events", [{"key": "a", "op": "raise"}] * 10)
    assert len(grid.dead_letters()) == 10
    grid.send("events", [{"key": "a"}] * 10)
    assert n(grid, "host:a") == 4
    # Nor one that would have made the entity.
    grid.send("events", {"key": "b", "op": "raise"})
    assert len(grid.dead_letters()) == 1
    grid.send("events", [{"key": "b"}] * 10)
    assert n(grid, "host:b") == 4


def test_what_is_dropped_does_not_keep_the_entity_alive(grids: Grids) -> None:
    grid = grids(APP)
    grid.send("events", [{"key": "a"}] * 4)
    grid.send("events", {"key": "a"})
    grid.advance(seconds(59))
    assert n(grid, "host:a") == 4
    grid.advance(seconds(1))
    assert grid.entity("host:a") is None
    grid.send("events", [{"key": "a"}] * 9)
    assert n(grid, "host:a") == 4


def test_of_a_class_with_the_event_clock_it_goes_by_the_events_time(grids: Grids) -> None:
    grid = grids(APP)
    times = [100_000, 100_000, 104_999, 105_000, 90_000, 109_999, 110_000]
    grid.send("timed", [{"key": "a", "ts": ts} for ts in times])
    assert n(grid, "strict:a") == 4
    letters = grid.dead_letters()
    assert [letter.event["ts"] for letter in letters if letter.event] == [104_999, 90_000, 109_999]
    assert {letter.error for letter in letters} == {
        "RateLimit: the handler takes no more than 2 events of a key in 10000 ms"
    }


@pytest.mark.parametrize(
    ("declared", "error"),
    [
        ("limit=100", "limit is a Rate(100, per=seconds(1)), not 100"),
        ("limit=Rate(0)", "Rate: count is 1 to 1000000, not 0"),
        ("limit=Rate(1_000_001)", "Rate: count is 1 to 1000000, not 1000001"),
        ("limit=Rate(1, per=86_401)", "Rate: per is at most 1 day"),
        ('limit=Rate(1), over="wait"', 'over is "drop" or "dead-letter", not \'wait\''),
    ],
)
def test_what_cannot_be_is_refused_when_the_app_is_loaded(
    grids: Grids, declared: str, error: str
) -> None:
    with pytest.raises(AppError) as raised:
        grids(
            f"""
            from bettong import Rate

            class Thing(app.Entity):
                @events.on(key="key", {declared})
                def take(self, e: In):
                    pass
            """
        )
    assert error in str(raised.value)


HOURLY = with_prelude(
    """
    from bettong import Rate, hours

    class Host(app.Entity):
        n: int

        @events.on(key="key", limit=Rate(10, per=hours(1)))
        def take(self, e: In):
            self.n += 1
    """
)


def test_it_is_remembered_over_a_crash_and_counted(launch: Launcher) -> None:
    node = DataNode(launch)
    config = source_table("events", "events")
    server = node(HOURLY, config=config)
    server.feed(*[{"key": "a"}] * 8)
    client = server.redis()
    settle(client)
    node.kill(server)
    server = node(HOURLY, config=config)
    server.feed(*[{"key": "a"}] * 8)
    client = server.redis()
    eventually(lambda: client.hget("host:a", "n") == "10", "two more")
    page = parse(get_page(server, "/metrics"))
    over = page["bettong_events_over_limit_total"]
    assert over.value(**{"class": "Host", "handler": "take"}) == 6
