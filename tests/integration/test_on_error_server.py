"""on_error= on a node: clients meanwhile, crashes, shutdown, metrics."""

from __future__ import annotations

import json

import bettong

from apps import with_prelude
from datanode import DataNode, settle
from exposition import parse
from harness import (
    DEADLINE_S,
    Launcher,
    Server,
    eventually,
    file_sink_table,
    free_port,
    get_page,
    json_lines,
    source_table,
)

# Fails as long as there is no file `open` in the folder that the node was started in.
APP = with_prelude(
    """
    from pathlib import Path
    from bettong import Retry, milliseconds

    class Host(app.Entity):
        n: int

        @events.on(key="key", on_error=Retry(times=1000, backoff=milliseconds(20), factor=1))
        def take(self, e: In):
            self.n += e.n
            out.emit(key=self.key, n=e.n)
            if e.op == "wait" and not Path("open").exists():
                raise ConnectionError("closed")

        @app.command
        def add(self, n: int) -> int:
            self.n += n
            return self.n

    class Skipping(app.Entity, on_error="skip"):
        @events.on(key="key")
        def take(self, e: In):
            if e.op == "bad":
                raise ValueError("bad")
    """
)


def value(server: Server, name: str, **labels: str) -> float:
    return parse(get_page(server, "/metrics"))[name].total(**labels)


def waits(server: Server, keys: int = 1) -> None:
    """So many keys wait, and have been tried more than once."""
    eventually(lambda: value(server, "bettong_retries_pending") == keys, "a key that waits")
    tried = value(server, "bettong_turns_retried_total")
    eventually(lambda: value(server, "bettong_turns_retried_total") > tried + keys, "tries")


def test_clients_read_a_key_that_waits_and_call_it_behind_its_events(launch: Launcher) -> None:
    server = launch(APP)
    source = server.source()
    source.lines({"key": "a", "n": 1}, {"key": "a", "n": 10, "op": "wait"}, {"key": "a", "n": 100})
    source.lines({"key": "b", "n": 1})
    waits(server)
    client = server.redis()
    assert client.hget("host:a", "n") == "1"
    assert client.hget("host:b", "n") == "1"
    caller = server.connect()
    caller.send_raw(b"CALL host:a add 1000\r\n")
    assert client.execute_command("CALL", "host:b", "add", "1") == 2
    (launch.folder / "open").touch()
    assert caller.read().python() == 1111
    source.end().wait_closed()
    assert server.dead_letters() == []
    assert value(server, "bettong_retries_pending") == 0


def test_after_a_crash_the_event_comes_again_and_counts_once(launch: Launcher) -> None:
    node = DataNode(launch)
    port = free_port()
    path = launch.folder / "out.jsonl"
    config = f"""
[source.in]
kind = "bettong-stream"
listen = "127.0.0.1:{port}"
stream = "events"
""" + file_sink_table("file", "out", path)
    server = node(APP, config=config)
    with bettong.Sender(f"127.0.0.1:{port}", source="s", reconnect_max=0.05) as sender:
        for n in range(30):
            sender.send({"key": f"k{n % 3}", "n": n, "op": "wait" if n == 10 else ""})
        waits(server)
        settle(server.redis())
        for shards in (1, 3):
            node.kill(server)
            server = node(APP, config=config, shards=shards)
            waits(server)
        assert sender.durable < 30
        (launch.folder / "open").touch()
        assert sender.flush(DEADLINE_S)
    client = server.redis()
    for k in range(3):
        assert client.hget(f"host:k{k}", "n") == str(sum(range(k, 30, 3)))
    assert server.dead_letters() == []
    assert server.terminate() == 0
    lines = json_lines(path.read_text())
    for k in range(3):
        assert [each["n"] for each in lines if each["key"] == f"k{k}"] == list(range(k, 30, 3))


def test_what_was_skipped_and_tried_again_is_counted(launch: Launcher) -> None:
    (launch.folder / "open").touch()
    server = launch(APP)
    server.feed({"key": "a"}, {"key": "a", "op": "bad"}, {"key": "b", "op": "bad"})
    assert value(server, "bettong_turns_skipped_total", handler="take") == 2
    assert value(server, "bettong_turns_skipped_total", **{"class": "Skipping"}) == 2
    assert value(server, "bettong_turns_failed_total") == 2
    assert value(server, "bettong_dead_letters_total") == 0


def test_poison_is_told_of_whatever_the_policy_is(launch: Launcher) -> None:
    app = APP.replace("raise ConnectionError", "import os; os.abort()")
    node = DataNode(launch)
    port = free_port()
    config = f"""
[source.in]
kind = "bettong-stream"
listen = "127.0.0.1:{port}"
stream = "events"
"""
    server = node(app, config=config)
    with bettong.Sender(f"127.0.0.1:{port}", source="s", reconnect_max=0.05) as sender:
        sender.send({"key": "a", "n": 1, "op": "wait"})
        server.wait_exit(DEADLINE_S)
        node.dies(app, config=config)
        server = node(app, config=config)
        assert sender.flush(DEADLINE_S)
    (letter,) = server.wait_dead_letters(1)
    assert "(poison)" in letter["error"]
    assert json.loads(letter["event"])["n"] == 1


def test_an_event_that_nobody_sends_again_has_its_last_try_at_the_end(launch: Launcher) -> None:
    node = DataNode(launch)
    config = source_table("events", "events")
    server = node(APP, config=config)
    server.source().lines({"key": "a", "n": 1, "op": "wait"}, {"key": "a", "n": 10})
    waits(server)
    assert server.terminate() == 0
    server = node(APP, config=config)
    (letter,) = server.wait_dead_letters(1)
    assert letter["error"] == "ConnectionError: closed"
    assert server.redis().hget("host:a", "n") == "10"
