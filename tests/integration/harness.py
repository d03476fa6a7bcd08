"""What the black-box tests stand on: a Bettong process, its sources, its sinks, its clients.

Nothing here knows more than a user does: the binary, its `ready` line, its ports, its files.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import redis

from resp import Connection

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("BETTONG_BINARY", REPOSITORY / "build" / "release" / "bettong"))

# Sanitised builds are slower: every deadline is multiplied by this (nothing gets slower by it).
SLOWDOWN = float(os.environ.get("BETTONG_TEST_SLOWDOWN", "1"))
# Whether servers run in memory only, instead of with a log.
NO_DATA = os.environ.get("BETTONG_TEST_NO_DATA") == "1"
DEADLINE_S = 10.0 * SLOWDOWN
SHUTDOWN_LIMIT_S = 5.0 * SLOWDOWN

# redis-py's annotations mix sync and async results; the tests want neither.
RedisClient = Any
Event = dict[str, Any] | str | bytes

TCP_LINES = """
[source.{name}]
kind = "tcp"
listen = "127.0.0.1:0"
stream = "{stream}"
framing = "{framing}"
format = "json"
"""

# Options of `serve`: free ports.
ANY_PORTS = ("--resp-port", "0", "--http-port", "0")

SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:"
)


# All servers that have been started and not forgotten, for clean-up after each test.
SERVERS: weakref.WeakSet[Server] = weakref.WeakSet()


class ServerDied(AssertionError):
    """The process ended where it should have become ready."""


def eventually(
    condition: Callable[[], T | None],
    what: str = "the condition",
    *,
    within_s: float = DEADLINE_S,
) -> T:
    """Poll until `condition()` is true and return its value; fail at the deadline."""
    end = time.monotonic() + within_s
    pause_s = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {within_s} s (last: {value!r})")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)


def encode_event(event: Event) -> bytes:
    """An event as one JSON line without its newline; text and bytes go through untouched."""
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    return json.dumps(event, separators=(",", ":")).encode()


def source_table(
    name: str,
    stream: str,
    *,
    framing: str = "lines",
    connections: int | None = None,
) -> str:
    """The TOML table of a TCP source on a free port."""
    text = TCP_LINES.format(name=name, stream=stream, framing=framing)
    if connections is not None:
        text += f"connections = {connections}\n"
    return text


def file_sink_table(name: str, stream: str, path: Path) -> str:
    return f'\n[sink.{name}]\nkind = "file"\nstream = "{stream}"\npath = "{path}"\n'


class SourceConnection:
    """A client of a TCP source."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def lines(self, *events: Event) -> SourceConnection:
        """All events in one write, each followed by a newline."""
        self.send_raw(b"".join(encode_event(event) + b"\n" for event in events))
        return self

    def frames(self, *events: Event) -> SourceConnection:
        """All events in one write, each behind its length."""
        # assumption: a `length32` length is an unsigned big-endian number (network byte order).
        encoded = [encode_event(event) for event in events]
        self.send_raw(b"".join(struct.pack(">I", len(raw)) + raw for raw in encoded))
        return self

    def end(self) -> SourceConnection:
        """Send FIN; the server goes on working."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def wait_closed(self) -> bytes:
        """Wait until the server closes its side; whatever it sent."""
        received = b""
        while chunk := self.socket.recv(65536):
            received += chunk
        return received

    def finish(self) -> None:
        """FIN, then wait for the server's: by then everything sent here has been processed."""
        self.end()
        self.wait_closed()
        self.close()

    def close(self) -> None:
        self.socket.close()


class Subscription:
    """A subscriber; it exists when the constructor returns."""

    def __init__(self, connection: Connection, channels: Sequence[str], *, pattern: bool) -> None:
        self.connection = connection
        self.kind = "pmessage" if pattern else "message"
        connection.send("PSUBSCRIBE" if pattern else "SUBSCRIBE", *channels)
        for channel in channels:
            assert connection.read().python()[1] == channel

    def next(self) -> str:
        """The payload of the next message."""
        value = self.connection.read().python()
        assert value[0] == self.kind, value
        return str(value[-1])

    def next_message(self) -> tuple[str, str]:
        """Channel and payload of the next message."""
        value = self.connection.read().python()
        assert value[0] == self.kind, value
        return str(value[-2]), str(value[-1])

    def take(self, count: int) -> list[str]:
        return [self.next() for _ in range(count)]

    def json(self) -> Any:
        return json.loads(self.next())

    def until(self, last: Callable[[Any], bool]) -> list[Any]:
        """Decoded messages up to and without the one for which `last` holds."""
        messages: list[Any] = []
        while not last(message := self.json()):
            messages.append(message)
        return messages


def process_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    environment = dict(os.environ)
    if sys.prefix != sys.base_prefix:
        # assumption: the server finds the packages of the tests' own virtual environment this way.
        environment.setdefault("VIRTUAL_ENV", sys.prefix)
    environment.update(extra or {})
    return environment


def run_bettong(
    *arguments: str | Path,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
    timeout_s: float = 15.0,
) -> subprocess.CompletedProcess[str]:
    """Run a subcommand to its end; standard output and error as text."""
    done = subprocess.run(
        [str(BINARY), *map(str, arguments)],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        cwd=cwd,
        env=process_environment(environment),
        timeout=timeout_s * SLOWDOWN,
        check=False,
    )
    stderr = done.stderr.decode("utf-8", "replace")
    assert not SANITIZER_REPORT.search(stderr), stderr
    assert done.returncode >= 0, f"killed by signal {-done.returncode}:\n{stderr}"
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8", "replace"), stderr
    )


class Server:
    """One `bettong serve` process, started and ready when the constructor returns."""

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self._data: tempfile.TemporaryDirectory[str] | None = None
        if not {"--data", "--no-data"}.intersection(self.arguments):
            self._use_data()
        self.process = subprocess.Popen(
            [str(BINARY), "serve", *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=process_environment(environment),
        )
        self.stopped = False
        SERVERS.add(self)
        self._stack = contextlib.ExitStack()
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._collect, args=(name,), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()
        self.resp: tuple[str, int] = ("", 0)
        self.http: tuple[str, int] = ("", 0)
        self.sources: dict[str, tuple[str, int]] = {}
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise

    # -- the process ------------------------------------------------------------------------

    def _use_data(self) -> None:
        """Servers have a log of their own, with segments small enough to use several."""
        if NO_DATA:
            self.arguments.append("--no-data")
            return
        self._data = tempfile.TemporaryDirectory(prefix="bettong-test-")
        self.arguments += ["--data", self._data.name, "--set", "log.segment_bytes=1mb"]

    def _collect(self, name: str) -> None:
        pipe = self.process.stdout if name == "stdout" else self.process.stderr
        assert pipe is not None
        for line in pipe:
            self._lines[name].append(line.decode("utf-8", "replace").rstrip("\n"))
        pipe.close()

    @property
    def stdout(self) -> list[str]:
        return list(self._lines["stdout"])

    @property
    def stderr(self) -> list[str]:
        return list(self._lines["stderr"])

    def log(self) -> list[dict[str, str]]:
        """The entries of the node's log so far: what its JSON lines on stderr say."""
        lines = [line for line in self.stderr if line.startswith('{"time": ')]
        return [json.loads(line) for line in lines]

    def logged(self) -> list[str]:
        """The lines of the log's messages, in order."""
        return [line for entry in self.log() for line in entry["message"].split("\n")]

    @property
    def pid(self) -> int:
        return self.process.pid

    def _wait_ready(self) -> None:
        def ready_line() -> str | None:
            for line in self.stderr:
                if line.startswith("ready "):
                    return line
            if self.process.poll() is not None:
                for reader in self._readers:
                    reader.join(DEADLINE_S)
                code, text = self.process.returncode, "\n".join(self.stderr)
                raise ServerDied(f"exit code {code} before it was ready:\n{text}")
            return None

        line = eventually(ready_line, "the ready line", within_s=2 * DEADLINE_S)
        for part in line.split()[1:]:
            name, _, address = part.partition("=")
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            if name == "resp":
                self.resp = (host, int(port))
            elif name == "http":
                self.http = (host, int(port))
            elif name.startswith("source."):
                self.sources[name.removeprefix("source.")] = (host, int(port))
        assert self.resp[1] > 0, f"no RESP port in {line!r}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_exit(self, within_s: float = SHUTDOWN_LIMIT_S) -> int:
        """Wait until the process has ended by itself; its exit code."""
        code = self.process.wait(within_s)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        self.close_clients()
        self.stopped = True
        return code

    def terminate(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        """The end of a server that a test or a start has given up."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(DEADLINE_S)
        self.close_clients()
        self._remove_data()
        self.stopped = True

    def _remove_data(self) -> None:
        if self._data is not None:
            self._data.cleanup()

    def stop(self) -> None:
        """What every server goes through at the end of its test."""
        if not self.stopped:
            try:
                code = self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(
                    f"SIGTERM did not end the server within {SHUTDOWN_LIMIT_S} s"
                ) from None
            assert code == 0, f"exit code {code} after SIGTERM"
        self._remove_data()
        text = "\n".join(self.stderr)
        assert not SANITIZER_REPORT.search(text), text

    def close_clients(self) -> None:
        """Close all connections that were made through this object."""
        with contextlib.suppress(OSError):
            self._stack.close()

    def memory_peak_bytes(self) -> int:
        """The most resident memory that the process has ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024

    # -- clients ----------------------------------------------------------------------------

    def redis(self, *, protocol: int = 2, decode_responses: bool = True) -> RedisClient:
        """A redis-py client."""
        client = redis.Redis(
            host=self.resp[0],
            port=self.resp[1],
            protocol=protocol,
            decode_responses=decode_responses,
            socket_timeout=DEADLINE_S,
        )
        self._stack.callback(client.close)
        return client

    def connect(self, *, protocol: int = 2) -> Connection:
        """A raw RESP connection."""
        connection = Connection(self.resp, protocol=protocol, deadline_s=DEADLINE_S)
        self._stack.callback(connection.close)
        return connection

    def subscribe(self, *channels: str, pattern: bool = False, protocol: int = 2) -> Subscription:
        return Subscription(self.connect(protocol=protocol), channels, pattern=pattern)

    def source(self, name: str = "events") -> SourceConnection:
        """A new connection to a TCP source."""
        connection = SourceConnection(self.sources[name])
        self._stack.callback(connection.close)
        return connection

    def feed(self, *events: Event, source: str = "events") -> None:
        """Send events over a connection of their own; all processed when this returns."""
        self.source(source).lines(*events).finish()

    # -- what can be observed ---------------------------------------------------------------

    def entities(self) -> int:
        """The number of living entities, from INFO."""
        text = self.connect().call("INFO")
        match = re.search(r"^# Bettong\r?$.*?^entities:(\d+)\r?$", text, re.MULTILINE | re.DOTALL)
        assert match is not None, f"no entities in INFO:\n{text}"
        return int(match[1])

    def dead_letters(self, key: str | None = None) -> list[dict[str, str]]:
        """The dead letters so far (of one key, without its prefix), oldest first."""
        with Connection(self.resp, deadline_s=DEADLINE_S) as connection:
            entries = connection.call("XRANGE", "bettong:dead-letters", "-", "+")
        letters = [dict(zip(f[::2], f[1::2], strict=True)) for _, f in entries]
        # assumption: whether a dead letter's key has its prefix is open.
        return [one for one in letters if key is None or one["key"].split(":", 1)[-1] == key]

    def wait_dead_letters(self, count: int) -> list[dict[str, str]]:
        return eventually(
            lambda: letters if len(letters := self.dead_letters()) >= count else None,
            f"{count} dead letters",
        )


class Launcher:
    """Starts servers for one test, and stops and judges them after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []

    def write_app(self, source: str, name: str = "app.py") -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(source))
        return path

    def write_config(self, text: str, name: str = "bettong.toml") -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def __call__(
        self,
        app: str | Path | None = None,
        *arguments: str | Path,
        config: str | None = None,
        shards: int | None = 2,
        environment: dict[str, str] | None = None,
    ) -> Server:
        """Start a server.

        `app` is a source text or a file. Without `config`, an app gets one TCP source named
        `events` that feeds its stream `events` with lines.
        """
        line: list[str | Path] = []
        if app is not None:
            line.append(app if isinstance(app, Path) else self.write_app(app))
            if config is None:
                config = source_table("events", "events")
        if config is not None:
            line += ["-c", self.write_config(config)]
        if shards is not None:
            line += ["--shards", str(shards)]
        line += [*ANY_PORTS, "--no-data", *arguments]
        server = Server(*line, cwd=self.folder, environment=environment)
        self.servers.append(server)
        return server

    def run(
        self, app: str | Path, *arguments: str | Path, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`bettong run` on a source text or a file."""
        path = app if isinstance(app, Path) else self.write_app(app)
        return run_bettong("run", path, *arguments, stdin=stdin, cwd=self.folder)

    def stop(self) -> None:
        problems = []
        for server in reversed(self.servers):
            try:
                server.stop()
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """The last line that `bettong run` writes to standard error, as numbers."""
    line = done.stderr.rstrip("\n").rsplit("\n", 1)[-1]
    pattern = r"events=(\d+) outputs=(\d+) live=(\d+) dead_letters=(\d+) seconds=(\d+(?:\.\d+)?)$"
    match = re.match(pattern, line)
    assert match is not None, f"not a summary: {line!r}\n{done.stderr}"
    names = ("events", "outputs", "live", "dead_letters", "seconds")
    return {name: float(text) for name, text in zip(names, match.groups(), strict=True)}


def json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def view_entry(fields: dict[str, str]) -> dict[str, Any]:
    """What an app emitted, read back from an entry of its stream's view."""
    # assumption: an entry holds either a field for each field of the event (numbers as text, the
    # rest as JSON), or the whole event as JSON in a single field; both are accepted.
    if len(fields) == 1:
        (text,) = fields.values()
        with contextlib.suppress(ValueError):
            value = json.loads(text)
            if isinstance(value, dict):
                return value
    decoded: dict[str, Any] = {}
    for name, text in fields.items():
        try:
            decoded[name] = json.loads(text)
        except ValueError:
            decoded[name] = text
    return decoded


def get_page(server: Server, path: str) -> str:
    """A page of the HTTP port, which must be there."""
    connection = http.client.HTTPConnection(*server.http, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    assert response.status == 200, f"{response.status} {text}"
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def listener() -> Iterator[tuple[socket.socket, int]]:
    """A listening socket for TCP sinks, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        yield server, server.getsockname()[1]


def by_key(events: Iterable[dict[str, Any]], key: str = "key") -> dict[str, list[dict[str, Any]]]:
    """Events or outputs in their order, apart by key."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        groups.setdefault(event[key], []).append(event)
    return groups
