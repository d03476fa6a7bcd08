"""The frames of the bettong-stream protocol: docs/stream-protocol.md, version 1, in Python.

Pure functions and one reader; no sockets. Encoders return whole frames. ``FrameReader`` cuts what
came in into (type, payload), and checks a frame's type and length as soon as its first five bytes
are there, so that a malformed peer costs no memory. ``decode`` takes a payload apart.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

VERSION: Final = 1
MAGIC: Final = 0x474E5442  # "BTNG"
FRAME_BYTES_MAX: Final = 16 << 20  # type and payload
TEXT_BYTES_MAX: Final = 0xFFFF
POSITIONS_MAX: Final = 0xFFFF  # in one RESUME or STORED
NUMBER_MAX: Final = (1 << 63) - 1  # of ids and sequences
NODE_ID_BYTES: Final = 16

HELLO: Final = 1
MSG: Final = 2
PING: Final = 3
OFFER: Final = 16
OUT: Final = 17
WELCOME: Final = 129
ACK: Final = 130
ERROR: Final = 131
PONG: Final = 132
RESUME: Final = 144
STORED: Final = 145

# Codes of ERROR.
VERSION_DIFFERS: Final = 1
MALFORMED: Final = 2
FENCED: Final = 3
ORDER: Final = 4
DENIED: Final = 5
GOING: Final = 6
REFUSED: Final = 7

CODE_NAMES: Final = {
    VERSION_DIFFERS: "version",
    MALFORMED: "malformed",
    FENCED: "fenced",
    ORDER: "order",
    DENIED: "denied",
    GOING: "going",
    REFUSED: "refused",
}

_TEXT_LENGTHS = 2 + TEXT_BYTES_MAX
# Least and greatest length of a frame, as its first four bytes say it: type and payload.
_LENGTHS: Final = {
    HELLO: (19, 1 + 4 + 2 + 8 + 2 * _TEXT_LENGTHS),
    MSG: (9, FRAME_BYTES_MAX),
    PING: (9, 9),
    OFFER: (27, 1 + 4 + 2 + NODE_ID_BYTES + 2 * _TEXT_LENGTHS),
    OUT: (13, FRAME_BYTES_MAX),
    WELCOME: (19, 19),
    ACK: (17, 17),
    ERROR: (5, 1 + 2 + _TEXT_LENGTHS),
    PONG: (9, 9),
    RESUME: (5, 1 + 2 + 2 + 10 * POSITIONS_MAX),
    STORED: (3, 1 + 2 + 10 * POSITIONS_MAX),
}

HEADER_BYTES: Final = 5  # length and type
MSG_OVERHEAD_BYTES: Final = 13  # of a MSG frame, besides its event
EVENT_BYTES_MAX: Final = FRAME_BYTES_MAX - 9

_HEADER = struct.Struct("<IB")
_MSG = struct.Struct("<IBQ")
_HELLO = struct.Struct("<IHQ")
_OFFER = struct.Struct("<IH16s")
_OUT = struct.Struct("<HQH")
_WELCOME = struct.Struct("<HQQ")
_ACK = struct.Struct("<QQ")
_U16 = struct.Struct("<H")
_U64 = struct.Struct("<Q")
_POSITION = struct.Struct("<HQ")

pack_msg_header = _MSG.pack
"""(9 + len(event), MSG, id) -> the first 13 bytes of a MSG frame; the event follows."""


class Malformed(ValueError):
    """Bytes that no peer of this protocol sends."""


class Position(NamedTuple):
    partition: int
    sequence: int


class Hello(NamedTuple):
    version: int
    incarnation: int
    source: str
    token: str


class Msg(NamedTuple):
    id: int
    event: bytes


class Ping(NamedTuple):
    number: int


class Pong(NamedTuple):
    number: int


class Offer(NamedTuple):
    version: int
    node: bytes
    sink: str
    token: str


class Out(NamedTuple):
    partition: int
    sequence: int
    stream: str
    event: bytes


class Welcome(NamedTuple):
    version: int
    durable: int
    allowed: int


class Ack(NamedTuple):
    durable: int
    allowed: int


class Error(NamedTuple):
    code: int
    text: str


class Resume(NamedTuple):
    version: int
    positions: list[Position]


class Stored(NamedTuple):
    positions: list[Position]


Frame = (
    Hello | Msg | Ping | Pong | Offer | Out | Welcome | Ack | Error | Resume | Stored
)

# -- encoding ----------------------------------------------------------------------------


def hello(
    incarnation: int, source: str, token: str = "", version: int = VERSION
) -> bytes:
    head = _HELLO.pack(MAGIC, version, incarnation)
    return _frame(HELLO, head + _text(source) + _text(token))


def msg(id_: int, event: bytes) -> bytes:
    if len(event) > EVENT_BYTES_MAX:
        raise ValueError(
            f"an event has at most {EVENT_BYTES_MAX} bytes, not {len(event)}"
        )
    return _MSG.pack(9 + len(event), MSG, id_) + event


def ping(number: int) -> bytes:
    return _frame(PING, _U64.pack(number))


def pong(number: int) -> bytes:
    return _frame(PONG, _U64.pack(number))


def offer(node: bytes, sink: str, token: str = "", version: int = VERSION) -> bytes:
    if len(node) != NODE_ID_BYTES:
        raise ValueError(f"a node id has {NODE_ID_BYTES} bytes, not {len(node)}")
    head = _OFFER.pack(MAGIC, version, node)
    return _frame(OFFER, head + _text(sink) + _text(token))


def out(partition: int, sequence: int, stream: str, event: bytes) -> bytes:
    head = _POSITION.pack(partition, sequence) + _text(stream)
    return _frame(OUT, head + event)


def welcome(durable: int, allowed: int, version: int = VERSION) -> bytes:
    return _frame(WELCOME, _WELCOME.pack(version, durable, allowed))


def ack(durable: int, allowed: int) -> bytes:
    return _frame(ACK, _ACK.pack(durable, allowed))


def error(code: int, text: str) -> bytes:
    """The text is cut where it does not fit."""
    encoded = text.encode("utf-8", "replace")[:TEXT_BYTES_MAX]
    encoded = encoded.decode("utf-8", "ignore").encode()
    return _frame(ERROR, _U16.pack(code) + _U16.pack(len(encoded)) + encoded)


def resume(positions: Iterable[tuple[int, int]], version: int = VERSION) -> bytes:
    return _frame(RESUME, _U16.pack(version) + _positions(positions))


def stored(positions: Iterable[tuple[int, int]]) -> bytes:
    return _frame(STORED, _positions(positions))


def _frame(type_: int, payload: bytes) -> bytes:
    length = 1 + len(payload)
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame has at most {FRAME_BYTES_MAX} bytes, not {length}")
    return _HEADER.pack(length, type_) + payload


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > TEXT_BYTES_MAX:
        raise ValueError(
            f"a text has at most {TEXT_BYTES_MAX} bytes, not {len(encoded)}"
        )
    return _U16.pack(len(encoded)) + encoded


def _positions(positions: Iterable[tuple[int, int]]) -> bytes:
    packed = [_POSITION.pack(partition, sequence) for partition, sequence in positions]
    if len(packed) > POSITIONS_MAX:
        raise ValueError(f"at most {POSITIONS_MAX} positions, not {len(packed)}")
    return _U16.pack(len(packed)) + b"".join(packed)


# -- decoding ----------------------------------------------------------------------------


class FrameReader:
    """Cuts a stream of bytes into frames of the expected types; belongs to one thread.

    A frame is handed out when it is complete. What is kept is at most one incomplete frame and
    what was fed behind it.
    """

    __slots__ = ("_at", "_buffer", "_expected", "_missing", "_parts")

    def __init__(self, expected: Iterable[int]) -> None:
        self._expected = {type_: _LENGTHS[type_] for type_ in expected}
        self._buffer = b""
        self._at = 0
        self._parts: list[bytes] = []  # what follows the buffer, not worth joining yet
        self._missing = 0

    @property
    def inside_frame(self) -> bool:
        """Whether the bytes so far end in the middle of a frame."""
        return self._at < len(self._buffer) or bool(self._parts)

    def feed(self, data: bytes) -> None:
        if self._at == len(self._buffer):
            self._buffer, self._at = data, 0
            return
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            self._buffer = b"".join([self._buffer[self._at :], *self._parts])
            self._at = 0
            self._parts.clear()

    def next(self) -> tuple[int, bytes] | None:
        """(type, payload); None: feed me. Raises Malformed, and is of no use after that."""
        if self._parts:
            return None
        buffer, at = self._buffer, self._at
        have = len(buffer) - at
        if have < HEADER_BYTES:
            self._missing = HEADER_BYTES - have
            return None
        length, type_ = _HEADER.unpack_from(buffer, at)
        limits = self._expected.get(type_)
        if limits is None:
            raise Malformed(f"a frame of type {type_}, which is not expected here")
        if not limits[0] <= length <= limits[1]:
            raise Malformed(f"a frame of type {type_} and length {length}")
        end = at + 4 + length
        if end > len(buffer):
            self._missing = end - len(buffer)
            return None
        self._at = end
        return type_, buffer[at + HEADER_BYTES : end]


def count_frames(data: bytes | bytearray, start: int, frames: int) -> int:
    """Where so many whole frames end that begin at ``start``."""
    for _ in range(frames):
        (length, _) = _HEADER.unpack_from(data, start)
        start += 4 + length
    return start


def msg_id(data: bytes | bytearray) -> int:
    """The id of the MSG frame at the start of ``data``."""
    id_: int = _MSG.unpack_from(data)[2]
    return id_


def decode_out(payload: bytes) -> tuple[int, int, bytes, bytes]:
    """Partition, sequence, stream (not decoded), event."""
    if len(payload) < 12:
        raise Malformed("an OUT that ends early")
    partition, sequence, length = _OUT.unpack_from(payload)
    if len(payload) < 12 + length:
        raise Malformed("an OUT that ends in its stream")
    if not 0 < sequence <= NUMBER_MAX:
        raise Malformed(f"an OUT of sequence {sequence}")
    return partition, sequence, payload[12 : 12 + length], payload[12 + length :]


def decode(type_: int, payload: bytes) -> Frame:
    """The frame; raises Malformed unless it is there to the last byte."""
    reader = _Fields(payload)
    frame = _decode(type_, reader)
    reader.end()
    return frame


def decode_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("a text that is not UTF-8") from None


def _decode(type_: int, fields: _Fields) -> Frame:
    if type_ == HELLO:
        fields.magic()
        return Hello(fields.u16(), fields.u64(), fields.text(), fields.text())
    if type_ == MSG:
        return Msg(fields.number(), fields.rest())
    if type_ == PING:
        return Ping(fields.u64())
    if type_ == PONG:
        return Pong(fields.u64())
    if type_ == OFFER:
        fields.magic()
        return Offer(
            fields.u16(), fields.take(NODE_ID_BYTES), fields.text(), fields.text()
        )
    if type_ == OUT:
        partition, sequence, stream, event = decode_out(fields.rest())
        return Out(partition, sequence, decode_text(stream), event)
    if type_ == WELCOME:
        return Welcome(fields.u16(), fields.u64(), fields.u64())
    if type_ == ACK:
        return Ack(fields.u64(), fields.u64())
    if type_ == ERROR:
        return Error(fields.u16(), fields.text())
    if type_ == RESUME:
        return Resume(fields.u16(), fields.positions())
    if type_ == STORED:
        return Stored(fields.positions())
    raise Malformed(f"a frame of type {type_}, which is unknown")


class _Fields:
    """Takes a payload apart from its start."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise Malformed("a frame that ends in the middle of a field")
        return self._data[start : self._at]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def number(self) -> int:
        value = self.u64()
        if not 0 < value <= NUMBER_MAX:
            raise Malformed(f"the id {value}, which is none")
        return value

    def magic(self) -> None:
        if int.from_bytes(self.take(4), "little") != MAGIC:
            raise Malformed('the peer does not begin with "BTNG"')

    def text(self) -> str:
        return decode_text(self.take(self.u16()))

    def positions(self) -> list[Position]:
        return [Position(self.u16(), self.u64()) for _ in range(self.u16())]

    def end(self) -> None:
        if self._at != len(self._data):
            raise Malformed("a frame that goes on behind its last field")
