"""Alerts over expiring windows, as alerts.py finds them, with the windows kept by Bettong.

- Tumbling: windows of five minutes. A "T" alert, once a window, when it holds at least ten events
  with a mean above 70.0.
- Sliding: the last five minutes in panes of one minute. An "S" alert, at most once a minute, under the
  same condition.

A host that is silent for more than ten minutes of event time is forgotten.
"""

from math import floor

from bettong import App, Event, Sliding, Tumbling, minutes

ENOUGH = 10  # events before a mean counts
LIMIT = 700  # tenths

app = App("alerts")


class Sample(Event, time="ts"):
    key: str
    ts: int
    value: float


events = app.stream("events", Sample)
alerts = app.stream("alerts")


class Host(app.Entity, ttl=minutes(10), clock="event"):
    tumbling: Tumbling[int] = Tumbling(minutes(5), keep=["sum", "max"])
    sliding: Sliding[int] = Sliding(minutes(5), pane=minutes(1), keep=["sum", "max"])
    alerted_tumbling: int = 0  # the ends of the windows that an alert has told of
    alerted_sliding: int = 0

    @events.on(key="key")
    def sample(self, e: Sample) -> None:
        value = floor(e.value * 10 + 0.5)
        t, s = self.tumbling, self.sliding
        t.add(value)
        s.add(value)
        if (
            t.sum > LIMIT * t.count
            and t.count >= ENOUGH
            and t.end != self.alerted_tumbling
        ):
            self.alerted_tumbling = t.end
            self.alert("T", e.ts, t)
        if (
            s.sum > LIMIT * s.count
            and s.count >= ENOUGH
            and s.end != self.alerted_sliding
        ):
            self.alerted_sliding = s.end
            self.alert("S", e.ts, s)

    def alert(self, kind: str, ts: int, w: Tumbling[int] | Sliding[int]) -> None:
        alerts.emit(
            key=self.key, t=kind, w=w.start, ts=ts, n=w.count, sum=w.sum, max=w.max
        )
