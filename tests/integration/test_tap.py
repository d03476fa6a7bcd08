"""`bettong tap`: what flows through a stream of a running node."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from datanode import DataNode
from harness import BINARY, DEADLINE_S, Launcher, Server, eventually, free_port, run_bettong

APP = """
    from bettong import App, Event

    app = App("tapped")

    class Typed(Event):
        name: str
        n: int = 0

    events = app.stream("events")
    typed = app.stream("typed", Typed)
    out = app.stream("out")

    class Thing(app.Entity):
        n: int

        @events.on(key="key")
        def take(self, e):
            self.n += 1
            out.emit(key=self.key, n=self.n, mean=0.5, tags=["a", 1], none=None, text="12 ä")
            typed.emit(name="7", n=self.n)
"""


class Tap:
    """A tap that runs beside the test; both of its outputs are read as they come."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [str(BINARY), "tap", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.readers = [
            threading.Thread(target=self._collect, args=pair)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.notes))
        ]
        for reader in self.readers:
            reader.start()

    def _collect(self, pipe: object, into: list[str]) -> None:
        for line in pipe:  # type: ignore[attr-defined]
            into.append(line.decode().rstrip("\n"))
        pipe.close()  # type: ignore[attr-defined]

    def noted(self, words: str) -> None:
        eventually(lambda: any(words in note for note in self.notes), f"the note {words!r}")

    def printed(self, count: int) -> list[dict[str, object]]:
        eventually(lambda: len(self.lines) >= count, f"{count} lines of tap")
        return [json.loads(line) for line in self.lines]

    def wait(self) -> int:
        code = self.process.wait(DEADLINE_S)
        for reader in self.readers:
            reader.join()
        return code

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.wait()


@pytest.fixture
def taps() -> Iterator[list[Tap]]:
    started: list[Tap] = []
    yield started
    for tap in started:
        tap.stop()


def start(taps: list[Tap], server: Server, *arguments: str) -> Tap:
    tap = Tap(*arguments, "--port", str(server.resp[1]))
    taps.append(tap)
    tap.noted("reading ")
    return tap


def test_what_comes_is_printed_as_json(launch: Launcher, taps: list[Tap]) -> None:
    server = launch(APP)
    server.feed({"key": "before"})
    tap = start(taps, server, "out", "--count", "2")
    server.feed({"key": "a"}, {"key": "a"}, {"key": "a"})
    assert tap.wait() == 0
    assert tap.printed(2) == [
        {"key": "a", "n": n, "mean": 0.5, "tags": ["a", 1], "none": None, "text": "12 ä"}
        for n in (1, 2)
    ]


def test_from_the_start_and_with_ids(launch: Launcher) -> None:
    server = launch(APP)
    server.feed({"key": "a"}, {"key": "a"})
    port = str(server.resp[1])
    done = run_bettong("tap", "out", "--port", port, "--from", "start", "--count", "2", "--ids")
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    with server.connect() as connection:
        ids = [entry[0] for entry in connection.call("XRANGE", "out", "-", "+")]
    assert [entry["id"] for entry in entries] == ids
    assert [entry["event"]["n"] for entry in entries] == [1, 2]


def test_text_of_a_typed_stream_stays_text(launch: Launcher) -> None:
    server = launch(APP)
    server.feed({"key": "a"})
    port = str(server.resp[1])
    done = run_bettong("tap", "typed", "--port", port, "--from", "start", "--count", "1")
    assert json.loads(done.stdout) == {"name": "7", "n": 1}


def test_an_entry_is_one_line_whatever_is_in_it(launch: Launcher) -> None:
    server = launch()
    with server.connect() as connection:
        connection.call("XADD", "plain", "*", "a", "[1,\n2]", "b", "01", "c", "true", "d", "")
    port = str(server.resp[1])
    done = run_bettong("tap", "plain", "--port", port, "--from", "start", "--count", "1")
    assert done.stdout == '{"a":"[1,\\n2]","b":"01","c":true,"d":""}\n'


def test_many_entries_come_in_order(launch: Launcher) -> None:
    server = launch()
    with server.connect() as connection:
        for i in range(1201):  # more than are read at once
            connection.call("XADD", "plain", "*", "i", str(i))
    port = str(server.resp[1])
    done = run_bettong("tap", "plain", "--port", port, "--from", "start", "--count", "1200")
    assert [json.loads(line)["i"] for line in done.stdout.splitlines()] == list(range(1200))


def test_a_gap_is_said_with_its_size(launch: Launcher, taps: list[Tap]) -> None:
    server = launch()
    with server.connect() as connection:
        connection.call("XADD", "plain", "*", "i", "0")
        tap = start(taps, server, "plain", "--from", "start")
        tap.printed(1)
        tap.process.send_signal(signal.SIGSTOP)
        for i in range(1, 8):
            connection.call("XADD", "plain", "*", "i", str(i))
        connection.call("XTRIM", "plain", "MAXLEN", "2")
        tap.process.send_signal(signal.SIGCONT)
        # Entry 1 answered the read that was waiting.
        eventually(lambda: '{"i":7}' in tap.lines, "the last entry")
    numbers = [json.loads(line)["i"] for line in tap.lines]
    assert numbers in ([0, 1, 6, 7], [0, 6, 7])
    missed = 8 - len(numbers)
    assert f"tap: gap: {missed} entries of plain were cut off the view before" in "\n".join(
        tap.notes
    )


def test_what_is_cut_off_at_the_start_is_said(launch: Launcher) -> None:
    server = launch()
    with server.connect() as connection:
        for i in range(5):
            connection.call("XADD", "plain", "*", "i", str(i))
        connection.call("XTRIM", "plain", "MAXLEN", "2")
    port = str(server.resp[1])
    done = run_bettong("tap", "plain", "--port", port, "--from", "start", "--count", "2")
    assert [json.loads(line)["i"] for line in done.stdout.splitlines()] == [3, 4]
    assert "tap: the first 3 of 5 entries are not in the view any more" in done.stderr


def test_it_goes_on_where_it_was_when_the_node_comes_back(
    launch: Launcher, taps: list[Tap]
) -> None:
    node = DataNode(launch)
    port = str(free_port())
    server = node(None, "--resp-port", port)
    with server.connect() as connection:
        tap = Tap("plain", "--port", port, "--from", "start")
        taps.append(tap)
        tap.noted("the node has no stream 'plain'")
        assert tap.wait() == 1
        connection.call("XADD", "plain", "*", "i", "0")
        tap = start(taps, server, "plain", "--from", "start")
        tap.printed(1)
    server.terminate()
    tap.noted("the connection to 127.0.0.1:" + port + " is gone")
    server = node(None, "--resp-port", port)
    with server.connect() as connection:
        connection.call("XADD", "plain", "*", "i", "1")
    assert tap.printed(2) == [{"i": 0}, {"i": 1}]
    tap.noted("connected to 127.0.0.1:" + port + " again")
    assert not any("gap" in note for note in tap.notes)


def test_a_stream_that_began_anew_is_a_gap(launch: Launcher, taps: list[Tap]) -> None:
    server = launch()
    with server.connect() as connection:
        for i in range(3):
            connection.call("XADD", "plain", "*", "i", str(i))
        tap = start(taps, server, "plain", "--from", "start")
        tap.printed(3)
        connection.call("DEL", "plain")
        connection.call("XADD", "plain", "*", "i", "10")
        tap.printed(4)
        tap.noted("gap: plain has begun anew")
        connection.call("XADD", "plain", "*", "i", "11")
        tap.printed(5)
        # And with ids that are below what was read.
        connection.call("DEL", "plain")
        connection.call("XADD", "plain", "1-1", "i", "20")
        numbers = [each["i"] for each in tap.printed(6)]
    assert numbers == [0, 1, 2, 10, 11, 20]
    assert sum("gap" in note for note in tap.notes) == 2


def test_a_password(launch: Launcher) -> None:
    server = launch(None, "--set", "resp.password=secret")
    port = str(server.resp[1])
    with server.connect() as connection:
        connection.call("AUTH", "secret")
        connection.call("XADD", "plain", "*", "i", "1")
    line = ["tap", "plain", "--port", port, "--from", "start", "--count", "1"]
    done = run_bettong(*line)
    assert done.returncode == 1
    assert "NOAUTH" in done.stderr
    assert "--password" in done.stderr
    assert run_bettong(*line, "--password", "secret").stdout == '{"i":1}\n'
    environment = {"BETTONG_PASSWORD": "secret"}
    assert run_bettong(*line, environment=environment).stdout == '{"i":1}\n'


def test_mistakes(launch: Launcher) -> None:
    server = launch(APP)
    port = str(server.resp[1])
    done = run_bettong("tap", "oout", "--port", port)
    assert done.returncode == 1
    assert "the node has no stream 'oout'; did you mean 'out'?" in done.stderr
    with server.connect() as connection:
        connection.call("SET", "text", "x")
    done = run_bettong("tap", "text", "--port", port)
    assert done.returncode == 1
    assert "WRONGTYPE" in done.stderr
    done = run_bettong("tap", "out", "--port", str(free_port()))
    assert done.returncode == 1
    assert "Connection refused; is a node running there?" in done.stderr
    done = run_bettong("tap", "out", "--port", str(server.http[1]))
    assert done.returncode == 1
    for wrong in (["--from", "middle"], ["--count", "0"], ["--port", "0"], ["--port", "65536"]):
        assert run_bettong("tap", "out", *wrong).returncode == 2


def test_a_stream_that_only_sources_feed_says_why_it_is_silent(
    launch: Launcher, taps: list[Tap]
) -> None:
    server = launch(APP)
    tap = start(taps, server, "events")
    tap.noted("events holds nothing yet: what computations emit into it and clients add will show")
