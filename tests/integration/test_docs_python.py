"""What docs/python.md shows is what happens: every block of it is executed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import bettong
import pytest

from documentation import Block, blocks, write_files
from harness import BINARY, REPOSITORY, Launcher, run_bettong
from test_readme import check, session

PAGE = "docs/python.md"
APPS = [block for block in blocks(PAGE, "python") if block.file_name is not None]
SNIPPETS = [block for block in blocks(PAGE, "python") if block.file_name is None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(PAGE, tmp_path)
    monkeypatch.setenv("BETTONG_BINARY", str(BINARY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_apps_and_snippets() -> None:
    assert [block.file_name for block in APPS] == [
        "shop.py", "fever.py", "metrics.py", "rooms.py", "kept.py", "trend.py"
    ]  # fmt: skip
    assert len(SNIPPETS) == 7
    assert {block.language for block in blocks(PAGE)} == {"python", "console", "toml"}


@pytest.mark.parametrize("block", APPS, ids=lambda block: block.file_name)
def test_an_app_of_the_page(project: Path, block: Block) -> None:
    assert block.file_name is not None
    done = run_bettong("check", project / block.file_name)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
@pytest.mark.usefixtures("project")
def test_a_snippet_of_the_page(block: Block) -> None:
    exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})


def test_the_session_of_the_page(launch: Launcher, project: Path) -> None:
    (shown,) = (session(block.text) for block in blocks(PAGE, "console"))
    assert len(shown) == 4
    server = launch(project / "shop.py", config="")
    for command, answer in shown:
        check(server, command, answer)


def test_the_configuration_of_the_page(tmp_path: Path) -> None:
    node, mypy = (block.text for block in blocks(PAGE, "toml"))
    path = tmp_path / "bettong.toml"
    path.write_text(node)
    done = run_bettong("config", "show", "-c", path)
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout)["python"]["memory_limit"] == 512 << 20
    # As clients/python/tests run it.
    assert tomllib.loads(mypy)["tool"]["mypy"]["plugins"] == ["bettong.mypy_plugin"]


def test_the_pages_have_every_public_name() -> None:
    pages = [
        "python", "containers", "windows", "time", "testing", "stream-protocol", "dead-letters",
    ]  # fmt: skip
    text = "".join((REPOSITORY / "docs" / f"{page}.md").read_text() for page in pages)
    assert set(bettong.__all__) - set(re.findall(r"\w+", text)) == set()
