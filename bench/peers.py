"""What the benchmarks measure with: programs, their CPU time, and a plain Python peer."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BETTONG = ROOT / "build/release/bettong"
sys.path[:0] = [str(ROOT / "tests/integration")]
# Apps find the packages of the environment that the benchmark itself runs in.
os.environ.setdefault("VIRTUAL_ENV", sys.prefix)

# An entity of five numbers, by the name of its key.
ENTITY_APP = """
from bettong import App, Event, hours
app = App("bench")
class Sample(Event):
    key: str
    value: int
samples = app.stream("samples", Sample)
class Ent(app.Entity, ttl=hours(28)):
    count: int = 0
    total: int = 0
    top: int = 0
    last: int = 0
    status: int = 0
    @samples.on(key="key")
    def sample(self, e: Sample) -> None:
        self.count += 1
        self.total += e.value
    @app.command
    def sum(self) -> int:
        return self.total

slow = app.stream("slow")
class Sleeper(app.Entity):
    @slow.on(key="key")
    def sleep(self, e: dict) -> None:
        import time
        time.sleep(0.05)
"""


class Server:
    """A server on a free port of this machine, and the CPU seconds it has used."""

    def __init__(self, command: list[str], ready: bytes) -> None:
        # A session of its own, as services have: Linux shares processors out among sessions.
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        text = b""
        while ready not in text:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"{command[0]} did not start:\n{text.decode()}")
            text += line
        self.line = text.decode()

    def cpu_s(self) -> float:
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        used = (
            int((thread / "schedstat").read_text().split()[0]) for thread in threads
        )
        return sum(used) / 1e9

    def rss(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+)", status)
        assert match is not None
        return int(match[1]) * 1024

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def bettong(*arguments: str, data: Path | None = None) -> tuple[Server, int]:
    """A node, in memory or with a data directory, and the port of its Redis protocol."""
    where = ["--no-data"] if data is None else ["--data", str(data)]
    ports = ["--resp-port", "0", "--http-port", "0"]
    command = [str(BETTONG), "serve", *where, *ports, *arguments]
    server = Server(command, b"ready resp=")
    match = re.search(r"resp=[^ ]*:(\d+)", server.line)
    assert match is not None
    return server, int(match[1])


def redis(*arguments: str) -> tuple[Server, int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ours = (
        ROOT / ".venv/bin/redis-server"
    )  # tools/setup.sh: Debian's, without its service
    server = str(ours) if ours.exists() else "redis-server"
    settings = arguments or ("--appendonly", "no")
    command = [server, "--port", str(port), "--save", "", *settings]
    return Server(command, b"Ready to accept connections"), port


def timed(command: list[str]) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds, stderr of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=True
    )
    wall_s = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, done.stderr


def virtual_environment_python() -> str:
    path = ROOT / ".venv/bin/python"
    return str(path) if os.path.exists(path) else sys.executable
