"""What TestGrid raises."""

from __future__ import annotations


class GridError(Exception):
    """Base of the others; its own class when the engine refuses a request, or has ended."""


class EngineNotFound(GridError):
    """There is no ``bettong`` program to run the app with."""


class AppError(GridError):
    """The app does not load; the message is the engine's, with the traceback."""


class CommandError(GridError):
    """A command, or a call of an entity's method, answered an error."""


class UnreadDeadLetters(GridError):
    """Events failed, and the test did not ask for ``dead_letters()``."""


class ScenarioError(GridError):
    """A line of a scenario cannot be read."""
