"""bettong.testing without an engine: replies, finding the program, what mypy sees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bettong.testing import (
    AppError,
    CommandError,
    EngineNotFound,
    GridError,
    TestGrid,
    _engine,
)
from bettong.testing._resp import parse_reply

PACKAGE = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"+OK\r\n", "OK"),
        (b":-5\r\n", -5),
        (b"(123456789012345678901234567890\r\n", 123456789012345678901234567890),
        (b",2.5\r\n", 2.5),
        (b",-inf\r\n", float("-inf")),
        (b"#t\r\n", True),
        (b"#f\r\n", False),
        (b"_\r\n", None),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"$4\r\na\r\nb\r\n", "a\r\nb"),
        (b"$2\r\n\xff\x00\r\n", b"\xff\x00"),
        (b"=7\r\ntxt:abc\r\n", "abc"),
        (b"*2\r\n:1\r\n*1\r\n+a\r\n", [1, ["a"]]),
        (b"%1\r\n+a\r\n%1\r\n+b\r\n:1\r\n", {"a": {"b": 1}}),
        (b"~2\r\n:1\r\n:2\r\n", {1, 2}),
    ],
)
def test_replies(data: bytes, value: object) -> None:
    assert parse_reply(data) == value
    assert type(parse_reply(data)) is type(value)


@pytest.mark.parametrize("data", [b"-ERR no\r\n", b"!6\r\nERR no\r\n"])
def test_error_replies_are_raised(data: bytes) -> None:
    with pytest.raises(CommandError, match="ERR no"):
        parse_reply(data)


@pytest.mark.parametrize("data", [b"+a\r\n+b\r\n", b"?\r\n", b"+a"])
def test_what_is_not_one_reply(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_reply(data)


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_engine_is_looked_for_in_three_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "prefix/share/bettong/python/bettong"
    monkeypatch.setattr(_engine, "_PACKAGE", installed)
    monkeypatch.delenv("BETTONG_BINARY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    with pytest.raises(EngineNotFound) as caught:
        _engine.find_engine()
    assert "not on the PATH, nor beside" in str(caught.value)
    assert "tools/build.sh release bettong" in str(caught.value)
    assert "BETTONG_BINARY=/path/to/bettong" in str(caught.value)
    on_path = program(tmp_path / "path/bettong")
    assert _engine.find_engine() == str(on_path)
    beside = program(tmp_path / "prefix/bin/bettong")
    assert _engine.find_engine() == str(beside)
    named = program(tmp_path / "named")
    monkeypatch.setenv("BETTONG_BINARY", str(named))
    assert _engine.find_engine() == str(named)
    monkeypatch.setenv("BETTONG_BINARY", str(tmp_path))
    with pytest.raises(EngineNotFound, match="BETTONG_BINARY names no program"):
        _engine.find_engine()


def test_a_program_that_speaks_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "bettong")
    monkeypatch.setenv("BETTONG_BINARY", str(path))
    path.write_text("""#!/bin/sh\necho '{"protocol": 99}'\n""")
    with pytest.raises(GridError, match="speaks protocol 99, this package 1"):
        TestGrid("app.py")
    path.write_text("#!/bin/sh\necho it is over >&2\nexit 7\n")
    with pytest.raises(GridError, match="ended with code 7:\nit is over"):
        TestGrid("app.py")
    path.write_text("#!/bin/sh\necho no import >&2\nexit 3\n")
    with pytest.raises(AppError, match="no import"):
        TestGrid("app.py")


USE = """
from bettong import App, Event, seconds
from bettong.testing import TestGrid, run_scenario

class Sample(Event):
    host: str

samples = App("test").stream("samples", Sample)

with TestGrid("app.py", start=0, shards=2) as grid:
    grid.send(samples, Sample(host="a"))
    grid.send("samples", [{"host": "a"}, "text", b"bytes"])
    grid.advance(seconds(30))
    reveal_type(grid.now)  # int
    reveal_type(grid.entities())  # dict[str, bettong.testing.views.EntityView]
    reveal_type(grid.outputs(samples))  # list[dict[str, Any]]
    reveal_type(grid.dead_letters()[0].traceback)  # str
    reveal_type(grid.watermark("samples"))  # int | None
    if (host := grid.entity("host:a")) is not None:
        reveal_type(host.ttl)  # float | None
        print(host.cpu, host["cpu"])
    grid.send("samples", 5)  # error: arg-type
    grid.advance("30")  # error: arg-type
run_scenario("a.events.jsonl", "app.py")
"""


def test_mypy_knows_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "use.py"
    path.write_text(USE)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            str(tmp_path),
            str(path),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(PACKAGE)},
        check=False,
    )
    found: dict[int, set[str]] = {}
    for number, kind, text in re.findall(
        r"^\S+?:(\d+): (\w+): (.*)$", done.stdout, re.MULTILINE
    ):
        if kind == "note" and (shown := re.match('Revealed type is "(.*)"', text)):
            found.setdefault(int(number), set()).add(shown[1])
        elif kind == "error":
            found.setdefault(int(number), set()).add(
                "error: " + text.rpartition("[")[2].rstrip("]")
            )
    wanted = {
        number: {line.rpartition("  # ")[2]}
        for number, line in enumerate(USE.splitlines(), 1)
        if "  # " in line
    }
    found = {
        number: {text.replace("builtins.", "") for text in texts}
        for number, texts in found.items()
    }
    assert found == wanted, done.stdout
