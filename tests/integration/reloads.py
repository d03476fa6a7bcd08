"""What tests of RELOAD share."""

from __future__ import annotations

from pathlib import Path

from apps import with_prelude
from harness import Server, source_table

EVENTS = source_table("events", "events")


def thing(fields: str, body: str = "self.n += 1", more: str = "") -> str:
    """An app with one class, whose handler does what `body` says."""
    return with_prelude(
        f"""
class Thing(app.Entity):
    n: int = 0
    {fields}

    @events.on(key="key")
    def take(self, e: In):
        {body}

    {more}
"""
    )


def reload(server: Server, *paths: str | Path) -> None:
    assert server.redis().execute_command("RELOAD", *map(str, paths)) == "OK"
