"""Hot reload under load: new code takes over while a million events and more come over TCP.

.venv/bin/python bench/reload.py [EVENTS] [RELOADS]

Each event of a key carries its number, and each version of the app its own, in two modules. The
app itself finds what is lost, repeated, out of order, of an older version than the key has seen, or
half of one version and half of another; what it has found is printed, and so is how long the doors
were held.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import peers
from redis import Redis

KEYS = 10_000

APP = """
import parts
from bettong import App, Event
app = App("reloads")
VERSION = {version}
class In(Event):
    key: str
    n: int
events = app.stream("events", In)
class Thing(app.Entity):
    n: int = 0
    version: int = 0
    {field}
    @events.on(key="key")
    def take(self, e: In) -> None:
        if parts.VERSION != VERSION: raise RuntimeError("half of a version")
        if e.n != self.n + 1: raise RuntimeError(f"{{e.n}} behind {{self.n}}")
        if VERSION < self.version: raise RuntimeError("an older version")
        self.n = e.n
        self.version = VERSION
"""


def write_version(folder: Path, version: int) -> None:
    """Every other version has a field more, so that all rows are converted."""
    field = "more: int = 7" if version % 2 == 0 else ""
    (folder / "parts.py").write_text(f"VERSION = {version}\n")
    (folder / "app.py").write_text(APP.format(version=version, field=field))


def lines(count: int) -> list[bytes]:
    """In pieces of one event of each key."""
    return [
        b"".join(b'{"key":"k%d","n":%d}\n' % (key, n) for key in range(KEYS))
        for n in range(1, count // KEYS + 1)
    ]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    reloads = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    pieces = lines(count)
    count = len(pieces) * KEYS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_version(folder, 1)
        settings = ("source.in.listen=127.0.0.1:0", "source.in.stream=events")
        sets = [argument for each in settings for argument in ("--set", each)]
        server, port = peers.bettong(str(folder / "app.py"), *sets)
        address = re.search(r"source\.in=([^:]*):(\d+)", server.line)
        assert address is not None
        client = Redis(port=port, decode_responses=True)
        took_s = 0.0

        def send() -> None:
            nonlocal took_s
            begin = time.perf_counter()
            with socket.create_connection((address[1], int(address[2]))) as sender:
                for piece in pieces:
                    sender.sendall(piece)
                sender.shutdown(socket.SHUT_WR)
                sender.recv(1)
            took_s = time.perf_counter() - begin

        sender = threading.Thread(target=send)
        sender.start()
        done = 0
        while sender.is_alive() and done < reloads:
            time.sleep(0.05)
            write_version(folder, done + 2)
            client.execute_command("RELOAD")
            done += 1
        sender.join()
        letters = client.xlen("bettong:dead-letters")
        good = sum(
            client.hget(f"thing:k{key}", "n") == str(len(pieces)) for key in range(KEYS)
        )
        client.shutdown()
        log = server.process.stdout
        assert log is not None
        held = [int(ms) for ms in re.findall(r"held for (\d+) ms", log.read().decode())]
        print(
            f"reload {count:,} events in {took_s:.2f} s, {count / took_s:,.0f} events/s, "
            f"{done} reloads; keys with all of their events {good:,} of {KEYS:,}, "
            f"dead letters {letters}; held {min(held)} to {max(held)} ms"
        )


main()
