"""Turns that the process dies of: after two deaths they are not run any more."""

from __future__ import annotations

import contextlib
import json
import signal
import textwrap
from typing import Any

import bettong
import pytest
from redis import ConnectionError as RedisConnectionError

from apps import with_prelude
from datanode import DataNode, settle
from exposition import parse
from harness import (
    DEADLINE_S,
    Launcher,
    RedisClient,
    Server,
    eventually,
    file_sink_table,
    free_port,
    get_page,
    view_entry,
)

# What an event's `op` does to the process.
DEADLY = """
    import ctypes, os, pathlib, signal, sys

    def die(how):
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "segfault":
            ctypes.string_at(0)
        elif how == "abort":
            os.abort()
        elif how == "exit":
            os._exit(3)
        elif how == "hang":
            ctypes.PyDLL(None).sleep(600)  # keeps the GIL: nothing can interrupt it
        elif how == "while-file" and pathlib.Path("deadly").exists():
            os.kill(os.getpid(), signal.SIGKILL)
"""


def deadly(body: str) -> str:
    """An app that may call `die`."""
    return with_prelude(textwrap.dedent(DEADLY) + textwrap.dedent(body))


APP = deadly(
    """
    class Host(app.Entity, ttl=timedelta(hours=1)):
        n: int = 0
        count: int = 0

        @events.on(key="key")
        def take(self, e: In):
            self.n += e.n
            die(e.op)
            self.count += 1
            out.emit(key=self.key, n=e.n)

        @app.command(create=True)
        def call(self, how: str) -> int:
            self.n += 1
            die(how)
            return self.n
    """
)

ERROR = "the process has died twice during this turn, which is not run any more (poison)"
# What cannot be interrupted ends the process soon; other turns have all the time they want.
HARD_LIMIT = """
[python]
handler_timeout = "100ms"
handler_hard_limit = "300ms"
"""
PATIENT = """
[python]
handler_timeout = 0
"""
# How the process ends of each: by signal, or exit code.
ENDS = {
    "kill": -signal.SIGKILL,
    "segfault": -signal.SIGSEGV,
    "abort": -signal.SIGABRT,
    "exit": 3,
    "hang": 70,
    "while-file": -signal.SIGKILL,
}


class Pipeline:
    """A node that dies and is started again, its source and its file sink."""

    def __init__(self, launch: Launcher) -> None:
        self.node = DataNode(launch)
        self.port = free_port()
        self.path = launch.folder / "out.jsonl"
        self.lives = 0
        self.config = f"""
[source.in]
kind = "bettong-stream"
listen = "127.0.0.1:{self.port}"
stream = "events"
""" + file_sink_table("file", "out", self.path)

    def start(self, app: str = APP, *arguments: str) -> Server:
        self.lives += 1
        return self.node(app, *arguments, config=self.config, shards=1 + self.lives % 3)

    def dies(self, app: str = APP, *arguments: str) -> int:
        """A life that ends by itself: how."""
        self.lives += 1
        shards = 1 + self.lives % 3
        return self.node.dies(app, *arguments, config=self.config, shards=shards)

    def sender(self) -> bettong.Sender:
        return bettong.Sender(f"127.0.0.1:{self.port}", source="s", reconnect_max=0.05)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def pipeline(launch: Launcher) -> Pipeline:
    return Pipeline(launch)


def metrics(server: Server) -> tuple[float, float]:
    """How many suspects there are, and how many turns were not run."""
    page = parse(get_page(server, "/metrics"))
    poison = page["bettong_poison_suspects"], page["bettong_poison_turns_total"]
    return poison[0].value(), poison[1].value()


def the_letter(server: Server) -> dict[str, str]:
    (letter,) = server.wait_dead_letters(1)
    assert letter["error"] == ERROR
    return letter


@pytest.mark.parametrize("how", ["kill", "segfault", "abort", "exit", "hang"])
def test_an_event_that_kills_is_dead_lettered_and_all_others_count_once(
    pipeline: Pipeline, how: str
) -> None:
    count, bad = 400, 137
    pipeline.config += HARD_LIMIT if how == "hang" else PATIENT
    server = pipeline.start()
    with pipeline.sender() as sender:
        for n in range(count):
            sender.send({"key": f"k{n % 9}", "n": n, "op": how if n == bad else ""})
        ends = [server.wait_exit(DEADLINE_S), pipeline.dies()]
        assert ends == [ENDS[how]] * 2
        server = pipeline.start()
        assert any("died during a turn" in line for line in server.logged())
        assert sender.flush(DEADLINE_S)
    letter = the_letter(server)
    assert (letter["stream"], letter["class"], letter["handler"]) == ("events", "Host", "take")
    assert letter["key"] == f"k{bad % 9}"
    assert json.loads(letter["event"])["n"] == bad
    client = server.redis()
    for k in range(9):
        numbers = [n for n in range(count) if n % 9 == k and n != bad]
        row = {"n": str(sum(numbers)), "count": str(len(numbers))}
        assert client.hgetall(f"host:k{k}") == row
    assert metrics(server) == (1, 1)
    assert server.terminate() == 0
    numbers = [each["n"] for each in pipeline.lines()]
    assert sorted(numbers) == [n for n in range(count) if n != bad]
    for k in range(9):
        mine = [n for n in numbers if n % 9 == k]
        assert mine == sorted(mine)
    # It was not in hand when that process ended.
    server = pipeline.start()
    assert not any("died during a turn" in line for line in server.logged())
    assert len(server.dead_letters()) == 1


BATCH = deadly(
    """
    class Host(app.Entity):
        count: int = 0

        @events.on(key="key", batch=1000)
        def take(self, several: list[In]):
            for e in several:
                die(e.op)
            self.count += len(several)
            out.emit(key=self.key, n=len(several))
    """
)


def test_the_one_that_kills_is_found_among_several_that_share_a_turn(pipeline: Pipeline) -> None:
    count, bad = 3000, 1700
    pipeline.config += PATIENT
    server = pipeline.start(BATCH)
    with pipeline.sender() as sender:
        for n in range(count):
            sender.send({"key": "k", "n": n, "op": "kill" if n == bad else ""})
        ends = [server.wait_exit(DEADLINE_S), pipeline.dies(BATCH)]

        def outcome() -> str:
            if server.process.poll() is not None:
                return "dies"
            return "goes on" if sender.flush(0.05) else ""

        # It was the first of the turn that the first process died in, or has one life more.
        server = pipeline.start(BATCH)
        if eventually(outcome, "an end, or none") == "dies":
            ends.append(server.wait_exit(DEADLINE_S))
            server = pipeline.start(BATCH)
            assert sender.flush(DEADLINE_S)
    assert set(ends) == {ENDS["kill"]}
    assert json.loads(the_letter(server)["event"])["n"] == bad
    assert server.redis().hget("host:k", "count") == str(count - 1)


def test_two_poisons_cost_two_deaths_each(pipeline: Pipeline) -> None:
    server = pipeline.start()
    with pipeline.sender() as sender:
        for n in range(40):
            sender.send({"key": "k", "n": n, "op": "kill" if n in (10, 11) else ""})
        server.wait_exit(DEADLINE_S)
        for _ in range(3):
            pipeline.dies()
        server = pipeline.start()
        assert sender.flush(DEADLINE_S)
    letters = server.wait_dead_letters(2)
    assert [json.loads(letter["event"])["n"] for letter in letters] == [10, 11]
    assert server.redis().hget("host:k", "count") == "38"


def test_one_death_is_forgiven_when_the_turn_ends_after_all(pipeline: Pipeline) -> None:
    flag = pipeline.node.launch.folder / "deadly"
    flag.touch()
    server = pipeline.start()
    with pipeline.sender() as sender:
        for n in range(20):
            sender.send({"key": "k", "n": n, "op": "while-file" if n == 7 else ""})
        server.wait_exit(DEADLINE_S)
        flag.unlink()
        server = pipeline.start()
        assert sender.flush(DEADLINE_S)
    assert server.redis().hget("host:k", "count") == "20"
    assert server.dead_letters() == []
    assert metrics(server) == (0, 0)


def test_a_kill_from_outside_makes_nothing_poison(pipeline: Pipeline) -> None:
    app = with_prelude(
        """
        import os, time

        class Host(app.Entity, ttl=timedelta(hours=1)):
            count: int = 0

            @events.on(key="key")
            def take(self, e: In):
                self.count += 1
                with open("at", "w") as file:
                    file.write(str(e.n))
                time.sleep(0.002)
        """
    )
    pipeline.config += PATIENT
    at = pipeline.node.launch.folder / "at"
    server = pipeline.start(app)
    with pipeline.sender() as sender:
        for n in range(300):
            sender.send({"key": f"k{n}", "n": n})
        for reached in (20, 120):

            def there(reached: int = reached) -> bool:
                text = at.read_text() if at.exists() else ""
                return text != "" and int(text) > reached

            eventually(there)
            pipeline.node.kill(server)
            server = pipeline.start(app)
        assert sender.flush(DEADLINE_S)
    assert server.dead_letters() == []
    assert server.entities() == 300


def test_an_entry_that_a_client_added(pipeline: Pipeline) -> None:
    server = pipeline.start(APP, "--set", "stream.events.durability=sync")
    client = server.redis()
    for n in range(5):
        client.xadd("events", {"key": "k", "n": n})
    with contextlib.suppress(RedisConnectionError):  # its turn may be quicker than the reply
        client.xadd("events", {"key": "k", "n": 99, "op": "kill"})
    server.wait_exit(DEADLINE_S)
    pipeline.dies()
    server = pipeline.start()
    assert json.loads(the_letter(server)["event"])["n"] == 99
    assert server.redis().hget("host:k", "count") == "5"


def test_an_event_of_a_chain(pipeline: Pipeline) -> None:
    app = deadly(
        """
        class First(app.Entity, ttl=timedelta(hours=1)):
            count: int = 0

            @events.on(key="key")
            def take(self, e: In):
                self.count += 1
                out.emit(key=self.key, n=e.n, op=e.op)

        class Second(app.Entity, ttl=timedelta(hours=1)):
            count: int = 0

            @out.on(key="key")
            def take(self, e):
                die(e["op"])
                self.count += 1
        """
    )
    server = pipeline.start(app)
    with pipeline.sender() as sender:
        for n in range(30):
            sender.send({"key": f"k{n % 3}", "n": n, "op": "kill" if n == 10 else ""})
        server.wait_exit(DEADLINE_S)
        pipeline.dies(app)
        server = pipeline.start(app)
        assert sender.flush(DEADLINE_S)
    letter = the_letter(server)
    assert (letter["stream"], letter["class"], letter["key"]) == ("out", "Second", "k1")
    client = server.redis()
    for name in ("first", "second"):
        counts = [client.hget(f"{name}:k{k}", "count") for k in range(3)]
        assert counts == ["10", "9" if name == "second" else "10", "10"], name


def test_a_key_function(pipeline: Pipeline) -> None:
    app = deadly(
        """
        def keys(e):
            die(e.op)
            return [e.key, e.key + "'"]

        class Host(app.Entity, ttl=timedelta(hours=1)):
            count: int = 0

            @events.on(key=keys)
            def take(self, e: In):
                self.count += 1
        """
    )
    server = pipeline.start(app)
    with pipeline.sender() as sender:
        for n in range(30):
            sender.send({"key": "k", "n": n, "op": "kill" if n == 10 else ""})
        server.wait_exit(DEADLINE_S)
        pipeline.dies(app)
        server = pipeline.start(app)
        assert sender.flush(DEADLINE_S)
    letter = the_letter(server)
    assert (letter["class"], letter["handler"]) == ("Host", "take")
    client = server.redis()
    assert [client.hget(key, "count") for key in ("host:k", "host:k'")] == ["29", "29"]


def test_an_expiry(pipeline: Pipeline) -> None:
    app = deadly(
        """
        class Session(app.Entity, ttl=timedelta(milliseconds=200)):
            n: int = 0
            op: str = ""

            @events.on(key="key")
            def take(self, e: In):
                self.n += e.n
                self.op = e.op

            def on_expire(self):
                die(self.op)
                out.emit(key=self.key, n=self.n)
        """
    )
    grace = ("--set", "log.recovery_grace=0")
    server = pipeline.start(app, *grace)
    with pipeline.sender() as sender:
        for n in range(10):
            sender.send({"key": f"k{n}", "n": n, "op": "kill" if n == 4 else ""})
        server.wait_exit(DEADLINE_S)
        pipeline.dies(app, *grace)
        server = pipeline.start(app, *grace)
        assert sender.flush(DEADLINE_S)
    letter = the_letter(server)
    assert (letter["class"], letter["handler"], letter["key"]) == ("Session", "on_expire", "k4")
    assert json.loads(letter["state"])["n"] == 4
    client = server.redis()
    eventually(lambda: client.xlen("out") == 9)
    seen = [view_entry(fields)["n"] for _, fields in client.xrange("out")]
    assert sorted(seen) == [n for n in range(10) if n != 4]
    assert server.entities() == 0


def dies_of(client: RedisClient, server: Server, *call: str) -> None:
    with pytest.raises(RedisConnectionError):
        client.execute_command("CALL", *call)
    assert server.wait_exit(DEADLINE_S) == -signal.SIGKILL


def test_a_call_is_refused_until_the_next_start(pipeline: Pipeline) -> None:
    server = pipeline.start()
    server.redis().execute_command("CALL", "host:k", "call", "")
    settle(server.redis())
    for _ in range(2):
        dies_of(server.redis(), server, "host:k", "call", "kill")
        server = pipeline.start()
    reply = server.connect().reply("CALL", "host:k", "call", "kill")
    assert reply.words() == f"ERR {ERROR}"
    # Other arguments and other keys are other calls.
    client = server.redis()
    assert client.execute_command("CALL", "host:k", "call", "") == 2
    assert client.execute_command("CALL", "host:other", "call", "") == 1
    assert server.dead_letters() == []
    assert metrics(server) == (1, 1)
    settle(client)
    assert server.terminate() == 0
    # The app may be a better one now.
    server = pipeline.start()
    dies_of(server.redis(), server, "host:k", "call", "kill")
    server = pipeline.start()
    assert server.connect().reply("CALL", "host:k", "call", "kill").is_error
    assert server.redis().hget("host:k", "n") == "2"


def test_an_event_of_a_plain_source_dies_with_its_process(launch: Launcher) -> None:
    node = DataNode(launch)
    config = """
        [source.events]
        listen = "127.0.0.1:0"
        stream = "events"
    """
    for _ in range(3):
        server = node(APP, config=config)
        server.source().lines({"key": "k", "op": "kill"})
        assert server.wait_exit(DEADLINE_S) == -signal.SIGKILL
    server = node(APP, config=config)
    server.feed({"key": "k", "n": 1})
    assert server.redis().hget("host:k", "count") == "1"
    assert server.dead_letters() == []


@pytest.mark.parametrize("damage", [b"", b"x" * 100, b"\xff" * 4096, bytes(4096)])
def test_a_damaged_note_is_made_new(pipeline: Pipeline, damage: bytes) -> None:
    server = pipeline.start()
    with pipeline.sender() as sender:
        for n in range(3):
            sender.send({"key": "k", "n": n, "op": "kill" if n == 1 else ""})
        server.wait_exit(DEADLINE_S)
        (pipeline.node.data / "lane-00").write_bytes(damage)
        for _ in range(2):
            pipeline.dies()
        server = pipeline.start()
        assert sender.flush(DEADLINE_S)
    the_letter(server)
    assert (pipeline.node.data / "lane-00").stat().st_size == 4096
