"""The engine as a child process: found, started, asked line by line."""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bettong.testing.errors import AppError, EngineNotFound, GridError

PROTOCOL = 1
STDERR_LINES_KEPT = 200
# Of the program, for an app that does not import (server/cli.h).
_EXIT_BAD_APP = 3
# It ends with its standard input; what it still does then is free its memory.
_EXIT_SECONDS_MAX = 10.0
_LISTEN_SECONDS_MAX = 1.0
_PACKAGE = Path(__file__).resolve().parent.parent


def find_engine() -> str:
    """The ``bettong`` program: $BETTONG_BINARY, beside the package, or on the PATH."""
    named = os.environ.get("BETTONG_BINARY")
    if named:
        if os.access(named, os.X_OK) and not os.path.isdir(named):
            return named
        raise EngineNotFound(f"$BETTONG_BINARY names no program: {named}")
    beside = (
        _PACKAGE.parents[3] / "bin/bettong",  # of <prefix>/share/bettong/python/bettong
        _PACKAGE.parents[2] / "build/release/bettong",  # of clients/python/bettong
    )
    for path in beside:
        if os.access(path, os.X_OK) and path.is_file():
            return str(path)
    on_path = shutil.which("bettong")
    if on_path is not None:
        return on_path
    raise EngineNotFound(
        "there is no program `bettong` to run the app with: it is not on the PATH, nor beside "
        f"{_PACKAGE}. Build it in Bettong's sources (tools/build.sh release bettong) or install "
        "it, and say where it is with BETTONG_BINARY=/path/to/bettong"
    )


class Engine:
    """``bettong grid`` as a child, from its start to ``close``. One thread uses it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        command = [find_engine(), "grid", *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._told = False  # that it has ended
        self._said: collections.deque[str] = collections.deque(maxlen=STDERR_LINES_KEPT)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            greeting = self._read()
            if greeting.get("protocol") != PROTOCOL:
                raise GridError(
                    f"{command[0]} speaks protocol {greeting.get('protocol')}, this package "
                    f"{PROTOCOL}: they are of different versions"
                )
        except BaseException:
            self.close()
            raise
        self.now: int = greeting["now"]
        self.streams: tuple[str, ...] = tuple(greeting["streams"])

    def ask(self, request: str) -> dict[str, Any]:
        """Sends one line of JSON; the answer as it is, errors included."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(request.encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError):
            self._raise_ended()
        answer = self._read()
        self.now = answer["now"]
        return answer

    def close(self) -> str | None:
        """Ends it. What went wrong with that, unless it has been said before."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # it has ended by itself
        try:
            process.wait(_EXIT_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._end_listening()
        if process.returncode == 0 or self._told:
            return None
        self._told = True
        return self._ended(process.returncode)

    def _read(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            line = stdout.readline()
        except ValueError:  # closed
            line = b""
        if not line:
            self._raise_ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _raise_ended(self) -> None:
        code = self._process.wait()
        self._end_listening()
        self._told = True
        if code == _EXIT_BAD_APP:
            raise AppError("\n".join(self._said))
        raise GridError(self._ended(code))

    def _ended(self, code: int) -> str:
        said = "\n".join(self._said)
        return f"the engine has ended with code {code}" + (f":\n{said}" if said else "")

    def _end_listening(self) -> None:
        # A process that the app has started, and that lives on, may hold the pipe open.
        self._listener.join(_LISTEN_SECONDS_MAX)

    def _listen(self) -> None:
        """What the engine and the app's print() say goes to this process's standard error."""
        stderr = self._process.stderr
        assert stderr is not None
        with stderr:
            for line in stderr:
                text = line.decode(errors="replace").rstrip("\n")
                self._said.append(text)
                print(text, file=sys.stderr)
