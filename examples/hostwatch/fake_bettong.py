"""A stand-in for the program in the tests of demo.py: ports, a ready line, and two alerts.

It takes the collector's samples, and as much of the Redis protocol as redis-py and redis-cli
need here. FAKE_BETTONG says how it misbehaves: "crash", "no-gone", "no-high", "not-ready",
"bad-answer", "stubborn"; nothing: it does not.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time

BUSY_NAME = "bettong-busy"
SILENCE_S = 0.6

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


class FakeBettong:
    def __init__(self, resp_port: int, mode: str) -> None:
        self.mode = mode
        self.resp = socket.create_server(("127.0.0.1", resp_port))
        self.source = socket.create_server(("127.0.0.1", 0))
        self.subscribers: list[tuple[socket.socket, int]] = []
        self.keys: set[str] = set()

    def run(self) -> None:
        for accept in (self.serve_clients, self.serve_collectors):
            threading.Thread(target=accept, daemon=True).start()
        print("bettong: a line on stderr", file=sys.stderr, flush=True)
        if self.mode == "not-ready":
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
            self.take_samples(connection)

    def take_samples(self, connection: socket.socket) -> None:
        pid = last_ms = 0
        for line in connection.makefile("rb"):
            sample = json.loads(line)
            self.keys.add("part:cpu0")
            if sample["name"] == BUSY_NAME:
                if pid == 0:
                    pid = sample["pid"]
                    self.on_busy(f"process:{pid}")
                last_ms = sample["ts"]
            elif last_ms and sample["ts"] - last_ms > SILENCE_S * 1000:
                last_ms = 0
                self.keys.discard(f"process:{pid}")
                if self.mode != "no-gone":
                    self.publish("gone", f"process:{pid}")

    def on_busy(self, key: str) -> None:
        self.keys.add(key)
        if self.mode == "crash":
            print("bettong: fatal: planted", file=sys.stderr, flush=True)
            os._exit(70)
        self.publish("high", "process:1")  # somebody else's: must not count
        if self.mode != "no-high":
            self.publish("high", key)

    def publish(self, state: str, key: str) -> None:
        alert = {
            "at": time.time_ns() // 1_000_000,
            "state": state,
            "key": key,
            "text": state,
        }
        for subscriber, protocol in self.subscribers:
            kind = ">" if protocol == 3 else "*"
            subscriber.sendall(encode(["message", "alerts", json.dumps(alert)], kind))

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
                connection.sendall(encode(["subscribe", command[1], 1], kind))
                self.subscribers.append((connection, protocol))
            else:
                connection.sendall(encode(self.answer(name, command[1:])))

    def answer(self, name: str, arguments: list[str]) -> Reply:
        if name == "DBSIZE":
            return len(self.keys)
        if name == "EXISTS":
            return int(arguments[0] in self.keys)
        if name == "CALL" and self.mode == "bad-answer":
            return "-ERR planted"
        if name == "SCAN":
            keys: list[Reply] = [*sorted(self.keys)]
            return ["0", keys]
        return "+OK"


def main() -> None:
    mode = os.environ.get("FAKE_BETTONG", "")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    port = int(sys.argv[sys.argv.index("--resp-port") + 1])
    FakeBettong(port, mode).run()


if __name__ == "__main__":
    main()
