"""What docs/testing.md shows is what happens: its app and tests are run, its blocks executed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from documentation import Block, blocks, write_files
from harness import BINARY, run_bettong

PAGE = "docs/testing.md"
SNIPPETS = [block for block in blocks(PAGE, "python") if block.file_name is None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(PAGE, tmp_path)
    monkeypatch.setenv("BETTONG_BINARY", str(BINARY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tests_of_the_page(project: Path) -> None:
    (command,) = (block.text for block in blocks(PAGE, "console"))
    words = command.removeprefix("$ bettong ").split()
    done = run_bettong(*words, cwd=project, environment={"VIRTUAL_ENV": sys.prefix})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) == 3


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
@pytest.mark.usefixtures("project")
def test_a_snippet_of_the_page(block: Block) -> None:
    exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})
