"""What the tests of bettong.testing share: apps on the spot, grids that end with the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bettong.testing import TestGrid

from apps import with_prelude
from harness import BINARY


class Grids:
    """Starts grids that run the binary under test; all are closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._grids: list[TestGrid] = []

    def app(self, body: str, name: str = "app.py") -> Path:
        path = self.folder / name
        path.write_text(with_prelude(body))
        return path

    def __call__(self, body: str, **options: Any) -> TestGrid:
        grid = TestGrid(self.app(body), **options)
        self._grids.append(grid)
        return grid

    def close(self) -> None:
        for grid in self._grids:
            grid.close()


# For child processes that look for the program themselves.
ENVIRONMENT = {"BETTONG_BINARY": str(BINARY)}
