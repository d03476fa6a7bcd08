"""What INFO, metrics and top tell of a source that is not read any further."""

from __future__ import annotations

import re

from apps import with_prelude
from exposition import Family, parse
from harness import Launcher, Server, eventually, get_page, run_bettong

# Turns of it wait as long as there is no file `open` in the folder that the node was started in.
APP = with_prelude(
    """
    from pathlib import Path
    from bettong import Retry, milliseconds

    class Host(app.Entity):
        n: int

        @events.on(key="key", on_error=Retry(times=1000, backoff=milliseconds(20), factor=1))
        def take(self, e: In):
            if not Path("open").exists():
                raise ConnectionError("closed")
            self.n += 1
    """
)
WINDOW = 2048  # turns of a connection that may be under way
EVENTS = 3 * WINDOW


def family(server: Server, name: str) -> Family:
    return parse(get_page(server, "/metrics"))[f"bettong_source_{name}"]


def test_a_source_whose_window_is_full_says_so(launch: Launcher) -> None:
    server = launch(APP)
    source = server.source()
    assert family(server, "admission").value(source="events", state="open") == 1
    assert family(server, "outstanding_events").value(source="events") == 0
    assert family(server, "pauses_total").value(source="events") == 0
    source.lines(*({"key": "a"} for _ in range(EVENTS)))
    eventually(
        lambda: family(server, "admission").value(source="events", state="window_full") == 1,
        "a full window",
    )
    outstanding = family(server, "outstanding_events").value(source="events")
    assert WINDOW <= outstanding < EVENTS
    info = server.redis().info("bettong")
    assert info["source_events_admission"] == "closed (its events wait for their turns)"
    assert info["source_events_outstanding"] == outstanding
    assert info["source_events_pauses"] >= 1
    eventually(
        lambda: family(server, "paused_seconds_total").total(state="window_full") > 0.05,
        "time that is counted while the pause goes on",
    )
    done = run_bettong(
        "top",
        "--once",
        "--interval",
        "300ms",
        "--http",
        f"{server.http[0]}:{server.http[1]}",
        cwd=launch.folder,
    )
    assert re.search(r"outstanding [\d,]+, paused \d+%, admission window_full", done.stdout)
    (launch.folder / "open").touch()
    source.end().wait_closed()
    assert server.redis().hget("host:a", "n") == str(EVENTS)
    assert family(server, "outstanding_events").value(source="events") == 0
    assert family(server, "admission").value(source="events", state="open") == 1
    paused = family(server, "paused_seconds_total")
    assert paused.total() == paused.total(state="window_full")
    assert not any("held back" in line for line in server.logged())
