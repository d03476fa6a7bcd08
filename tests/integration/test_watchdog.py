"""Handlers that do not return, and what goes on meanwhile.

A handler that waits for a file is busy for exactly as long as the test wants.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from apps import with_prelude
from harness import Launcher, Server, eventually, source_table

LOOPS = {
    "plain": "while True: pass",
    "catching": "while True:\n    try:\n        while True: pass\n    except Exception: pass",
    "calling": "while True: sum(range(100))",
    "comprehension": "[0 for _ in iter(int, 1)]",
    "emitting": "while True: out.emit(x=1) if len(self.label) > 5 else None",
    "flooding": "while True: out.emit(x=1)",
    "changing": "while True: self.n += 1; self.n -= 1",
}

LOOP = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 0
        label: str = ""

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            exec(e.s, {"self": self, "out": out})
            out.emit(key=self.key, n=self.n)

        @app.command
        def spin(self):
            self.n += 100
            while True:
                pass

        @app.command
        def look(self) -> int:
            return self.n
    """
)

# assumption: `handler_timeout` is in seconds, as `ttl` is.
FAST = source_table("events", "events") + "[python]\nhandler_timeout = 0.2\n"


@pytest.mark.parametrize("loop", LOOPS)
def test_an_endless_handler_is_interrupted_and_dead_lettered(launch: Launcher, loop: str) -> None:
    server = launch(LOOP, config=FAST)
    outputs = server.subscribe("out")
    server.feed({"key": "a"}, {"key": "a", "s": LOOPS[loop]}, {"key": "a"}, {"key": "b"})
    received = [outputs.json() for _ in range(3)]
    assert [message["n"] for message in received if message["key"] == "a"] == [1, 2]
    (letter,) = server.dead_letters()
    assert "app.py" in letter["traceback"]
    assert ", in take" in letter["traceback"]
    assert '"n"' in letter["state"]


def test_the_default_limit_is_a_second(launch: Launcher) -> None:
    server = launch(LOOP)
    outputs = server.subscribe("out")
    server.feed({"key": "a", "s": "while True: pass"}, {"key": "b"})
    assert outputs.json() == {"key": "b", "n": 1}
    assert len(server.dead_letters()) == 1
    assert server.redis().exists("thing:a") == 0


def test_a_handler_within_its_time_is_left_alone(launch: Launcher) -> None:
    server = launch(LOOP, config=FAST)
    outputs = server.subscribe("out")
    code = "import time; end = time.monotonic() + 0.02\nwhile time.monotonic() < end: pass"
    # Twenty of them take longer than the limit together, but none alone.
    server.feed(*({"key": "a", "s": code} for _ in range(20)))
    assert [outputs.json()["n"] for _ in range(20)] == list(range(1, 21))
    assert server.dead_letters() == []


def test_an_endless_call_is_answered_with_an_error(launch: Launcher) -> None:
    server = launch(LOOP, config=FAST)
    server.feed({"key": "a"})
    connection = server.connect()
    answer = connection.reply("CALL", "thing:a", "spin")
    assert answer.is_error
    assert connection.call("CALL", "thing:a", "look") == 1


def test_an_endless_key_function_is_interrupted(launch: Launcher) -> None:
    server = launch(
        with_prelude(
            """
            def slow(e: In) -> str:
                while e.op == "loop":
                    pass
                return e.key

            class Thing(app.Entity):
                n: int = 0

                @events.on(key=slow)
                def take(self, e: In):
                    self.n += 1
            """
        ),
        config=FAST,
    )
    server.feed({"key": "a"}, {"key": "a", "op": "loop"}, {"key": "a"})
    assert server.redis().hget("thing:a", "n") == "2"
    assert len(server.dead_letters()) == 1


def test_an_endless_on_expire_is_interrupted_and_the_key_goes(launch: Launcher) -> None:
    server = launch(
        with_prelude(
            """
            class Thing(app.Entity, ttl=0.05):
                n: int = 0

                @events.on(key="key")
                def take(self, e: In):
                    self.n += 1

                def on_expire(self):
                    while True:
                        pass
            """
        ),
        config=FAST,
    )
    server.feed({"key": "a"})
    server.wait_dead_letters(1)
    eventually(lambda: server.entities() == 0, "the end of the entity")


def test_many_endless_handlers_one_after_the_other(launch: Launcher) -> None:
    config = source_table("events", "events") + "[python]\nhandler_timeout = 0.05\n"
    server = launch(LOOP, config=config)
    events = [{"key": f"k{n}", "s": "while True: pass" if n % 2 else ""} for n in range(20)]
    server.feed(*events)
    assert len(server.dead_letters()) == 10
    assert server.entities() == 10


def test_what_cannot_be_interrupted_ends_the_process_and_says_so(launch: Launcher) -> None:
    server = launch(LOOP, config=FAST + "handler_hard_limit = 0.4\n")
    source = server.source()
    source.lines({"key": "a", "s": "import time; time.sleep(600)"})
    assert server.wait_exit() == 70
    assert any("Thing.take has been running" in line for line in server.stderr)


def test_what_cannot_be_interrupted_is_warned_of_once_before_the_end(launch: Launcher) -> None:
    server = launch(LOOP, config=FAST + "handler_hard_limit = 60\n")
    # A loop of Python is interrupted: not worth a word.
    server.feed({"key": "a", "s": LOOPS["catching"]}, {"key": "a", "s": LOOPS["plain"]})
    path = launch.folder / "lock"
    code = f"import fcntl; fcntl.flock(open({str(path)!r}), fcntl.LOCK_EX)"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        source = server.source()
        source.lines({"key": "b", "s": code})
        (warning,) = eventually(
            lambda: [entry for entry in server.log() if "does not react" in entry["message"]],
            "the warning",
        )
        assert (warning["level"], warning["component"]) == ("warning", "python")
        assert warning["message"].startswith("Thing.take has been running for")
        assert "handler_hard_limit, 60000 ms" in warning["message"]
    source.finish()
    assert len(server.dead_letters()) == 3
    assert sum("does not react" in line for line in server.stderr) == 1


def test_an_import_may_take_longer_than_a_handler(launch: Launcher) -> None:
    server = launch("import time\ntime.sleep(0.3)\n" + LOOP, config=FAST)
    server.feed({"key": "a"})
    assert server.redis().hget("thing:a", "n") == "1"


# -- what goes on while a handler runs ------------------------------------------------------

BUSY = with_prelude(
    """
    import os, time

    def wait(folder: str) -> None:
        open(folder + "/started", "w").close()
        while not os.path.exists(folder + "/go"):
            time.sleep(0.001)

    class Thing(app.Entity, ttl=1000):
        n: int = 1
        label: str = "committed"
        a: Array[int, 2]

        @events.on(key="key")
        def take(self, e: In):
            self.n += 1
            if e.op == "wait":
                self.label = "not yet"
                out.emit(what="waited")
                wait(e.s)
                self.label = "done"

        @app.command
        def add(self, i: int) -> int:
            self.n += i
            return self.n

        @app.command
        def block(self, folder: str) -> str:
            self.label = "not yet"
            wait(folder)
            self.label = "called"
            return self.label
    """
)


class Busy:
    """A server whose entity `thing:a` is in the middle of a turn, until `go()`."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        server.feed({"key": "a"}, {"key": "b"})
        self.source = server.source()
        self.source.lines({"key": "a", "op": "wait", "s": str(folder)})
        eventually((folder / "started").exists, "the handler to start")

    def go(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture
def busy(launch: Launcher) -> Busy:
    config = source_table("events", "events") + "[python]\nhandler_timeout = 60\n"
    return Busy(launch(BUSY, config=config), launch.folder)


def test_redis_data_is_served_while_a_handler_runs(busy: Busy) -> None:
    client = busy.server.redis()
    for n in range(200):
        assert client.set(f"k{n}", n) is True
    assert [client.get(f"k{n}") for n in range(200)] == [str(n) for n in range(200)]
    assert client.hset("h", mapping={"a": 1}) == 1
    assert client.incr("counter") == 1
    assert client.publish("nobody", "x") == 0
    assert "entities:2" in busy.server.connect().call("INFO")
    busy.go()


def test_other_entities_can_be_read_and_written_while_a_handler_runs(busy: Busy) -> None:
    client = busy.server.redis()
    assert client.hget("thing:b", "n") == "2"
    assert client.hset("thing:b", "label", "new") == 0
    assert client.hincrby("thing:b", "n", 40) == 42
    assert client.expire("thing:b", 5_000) is True
    assert client.delete("thing:b") == 1
    busy.go()


def test_a_busy_entity_answers_reads_from_what_is_committed(busy: Busy) -> None:
    client = busy.server.redis()
    assert client.hget("thing:a", "label") == "committed"
    assert client.hmget("thing:a", "n", "label") == ["2", "committed"]
    assert client.exists("thing:a") == 1
    assert client.type("thing:a") == "hash"
    assert 0 < client.ttl("thing:a") <= 1_000
    assert sorted(client.scan_iter(match="thing:*")) == ["thing:a", "thing:b"]
    busy.go()
    busy.source.finish()
    assert client.hmget("thing:a", "n", "label") == ["3", "done"]


def test_writes_to_a_busy_entity_wait_for_it(busy: Busy) -> None:
    caller, setter, reader = (busy.server.connect() for _ in range(3))
    caller.send("CALL", "thing:a", "add", 10)
    setter.send("HINCRBY", "thing:a", "n", 100)
    # Behind a write that waits, a connection's own reads wait as well and see it.
    setter.send("HGET", "thing:a", "label")
    # On another connection they do not.
    assert reader.call("HGET", "thing:a", "n") == "2"
    busy.go()
    after_call, after_increment = caller.read().python(), setter.read().python()
    assert sorted([after_call, after_increment])[-1] == 113
    assert setter.read().words() == "done"


def test_del_of_a_busy_entity_waits_for_it(busy: Busy) -> None:
    deleter, outputs = busy.server.connect(), busy.server.subscribe("out")
    deleter.send("DEL", "thing:a")
    assert busy.server.redis().exists("thing:a") == 1
    busy.go()
    assert deleter.read().python() == 1
    assert outputs.json() == {"what": "waited"}  # the turn before it counts
    assert busy.server.redis().exists("thing:a") == 0


def test_events_of_a_busy_entity_queue_in_order(busy: Busy) -> None:
    busy.source.lines(*({"key": "a"} for _ in range(500)))
    busy.go()
    busy.source.finish()
    assert busy.server.redis().hget("thing:a", "n") == "503"


def test_flushall_while_a_handler_runs(busy: Busy) -> None:
    flusher = busy.server.connect()
    flusher.send("FLUSHALL")
    busy.go()
    assert flusher.read().words() == "OK"
    busy.source.finish()
    # assumption: the turn that was running ends before or with the flush; it brings nothing back.
    assert busy.server.redis().exists("thing:a", "thing:b") == 0


def test_outputs_of_a_running_turn_wait_for_its_end(busy: Busy) -> None:
    outputs = busy.server.subscribe("out")
    client = busy.server.redis()
    client.publish("out", '"before"')
    assert outputs.json() == "before"
    busy.go()
    assert outputs.json() == {"what": "waited"}


def test_a_client_that_leaves_while_its_call_runs(launch: Launcher) -> None:
    config = source_table("events", "events") + "[python]\nhandler_timeout = 60\n"
    server = launch(BUSY, config=config)
    server.feed({"key": "a"})
    caller = server.connect()
    caller.send("CALL", "thing:a", "block", str(launch.folder))
    eventually((launch.folder / "started").exists, "the call to start")
    caller.close()
    (launch.folder / "go").touch()
    eventually(lambda: server.redis().hget("thing:a", "label") == "called", "the call's end")
