"""Which modules are the app's own, and how they are imported: from their sources, always. Not for users."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

_PACKAGES = frozenset({"site-packages", "dist-packages"})

_directories: set[str] = set()
"""Folders of the apps that have been loaded: what lies below is theirs."""

_app_files: set[str] = set()
"""Names of the modules that app files have become."""


class SourceLoader(SourceFileLoader):
    """Compiles the source each time: a cached file cannot tell two edits of one second apart."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder:
    """Finds what the path finder finds, and has sources of the app loaded by SourceLoader."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if (
            spec is None
            or spec.origin is None
            or type(spec.loader) is not SourceFileLoader
        ):
            return None
        if not is_own_file(spec.origin):
            return None
        spec.loader = SourceLoader(name, spec.origin)
        return spec


def install() -> None:
    """From here on the app's modules are loaded from their sources."""
    sys.meta_path.insert(0, _Finder)


def add_app(name: str, directory: str) -> None:
    """An app file is about to be loaded as the module of this name."""
    _app_files.add(name)
    _directories.add(os.path.abspath(directory))


def app_names() -> set[str]:
    return set(_app_files)


def app_names_are(names: set[str]) -> None:
    _app_files.clear()
    _app_files.update(names)


def _environment() -> set[str]:
    """Where packages lie that an app uses, but has not written."""
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    own_package = os.path.dirname(os.path.abspath(__file__))
    return {os.path.abspath(paths[kind]) for kind in kinds} | {own_package}


_ENVIRONMENT = _environment()


def _below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip(os.sep) + os.sep)


def is_own_file(file: str) -> bool:
    path = os.path.abspath(file)
    if not any(_below(path, directory) for directory in _directories):
        return False
    if any(_below(path, directory) for directory in _ENVIRONMENT):
        return False
    return _PACKAGES.isdisjoint(path.split(os.sep))


def _is_own(name: str, module: ModuleType) -> bool:
    if name in _app_files:
        return True
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return False
    if spec.origin is not None and spec.has_location:
        # A library in machine code cannot be loaded twice.
        extension = isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)
        return not extension and is_own_file(spec.origin)
    places = list(spec.submodule_search_locations or ())  # a folder without __init__.py
    return bool(places) and all(is_own_file(place) for place in places)


def own_modules() -> dict[str, ModuleType]:
    """The app's modules that are imported now, by name."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and _is_own(name, module)
    }
