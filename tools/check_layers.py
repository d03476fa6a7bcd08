#!/usr/bin/env python3
"""Checks who includes whom, and that the core of the grid stays pure.

A folder may include what LAYERS lists for it, third-party headers only where THIRD_PARTY
says so; the grid's core includes no I/O and no threads and calls no clock; every public
header compiles alone; the table of folders in ARCHITECTURE.md says the same as LAYERS.
Exit status 1 and one line per violation, `file:line: message`.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What each layer may include besides itself; the public contract may be included by all.
# A file belongs to the layer with the longest matching path. A layer below another folder
# (grid/runtime) is a layer of its own: `grid` alone does not allow it.
LAYERS: dict[str, set[str]] = {
    "include/bettong": set(),
    "base": set(),
    "wal": {"base"},
    "grid": {"wal", "base"},
    "grid/runtime": {"grid", "wal", "base"},
    "compute": {"grid", "base"},
    "compute/python": {"compute", "grid", "base"},
    "protocol": {"grid/runtime", "grid", "base"},
    "ingest": {"grid/runtime", "grid", "base"},
    "cluster": {"grid/runtime", "grid", "wal", "base"},
    "server": {
        "cluster",
        "ingest",
        "protocol",
        "compute",
        "grid/runtime",
        "grid",
        "wal",
        "base",
    },
    "clients/cpp": set(),
    "examples": set(),
}
# These stand above everything.
UNLIMITED = {"bench", "tests"}


@dataclass(frozen=True)
class ThirdParty:
    headers: str  # a regular expression, matched from the start of the included name
    allowed: tuple[str, ...]  # patterns of the files that may include them
    why: str


THIRD_PARTY = (
    ThirdParty(
        r"(Python|structmember|pythread|frameobject|datetime)\.h$|cpython/",
        ("compute/python/*",),
        "Python's headers belong to compute/python/",
    ),
    ThirdParty(
        r"(librdkafka/)?rdkafka(cpp)?\.h$",
        ("ingest/kafka*", "cluster/*", "bench/*", "tests/*"),
        "Kafka belongs to ingest/kafka* and cluster/",
    ),
    ThirdParty(
        r"boost/asio",
        (
            "grid/runtime/*",
            "protocol/*connection*",
            "protocol/*listener*",
            "ingest/*",
            "cluster/*",
            "server/*",
            "bench/*",
            "tests/*",
        ),
        "Asio belongs to connections: grid/runtime/, protocol/*connection* or "
        "*listener*, ingest/, cluster/, server/",
    ),
    ThirdParty(
        r"(gtest|gmock)/",
        ("*_test.cc", "*_testing.cc", "*_testing.h", "tests/*"),
        "GoogleTest belongs to tests",
    ),
)

# The pure core: grid/ without grid/runtime/, and without its tests.
IMPURE_HEADERS = re.compile(
    r"boost/|uv\.h|absl/(synchronization/|time/clock\.h)"
    r"|(thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier"
    r"|stop_token|fstream|iostream|filesystem)$"
    r"|(unistd|fcntl|poll|pthread|dlfcn|netdb|sched|aio|liburing)\.h$"
    r"|(sys|netinet|arpa|linux)/"
)
IMPURE_CALLS = re.compile(
    r"\b\w*[cC]lock\s*::\s*[nN]ow\s*\("
    r"|\b(clock_gettime|gettimeofday|timespec_get|getrandom|nanosleep|usleep|sleep_for"
    r"|sleep_until|__rdtsc|random_device)\b"
    r"|(?<![\w.>])time\s*\(\s*(nullptr|NULL|0|&)"
    r"|\babsl\s*::\s*Now\s*\("
)
# ThreadSanitizer does not see fences; orderings on the atomics themselves do the same.
FENCES = re.compile(r"\batomic_(thread|signal)_fence\b")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# What must not be searched for calls: comments, and the insides of literals.
NOT_CODE = re.compile(
    r'R"(?P<raw>[^()\\\s]{0,16})\(.*?\)(?P=raw)"'
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z])'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)
SOURCE_SUFFIXES = {".h", ".cc"}
ARCHITECTURE = "ARCHITECTURE.md"
# | `grid/runtime/` | what it is | grid, base |
FOLDER_ROW = re.compile(r"^\| `([\w/]+)/` \|.*\| ([^|]+) \|$")


def blank(text: str) -> str:
    """The text without comments and literals, every line where it was."""

    def spaces(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match.group())

    return NOT_CODE.sub(spaces, text)


def layer_of(path: str) -> str | None:
    """The layer a file belongs to, by its path from the root."""
    candidates = [
        layer for layer in [*LAYERS, *UNLIMITED] if path.startswith(layer + "/")
    ]
    return max(candidates, key=len, default=None)


def is_test(path: str) -> bool:
    return re.search(r"_(test|testing|fuzz)\.(cc|h)$", path) is not None


class Checker:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.violations: list[str] = []

    def report(self, path: str, line: int, message: str) -> None:
        self.violations.append(f"{path}:{line}: {message}")

    def sources(self) -> Iterator[str]:
        for top in sorted({layer.split("/")[0] for layer in [*LAYERS, *UNLIMITED]}):
            for file in sorted((self.root / top).rglob("*")):
                if file.suffix in SOURCE_SUFFIXES and file.is_file():
                    yield file.relative_to(self.root).as_posix()

    def check(self, path: str) -> None:
        layer = layer_of(path)
        if layer is None:
            return
        text = (self.root / path).read_text(encoding="utf-8")
        code = blank(text)
        pure = layer == "grid" and not is_test(path)
        lines = zip(text.splitlines(), code.splitlines(), strict=True)
        for number, (line, bare) in enumerate(lines, start=1):
            if FENCES.search(bare):
                message = "a fence: ThreadSanitizer cannot see it; order the atomics"
                self.report(path, number, message)
            call = IMPURE_CALLS.search(bare) if pure else None
            if call:
                what = call.group().strip()
                message = f"the grid's core takes time as an argument: {what}"
                self.report(path, number, message)
            # Blanking empties "..." but leaves `#include`: a comment has neither.
            include = INCLUDE.match(line)
            if include and re.match(r"\s*#\s*include\b", bare):
                self.check_include(path, number, layer, pure, *include.groups())

    def check_include(
        self, path: str, number: int, layer: str, pure: bool, kind: str, name: str
    ) -> None:
        for rule in THIRD_PARTY:
            if re.match(rule.headers, name) and not any(
                fnmatch.fnmatch(path, pattern) for pattern in rule.allowed
            ):
                self.report(path, number, f"{name}: {rule.why}")
        if pure and IMPURE_HEADERS.match(name):
            message = f"{name}: the grid's core has no I/O, threads or locks"
            self.report(path, number, message)

        target = "include/" + name if name.startswith("bettong/") else name
        target_layer = layer_of(target)
        if target_layer is None:
            if kind == '"' and ((self.root / path).parent / name).exists():
                message = f"{name}: includes are written from the root"
                self.report(path, number, message)
            foreign = "/" in name and not name.startswith("absl/")
            if layer == "include/bettong" and foreign:
                message = f"{name}: the public contract has std and absl only"
                self.report(path, number, message)
            return
        if not (self.root / target).exists():
            self.report(path, number, f"{name}: no such file")
        if layer in UNLIMITED or target_layer in {layer, "include/bettong"}:
            return
        if target_layer not in LAYERS[layer]:
            self.report(path, number, f"{name}: {layer}/ may not see {target_layer}/")

    def check_architecture(self) -> None:
        """The table of folders has a row for each layer that there is, and no other word."""
        page = self.root / ARCHITECTURE
        if not page.exists():
            return
        told: dict[str, int] = {}
        for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
            row = FOLDER_ROW.match(line)
            if row is None or row.group(1) not in LAYERS:
                continue
            layer = row.group(1)
            told[layer] = number
            # What is not there yet need not be told.
            present = {name for name in LAYERS[layer] if self.has_sources(name)}
            words = set(re.split(r",\s*", row.group(2))) - {"-"}
            if words != present and not (words == {"all"} and layer == "server"):
                allowed = ", ".join(sorted(present)) or "-"
                self.report(ARCHITECTURE, number, f"{layer}/ includes: {allowed}")
        for layer in LAYERS:
            if layer != "examples" and layer not in told and self.has_sources(layer):
                self.report(ARCHITECTURE, 1, f"no row for {layer}/")

    def has_sources(self, layer: str) -> bool:
        folder = self.root / layer
        return any(file.suffix in SOURCE_SUFFIXES for file in folder.rglob("*"))

    def check_public_headers(self, compiler: str) -> None:
        """Compiles each public header alone, seeing nothing of the engine."""
        flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
        flags += ["-x", "c++"]
        include = self.root / "include"
        for header in sorted((include / "bettong").rglob("*.h")):
            name = header.relative_to(include).as_posix()
            result = subprocess.run(
                [compiler, *flags, f"-I{include}", "-"],
                input=f"#include <{name}>\n",
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode != 0:
                first = next(iter(result.stderr.splitlines()), "")
                self.report(f"include/{name}", 1, f"does not compile alone: {first}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--root", type=Path, default=root)
    parser.add_argument("--compiler", default="g++", help="empty: compile nothing")
    arguments = parser.parse_args()

    checker = Checker(arguments.root)
    count = 0
    for path in checker.sources():
        checker.check(path)
        count += 1
    checker.check_architecture()
    if arguments.compiler:
        checker.check_public_headers(arguments.compiler)
    for violation in checker.violations:
        print(violation, file=sys.stderr)
    found = len(checker.violations)
    print(f"check_layers: {count} files, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
