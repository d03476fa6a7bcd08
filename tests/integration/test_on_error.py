"""on_error=: what becomes of a turn that raises, as its handler or its class declares."""

from __future__ import annotations

from typing import Any

import pytest
from bettong import milliseconds, seconds
from bettong.testing import AppError, TestGrid

from grids import Grids

pytestmark = pytest.mark.sanitized

APP = """
    from bettong import List, Retry, milliseconds, seconds

    others = app.stream("others", In)
    tries = {}

    def fail_first(name, times):
        tries[name] = tries.get(name, 0) + 1
        if tries[name] <= times:
            raise ConnectionError(f"try {tries[name]} of {name}")

    def after(self, e):
        self.n += 1
        self.seen.append(e.s)
        out.emit(key=self.key, s=e.s, at=self.now)
        fail_first(f"{self.key} {e.s}", e.n)

    class Again(app.Entity):
        n: int
        seen: List[str]

        @events.on(key="key", on_error=Retry(times=3, backoff=seconds(1), factor=3))
        def take(self, e: In):
            after(self, e)

    class Skips(app.Entity, on_error="skip"):
        n: int
        seen: List[str]

        @others.on(key="key")
        def take(self, e: In):
            after(self, e)
            if e.op == "later":
                self.after(seconds(5), self.later)

        @others.on(key="key", on_error="dead-letter")
        def tell(self, e: In):
            if e.op == "tell":
                raise ValueError("told")

        def later(self):
            raise ValueError("never mind")
"""


def seen(grid: TestGrid, key: str) -> list[Any]:
    view = grid.entity(key)
    return [] if view is None else list(view.seen)


def test_a_turn_is_tried_again_after_its_back_off(grids: Grids) -> None:
    grid = grids(APP)
    begun = grid.now
    grid.send("events", {"key": "a", "s": "one", "n": 2})
    assert grid.entity("again:a") is None
    grid.advance(milliseconds(999))
    grid.advance(milliseconds(1))
    grid.advance(milliseconds(2999))
    assert grid.outputs("out") == []
    grid.advance(milliseconds(1))
    assert grid.outputs("out") == [{"key": "a", "s": "one", "at": begun + 4000}]
    assert seen(grid, "again:a") == ["one"]
    grid.check_dead_letters()


def test_in_vain_it_becomes_a_dead_letter_that_counts_the_attempts(grids: Grids) -> None:
    grid = grids(APP)
    grid.send("events", {"key": "a", "s": "never", "n": 99})
    grid.advance(seconds(1 + 3))
    grid.advance(milliseconds(8999))
    assert grid.dead_letters() == []
    grid.advance(milliseconds(1))
    (letter,) = grid.dead_letters()
    assert (letter.handler, letter.key) == ("take", "a")
    assert letter.error == "ConnectionError: try 4 of a never"
    assert letter.attempts == 4
    (listed,) = grid.command("DEADLETTER", "LIST")
    assert grid.command("DEADLETTER", "GET", listed["id"])["attempts"] == "4"
    assert grid.entity("again:a") is None


def test_the_rest_of_the_key_waits_in_order_and_other_keys_do_not_notice(grids: Grids) -> None:
    grid = grids(APP)
    grid.send(
        "events",
        [
            {"key": "a", "s": "one"},
            {"key": "a", "s": "two", "n": 1},
            {"key": "a", "s": "three"},
            {"key": "b", "s": "one"},
        ],
    )
    grid.send("events", {"key": "a", "s": "four", "n": 1})
    assert seen(grid, "again:a") == ["one"]
    assert seen(grid, "again:b") == ["one"]
    grid.advance(seconds(1))
    assert seen(grid, "again:a") == ["one", "two", "three"]
    grid.advance(seconds(1))
    assert seen(grid, "again:a") == ["one", "two", "three", "four"]
    grid.check_dead_letters()


def test_a_skipped_turn_has_changed_nothing_and_no_letter_tells_of_it(grids: Grids) -> None:
    grid = grids(APP)
    grid.send("others", [{"key": "c", "s": "one"}, {"key": "c", "s": "two", "n": 9}])
    grid.send("others", {"key": "c", "s": "three", "op": "later"})
    assert seen(grid, "skips:c") == ["one", "three"]
    grid.advance(seconds(6))
    # It holds for the class's timers, too; a handler that says another thing goes by that.
    grid.send("others", {"key": "c", "s": "four", "op": "tell"})
    (letter,) = grid.dead_letters()
    assert letter.error == "ValueError: told"
    assert seen(grid, "skips:c") == ["one", "three", "four"]


@pytest.mark.parametrize(
    ("declared", "error"),
    [
        ('"retry"', 'on_error is "dead-letter", "skip" or Retry(times=...), not \'retry\''),
        ("Retry(times=0)", "Retry: times is 1 to 1000, not 0"),
        ("Retry(times=1001)", "Retry: times is 1 to 1000, not 1001"),
        ("Retry(times=1, backoff=0)", "Retry: backoff must be at least a millisecond"),
        ("Retry(times=1, backoff=86401)", "Retry: backoff is at most 1 day"),
        ("Retry(times=1, factor=0.5)", "Retry: factor is at least 1"),
    ],
)
def test_what_cannot_be_is_refused_when_the_app_is_loaded(
    grids: Grids, declared: str, error: str
) -> None:
    with pytest.raises(AppError) as raised:
        grids(
            f"""
            from bettong import Retry

            class Thing(app.Entity):
                @events.on(key="key", on_error={declared})
                def take(self, e: In):
                    pass
            """
        )
    assert error in str(raised.value)


def test_the_most_that_may_be_declared(grids: Grids) -> None:
    grid = grids(
        """
        from bettong import Retry, days

        class Thing(app.Entity, on_error=Retry(times=1000, backoff=days(1), backoff_max=days(1))):
            @events.on(key="key")
            def take(self, e: In):
                if self.now % 2 == 0:
                    raise ValueError("even")
        """
    )
    grid.advance_to(grid.now + grid.now % 2 + 2)
    grid.send("events", {"key": "a"})
    assert grid.entity("thing:a") is None
    grid.advance(seconds(86_399))
    assert grid.entity("thing:a") is None
