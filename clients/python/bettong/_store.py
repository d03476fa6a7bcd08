"""Where a Receiver stands, in SQLite, in one transaction with what its consumer writes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn

from bettong.errors import StoreError

try:
    import fcntl
except ImportError:  # not Linux, not macOS: nobody looks out for a second process
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
BUSY_S = 10.0  # how long a reader may hold up a commit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bettong_format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS bettong_positions (
  node BLOB NOT NULL, sink TEXT NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL,
  PRIMARY KEY (node, sink, partition)
) WITHOUT ROWID;
"""
_UPSERT = """
INSERT INTO bettong_positions VALUES (?, ?, ?, ?)
ON CONFLICT (node, sink, partition) DO UPDATE SET sequence = excluded.sequence
"""

Place = tuple[bytes, str, int]
"""Node id, sink, partition."""


class ConsumerConnection(sqlite3.Connection):
    """The consumer's access to the store: everything but ending the Receiver's transaction."""

    def commit(self) -> NoReturn:
        raise StoreError(
            "the Receiver commits: results and positions together, or neither"
        )

    def rollback(self) -> NoReturn:
        raise StoreError("the Receiver's transaction cannot be rolled back by parts")

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        if self.in_transaction:
            raise StoreError("executescript commits: use it before the first event")
        return super().executescript(script)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Literal[False]:
        return False  # `with connection:` groups nothing here


class Store:
    """One SQLite file, for one Receiver at a time; used by the consumer's thread.

    ``begin`` before an event is handed out, ``commit`` between two events. What the consumer writes
    through ``connection`` in between is in the same transaction.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        if not self._path or self._path.startswith((":", "file:")):
            raise ValueError(f"a store is a file, not {self._path!r}")
        self._lock_fd = self._lock()
        try:
            self.connection = sqlite3.connect(
                self._path,
                isolation_level=None,
                check_same_thread=False,
                factory=ConsumerConnection,
                timeout=BUSY_S,
            )
            try:
                self._open()
            except BaseException:
                self.connection.close()
                raise
        except sqlite3.Error as error:
            self._unlock()
            raise StoreError(f"open {self._path}: {error}") from error
        except BaseException:
            self._unlock()
            raise

    def positions(self) -> list[tuple[Place, int]]:
        rows = self.connection.execute(
            "SELECT node, sink, partition, sequence FROM bettong_positions"
        )
        return [((node, sink, part), sequence) for node, sink, part, sequence in rows]

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    @property
    def intact(self) -> bool:
        """Whether the transaction is still open: SQLite, or the consumer, may have ended it."""
        return self.connection.in_transaction

    def commit(self, positions: Iterable[tuple[Place, int]]) -> None:
        rows: list[tuple[Any, ...]] = [
            (*place, sequence) for place, sequence in positions
        ]
        self.connection.executemany(_UPSERT, rows)
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """What was not committed is rolled back."""
        self.connection.close()
        self._unlock()

    def abandon(self) -> None:
        """In a forked child: lets go of the lock, and touches nothing."""
        self._unlock()

    def _open(self) -> None:
        connection = self.connection
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{self._path}: no WAL on this file system, but {mode}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        row = connection.execute("SELECT max(version) FROM bettong_format").fetchone()
        if row[0] is None:
            connection.execute("INSERT INTO bettong_format VALUES (?)", (FORMAT,))
        elif row[0] != FORMAT:
            raise StoreError(
                f"{self._path}: positions of format {row[0]}; this version reads {FORMAT}"
            )

    def _lock(self) -> int:
        path = Path(f"{self._path}-lock")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"open {path}: {error.strerror}") from error
        if fcntl is not None:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                raise StoreError(f"{self._path}: another Receiver uses it") from None
        return fd

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
