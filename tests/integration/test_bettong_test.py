"""`bettong test`: pytest with the fixture `grid`, and scenarios."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import run_bettong

pytestmark = pytest.mark.sanitized

APP = """
from bettong import App, seconds

app = App("quiet")
beats = app.stream("beats")
alerts = app.stream("alerts")


class Host(app.Entity, ttl=seconds(5)):
    beats: int

    @beats.on(key="host")
    def beat(self, e):
        self.beats += e.get("n", 1)

    def on_expire(self):
        alerts.emit(host=self.key, state="silent", beats=self.beats)
"""

TEST = """
import pytest
{mark}

def test_quiet(grid):
    grid.send("beats", {{"host": "web-01"}})
    grid.advance(5)
    assert grid.outputs("alerts") == [{{"host": "web-01", "state": "silent", "beats": 1}}]
"""


def lines(*steps: object) -> str:
    return "".join(f"{json.dumps(step)}\n" for step in steps)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "quiet.py").write_text(APP)
    (tmp_path / "tests").mkdir()
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, str]:
    done = run_bettong(
        "test", "--python", sys.executable, *arguments, "-p", "no:cacheprovider", cwd=project
    )
    return done.returncode, done.stdout + done.stderr


def test_an_app_given_as_an_option(project: Path) -> None:
    (project / "tests/test_quiet.py").write_text(TEST.format(mark=""))
    code, said = run(project, "--app", "quiet.py", "tests", "-q")
    assert (code, "1 passed" in said) == (0, True), said


@pytest.mark.parametrize("toml", ['["quiet.py"]', '"quiet.py"'])
def test_an_app_of_the_configuration_and_pytests_options(project: Path, toml: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\nbettong_app = {toml}\n")
    (project / "tests/test_quiet.py").write_text(
        TEST.format(mark="") + "\ndef test_other(grid):\n    assert False\n"
    )
    code, said = run(project, "-v", "-k", "quiet and not other", "tests")
    assert (code, "1 passed, 1 deselected" in said) == (0, True), said


def test_an_app_that_a_marker_names(project: Path) -> None:
    mark = 'pytestmark = pytest.mark.bettong("../quiet.py", start=5000, shards=2)'
    (project / "tests/test_quiet.py").write_text(
        TEST.format(mark=mark) + "\ndef test_start(grid):\n    assert grid.now == 5000\n"
    )
    code, said = run(project, "--strict-markers")
    assert (code, "2 passed" in said) == (0, True), said


def test_without_an_app_it_says_how_to_name_one(project: Path) -> None:
    (project / "tests/test_quiet.py").write_text(TEST.format(mark=""))
    code, said = run(project)
    assert code == 1
    assert "the fixture `grid` does not know the app" in said
    assert "--bettong-app app.py" in said


def test_a_test_that_passes_and_leaves_dead_letters_fails(project: Path) -> None:
    (project / "tests/test_quiet.py").write_text(
        "def test_it(grid):\n    grid.send('beats', {'host': 'a', 'n': 'one'})\n"
    )
    code, said = run(project, "--app", "quiet.py")
    assert code == 1
    assert "1 failed" in said
    assert "UnreadDeadLetters: 1 dead letter(s)" in said
    assert "TypeError" in said


def test_exit_codes_are_pytests(project: Path) -> None:
    code, said = run(project, "--app", "quiet.py", "tests/nothing_here")
    assert (code, "no tests ran" in said) == (4, True), said


def test_an_interpreter_without_pytest(project: Path) -> None:
    bare = project / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    done = run_bettong("test", "--python", str(bare), cwd=project)
    assert done.returncode == 2
    assert f"{bare}/bin/python has no pytest" in done.stderr
    assert "-m pip install pytest" in done.stderr
    done = run_bettong("test", cwd=project, environment={"VIRTUAL_ENV": str(bare)})
    assert done.returncode == 2
    assert f"{bare}/bin/python has no pytest" in done.stderr


def test_an_interpreter_that_is_not_there(project: Path) -> None:
    done = run_bettong("test", "--python", "no-such-python", cwd=project)
    assert done.returncode == 1
    assert "no executable 'no-such-python' on PATH" in done.stderr


# -- scenarios


def scenario(project: Path, text: str) -> tuple[int, str]:
    (project / "tests/quiet.events.jsonl").write_text(text)
    return run(project, "--app", "quiet.py")


def test_a_scenario_that_is_met(project: Path) -> None:
    code, said = scenario(
        project,
        "# One host falls silent.\n\n"
        + lines(
            {"at": 1000, "stream": "beats", "event": {"host": "a"}},
            {"at": 2000, "stream": "beats", "events": [{"host": "b"}, {"host": "b"}]},
            {"entity": "host:b", "fields": {"beats": 2}},
            {"expect": "alerts", "outputs": []},
            {"advance_to": 6000},
            {"entity": "host:a", "fields": None},
            {"expect": "alerts", "outputs": [{"host": "a", "state": "silent", "beats": 1}]},
            {"advance": 1},
            {"expect": "alerts", "partial": True, "outputs": [{"host": "b"}]},
        ),
    )
    assert (code, "1 passed" in said) == (0, True), said


def test_what_differs_is_shown_line_by_line(project: Path) -> None:
    code, said = scenario(
        project,
        lines(
            {"at": 1000, "stream": "beats", "events": [{"host": "a"}, {"host": "b"}]},
            {"advance": 5},
            {
                "expect": "alerts",
                "outputs": [
                    {"host": "a", "state": "silent", "beats": 1},
                    {"host": "c", "state": "silent", "beats": 1},
                ],
            },
        ),
    )
    assert (code, "1 failed" in said) == (1, True), said
    assert re.search(r"quiet\.events\.jsonl:3: alerts differs$", said, re.MULTILINE), said
    assert '\n {"beats": 1, "host": "a", "state": "silent"}\n' in said
    assert '\n-{"beats": 1, "host": "c", "state": "silent"}\n' in said
    assert '\n+{"beats": 1, "host": "b", "state": "silent"}\n' in said
    assert "Traceback" not in said


def test_more_than_was_expected_is_found_at_the_end(project: Path) -> None:
    code, said = scenario(
        project,
        lines(
            {"expect": "alerts", "outputs": []},
            {"stream": "beats", "event": {"host": "a"}},
            {"advance": 5},
        ),
    )
    assert (code, "at the end: alerts differs" in said) == (1, True), said


def test_dead_letters_fail_a_scenario_unless_they_are_expected(project: Path) -> None:
    bad = {"stream": "beats", "event": {"host": "a", "n": "one"}}
    code, said = scenario(project, lines(bad))
    assert (code, "TypeError" in said) == (1, True), said
    letters = [{"class": "Host", "key": "a", "handler": "beat"}]
    code, said = scenario(
        project,
        lines(bad, {"expect": "bettong:dead-letters", "partial": True, "outputs": letters}),
    )
    assert (code, "1 passed" in said) == (0, True), said


def test_a_scenario_may_name_its_app(project: Path) -> None:
    (project / "tests/own.events.jsonl").write_text(
        lines(
            {"app": "../quiet.py", "start": 4000},
            {"stream": "beats", "event": {"host": "a"}},
            {"advance_to": 9000},
            {"expect": "alerts", "partial": True, "outputs": [{"host": "a"}]},
        )
    )
    code, said = run(project)
    assert (code, "1 passed" in said) == (0, True), said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ":1: not JSON"),
        ("[]", ":1: a step is a JSON object"),
        (lines({"advance": 1}, {"stram": "beats"}), ":2: a step has one of the fields stream,"),
        (lines({"advance": 1, "ms": 2}), ":1: a step with 'advance' has no ms"),
        (lines({"stream": "beats"}), ":1: a step with 'stream' has 'event' or 'events'"),
        (lines({"stream": "beat", "event": {}}), ":1: no app declares the stream 'beat'"),
        (lines({"expect": "alerts"}), ":1: 'outputs' is a list"),
        (lines({"advance_to": 9}, {"advance_to": 8}), ":2: advance to 8 ms: it is 9 ms already"),
        (lines({"entity": "host:x", "fields": {"beats": 1}}), ":1: host:x does not exist"),
    ],
)
def test_mistakes_in_a_scenario_name_the_line(project: Path, text: str, words: str) -> None:
    code, said = scenario(project, text)
    assert code == 1
    assert f"quiet.events.jsonl{words}" in said
    assert "Traceback" not in said
