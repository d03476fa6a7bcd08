"""Hot reload: another version of the apps, imported beside the one that runs. Not for users.

The modules of the version that runs are those in ``sys.modules``, but for the time in which the
other one is imported, or tried out: what is imported late belongs to whoever asks for it.
"""

from __future__ import annotations

import gc
import importlib
import sys
from dataclasses import dataclass, field
from types import ModuleType

from bettong import _modules


@dataclass(slots=True)
class Version:
    """What there is of a version besides its objects."""

    modules: dict[str, ModuleType] = field(default_factory=dict)
    app_names: set[str] = field(default_factory=set)
    path: list[str] = field(default_factory=list)


_other: Version | None = None
"""The version that does not run: the staged one; while that is imported, the one that runs."""


def _take() -> Version:
    """Takes the version that is in place out of it."""
    version = Version(_modules.own_modules(), _modules.app_names(), list(sys.path))
    for name in version.modules:
        del sys.modules[name]
    _modules.app_names_are(set())
    return version


def _put(version: Version) -> None:
    sys.modules.update(version.modules)
    _modules.app_names_are(version.app_names)
    sys.path[:] = version.path


def exchange() -> None:
    """The other version is in place, for a moment or from here on."""
    global _other
    assert _other is not None
    other, _other = _other, _take()
    _put(other)


def begin_stage() -> None:
    """Makes room for another version to be imported."""
    global _other
    importlib.invalidate_caches()
    _other = _take()


def end_stage() -> None:
    """The version has been imported; the one before goes on to run."""
    exchange()


def drop() -> None:
    """The staged version is no good."""
    global _other
    _other = None


def fail_stage() -> None:
    """What has been imported is no good."""
    exchange()
    drop()


def switch() -> None:
    """The staged version runs from here on."""
    exchange()
    drop()


def tidy() -> None:
    """Frees what is left of a version that has gone."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
