"""Kills a node at random moments under load, again and again, and has the oracle judge it.

    python driver.py --kills N [--seed S] [--folder FOLDER] [--fresh]

A **life** is a data directory from its first start to its end: some dozen kills, in **rounds** of
about ten; after each round the load comes to rest, and the oracle judges. Last line:
`kills=N lost=0 duplicated=0 wrong=0`; exit code 1 if something is not 0. FOLDER/state.json tells
how far it has come; called again it goes on to N. What contradicts stays in FOLDER/evidence.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from processes import (
    DRAIN_S,
    READY_S,
    REPOSITORY,
    Node,
    Process,
    Trouble,
    pause,
    python,
    run_oracle,
    verify_log,
)

KINDS = ("lost", "duplicated", "wrong")
PORTS = range(20_000, 32_000)  # below those that the system gives to clients

CONFIG = """\
[log]
segment_bytes = "{segment}"
durability = "{durability}"

[stream.adds]
durability = "sync"

[source.in]
kind = "bettong-stream"
listen = "127.0.0.1:{source}"
stream = "events"

[sink.file]
kind = "file"
stream = "outs"
path = "{folder}/outs.jsonl"

[sink.file_letters]
kind = "file"
stream = "bettong:dead-letters"
path = "{folder}/letters.jsonl"

[sink.rx]
kind = "bettong-stream"
stream = "outs"
address = "127.0.0.1:{receiver}"

[sink.rx_letters]
kind = "bettong-stream"
stream = "bettong:dead-letters"
address = "127.0.0.1:{receiver}"
"""


@dataclass
class State:
    """How far a campaign has come; only what the oracle has judged counts."""

    seed: int
    kills: int = 0
    lives: int = 0
    events: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    seconds: float = 0.0

    @staticmethod
    def load(path: Path, seed: int) -> State:
        if not path.exists():
            return State(seed)
        state = State(**json.loads(path.read_text()))
        if state.seed != seed:
            sys.exit(f"{path} is of seed {state.seed}")
        return state

    def save(self, path: Path) -> None:
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)

    @property
    def violated(self) -> bool:
        return bool(self.lost or self.duplicated or self.wrong)

    def line(self) -> str:
        return f"kills={self.kills} " + " ".join(f"{kind}={getattr(self, kind)}" for kind in KINDS)


def free_ports(rng: random.Random, count: int) -> list[int]:
    ports: list[int] = []
    while len(ports) < count:
        port = rng.choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports:
                ports.append(port)
    return ports


class Life:
    """One data directory and the processes around it."""

    def __init__(self, folder: Path, seed: str, number: int) -> None:
        self.folder = folder
        self.rng = random.Random(f"{seed} life {number}")
        self.seed = f"{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.durability = self.rng.choice(["async", "async", "sync"])
        # Any will do; what the seed decides should not depend on which are free.
        self.resp, self.source, self.receiver = free_ports(random.Random(), 3)
        (folder / "bettong.toml").write_text(
            CONFIG.format(
                segment=self.rng.choice(["64kb", "256kb", "1mb"]),
                durability=self.durability,
                source=self.source,
                receiver=self.receiver,
                folder=folder,
            )
        )
        self.events = 0
        self.node: Node | None = None
        self.consumer = self.start_consumer()
        self.senders = self.start_senders()
        self.writers = self.start_writers()

    # -- processes ------------------------------------------------------------------------------

    def start_consumer(self) -> Process:
        store = str(self.folder / "store.db")
        process = python("consumer", self.folder, f"127.0.0.1:{self.receiver}", store)
        process.wait_line("ready", READY_S)
        return process

    def start_senders(self) -> Process:
        return python("senders", self.folder, str(self.folder), self.seed, str(self.source))

    def start_writers(self) -> Process:
        return python(
            "writers", self.folder, str(self.folder), self.seed, str(self.resp), self.durability
        )

    def start(self) -> Node:
        rng = self.rng
        grace_ms = rng.choice([0, 50, 500])
        self.node = Node(self.folder, self.resp, rng.randint(1, 4), grace_ms)
        return self.node

    def close(self) -> None:
        for process in (self.node, self.senders, self.writers, self.consumer):
            if process is not None and process.alive:
                process.kill()

    # -- a round --------------------------------------------------------------------------------

    def strike(self) -> int:
        """One way for the node to end; how many kills it was."""
        rng = self.rng
        node = self.node or self.start()
        how = rng.choices(
            ["run", "recovery", "soon", "term", "term and kill", "stop"], [60, 14, 10, 5, 6, 5]
        )[0]
        moment_s = rng.uniform(0.05, 0.7)
        if how == "recovery" and not node.ready:
            pause(rng.uniform(0.0, 0.25))
            return self.kill(node)
        node.wait_ready()
        self.disturb()
        pause(rng.uniform(0.0, 0.05) if how == "soon" else moment_s)
        if how == "term":
            node.terminate()
            self.node = None
            return 0
        if how == "term and kill":
            node.signal(signal.SIGTERM)
            pause(rng.uniform(0.0, 0.08))
            if not node.alive:
                node.reap()
                self.node = None
                return 0
        elif how == "stop":
            node.signal(signal.SIGSTOP)
            pause(rng.uniform(0.0, 0.2))
        return self.kill(node)

    def kill(self, node: Node) -> int:
        """SIGKILL; that the node has ended by itself is trouble."""
        if not node.alive:
            raise Trouble(f"the node ended by itself with code {node.reap()}: {node.lines[-5:]}")
        node.kill()
        self.node = None
        if self.rng.random() < 0.04:
            self.writers.kill()
            self.writers = self.start_writers()
        return 1

    def disturb(self) -> None:
        """Now and then those around the node die, too."""
        rng = self.rng
        if rng.random() < 0.07:
            self.consumer.kill()
            self.consumer = self.start_consumer()
        if rng.random() < 0.06:
            self.senders.kill()
            self.senders = self.start_senders()

    def judge(self) -> dict[str, int]:
        """The load comes to rest, and the oracle looks."""
        (self.node or self.start()).wait_ready()
        for load in (self.senders, self.writers):
            load.wait_line("", DRAIN_S)  # started
            load.tell("drain", "drained", DRAIN_S)
        return self.ask_oracle()

    def go_on(self) -> None:
        for load in (self.senders, self.writers):
            load.tell("go", "going", DRAIN_S)

    def ask_oracle(self) -> dict[str, int]:
        done = run_oracle(self.folder, self.resp)
        lines = done.stdout.splitlines()
        with open(self.folder / "oracle.log", "a") as log:
            log.write(done.stdout + done.stderr)
        try:
            found: dict[str, int] = json.loads(lines[-1])
        except (IndexError, ValueError):
            raise Trouble(f"the oracle failed: {done.stderr[-2000:]}") from None
        for line in lines[:-1]:
            print(f"  {line}", flush=True)
        self.events = found.pop("events")
        return found

    def end(self) -> dict[str, int]:
        """After the last round: a good end, a look at the log, and all is still there."""
        assert self.node is not None
        self.node.terminate()
        verify_log(self.folder)
        self.start().wait_ready()
        return self.ask_oracle()


class Campaign:
    def __init__(self, folder: Path, seed: int, kills: int) -> None:
        self.folder = folder
        self.state_path = folder / "state.json"
        self.state = State.load(self.state_path, seed)
        self.kills = kills

    def run(self) -> None:
        while self.state.kills < self.kills and not self.state.violated:
            self.live()

    def live(self) -> None:
        state = self.state
        state.lives += 1
        rng = random.Random(f"{state.seed} length {state.lives}")
        length = min(rng.choice([10, 20, 30, 40]), self.kills - state.kills)
        begun = time.monotonic()
        before = state.kills
        life = Life(self.folder / "life", str(state.seed), state.lives)
        try:
            judged_events = 0
            while (done := state.kills - before) < length:
                kills, due = 0, min(rng.randint(6, 14), length - done)
                while kills < due:
                    kills += life.strike()
                found = life.judge()
                state.kills += kills
                state.events += life.events - judged_events
                judged_events = life.events
                self.note(found, life)
                if state.violated:
                    return
                if state.kills - before < length:
                    life.go_on()
            self.note(life.end(), life)
        except Trouble as trouble:
            print(f"  wrong: {trouble}", flush=True)
            self.note({"wrong": 1}, life)
        finally:
            life.close()
            state.seconds += time.monotonic() - begun
            state.save(self.state_path)
        print(
            f"life {state.lives}: {state.kills - before} kills, {life.events} events, "
            f"{life.durability}, {time.monotonic() - begun:.0f} s; {state.line()}",
            flush=True,
        )

    def note(self, found: dict[str, int], life: Life) -> None:
        """Counts what was found, and keeps what shows it."""
        state = self.state
        for kind in KINDS:
            setattr(state, kind, getattr(state, kind) + found.get(kind, 0))
        if any(found.get(kind) for kind in KINDS):
            life.close()
            evidence = self.folder / "evidence" / f"life-{state.lives}"
            shutil.rmtree(evidence, ignore_errors=True)
            shutil.copytree(life.folder, evidence)
            print(f"  evidence: {evidence} (seed {state.seed}, life {state.lives})", flush=True)
        state.save(self.state_path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--fresh", action="store_true", help="forget an earlier campaign")
    arguments = parser.parse_args()
    folder = arguments.folder or REPOSITORY / "build" / "crash" / f"seed-{arguments.seed}"
    folder = folder.resolve()
    if arguments.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # also in the background of a shell
        signal.signal(number, signal.default_int_handler)
    campaign = Campaign(folder, arguments.seed, arguments.kills)
    try:
        campaign.run()
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", flush=True)
        return 130
    print(campaign.state.line())
    return 1 if campaign.state.violated else 0


if __name__ == "__main__":
    sys.exit(main())
