"""RELOAD: new code takes over while entities live and events come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from bettong.testing import AppError, CommandError, GridError, TestGrid

from datanode import DataNode, settle, snapshot
from grids import ENVIRONMENT
from harness import (
    Launcher,
    Server,
    eventually,
    run_bettong,
)
from reloads import EVENTS, reload, thing

pytestmark = pytest.mark.sanitized


def refused(server: Server, *paths: str | Path) -> str:
    """A reload that must fail: why."""
    with pytest.raises(redis.ResponseError) as error:
        server.redis().execute_command("RELOAD", *map(str, paths))
    assert str(error.value).startswith("reload: ")
    assert str(error.value).endswith("; nothing has changed")
    return str(error.value).removeprefix("reload: ").removesuffix("; nothing has changed")


# --- state stays


@pytest.mark.parametrize("shards", [1, 3])
def test_new_code_runs_and_state_stays(launch: Launcher, shards: int) -> None:
    server = launch(thing(""), shards=shards)
    client = server.redis()
    server.feed(*({"key": f"k{i}"} for i in range(20)))
    client.set("plain", "stays")
    client.expire("thing:k0", 500)
    launch.write_app(thing("", "self.n += 100"))
    reload(server)
    assert [client.hget(f"thing:k{i}", "n") for i in range(20)] == ["1"] * 20
    assert client.get("plain") == "stays"
    assert 490 < client.ttl("thing:k0") <= 500
    server.feed(*({"key": f"k{i}"} for i in range(21)))
    assert [client.hget(f"thing:k{i}", "n") for i in range(21)] == ["101"] * 20 + ["100"]


def test_fields_are_added_dropped_and_widened(node: DataNode) -> None:
    server = node(
        thing(
            "a: int = 3; b: str = 'b'; c: int | None = None; past: Array[int, 3]; on: bool = True"
        ),
        config=EVENTS,
    )
    client = server.redis()
    server.feed(*({"key": f"k{i}"} for i in range(10)))
    client.hset("thing:k1", mapping={"a": 7, "c": 5, "past": "[1,2,3]"})
    client.pexpire("thing:k2", 500_000)
    node.launch.write_app(
        thing(
            "a: float = 0.5; c: int = 9; past: Array[float, 5]; on: int = 4; "
            "d: str = 'much longer than the row that was there before, and outside of its slot'; "
            "e: Array[int, 40]"
        )
    )
    reload(server)

    def check(client: Any) -> None:
        row = client.hgetall("thing:k1")
        assert row.pop("d").startswith("much longer")
        assert json.loads(row.pop("e")) == [0] * 40
        assert row == {"n": "1", "a": "7", "c": "5", "past": "[1,2,3,0,0]", "on": "1"}
        # What was null begins with the default.
        assert client.hmget("thing:k2", "a", "c") == ["3", "9"]
        assert client.dbsize() == 10
        assert 400_000 < client.pttl("thing:k2") <= 500_000

    check(client)
    settle(client)
    before = snapshot(server.redis(decode_responses=False))
    node.kill(server)
    server = node(node.launch.folder / "app.py", config=EVENTS)
    check(server.redis())
    assert snapshot(server.redis(decode_responses=False)) == before
    # Rows that lie outside of their slots now change and go like others.
    server.feed(*({"key": f"k{i}"} for i in range(10)))
    client = server.redis()
    assert client.hget("thing:k9", "n") == "2"
    assert client.delete(*(f"thing:k{i}" for i in range(10))) == 10


def test_a_field_that_was_dropped_and_comes_back_begins_anew(node: DataNode) -> None:
    server = node(thing("a: int = 3"), config=EVENTS)
    server.feed({"key": "k"})
    server.redis().hset("thing:k", "a", 8)
    for fields in ("", "a: int = 4", "", "a: str = 'text'"):
        node.launch.write_app(thing(fields))
        reload(server)
    assert server.redis().hgetall("thing:k") == {"n": "1", "a": "text"}
    node.kill(server)
    # The log has rows that this code cannot read; none of them is alive.
    server = node(node.launch.folder / "app.py", config=EVENTS)
    assert server.redis().hgetall("thing:k") == {"n": "1", "a": "text"}


def test_containers_and_windows_keep_what_they_hold(node: DataNode) -> None:
    head = "from bettong import Counter, List, Map, Ring, Set, Sliding, minutes\n"
    fields = (
        "ring: Ring[int] = Ring(3); words: List[str]; counts: Counter; seen: Set[int]; "
        "view: Sliding = Sliding(minutes(5), pane=minutes(1))"
    )
    body = (
        "self.ring.append(e.n); self.words.append(e.s); self.counts[e.s] += 1; "
        "self.seen.add(e.n); self.view.add(e.x, at=e.n * 1000); self.n += 1"
    )
    app = head + thing(fields, body)
    server = node(app, config=EVENTS)
    server.feed(*({"key": "k", "n": n, "s": f"w{n % 2}", "x": n / 2} for n in range(1, 6)))
    before = server.redis().hgetall("thing:k")
    # The ring has more room, and the row another layout.
    wider = fields.replace("Ring(3)", "Ring(6)") + "; extra: float = 1.5"
    node.launch.write_app(head + thing(wider, body))
    reload(server)
    after = server.redis().hgetall("thing:k")
    assert after.pop("extra") == "1.5"
    assert after == before
    server.feed({"key": "k", "n": 6, "s": "w0", "x": 3})
    row = server.redis().hgetall("thing:k")
    assert json.loads(row["ring"]) == [3, 4, 5, 6]
    assert json.loads(row["words"]) == ["w1", "w0", "w1", "w0", "w1", "w0"]
    assert json.loads(row["view"])["count"] == 6
    settle(server.redis())
    node.kill(server)
    server = node(node.launch.folder / "app.py", config=EVENTS)
    assert server.redis().hgetall("thing:k") == row


# --- what is refused


BAD = {
    "syntax": (lambda good: good + "\n)", "SyntaxError: unmatched ')'"),
    "import": (lambda good: "import no_such_module\n" + good, "No module named 'no_such_module'"),
    "raises": (lambda good: good + "\n1 / 0\n", "ZeroDivisionError: division by zero"),
    "exits": (lambda good: good + "\nraise SystemExit(3)\n", "SystemExit: 3"),
    "annotation": (lambda good: good.replace("a: int", "a: complex"), "complex"),
    "prefixes": (
        lambda good: good + "\nclass Other(app.Entity, prefix='thing'):\n    n: int\n",
        "two entity classes have the prefix 'thing'",
    ),
    "no app": (lambda _: "x = 1", "not an app"),
    "unfit type": (
        lambda good: good.replace("a: int = 3", "a: str = ''"),
        "field 'a' was int when it was written and is str now",
    ),
    "other prefix": (
        lambda good: good.replace("(app.Entity)", "(app.Entity, prefix='other')"),
        "class Thing, of which 3 live: its prefix was 'thing' and is 'other' now",
    ),
    "class is gone": (
        lambda good: good.replace("class Thing", "class Another"),
        "class Thing, of which 3 live: the new version does not declare it",
    ),
    "source without its stream": (
        lambda good: good.replace('app.stream("events"', 'app.stream("others"'),
        "[source.events] names stream 'events', which no app declares",
    ),
}  # fmt: skip


def test_a_bad_version_changes_nothing(launch: Launcher, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("STEP = 1\n")
    good = "import helper\n" + thing("a: int = 3", "import helper; self.n += helper.STEP")
    server = launch(good)
    server.feed({"key": "k0"}, {"key": "k1"}, {"key": "k2"})
    expected = 1
    for name, (spoil, why) in BAD.items():
        (tmp_path / "helper.py").write_text("STEP = 1000\n")
        launch.write_app(spoil(good))
        assert why in refused(server), name
        server.feed({"key": "k0"}, {"key": "k1"}, {"key": "k2"})
        expected += 1
        rows = [server.redis().hgetall(f"thing:k{i}") for i in range(3)]
        assert rows == [{"n": str(expected), "a": "3"}] * 3, name
    assert "no such file" in refused(server, tmp_path / "nowhere.py")
    assert any("1 / 0" in line for line in server.logged())  # the whole traceback
    # And a good one is taken afterwards.
    launch.write_app(good)
    reload(server)
    server.feed({"key": "k0"})
    assert server.redis().hget("thing:k0", "n") == str(expected + 1000)


def test_an_import_that_does_not_end_is_ended(launch: Launcher) -> None:
    server = launch(thing(""), "--set", "python.handler_timeout=100ms")
    launch.write_app("while True:\n    pass\n")
    assert "the import ran longer than 1000 ms" in refused(server)
    server.feed({"key": "k"})
    assert server.redis().hget("thing:k", "n") == "1"


def test_a_node_without_an_app_has_nothing_to_reload(launch: Launcher) -> None:
    assert refused_plainly(launch()) == "reload: this node runs no app"


def refused_plainly(server: Server) -> str:
    with pytest.raises(redis.ResponseError) as error:
        server.redis().execute_command("RELOAD")
    return str(error.value)


# --- migrate


OLD = "name: str = ''; past: List[str]; tags: Array[int, 2]; kept: int = 4"
NEW = "n: float = 0; first: str = ''; past: List[int]; tags: int = 0; kept: int = 4"
MIGRATE = """
    @classmethod
    def migrate(cls, old):
        if old["name"] == "bad":
            raise ValueError("no such name")
        first, _, last = old["name"].partition(" ")
        past = [len(each) for each in old["past"]]
        return {"first": first, "past": past, "tags": sum(old["tags"])}
"""
OLD_APP = "from bettong import List\n" + thing(
    OLD, "self.n += 1; self.name = e.s; self.past.append(e.s); self.tags[0] += 3"
)
NEW_APP = "from bettong import List\n" + thing(
    NEW, "self.n += 1; self.past.append(e.n)", MIGRATE
).replace("    n: int = 0\n", "")


def migrated(n: int) -> dict[str, str]:
    return {"n": str(n), "first": "Ada", "past": "[12]", "tags": "3", "kept": "9"}


@pytest.mark.parametrize("shards", [1, 3])
def test_migrate_makes_new_fields_of_old_ones(node: DataNode, shards: int) -> None:
    server = node(OLD_APP, config=EVENTS, shards=shards)
    client = server.redis()
    server.feed(*({"key": f"k{i}", "s": "Ada Lovelace"} for i in range(20)))
    for i in range(20):
        client.hset(f"thing:k{i}", "kept", 9)
    client.pexpire("thing:k1", 500_000)
    node.launch.write_app(NEW_APP)
    reload(server)
    assert [client.hgetall(f"thing:k{i}") for i in range(20)] == [migrated(1)] * 20
    settle(client)
    node.kill(server)
    server = node(node.launch.folder / "app.py", config=EVENTS, shards=shards)
    client = server.redis()
    assert [client.hgetall(f"thing:k{i}") for i in range(20)] == [migrated(1)] * 20
    assert 400_000 < client.pttl("thing:k1") <= 500_000


def test_migrate_that_fails_for_one_entity_changes_nothing(node: DataNode) -> None:
    server = node(OLD_APP, config=EVENTS)
    client = server.redis()
    server.feed(
        *({"key": f"k{i}", "s": "Ada Lovelace"} for i in range(20)), {"key": "x", "s": "bad"}
    )
    before = client.hgetall("thing:k3")
    node.launch.write_app(NEW_APP)
    assert refused(server) == "Thing.migrate of 'x' failed: ValueError: no such name"
    assert client.hgetall("thing:k3") == before
    server.feed({"key": "k3", "s": "Ada King"})
    assert client.hget("thing:k3", "name") == "Ada King"
    for wrong, why in (
        ("return {'nosuch': 1}", "migrate names the field 'nosuch', and there is none"),
        ("return {'tags': 'text'}", "TypeError"),
        ("return 5", "migrate answers a dict of new fields, not int"),
    ):
        node.launch.write_app(
            NEW_APP.replace('if old["name"] == "bad":', f"{wrong}\n        if 1:")
        )
        assert why in refused(server)
    # A start with that code is refused as well, and changes nothing.
    node.launch.write_app(NEW_APP)
    settle(client)
    node.kill(server)
    files = node.copy()
    code, line = node.refused(node.launch.folder / "app.py", config=EVENTS)
    assert code == 3, line
    assert line.endswith("Thing.migrate of 'x' failed: ValueError: no such name")
    assert node.copy() == files


def test_a_start_with_new_code_migrates_as_a_reload_does(node: DataNode) -> None:
    server = node(OLD_APP, config=EVENTS)
    client = server.redis()
    server.feed(*({"key": f"k{i}", "s": "Ada Lovelace"} for i in range(20)))
    for i in range(20):
        client.hset(f"thing:k{i}", "kept", 9)
    client.pexpire("thing:k1", 500_000)
    settle(client)
    node.kill(server)
    for _ in range(2):
        server = node(NEW_APP, config=EVENTS)
        client = server.redis()
        assert [client.hgetall(f"thing:k{i}") for i in range(20)] == [migrated(1)] * 20
        assert 400_000 < client.pttl("thing:k1") <= 500_000
        settle(client)
        node.kill(server)


# --- classes and streams come and go


def test_a_class_goes_when_its_entities_have_and_may_come_back(node: DataNode) -> None:
    both = (
        thing("") + "\nclass Other(app.Entity):\n    m: int = 5\n\n"
        "    @app.command(create=True)\n    def make(self):\n        self.m += 1\n"
    )
    server = node(both, config=EVENTS)
    client = server.redis()
    client.execute_command("CALL", "other:a", "make")
    server.feed({"key": "k"})
    node.launch.write_app(thing(""))
    assert "class Other, of which 1 lives" in refused(server)
    client.delete("other:a")
    reload(server)
    with pytest.raises(redis.ResponseError, match="no entity's key"):
        client.execute_command("CALL", "other:a", "make")
    client.set("other:a", "its prefix is free")
    assert client.execute_command("SCHEMA")[1][0][1] == "Thing"
    settle(client)
    node.kill(server)
    # Its entities are in the log, and their end.
    server = node(node.launch.folder / "app.py", config=EVENTS)
    client = server.redis()
    assert client.get("other:a") == "its prefix is free"
    assert client.hget("thing:k", "n") == "1"
    node.launch.write_app(
        both.replace("m: int = 5", "m: str = 'now a text'").replace("self.m += 1", "self.m += '!'")
    )
    reload(server)
    client.execute_command("CALL", "other:b", "make")
    assert client.hgetall("other:b") == {"m": "now a text!"}


def test_streams_and_handlers_come_and_go(launch: Launcher) -> None:
    server = launch(thing(""))
    client = server.redis()
    later = thing(
        "",
        more="""
    @more.on(key="key")
    def more(self, e: In):
        self.n += 10
        out.emit(n=self.n)
""",
    ).replace('out = app.stream("out")', 'out = app.stream("out")\nmore = app.stream("more", In)')
    launch.write_app(later)
    reload(server)
    heard = server.subscribe("out")
    client.xadd("more", {"key": "k", "op": "", "n": 1, "x": 0, "s": ""})
    assert heard.json() == {"n": 10}
    launch.write_app(thing("", "self.n += 1; out.emit(n=self.n)"))
    reload(server)
    client.xadd("more", {"plain": "entry"})  # a stream like any other now
    server.feed({"key": "k"})
    assert heard.json() == {"n": 11}
    launch.write_app(later)
    reload(server)
    client.xadd("more", {"key": "k", "op": "", "n": 1, "x": 0, "s": ""})
    assert heard.json() == {"n": 21}


def test_a_timer_whose_method_is_gone_is_a_dead_letter(launch: Launcher) -> None:
    timed = thing("", "self.n += 1; self.after(timedelta(milliseconds=300), self.later, 5)",
                  "def later(self, n):\n        self.n += n")  # fmt: skip
    server = launch(timed)
    server.feed({"key": "k"})
    launch.write_app(thing("", "self.n += 1"))
    reload(server)
    (letter,) = server.wait_dead_letters(1)
    assert "no method 'later'" in letter["error"]
    assert letter["key"] == "k"
    assert server.redis().hget("thing:k", "n") == "1"


# --- modules


def test_the_apps_modules_are_loaded_anew_and_others_stay(launch: Launcher, tmp_path: Path) -> None:
    package = tmp_path / "parts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "early.py").write_text("VALUE = 'early 1'\n")
    (package / "late.py").write_text("VALUE = 'late 1'\n")
    app = "import time\nfrom parts import early\n" + thing(
        "",
        "from parts import late; out.emit(a=early.VALUE, b=late.VALUE, c=id(time))",
    )
    server = launch(app)
    heard = server.subscribe("out")
    server.feed({"key": "k"})
    first = heard.json()
    assert (first["a"], first["b"]) == ("early 1", "late 1")
    # Of the same size, within the same second.
    (package / "early.py").write_text("VALUE = 'early 2'\n")
    (package / "late.py").write_text("VALUE = 'late 2'\n")
    reload(server)
    server.feed({"key": "k"})
    assert heard.json() == {"a": "early 2", "b": "late 2", "c": first["c"]}


def test_another_file_may_take_over(launch: Launcher, tmp_path: Path) -> None:
    server = launch(thing(""))
    other = tmp_path / "release-2" / "app.py"
    other.parent.mkdir()
    other.write_text(thing("", "self.n += 10"))
    reload(server, other)
    server.feed({"key": "k"})
    other.write_text(thing("", "self.n += 100"))
    reload(server)  # that file again
    server.feed({"key": "k"})
    assert server.redis().hget("thing:k", "n") == "110"


# --- the shell, the watch, the log, the grid


def test_bettong_reload(launch: Launcher) -> None:
    server = launch(thing(""))
    launch.write_app(thing("", "self.n += 10"))
    done = run_bettong("reload", "--port", str(server.resp[1]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded\n", "")
    server.feed({"key": "k"})
    assert server.redis().hget("thing:k", "n") == "10"
    launch.write_app("1 / 0")
    done = run_bettong("reload", "--port", str(server.resp[1]))
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero; nothing has changed" in done.stderr


def test_the_watch_loads_what_is_saved(launch: Launcher, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("STEP = 1\n")
    app = "import helper\n" + thing("", "self.n += helper.STEP")
    server = launch(app, "--watch")
    client = server.redis()

    def reloads() -> tuple[int, int]:
        info = client.info("Bettong")
        return int(info["reloads"]), int(info["reloads_failed"])

    assert reloads() == (0, 0)
    (tmp_path / "helper.py").write_text("STEP = 20\n")
    eventually(lambda: reloads() == (1, 0), "the reload")
    server.feed({"key": "k"})
    assert client.hget("thing:k", "n") == "20"
    (tmp_path / "helper.py").write_text("STEP = \n")
    eventually(lambda: reloads() == (1, 1), "the refusal")
    assert any("SyntaxError" in line for line in server.logged())
    server.feed({"key": "k"})
    assert client.hget("thing:k", "n") == "40"
    (tmp_path / "helper.py").write_text("STEP = 300\n")
    eventually(lambda: reloads() == (2, 1), "the next reload")
    server.feed({"key": "k"})
    assert client.hget("thing:k", "n") == "340"


def test_the_log_tells_of_reloads(node: DataNode) -> None:
    server = node(thing(""), config=EVENTS)
    server.feed({"key": "k"})
    node.launch.write_app(thing("a: int = 7"))
    reload(server)
    node.kill(server)
    done = run_bettong("wal", "dump", node.data, "--json")
    assert done.returncode == 0
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    (told,) = [entry for entry in entries if entry.get("name") == "node:reload"]
    assert told["state"].endswith("app.py")
    fields = [entry["fields"] for entry in entries if entry.get("kind") == "class"]
    assert fields == [{"n": "int"}, {"n": "int", "a": "int"}]


def test_a_grid_reloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETTONG_BINARY", ENVIRONMENT["BETTONG_BINARY"])
    body = thing("", "self.n += 1; self.after(10, self.later)", "def later(self):\n        pass")
    app = tmp_path / "app.py"
    app.write_text(body)
    with TestGrid(app, shards=2) as grid:
        grid.send("events", [{"key": f"k{i}"} for i in range(5)])
        app.write_text(
            thing("extra: float = 0.5", "self.n += 10; more.emit(n=self.n)").replace(
                'out = app.stream("out")', 'more = app.stream("more")'
            )
        )
        grid.reload()
        grid.send("events", {"key": "k1"})
        entity = grid.entity("thing:k1")
        assert entity is not None
        assert (entity.n, entity.extra) == (11, 0.5)
        assert grid.outputs("more") == [{"n": 11}]
        with pytest.raises(GridError, match="no app declares the stream 'out'"):
            grid.outputs("out")
        app.write_text("1 / 0")
        with pytest.raises(AppError, match="1 / 0\n"):
            grid.reload()
        with pytest.raises(CommandError, match=r"ZeroDivisionError.*; nothing has changed"):
            grid.command("RELOAD")
        assert grid.entity("thing:k1").n == 11  # type: ignore[union-attr]
        # Their method is gone.
        grid.advance(10)
        assert len(grid.dead_letters()) == 5
