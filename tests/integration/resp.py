"""A small RESP2/RESP3 client that loses nothing, so that replies can be compared byte for byte.

redis-py hides what the tests want to see (which null, which kind of string, the order of a map).
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Argument = str | bytes | int | float

AGGREGATES = {b"*", b"~", b">", b"%", b"|"}
BULKS = {b"$", b"=", b"!"}


@dataclass(frozen=True)
class Reply:
    """One RESP value as it came over the wire: its type byte and what followed it."""

    kind: bytes
    text: bytes | None = None
    items: tuple[Reply, ...] | None = None

    @property
    def is_error(self) -> bool:
        return self.kind in (b"-", b"!")

    def words(self) -> str:
        """The text of a simple or bulk reply, for comparison and messages."""
        assert self.text is not None, f"{self} has no text"
        return self.text.decode("utf-8", "surrogateescape")

    def python(self) -> Any:
        """As a Python user would like to have it; an error becomes a `RespError` value."""
        if self.kind in AGGREGATES:
            if self.items is None:
                return None
            values = [item.python() for item in self.items]
            if self.kind in (b"%", b"|"):
                return dict(zip(values[::2], values[1::2], strict=True))
            return values
        if self.text is None or self.kind == b"_":
            return None
        if self.kind in (b":", b"("):
            return int(self.text)
        if self.kind == b",":
            return float(self.text)
        if self.kind == b"#":
            return self.text == b"t"
        if self.kind == b"=":
            return self.words()[4:]
        if self.is_error:
            return RespError(self.words())
        return self.words()


class RespError(Exception):
    """An error reply."""


class ConnectionEnded(Exception):
    """The server closed the connection where a reply was expected."""


def encode(*arguments: Argument) -> bytes:
    """A command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        raw = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


def quoted(raw: bytes) -> str:
    """Bytes in double quotes, readable and reversible (the way redis-cli shows them)."""
    shown = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
    body = "".join(
        shown.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in raw
    )
    return f'"{body}"'


def render(reply: Reply, depth: int = 0) -> list[str]:
    """The lines of a reply in a transcript; two replies have the same lines iff equal bytes."""
    pad = "  " * depth
    if reply.kind in AGGREGATES:
        if reply.items is None:
            return [f"{pad}{reply.kind.decode()}-1"]
        count = len(reply.items) // 2 if reply.kind in (b"%", b"|") else len(reply.items)
        lines = [f"{pad}{reply.kind.decode()}{count}"]
        for item in reply.items:
            lines += render(item, depth + 1)
        return lines
    if reply.text is None:
        return [f"{pad}{reply.kind.decode()}-1"]
    if reply.kind == b"$":
        return [f"{pad}{quoted(reply.text)}"]
    if reply.kind in BULKS:
        return [f"{pad}{reply.kind.decode()}{quoted(reply.text)}"]
    text = reply.text.decode("utf-8", "backslashreplace")
    if text.endswith(" "):
        text = text[:-1] + "\\x20"  # transcripts have no blanks at the ends of lines
    return [f"{pad}{reply.kind.decode()}{text}"]


class Connection:
    """A blocking RESP connection; every wait has a deadline (the socket's timeout)."""

    def __init__(self, address: tuple[str, int], *, protocol: int = 2, deadline_s: float) -> None:
        self.socket = socket.create_connection(address, timeout=deadline_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")
        self._pushes: deque[Reply] = deque()
        if protocol == 3:
            self.call("HELLO", 3)

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *arguments: Argument) -> None:
        self.socket.sendall(encode(*arguments))

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionEnded(f"the connection ended after {line!r}")
        return line[:-2]

    def read(self) -> Reply:
        """The next value on the wire, whatever it is."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind in AGGREGATES:
            if rest == b"-1":
                return Reply(kind)
            count = int(rest) * (2 if kind in (b"%", b"|") else 1)
            return Reply(kind, items=tuple(self.read() for _ in range(count)))
        if kind in BULKS:
            if rest == b"-1":
                return Reply(kind)
            length = int(rest)
            body = self._file.read(length + 2)
            if len(body) != length + 2:
                raise ConnectionEnded(f"the connection ended inside a string of {length} bytes")
            assert body.endswith(b"\r\n"), body[-2:]
            return Reply(kind, body[:-2])
        assert kind in b"+-:,#_(", f"not a RESP value: {line!r}"
        return Reply(kind, rest)

    def reply(self, *arguments: Argument) -> Reply:
        """Send one command, read its reply (RESP3 pushes that come between are kept aside)."""
        self.send(*arguments)
        while (reply := self.read()).kind == b">":
            self._pushes.append(reply)
        return reply

    def call(self, *arguments: Argument) -> Any:
        """Send one command; its reply as a Python value; raises `RespError` for an error."""
        value = self.reply(*arguments).python()
        if isinstance(value, RespError):
            raise value
        return value

    def pipeline(self, commands: Sequence[tuple[Argument, ...]]) -> list[Reply]:
        """All commands in one write, then all replies."""
        self.socket.sendall(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    def push(self) -> Reply:
        """The next RESP3 push."""
        if self._pushes:
            return self._pushes.popleft()
        reply = self.read()
        assert reply.kind == b">", f"expected a push, got {render(reply)}"
        return reply

    def rest(self) -> bytes:
        """Everything up to the end of the connection, which must come within the deadline."""
        try:
            return self._file.read()
        except ConnectionResetError:
            return b""
