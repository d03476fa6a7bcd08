"""A Kafka source beside a disk that takes its time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from broker import Brokers
from datanode import DataNode
from nodes import COUNT_APP, await_counted, await_state, events, kafka_source, totals

pytestmark = pytest.mark.timeout(300)  # brokers take their time

# Longer than positions wait for each other to be told.
SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

int fdatasync(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
  usleep(15000);
  return real(fd);
}
"""


@pytest.fixture
def slow_disk(tmp_path: Path) -> Path:
    """A library that slows down each sync to disk of the process that loads it."""
    source, library = tmp_path / "slow.c", tmp_path / "slow.so"
    source.write_text(SLOW_SYNC)
    command = ["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def test_the_position_gets_to_the_end_when_nothing_more_comes(
    node: DataNode,
    broker: Brokers,
    topic: str,
    slow_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker.create(topic, 1)
    monkeypatch.setenv("LD_PRELOAD", str(slow_disk))
    server = node(COUNT_APP, config=kafka_source(broker.bootstrap, topic))
    monkeypatch.delenv("LD_PRELOAD")
    for first in range(0, 600, 30):
        # Little by little, so that some are done while the position of others is being written.
        for some in range(first, first + 30, 3):
            broker.produce(topic, events(range(some, some + 3)))
        await_counted(server, totals(range(first + 30)))
        await_state(server, topic, position=first + 30, lag=0)
