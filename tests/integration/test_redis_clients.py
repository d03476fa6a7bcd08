"""Stock clients work unmodified: redis-cli, redis-benchmark, redis-py (newest and 5)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import DEADLINE_S, Launcher, Server, eventually
from oracle import RedisServer

SESSION = Path(__file__).with_name("client_session.py")

# redis-py 5 lies in a folder of its own: pip install --target FOLDER 'redis<6'
REDIS_PY = {"newest": ""}
if os.environ.get("REDIS5_PATH"):
    REDIS_PY["5"] = os.environ["REDIS5_PATH"]


def command(*arguments: str, stdin: str = "") -> str:
    """Run a client; its standard output."""
    done = subprocess.run(
        arguments,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=6 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def redis_cli(server: Server, *arguments: str, stdin: str = "") -> str:
    return command("redis-cli", "-p", str(server.resp[1]), *arguments, stdin=stdin)


@pytest.mark.parametrize("version", REDIS_PY)
@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(plain: Server, redis_server: RedisServer, version: str, protocol: int) -> None:
    def session(port: int) -> object:
        environment = dict(os.environ)
        if REDIS_PY[version]:
            environment["PYTHONPATH"] = REDIS_PY[version]
        done = subprocess.run(
            [sys.executable, str(SESSION), str(port), str(protocol)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=6 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with redis_server.connect() as connection:
        connection.call("FLUSHALL")
    assert session(plain.resp[1]) == session(redis_server.address[1])


def test_redis_cli_commands(plain: Server) -> None:
    assert redis_cli(plain, "PING") == "PONG\n"
    assert redis_cli(plain, "SET", "k", "two words") == "OK\n"
    assert redis_cli(plain, "GET", "k") == "two words\n"
    assert redis_cli(plain, "INCR", "n") == "1\n"
    assert redis_cli(plain, "HSET", "h", "f", "v") == "1\n"
    assert redis_cli(plain, "HGETALL", "h") == "f\nv\n"
    assert redis_cli(plain, "--no-raw", "HGETALL", "h") == '1) "f"\n2) "v"\n'
    assert redis_cli(plain, "--no-raw", "GET", "missing") == "(nil)\n"
    assert redis_cli(plain, "--no-raw", "-3", "HGETALL", "h") == '1# "f" => "v"\n'
    assert "# Bettong" in redis_cli(plain, "INFO")


def test_redis_cli_reads_commands_from_a_pipe(plain: Server) -> None:
    answers = redis_cli(plain, stdin="SET k v\nGET k\nNOSUCH\nDEL k\n")
    assert answers.split("\n")[:2] == ["OK", "v"]
    assert "unknown command" in answers
    assert answers.rstrip().endswith("1")


def test_redis_cli_scan_and_pipe(plain: Server) -> None:
    feed = "".join(f"SET key:{n} {n}\r\n" for n in range(1_000))
    answer = redis_cli(plain, "--pipe", stdin=feed)
    assert "errors: 0, replies: 1000" in answer
    keys = redis_cli(plain, "--scan", "--pattern", "key:9?").split()
    assert sorted(keys) == [f"key:{n}" for n in range(90, 100)]


def test_redis_cli_leaves_an_error_code(plain: Server) -> None:
    done = subprocess.run(
        ["redis-cli", "-e", "-p", str(plain.resp[1]), "INCR"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "wrong number of arguments for 'incr' command" in done.stdout + done.stderr


@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_redis_benchmark(plain: Server, pipeline: str) -> None:
    port = str(plain.resp[1])
    options = ["-q", "-n", "2000", "-c", "10", "-r", "1000", "-P", pipeline]
    output = command("redis-benchmark", "-p", port, *options, "-t", "set,get,incr,hset")
    rates = re.findall(r"(\w+): ([\d.]+) requests per second", output)
    assert [name for name, _ in rates] == ["SET", "GET", "INCR", "HSET"]
    assert all(float(rate) > 0 for _, rate in rates)
    assert "rror" not in output
    connection = plain.connect()
    assert connection.call("HLEN", "myhash") > 0
    assert connection.call("DBSIZE") > 500


ENTITY = """
from bettong import App, Event

app = App("clients")

class Seen(Event):
    host: str
    value: float

seen = app.stream("seen", Seen)

class Host(app.Entity, ttl=600):
    count: int = 0
    total: float = 0.0

    @seen.on(key="host")
    def see(self, e: Seen):
        self.count += 1
        self.total += e.value

    @app.command
    def mean(self) -> float:
        return self.total / self.count
"""


def test_redis_cli_looks_at_an_entity(launch: Launcher) -> None:
    server = launch(ENTITY, config="")
    for value in ("1.5", "2.5"):
        redis_cli(server, "XADD", "seen", "*", "host", "web-01", "value", value)
    eventually(
        lambda: redis_cli(server, "HGET", "host:web-01", "count") == "2\n", "both events seen"
    )
    assert redis_cli(server, "HGETALL", "host:web-01").split()[:3] == ["count", "2", "total"]
    assert redis_cli(server, "TYPE", "host:web-01") == "hash\n"
    assert 0 < int(redis_cli(server, "TTL", "host:web-01")) <= 600
    assert float(redis_cli(server, "CALL", "host:web-01", "mean")) == 2.0
    assert float(redis_cli(server, "FCALL", "host.mean", "1", "host:web-01")) == 2.0
    assert redis_cli(server, "--scan", "--pattern", "host:*") == "host:web-01\n"
    assert "host" in redis_cli(server, "SCHEMA")
