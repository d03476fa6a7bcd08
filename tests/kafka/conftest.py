"""Fixtures of the Kafka tests: brokers, names of topics, servers."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The harness of the black-box tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from broker import Brokers, Unavailable, require_kafka
from fixtures import launch, no_connection_outlives_its_test, node, stderr_of_servers

__all__ = ["launch", "no_connection_outlives_its_test", "node"]

NUMBERS = itertools.count(1)


class BrokerSets:
    """One set of brokers at a time runs; the other rests, with its topics and records."""

    def __init__(self) -> None:
        self._sets: dict[int, Brokers] = {}

    def get(self, count: int) -> Brokers:
        for other, brokers in self._sets.items():
            if other != count:
                brokers.kill()
        brokers = self._sets.setdefault(count, Brokers(count, sasl=True, tls=True))
        brokers.start()
        return brokers

    def close(self) -> None:
        for brokers in self._sets.values():
            brokers.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[BrokerSets]:
    """Brokers, if they can be had; else tests are skipped, where that is not forbidden."""
    try:
        require_kafka()
    except Unavailable as missing:
        if os.environ.get("CI") or os.environ.get("BETTONG_REQUIRE_KAFKA"):
            pytest.fail(f"Kafka is required, and cannot be had: {missing}")
        pytest.skip(f"Kafka cannot be had: {missing}")
    sets = BrokerSets()
    yield sets
    sets.close()


@pytest.fixture
def broker(kafka: BrokerSets) -> Brokers:
    """One broker, the same for all tests of a run."""
    return kafka.get(1)


@pytest.fixture
def three_brokers(kafka: BrokerSets) -> Brokers:
    """Three brokers; topics have three copies, of which two must have a record."""
    return kafka.get(3)


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """The name of a topic that is not there yet, and that no other test uses."""
    name = request.node.originalname.removeprefix("test_")[:40].replace("_", "-")
    return f"{name}-{next(NUMBERS)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """A failed test shows what its servers and brokers have said."""
    del call
    report = yield
    if report.failed:
        report.sections += stderr_of_servers(item)
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Brokers):
                report.sections += value.logs().items()
    return report
