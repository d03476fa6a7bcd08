"""What the load says it does: lines of JSON in files, written before it does it.

A killed process leaves whole lines, and perhaps a part of one at the end, which was never acted on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Journal:
    """Appends records; they survive this process as soon as `write` has returned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (held for life)
        whole = whole_lines(path)
        self._file.truncate(sum(map(len, whole)) + len(whole))

    def write(self, *records: Any) -> None:
        text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        self._file.write(text.encode())


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file without their newlines; an unfinished last one is left out."""
    if not path.exists():
        return []
    return path.read_bytes().split(b"\n")[:-1]


def read_journal(path: Path) -> list[Any]:
    return [json.loads(line) for line in whole_lines(path)]
