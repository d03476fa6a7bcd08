"""What Sender and Receiver need of sockets."""

from __future__ import annotations

import socket
from contextlib import suppress

RECEIVE_BYTES = 256 << 10  # per call


class ConnectionLost(Exception):
    """The connection is of no use any more; another may be. The text says why."""


class Waker:
    """Ends another thread's wait for its sockets. ``wake`` may be called by any thread."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._there.setblocking(False)

    def fileno(self) -> int:
        return self._here.fileno()

    def wake(self) -> None:
        with suppress(OSError):  # full: it will wake anyhow; closed: nobody waits
            self._there.send(b"\0")

    def drain(self) -> None:
        with suppress(BlockingIOError):
            self._here.recv(4096)

    def close(self) -> None:
        self._here.close()
        self._there.close()


def parse_address(text: str, *, any_port: bool = False) -> tuple[str, int]:
    """("HOST:PORT" or "[HOST]:PORT") -> host, port. ``any_port``: 0 is one."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if (
        not colon
        or not host
        or not port.isascii()
        or not port.isdigit()
        or not (0 if any_port else 1) <= int(port) <= 65535
    ):
        raise ValueError(f"an address is HOST:PORT, not {text!r}")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
