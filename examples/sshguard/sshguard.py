"""Bans addresses that fail to log in by ssh, and lifts the bans again.

Lines of an auth.log are the events, as JSON `{"host": ..., "ts": ms, "line": ...}`. Five failures
of an address within ten minutes of event time ban it for an hour; an hour without a further failure
(wall clock) lifts the ban. A login that succeeds clears what has failed before.

    python3 examples/sshguard/lines.py web-01 < /var/log/auth.log > lines.jsonl
    bettong run examples/sshguard/sshguard.py --stream lines --input lines.jsonl --output -

As it happens (a run over a file ends before a ban does), `bettong tap bans` shows both:

    bettong serve examples/sshguard/sshguard.py --set source.auth.listen=127.0.0.1:9000 --set source.auth.stream=lines
    tail -F /var/log/auth.log | python3 examples/sshguard/lines.py web-01 | nc 127.0.0.1 9000

Who is banned now: `redis-cli -p 6390 --scan --pattern 'ban:*'`.
"""

import re

from bettong import App, Event, Sliding, hours, minutes

FAILURES = 5

app = App("sshguard")

# What sshd says of an address. "Invalid user" without "Failed password" is not counted: it is
# followed by a "Failed password for invalid user" where a password was tried.
FAILED = re.compile(r"sshd(?:-session)?\[\d+\]: Failed \w+ for .* from (\S+) port \d+")
ACCEPTED = re.compile(
    r"sshd(?:-session)?\[\d+\]: Accepted \S+ for .* from (\S+) port \d+"
)


class Line(Event, time="ts"):
    host: str
    ts: int
    line: str


class Offence(Event, time="ts"):
    address: str
    ts: int
    failures: int


lines = app.stream("lines", Line)
offences = app.stream("offences", Offence)
bans = app.stream("bans")


def failed(e: Line) -> list[str]:
    """The address that failed; none of a line that says something else."""
    return FAILED.findall(e.line)


def accepted(e: Line) -> list[str]:
    return ACCEPTED.findall(e.line)


class Address(app.Entity, ttl=minutes(10), clock="event"):
    """An address that has lately failed, or logged in."""

    failures: Sliding[int] = Sliding(minutes(10), pane=minutes(1), close=False)

    @lines.on(key=failed)
    def fail(self, e: Line) -> None:
        self.failures.add(1)
        if self.failures.count >= FAILURES:
            offences.emit(
                Offence(address=self.key, ts=e.ts, failures=self.failures.count)
            )

    @lines.on(key=accepted)
    def accept(self, e: Line) -> None:
        self.delete()


class Ban(app.Entity, ttl=hours(1)):
    """A banned address. Its life is the ban."""

    failures: int = 0

    def on_create(self) -> None:
        bans.emit(address=self.key, banned=True)

    @offences.on(key="address")
    def offend(self, e: Offence) -> None:
        self.failures = e.failures

    def on_expire(self) -> None:
        bans.emit(address=self.key, banned=False, failures=self.failures)

    @app.command
    def lift(self) -> None:
        """Ends the ban at once: `CALL ban:203.0.113.7 lift`."""
        bans.emit(address=self.key, banned=False, failures=self.failures)
        self.delete()
