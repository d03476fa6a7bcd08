"""Replies of the Redis protocol, version 3, as Python's values."""

from __future__ import annotations

from bettong.testing.errors import CommandError

Reply = (
    None
    | bool
    | int
    | float
    | str
    | bytes
    | list["Reply"]
    | dict["Reply", "Reply"]
    | set["Reply"]
)


def parse_reply(data: bytes) -> Reply:
    """The one reply that ``data`` is. An error reply is raised as CommandError."""
    reader = _Reader(data)
    reply = reader.reply()
    if reader.at != len(data):
        raise ValueError(f"more than one reply: {data!r}")
    return reply


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def line(self) -> bytes:
        end = self.data.index(b"\r\n", self.at)
        line = self.data[self.at : end]
        self.at = end + 2
        return line

    def bulk(self, size: int) -> bytes:
        data = self.data[self.at : self.at + size]
        self.at += size + 2
        return data

    def reply(self) -> Reply:
        head = self.line()
        kind, rest = head[:1], head[1:]
        match kind:
            case b"+":
                return _text(rest)
            case b"-":
                raise CommandError(rest.decode(errors="replace"))
            case b":" | b"(":
                return int(rest)
            case b",":
                return float(rest)
            case b"#":
                return rest == b"t"
            case b"_":
                return None
            case b"$":
                return None if rest == b"-1" else _text(self.bulk(int(rest)))
            case b"=":
                return _text(self.bulk(int(rest))[4:])
            case b"!":
                raise CommandError(self.bulk(int(rest)).decode(errors="replace"))
            case b"*" | b">":
                return (
                    None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
                )
            case b"~":
                return {self.reply() for _ in range(int(rest))}
            case b"%":
                return {self.reply(): self.reply() for _ in range(int(rest))}
        raise ValueError(f"no reply begins with {head!r}")
