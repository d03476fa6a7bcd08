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

from bettong.app import App
from bettong.arrays import Array
from bettong.durations import Duration, days, hours, milliseconds, minutes, seconds
from bettong.entity import Entity
from bettong.errors import HandlerTimeout, OutsideTurnError, StaleEntityError
from bettong.event import Event
from bettong.stream import Key, Stream

__version__ = "0.1.0"

__all__ = [
    "App",
    "Array",
    "Duration",
    "Entity",
    "Event",
    "HandlerTimeout",
    "Key",
    "OutsideTurnError",
    "StaleEntityError",
    "Stream",
    "days",
    "hours",
    "milliseconds",
    "minutes",
    "seconds",
]
