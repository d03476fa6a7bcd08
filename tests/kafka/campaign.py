"""Alerts from Kafka to Kafka, exactly once, while processes are killed; and a judge.

    python campaign.py --runs N [--seed S] [--fault none|bettong|broker|both|away] [--brokers 1|3]

A run: events of the alerts workload in one topic, examples/alerts/alerts_windows.py between a Kafka
source and a transactional Kafka sink, kill -9 of Bettong at random moments of it, brokers that are
restarted, killed or made to stand still. `away`: all brokers at once stand still or, every second
time, are killed and started again, for a minute; a second source and commands must go on meanwhile,
and Bettong is left alone. In the end the alerts that a read_committed consumer sees must be those
of the brute-force answer, each once, each key's in order. Last line:
`runs=N kills=K broker_restarts=B lost=0 duplicated=0 wrong=0 seed=S`; exit code 1 if something is
not 0, and FOLDER/run-I then has the data directory, logs, and what was found.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(TESTS / "integration"), str(TESTS / "crash")]

from processes import BINARY, READY_S, REPOSITORY, Process, Trouble, pause  # noqa: E402

from absence import HEART, HOWS, PULSE_APP, PULSE_SOURCE, Address, Pulse, all_away  # noqa: E402
from alerts_judge import Verdict, judge  # noqa: E402
from alerts_workload import Answer, Sample, answer, generate, generate_edges  # noqa: E402
from broker import Brokers, Reader, Record, await_condition, produce_with  # noqa: E402
from nodes import kafka_sink, kafka_source  # noqa: E402

APP = REPOSITORY / "examples" / "alerts" / "alerts_windows.py"
PORTS = range(20_000, 32_000)  # below those that the system gives to clients
FAULTS = ("none", "bettong", "broker", "both", "away")
SETTLE_S = 120.0


@dataclass
class Tally:
    """What has been done and found, of a run or of all."""

    kills: int = 0
    broker_restarts: int = 0
    pauses: int = 0
    absences: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    def add(self, other: Tally) -> None:
        self.kills += other.kills
        self.broker_restarts += other.broker_restarts
        self.pauses += other.pauses
        self.absences += other.absences
        self.verdict.add(other.verdict)


def workload(rng: random.Random, count: int) -> list[Sample]:
    """Few keys or many, short or long; now and then histories that step on every boundary."""
    if rng.random() < 0.2:
        keys = max(1, count // 400)
        return generate_edges(seed=rng.randrange(1 << 30), keys=keys, events=400)
    keys, span_ms = rng.choice([(20, 14_400_000), (200, 1_800_000), (1000, 1_800_000)])
    return generate(count, keys, seed=rng.randrange(1 << 30), span_ms=span_ms)


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Node(Process):
    """One life of Bettong on the run's data directory."""

    def __init__(self, app: Path, folder: Path, shards: int, http_port: int) -> None:
        self.http_port = http_port
        command = [
            str(BINARY), "serve", str(app), "-c", str(folder / "bettong.toml"),
            "--data", str(folder / "data"), "--resp-port", "0", "--http-port", str(http_port),
            "--shards", str(shards),
        ]  # fmt: skip
        super().__init__("bettong", command, folder / "bettong.log", watch="stderr")

    def wait_ready(self) -> None:
        self.wait_line("ready ", READY_S)

    def address(self, name: str) -> Address:
        """Of a port that the ready line names: resp, source.NAME."""
        line = next(line for line in self.lines if line.startswith("ready "))
        host, _, port = dict(part.split("=") for part in line.split()[1:])[name].rpartition(":")
        return host, int(port)

    def kill(self) -> None:
        if not self.alive:
            raise Trouble(f"bettong ended by itself with code {self.reap()}: {self.lines[-5:]}")
        super().kill()

    def gauge(self, name: str) -> float | None:
        """The sum of a metric; None: it is not told."""
        url = f"http://127.0.0.1:{self.http_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as page:
            text = page.read().decode()
        lines = [line for line in text.splitlines() if line.startswith(name + "{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None

    def settled(self, events: int) -> bool:
        """Whether everything in the topic has been read, and what came of it written."""
        if not self.alive:
            raise Trouble(f"bettong ended by itself with code {self.reap()}: {self.lines[-5:]}")
        names = ("source_partition_lag", "source_outstanding_events", "outbox_pending_bytes")
        # What nobody knows yet of a partition is not told.
        if self.gauge("bettong_source_partition_end") != events:
            return False
        return all(self.gauge(f"bettong_{name}") == 0 for name in names)


class Feeder(threading.Thread):
    """Writes the events in order, at once or over some seconds, whoever is away meanwhile."""

    def __init__(
        self,
        brokers: Brokers,
        topic: str,
        samples: list[Sample],
        over_s: float,
        away_s: float = 0.0,
    ) -> None:
        super().__init__(daemon=True)
        self.patience_s = SETTLE_S + away_s
        timeout_ms = round(1000 * self.patience_s)
        self.producer = brokers.producer(enable_idempotence=True, delivery_timeout_ms=timeout_ms)
        self.topic = topic
        self.samples = samples
        self.over_s = over_s
        self.left = -1
        self.errors: list[str] = []

    def run(self) -> None:
        chunk = max(1, len(self.samples) // 100)
        begun = time.monotonic()
        deliveries = []
        for start in range(0, len(self.samples), chunk):
            due = begun + self.over_s * start / len(self.samples)
            pause(max(0.0, due - time.monotonic()))
            part = self.samples[start : start + chunk]
            records = [Record(each.line(), each.key.encode()) for each in part]
            deliveries += produce_with(self.producer, self.topic, records)
        self.left = self.producer.flush(self.patience_s)
        self.errors = [str(each.error) for each in deliveries if each.error is not None]

    def finish(self) -> None:
        self.join(self.patience_s + self.over_s + SETTLE_S)
        if self.left != 0 or self.errors:
            raise Trouble(f"the events were not all written: {self.left}, {self.errors[:3]}")


class Run:
    def __init__(self, brokers: Brokers, folder: Path, rng: random.Random, name: str) -> None:
        self.brokers = brokers
        self.folder = folder
        self.rng = rng
        self.name = name
        self.tally = Tally()
        self.node: Node | None = None
        self.right = Answer({}, 0)
        self.events = 0
        self.app = APP

    def configure(self) -> None:
        rng = self.rng
        log = {"segment_bytes": rng.choice(["256kb", "1mb"]), "recovery_grace": "0ms"}
        lines = ["[log]", *(f'{name} = "{value}"' for name, value in log.items())]
        text = "\n".join(lines) + "\n"
        text += kafka_source(
            self.brokers.bootstrap,
            f"{self.name}-events",
            name="metrics",
            prefetch=rng.choice(["64kb", "1mb"]),
        )
        text += kafka_sink(
            self.brokers.bootstrap,
            f"{self.name}-alerts",
            name="alerts",
            stream="alerts",
            key="key",
            exactly_once=True,
            transactional_id=self.name,
        )
        if self.app != APP:
            text += PULSE_SOURCE
        (self.folder / "bettong.toml").write_text(text)

    def start_node(self) -> Node:
        self.node = Node(self.app, self.folder, self.rng.randint(1, 4), free_port())
        return self.node

    def prepare(self, events: int) -> list[Sample]:
        rng = self.rng
        samples = workload(rng, events)
        self.events = len(samples)
        self.right = answer(samples)
        self.brokers.create(f"{self.name}-events", rng.choice([1, 4, 7]))
        self.brokers.create(f"{self.name}-alerts", rng.choice([1, 3]))
        self.configure()
        return samples

    def run(self, events: int, fault: str) -> None:
        rng = self.rng
        samples = self.prepare(events)
        feeder = Feeder(self.brokers, f"{self.name}-events", samples, rng.choice([0.0, 2.0]))
        self.start_node()
        feeder.start()
        strikes = [] if fault in ("none", "broker") else ["bettong"] * rng.randint(2, 6)
        if fault in ("broker", "both"):
            strikes += ["broker"] * rng.randint(1, 2)
        rng.shuffle(strikes)
        for strike in strikes:
            if strike == "bettong":
                self.strike_bettong()
            else:
                self.strike_broker()
        feeder.finish()
        assert self.node is not None
        self.node.wait_ready()
        self.settle()
        self.conclude()

    def run_away(self, events: int, how: str, away_s: float, over_s: float) -> None:
        """All brokers are away, once, in the time that the events are written in or after it."""
        self.app = self.folder / "app.py"
        self.app.write_text(APP.read_text() + PULSE_APP)
        samples = self.prepare(events)
        feeder = Feeder(self.brokers, f"{self.name}-events", samples, over_s, away_s)
        node = self.start_node()
        node.wait_ready()
        feeder.start()
        with Pulse(node.address("source.beats"), node.address("resp")) as pulse:
            pause(self.rng.uniform(0.0, 2.0))
            all_away(self.brokers, how, away_s, pulse)
            back = time.monotonic()
            feeder.finish()
            self.settle()
            resumed_s = time.monotonic() - back
            pulse.beat()
            self.settle()
        self.right.alerts[HEART] = pulse.alerts()
        self.tally.absences.append(
            f"{how} for {away_s:g} s, beats={pulse.beats}, all done {resumed_s:.1f} s after it"
        )
        self.conclude()

    def conclude(self) -> None:
        self.tally.verdict.add(judge(self.read_alerts(), self.right.alerts))
        self.end_node()

    def strike_bettong(self) -> None:
        """kill -9: mostly while it works, sometimes while it starts."""
        assert self.node is not None
        if self.rng.random() < 0.8:
            self.node.wait_ready()
        pause(self.rng.uniform(0.0, 0.5))
        self.node.kill()
        self.tally.kills += 1
        self.start_node()

    def strike_broker(self) -> None:
        rng, brokers = self.rng, self.brokers
        pause(rng.uniform(0.0, 0.5))
        number = rng.randint(1, brokers.count)
        how = rng.choice(["restart", "kill", "pause"])
        if how == "pause":
            brokers.pause(number)
            try:
                pause(rng.uniform(0.2, 3.0))
            finally:
                brokers.resume(number)
            self.tally.pauses += 1
            return
        if how == "restart":
            brokers.restart(number)
        else:
            brokers.kill(number)
            pause(rng.uniform(0.0, 1.0))
            brokers.start_one(number)
        self.tally.broker_restarts += 1

    def settle(self) -> None:
        node = self.node
        assert node is not None
        what = "everything is read and written"
        try:
            await_condition(lambda: node.settled(self.events), what, within_s=SETTLE_S)
        except AssertionError as problem:
            # What is missing will be counted as lost; if nothing is, this is wrong nevertheless.
            self.tally.verdict.wrong += 1
            self.tally.verdict.findings.append(str(problem))
            print(f"  {problem}", flush=True)

    def read_alerts(self) -> list[str]:
        with Reader(self.brokers, f"{self.name}-alerts") as reader:
            records = reader.catch_up(SETTLE_S)
        records = sorted(records, key=lambda record: (record.partition, record.offset))
        with open(self.folder / "alerts.tsv", "w") as evidence:
            for one in records:
                names = [one.header(f"bettong-{each}") for each in ("partition", "sequence")]
                print(
                    one.partition,
                    one.offset,
                    one.timestamp,
                    *names,
                    one.value,
                    sep="\t",
                    file=evidence,
                )
        return [(record.value or b"").decode("utf-8", "replace") for record in records]

    def end_node(self) -> None:
        """In good order, which must succeed and write nothing more."""
        node = self.node
        assert node is not None
        before = len(self.read_alerts())
        node.signal(signal.SIGTERM)
        code = node.reap()
        self.node = None
        if code != 0:
            raise Trouble(f"bettong ended with code {code} after SIGTERM: {node.lines[-5:]}")
        more = len(self.read_alerts()) - before
        if more:
            raise Trouble(f"{more} alerts came with the end, when nothing was left to be written")

    def close(self) -> None:
        if self.node is not None and self.node.alive:
            Process.kill(self.node)


class Campaign:
    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments = arguments
        self.folder = folder
        self.total = Tally()

    def run(self) -> Tally:
        with Brokers(self.arguments.brokers) as brokers:
            for number in range(1, self.arguments.runs + 1):
                self.one(brokers, number)
        return self.total

    def one(self, brokers: Brokers, number: int) -> None:
        seed = f"{self.arguments.seed}/{number}"
        folder = self.folder / f"run-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run = Run(brokers, folder, random.Random(seed), f"run-{number}")
        begun = time.monotonic()
        try:
            if self.arguments.fault == "away":
                how, away_s = HOWS[(number - 1) % len(HOWS)], self.arguments.away_s
                over_s = run.rng.choice([0.0, 2.0, away_s + 4.0])
                run.run_away(self.arguments.events, how, away_s, over_s)
            else:
                run.run(self.arguments.events, self.arguments.fault)
        except (Trouble, AssertionError) as trouble:
            run.tally.verdict.wrong += 1
            run.tally.verdict.findings.append(f"wrong: {trouble}\n{traceback.format_exc()}")
            print(f"  wrong: {trouble}", flush=True)
        finally:
            run.close()
        tally = run.tally
        self.total.add(tally)
        print(
            f"run {number}: events={run.events} alerts={run.right.count} kills={tally.kills} "
            f"broker_restarts={tally.broker_restarts} pauses={tally.pauses} {tally.verdict} "
            f"seconds={time.monotonic() - begun:.1f}",
            flush=True,
        )
        for absence in tally.absences:
            print(f"  away: {absence}", flush=True)
        if tally.verdict.good:
            shutil.rmtree(folder)
        else:
            (folder / "findings").write_text("\n".join(tally.verdict.findings))
            for name, text in brokers.logs().items():
                (folder / f"{name}.log").write_text(text)
            print(f"  evidence: {folder}", flush=True)
            brokers.start()  # those that the run may have left hurt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, default="bettong")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--away-s", type=float, default=60.0, help="of the fault away")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # brokers and nodes end with us
        signal.signal(number, signal.default_int_handler)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bettong-kafka-campaign-"))
    campaign = Campaign(arguments, folder.resolve())
    try:
        total = campaign.run()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130
    print(
        f"runs={arguments.runs} kills={total.kills} broker_restarts={total.broker_restarts} "
        f"{total.verdict} seed={arguments.seed}"
    )
    return 0 if total.verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
