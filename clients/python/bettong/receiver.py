"""Outputs of nodes, each exactly once: docs/stream-protocol.md, "Receiving"."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

from bettong._inlet import PARTING_WITHIN_S, Channel, Inlet, Item
from bettong._store import Store
from bettong.durations import Duration, to_ms
from bettong.errors import StoreError, StreamClosed, StreamError

# Outputs that come one by one share a commit until none has come for so long.
QUIET_S = 0.005


class _Output(NamedTuple):
    partition: int
    sequence: int
    event: Any


class Output(_Output):
    """What a node sent out: ``partition, sequence, event = output``.

    Sequences rise within a partition of a node's sink; they need not be contiguous. Also
    ``stream``, by name; ``sink``, its name in the node's configuration; ``node``, the id of its data
    directory in hex.
    """

    stream: str
    sink: str
    node: str


class Receiver:
    """The end of a node's sink of kind ``bettong-stream``: yields each output exactly once.

        with bettong.Receiver("127.0.0.1:9100", store="alerts.db") as receiver:
            receiver.connection.execute("CREATE TABLE IF NOT EXISTS alerts (host, mean)")
            for partition, sequence, event in receiver:
                receiver.connection.execute(
                    "INSERT INTO alerts VALUES (?, ?)", (event["host"], event["mean"])
                )

    Nodes connect to it, any number of them. It remembers in the SQLite file ``store`` how far it has
    come. An output counts as done when the next one is asked for; what is done is committed, with all
    that was written through ``connection``, every ``commit_events`` outputs, every ``commit_after``,
    and when no other has come for 5 ms; only then are nodes told. So results kept in the store are exact even
    when the process is killed. Results kept elsewhere: up to ``commit_events`` outputs may come again
    after a kill; (node, sink, partition, sequence) tells which.

    One thread at a time iterates; ``close`` may be called by any. After ``os.fork`` only the parent
    can use it.

    listen            "HOST:PORT"; port 0: any free one, see ``address``
    store             path of the SQLite file (WAL, synchronous=FULL); one Receiver at a time. The
                      tables ``bettong_*`` are the Receiver's, all others the consumer's.
    token             what nodes must say
    raw               events as bytes, instead of what their JSON says
    buffer_events     how many outputs may be in memory, and
    buffer_bytes      how many bytes of events, before reading stops (one event may reach beyond it)
    commit_events     outputs between two commits, at most
    commit_after      time between two commits, at most (seconds or timedelta), while outputs come
    ping_after        after this long without a word from a node it is asked
    pong_within       and its connection closed after this much longer
    connections_max   how many connections there may be

    Raises StoreError if the store cannot be used, OSError if the address cannot.
    """

    def __init__(
        self,
        listen: str = "127.0.0.1:0",
        *,
        store: str | os.PathLike[str],
        token: str = "",
        raw: bool = False,
        buffer_events: int = 10_000,
        buffer_bytes: int = 64 << 20,
        commit_events: int = 1000,
        commit_after: Duration = 0.1,
        ping_after: Duration = 5,
        pong_within: Duration = 10,
        connections_max: int = 64,
    ) -> None:
        for name, value in (
            ("buffer_events", buffer_events),
            ("buffer_bytes", buffer_bytes),
            ("commit_events", commit_events),
            ("connections_max", connections_max),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        self._raw = raw
        self._commit_events = commit_events
        self._commit_after_s = to_ms(commit_after, "commit_after") / 1000
        ping_after_s = to_ms(ping_after, "ping_after") / 1000
        pong_within_s = to_ms(pong_within, "pong_within") / 1000
        self._store = Store(store)
        try:
            self._inlet = Inlet(
                listen,
                token,
                self._store.positions(),
                buffer_events=buffer_events,
                buffer_bytes=buffer_bytes,
                ping_after_s=ping_after_s,
                pong_within_s=pong_within_s,
                connections_max=connections_max,
            )
        except BaseException:
            self._store.close()
            raise

        # The consumer's, from here on.
        self._batch: deque[Item] = deque()  # taken, not handed out
        self._current: Item | None = None  # handed out, not done
        self._changes = 0  # rows written before the current one
        self._done: dict[tuple[Channel, int], int] = {}  # not committed
        self._done_count = 0
        self._done_bytes = 0
        self._commit_at_s = 0.0
        self._in_transaction = False
        self._broken = ""

        self._consumer: threading.Thread | None = None
        self._busy = False  # the consumer is in _next
        self._closing = False
        self._closed = False
        self._close_lock = threading.RLock()
        self._finalized = threading.Event()
        _living.add(self)

    @property
    def address(self) -> str:
        """Where it listens, as "HOST:PORT"."""
        return self._inlet.address

    @property
    def connection(self) -> sqlite3.Connection:
        """The store, for the iterating thread to keep its results in, between one output and the next.

        What it writes is committed with the positions, by the Receiver: its own ``commit`` and
        ``rollback`` are refused. Before the first output each statement is committed by itself.
        """
        return self._store.connection

    def poll(self, timeout: float | None = None) -> Output | None:
        """The next output; None when there is none for ``timeout`` seconds (None: for ever).

        Asking makes the one before done. Raises StreamClosed after ``close``, StoreError when what
        is done could not be committed (this and everything since the commit before comes again, to
        the next Receiver), ValueError for an event that is not JSON (asking again goes past it).
        """
        output = self._next(timeout)
        if output is None and self._closed:
            raise StreamClosed("the Receiver is closed")
        return output

    def __iter__(self) -> Iterator[Output]:
        return self

    def __next__(self) -> Output:
        output = self._next(None)
        if output is None:
            raise StopIteration
        return output

    def commit(self) -> None:
        """Makes the output handed out last done, and commits now; for the iterating thread.

        For consumers that leave their loop having handled the last output.
        """
        self._check()
        self._enter()
        try:
            self._finish()
            self._commit()
        finally:
            self._leave()

    def close(self) -> None:
        """Commits what is done, and disconnects. An output handed out last and not done comes again.

        If the consumer has written to ``connection`` for that output, all since the last commit is
        rolled back and comes again, as half of an output's results must not stay. Called by
        another thread than the one that iterates, it makes that one's loop end.
        """
        with self._close_lock:
            self._closing = True
            consumer = self._consumer
            mine = consumer is None or consumer is threading.current_thread()
            if (mine and not self._busy) or (consumer and not consumer.is_alive()):
                self._finalize()
                return
            self._inlet.stop()  # the consumer does the rest, when it asks for the next
        if self._busy and not mine:  # which it just does
            self._finalized.wait(PARTING_WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # The consumer's thread.

    def _enter(self) -> None:
        self._consumer = threading.current_thread()
        self._busy = True

    def _leave(self) -> None:
        if self._closing and self._current is None:
            with self._close_lock:
                self._finalize()
        self._busy = False

    def _check(self) -> None:
        if self._closed:
            raise StreamClosed(self._broken or "the Receiver is closed")
        if self._broken:
            raise StoreError(self._broken)

    def _next(self, wait_s: float | None) -> Output | None:
        if self._closed and not self._broken:
            return None
        self._check()
        self._enter()
        try:
            self._finish()
            if (
                self._done_count >= self._commit_events
                or self._done_count
                and time.monotonic() >= self._commit_at_s
            ):
                self._commit()
            if not self._batch and not self._fill(wait_s):
                return None
            return self._hand_out()
        finally:
            self._leave()

    def _finish(self) -> None:
        """What was handed out is done."""
        item = self._current
        if item is None:
            return
        if not self._store.intact:
            self._break("the transaction was ended by others; what it held comes again")
        channel, partition, sequence, _, event = item
        self._done[channel, partition] = sequence
        self._current = None
        self._done_count += 1
        self._done_bytes += len(event)

    def _fill(self, wait_s: float | None) -> bool:
        quiet_s = min(QUIET_S, self._commit_after_s) if self._in_transaction else 0
        items = self._inlet.take(quiet_s if wait_s is None else min(quiet_s, wait_s))
        if not items:
            self._commit()
            items = self._inlet.take(wait_s)
        if not items and self._inlet.failure:
            raise StreamError(self._inlet.failure)
        self._batch.extend(items)
        return bool(items)

    def _hand_out(self) -> Output | None:
        if self._closing:
            return None
        if not self._in_transaction:
            try:
                self._store.begin()
            except sqlite3.Error as error:
                self._break(f"begin: {error}")
            self._in_transaction = True
            self._commit_at_s = time.monotonic() + self._commit_after_s
        self._changes = self._store.connection.total_changes
        item = self._batch[0]
        channel, partition, sequence, stream, data = item
        try:
            event = data if self._raw else json.loads(data)
        except ValueError as error:
            self._current = self._batch.popleft()
            raise ValueError(
                f"node {channel.node_hex}, sink {channel.sink}, partition {partition}, sequence "
                f"{sequence}: the event is not JSON: {error}"
            ) from None
        output = Output(partition, sequence, event)
        output.stream = stream
        output.sink = channel.sink
        output.node = channel.node_hex
        self._current = self._batch.popleft()
        return output

    def _commit(self) -> None:
        if not self._in_transaction:
            return
        if not self._store.intact:
            self._break("the transaction was ended by others; what it held comes again")
        try:
            self._store.commit(
                ((channel.node, channel.sink, partition), sequence)
                for (channel, partition), sequence in self._done.items()
            )
        except sqlite3.Error as error:
            self._break(f"commit: {error}")
        self._in_transaction = False
        self._inlet.say_stored(
            (channel, partition, sequence)
            for (channel, partition), sequence in self._done.items()
        )
        self._done.clear()
        self._inlet.give_back(self._done_count, self._done_bytes)
        self._done_count = self._done_bytes = 0

    def _break(self, why: str) -> None:
        self._broken = why
        raise StoreError(why)

    def _finalize(self) -> None:
        """Commits if that leaves nothing half done, and ends."""
        if self._closed:
            return
        self._closed = True
        try:
            half_done = (
                self._current is not None
                and self._store.connection.total_changes != self._changes
            )
            if self._in_transaction and not half_done and not self._broken:
                self._commit()
        finally:
            self._batch.clear()
            self._inlet.stop()
            self._inlet.join()
            self._store.close()
            self._finalized.set()

    def _abandon(self) -> None:
        """In a forked child. SQLite must not be used, nor even closed, there."""
        self._close_lock = threading.RLock()
        self._closed = self._closing = True
        self._broken = "a Receiver does not survive fork()"
        self._inlet.abandon()
        self._store.abandon()


_living: weakref.WeakSet[Receiver] = weakref.WeakSet()


def _abandon_all() -> None:
    for receiver in list(_living):
        receiver._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
