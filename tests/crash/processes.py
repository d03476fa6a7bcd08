"""The processes of a life: the node, its load, its consumer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from patience import wait_until

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BINARY = Path(os.environ.get("BETTONG_BINARY", REPOSITORY / "build" / "release" / "bettong"))
READY_S = 120.0
DRAIN_S = 300.0
EXIT_S = 180.0
ORACLE_S = 600.0
# The node itself ends an orderly end that takes too long, as it does where the machine stood still.
FORCED = "the orderly end took too long"


class Trouble(Exception):
    """A process did what it must never do."""


def environment() -> dict[str, str]:
    paths = (REPOSITORY / "clients" / "python", REPOSITORY / "tests" / "integration", HERE)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}


class Process:
    """A child whose output lines can be waited for. Its standard error goes to a file as well."""

    def __init__(self, name: str, command: list[str], log: Path, *, watch: str) -> None:
        self.name = name
        self.log = log
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if watch == "stdout" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if watch == "stderr" else open(log, "ab"),  # noqa: SIM115
            env=environment(),
        )
        self.lines: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(watch,), daemon=True)
        self._reader.start()

    def _read(self, watch: str) -> None:
        pipe = self.process.stdout if watch == "stdout" else self.process.stderr
        assert pipe is not None
        with open(self.log, "ab", buffering=0) as log, contextlib.closing(pipe):
            for line in pipe:
                log.write(line)
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
        self._ended = True

    def has_said(self, start: str) -> bool:
        return any(line.startswith(start) for line in list(self.lines))

    def wait_line(self, start: str, within_s: float) -> None:
        wait_until(lambda: self.has_said(start) or self._ended, within_s)
        if not self.has_said(start):
            code = self.process.poll()
            how = "took too long" if code is None else f"ended with code {code}"
            raise Trouble(f"{self.name} {how} before it was {start.strip()}: {self.lines[-3:]}")

    def tell(self, command: str, answer: str, within_s: float) -> None:
        assert self.process.stdin is not None
        self.lines.clear()
        try:
            self.process.stdin.write(f"{command}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Trouble(f"{self.name} is gone: {self.process.poll()}") from None
        self.wait_line(answer, within_s)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.reap()

    def reap(self) -> int:
        if not wait_until(lambda: not self.alive, EXIT_S):
            raise Trouble(f"{self.name} does not end: {self.threads()}")
        code = self.process.wait()
        self._reader.join()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return code

    def threads(self) -> list[str]:
        """What each thread is at, for those who look into it."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                state = (task / "stat").read_text().rpartition(")")[2].split()[0]
                found.append(f"{(task / 'comm').read_text().strip()}:{state}:"
                             f"{(task / 'wchan').read_text()}")  # fmt: skip
        return found

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class Node(Process):
    def __init__(self, folder: Path, resp: int, shards: int, grace_ms: int) -> None:
        command = [
            str(BINARY), "serve", str(HERE / "app.py"), "-c", str(folder / "bettong.toml"),
            "--data", str(folder / "data"), "--resp-port", str(resp), "--http-port", "0",
            "--shards", str(shards), "--set", f"log.recovery_grace={grace_ms}ms",
        ]  # fmt: skip
        super().__init__("the node", command, folder / "node.log", watch="stderr")

    def wait_ready(self) -> None:
        self.wait_line("ready ", READY_S)

    @property
    def ready(self) -> bool:
        return self.has_said("ready ")

    def terminate(self) -> None:
        """In good order, which must succeed."""
        self.signal(signal.SIGTERM)
        code = self.reap()
        if code != 0 and not any(FORCED in line for line in self.lines):
            raise Trouble(f"the node ended with code {code} after SIGTERM: {self.lines[-5:]}")


def python(name: str, folder: Path, *arguments: str) -> Process:
    """One of the programs beside this file."""
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    return Process(name, command, folder / f"{name}.log", watch="stdout")


def run_oracle(folder: Path, resp: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HERE / "crash_oracle.py"), str(folder), str(resp)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=ORACLE_S,
        check=False,
    )


def verify_log(folder: Path) -> None:
    done = subprocess.run(
        [str(BINARY), "wal", "verify", str(folder / "data")],
        capture_output=True,
        text=True,
        timeout=ORACLE_S,
        check=False,
    )
    if done.returncode != 0:
        raise Trouble(f"bettong wal verify: {done.stderr.strip() or done.stdout.strip()}")


def pause(seconds: float) -> None:
    """A random moment: the only thing that the driver waits for by the clock."""
    time.sleep(seconds)
