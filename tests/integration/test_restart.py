"""What a node does by itself after a start in a directory with data."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps import with_prelude
from harness import (
    ANY_PORTS,
    Launcher,
    Server,
    eventually,
    file_sink_table,
    json_lines,
    source_table,
)

GOING = with_prelude(
    """
    class Thing(app.Entity, ttl=1):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1

        def on_expire(self):
            out.emit(key=self.key)
    """
)
KEYS = 40


@pytest.mark.parametrize("grace", ["0", "50ms"])
def test_what_is_due_expires_though_nobody_asks(
    launch: Launcher, tmp_path: Path, grace: str
) -> None:
    sink = tmp_path / "out.jsonl"
    config = source_table("events", "events") + file_sink_table("out", "out", sink)
    arguments = [
        launch.write_app(GOING), "-c", launch.write_config(config), "--shards", "4", *ANY_PORTS,
        "--data", tmp_path / "data", "--set", f"log.recovery_grace={grace}",
    ]  # fmt: skip
    server = Server(*arguments, cwd=tmp_path)
    launch.servers.append(server)
    server.feed(*({"key": f"k{i}"} for i in range(KEYS)))
    server.stop()
    launch.servers.append(Server(*arguments, cwd=tmp_path))
    eventually(lambda: len(sink.read_text().splitlines()) >= KEYS, f"{KEYS} ends")
    gone = [line["key"] for line in json_lines(sink.read_text())]
    assert sorted(gone) == sorted(f"k{i}" for i in range(KEYS))
