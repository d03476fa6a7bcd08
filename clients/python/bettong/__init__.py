"""Bettong: stream processors whose state lives next to the code.

from bettong import App, Event, minutes

app = App("hostwatch")

class Sample(Event, time="ts"):
    host: str
    value: float
    ts: int

samples = app.stream("samples", Sample)

class Host(app.Entity, ttl=minutes(10)):
    count: int = 0

    @samples.on(key="host")
    def sample(self, event: Sample) -> None:
        self.count += 1
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bettong.app import App
from bettong.arrays import Array
from bettong.columns import Columns
from bettong.containers import Counter, List, Map, Ring, Set
from bettong.durations import Duration, days, hours, milliseconds, minutes, seconds
from bettong.entity import Entity
from bettong.errors import (
    BufferFull,
    HandlerTimeout,
    NotDurable,
    OutsideTurnError,
    ProtocolViolation,
    SenderDenied,
    SenderFenced,
    SenderRefused,
    StaleEntityError,
    StoreError,
    StreamClosed,
    StreamError,
    VersionMismatch,
)
from bettong.event import Event
from bettong.pipeline import Pipeline
from bettong.policy import Rate, Retry
from bettong.records import Record
from bettong.stream import Key, KeyedStream, Stream
from bettong.windows import Session, Sliding, Tumbling

if TYPE_CHECKING:
    from bettong.receiver import Output, Receiver
    from bettong.sender import Sender

__version__ = "0.1.0"

# Made when first asked for: inside a node nobody needs sockets and SQLite.
_LAZY = {
    "Output": "bettong.receiver",
    "Receiver": "bettong.receiver",
    "Sender": "bettong.sender",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "App",
    "Array",
    "BufferFull",
    "Columns",
    "Counter",
    "Duration",
    "Entity",
    "Event",
    "HandlerTimeout",
    "Key",
    "KeyedStream",
    "List",
    "Map",
    "NotDurable",
    "Output",
    "OutsideTurnError",
    "Pipeline",
    "ProtocolViolation",
    "Rate",
    "Receiver",
    "Record",
    "Retry",
    "Ring",
    "Sender",
    "SenderDenied",
    "SenderFenced",
    "SenderRefused",
    "Session",
    "Set",
    "Sliding",
    "StaleEntityError",
    "StoreError",
    "Stream",
    "StreamClosed",
    "StreamError",
    "Tumbling",
    "VersionMismatch",
    "days",
    "hours",
    "milliseconds",
    "minutes",
    "seconds",
]
