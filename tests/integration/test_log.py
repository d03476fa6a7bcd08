"""The node's log on standard error: lines for people on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import datetime
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from harness import ANY_PORTS, BINARY, DEADLINE_S, SHUTDOWN_LIMIT_S, Launcher, process_environment

STOPPING = "stopping: draining what has been admitted"
TEXT = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z info node: {STOPPING}")


def test_entries_are_json_lines_where_stderr_is_no_terminal(launch: Launcher) -> None:
    server = launch()
    assert server.terminate() == 0
    ready, *entries = server.stderr
    assert ready.startswith("ready resp=")
    (entry,) = (json.loads(line) for line in entries)
    assert list(entry) == ["time", "level", "component", "message"]
    assert (entry["level"], entry["component"]) == ("info", "node")
    assert entry["message"] == STOPPING
    assert entry["time"].endswith("Z")
    time = datetime.datetime.fromisoformat(entry["time"])
    age = datetime.datetime.now(datetime.UTC) - time
    assert abs(age.total_seconds()) < 60


def test_the_format_can_be_chosen(launch: Launcher) -> None:
    server = launch(None, "--set", "node.log_format=text")
    assert server.terminate() == 0
    assert TEXT.fullmatch(server.stderr[-1])


def test_the_apps_host_writes_in_the_same_format(launch: Launcher) -> None:
    app = """
        from bettong import App
        app = App("failing")

        class Thing(app.Entity, ttl=60):
            n: int

            @app.command(create=True)
            def fail(self):
                raise ValueError("no")
    """
    server = launch(app, config='[node]\nlog_format = "text"\n')
    assert server.connect().reply("CALL", "thing:a", "fail").is_error
    assert server.terminate() == 0
    assert any("Z warning python: CALL of Thing.fail" in line for line in server.stderr)
    assert "ValueError: no" in server.stderr
    assert server.log() == []


@pytest.mark.parametrize(("setting", "is_text"), [("auto", True), ("json", False)])
def test_on_a_terminal(setting: str, is_text: bool) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(BINARY), "serve", *ANY_PORTS, "--no-data", "--set", f"node.log_format={setting}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=process_environment(),
    )
    os.close(theirs)
    text = ""
    try:
        with open(ours, errors="replace") as terminal:
            text += terminal.readline()
            assert text.startswith("ready "), text
            process.send_signal(signal.SIGTERM)
            line = terminal.readline().rstrip()
            assert process.wait(SHUTDOWN_LIMIT_S) == 0
    finally:
        process.kill()
        process.wait(DEADLINE_S)
    assert bool(TEXT.fullmatch(line)) is is_text, line
    if not is_text:
        assert json.loads(line)["message"] == STOPPING
