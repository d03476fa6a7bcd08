"""The native host's way into the package: loading apps, output, information. Not for users."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import io
import os
import sys
import traceback
import types
from pathlib import Path
from typing import TextIO

from bettong import _checks, _describe, _guards, _modules, _reload
from bettong.app import App


def prepare() -> None:
    """Runs once, when the interpreter has started."""
    sys.stdout = _line_writer()
    sys.stderr = _line_writer()
    sys.argv = ["bettong"]
    _modules.install()
    _guards.keep_standard_streams()


def _line_writer() -> TextIO:
    """User output goes to stderr by lines: the process's stdout is for data."""
    return io.TextIOWrapper(
        open(2, "wb", buffering=0, closefd=False),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
        write_through=False,
    )


def load(paths: list[str]) -> _describe.Description | str:
    """Imports the app files and says what they declare; or, as text, why that failed."""
    for name in _modules.app_names():
        sys.modules.pop(name, None)
    _modules.app_names_are(set())
    description = _load(paths, _describe.NOTHING)
    if not isinstance(description, str):
        # What was loaded stays: no collection need ever look at it again.
        gc.collect()
        gc.freeze()
    return description


def stage(
    arguments: tuple[list[str], list[str], list[str], list[str]],
) -> _describe.Description | str:
    """The same of another version: streams and classes that are known keep their places.

    Of paths, streams, classes, and those of the classes that set timers, or did.
    """
    paths, streams, classes, timers = arguments
    return _load(paths, _describe.Known(streams, classes, frozenset(timers)))


begin_stage = _reload.begin_stage
end_stage = _reload.end_stage
fail_stage = _reload.fail_stage
exchange = _reload.exchange
drop_staged = _reload.drop
switch = _reload.switch
tidy = _reload.tidy


def _user_frames(frames: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback from where the app's own code begins; none if this package found the mistake."""
    package = str(Path(__file__).parent)
    first = frames
    while first is not None:
        file = first.tb_frame.f_code.co_filename
        if not file.startswith((package, "<frozen importlib")):
            return first
        first = first.tb_next
    return None


def _load(paths: list[str], known: _describe.Known) -> _describe.Description | str:
    try:
        _describe.reset()
        _checks.open_declarations(True)
        for path in paths:
            _load_file(Path(path))
        return _describe.describe(known)
    except BaseException as error:  # noqa: BLE001 (SystemExit too)
        return "".join(
            traceback.format_exception(
                type(error), error, _user_frames(error.__traceback__)
            )
        )
    finally:
        _checks.open_declarations(False)


def _load_file(path: Path) -> None:
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no such app: {path}")
    directory = str(path.parent)
    if directory not in sys.path:
        sys.path.insert(0, directory)
    name = path.stem
    while (
        name in sys.modules
    ):  # another app's, or a module that this file happens to be named like
        name += "_"
    _modules.add_app(name, directory)
    spec = importlib.util.spec_from_file_location(
        name, path, loader=_modules.SourceLoader(name, str(path))
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    before = _describe.declared_count()
    spec.loader.exec_module(module)
    has_app = any(isinstance(value, App) for value in vars(module).values())
    if not has_app and _describe.declared_count() == before:
        raise TypeError(
            f'{path}: not an app: it makes and imports no App (app = App("name"))'
        )


limit_recursion = _guards.limit_recursion


def finish() -> None:
    """Runs when a host is done: what Python does at its exit, without ending."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def info() -> dict[str, str]:
    """What ``bettong doctor`` shows."""
    try:
        import numpy

        numpy_version = numpy.__version__
    except Exception as error:  # noqa: BLE001
        numpy_version = f"not importable: {error!r}".splitlines()[0]
    return {
        "version": sys.version.split()[0],
        "prefix": sys.prefix,
        "site-packages": os.pathsep.join(p for p in sys.path if p.endswith("-packages"))
        or "none",
        "bettong package": str(Path(__file__).parent),
        "numpy": numpy_version,
    }
