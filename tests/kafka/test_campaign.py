"""Runs of the campaign, short ones: all brokers are away, and everything else goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from absence import HOWS
from broker import Brokers
from campaign import Run

pytestmark = pytest.mark.timeout(300)  # brokers take their time

AWAY_S = 7.0  # more than a transaction is waited for


@pytest.fixture
def run(broker: Brokers, tmp_path: Path, topic: str) -> Iterator[Run]:
    made = Run(broker, tmp_path, random.Random(1), topic)
    yield made
    made.close()


@pytest.mark.parametrize("how", HOWS)
def test_all_brokers_are_away_and_only_kafka_waits(run: Run, how: str) -> None:
    run.run_away(20_000, how, AWAY_S, over_s=AWAY_S + 2)
    assert len(run.right.alerts) > 1, "not only the second source's events lead to alerts"
    assert run.tally.verdict.findings == []
    assert run.tally.verdict.good
    assert len(run.tally.absences) == 1
