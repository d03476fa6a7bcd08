"""The end of a server: drain, flush, exit code 0; and at once when asked twice."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from apps import with_prelude
from harness import (
    SHUTDOWN_LIMIT_S,
    Launcher,
    Server,
    eventually,
    file_sink_table,
    json_lines,
    source_table,
)
from resp import ConnectionEnded

APP = with_prelude(
    """
    import os, time

    class Thing(app.Entity):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "wait":
                open(e.s + "/started", "w").close()
                while not os.path.exists(e.s + "/go"):
                    time.sleep(0.001)
            self.n += 1
            out.emit(key=self.key, n=self.n)
    """
)


def serve(launch: Launcher, path: Path, *, shards: int = 2) -> Server:
    config = source_table("events", "events") + file_sink_table("out", "out", path)
    config += "[python]\nhandler_timeout = 60\n"
    return launch(APP, config=config, shards=shards)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_with_exit_code_0(launch: Launcher, number: signal.Signals) -> None:
    server = launch(shards=2)
    connection = server.connect()
    connection.call("SET", "k", "v")
    server.signal(number)
    # assumption: Ctrl-C ends a server like SIGTERM does.
    assert server.wait_exit() == 0


def test_an_idle_server_with_an_app_and_open_connections(launch: Launcher, tmp_path: Path) -> None:
    server = serve(launch, tmp_path / "out.jsonl")
    for _ in range(5):
        server.source()
        server.connect()
    server.subscribe("out")
    blocked = server.connect()
    blocked.send("XREAD", "BLOCK", 0, "STREAMS", "out", "$")
    eventually(lambda: server.redis().info("clients")["blocked_clients"] == 1, "a blocked client")
    assert server.terminate() == 0


@pytest.mark.parametrize("shards", [1, 3])
def test_sigterm_drains_what_has_been_taken_in(
    launch: Launcher, tmp_path: Path, shards: int
) -> None:
    path = tmp_path / "out.jsonl"
    server = serve(launch, path, shards=shards)
    source = server.source()
    events = [{"key": f"k{n % 20}"} for n in range(2_000)]
    source.lines({"key": "k0", "op": "wait", "s": str(tmp_path)}, *events).end()
    eventually((tmp_path / "started").exists, "the handler to start")
    server.signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert server.wait_exit() == 0
    lines = json_lines(path.read_text())
    # The turn that ran is complete and in the sink; of the rest, each key has a prefix, in order.
    assert {"key": "k0", "n": 1} in lines
    for n in range(20):
        numbers = [line["n"] for line in lines if line["key"] == f"k{n}"]
        assert numbers == list(range(1, len(numbers) + 1))


def test_what_was_confirmed_by_a_closed_source_is_in_the_sink(
    launch: Launcher, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    server = serve(launch, path)
    server.feed(*({"key": f"k{n % 20}"} for n in range(2_000)))
    assert server.terminate() == 0
    assert len(json_lines(path.read_text())) == 2_000


def test_sigterm_under_load(launch: Launcher, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    server = serve(launch, path)
    source = server.source()
    chunk = b"".join(b'{"key":"k%d"}\n' % (n % 20) for n in range(1_000))

    def flood() -> None:
        try:
            while True:
                source.send_raw(chunk)
        except OSError:
            return

    sender = threading.Thread(target=flood, daemon=True)
    sender.start()
    eventually(lambda: path.exists() and path.stat().st_size > 100_000, "outputs")
    assert server.terminate() == 0
    sender.join()
    text = path.read_text()
    assert text.endswith("\n"), "half a line in the sink"
    lines = json_lines(text)
    for n in range(20):
        numbers = [line["n"] for line in lines if line["key"] == f"k{n}"]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_handler_that_does_not_end_is_abandoned_in_time(launch: Launcher, tmp_path: Path) -> None:
    server = serve(launch, tmp_path / "out.jsonl")
    server.source().lines({"key": "k", "op": "wait", "s": str(tmp_path)})
    eventually((tmp_path / "started").exists, "the handler to start")
    server.signal(signal.SIGTERM)
    server.wait_exit()  # within the limit, whatever the exit code


def test_a_second_sigterm_ends_at_once(launch: Launcher, tmp_path: Path) -> None:
    server = serve(launch, tmp_path / "out.jsonl")
    server.source().lines({"key": "k", "op": "wait", "s": str(tmp_path)})
    eventually((tmp_path / "started").exists, "the handler to start")
    # Signals that are pending together count once, so it is repeated until it has been understood.
    server.signal(signal.SIGTERM)
    for _ in range(20):
        try:
            server.wait_exit(within_s=SHUTDOWN_LIMIT_S / 50)
            break
        except subprocess.TimeoutExpired:
            server.signal(signal.SIGTERM)
    assert server.process.poll() is not None, "still there after many signals"


def test_no_new_connections_while_it_drains(launch: Launcher, tmp_path: Path) -> None:
    server = serve(launch, tmp_path / "out.jsonl")
    server.source().lines({"key": "k", "op": "wait", "s": str(tmp_path)})
    eventually((tmp_path / "started").exists, "the handler to start")
    server.signal(signal.SIGTERM)

    def refused() -> bool:
        try:
            server.source().close()
        except OSError:
            return True
        return False

    eventually(refused, "the source's port to close")
    (tmp_path / "go").touch()
    assert server.wait_exit() == 0


@pytest.mark.parametrize("arguments", [[], ["NOSAVE"], ["nosave"], ["NOW"], ["FORCE"]])
def test_the_shutdown_command(launch: Launcher, arguments: list[str]) -> None:
    server = launch(shards=2)
    connection, other = server.connect(), server.connect()
    other.call("SET", "k", "v")
    connection.send("SHUTDOWN", *arguments)
    with pytest.raises((ConnectionEnded, ConnectionResetError)):
        connection.read()
    assert server.wait_exit() == 0


def test_a_shutdown_command_that_makes_no_sense(launch: Launcher) -> None:
    server = launch(shards=2)
    connection = server.connect()
    answer = connection.reply("SHUTDOWN", "NOSUCH")
    assert answer.words() == "ERR syntax error"
    assert connection.call("PING") == "PONG"


def test_the_shutdown_command_drains_too(launch: Launcher, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    server = serve(launch, path)
    server.feed(*({"key": "k"} for _ in range(500)))
    server.connect().send("SHUTDOWN")
    assert server.wait_exit() == 0
    assert len(json_lines(path.read_text())) == 500


def test_two_servers_side_by_side(launch: Launcher) -> None:
    one, two = launch(shards=2), launch(shards=2)
    one.redis().set("k", "one")
    assert two.redis().get("k") is None
    assert one.terminate() == 0
    assert two.redis().ping() is True
