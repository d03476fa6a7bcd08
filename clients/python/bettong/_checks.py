"""What handlers must be, wherever they are declared."""

from __future__ import annotations

import importlib
import inspect

_open = True


def open_declarations(is_open: bool) -> None:
    """Whether an app is being loaded. Outside of a node it always is."""
    global _open
    _open = is_open


def check_open(where: str) -> None:
    """What is declared by code that runs would never be heard of."""
    if not _open:
        raise RuntimeError(
            f"{where}: handlers and pipelines are declared by the app's module, while it is loaded"
        )


def check_plain(where: str, function: object, what: str) -> None:
    """Calling any other kind of function runs nothing of it."""
    kinds = (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    )
    if not callable(function) or any(kind(function) for kind in kinds):
        raise TypeError(f"{where}: {what}, without async and yield")


def check_columns(where: str, stream: str, event: type | None) -> None:
    if event is None:
        raise TypeError(
            f"{where}: columns need events with a class, and those of stream {stream!r} are dicts"
        )
    try:
        importlib.import_module("numpy")
    except ImportError as error:
        raise TypeError(
            f"{where}: columns are arrays of numpy, which cannot be imported ({error}): install "
            "it, or say with --python in which environment it is"
        ) from None
