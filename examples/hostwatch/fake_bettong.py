"""A stand-in for the program in the tests of demo.py: ports, a ready line, and three alerts.

It takes the collector's samples, acknowledges them when what came of them is in its data
directory, and goes on from there when it is started again. Of the Redis protocol it speaks as much
as redis-py and redis-cli need here. FAKE_BETTONG says how it misbehaves: "crash", "no-gone",
"no-high", "not-ready", "bad-answer", "stubborn"; from the second start on: "loses" samples that it
has acknowledged, "counts-twice", "loses-alert", "repeats" an alert, "forgets" the busy process,
"fresh-ttl", "no-return"; nothing: it does not.
"""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients" / "python"))
from bettong import _wire as wire

BUSY_NAME = "bettong-busy"
SILENT_ROUNDS = 3  # of samples; time would be no measure when the machine stands still
ALLOWED = 1 << 62

Reply = str | int | list["Reply"] | dict[str, "Reply"]


def encode(reply: Reply, kind: str = "*") -> bytes:
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, str):
        if reply.startswith(("+", "-")):
            return reply.encode() + b"\r\n"
        return b"$%d\r\n%s\r\n" % (len(reply.encode()), reply.encode())
    if isinstance(reply, dict):
        body = b"".join(encode(key) + encode(value) for key, value in reply.items())
        return b"%%%d\r\n" % len(reply) + body
    return kind.encode() + b"%d\r\n" % len(reply) + b"".join(map(encode, reply))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class State:
    """What survives: the last line of a file. The archive is made of it."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self._path = folder / "states.jsonl"
        self._archive = archive
        self.is_new = not self._path.exists()
        kept: dict[str, Any] = {}
        if not self.is_new:
            *lines, _ = self._path.read_text().split("\n")  # the rest is not whole
            kept = json.loads(lines[-1])
        self.durable: int = kept.get("durable", 0)  # the last id
        self.tallies: Counter[str] = Counter(kept.get("tallies", {}))
        self.alerts: list[str] = kept.get("alerts", [])
        self.deadlines: dict[str, int] = kept.get("deadlines", {})  # ms since the epoch
        self.pid: int = kept.get("pid", 0)  # of the busy process, while it lives
        self.count: int = kept.get("count", 0)  # of its samples
        self.silent: int = kept.get("silent", 0)  # rounds without one
        self._archived = 0
        folder.mkdir(exist_ok=True)
        archive.write_text("")

    def save(self) -> None:
        kept = {name: value for name, value in vars(self).items() if name[0] != "_"}
        # Appended: a file that is replaced is written to the disk first, and that may be busy.
        with self._path.open("a") as file:
            file.write(json.dumps(kept) + "\n")
        with self._archive.open("a") as file:
            file.writelines(line + "\n" for line in self.alerts[self._archived :])
        self._archived = len(self.alerts)

    def misbehave(self, mode: str) -> None:
        """As it was not before the kill."""
        if mode == "loses":
            self.tallies["cpu"] -= 1
        elif mode == "counts-twice":
            self.tallies["cpu"] += 1
        elif mode == "loses-alert":
            self.alerts.pop()
        elif mode == "repeats":
            self.alerts.append(self.alerts[-1])
        elif mode == "forgets":
            self.pid = -1
        elif mode == "fresh-ttl":
            # And a little more, which the tolerance for a quick start cannot hide.
            self.deadlines = dict.fromkeys(self.deadlines, now_ms() + 601_000)


class FakeBettong:
    def __init__(
        self, resp_port: int, source_port: int, state: State, mode: str
    ) -> None:
        self.mode = mode
        self.resp = socket.create_server(("127.0.0.1", resp_port))
        self.source = socket.create_server(("127.0.0.1", source_port))
        self.subscribers: list[tuple[socket.socket, int]] = []
        self.lock = threading.Lock()  # of the state
        self.state = state

    def run(self) -> None:
        for accept in (self.serve_clients, self.serve_collectors):
            threading.Thread(target=accept, daemon=True).start()
        print("bettong: a line on stderr", file=sys.stderr, flush=True)
        if self.mode == ("not-ready" if self.state.is_new else "no-return"):
            sys.exit(3)
        resp, source = self.resp.getsockname()[1], self.source.getsockname()[1]
        ready = f"ready resp=127.0.0.1:{resp} source.metrics=127.0.0.1:{source}"
        print(ready, file=sys.stderr, flush=True)
        while True:
            time.sleep(3600)

    # The source: the busy process's samples become its alerts.

    def serve_collectors(self) -> None:
        while True:
            connection, _ = self.source.accept()
            with connection:
                self.take_samples(connection)

    def take_samples(self, connection: socket.socket) -> None:
        reader = wire.FrameReader([wire.HELLO, wire.MSG, wire.PING])
        while data := connection.recv(65536):
            reader.feed(data)
            answers = b""
            told: list[str] = []
            with self.lock:
                while (found := reader.next()) is not None:
                    frame = wire.decode(*found)
                    if isinstance(frame, wire.Hello):
                        answers += wire.welcome(self.state.durable, ALLOWED)
                    elif isinstance(frame, wire.Ping):
                        answers += wire.pong(frame.number)
                    elif isinstance(frame, wire.Msg):
                        told += self.take(json.loads(frame.event))
                        self.state.durable = frame.id
                if not answers:
                    answers = wire.ack(self.state.durable, ALLOWED)
                self.state.save()
                for alert in told:
                    self.publish(alert)
            connection.sendall(answers)

    def take(self, sample: dict[str, Any]) -> list[str]:
        """What it does to the state; the alerts that come of it."""
        state = self.state
        before = len(state.alerts)
        state.tallies[sample["kind"]] += 1
        if sample["name"] == BUSY_NAME:
            if state.pid == 0:
                state.pid = sample["pid"]
                self.on_busy(f"process:{state.pid}")
            state.count += 1
            state.silent = 0
        elif sample["name"] == "cpu0" and state.pid > 0:
            state.silent += 1
            if state.silent > SILENT_ROUNDS:
                if self.mode != "no-gone":
                    self.alert("gone", f"process:{state.pid}")
                state.pid = -1
        return state.alerts[before:]

    def on_busy(self, key: str) -> None:
        if self.mode == "crash":
            print("bettong: fatal: planted", file=sys.stderr, flush=True)
            os._exit(70)
        self.alert("high", "process:1")  # somebody else's: must not count
        if self.mode != "no-high":
            self.alert("high", key)

    def alert(self, state: str, key: str) -> None:
        alert = {"at": now_ms(), "state": state, "key": key, "text": state}
        self.state.alerts.append(json.dumps(alert))

    def publish(self, alert: str) -> None:
        for subscriber, protocol in self.subscribers:
            kind = ">" if protocol == 3 else "*"
            subscriber.sendall(encode(["message", "alerts", alert], kind))

    # The port.

    def serve_clients(self) -> None:
        while True:
            connection, _ = self.resp.accept()
            threading.Thread(
                target=self.serve_client, args=(connection,), daemon=True
            ).start()

    def serve_client(self, connection: socket.socket) -> None:
        protocol = 2
        stream = connection.makefile("rb")
        while header := stream.readline():
            command = []
            for _ in range(int(header[1:])):
                size = int(stream.readline()[1:])
                command.append(stream.read(size + 2)[:-2].decode())
            name = command[0].upper()
            if name == "HELLO":
                protocol = int(command[1])
                connection.sendall(encode({"server": "fake", "proto": protocol}))
            elif name == "SUBSCRIBE":
                kind = ">" if protocol == 3 else "*"
                with self.lock:
                    connection.sendall(encode(["subscribe", command[1], 1], kind))
                    self.subscribers.append((connection, protocol))
            else:
                with self.lock:
                    answer = self.answer(name, command[1:])
                connection.sendall(encode(answer))

    def keys(self) -> list[str]:
        keys = [f"tally:{kind}" for kind in sorted(self.state.tallies)]
        if keys:
            keys.append("part:cpu0")
        if self.state.pid > 0:
            keys.append(f"process:{self.state.pid}")
        return keys

    def answer(self, name: str, arguments: list[str]) -> Reply:
        if name == "DBSIZE":
            return len(self.keys())
        if name == "EXISTS":
            return int(arguments[0] in self.keys())
        if name == "HGET":
            kind, _, key = arguments[0].partition(":")
            if kind == "tally":
                return str(self.state.tallies[key])
            return str(self.state.count if arguments[0] in self.keys() else 0)
        if name == "SET":
            self.state.deadlines[arguments[0]] = now_ms() + 1000 * int(arguments[3])
            self.state.save()
        if name == "WAITAOF":
            return [1, 0]
        if name == "PTTL":
            return self.state.deadlines.get(arguments[0], now_ms() + 3000) - now_ms()
        if name == "CALL" and self.mode == "bad-answer":
            return "-ERR planted"
        if name == "SCAN":
            pattern = arguments[arguments.index("MATCH") + 1]
            keys: list[Reply] = [*fnmatch.filter(self.keys(), pattern)]
            return ["0", keys]
        if name == "XRANGE":
            return []
        return "+OK"


def setting(name: str) -> str:
    """What `--set NAME=` says."""
    return next(
        argument.partition("=")[2]
        for argument in sys.argv
        if argument.startswith(f"{name}=")
    )


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def main() -> None:
    mode = os.environ.get("FAKE_BETTONG", "")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    state = State(Path(option("--data")), Path(setting("sink.archive.path")))
    if not state.is_new:
        state.misbehave(mode)
    state.save()
    source_port = int(setting("source.metrics.listen").rpartition(":")[2])
    FakeBettong(int(option("--resp-port")), source_port, state, mode).run()


if __name__ == "__main__":
    main()
