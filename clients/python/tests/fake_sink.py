"""The node's side of a bettong-stream sink: keeps outputs until they are stored, and sends them again."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

from bettong import _wire as wire
from fake_stream_node import WAIT_S

NODE = bytes(range(16))


class FakeSink:
    """One sink of one node. ``emit`` adds outputs; a thread connects and sends, over and over.

    It checks what a receiver says: RESUME and STORED never go back, and nothing that was not sent
    is said to be stored.
    """

    def __init__(
        self,
        address: str,
        *,
        node: bytes = NODE,
        sink: str = "alerts",
        token: str = "",
        version: int = wire.VERSION,
        cut_after_read: int = 0,
        cut_after_write: int = 0,
        repeats: float = 0.0,
        seed: int = 0,
    ) -> None:
        host, port = address.rsplit(":", 1)
        self.at = (host, int(port))
        self.offer = wire.offer(node, sink, token, version)
        self.changed = threading.Condition()
        self.rng = random.Random(seed)
        self.cut_after_read, self.cut_after_write = cut_after_read, cut_after_write
        self.repeats = repeats  # chance of sending an output twice
        self.outputs: dict[int, list[tuple[int, str, bytes]]] = {}
        self.stored: dict[int, int] = {}
        self.highest_sent: dict[int, int] = {}
        self.resumes: list[dict[int, int]] = []
        self.errors: list[wire.Error] = []
        self.empty_stored = 0
        self.pongs: list[int] = []
        self.pings = 0
        self.answering = True
        self.violations: list[str] = []
        self.connections = 0
        self.stopping = False
        self.connection: socket.socket | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def emit(
        self, partition: int, sequence: int, event: bytes, stream: str = "alerts"
    ) -> None:
        with self.changed:
            self.outputs.setdefault(partition, []).append((sequence, stream, event))
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(until, WAIT_S), "the fake sink waited in vain"

    def all_stored(self) -> bool:
        return all(
            self.stored.get(partition, 0) == outputs[-1][0]
            for partition, outputs in self.outputs.items()
        )

    def cut(self) -> None:
        with self.changed:
            if self.connection is not None:
                with contextlib.suppress(OSError):
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    self.connection.shutdown(socket.SHUT_RDWR)

    def say(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def close(self) -> None:
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self.cut()
        self.thread.join(WAIT_S)
        assert self.violations == []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self.stopping:
            try:
                connection = socket.create_connection(self.at, 5)
            except OSError:
                with self.changed:
                    self.changed.wait(0.01)
                continue
            connection.settimeout(None)
            with self.changed:
                self.connection = connection
                self.connections += 1
                self.changed.notify_all()
            with connection, contextlib.suppress(OSError, EOFError):
                self._converse(connection)
            with self.changed:
                self.connection = None
                self.changed.notify_all()

    def _converse(self, connection: socket.socket) -> None:
        reader = wire.FrameReader(
            [wire.RESUME, wire.STORED, wire.ERROR, wire.PING, wire.PONG]
        )
        resumed = threading.Event()
        ended = threading.Event()
        sent: dict[int, int] = {}
        read_left = (
            self.rng.randrange(self.cut_after_read) if self.cut_after_read else None
        )
        write_left = (
            self.rng.randrange(self.cut_after_write) if self.cut_after_write else None
        )
        writing = threading.Lock()

        def read() -> None:
            nonlocal read_left
            try:
                while data := connection.recv(
                    65536 if read_left is None else max(1, min(read_left, 64))
                ):
                    if read_left is not None:
                        read_left -= len(data)
                        if read_left <= 0:
                            break
                    reader.feed(data)
                    while (found := reader.next()) is not None:
                        frame = wire.decode(*found)
                        with self.changed:
                            self._handle(frame, sent, resumed)
                            self.changed.notify_all()
                        if isinstance(frame, wire.Ping) and self.answering:
                            with writing:
                                connection.sendall(wire.pong(frame.number))
            except (OSError, wire.Malformed):
                pass
            finally:
                ended.set()
                resumed.set()
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                with self.changed:
                    self.changed.notify_all()

        listener = threading.Thread(target=read, daemon=True)
        listener.start()
        try:
            connection.sendall(self.offer)
            resumed.wait(WAIT_S)
            while not ended.is_set() and not self.stopping:
                with self.changed:
                    frames = self._next(sent)
                    if not frames:
                        self.changed.wait(WAIT_S)
                        continue
                if write_left is not None and len(frames) > write_left:
                    connection.sendall(frames[:write_left])
                    return
                if write_left is not None:
                    write_left -= len(frames)
                with writing:
                    connection.sendall(frames)
        finally:
            if self.rng.random() < 0.5:
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            listener.join(WAIT_S)

    def _next(self, sent: dict[int, int]) -> bytes:
        """Some OUTs of a random partition."""
        partitions = [
            partition
            for partition, outputs in self.outputs.items()
            if outputs[-1][0] > sent.get(partition, 0)
        ]
        if not partitions:
            return b""
        partition = self.rng.choice(partitions)
        frames = []
        after = sent.get(partition, 0)
        for sequence, stream, event in self.outputs[partition]:
            if sequence > after or self.rng.random() < self.repeats:
                frames.append(wire.out(partition, sequence, stream, event))
                sent[partition] = max(sent.get(partition, 0), sequence)
                if len(frames) >= 20:
                    break
        self.highest_sent[partition] = max(
            self.highest_sent.get(partition, 0), sent[partition]
        )
        return b"".join(frames)

    def _handle(
        self, frame: wire.Frame, sent: dict[int, int], resumed: threading.Event
    ) -> None:
        if isinstance(frame, wire.Resume):
            positions = dict(frame.positions)
            for partition, sequence in self.stored.items():
                if positions.get(partition, 0) < sequence:
                    self.violations.append(f"RESUME {positions} behind {self.stored}")
            self._store(frame.positions)
            self.resumes.append(positions)
            sent.update(positions)
            resumed.set()
        elif isinstance(frame, wire.Stored):
            if not resumed.is_set():
                self.violations.append("STORED before RESUME")
            self.empty_stored += not frame.positions
            self._store(frame.positions)
        elif isinstance(frame, wire.Error):
            self.errors.append(frame)
        elif isinstance(frame, wire.Ping):
            self.pings += 1
        elif isinstance(frame, wire.Pong):
            self.pongs.append(frame.number)

    def _store(self, positions: list[wire.Position]) -> None:
        for partition, sequence in positions:
            if sequence > self.highest_sent.get(partition, 0):
                self.violations.append(f"{sequence} of {partition} was never sent")
            if sequence < self.stored.get(partition, 0):
                self.violations.append(f"STORED {sequence} of {partition} goes back")
            self.stored[partition] = sequence
