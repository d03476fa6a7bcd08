"""Fixtures of the tests of this folder and of those with Kafka: each conftest.py imports them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datanode import DataNode
from harness import SERVERS, Launcher, Server


@pytest.fixture(autouse=True)
def no_connection_outlives_its_test() -> Iterator[None]:
    yield
    for server in SERVERS:
        server.close_clients()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launcher]:
    """Starts servers; after the test each must end cleanly on SIGTERM."""
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.stop()


@pytest.fixture
def node(launch: Launcher) -> DataNode:
    """Starts nodes with one data directory, and kills them."""
    return DataNode(launch)


def stderr_of_servers(item: pytest.Item) -> list[tuple[str, str]]:
    """The end of what each server of a test has said, to be shown when it has failed."""
    used = getattr(item, "funcargs", {}).values()
    servers = {value for value in used if isinstance(value, Server)}
    for launcher in (value for value in used if isinstance(value, Launcher)):
        servers.update(launcher.servers)
    return [
        (f"bettong serve {' '.join(server.arguments)}", "\n".join(server.stderr[-200:]))
        for server in servers
    ]
