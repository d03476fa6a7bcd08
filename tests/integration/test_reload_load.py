"""RELOAD under load: no event is lost, handled twice, or by half of a version."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bettong
import pytest

from apps import with_prelude
from datanode import DataNode
from harness import (
    Launcher,
    Server,
    eventually,
    file_sink_table,
    free_port,
    json_lines,
)
from reloads import EVENTS, reload, thing

pytestmark = pytest.mark.sanitized


def loaded(version: int) -> str:
    return with_prelude(
        f"""
import version

VERSION = {version}
middle = app.stream("middle")

class Thing(app.Entity):
    n: int = 0
    extra{version}: int = {version}

    @events.on(key="key")
    def take(self, e: In):
        assert VERSION == version.VERSION == self.extra{version}
        self.n += 1
        middle.emit(key=self.key, n=e.n, nth=self.n, version=VERSION)

    @app.command(create=True)
    def ask(self) -> int:
        assert VERSION == version.VERSION
        return VERSION


class Second(app.Entity):
    count: int = 0

    @middle.on(key="key")
    def take(self, e):
        assert VERSION == version.VERSION
        self.count += 1
        out.emit(key=self.key, n=e["n"], nth=e["nth"], version=e["version"], second=VERSION)
"""
    )


def write_version(folder: Path, version: int) -> None:
    (folder / "version.py").write_text(f"VERSION = {version}\n")
    (folder / "app.py").write_text(loaded(version))


class Feeder:
    """Sends numbered events over a connection of its own, until it is told to stop."""

    KEYS = 50
    AHEAD_MAX = 5000  # events of all feeders that the node has not taken in

    def __init__(self, server: Server, number: int, connections: int) -> None:
        self.server = server
        self.number = number
        self.step = connections
        self.sent = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        connection = self.server.source()
        client = self.server.redis()
        while not self.stopping.is_set():
            if self.sent * self.step - int(client.info("Bettong")["events"]) > self.AHEAD_MAX:
                continue
            some = []
            for _ in range(100):
                n = self.sent * self.step + self.number
                some.append({"key": f"{self.number}-{self.sent % self.KEYS}", "n": n})
                self.sent += 1
            connection.lines(*some)
        connection.finish()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()


def wait_for_more(count: Callable[[], int], more: int) -> None:
    until = count() + more
    eventually(lambda: count() >= until, "more events", within_s=60)


def check_outputs(outputs: list[dict[str, Any]], numbers: set[int]) -> None:
    """Each event once, by whole versions that follow each other."""
    assert sorted(output["n"] for output in outputs) == sorted(numbers)
    by_key: dict[str, list[dict[str, Any]]] = {}
    for output in outputs:
        assert output["second"] >= output["version"]
        by_key.setdefault(output["key"], []).append(output)
    for some in by_key.values():
        some.sort(key=lambda output: output["n"])
        assert [output["nth"] for output in some] == list(range(1, len(some) + 1))
        versions = [output["version"] for output in some]
        assert versions == sorted(versions)


@pytest.mark.parametrize("shards", [2, 3])
@pytest.mark.parametrize("logged", [False, True], ids=["memory", "log"])
def test_no_event_is_lost_repeated_or_handled_by_half_of_a_version(
    launch: Launcher, node: DataNode, tmp_path: Path, shards: int, logged: bool
) -> None:
    sink = tmp_path / "out.jsonl"
    config = EVENTS + file_sink_table("out", "out", sink)
    write_version(tmp_path, 1)
    app = tmp_path / "app.py"
    start = node if logged else launch
    server = start(app, config=config, shards=shards)
    feeders = [Feeder(server, number, 4) for number in range(4)]
    client = server.redis()
    for version in range(2, 8):
        wait_for_more(lambda: sum(f.sent for f in feeders), 5000)
        write_version(tmp_path, version)
        reload(server)
        assert client.execute_command("CALL", "thing:asked", "ask") == version
    for feeder in feeders:
        feeder.stop()
    numbers = {f.number + i * 4 for f in feeders for i in range(f.sent)}
    server.stop()
    outputs = json_lines(sink.read_text())
    assert not [line for line in server.logged() if "Traceback" in line]
    check_outputs(outputs, numbers)
    assert {output["version"] for output in outputs} == set(range(1, 8))


@pytest.mark.parametrize("logged", [False, True], ids=["memory", "log"])
def test_a_circle_of_events_goes_on_with_the_new_code(
    launch: Launcher, node: DataNode, logged: bool
) -> None:
    circle = thing("", "self.n += 1; circle.emit(key=self.key, n=1)", """
    @circle.on(key="key")
    def around(self, e):
        assert e["n"] == self.n
        self.n += 1
        circle.emit(key=self.key, n=self.n)
""").replace("\nclass", '\ncircle = app.stream("circle")\n\nclass', 1)  # fmt: skip
    start = node if logged else launch
    server = start(circle, config=EVENTS, shards=3)
    client = server.redis()
    for i in range(5):
        client.xadd("events", {"key": f"k{i}", "op": "", "n": 0, "x": 0, "s": ""})
    wait_for_more(lambda: int(client.hget("thing:k0", "n") or 0), 100)
    # Nothing ever ends here, but by the new code.
    launch.write_app(circle.replace("circle.emit(key=self.key, n=self.n)", "out.emit(n=e['n'])"))
    heard = server.subscribe("out")
    reload(server)
    ends = sorted(heard.json()["n"] + 1 for _ in range(5))
    assert ends == sorted(int(client.hget(f"thing:k{i}", "n")) for i in range(5))
    assert server.dead_letters() == []


def test_acknowledged_events_count_once_through_reloads_and_a_crash(
    node: DataNode, tmp_path: Path
) -> None:
    port = free_port()
    config = (
        f'[source.events]\nkind = "bettong-stream"\nlisten = "127.0.0.1:{port}"\n'
        'stream = "events"\n' + file_sink_table("out", "out", tmp_path / "out.jsonl")
    )
    write_version(tmp_path, 1)
    app = tmp_path / "app.py"
    server = node(app, config=config, shards=2)
    stop = threading.Event()
    sent = 0

    def send() -> None:
        nonlocal sent
        with bettong.Sender(f"127.0.0.1:{port}", source="test") as sender:
            while not stop.is_set():
                sender.send({"key": f"k{sent % 50}", "n": sent})
                sent += 1
            assert sender.flush(timeout=60)

    thread = threading.Thread(target=send)
    thread.start()
    for version in range(2, 6):
        wait_for_more(lambda: sent, 2000)
        write_version(tmp_path, version)
        reload(server)
        if version % 2 == 1:
            node.kill(server)
            server = node(app, config=config, shards=2)
    stop.set()
    thread.join()
    server.stop()
    outputs = json_lines((tmp_path / "out.jsonl").read_text())
    check_outputs(outputs, set(range(sent)))
    assert {output["version"] for output in outputs} == set(range(1, 6))


def test_a_turn_that_is_under_way_is_ended_by_the_code_that_began_it(launch: Launcher) -> None:
    slow = thing("", "import time; self.n += 1; time.sleep(0.5); out.emit(by=1)")
    server = launch(slow)
    heard = server.subscribe("out")
    source = server.source().lines({"key": "k"})
    eventually(lambda: "Thing" in lane_at(server) or None, "the turn")
    launch.write_app(thing("", "self.n += 10; out.emit(by=2)"))
    reload(server)
    source.lines({"key": "k"})
    assert [heard.json(), heard.json()] == [{"by": 1}, {"by": 2}]
    assert server.redis().hget("thing:k", "n") == "11"


def lane_at(server: Server) -> str:
    """Whether a loan is out, by way of INFO."""
    info = server.redis().info("Bettong")
    return "Thing" if int(info.get("loans_outstanding", 0)) > 0 else ""
