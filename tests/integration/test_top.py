"""`bettong top`: what a running node is doing."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from harness import Launcher, Server, free_port, run_bettong, source_table

APP = """
    from bettong import App, Event

    app = App("counted")

    class Sample(Event):
        key: str

    events = app.stream("events", Sample)

    class Count(app.Entity, ttl=1000):
        n: int

        @events.on(key="key")
        def take(self, e: Sample):
            self.n += 1
"""


def address(server: Server) -> str:
    return "{}:{}".format(*server.http)


def test_once_shows_rates_latencies_and_state(launch: Launcher) -> None:
    server = launch(APP, config=source_table("events", "events"))
    stop = threading.Event()

    def feed() -> None:
        while not stop.is_set():
            server.feed(*[{"key": f"k{i}"} for i in range(50)])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        done = run_bettong("top", "--http", address(server), "--interval", "300ms", "--once")
    finally:
        stop.set()
        feeder.join()
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith(f"bettong at {address(server)}: ready, up ")
    rate = re.search(r"^events/s +([\d,]+)   in all ([\d,]+)$", text, re.MULTILINE)
    assert rate is not None, text
    assert int(rate[1].replace(",", "")) > 0
    for what in ("event latency", "handler"):
        latency = rf"^{what} +p50 +[\d.]+ [um]?s   p99 +[\d.]+ [um]?s$"
        assert re.search(latency, text, re.MULTILINE), text
    assert re.search(r"^  Count +50$", text, re.MULTILINE), text
    assert re.search(r"^lane +busy \d+%, queue \d+ turns$", text, re.MULTILINE), text
    source = r"^source events +[\d,]+ events/s, .*admission open, dead letters 0$"
    assert re.search(source, text, re.MULTILINE), text
    assert "\x1b" not in text


def test_where_nobody_answers_it_says_what_to_do() -> None:
    port = free_port()
    done = run_bettong("top", "--http", f"127.0.0.1:{port}", "--once")
    assert done.returncode == 1
    assert f"bettong: top: get http://127.0.0.1:{port}/metrics: connect: " in done.stderr
    for word in ("Connection refused", "ready line", "--http"):
        assert word in done.stderr


def test_what_is_no_node_is_told(launch: Launcher) -> None:
    server = launch()
    resp = "{}:{}".format(*server.resp)
    done = run_bettong("top", "--http", resp, "--once")
    assert done.returncode == 1
    assert f"http://{resp}/metrics" in done.stderr

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        done = run_bettong("top", "--http", where, "--once")
        thread.join()
    assert done.returncode == 1
    assert f"http://{where}/metrics is no page of a Bettong node" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--http", "nonsense"], "HOST:PORT"),
        (["--interval", "soon"], "interval"),
        (["--interval", "0"], "interval"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], word: str) -> None:
    done = run_bettong("top", *arguments, "--once")
    assert done.returncode == 2
    assert word in done.stderr
