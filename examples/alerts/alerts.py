"""Alerts over expiring windows: two views of each host's last minutes, kept in its entity.

Reads `events`, one JSON object each: {"key": "host-000123", "ts": <ms>, "value": 57.3}. Values are
counted in tenths, as integers, so that sums are exact.

- Tumbling: windows of five minutes. A "T" alert, once a window, when it holds at least ten events
  with a mean above 70.0.
- Sliding: the last five minutes in panes of one minute. An "S" alert, at most once a minute, under the
  same condition.

A host that is silent for more than ten minutes of event time is forgotten.
"""

from math import floor

from bettong import App, Array, Event, minutes

MINUTE = 60_000
PANES = 5  # minutes in a window
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
    # The tumbling window: the minute it starts in, and what it holds.
    window: int = -1
    n: int = 0
    total: int = 0
    top: int = 0
    alerted: bool = False
    # The sliding view: the current minute, the minute of the last alert, and the panes. Minute m is
    # in pane m % PANES.
    minute: int = -1
    alerted_minute: int = -1
    pane_n: Array[int, PANES]
    pane_total: Array[int, PANES]
    pane_top: Array[int, PANES]

    @events.on(key="key")
    def sample(self, e: Sample) -> None:
        ts = e.ts
        value = floor(e.value * 10 + 0.5)
        minute = ts // MINUTE
        pane = minute % PANES

        window = minute - pane
        if window != self.window:
            self.window = window
            self.n = n = 1
            self.total = total = self.top = value
            self.alerted = False
        else:
            self.n = n = self.n + 1
            self.total = total = self.total + value
            if value > self.top:  # noqa: PLR1730 (cheaper than max())
                self.top = value
        if n >= ENOUGH and total > LIMIT * n and not self.alerted:
            self.alerted = True
            w = window * MINUTE
            alerts.emit(key=self.key, t="T", w=w, ts=ts, n=n, sum=total, max=self.top)

        pane_n, pane_total, pane_top = self.pane_n, self.pane_total, self.pane_top
        if minute == self.minute:
            pane_n[pane] += 1
            pane_total[pane] += value
            if value > pane_top[pane]:  # noqa: PLR1730
                pane_top[pane] = value
        else:
            self.forget_minutes_before(minute)
            pane_n[pane] = 1
            pane_total[pane] = pane_top[pane] = value
        if minute != self.alerted_minute:
            n = pane_n.sum()
            if n >= ENOUGH and (total := pane_total.sum()) > LIMIT * n:
                self.alerted_minute = minute
                w = (minute - PANES + 1) * MINUTE
                alerts.emit(
                    key=self.key, t="S", w=w, ts=ts, n=n, sum=total, max=pane_top.max()
                )

    def forget_minutes_before(self, minute: int) -> None:
        """Makes `minute` the current one, whose pane is set next; those skipped were silent."""
        pane_n, pane_total, pane_top = self.pane_n, self.pane_total, self.pane_top
        skipped = self.minute + 1
        self.minute = minute
        if minute - skipped >= PANES - 1:
            pane_n.fill(0)
            pane_total.fill(0)
            pane_top.fill(0)
            return
        while skipped < minute:
            pane = skipped % PANES
            pane_n[pane] = pane_total[pane] = pane_top[pane] = 0
            skipped += 1
