"""Replays tests/transcripts/*.txt; their answers were recorded from Redis 7.0.15."""

from __future__ import annotations

import pytest

from harness import Server
from oracle import RedisServer
from transcripts import Section, all_sections, replay


@pytest.mark.parametrize("section", all_sections(), ids=lambda section: section.id)
def test_bettong_answers_like_the_transcript(plain: Server, section: Section) -> None:
    problems = replay(section, lambda protocol: plain.connect(protocol=protocol), bettong=True)
    assert not problems, "\n\n".join(problems)


def test_the_transcripts_are_what_redis_answers(redis_server: RedisServer) -> None:
    problems = []
    for section in all_sections():
        with redis_server.connect() as connection:
            connection.call("FLUSHALL")
            connection.call("CONFIG", "SET", "notify-keyspace-events", "", "maxmemory", "0")
        problems += replay(
            section, lambda protocol: redis_server.connect(protocol=protocol), bettong=False
        )
    assert not problems, "\n\n".join(problems)
