"""The sockets of a Receiver: its thread, and what waits for the consumer."""

from __future__ import annotations

import hmac
import logging
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from bettong import _wire as wire
from bettong._net import (
    RECEIVE_BYTES,
    ConnectionLost,
    Waker,
    join_address,
    parse_address,
    reason,
)
from bettong._store import Place

OFFER_WITHIN_S = 10.0
PARTING_WITHIN_S = 1.0  # after ERROR: a reset could overtake it
ACCEPT_AGAIN_S = 0.2  # when there was no file descriptor for a connection
OUT_BYTES_MAX = 256 << 10  # answers that a node does not read
TAKE_EVENTS = 256  # handed to the consumer at a time

_log = logging.getLogger("bettong.receiver")


class Channel:
    """The outputs of one sink of one node, over all its connections.

    ``accepted`` is the thread's own: the last sequence of each partition that was put into the
    queue. ``stored`` is what the store has; it and ``unsaid`` are guarded by the Inlet's lock.
    """

    __slots__ = ("accepted", "node", "node_hex", "peer", "sink", "stored", "unsaid")

    def __init__(self, node: bytes, sink: str) -> None:
        self.node = node
        self.node_hex = node.hex()
        self.sink = sink
        self.peer: Peer | None = None
        self.accepted: dict[int, int] = {}
        self.stored: dict[int, int] = {}
        self.unsaid: dict[int, int] = {}  # STORED is still to say this


Item = tuple[Channel, int, int, str, bytes]
"""Channel, partition, sequence, stream, event."""


class Peer:
    """One connection of a node."""

    def __init__(self, connection: socket.socket, name: str, now_s: float) -> None:
        self.connection = connection
        self.name = name
        self.reader = wire.FrameReader(
            [wire.OFFER, wire.OUT, wire.ERROR, wire.PING, wire.PONG]
        )
        self.channel: Channel | None = None
        self.out = bytearray()
        self.streams: dict[bytes, str] = {}
        self.ask_at_s = now_s
        self.lost_at_s = now_s + OFFER_WITHIN_S  # 0: not asked
        self.waits = False  # for room in the queue; is not read
        self.parting = False  # has been told ERROR; what it says is not looked at
        self.mask = 0


class Inlet:
    """Listens, and queues what is new; one thread does it all.

    ``lock`` guards the queue, what is counted as held, and what is said back. A consumer takes
    events and gives their room back when it is done with them; while there is none, nothing is read.
    """

    def __init__(
        self,
        listen: str,
        token: str,
        known: Iterable[tuple[Place, int]],
        *,
        buffer_events: int,
        buffer_bytes: int,
        ping_after_s: float,
        pong_within_s: float,
        connections_max: int,
    ) -> None:
        self._token = token.encode()
        self._buffer_events = buffer_events
        self._buffer_bytes = buffer_bytes
        self._ping_after_s = ping_after_s
        self._pong_within_s = pong_within_s
        self._connections_max = connections_max

        self.lock = threading.RLock()  # close() may come from a signal's handler
        self._changed = threading.Condition(self.lock)
        self._queue: deque[Item] = deque()
        self._held_events = 0  # queued, or taken and not given back
        self._held_bytes = 0
        self._starved = False  # a peer waits for room
        self._unsaid: set[Channel] = set()
        self.stopping = False
        self.failure = ""

        self._channels: dict[tuple[bytes, str], Channel] = {}
        for (node, sink, partition), sequence in known:
            channel = self._channel(node, sink)
            channel.accepted[partition] = channel.stored[partition] = sequence

        host, port = parse_address(listen, any_port=True)
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        self._listener = socket.create_server(
            (str(address[0]), port), family=family, backlog=128
        )
        self._listener.setblocking(False)
        bound = self._listener.getsockname()
        self.address = join_address(bound[0], bound[1])
        self._waker = Waker()
        self._peers: dict[int, Peer] = {}
        self._poll = select.poll()
        self._poll.register(self._waker, select.POLLIN)
        self._poll.register(self._listener, select.POLLIN)
        self._accept_at_s = 0.0  # 0: the listener is watched
        self._thread = threading.Thread(
            target=self._run, name=f"bettong-receiver-{self.address}", daemon=True
        )
        self._thread.start()

    # For the consumer.

    def take(self, wait_s: float | None) -> list[Item]:
        """Some of what waits; nothing after so long, or when stopping."""
        deadline_s = None if wait_s is None else time.monotonic() + wait_s
        with self._changed:
            while not self._queue and not self.stopping and not self.failure:
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return []
                self._changed.wait(left_s)
            if self.stopping:
                return []
            queue = self._queue
            return [queue.popleft() for _ in range(min(len(queue), TAKE_EVENTS))]

    def give_back(self, events: int, size_bytes: int) -> None:
        """There is room again for so many."""
        with self.lock:
            self._held_events -= events
            self._held_bytes -= size_bytes
            if self._starved and self._has_room():
                self._starved = False
                self._waker.wake()

    def say_stored(self, positions: Iterable[tuple[Channel, int, int]]) -> None:
        """These are committed: (channel, partition, sequence)."""
        with self.lock:
            for channel, partition, sequence in positions:
                channel.stored[partition] = channel.unsaid[partition] = sequence
                self._unsaid.add(channel)
            self._waker.wake()

    def stop(self) -> None:
        """Ends taking and the thread, which says what is stored, and closes the connections."""
        with self._changed:
            self.stopping = True
            self._changed.notify_all()
        self._waker.wake()

    def join(self) -> None:
        self._thread.join(PARTING_WITHIN_S)

    def abandon(self) -> None:
        """In a forked child: closes its copies of the sockets."""
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self.stopping = True
        self._listener.close()
        self._waker.close()
        for peer in list(self._peers.values()):
            peer.connection.close()

    # The thread.

    def _run(self) -> None:
        try:
            while not self.stopping:
                self._turn()
            self._say_stored()
            for peer in list(self._peers.values()):
                with suppress(ConnectionLost):
                    self._write(peer)
        except BaseException as error:
            with self._changed:
                self.failure = f"a bug in Receiver: {error!r}"
                self._changed.notify_all()
            raise
        finally:
            for peer in list(self._peers.values()):
                peer.connection.close()
            self._listener.close()
            self._waker.close()

    def _turn(self) -> None:
        now_s = time.monotonic()
        ready = self._poll.poll(self._wait_ms(now_s))
        now_s = time.monotonic()
        for fd, what in ready:
            if fd == self._waker.fileno():
                self._waker.drain()
            elif fd == self._listener.fileno():
                self._accept(now_s)
            elif (peer := self._peers.get(fd)) is not None:
                try:
                    self._serve(peer, what, now_s)
                except ConnectionLost as error:
                    self._drop(peer, str(error))
        self._resume()
        self._say_stored()
        self._look_after(now_s)

    def _wait_ms(self, now_s: float) -> float:
        at_s = now_s + 3600
        for peer in self._peers.values():
            at_s = min(at_s, peer.lost_at_s or peer.ask_at_s)
        if self._accept_at_s:
            at_s = min(at_s, self._accept_at_s)
        return max(0.0, at_s - now_s) * 1000 + 1

    def _accept(self, now_s: float) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            _log.warning("%s: accept: %s", self.address, reason(error))
            self._poll.unregister(self._listener)
            self._accept_at_s = now_s + ACCEPT_AGAIN_S
            return
        connection.setblocking(False)
        name = join_address(str(address[0]), address[1])
        if len(self._peers) >= self._connections_max:
            _log.warning("%s: refused %s: too many connections", self.address, name)
            with suppress(OSError):
                connection.send(wire.error(wire.GOING, "too many connections"))
            connection.close()
            return
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(connection, name, now_s)
        peer.mask = select.POLLIN
        self._peers[connection.fileno()] = peer
        self._poll.register(connection, peer.mask)

    def _serve(self, peer: Peer, what: int, now_s: float) -> None:
        if what & select.POLLOUT:
            self._write(peer)
        if peer.waits:
            # It is gone, and what it still had to say the node says again.
            if what & (select.POLLHUP | select.POLLERR):
                raise ConnectionLost("closed")
        elif what & ~select.POLLOUT:
            try:
                data = peer.connection.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                raise ConnectionLost(reason(error)) from None
            if not data:
                raise ConnectionLost("closed")
            if peer.parting:
                return
            if peer.channel is not None:
                peer.ask_at_s, peer.lost_at_s = now_s + self._ping_after_s, 0.0
            peer.reader.feed(data)
            self._read(peer, now_s)

    def _read(self, peer: Peer, now_s: float) -> None:
        try:
            self._take_in(peer, now_s)
        except wire.Malformed as error:
            self._refuse(peer, wire.MALFORMED, str(error), now_s)
        except ConnectionLost as error:
            self._drop(peer, str(error))
            return
        self._watch(peer)

    def _take_in(self, peer: Peer, now_s: float) -> None:
        """Frames, as long as there is room for what they carry."""
        with self.lock:
            # The consumer may give room back meanwhile; nobody else takes any.
            events = self._held_events
            size_bytes = self._held_bytes
        items: list[Item] = []
        reader = peer.reader
        try:
            while True:
                if (
                    events >= self._buffer_events
                    or size_bytes >= self._buffer_bytes
                    or len(peer.out) > OUT_BYTES_MAX
                ):
                    peer.waits = True
                    return
                found = reader.next()
                if found is None:
                    return
                type_, payload = found
                if type_ == wire.OUT:
                    channel = peer.channel
                    if channel is None:
                        raise wire.Malformed("an OUT before OFFER")
                    partition, sequence, name, event = wire.decode_out(payload)
                    stream = peer.streams.get(name)
                    if stream is None:
                        stream = wire.decode_text(name)
                        if len(peer.streams) < 1000:
                            peer.streams[name] = stream
                    if sequence > channel.accepted.get(partition, 0):
                        channel.accepted[partition] = sequence
                        items.append((channel, partition, sequence, stream, event))
                        events += 1
                        size_bytes += len(event)
                else:
                    self._handle(peer, wire.decode(type_, payload), now_s)
                    if peer.parting:
                        return
        finally:
            if items:
                with self._changed:
                    self._queue.extend(items)
                    self._held_events += len(items)
                    self._held_bytes += sum(len(item[4]) for item in items)
                    self._changed.notify()

    def _handle(self, peer: Peer, frame: wire.Frame, now_s: float) -> None:
        if isinstance(frame, wire.Offer):
            if peer.channel is not None:
                raise wire.Malformed("a second OFFER")
            self._offer(peer, frame, now_s)
        elif isinstance(frame, wire.Error):
            name = wire.CODE_NAMES.get(frame.code, str(frame.code))
            raise ConnectionLost(f"the node said {name}: {frame.text}")
        elif peer.channel is None:
            raise wire.Malformed("a frame before OFFER")
        elif isinstance(frame, wire.Ping):
            peer.out += wire.pong(frame.number)

    def _offer(self, peer: Peer, offer: wire.Offer, now_s: float) -> None:
        if offer.version != wire.VERSION:
            text = (
                f"the node speaks version {offer.version}, this client {wire.VERSION}"
            )
            self._refuse(peer, wire.VERSION_DIFFERS, text, now_s)
            return
        if not hmac.compare_digest(offer.token.encode(), self._token):
            self._refuse(peer, wire.DENIED, "wrong token", now_s)
            return
        channel = self._channel(offer.node, offer.sink)
        if channel.peer is not None:
            self._drop(channel.peer, "the node has connected anew")
        channel.peer = peer
        peer.channel = channel
        peer.ask_at_s, peer.lost_at_s = now_s + self._ping_after_s, 0.0
        with self.lock:
            channel.unsaid.clear()
            peer.out += wire.resume(channel.stored.items())

    def _channel(self, node: bytes, sink: str) -> Channel:
        channel = self._channels.get((node, sink))
        if channel is None:
            channel = self._channels[node, sink] = Channel(node, sink)
        return channel

    def _refuse(self, peer: Peer, code: int, text: str, now_s: float) -> None:
        """Says ERROR; then waits for the peer to hang up, for a moment."""
        _log.warning("%s: refused %s: %s", self.address, peer.name, text)
        peer.out += wire.error(code, text)
        peer.parting = True
        peer.waits = False
        peer.lost_at_s = now_s + PARTING_WITHIN_S

    def _resume(self) -> None:
        """Goes on reading where reading stopped for want of room, while there is some."""
        while True:
            waiting = [
                peer
                for peer in self._peers.values()
                if peer.waits and len(peer.out) <= OUT_BYTES_MAX // 2
            ]
            with self.lock:
                room = self._has_room()
                # From here on a consumer that makes room wakes us.
                self._starved = bool(waiting) and not room
            if not waiting or not room:
                return
            now_s = time.monotonic()
            for peer in waiting:
                peer.waits = False
                peer.ask_at_s, peer.lost_at_s = now_s + self._ping_after_s, 0.0
                self._read(peer, now_s)

    def _has_room(self) -> bool:
        """Enough to begin reading again; the lock is held."""
        return (
            self._held_events <= self._buffer_events // 2
            and self._held_bytes <= self._buffer_bytes // 2
        )

    def _say_stored(self) -> None:
        if not self._unsaid:
            return
        with self.lock:
            for channel in self._unsaid:
                if channel.peer is not None and channel.unsaid:
                    channel.peer.out += wire.stored(channel.unsaid.items())
                channel.unsaid.clear()
            channels = list(self._unsaid)
            self._unsaid.clear()
        for channel in channels:
            if channel.peer is not None:
                self._watch(channel.peer)

    def _look_after(self, now_s: float) -> None:
        """Asks the silent, drops the dead, and shows those that are not read that we live."""
        for peer in list(self._peers.values()):
            if peer.lost_at_s:
                if now_s >= peer.lost_at_s:
                    self._drop(peer, "silent for too long")
            elif now_s >= peer.ask_at_s:
                if peer.waits:
                    peer.ask_at_s = now_s + self._ping_after_s
                    if not peer.out:
                        peer.out += wire.stored([])
                else:
                    peer.lost_at_s = now_s + self._pong_within_s
                    peer.out += wire.ping(1)
                self._watch(peer)
        if self._accept_at_s and now_s >= self._accept_at_s:
            self._accept_at_s = 0.0
            self._poll.register(self._listener, select.POLLIN)

    def _watch(self, peer: Peer) -> None:
        """Writes what is to be written, and tells the kernel what to wait for."""
        if peer.connection.fileno() < 0:
            return
        if peer.out:
            try:
                self._write(peer)
            except ConnectionLost as error:
                self._drop(peer, str(error))
                return
        mask = (0 if peer.waits else select.POLLIN) | (
            select.POLLOUT if peer.out else 0
        )
        if mask != peer.mask:
            peer.mask = mask
            self._poll.modify(peer.connection, mask)

    def _write(self, peer: Peer) -> None:
        if peer.out:
            try:
                sent = peer.connection.send(peer.out)
            except BlockingIOError:
                return
            except OSError as error:
                raise ConnectionLost(reason(error)) from None
            del peer.out[:sent]
        if peer.parting and not peer.out:
            with suppress(OSError):
                peer.connection.shutdown(socket.SHUT_WR)

    def _drop(self, peer: Peer, why: str) -> None:
        fd = peer.connection.fileno()
        if fd < 0:
            return
        _log.info("%s: %s left: %s", self.address, peer.name, why)
        self._poll.unregister(fd)
        del self._peers[fd]
        peer.connection.close()
        if peer.channel is not None and peer.channel.peer is peer:
            peer.channel.peer = None
