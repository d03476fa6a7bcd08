"""The layer check finds what is planted, and is silent about what is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A tree that breaks nothing.
CLEAN = {
    "include/bettong/event.h": "#pragma once\n#include <string>\n"
    "namespace bettong { struct Event { std::string key; }; }\n",
    "base/ids.h": '#pragma once\n#include "bettong/event.h"\n',
    "base/clock.cc": '#include "base/ids.h"\n#include <chrono>\n'
    "auto Now() { return std::chrono::steady_clock::now(); }\n",
    "grid/entry.h": '#pragma once\n#include "base/ids.h"\n#include <chrono>\n'
    "// Never calls steady_clock::now().\n"
    "struct Entry { long time() const; long deadline = 1'000'000; };\n",
    "grid/entry_test.cc": '#include "grid/entry.h"\n#include <gtest/gtest.h>\n',
    "grid/runtime/loop.h": '#include "grid/entry.h"\n#include <thread>\n'
    "#include <boost/asio/io_context.hpp>\n",
    "compute/lane.h": '#include "grid/entry.h"\n',
    "compute/python/host.cc": '#include <Python.h>\n#include "compute/lane.h"\n',
    "protocol/connection.cc": "#include <boost/asio/ip/tcp.hpp>\n"
    '#include "grid/runtime/loop.h"\n',
    "ingest/kafka_source.cc": "#include <librdkafka/rdkafka.h>\n",
    "server/node.cc": '#include "compute/lane.h"\n#include "grid/runtime/loop.h"\n',
    "tests/sim/world.cc": '#include "compute/lane.h"\n',
}


def check(
    tree: Path, extra: dict[str, str], compiler: str = ""
) -> subprocess.CompletedProcess[str]:
    for path, text in {**CLEAN, **extra}.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return subprocess.run(
        [
            sys.executable,
            str(ROOT / "tools/check_layers.py"),
            f"--root={tree}",
            f"--compiler={compiler}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_allowed_tree_passes(tmp_path: Path) -> None:
    result = check(tmp_path, {}, compiler="g++")
    assert result.stderr == ""
    assert result.returncode == 0
    assert f"{len(CLEAN)} files, 0 violations" in result.stdout


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("base/x.cc", '#include "grid/entry.h"', id="upwards"),
        pytest.param("protocol/x.cc", '#include "compute/lane.h"', id="sibling"),
        pytest.param("compute/x.cc", '#include "protocol/x.h"', id="sibling-missing"),
        pytest.param("ingest/x.h", '#include "compute/lane.h"', id="ingest-compute"),
        pytest.param("compute/x.h", '#include "grid/runtime/loop.h"', id="runtime"),
        pytest.param("grid/x.h", '#include "grid/runtime/loop.h"', id="core-runtime"),
        pytest.param("grid/x_test.cc", '#include "compute/lane.h"', id="test-of-core"),
        pytest.param("base/x.cc", '#include "grid/gone.h"', id="no-such-file"),
        pytest.param("base/x.cc", '#include "ids.h"', id="not-from-the-root"),
        pytest.param("compute/x.cc", "#include <Python.h>", id="python"),
        pytest.param("ingest/tcp.cc", "#include <librdkafka/rdkafka.h>", id="kafka"),
        pytest.param(
            "protocol/parser.cc", "#include <boost/asio/buffer.hpp>", id="asio"
        ),
        pytest.param("base/x.h", "#include <boost/asio.hpp>", id="asio-in-base"),
        pytest.param("base/x.cc", "#include <gtest/gtest.h>", id="gtest"),
        pytest.param("grid/x.cc", "#include <thread>", id="core-thread"),
        pytest.param("grid/x.cc", "#  include <mutex> // why", id="core-mutex"),
        pytest.param("grid/x.cc", "#include <sys/stat.h>", id="core-sys"),
        pytest.param("grid/x.cc", "#include <unistd.h>", id="core-unistd"),
        pytest.param(
            "grid/x.cc", "auto t = std::chrono::system_clock::now();", id="core-clock"
        ),
        pytest.param("grid/a/x.cc", "auto t = ::time(nullptr);", id="core-time"),
        pytest.param("grid/x.h", "clock_gettime(0, &t);", id="core-clock-gettime"),
        pytest.param(
            "grid/runtime/x.cc",
            "std::atomic_thread_fence(std::memory_order_seq_cst);",
            id="fence",
        ),
        pytest.param(
            "include/bettong/x.h", "#include <boost/version.hpp>", id="contract-boost"
        ),
        pytest.param(
            "include/bettong/x.h", '#include "base/ids.h"', id="contract-engine"
        ),
        pytest.param("examples/x.cc", '#include "base/ids.h"', id="example"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, text: str) -> None:
    result = check(tmp_path, {path: f"// first line\n{text}\n"})
    assert result.returncode == 1, result.stdout
    assert f"{path}:2: " in result.stderr


def test_a_public_header_that_does_not_compile_alone_is_found(tmp_path: Path) -> None:
    header = {"include/bettong/x.h": "inline std::string s;\n"}
    result = check(tmp_path, header, compiler="g++")
    assert result.returncode == 1
    assert "include/bettong/x.h:1: does not compile alone: " in result.stderr


def test_comments_and_literals_are_not_code(tmp_path: Path) -> None:
    text = """
/* #include <thread>
#include <mutex>
   clock_gettime */
// #include "compute/lane.h"
const char* s = "steady_clock::now() \\" time(nullptr)";
const char* r = R"(
clock_gettime
)";
long n = 10'000; char c = '"'; char d = '\\'';
"""
    result = check(tmp_path, {"grid/x.cc": text})
    assert result.stderr == ""
    assert result.returncode == 0


TABLE = """\
| folder | what | includes |
| `base/` | ids | - |
| `grid/` | the core | base |
| `grid/runtime/` | loops | grid, base |
| `compute/` | hosts | grid, base |
| `compute/python/` | Python | compute, grid, base |
| `protocol/` | RESP | grid/runtime, grid, base |
| `ingest/` | sources | grid/runtime, grid, base |
| `server/` | wiring | all |
| `include/bettong/` | the contract | - |
"""


def test_the_table_of_folders_says_the_same(tmp_path: Path) -> None:
    assert check(tmp_path, {"ARCHITECTURE.md": TABLE}).stderr == ""


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "| RESP | grid/runtime, grid, base |",
            "| RESP | grid, base |",
            "ARCHITECTURE.md:7: ",
        ),
        ("| the core | base |", "| the core | base, ingest |", "grid/ includes: base"),
        (
            "| `ingest/` | sources | grid/runtime, grid, base |\n",
            "",
            "no row for ingest/",
        ),
    ],
)
def test_the_table_of_folders_says_otherwise(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in TABLE
    result = check(tmp_path, {"ARCHITECTURE.md": TABLE.replace(right, wrong)})
    assert result.returncode == 1
    assert message in result.stderr
