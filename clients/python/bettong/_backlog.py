"""Events of a Sender that are not acknowledged yet, as the frames that carry them."""

from __future__ import annotations

from collections import deque

from bettong import _wire as wire

CHUNK_BYTES = 64 << 10


class _Chunk:
    """Frames of ids that follow each other. Not changed any more."""

    __slots__ = ("data", "first", "last")

    def __init__(self, data: bytearray, first: int, last: int) -> None:
        self.data = data
        self.first = first
        self.last = last


class Backlog:
    """Every event above ``durable``, in the order of ids.

    There is no object per event: events are appended to an open bytearray as frames, and leave in
    chunks of some 64 KiB, or what there is. Ids follow each other, so a chunk knows which it
    has. Its memory is given back, and ``size_bytes`` falls, when all of it is acknowledged.

    Not thread-safe; the Sender's lock guards it. ``append`` may be interrupted by a signal's
    handler that raises: then nothing was appended. The rest runs in the Sender's own thread, where
    no such handler runs.
    """

    def __init__(self) -> None:
        self.last_id = 0
        self.durable = 0
        self.size_bytes = 0
        self.next_id = 1  # to be taken on this connection
        self.taken_id = 0  # the highest that was taken on any
        self._kept: deque[_Chunk] = deque()
        self._untaken: deque[_Chunk] = deque()  # the last ones of _kept
        self._offset = 0  # of next_id in the first of _untaken
        self._open: deque[bytearray] = deque([bytearray()])  # appended to the last

    @property
    def pending(self) -> int:
        """How many events are not acknowledged."""
        return self.last_id - self.durable

    def start(self, durable: int) -> None:
        """Numbers begin above ``durable``; once, before anything is appended."""
        self.last_id = self.durable = self.taken_id = durable
        self.next_id = durable + 1

    def append(self, event: bytes) -> int:
        """Takes an event; its id."""
        id_ = self.last_id + 1
        size_bytes = self.size_bytes
        data = self._open[-1]
        end = len(data)
        try:
            data += wire.pack_msg_header(9 + len(event), wire.MSG, id_)
            data += event
            self.size_bytes = size_bytes + wire.MSG_OVERHEAD_BYTES + len(event)
            self.last_id = id_
        except BaseException:
            del data[end:]
            self.size_bytes = size_bytes
            self.last_id = id_ - 1
            raise
        if end >= CHUNK_BYTES:
            self._open.append(bytearray())
        return id_

    def acknowledge(self, durable: int) -> None:
        """Forgets events up to ``durable``, which were taken; does nothing when it knew."""
        if durable <= self.durable:
            return
        self.durable = durable
        kept = self._kept
        while kept and kept[0].last <= durable:
            self.size_bytes -= len(kept.popleft().data)

    def rewind(self) -> None:
        """What is kept is to be taken again, from the first that is not acknowledged."""
        self._seal()
        self._untaken = deque(self._kept)
        self.next_id = self.durable + 1
        self._offset = 0
        if self._kept:
            first = self._kept[0]
            acknowledged = self.durable - first.first + 1
            self._offset = wire.count_frames(first.data, 0, acknowledged)

    def take(self, events_max: int, bytes_about: int) -> list[memoryview]:
        """The next frames to send: whole ones, of at most ``events_max`` events.

        Ends with the chunk that reaches ``bytes_about``.
        """
        views: list[memoryview] = []
        while events_max > 0 and bytes_about > 0:
            if not self._untaken:
                self._seal()
                if not self._untaken:
                    break
            chunk = self._untaken[0]
            events = chunk.last - self.next_id + 1
            if events <= events_max:
                view = memoryview(chunk.data)[self._offset :]
                self._untaken.popleft()
                self._offset = 0
            else:
                events = events_max
                end = wire.count_frames(chunk.data, self._offset, events)
                view = memoryview(chunk.data)[self._offset : end]
                self._offset = end
            self.next_id += events
            events_max -= events
            bytes_about -= len(view)
            views.append(view)
        self.taken_id = max(self.taken_id, self.next_id - 1)
        return views

    def _seal(self) -> None:
        """Makes chunks of the open bytearrays."""
        if not self._open[0]:
            return
        last = self.last_id
        chunks: list[_Chunk] = []
        for data in reversed(self._open):
            if data:
                first = wire.msg_id(data)
                chunks.append(_Chunk(data, first, last))
                last = first - 1
        chunks.reverse()
        self._kept.extend(chunks)
        self._untaken.extend(chunks)
        self._open = deque([bytearray()])
