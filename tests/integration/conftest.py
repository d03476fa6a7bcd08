"""Fixtures of the black-box tests. See harness.py for what they hand out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import launch, no_connection_outlives_its_test, node, stderr_of_servers
from grids import ENVIRONMENT, Grids
from harness import Launcher, Server
from oracle import RedisServer
from resp import Connection

__all__ = ["launch", "no_connection_outlives_its_test", "node"]

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def launch_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """The same for servers that the tests of a module share."""
    launcher = Launcher(tmp_path_factory.mktemp("shared"))
    yield launcher
    launcher.stop()


@pytest.fixture
def grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Grids]:
    """Makes grids of apps' texts; they are closed after the test."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = Grids(tmp_path)
    yield made
    made.close()


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"k{next(NUMBERS)}"


@pytest.fixture(scope="session")
def plain_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[int], Server]]:
    """Servers without an app, one for each number of shards, shared by the session."""
    launcher = Launcher(tmp_path_factory.mktemp("plain"))
    servers: dict[int, Server] = {}

    def get(shards: int) -> Server:
        server = servers.get(shards)
        if server is None or server.process.poll() is not None:
            server = servers[shards] = launcher(shards=shards)
        return server

    yield get
    launcher.stop()


def reset(connection: Connection) -> None:
    """A server as new, as far as tests that share it can tell."""
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "notify-keyspace-events", "")
    connection.call("CONFIG", "SET", "maxmemory", "0")


@pytest.fixture(params=[1, 3], ids=["1-shard", "3-shards"])
def plain(
    request: pytest.FixtureRequest, plain_servers: Callable[[int], Server]
) -> Iterator[Server]:
    """An empty server without an app; every test runs with one shard and with three."""
    server = plain_servers(request.param)
    with server.connect() as connection:
        reset(connection)
    yield server
    assert server.process.poll() is None, "the server died during the test"


@pytest.fixture
def cache(plain: Server) -> Connection:
    """A RESP2 connection to an empty server."""
    return plain.connect()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real redis-server, the oracle."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """A failed test shows what its servers wrote to standard error."""
    del call
    report = yield
    if report.failed:
        report.sections += stderr_of_servers(item)
    return report
