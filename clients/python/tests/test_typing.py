"""What mypy sees of an app."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

PACKAGE = Path(__file__).parent.parent

APP = """
from __future__ import annotations
from bettong import App, Array, Counter, Event, List, Map, Record, Ring, Set, Sliding, Tumbling, minutes
{extra}
app = App("test")

class Sample(Event, time="ts"):
    host: str
    ts: int
    value: float = 0.0

samples = app.stream("samples", Sample)
plain = app.stream("plain")

class Point(Record):
    x: float
    y: float = 0.5

def hot(w: Sliding | Tumbling[int], told: int | None) -> bool:
    return (w.sum > 5 * w.count) & (w.end != told)

def busy(host: Host, e: Sample) -> bool:
    return (host.count > 5) | (e.value == host.pos.x) | (host.key == e.host)

class Host({base}, ttl=minutes(1), clock="event"):
    count: int = 0
    note: str | None = None
    panes: Array[int, {size}]
    cpu: Sliding = Sliding(minutes(5), pane=minutes(1), keep=["sum", "last"])
    load: Tumbling[int] = Tumbling(minutes(5))
    recent: Ring[float] = Ring(100)
    names: List[str]
    by_user: Map[str, int] = Map(max=1000)
    seen: Set[bytes]
    hits: Counter
    pos: Point = Point(1, y=2.5)
    points: List[Point] = List(max=5)

    @samples.on(key="host")
    def sample(self, e: Sample) -> None:
        reveal_type(self.count)  # int
        reveal_type(self.note)  # str | None
        reveal_type(self.panes[0])  # int
        reveal_type(self.panes[1:])  # list[int]
        reveal_type(self.panes.sum())  # int
        reveal_type(self.cpu.count)  # int
        reveal_type(self.cpu.mean)  # float | None
        reveal_type(self.load.max)  # int | None
        reveal_type(self.load.add(1, at=e.ts))  # bool
        reveal_type(self.load.start)  # int | None
        reveal_type(self.recent[0])  # float
        reveal_type(self.recent[1:])  # list[float]
        reveal_type(self.names.pop())  # str
        reveal_type(self.names.copy())  # list[str]
        reveal_type(self.by_user["a"])  # int
        reveal_type(self.by_user.get("a"))  # int | None
        reveal_type(self.by_user.pop("a", None))  # int | None
        reveal_type([v for _, v in self.by_user.items()])  # list[int]
        reveal_type(b"x" in self.seen)  # bool
        reveal_type(self.seen.copy())  # set[bytes]
        reveal_type(self.hits["x"])  # int
        reveal_type(self.hits.most_common(3))  # list[tuple[str, int]]
        reveal_type(self.hits.total())  # int
        reveal_type(self.pos.x)  # float
        reveal_type(self.points[0].y)  # float
        reveal_type(self.points.pop())  # app.Point
        reveal_type(self.key)  # str
        reveal_type(self.now)  # int
        reveal_type(self.ttl)  # float | None
        reveal_type(e.value)  # float
        self.panes[1] += 1
        self.panes = [0] * 5
        self.recent.append(1)
        self.recent = [0.5]
        self.names += ["x"]
        self.names = ("a", "b")
        self.by_user["a"] += 1
        self.by_user |= {{"b": 2}}
        self.by_user = {{"b": 2}}
        self.seen |= {{b"x"}}
        self.seen = {{b"x"}}
        self.hits["x"] += 1
        self.hits.update("abc", x=2)
        self.hits = {{}}
        self.pos.x += 1
        self.pos = Point(1, 2)
        self.points.append(Point(3))
        self.points = [self.pos]
        del self.names[0], self.by_user["a"]
        self.ttl = minutes(5)
        self.touch()
        Host[self.key].mean(3)
        reveal_type(Host[5])  # app.Host
        samples.emit(Sample(host="a", ts=self.now))
        plain.emit({{"a": 1}})
        plain.emit(a=1)

    @samples.on(key=lambda e: [e.host, 5])
    def several(self, e: Sample) -> None: ...

    @samples.on(
        key="host",
        when=lambda self, e: (reveal_type(e.value) > 0.5)  # float
        & hot(self.cpu, self.count)
        & (e.host != self.note),
    )
    def some(self, e: Sample) -> None: ...

    @samples.key_by("host").on(when=busy)
    @samples.late(key="host", when=busy)
    def others(self, e: Sample) -> None: ...

    @app.command
    def mean(self, digits: int = 2) -> float:
        return 1.0

    @app.command(create=True)
    def reset(self) -> bool:
        return True

def outside(host: Host) -> None:
    reveal_type(host.mean(3))  # float
    reveal_type(host.reset())  # bool
    reveal_type(samples)  # bettong.stream.Stream[app.Sample]
"""

WRONG = {
    "self.cuont": "attr-defined",
    "self.count = 'x'": "assignment",
    "self.panes = ['x']": "list-item",
    "e.vlaue": "attr-defined",
    "Sample(host='a')": "call-arg",
    "Sample(host=1, ts=1)": "arg-type",
    "samples.emit(5)": "call-overload",
    "self.ttl = 'x'": "assignment",
    "self.load.add('x')": "arg-type",
    "self.load.cuont": "attr-defined",
    "self.names.append(5)": "arg-type",
    "self.names = [5]": "list-item",
    "self.recent.appendleft(5)": "attr-defined",
    "self.by_user['a'] = 'x'": "assignment",
    "self.seen.add('x')": "arg-type",
    "del self.recent[0]": "attr-defined",
    "self.pos.z": "attr-defined",
    "self.pos.x = 'x'": "assignment",
    "Point()": "call-arg",
    "Host[1.5].mean()": "index",
    "Host['x'].mean('y')": "arg-type",
    "Host['x'].nothing()": "attr-defined",
    "self.points.append(5)": "arg-type",
    "samples.on(key='host', when=lambda self, e: e.vlaue > 1)": "attr-defined",
    "plain.on(key='host', when=busy)": "arg-type",
    "hot(self.recent, 5)": "arg-type",
}


def run_mypy(directory: Path, source: str, plugin: bool) -> str:
    (directory / "app.py").write_text(source)
    config = "[mypy]\nstrict = True\n" + (
        "plugins = bettong.mypy_plugin\n" if plugin else ""
    )
    (directory / "mypy.ini").write_text(config)
    command = [
        sys.executable, "-m", "mypy", "--config-file", "mypy.ini",
        "--cache-dir", str(directory.parent / f"cache{plugin}"), "--no-error-summary", "app.py",
    ]  # fmt: skip
    result = subprocess.run(
        command, cwd=directory, env={"PYTHONPATH": str(PACKAGE), "MYPYPATH": str(PACKAGE)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.stdout + result.stderr


@pytest.mark.parametrize("plugin", [True, False])
def test_fields_and_methods_are_complete_and_strictly_typed(
    tmp_path: Path, plugin: bool
) -> None:
    if plugin:
        source = APP.format(base="app.Entity", size=5, extra="")
    else:
        extra = "from typing import Literal\nfrom bettong import Entity"
        source = APP.format(base="Entity, app=app", size="Literal[5]", extra=extra)
    output = run_mypy(tmp_path, source, plugin)
    assert ": error:" not in output, output
    expected = re.findall(r"reveal_type\(.*# (.+)", source)
    revealed = re.findall(r'Revealed type is "(.+)"', output)
    assert revealed == expected


def test_mistakes_are_found(tmp_path: Path) -> None:
    source = APP.format(base="app.Entity", size=5, extra="")
    marker = "        self.touch()\n"
    lines = "".join(f"        {code}\n" for code in WRONG)
    output = run_mypy(tmp_path, source.replace(marker, marker + lines), plugin=True)
    assert re.findall(r"error: .*\[([a-z-]+)\]", output) == list(WRONG.values()), output
