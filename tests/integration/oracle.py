"""A real Redis, against which answers are compared."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness import DEADLINE_S, eventually, free_port
from resp import Connection

# One database only: several databases are something Bettong does not offer.
COMMAND = ["redis-server", "--save", "", "--daemonize", "no", "--bind", "127.0.0.1"]
COMMAND += ["--databases", "1"]


class RedisServer:
    """A real Redis, the oracle of the differential tests."""

    def __init__(self, folder: Path) -> None:
        self.address = ("127.0.0.1", free_port())
        self.log = folder / "redis.log"
        self.process = subprocess.Popen(
            [*COMMAND, "--port", str(self.address[1]), "--dir", str(folder)],
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        try:
            eventually(self._answers, "an answer of redis-server")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            with self.connect() as connection:
                return bool(connection.call("PING") == "PONG")
        except ConnectionRefusedError:
            return False

    def connect(self, *, protocol: int = 2) -> Connection:
        return Connection(self.address, protocol=protocol, deadline_s=DEADLINE_S)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
