"""Servers that follow each other on one data directory, and what a client sees of their data."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from harness import (
    ANY_PORTS,
    BINARY,
    DEADLINE_S,
    SANITIZER_REPORT,
    Launcher,
    RedisClient,
    Server,
    process_environment,
    run_bettong,
)

# Several segments, in little time.
SMALL_SEGMENTS = ("--set", "log.segment_bytes=1mb")


class DataNode:
    """Starts one server after the other on the same data directory."""

    def __init__(self, launch: Launcher, data: Path | None = None) -> None:
        self.launch = launch
        self.data = data or launch.folder / "data"

    def line(
        self,
        app: str | Path | None,
        *arguments: str | Path,
        config: str | None,
        shards: int,
    ) -> list[str | Path]:
        line: list[str | Path] = []
        if app is not None:
            line.append(app if isinstance(app, Path) else self.launch.write_app(app))
        if config is not None:
            line += ["-c", self.launch.write_config(config)]
        line += ["--shards", str(shards), *ANY_PORTS, "--data", self.data]
        return [*line, *SMALL_SEGMENTS, *arguments]

    def __call__(
        self,
        app: str | Path | None = None,
        *arguments: str | Path,
        config: str | None = None,
        shards: int = 2,
    ) -> Server:
        line = self.line(app, *arguments, config=config, shards=shards)
        server = Server(*line, cwd=self.launch.folder)
        self.launch.servers.append(server)
        return server

    def dies(
        self,
        app: str | Path | None = None,
        *arguments: str | Path,
        config: str | None = None,
        shards: int = 2,
    ) -> int:
        """A process that ends by itself, soon after its start or before: how."""
        line = self.line(app, *arguments, config=config, shards=shards)
        done = subprocess.run(
            [str(BINARY), "serve", *map(str, line)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.launch.folder,
            env=process_environment(),
            timeout=2 * DEADLINE_S,
            check=False,
        )
        text = done.stderr.decode("utf-8", "replace")
        assert not SANITIZER_REPORT.search(text), text
        return done.returncode

    def refused(
        self,
        app: str | Path | None = None,
        *arguments: str | Path,
        config: str | None = None,
        shards: int = 2,
    ) -> tuple[int, str]:
        """A start that must fail: its exit code and the last line on standard error."""
        line = self.line(app, *arguments, config=config, shards=shards)
        done = run_bettong("serve", *line, cwd=self.launch.folder)
        assert done.stdout == ""
        assert "ready resp=" not in done.stderr
        return done.returncode, done.stderr.rstrip("\n").rsplit("\n", 1)[-1]

    def kill(self, server: Server) -> None:
        """kill -9; the data stay."""
        server.process.kill()
        server.wait_exit()

    def copy(self) -> dict[str, bytes]:
        """Every file but the lock, as it is now."""
        files = [path for path in self.data.rglob("*") if path.is_file() and path.name != "LOCK"]
        return {str(path.relative_to(self.data)): path.read_bytes() for path in files}

    def put_back(self, files: dict[str, bytes]) -> None:
        shutil.rmtree(self.data)
        for name, data in files.items():
            path = self.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def settle(client: RedisClient) -> None:
    """All that any shard has recorded is on disk."""
    assert client.execute_command("WAITAOF", 1, 0, 0) == [1, 0]


def snapshot(client: RedisClient) -> dict[bytes, Any]:
    """Everything that a client can read: each key's type, value and deadline."""
    values: dict[bytes, Any] = {}
    for key in client.scan_iter(count=1000):
        kind = client.type(key)
        if kind == b"string":
            value = client.get(key)
        elif kind == b"hash":
            value = client.hgetall(key)
        elif kind == b"stream":
            value = (client.xrange(key), client.xinfo_stream(key)["last-generated-id"])
        else:
            raise AssertionError(f"{key!r} is a {kind!r}")
        values[key] = (kind, value, client.execute_command("PEXPIRETIME", key))
    assert len(values) == client.dbsize()
    return values
