"""Turns that take long: SLOWLOG, metrics and a line on stderr."""

from __future__ import annotations

import re

import pytest
from redis import ResponseError

from apps import with_prelude
from exposition import parse
from harness import Launcher, Server, get_page, run_bettong, source_table

# What sleeps that long is slow, however busy the machine is; what does nothing may be, too.
APP = with_prelude(
    """
    import time

    class Host(app.Entity):
        n: int

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "sleep":
                time.sleep(e.x)
            self.n += 1

        @app.command
        def look(self, seconds: float) -> int:
            time.sleep(seconds)
            return self.n
    """
)
CONFIG = source_table("events", "events") + "[python]\nslow_handler = '60ms'\n"


def slow(server: Server) -> list[tuple[int, list[str]]]:
    entries = server.redis().execute_command("SLOWLOG", "GET", "-1")
    return [(entry["id"], entry["command"].decode().split(" ")) for entry in entries]


def test_slow_turns_are_listed_counted_and_logged(launch: Launcher) -> None:
    server = launch(APP, config=CONFIG)
    server.feed({"key": "web-01", "op": "sleep", "x": 0.1})
    client = server.redis()
    client.execute_command("CALL", "host:web-01", "look", "0.1")
    entries = client.slowlog_get(10)
    methods = [entry["command"].decode() for entry in entries]
    assert "Host.look host:web-01" in methods
    assert "Host.take host:web-01" in methods
    for entry in entries:
        assert entry["duration"] >= 60_000
    assert client.slowlog_len() == len(entries)
    page = parse(get_page(server, "/metrics"))
    labels = {"class": "Host", "handler": "look"}
    assert page["bettong_slow_turns_total"].value(**labels) >= 1
    assert page["bettong_slow_turns_seconds_total"].value(**labels) >= 0.06
    lines = [line for line in server.logged() if "Host.take took " in line]
    assert re.search(r"Host\.take took \d+ ms on 'host:web-01'", lines[0])


def test_the_log_can_be_emptied_and_its_numbers_go_on(launch: Launcher) -> None:
    server = launch(APP, config=CONFIG)
    client = server.redis()
    server.feed({"key": "a", "op": "sleep", "x": 0.1})
    (first, *_) = client.slowlog_get(1)
    assert client.slowlog_reset()
    server.feed({"key": "b", "op": "sleep", "x": 0.1})
    (entry, *_) = client.slowlog_get(1)
    assert entry["command"] == b"Host.take host:b"
    assert entry["id"] > first["id"]


def test_what_cannot_be_asked_is_an_error_as_in_redis(launch: Launcher) -> None:
    client = launch(APP, config=CONFIG).redis()
    for words, error in {
        ("GET", "-2"): "count should be greater than or equal to -1",
        ("GET", "x"): "value is not an integer or out of range",
        ("GET", "1", "2"): "wrong number of arguments for 'slowlog|get' command",
        ("LEN", "1"): "wrong number of arguments for 'slowlog|len' command",
        ("RESET", "1"): "wrong number of arguments for 'slowlog|reset' command",
        ("FORGET",): "unknown subcommand 'FORGET'",
    }.items():
        with pytest.raises(ResponseError, match=re.escape(error)):
            client.execute_command("SLOWLOG", *words)
    assert client.execute_command("SLOWLOG", "HELP")[0].startswith("SLOWLOG <subcommand>")


def test_nothing_is_slow_when_nothing_is_declared_to_be(launch: Launcher) -> None:
    config = source_table("events", "events") + "[python]\nslow_handler = 0\n"
    server = launch(APP, config=config)
    server.feed({"key": "a", "op": "sleep", "x": 0.3})
    assert server.redis().slowlog_len() == 0


def test_a_limit_finer_than_the_clock_is_refused(launch: Launcher) -> None:
    app = launch.write_app(APP)
    done = run_bettong("check", app, "--set", "python.slow_handler=9ms", cwd=launch.folder)
    assert done.returncode != 0
    assert "slow_handler (9 ms) must be at least 10 ms" in done.stderr
    done = run_bettong("check", app, "--set", "python.slow_handler=10ms", cwd=launch.folder)
    assert done.returncode == 0
