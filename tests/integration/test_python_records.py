"""Record fields, and records as elements of collections."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from redis import ResponseError

from apps import with_prelude
from harness import ANY_PORTS, Launcher, Server, source_table

RECORDS = with_prelude(
    """
    from bettong import List, Map, Record, Ring

    kept = []

    class Point(Record):
        x: float
        y: float = 0.5

    class Named(Record):
        name: str
        count: int = 0
        flag: bool = False
        raw: bytes = b""

    class Thing(app.Entity):
        n: int = 0
        pos: Point
        best: Named = Named("nobody", count=3)
        other: Point = Point(1.0, 2.0)
        path: List[Point]
        last: Ring[Named] = Ring(2)
        by_name: Map[str, Point]

        @events.on(key="key")
        def run(self, e: In):
            names = {"self": self, "e": e, "kept": kept, "out": out}
            exec(e.s, {**names, "Point": Point, "Named": Named})

        @app.command
        def see(self, code: str) -> str:
            return repr(eval(code, {"self": self, "kept": kept, "Point": Point, "Named": Named}))
    """
)

CONFIG = source_table("events", "events")


@pytest.fixture(scope="module")
def things(launch_shared: Launcher) -> Server:
    """A server of `Thing`s, shared: every test has a key of its own."""
    return launch_shared(RECORDS, config=CONFIG)


def see(server: Server, key: str, code: str) -> str:
    return str(server.redis().execute_command("CALL", f"thing:{key}", "see", code))


def run(server: Server, key: str, *codes: str) -> None:
    server.feed(*({"key": key, "s": code} for code in codes))


@pytest.mark.sanitized
def test_attributes_of_a_record_field(things: Server, key: str) -> None:
    run(things, key, "self.n = 1")
    assert see(things, key, "self.pos, self.best, self.other") == (
        "(Point(x=0.0, y=0.5), Named(name='nobody', count=3, flag=False, raw=b''), "
        "Point(x=1.0, y=2.0))"
    )
    run(
        things, key,
        "self.pos.x += 1.5; self.best.name = 'a' * 20; self.best.count += 1; self.best.raw = b'x'",
        "self.pos = Point(self.pos.x, 7); self.best.flag = True",
        "self.other = self.pos; self.pos.y = 8; p = self.pos; p.x += 1",
    )  # fmt: skip
    assert see(things, key, "self.pos, self.other, self.best.count, self.best.flag") == (
        "(Point(x=2.5, y=8.0), Point(x=2.5, y=8.0), 4, True)"
    )
    run(things, key, "self.pos.x = 9")
    assert (
        see(things, key, "(self.pos.x, self.other.x, self.pos == Point(9, 8))")
        == "(9.0, 2.5, True)"
    )
    assert things.dead_letters(key) == []
    client = things.redis()
    assert client.hget(f"thing:{key}", "pos.x") == "9"
    assert client.hgetall(f"thing:{key}")["best.name"] == "a" * 20
    assert client.hset(f"thing:{key}", "pos.x", "4.5") == 0
    assert see(things, key, "self.pos.x") == "4.5"
    with pytest.raises(ResponseError, match=r"field 'pos.x' of Thing is a float"):
        client.hset(f"thing:{key}", "pos.x", "far")


@pytest.mark.sanitized
def test_a_turn_that_fails_changes_no_record(things: Server, key: str) -> None:
    run(things, key, "self.pos = Point(1, 2); self.path.append(Point(3, 4))")
    run(things, key, "self.pos.x = 9; self.best = Named('b'); self.path.clear(); 1 / 0")
    assert see(things, key, "self.pos, self.best.name, list(self.path)") == (
        "(Point(x=1.0, y=2.0), 'nobody', [Point(x=3.0, y=4.0)])"
    )
    run(things, key, "self.pos.x += 1")
    assert see(things, key, "self.pos") == "Point(x=2.0, y=2.0)"


@pytest.mark.sanitized
def test_a_kept_record_is_a_value(things: Server, key: str) -> None:
    run(things, key, "self.pos = Point(1, 2); self.path.append(Point(5, 6))")
    run(things, key, "kept[:] = [self.pos, self.path[0]]; self.pos.y = 3")
    run(things, key, "self.pos.x = 7; self.path[0] = Point(8, 9)")
    assert see(things, key, "kept, self.pos") == (
        # As the turn has left it: an int where it was given one.
        "([Point(x=1.0, y=3), Point(x=5.0, y=6.0)], Point(x=7.0, y=3.0))"
    )
    run(things, key, "kept[0].x = 99; self.n += 1")
    assert see(things, key, "self.pos.x") == "7.0"
    run(things, key, "self.pos = kept[0]; self.path = [kept[1]]")
    assert see(things, key, "self.pos.x, list(self.path)") == "(99.0, [Point(x=5.0, y=6.0)])"


@pytest.mark.sanitized
def test_records_in_collections(things: Server, key: str) -> None:
    run(
        things, key,
        "self.path.extend([Point(1), Point(2, 3)]); self.last.append(Named('a'))",
        "self.last.extend([Named('b', 1), Named('c', 2, True, b'x')])",
        "self.by_name['p'] = Point(4, 5); self.path[0] = Point(self.path[0].x + 10, 1)",
        "out.emit(key=e.key, path=self.path, pos=self.pos)",
    )  # fmt: skip
    assert see(things, key, "[p.x for p in self.path]") == "[11.0, 2.0]"
    assert see(things, key, "Point(2, 3) in self.path, self.path.index(Point(2, 3))") == "(True, 1)"
    assert see(things, key, "Point(9) in self.path, 5 in self.path") == "(False, False)"
    assert (
        see(things, key, "self.by_name['p'], self.by_name.get('q')")
        == "(Point(x=4.0, y=5.0), None)"
    )
    assert see(things, key, "isinstance(self.path[0], Point)") == "True"
    client = things.redis()
    assert json.loads(client.hget(f"thing:{key}", "last") or "") == [
        {"name": "b", "count": 1, "flag": False, "raw": ""},
        {"name": "c", "count": 2, "flag": True, "raw": "x"},
    ]
    page = client.execute_command("ENTITY.FIELD", f"thing:{key}", "by_name")
    assert page == ["0", ["p", ["x", "4", "y", "5"]]]
    (fields,) = [f for _, f in client.xrange("out") if f["key"] == key]
    assert fields["path"] == '[{"x":11.0,"y":1.0},{"x":2.0,"y":3.0}]'
    assert fields["pos"] == '{"x":0.0,"y":0.5}'


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("self.pos = 5", "TypeError: Thing.pos must be Point, not int"),
        ("self.pos = None", "TypeError: Thing.pos must be Point, not None"),
        ("self.pos = self.best", "TypeError: Thing.pos must be Point, not Named"),
        ("del self.pos", "TypeError: Thing.pos must be Point, not deleted"),
        ("self.pos.x = 'far'", "TypeError: Thing.pos.x must be float, not str"),
        ("self.best.count = 2**63", "OverflowError: Thing.best.count: the int does not fit"),
        ("del self.pos.x", "AttributeError: Thing.pos.x was deleted"),
        ("self.pos.z = 5", "AttributeError: 'Point' object has no attribute 'z'"),
        ("self.path.append(5)", "TypeError: Thing.path takes Point, not int"),
        ("self.path.append(Named('a'))", "TypeError: Thing.path takes Point, not Named"),
        ("self.path.append(Point('far'))", "TypeError: Thing.path takes float, not str"),
        ("self.path.append(Point(1)); self.path[0].x = 5", "TypeError: this Point is a copy"),
        ("p = Point(1); del p.x; self.path.append(p)", "AttributeError: Thing.path: a field"),
        ("Point()", "TypeError: Point.__init__"),
    ],
)
def test_misuse_is_an_error_of_the_turn(things: Server, key: str, code: str, error: str) -> None:
    run(things, key, "self.pos = Point(1, 2)", code)
    (letter,) = things.dead_letters(key)
    assert re.match(re.escape(error), letter["error"]), letter["error"]
    assert see(things, key, "self.pos, len(self.path)") == "(Point(x=1.0, y=2.0), 0)"


@pytest.mark.sanitized
@pytest.mark.parametrize("kill", [False, True])
def test_records_survive_a_restart(launch: Launcher, tmp_path: Path, *, kill: bool) -> None:
    def arguments(app: str) -> list[str | Path]:
        return [
            launch.write_app(app), "-c", launch.write_config(CONFIG), *ANY_PORTS,
            "--data", tmp_path / "data",
        ]  # fmt: skip

    server = Server(*arguments(RECORDS), "--shards", "2", cwd=tmp_path)
    launch.servers.append(server)
    for k in range(8):
        run(
            server, f"k{k}",
            f"self.pos.x = {k}; self.best = Named('n{k}', {k}); self.path.append(Point({k}, 2))",
            f"self.last.append(Named('l{k}')); self.by_name['{k}'] = Point({k}); self.pos.y += 1",
        )  # fmt: skip
    client = server.redis()
    before = {k: client.hgetall(f"thing:k{k}") for k in range(8)}
    client.execute_command("WAITAOF", "1", "0", "0")
    if kill:
        server.kill()
    else:
        server.stop()
    server = Server(*arguments(RECORDS), "--shards", "3", cwd=tmp_path)
    launch.servers.append(server)
    assert {k: server.redis().hgetall(f"thing:k{k}") for k in range(8)} == before
    server.stop()
    # A record that is a field may get another attribute; one that is an element is another one.
    wider = RECORDS.replace("raw: bytes", "size: int = 7\n    raw: bytes")
    with pytest.raises(AssertionError, match=r"Ring.Named. when it was written"):
        Server(*arguments(wider), cwd=tmp_path)
    wider = wider.replace("last: Ring[Named] = Ring(2)", "")
    server = Server(*arguments(wider), cwd=tmp_path)
    launch.servers.append(server)
    assert server.redis().hmget("thing:k5", "best.name", "best.size") == ["n5", "7"]
