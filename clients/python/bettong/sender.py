"""Events into a node, each processed exactly once: docs/stream-protocol.md, "Sending"."""

from __future__ import annotations

import errno
import logging
import os
import random
import select
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

from bettong import _wire as wire
from bettong._backlog import Backlog
from bettong._json import encode_event
from bettong._net import (
    ConnectionLost,
    Waker,
    join_address,
    parse_address,
    reason,
)
from bettong.durations import Duration, to_ms
from bettong.errors import (
    BufferFull,
    NotDurable,
    ProtocolViolation,
    SenderDenied,
    SenderFenced,
    SenderRefused,
    StreamClosed,
    StreamError,
    VersionMismatch,
)
from bettong.event import Event

CONNECT_WITHIN_S = 5.0  # each of a name's addresses
RECONNECT_FIRST_S = 0.05
SEND_BYTES = 1 << 20  # on their way to the kernel at a time, about
SEND_VIEWS_MAX = 64  # in one system call
RECEIVE_BYTES = 4096  # of ACKs, 21 each
PARTING_WITHIN_S = 1.0  # for an exception that leaves `with`, and for the thread to end

_log = logging.getLogger("bettong.sender")

_FATAL: dict[int, type[StreamError]] = {
    wire.VERSION_DIFFERS: VersionMismatch,
    wire.MALFORMED: ProtocolViolation,
    wire.FENCED: SenderFenced,
    wire.ORDER: ProtocolViolation,
    wire.DENIED: SenderDenied,
    wire.REFUSED: SenderRefused,
}


class _Stop(Exception):
    """The Sender was closed."""


class Sender:
    """Sends events to a node's source of kind ``bettong-stream``; each is processed exactly once.

        with bettong.Sender("127.0.0.1:9001", source="collector-7") as sender:
            sender.send({"host": "web-01", "value": 93.5})

    An event is kept until the node has acknowledged that all its consequences are durable, and is
    sent again after a broken connection. What this process has not got acknowledged when it dies is
    lost with it, unless it can make the same events again: ``durable`` and the ids returned by
    ``send`` tell from where (ids go on above what the node has processed, without gaps).

    One thread of its own connects and reconnects, sends and receives. All methods may be called
    from any thread. In a child made by ``os.fork`` a Sender raises StreamClosed (the parent's goes
    on): make a new one there, with another source.

    address            "HOST:PORT" of the source
    source             names this sender for ever; one process at a time sends as it
    token              what the node's configuration asks for
    incarnation        rises with each start of the process; default: the clock in ns. The same
                       source with a lower one is fenced.
    buffer_events      how many events may be unacknowledged, and
    buffer_bytes       how many bytes they may have, with 13 for each event's frame
    when_full          "block": ``send`` waits, up to ``timeout`` seconds (None: for ever), then
                       raises BufferFull; "raise": at once
    ping_after         after this long (seconds or timedelta) without a word from the node it is asked
    pong_within        and given up after this much longer: the connection is made anew
    reconnect_max      the longest pause between attempts to connect; they start at 50 ms
    """

    def __init__(
        self,
        address: str,
        source: str,
        *,
        token: str = "",
        incarnation: int | None = None,
        buffer_events: int = 100_000,
        buffer_bytes: int = 64 << 20,
        when_full: Literal["block", "raise"] = "block",
        timeout: float | None = None,
        ping_after: Duration = 5,
        pong_within: Duration = 10,
        reconnect_max: Duration = 5,
    ) -> None:
        self._host, self._port = parse_address(address)
        if not source:
            raise ValueError("a source has a name")
        if buffer_events < 1:
            raise ValueError(f"buffer_events must be at least 1, not {buffer_events}")
        if buffer_bytes <= wire.MSG_OVERHEAD_BYTES:
            raise ValueError(f"buffer_bytes holds no event: {buffer_bytes}")
        if when_full not in ("block", "raise"):
            raise ValueError(f'when_full is "block" or "raise", not {when_full!r}')
        self._incarnation = time.time_ns() if incarnation is None else incarnation
        self._hello = wire.hello(self._incarnation, source, token)
        self._buffer_events = buffer_events
        self._buffer_bytes = buffer_bytes
        self._event_bytes_max = min(
            buffer_bytes - wire.MSG_OVERHEAD_BYTES, wire.EVENT_BYTES_MAX
        )
        self._timeout = 0.0 if when_full == "raise" else timeout
        self._ping_after_s = to_ms(ping_after, "ping_after") / 1000
        self._pong_within_s = to_ms(pong_within, "pong_within") / 1000
        self._reconnect_max_s = to_ms(reconnect_max, "reconnect_max") / 1000

        # All that follows is guarded by the lock; _changed: room, durable, welcomed, or the end.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._backlog = Backlog()
        self._welcomed = False  # ever: ids are known
        self._accepting = False  # welcomed, not closed, not failed
        self._connected = False
        self._closed = False
        self._stopping = False
        self._failure: tuple[type[StreamError], str] | None = None
        self._trouble = "not connected yet"
        self._thread_sleeps = False  # and has to be woken for new events

        self._waker = Waker()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"bettong-sender-{source}", daemon=True
        )
        _living.add(self)
        self._thread.start()

    # What it is asked.

    @property
    def durable(self) -> int:
        """Every event up to this id has been processed, durably. It only grows. 0: none."""
        return self._backlog.durable

    @property
    def pending(self) -> int:
        """How many events have been taken and are not acknowledged yet."""
        with self._lock:
            return self._backlog.pending

    @property
    def connected(self) -> bool:
        """Whether there is a connection on which the node has answered."""
        return self._connected

    @property
    def trouble(self) -> str:
        """Why there is no connection, in words; empty while there is one."""
        return self._trouble

    @property
    def incarnation(self) -> int:
        return self._incarnation

    # What it is told.

    def connect(self, timeout: float | None = None) -> bool:
        """Waits until the node has answered for the first time; False after ``timeout`` seconds.

        Not needed, as ``send`` waits too. Raises what is fatal (see ``send``).
        """
        with self._lock:
            self._wait(lambda: self._welcomed, timeout)
            return self._welcomed

    def send(
        self,
        event: dict[str, Any] | Event | bytes | str,
        timeout: float | None = None,
    ) -> int:
        """Takes an event and returns its id; it is sent soon, and kept until acknowledged.

        A dict or Event becomes compact JSON, bytes and str are sent as they are. The id is final.
        As ids go on from what the node has processed, the first calls wait for the node's first
        answer, like for room in the buffer: up to ``timeout`` seconds, if given here or to the
        constructor.

        Raises BufferFull; TypeError or ValueError for what is no event, is not JSON (NaN) or does not
        fit buffer_bytes or a frame (16 MiB); StreamClosed; and SenderRefused or a subclass once the
        node has refused this sender for good. Then the event was not taken.
        """
        data = event if type(event) is bytes else encode_event(event)
        size = len(data)
        if size > self._event_bytes_max:
            raise ValueError(
                f"an event has at most {self._event_bytes_max} bytes here, not {size}"
            )
        backlog = self._backlog
        with self._lock:
            if (
                not self._accepting
                or backlog.last_id - backlog.durable >= self._buffer_events
                or backlog.size_bytes + size
                > self._buffer_bytes - wire.MSG_OVERHEAD_BYTES
            ):
                self._wait_for_room(size, timeout)
            id_ = backlog.append(data)
            if self._thread_sleeps:
                self._waker.wake()
                self._thread_sleeps = False
        return id_

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all that was sent before is durable; False after ``timeout`` seconds.

        Raises what is fatal (see ``send``) if events are left that can never become durable.
        """
        with self._lock:
            last = self._backlog.last_id
            self._wait(lambda: self._backlog.durable >= last, timeout, closed=True)
            return self._backlog.durable >= last

    def close(self, timeout: float | None = 30.0) -> bool:
        """Takes no more events, flushes for up to ``timeout`` seconds, and disconnects.

        False: events above ``durable`` are lost, or have been received but not acknowledged. Raises
        what ``flush`` raises. Closing again does nothing more.
        """
        with self._lock:
            self._closed = True
            self._accepting = False
            self._changed.notify_all()
        try:
            return self.flush(timeout)
        finally:
            with self._lock:
                self._stopping = True
                self._changed.notify_all()
            self._waker.wake()
            # It ends at once, unless it looks up a name just now.
            if self._thread is not threading.current_thread():
                self._thread.join(PARTING_WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes. Raises NotDurable if that left events behind; an exception on its way stays."""
        if kind is not None:
            with suppress(StreamError):
                self.close(PARTING_WITHIN_S)
        elif not self.close():
            raise NotDurable(
                f"{self.pending} events are not acknowledged"
                + (f": {self._trouble}" if self._trouble else "")
            )

    # Waiting; the lock is held.

    def _wait(
        self,
        done: Callable[[], bool],
        timeout: float | None,
        *,
        closed: bool = False,  # goes on while close() flushes
    ) -> None:
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while not done():
            if self._failure is not None:
                kind, text = self._failure
                raise kind(text)
            if self._stopping if closed else self._closed:
                if closed:
                    return
                raise StreamClosed("the Sender is closed")
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            self._changed.wait(left_s)

    def _wait_for_room(self, size: int, timeout: float | None) -> None:
        size += wire.MSG_OVERHEAD_BYTES
        backlog = self._backlog

        def room() -> bool:
            return (
                self._accepting
                and backlog.pending < self._buffer_events
                and backlog.size_bytes + size <= self._buffer_bytes
            )

        self._wait(room, self._timeout if timeout is None else timeout)
        if room():
            return
        if not self._welcomed:
            raise BufferFull(f"the node has not answered yet: {self._trouble}")
        raise BufferFull(
            f"{backlog.pending} events ({backlog.size_bytes} bytes) are not acknowledged"
            + (f": {self._trouble}" if self._trouble else "")
        )

    # The thread.

    def _run(self) -> None:
        pause_s = first_s = min(RECONNECT_FIRST_S, self._reconnect_max_s)
        told = ""
        try:
            while True:
                durable = self._backlog.durable
                try:
                    self._converse()
                except ConnectionLost as error:
                    trouble = str(error)
                except OSError as error:
                    trouble = reason(error)
                with self._lock:
                    if self._connected:
                        told = ""
                    self._connected = False
                    self._trouble = trouble
                if trouble != told:
                    _log.warning("%s: %s; trying again", self._name(), trouble)
                    told = trouble
                if self._backlog.durable > durable:
                    pause_s = first_s
                # Not all at once, should many have been cut off at the same moment.
                self._pause(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, self._reconnect_max_s)
        except _Stop:
            pass
        except StreamError as error:
            self._fail(type(error), str(error))
        except BaseException as error:
            self._fail(StreamError, f"a bug in Sender: {error!r}")
            raise
        finally:
            self._connected = False
            self._waker.close()

    def _fail(self, kind: type[StreamError], text: str) -> None:
        with self._lock:
            self._failure = (kind, text)
            self._accepting = False
            self._trouble = text
            self._changed.notify_all()

    def _pause(self, pause_s: float) -> None:
        """Waits; only close() ends it early."""
        until_s = time.monotonic() + pause_s
        poll = select.poll()
        poll.register(self._waker, select.POLLIN)
        while not self._stopping and (left_s := until_s - time.monotonic()) > 0:
            if poll.poll(left_s * 1000):
                self._waker.drain()
        if self._stopping:
            raise _Stop

    def _converse(self) -> NoReturn:
        """One connection, from its beginning to its end."""
        self._socket = connection = self._connect()
        try:
            _Conversation(self, connection).run()
        finally:
            self._socket = None
            connection.close()

    def _connect(self) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
            try:
                connection = socket.socket(family, kind, protocol)
            except OSError as error:
                failure = error
                continue
            try:
                self._connect_to(connection, address)
            except OSError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure or OSError(f"{self._host} has no address")

    def _connect_to(self, connection: socket.socket, address: Any) -> None:
        connection.setblocking(False)
        code = connection.connect_ex(address)
        if code == errno.EINPROGRESS:
            until_s = time.monotonic() + CONNECT_WITHIN_S
            poll = select.poll()
            poll.register(self._waker, select.POLLIN)
            poll.register(connection, select.POLLOUT)
            while True:
                if self._stopping:
                    raise _Stop
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
                ready = [fd for fd, _ in poll.poll(left_s * 1000)]
                if self._waker.fileno() in ready:
                    self._waker.drain()
                if connection.fileno() in ready:
                    break
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code != 0:
            raise OSError(code, os.strerror(code))
        # Without a listener, a port of this machine may by chance connect to itself.
        if connection.getsockname() == connection.getpeername():
            raise ConnectionRefusedError(
                errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)
            )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _name(self) -> str:
        return join_address(self._host, self._port)

    def _abandon(self) -> None:
        """In a forked child: the thread, and whoever held the lock, exist in the parent only."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._failure = (StreamClosed, "a Sender does not survive fork()")
        self._accepting = self._connected = False
        self._closed = self._stopping = True
        self._waker.close()
        if self._socket is not None:
            self._socket.close()  # the parent's stays open


class _Conversation:
    """What goes over one connection; lives in the Sender's thread, within ``run``.

    Invariant: ``_out`` begins anywhere in a frame and ends with the end of one.
    """

    def __init__(self, sender: Sender, connection: socket.socket) -> None:
        self._sender = sender
        self._connection = connection
        self._reader = wire.FrameReader(
            [wire.WELCOME, wire.ACK, wire.ERROR, wire.PING, wire.PONG]
        )
        self._out: deque[memoryview] = deque()
        self._out_bytes = 0
        self._welcomed = False
        self._allowed = 0
        self._taken = 0  # MSGs of this connection
        self._put(sender._hello)

    def run(self) -> NoReturn:
        sender = self._sender
        poll = select.poll()
        poll.register(sender._waker, select.POLLIN)
        poll.register(self._connection, select.POLLIN)
        fd = self._connection.fileno()
        waker_fd = sender._waker.fileno()
        blocked = False
        now_s = time.monotonic()
        ask_at_s = now_s + sender._ping_after_s
        lost_at_s = 0.0  # 0: not asked
        pings = 0
        while True:
            idle = self._gather()
            if not idle:
                was_blocked = blocked
                progress, blocked = self._send()
                if was_blocked and progress:
                    # The peer has made room, so it lives, even if PING is still behind an event.
                    ask_at_s, lost_at_s = now_s + sender._ping_after_s, 0.0
                if blocked != was_blocked:
                    poll.modify(fd, select.POLLIN | (select.POLLOUT if blocked else 0))
            if idle or blocked:
                left_s = max(0.0, (lost_at_s or ask_at_s) - time.monotonic())
                events = poll.poll(left_s * 1000 + 1)
            else:
                events = poll.poll(0)
            now_s = time.monotonic()
            heard = False
            for ready, what in events:
                if ready == waker_fd:
                    sender._waker.drain()
                elif what & ~select.POLLOUT:
                    self._receive()
                    heard = True
            if heard:
                ask_at_s, lost_at_s = now_s + sender._ping_after_s, 0.0
            elif lost_at_s:
                if now_s >= lost_at_s:
                    raise ConnectionLost("the node does not answer")
            elif now_s >= ask_at_s:
                pings += 1
                self._put(wire.ping(pings))
                lost_at_s = now_s + sender._pong_within_s

    def _gather(self) -> bool:
        """Fills what goes out; True if there is nothing."""
        sender = self._sender
        with sender._lock:
            if sender._stopping:
                raise _Stop
            backlog = sender._backlog
            if (
                self._welcomed
                and self._out_bytes < SEND_BYTES
                and self._taken < self._allowed
            ):
                before = backlog.next_id
                views = backlog.take(self._allowed - self._taken, SEND_BYTES)
                self._taken += backlog.next_id - before
                self._out.extend(views)
                self._out_bytes += sum(map(len, views))
            sender._thread_sleeps = (
                self._welcomed and not self._out and self._taken < self._allowed
            )
        return not self._out

    def _put(self, frame: bytes) -> None:
        self._out.append(memoryview(frame))
        self._out_bytes += len(frame)

    def _send(self) -> tuple[bool, bool]:
        """Whether anything went out, and whether the kernel takes no more."""
        out = self._out
        progress = False
        while out:
            try:
                sent = self._connection.sendmsg(list(islice(out, SEND_VIEWS_MAX)))
            except BlockingIOError:
                return progress, True
            except OSError as error:
                # Before it closed, the node may have said why.
                with suppress(OSError, ConnectionLost):
                    while True:
                        self._receive()
                raise ConnectionLost(reason(error)) from None
            progress = True
            self._out_bytes -= sent
            while sent:
                first = out[0]
                if sent < len(first):
                    out[0] = first[sent:]
                    return progress, True
                sent -= len(first)
                out.popleft()
        return progress, False

    def _receive(self) -> None:
        try:
            data = self._connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionLost("the node closed the connection")
        reader = self._reader
        reader.feed(data)
        try:
            while (found := reader.next()) is not None:
                self._handle(wire.decode(*found))
        except wire.Malformed as error:
            self._refuse(wire.MALFORMED, f"{self._sender._name()} sent {error}")

    def _handle(self, frame: wire.Frame) -> None:
        if isinstance(frame, wire.Ack):
            if not self._welcomed:
                raise wire.Malformed("an ACK before WELCOME")
            self._acknowledge(frame.durable, frame.allowed)
        elif isinstance(frame, wire.Ping):
            self._put(wire.pong(frame.number))
        elif isinstance(frame, wire.Welcome):
            if self._welcomed:
                raise wire.Malformed("a second WELCOME")
            self._welcome(frame)
        elif isinstance(frame, wire.Error):
            name = wire.CODE_NAMES.get(frame.code, f"error {frame.code}")
            text = f"{name}: {frame.text}" if frame.text else name
            if frame.code == wire.GOING:
                raise ConnectionLost(text)
            raise _FATAL.get(frame.code, SenderRefused)(
                f"{self._sender._name()}: {text}"
            )

    def _welcome(self, frame: wire.Welcome) -> None:
        sender = self._sender
        backlog = sender._backlog
        if frame.version != wire.VERSION:
            self._refuse(
                wire.VERSION_DIFFERS,
                f"the node speaks version {frame.version}, this client {wire.VERSION}",
            )
        if frame.durable > wire.NUMBER_MAX:
            raise wire.Malformed(f"the id {frame.durable}, which is none")
        # Only this thread changes what is compared here.
        if sender._welcomed and frame.durable > backlog.taken_id:
            self._refuse(
                wire.ORDER,
                f"the node knows of id {frame.durable}, the last sent is "
                f"{backlog.taken_id}: another process sends as this source and incarnation",
            )
        with sender._lock:
            if not sender._welcomed:
                backlog.start(frame.durable)
                sender._welcomed = True
                sender._accepting = not sender._closed
            elif frame.durable < backlog.durable:
                _log.warning(
                    "%s: the node has gone back from id %d to %d; events between are lost "
                    "if its data is",
                    sender._name(),
                    backlog.durable,
                    frame.durable,
                )
            backlog.acknowledge(frame.durable)
            backlog.rewind()
            self._welcomed = True
            self._allowed = frame.allowed
            sender._connected = True
            sender._trouble = ""
            sender._changed.notify_all()

    def _acknowledge(self, durable: int, allowed: int) -> None:
        sender = self._sender
        with sender._lock:
            if durable >= sender._backlog.next_id:
                raise wire.Malformed(f"an ACK of id {durable}, which was not sent")
            self._allowed = max(self._allowed, allowed)
            if durable > sender._backlog.durable:
                sender._backlog.acknowledge(durable)
                sender._changed.notify_all()

    def _refuse(self, code: int, text: str) -> NoReturn:
        """Says so, if the kernel takes it at once, and fails for good."""
        connection = self._connection
        if not self._out:  # it would be in the middle of a frame
            with suppress(OSError):
                connection.send(wire.error(code, text))
                connection.shutdown(socket.SHUT_WR)
                # Closed at once with bytes unread, the reset could overtake the ERROR.
                connection.settimeout(PARTING_WITHIN_S)
                until_s = time.monotonic() + PARTING_WITHIN_S
                while connection.recv(RECEIVE_BYTES) and time.monotonic() < until_s:
                    pass
        raise _FATAL[code](text)


_living: weakref.WeakSet[Sender] = weakref.WeakSet()


def _abandon_all() -> None:
    for sender in list(_living):
        sender._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
