"""A dead man's switch: jobs send heartbeats, and a job that does not is missing.

Each heartbeat says within how many seconds the next one is due. The entity's TTL is that time: that it
expires *is* the alert. A missing job is told of again each hour, until it is back or a month has passed.

    bettong serve examples/deadman/deadman.py
    redis-cli -p 6390 XADD beats '*' job backup every 86400     # at the end of the job

Then `bettong tap alerts`, and `redis-cli -p 6390 TTL job:backup`: how long it still has.
"""

from bettong import App, Event, days, hours, seconds

REMIND = hours(1)
FORGET = days(30)

app = App("deadman")


class Beat(Event):
    job: str
    every: float  # seconds


beats = app.stream("beats", Beat)
alerts = app.stream("alerts")


class Job(app.Entity):
    last_seen: int = 0
    missing: bool = False
    reminders: int = 0

    @beats.on(key="job")
    def beat(self, e: Beat) -> None:
        if self.missing:
            self.tell("back", away_ms=self.now - self.last_seen)
            self.cancel(self.remind)
            self.missing, self.reminders = False, 0
        self.last_seen = self.now
        self.ttl = seconds(e.every)

    def on_expire(self) -> None:
        if self.missing:
            self.tell("forgotten")
            return
        self.missing = True
        self.tell("missing")
        self.ttl = FORGET
        self.touch()  # lives on
        self.after(REMIND, self.remind)

    def remind(self) -> None:
        self.reminders += 1
        self.tell("still missing", reminder=self.reminders)
        self.after(REMIND, self.remind)

    def tell(self, state: str, **more: int) -> None:
        alerts.emit(job=self.key, state=state, last_seen=self.last_seen, **more)
