"""Pages of documentation as tests use them: their fenced blocks, with the lines they begin at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import REPOSITORY

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The first line of a block that is a file: "# tests/test_quiet.py".
FILE_NAME = re.compile(r"^# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    place: str  # "docs/testing.md:12"

    @property
    def file_name(self) -> str | None:
        """Of a block that begins with its name, as a comment."""
        match = FILE_NAME.match(self.text)
        return match[1] if match else None


def blocks(page: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, of one language or all, in order."""
    text = (REPOSITORY / page).read_text()
    found = [
        Block(match[1], match[2], f"{page}:{text.count(chr(10), 0, match.start()) + 2}")
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]


def write_files(page: str, folder: Path) -> list[Path]:
    """Writes the blocks that are files below a folder; the same name again replaces it."""
    written = []
    for block in blocks(page):
        if block.file_name is None:
            continue
        path = folder / block.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        written.append(path)
    return written
