"""The bytes of docs/stream-protocol.md, and what is made of bytes that are not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bettong import _wire as wire

NODE = bytes(range(16))

# Frame, type, its bytes. The same as in docs/stream-protocol.md, to be compared with eyes.
GOLDEN: list[tuple[wire.Frame, int, bytes, str]] = [
    (
        wire.Hello(1, 0x0102030405060708, "collector-7", "s3"),
        wire.HELLO,
        wire.hello(0x0102030405060708, "collector-7", "s3"),
        "20000000 01 42544e47 0100 0807060504030201 0b00 636f6c6c6563746f722d37 0200 7333",
    ),
    (
        wire.Msg(258, b"{}"),
        wire.MSG,
        wire.msg(258, b"{}"),
        "0b000000 02 0201000000000000 7b7d",
    ),
    (wire.Ping(7), wire.PING, wire.ping(7), "09000000 03 0700000000000000"),
    (wire.Pong(7), wire.PONG, wire.pong(7), "09000000 84 0700000000000000"),
    (
        wire.Offer(1, NODE, "alerts", ""),
        wire.OFFER,
        wire.offer(NODE, "alerts"),
        "21000000 10 42544e47 0100 000102030405060708090a0b0c0d0e0f 0600 616c65727473 0000",
    ),
    (
        wire.Out(3, 9, "alerts", b"{}"),
        wire.OUT,
        wire.out(3, 9, "alerts", b"{}"),
        "15000000 11 0300 0900000000000000 0600 616c65727473 7b7d",
    ),
    (
        wire.Welcome(1, 257, 16384),
        wire.WELCOME,
        wire.welcome(257, 16384),
        "13000000 81 0100 0101000000000000 0040000000000000",
    ),
    (
        wire.Ack(258, 16385),
        wire.ACK,
        wire.ack(258, 16385),
        "11000000 82 0201000000000000 0140000000000000",
    ),
    (
        wire.Error(6, "going"),
        wire.ERROR,
        wire.error(6, "going"),
        "0a000000 83 0600 0500 676f696e67",
    ),
    (
        wire.Resume(1, [wire.Position(3, 9), wire.Position(5, 2)]),
        wire.RESUME,
        wire.resume([(3, 9), (5, 2)]),
        "19000000 90 0100 0200 0300 0900000000000000 0500 0200000000000000",
    ),
    (
        wire.Stored([wire.Position(3, 9)]),
        wire.STORED,
        wire.stored([(3, 9)]),
        "0d000000 91 0100 0300 0900000000000000",
    ),
]
ALL_TYPES = [type_ for _, type_, _, _ in GOLDEN]


def read_all(reader: wire.FrameReader) -> list[tuple[int, bytes]]:
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("frame", "type_", "encoded", "golden"),
    GOLDEN,
    ids=[type(g[0]).__name__ for g in GOLDEN],
)
def test_golden_bytes(
    frame: wire.Frame, type_: int, encoded: bytes, golden: str
) -> None:
    assert encoded.hex() == golden.replace(" ", "")
    reader = wire.FrameReader([type_])
    reader.feed(encoded)
    found = reader.next()
    assert found is not None
    assert found[0] == type_
    assert wire.decode(*found) == frame
    assert reader.next() is None
    assert not reader.inside_frame


@pytest.mark.parametrize("seed", range(20))
def test_frames_are_the_same_however_the_bytes_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    frames = [rng.choice(GOLDEN) for _ in range(100)]
    frames.append(
        (wire.Msg(1, bytes(300_000)), wire.MSG, wire.msg(1, bytes(300_000)), "")
    )
    rng.shuffle(frames)
    data = b"".join(encoded for _, _, encoded, _ in frames)
    reader = wire.FrameReader(ALL_TYPES)
    found = []
    at = 0
    while at < len(data):
        size = rng.choice([1, 2, 3, 5, 40, 1000, 70_000])
        reader.feed(data[at : at + size])
        at += size
        found += read_all(reader)
    assert [wire.decode(*frame) for frame in found] == [
        frame for frame, _, _, _ in frames
    ]
    assert not reader.inside_frame


@pytest.mark.parametrize("seed", range(200))
def test_random_bytes_are_malformed_or_wait_for_more(seed: int) -> None:
    rng = random.Random(seed)
    reader = wire.FrameReader(ALL_TYPES)
    for _ in range(20):
        if rng.random() < 0.7:  # a plausible start gets further
            length = rng.choice([1, 5, 9, 17, 19, 27, 33])
            head = length.to_bytes(4, "little") + bytes([rng.choice(ALL_TYPES)])
            reader.feed(head + rng.randbytes(length - 1))
        else:
            reader.feed(rng.randbytes(rng.randrange(1, 64)))
        try:
            while (found := reader.next()) is not None:
                try:
                    frame = wire.decode(*found)
                except wire.Malformed:
                    continue
                assert isinstance(frame, tuple)
        except wire.Malformed:
            return


@pytest.mark.parametrize("golden", GOLDEN, ids=[type(g[0]).__name__ for g in GOLDEN])
def test_a_frame_cut_short_or_too_long_is_malformed(
    golden: tuple[wire.Frame, int, bytes, str],
) -> None:
    frame, type_, encoded, _ = golden
    payload = encoded[5:]
    for size in range(len(payload)):
        try:
            shorter = wire.decode(type_, payload[:size])
        except wire.Malformed:
            continue
        # What goes on to the frame's end may end anywhere.
        assert type_ in (wire.MSG, wire.OUT)
        assert shorter[:-1] == frame[:-1]
    if type_ not in (wire.MSG, wire.OUT):
        with pytest.raises(wire.Malformed):
            wire.decode(type_, payload + b"\0")


@pytest.mark.parametrize(
    ("type_", "length", "fits"),
    [
        (wire.MSG, 8, False),
        (wire.MSG, 9, True),
        (wire.MSG, 16 << 20, True),
        (wire.MSG, (16 << 20) + 1, False),
        (wire.OUT, 16 << 20, True),
        (wire.OUT, (16 << 20) + 1, False),
        (wire.PING, 8, False),
        (wire.PING, 10, False),
        (wire.ERROR, 1 + 2 + 2 + 65535, True),
        (wire.ERROR, 1 + 2 + 2 + 65536, False),
        (wire.HELLO, 0, False),
        (4, 1, False),
        (0xFF, 9, False),
    ],
)
def test_the_first_five_bytes_tell_what_is_too_long(
    type_: int, length: int, fits: bool
) -> None:
    reader = wire.FrameReader(ALL_TYPES)
    reader.feed(length.to_bytes(4, "little") + bytes([type_]))
    if fits:
        assert reader.next() is None
    else:
        with pytest.raises(wire.Malformed):
            reader.next()


def test_a_type_for_another_role_is_malformed() -> None:
    reader = wire.FrameReader([wire.ACK])
    reader.feed(wire.stored([]))
    with pytest.raises(wire.Malformed):
        reader.next()


def test_the_largest_event_fits_and_one_byte_more_does_not() -> None:
    largest = bytes(wire.EVENT_BYTES_MAX)
    reader = wire.FrameReader([wire.MSG])
    reader.feed(wire.msg(1, largest))
    found = reader.next()
    assert found is not None
    assert wire.decode(*found) == wire.Msg(1, largest)
    with pytest.raises(ValueError, match="at most"):
        wire.msg(1, largest + b"\0")
    with pytest.raises(ValueError, match="at most"):
        wire.out(0, 1, "", bytes(wire.FRAME_BYTES_MAX - 12))


def test_texts_have_their_limit() -> None:
    assert wire.decode(wire.HELLO, wire.hello(1, "x" * 65535)[5:]) == wire.Hello(
        1, 1, "x" * 65535, ""
    )
    with pytest.raises(ValueError, match="at most"):
        wire.hello(1, "x" * 65536)


def test_a_long_error_is_cut_between_characters() -> None:
    frame = wire.decode(wire.ERROR, wire.error(7, "a" + "é" * 40_000)[5:])
    assert frame == wire.Error(7, "a" + "é" * 32_767)


@pytest.mark.parametrize("number", [0, 1 << 63, (1 << 64) - 1])
def test_numbers_that_are_none(number: int) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(wire.MSG, wire.msg(number, b"")[5:])
    with pytest.raises(wire.Malformed):
        wire.decode(wire.OUT, wire.out(0, number, "", b"")[5:])


def test_text_that_is_not_utf8_is_malformed() -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(wire.ERROR, b"\x07\x00\x01\x00\xff")


def test_counting_frames_finds_where_they_end() -> None:
    data = wire.msg(1, b"abc") + wire.msg(2, b"") + wire.msg(3, b"xy")
    assert wire.count_frames(data, 0, 0) == 0
    assert wire.count_frames(data, 0, 2) == len(wire.msg(1, b"abc") + wire.msg(2, b""))
    assert wire.count_frames(data, 16, 2) == len(data)


def test_the_examples_in_the_specification_are_these() -> None:
    text = (Path(__file__).parents[3] / "docs" / "stream-protocol.md").read_text()
    for _, _, _, golden in GOLDEN:
        assert f"`{golden}`" in text
