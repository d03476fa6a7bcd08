"""Processes that the demo starts, and what it learns from them."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Sequence

STDERR_LINES = 20
BYTES_PER_LINE_MAX = 4096


class NotReady(Exception):
    """The process ended, or took too long, before it was ready."""


class Child:
    """A process that we started; ended by its pid, and only by us."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._ready = ""
        self._news = threading.Event()  # the ready line came, or there will be none
        # In a session of its own: Ctrl-C reaches us alone, and we decide who ends when; and the
        # kernel, which shares the CPUs among sessions, does not starve it for our neighbours.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        while raw := self.process.stderr.readline(BYTES_PER_LINE_MAX):
            line = raw.decode("utf-8", "replace").rstrip()
            if line.startswith("ready ") and not self._ready:
                self._ready = line
                self._news.set()
            self._tail.append(line)
        self._news.set()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, within_s: float) -> str:
        if not self._news.wait(within_s):
            raise NotReady(f"{self.name} was not ready within {within_s:.0f} s")
        if not self._ready:
            self.process.wait()
            raise NotReady(f"{self.name} {self.ending()} before it was ready")
        return self._ready

    def ending(self) -> str:
        code = self.process.returncode
        if code is None:
            return "runs"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def last_lines(self) -> list[str]:
        if not self.running:
            self._reader.join(1.0)
        return list(self._tail)

    def stop(self, within_s: float) -> str:
        """Ends it with SIGTERM; what went wrong with that, or nothing."""
        if not self.running:
            return ""
        self.process.terminate()
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"{self.name} had to be killed: SIGTERM did not end it in {within_s:.0f} s"
        return (
            ""
            if code in (0, -signal.SIGTERM)
            else f"on SIGTERM, {self.name} {self.ending()}"
        )

    def kill(self) -> None:
        if self.running:
            self.process.kill()
            self.process.wait()


def parse_ready(line: str) -> dict[str, tuple[str, int]]:
    """The addresses in "ready resp=host:port source.metrics=host:port"."""
    addresses = {}
    for word in line.split()[1:]:
        name, _, address = word.partition("=")
        host, _, port = address.rpartition(":")
        if port.isdigit():
            addresses[name] = (host.strip("[]"), int(port))
    return addresses


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
