"""docs/dead-letters.md: its app, turns of it that raise, and events beyond a rate."""

from __future__ import annotations

from pathlib import Path

import pytest
from bettong import milliseconds
from bettong.testing import TestGrid

from documentation import blocks
from grids import ENVIRONMENT


def test_the_app_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("docs/dead-letters.md", "python")
    path = tmp_path / "payments.py"
    path.write_text(block.text)
    closed = tmp_path / "bank-is-closed"
    with TestGrid(path) as grid:
        closed.touch()
        grid.send("payments", {"account": "ann", "cents": 500})
        grid.send("clicks", {"account": "ann", "times": 1})
        grid.advance(milliseconds(200 + 400))
        assert grid.entity("account:ann") is None
        closed.unlink()
        grid.advance(milliseconds(799))
        assert grid.entity("account:ann") is None
        grid.advance(milliseconds(1))
        account = grid.entity("account:ann")
        assert account is not None
        assert (account.cents, account.clicked) == (500, 1)
        grid.send("clicks", [{"account": "ann", "times": 1}] * 150)
        again = grid.entity("account:ann")
        assert again is not None
        assert again.clicked == 100
        grid.send("clicks", {"account": "bob", "times": "many"})
        assert grid.entity("account:bob") is None
        closed.touch()
        grid.send("payments", {"account": "bob", "cents": 1})
        grid.advance(milliseconds(200 * (1 + 2 + 4 + 8 + 16)))
        (letter,) = grid.dead_letters()
        assert letter.error == "ConnectionError: the bank does not answer"
