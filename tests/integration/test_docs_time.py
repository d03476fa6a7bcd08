"""docs/time.md: its app, and what it does with events in order, late, and out of sight."""

from __future__ import annotations

import json

from documentation import blocks
from harness import Launcher, json_lines, source_table

MINUTE = 60_000


def test_the_app_does_what_the_page_says(launch: Launcher) -> None:
    (block,) = blocks("docs/time.md", "python")
    events = [
        {"user": "ann", "ts": 0, "cents": 100},
        {"user": "ann", "ts": 50_000, "cents": 20},
        {"user": "bob", "ts": MINUTE + 9_999, "cents": 1},
        {"user": "ann", "ts": 59_999, "cents": 5},
        {"user": "bob", "ts": MINUTE + 20_000, "cents": 2},
        {"user": "ann", "ts": 59_999, "cents": 7},
        {"user": "bob", "ts": 40 * MINUTE, "cents": 0},
    ]
    done = launch.run(
        block.text,
        *("--input", "-", "--output", "-", "--stream", "clicks"),
        stdin="".join(json.dumps(event) + "\n" for event in events).encode(),
    )
    outputs = json_lines(done.stdout)
    assert [each for each in outputs if each["user"] == "ann"] == [
        {"user": "ann", "window": "spent", "end": MINUTE, "cents": 125},
        {"user": "ann", "late": 59_999},
        {"user": "ann", "idle": True},
        {"user": "ann", "window": "visit", "end": 59_999 + 30 * MINUTE, "cents": 125},
    ]
    assert [each for each in outputs if each["user"] == "bob"] == [
        {"user": "bob", "window": "spent", "end": 2 * MINUTE, "cents": 3},
        {"user": "bob", "idle": True},
        {"user": "bob", "window": "visit", "end": 31 * MINUTE + 20_000, "cents": 3},
    ]


def test_clients_see_timers(launch: Launcher) -> None:
    (block,) = blocks("docs/time.md", "python")
    server = launch(block.text, config=source_table("clicks", "clicks"))
    server.feed({"user": "ann", "ts": 1_700_000_000_000}, source="clicks")
    assert server.redis().hget("user:ann", "timers") == '{"idle":1700000300000}'
