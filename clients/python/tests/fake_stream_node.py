"""The node's side of bettong-stream, with a memory that survives its crashes, and faults to order.

The oracle of the Sender's tests: it checks what arrives, and keeps it as a node would.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from bettong import _wire as wire

WAIT_S = 30.0  # for anything that must happen
FOREVER = (1 << 64) - 1


@dataclass
class Source:
    """What a node holds of a source."""

    incarnation: int = 0
    applied: list[tuple[int, bytes]] = field(default_factory=list)
    durable_count: int = 0  # of applied; the rest is lost in a crash
    forgotten: int = 0  # ids up to this were done before the log begins

    @property
    def applied_id(self) -> int:
        return self.applied[-1][0] if self.applied else self.forgotten

    @property
    def durable_id(self) -> int:
        count = self.durable_count
        return self.applied[count - 1][0] if count else self.forgotten


@dataclass
class Faults:
    """Random ones, drawn anew for each connection. Sizes are upper limits, 0: never."""

    cut_after_read: int = 0  # bytes
    cut_after_write: int = 0  # bytes, in the middle of a frame too
    crash: float = 0.0  # chance that a cut takes the whole node down
    late_ack: float = 0.0  # chance that a batch is acknowledged later, if at all
    error_going: float = 0.0  # chance that HELLO is answered so
    window: int = 0  # at most so many MSGs more are allowed with each ACK


class Cut(Exception):
    pass


class FakeNode:
    def __init__(
        self,
        *,
        faults: Faults | None = None,
        seed: int = 0,
        version: int = wire.VERSION,
    ) -> None:
        self.rng = random.Random(seed)
        self.faults = faults or Faults()
        self.version = version
        self.changed = threading.Condition()
        self.sources: dict[str, Source] = {}
        self.violations: list[str] = []
        self.connections: list[Connection] = []
        self.hellos: list[wire.Hello] = []
        self.cuts = 0
        # Orders.
        self.acking = True
        self.answering = True  # HELLO and PING
        self.window: int | None = None  # MSGs allowed beyond those received
        self.allowed_first: int | None = None  # in WELCOME
        self.refusal: tuple[int, str] | None = None  # instead of WELCOME
        self.on_msg: Callable[[int], None] | None = None
        self.stopping = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def source(self, name: str = "s") -> Source:
        return self.sources.setdefault(name, Source())

    def events(self, name: str = "s") -> list[bytes]:
        """The durable ones."""
        source = self.source(name)
        return [event for _, event in source.applied[: source.durable_count]]

    def wait(self, until: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(until, WAIT_S), "the fake node waited in vain"

    def live(self) -> list[Connection]:
        return [c for c in self.connections if not c.closed]

    def cut(self) -> None:
        """Breaks every connection."""
        with self.changed:
            for connection in self.live():
                connection.close(reset=True)

    def crash(self) -> None:
        """Loses what is not durable, and every connection."""
        with self.changed:
            for source in self.sources.values():
                del source.applied[source.durable_count :]
            for connection in self.live():
                connection.close(reset=True)

    def acknowledge(self) -> None:
        """Makes all durable and says so, from now on always."""
        with self.changed:
            self.acking = True
            for connection in self.live():
                connection.acknowledge()

    def say(self, frame: bytes) -> None:
        with self.changed:
            for connection in self.live():
                connection.write(frame)

    def close(self) -> None:
        self.stopping = True
        self.listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        assert self.violations == []

    def _accept(self) -> None:
        while not self.stopping:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                it = Connection(self, connection)
                self.connections.append(it)
                self.changed.notify_all()
            threading.Thread(target=it.run, daemon=True).start()


class Connection:
    def __init__(self, node: FakeNode, connection: socket.socket) -> None:
        self.node = node
        self.socket = connection
        self.source: Source | None = None
        self.incarnation = 0
        self.closed = False
        self.received = 0
        self.allowed = 0
        self.last_id = 0
        self.reader = wire.FrameReader(
            [wire.HELLO, wire.MSG, wire.PING, wire.PONG, wire.ERROR]
        )
        rng, faults = node.rng, node.faults
        self.read_left = (
            rng.randrange(faults.cut_after_read) if faults.cut_after_read else None
        )
        self.write_left = (
            rng.randrange(faults.cut_after_write) if faults.cut_after_write else None
        )

    def run(self) -> None:
        try:
            while data := self.socket.recv(65536):
                with self.node.changed:
                    if self.closed:
                        return
                    self._take(data)
                    self.node.changed.notify_all()
        except (Cut, OSError):
            pass
        finally:
            with self.node.changed:
                if not self.closed:
                    self.close()
                self.node.changed.notify_all()

    def close(self, *, reset: bool = False) -> None:
        self.closed = True
        with suppress(OSError):
            if reset:
                self.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            else:
                self.socket.shutdown(socket.SHUT_RDWR)
        if reset:
            # Without shutdown another thread's recv would go on, and hold the socket open.
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RD)
        self.socket.close()
        self.node.changed.notify_all()

    def _break(self) -> None:
        self.node.cuts += 1
        if self.node.rng.random() < self.node.faults.crash:
            self.node.crash()
        if not self.closed:
            self.close(reset=self.node.rng.random() < 0.5)
        raise Cut

    def write(self, data: bytes) -> None:
        if self.write_left is not None and len(data) > self.write_left:
            with suppress(OSError):
                self.socket.sendall(data[: self.write_left])
            self._break()
        if self.write_left is not None:
            self.write_left -= len(data)
        try:
            self.socket.sendall(data)
        except OSError:
            raise Cut from None

    def _take(self, data: bytes) -> None:
        last = False
        if self.read_left is not None:
            last = len(data) > self.read_left
            data = data[: self.read_left]
            self.read_left -= len(data)
        received = self.received
        self.reader.feed(data)
        while (found := self.reader.next()) is not None:
            self._handle(wire.decode(*found))
        if last:
            self._break()
        if self.node.acking and self.received > received:
            self.acknowledge()

    def _handle(self, frame: wire.Frame) -> None:
        node = self.node
        if isinstance(frame, wire.Hello):
            self._hello(frame)
        elif isinstance(frame, wire.Msg):
            self._msg(frame)
        elif isinstance(frame, wire.Ping):
            if node.answering:
                self.write(wire.pong(frame.number))
        elif isinstance(frame, wire.Error):
            node.violations.append(f"the sender said {frame}")

    def _hello(self, hello: wire.Hello) -> None:
        node = self.node
        node.hellos.append(hello)
        if not node.answering:
            return
        if node.refusal is not None:
            self.write(wire.error(*node.refusal))
            raise Cut
        if node.rng.random() < node.faults.error_going:
            self.write(wire.error(wire.GOING, "shutting down"))
            raise Cut
        source = node.source(hello.source)
        if hello.incarnation < source.incarnation:
            self.write(wire.error(wire.FENCED, "there is a newer one"))
            raise Cut
        source.incarnation = hello.incarnation
        for other in node.live():
            if other is not self and other.source is source:
                if other.incarnation < hello.incarnation:
                    with suppress(Cut):
                        other.write(wire.error(wire.FENCED, "a newer one came"))
                with suppress(Cut):
                    if not other.closed:
                        other.close()
        self.source, self.incarnation = source, hello.incarnation
        source.durable_count = len(source.applied)
        self.last_id = source.durable_id
        first = node.allowed_first
        self.allowed = self._window() if first is None else first
        self.write(wire.welcome(source.durable_id, self.allowed, node.version))

    def _window(self) -> int:
        if self.node.window is not None:
            return self.received + self.node.window
        if self.node.faults.window:
            return self.received + self.node.rng.randrange(1, self.node.faults.window)
        return FOREVER

    def _msg(self, msg: wire.Msg) -> None:
        source, node = self.source, self.node
        if source is None:
            node.violations.append("a MSG before HELLO was answered")
            return
        self.received += 1
        if self.received > self.allowed:
            node.violations.append(f"{self.received} MSGs, {self.allowed} are allowed")
        if msg.id <= self.last_id:
            node.violations.append(f"id {msg.id} behind {self.last_id}")
        self.last_id = msg.id
        if msg.id > source.applied_id + 1:
            node.violations.append(f"id {msg.id} behind {source.applied_id}: a gap")
        if msg.id > source.applied_id:
            source.applied.append((msg.id, msg.event))
        if node.on_msg is not None:
            node.on_msg(msg.id)

    def acknowledge(self) -> None:
        assert self.source is not None
        rng = self.node.rng
        if rng.random() < self.node.faults.late_ack:
            threading.Timer(rng.random() * 0.005, self._acknowledge_late).start()
            return
        self._acknowledge(self.source)

    def _acknowledge_late(self) -> None:
        with self.node.changed, suppress(Cut):
            if not self.closed and self.source is not None:
                self._acknowledge(self.source)

    def _acknowledge(self, source: Source) -> None:
        source.durable_count = len(source.applied)
        self.allowed = max(self.allowed, self._window())
        self.write(wire.ack(source.durable_id, self.allowed))
