"""`bettong run --output -` and readers that go away or do not read."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps import with_prelude
from harness import BINARY, SHUTDOWN_LIMIT_S, SLOWDOWN, eventually, process_environment

APP = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            out.emit(key=self.key, s="x" * 100)
    """
)
EVENTS = 20_000  # their outputs do not fit into a pipe


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    app, events = folder / "app.py", folder / "in.jsonl"
    app.write_text(APP)
    events.write_text("".join(json.dumps({"key": f"k{n % 100}"}) + "\n" for n in range(EVENTS)))
    process = subprocess.Popen(
        [str(BINARY), "run", str(app), "--input", str(events), "--output", "-"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=process_environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ended(process: subprocess.Popen[bytes], within_s: float) -> tuple[int, str]:
    begun = time.monotonic()
    code = process.wait(timeout=within_s + 30 * SLOWDOWN)
    assert time.monotonic() - begun < within_s
    assert process.stderr is not None
    return code, process.stderr.read().decode()


def test_it_ends_when_its_reader_is_gone(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["key"].startswith("k")
        process.stdout.close()
        code, stderr = ended(process, 5 * SLOWDOWN)
    assert code == 1
    assert stderr.splitlines()[-1] == "bettong: write output: its reader is gone (broken pipe)"


def test_sigterm_ends_it_while_nobody_reads(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        code, stderr = ended(process, SHUTDOWN_LIMIT_S)
    assert code == 130
    assert "took too long" in stderr


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()

        # The second may come while the first waits to be taken; then they are one.
        def gone() -> bool:
            process.send_signal(signal.SIGTERM)
            return process.poll() is not None

        eventually(gone, "the process to end", within_s=2 * SLOWDOWN)
        code, stderr = ended(process, 1)
    assert code == 130
    assert "second signal" in stderr
