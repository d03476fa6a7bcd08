"""Scenarios: files of JSON lines that say what comes in, and what is to come out.

{"start": 1700000000000}
{"at": 1700000000000, "stream": "beats", "event": {"host": "web-01", "load": 0.7}}
{"advance_to": 1700000010000}
{"expect": "alerts", "outputs": [{"host": "web-01", "state": "silent"}]}
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bettong.testing.errors import GridError, ScenarioError
from bettong.testing.grid import DEFAULT_START, TestGrid

SUFFIX = ".events.jsonl"
_STEPS: dict[str, set[str]] = {
    # The field that a step is known by, and what else it may have.
    "stream": {"at", "event", "events"},
    "advance_to": set(),
    "advance": set(),
    "expect": {"outputs", "partial"},
    "entity": {"fields"},
}


class ScenarioMismatch(AssertionError):
    """What came out is not what the scenario expects."""


def run_scenario(
    path: str | os.PathLike[str],
    *apps: str | os.PathLike[str] | ModuleType,
    shards: int = 1,
) -> None:
    """Runs a scenario on a grid of its own. ``apps`` are TestGrid's, or the scenario names one.

    The clock begins at the scenario's ``start``, or with its first time. ScenarioMismatch: an
    expectation is not met, or there is more at the end of a stream that was expected from.
    """
    steps = list(_read(Path(path)))
    named, start, steps = _settings(Path(path), steps)
    if not (apps or named):
        raise ScenarioError(
            f"{path}: no app to run it with; its first line may say one"
        )
    with TestGrid(*(apps or named), start=start, shards=shards) as grid:
        _Run(Path(path), grid).steps(steps)


def _read(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The steps, with the numbers of their lines; blank ones and comments are left out."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            step = json.loads(line)
        except ValueError as error:
            raise ScenarioError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(step, dict):
            raise ScenarioError(f"{path}:{number}: a step is a JSON object")
        yield number, step


def _settings(
    path: Path, steps: list[tuple[int, dict[str, Any]]]
) -> tuple[list[str], int, list[tuple[int, dict[str, Any]]]]:
    """What the first line sets, and the steps without it."""
    first = steps[0][1] if steps else {}
    settings: dict[str, Any] = {}
    if first and first.keys() <= {"app", "start"}:
        settings = first
        steps = steps[1:]
    times = (step.get("at", step.get("advance_to")) for _, step in steps)
    start = settings.get("start")
    if start is None:
        start = next((time for time in times if time is not None), DEFAULT_START)
    app = settings.get("app")
    return [] if app is None else [str(path.parent / app)], start, steps


class _Run:
    def __init__(self, path: Path, grid: TestGrid) -> None:
        self.path = path
        self.grid = grid
        self.expected: set[str] = set()
        self.kinds: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "stream": self.send,
            "advance_to": self.advance_to,
            "advance": self.advance,
            "expect": self.expect,
            "entity": self.entity,
        }

    def steps(self, steps: list[tuple[int, dict[str, Any]]]) -> None:
        where = str(self.path)
        for number, step in steps:
            where = f"{self.path}:{number}"
            kind = next((kind for kind in _STEPS if kind in step), None)
            if kind is None:
                raise ScenarioError(
                    f"{where}: a step has one of the fields {', '.join(_STEPS)}"
                )
            if unknown := step.keys() - _STEPS[kind] - {kind}:
                raise ScenarioError(
                    f"{where}: a step with {kind!r} has no {', '.join(sorted(unknown))}"
                )
            try:
                self.kinds[kind](where, step)
            except (GridError, TypeError, ValueError) as error:
                raise ScenarioError(f"{where}: {error}") from error
        for stream in sorted(self.expected):
            self.compare(f"{self.path}: at the end", stream, [], partial=False)

    def send(self, where: str, step: dict[str, Any]) -> None:
        if ("event" in step) == ("events" in step):
            raise ScenarioError(
                f"{where}: a step with 'stream' has 'event' or 'events'"
            )
        if "at" in step:
            self.grid.advance_to(step["at"])
        self.grid.send(
            step["stream"], step["events"] if "events" in step else [step["event"]]
        )

    def advance_to(self, where: str, step: dict[str, Any]) -> None:
        self.grid.advance_to(step["advance_to"])

    def advance(self, where: str, step: dict[str, Any]) -> None:
        self.grid.advance(step["advance"])

    def expect(self, where: str, step: dict[str, Any]) -> None:
        if not isinstance(step.get("outputs"), list):
            raise ScenarioError(f"{where}: 'outputs' is a list")
        self.expected.add(step["expect"])
        self.compare(
            where, step["expect"], step["outputs"], partial=step.get("partial", False)
        )

    def compare(
        self, where: str, stream: str, expected: list[Any], *, partial: bool
    ) -> None:
        outputs: list[Any] = list(self.grid.outputs(stream))
        if partial and len(outputs) == len(expected):
            outputs = [
                {name: output[name] for name in wanted if name in output}
                for output, wanted in zip(outputs, expected, strict=True)
            ]
        if outputs != expected:
            raise ScenarioMismatch(
                f"{where}: {stream} differs\n{_diff(expected, outputs)}"
            )

    def entity(self, where: str, step: dict[str, Any]) -> None:
        view = self.grid.entity(step["entity"])
        wanted = step.get("fields")
        if view is None or wanted is None:
            if view is not None:
                raise ScenarioMismatch(f"{where}: {step['entity']} exists: {view}")
            if wanted is not None:
                raise ScenarioMismatch(f"{where}: {step['entity']} does not exist")
            return
        there = {name: view[name] for name in wanted if name in view}
        if there != wanted:
            raise ScenarioMismatch(
                f"{where}: {step['entity']} differs\n{_diff([wanted], [there])}"
            )


def _lines(values: list[Any]) -> list[str]:
    """A value that is short on one line, else a line for each of its fields."""
    lines: list[str] = []
    for value in values:
        text = json.dumps(value, sort_keys=True)
        if len(text) > 100:
            text = json.dumps(value, sort_keys=True, indent=2)
        lines += text.splitlines()
    return lines


def _diff(expected: list[Any], outputs: list[Any]) -> str:
    lines = difflib.unified_diff(
        _lines(expected), _lines(outputs), "expected", "emitted", n=3, lineterm=""
    )
    return "\n".join(lines)
