"""Hostwatch: alerts on what this machine is doing right now.

collector.py reads /proc 5 times a second and sends a sample of every part of the host and
of every process. Here each of them is an entity that lives as long as its samples come, and a
tally counts for ever what came of a kind:

    redis-cli -p 6390 hgetall part:cpu0
    redis-cli -p 6390 call process:1234 mean
    redis-cli -p 6390 call top:cpu ranking
    redis-cli -p 6390 hget tally:process count
    redis-cli -p 6390 subscribe alerts
"""

from itertools import pairwise
from typing import Literal

from bettong import App, Array, Event, seconds

app = App("hostwatch")

SAMPLES_PER_SECOND = 5
MB = 1 << 20

Recent = Array[float, Literal[15]]  # the last 3 s, as a ring
Marks = Array[int, Literal[11]]  # 11 marks a second apart: 10 s, as a ring


class Sample(Event, time="ts"):
    """One reading of a part of the host or of a process."""

    ts: int  # ms since the epoch
    kind: str  # cpu, memory, load, disk, network, process
    name: str  # cpu0, memory, load, vda, eth0; the command of a process
    value: float  # in `unit`; of a process: CPU, in % of one CPU
    unit: str = "%"
    incoming: float = 0.0  # bytes a second: received, read
    outgoing: float = 0.0  # bytes a second: sent, written
    pid: int = 0  # of a process, as all below
    started: int = 0  # ms since the epoch
    rss: int = 0  # resident memory, bytes


class Alert(Event):
    """What people should know. `mean` is that of the samples' values, over `seconds`."""

    at: int  # ms since the epoch
    state: str  # high, calm, growing, gone
    key: str  # of the entity, for HGETALL and CALL while it lives
    name: str
    text: str
    mean: float
    seconds: float


class Load(Event):
    """What a process uses; what Top ranks."""

    pid: int
    cpu: float  # % of one CPU
    memory: float  # MB


samples = app.stream("samples", Sample)
alerts = app.stream("alerts", Alert)
loads = app.stream("loads", Load)


# Key functions: the entity that a sample belongs to; an empty tuple: to none of that class.


def part_of(sample: Sample) -> str | tuple[()]:
    return () if sample.pid else sample.name


def process_of(sample: Sample) -> int | tuple[()]:
    return sample.pid or ()


class Watched(app.Entity, abstract=True, ttl=seconds(3)):
    """What parts and processes share: a sliding view of 3 s, and a TTL as long."""

    name: str
    value: float
    count: int  # samples so far
    recent: Recent
    high: bool

    def see(self, sample: Sample) -> None:
        self.name = sample.name
        self.value = sample.value
        self.recent[self.count % len(self.recent)] = sample.value
        self.count += 1

    def judge_cpu(self, *, high_above: float, calm_below: float) -> None:
        if self.count < len(self.recent):
            return
        mean = self.mean()
        if not self.high and mean > high_above:
            self.high = True
            self.alert("high", f"{mean:.0f}% CPU over 3 s", mean)
        elif self.high and mean < calm_below:
            self.high = False
            self.alert("calm", f"down to {mean:.0f}% CPU over 3 s", mean)

    def alert(self, state: str, text: str, mean: float, over_s: float = 3.0) -> None:
        alerts.emit(
            at=self.now,
            state=state,
            key=f"{type(self).__name__.lower()}:{self.key}",
            name=self.name,
            text=text,
            mean=round(mean, 1),
            seconds=round(over_s, 3),
        )

    @app.command
    def mean(self) -> float:
        """The mean over the sliding view."""
        return self.recent.sum() / max(1, min(self.count, len(self.recent)))

    @app.command
    def history(self) -> list[float]:
        """The sliding view, oldest first."""
        oldest = self.count % len(self.recent)
        values = self.recent[oldest:] + self.recent[:oldest]
        return values[-self.count :] if self.count < len(values) else values


class Part(Watched):
    """A part of the host: part:cpu0, part:memory, part:load, part:vda, part:eth0."""

    kind: str
    unit: str
    incoming: float
    outgoing: float

    @samples.on(key=part_of)
    def sample(self, sample: Sample) -> None:
        self.kind = sample.kind
        self.unit = sample.unit
        self.incoming = sample.incoming
        self.outgoing = sample.outgoing
        self.see(sample)
        if sample.kind == "cpu":
            self.judge_cpu(high_above=90, calm_below=60)

    def on_expire(self) -> None:
        self.alert("gone", "no sample for 3 s", self.mean())


class Process(Watched):
    """A process, by its pid: process:1234."""

    started: int
    last: int
    cpu_total: float
    rss: int
    rss_marks: Marks
    rss_alerted: int

    @samples.on(key=process_of)
    def sample(self, sample: Sample) -> None:
        self.started = sample.started
        self.last = sample.ts
        self.cpu_total += sample.value
        self.rss = sample.rss
        self.see(sample)
        self.judge_cpu(high_above=40, calm_below=20)
        if self.count % SAMPLES_PER_SECOND == 0:
            self.watch_memory(mark=self.count // SAMPLES_PER_SECOND)
            loads.emit(Load(pid=int(self.key), cpu=self.mean(), memory=self.rss / MB))

    def watch_memory(self, mark: int) -> None:
        """Alerts when memory grew for 10 s without a pause, and doubled; then at each doubling."""
        self.rss_marks[mark % len(self.rss_marks)] = self.rss
        if mark < len(self.rss_marks):
            return
        newest = mark % len(self.rss_marks) + 1
        marks = self.rss_marks[newest:] + self.rss_marks[:newest]
        growth = marks[-1] - marks[0]
        steadily = all(earlier < later for earlier, later in pairwise(marks))
        doubled = self.rss > 2 * (self.rss_alerted or marks[0])
        if steadily and doubled and growth > 64 * MB:
            self.rss_alerted = self.rss
            grown = f"{growth // MB} MB in 10 s, to {self.rss // MB} MB"
            self.alert("growing", f"memory grew by {grown}", self.mean())

    def on_expire(self) -> None:
        loads.emit(Load(pid=int(self.key), cpu=0.0, memory=0.0))
        if self.count < len(self.recent):
            return  # it lived for a moment only: not worth a line
        life = self.report()
        text = f"lived {life['lived_s']} s, {life['mean_cpu']}% CPU on average"
        silent = f"silent for {self.now - self.last} ms"
        self.alert("gone", f"{text}, {silent}", life["mean_cpu"], life["lived_s"])

    @app.command
    def report(self) -> dict[str, float]:
        """Its life so far, in a few numbers."""
        return {
            "lived_s": (self.last - self.started) / 1000,
            "mean_cpu": round(self.cpu_total / max(1, self.count), 1),
            "rss_mb": round(self.rss / MB, 1),
        }


class Top(app.Entity, ttl=seconds(10)):
    """The five processes that use most: top:cpu, top:memory."""

    pids: Array[int, Literal[5]]
    values: Array[float, Literal[5]]

    @loads.on(key=lambda load: ("cpu", "memory"))
    def rank(self, load: Load) -> None:
        value = load.cpu if self.key == "cpu" else load.memory
        pids = self.pids.tolist()
        if load.pid in pids:
            self.values[pids.index(load.pid)] = value
        elif value > self.values.min():
            least = self.values.tolist().index(self.values.min())
            self.pids[least] = load.pid
            self.values[least] = value

    @app.command
    def ranking(self) -> list[str]:
        """The five, greatest first."""
        unit = "% CPU" if self.key == "cpu" else " MB"
        ranked = sorted(zip(self.values, self.pids, strict=True), reverse=True)
        return [f"process:{pid} {value:.1f}{unit}" for value, pid in ranked if value]


class Tally(app.Entity):
    """How many samples of a kind there ever were: tally:cpu, tally:process. It has no TTL."""

    count: int

    @samples.on(key="kind")
    def sample(self, sample: Sample) -> None:
        self.count += 1
