"""Tests of apps, against the engine itself, under a clock that only the test moves.

from bettong.testing import TestGrid

with TestGrid("quiet.py") as grid:
    grid.send("beats", {"host": "web-01", "load": 0.7})
    grid.advance(5)
    assert grid.outputs("alerts") == [{"host": "web-01", "state": "silent"}]
"""

from __future__ import annotations

from bettong.testing.errors import (
    AppError,
    CommandError,
    EngineNotFound,
    GridError,
    ScenarioError,
    UnreadDeadLetters,
)
from bettong.testing.grid import DEFAULT_START, DeadLetter, TestGrid
from bettong.testing.scenario import ScenarioMismatch, run_scenario
from bettong.testing.views import EntityView

__all__ = [
    "DEFAULT_START",
    "AppError",
    "CommandError",
    "DeadLetter",
    "EngineNotFound",
    "EntityView",
    "GridError",
    "ScenarioError",
    "ScenarioMismatch",
    "TestGrid",
    "UnreadDeadLetters",
    "run_scenario",
]
