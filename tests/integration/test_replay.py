"""`bettong replay`: a recording sent to a TCP source, at the pace of its events' times."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness import Launcher, free_port, run_bettong

APP = """
    from bettong import App

    app = App("replayed")
    events = app.stream("events")

    class Thing(app.Entity):
        n: int
        last: int

        @events.on(key="key")
        def take(self, e):
            self.n += 1
            self.last = e.get("n", -1)
"""
START = 1_700_000_000_000


def recording(path: Path, times: list[int], field: str = "ts") -> Path:
    file = path / "events.jsonl"
    file.write_text(
        "".join(json.dumps({"key": "a", "n": n, field: t}) + "\n" for n, t in enumerate(times))
    )
    return file


def summary(stderr: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", stderr)}


@pytest.mark.parametrize("speed", ["max", "1000000x", "100x"])
def test_everything_has_been_processed_when_it_ends(
    launch: Launcher, tmp_path: Path, speed: str
) -> None:
    server = launch(APP)
    file = recording(tmp_path, [START + i * 10 for i in range(1000)])
    done = run_bettong(
        "replay", file, "--to", "{}:{}".format(*server.sources["events"]), "--speed", speed
    )
    assert done.returncode == 0, done.stderr
    with server.connect() as connection:
        assert connection.call("HMGET", "thing:a", "n", "last") == ["1000", "999"]
    said = summary(done.stderr)
    assert (said["lines"], said["bytes"]) == (1000, file.stat().st_size)
    assert (said["without_time"], said["event_seconds"]) == (0, 9.99)
    if speed == "100x":  # it cannot have been faster than that
        assert said["seconds"] >= 0.0999
    assert done.stdout == ""


def test_lines_without_a_time_and_standard_input(launch: Launcher) -> None:
    server = launch(APP)
    lines = [
        '{"key": "a", "at": 1000}',
        "",
        '{"key": "a", "at": "soon"}',
        "not json",
        '{"key": "a", "at": 500}',
        '{"key": "a", "at": 1250}',
    ]
    done = run_bettong(
        "replay",
        "-",
        "--to",
        "{}:{}".format(*server.sources["events"]),
        "--speed",
        "50",
        "--time-field",
        "at",
        stdin="\r\n".join(lines).encode(),
    )
    assert done.returncode == 0, done.stderr
    said = summary(done.stderr)
    assert (said["lines"], said["without_time"], said["event_seconds"]) == (5, 2, 0.25)
    with server.connect() as connection:
        assert connection.call("HGET", "thing:a", "n") == "4"
    assert len(server.dead_letters()) == 1


def test_mistakes(tmp_path: Path) -> None:
    file = recording(tmp_path, [START])
    port = free_port()
    done = run_bettong("replay", file, "--to", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert "Connection refused; is a TCP source there?" in done.stderr
    done = run_bettong("replay", file, "--to", "nowhere")
    assert (done.returncode, "it is HOST:PORT" in done.stderr) == (2, True)
    done = run_bettong("replay", file, "--to", f"127.0.0.1:{port}", "--speed", "fast")
    assert done.returncode == 2
    assert "--speed fast: it is a number of times, like 10x, or max" in done.stderr
    done = run_bettong("replay", tmp_path / "no.jsonl", "--to", f"127.0.0.1:{port}")
    assert (done.returncode, "No such file or directory" in done.stderr) == (1, True)
    assert run_bettong("replay", file).returncode == 2
