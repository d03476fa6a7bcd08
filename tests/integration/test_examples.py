"""The example apps give what they say: their outputs, exactly, under a clock of the test's."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from bettong import days, hours, minutes, seconds
from bettong.testing import TestGrid

from grids import ENVIRONMENT
from harness import REPOSITORY, Launcher, json_lines, summary

EXAMPLES = REPOSITORY / "examples"
STREAM = ("--stream", "lines")
BAD, GOOD = "203.0.113.7", "198.51.100.4"


@pytest.fixture(autouse=True)
def binary(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@contextmanager
def example(name: str) -> Iterator[TestGrid]:
    with TestGrid(EXAMPLES / name / f"{name}.py") as grid:
        yield grid


def script(path: str, *arguments: str, stdin: str = "") -> list[dict[str, Any]]:
    """The events that a script beside an example writes."""
    command = [sys.executable, str(EXAMPLES / path), *arguments]
    done = run(command, input=stdin, capture_output=True, text=True, check=True)
    return json_lines(done.stdout)


# -- accesslog ----------------------------------------------------------------------------


def access(n: int, what: str) -> dict[str, str]:
    at = f"[01/Jan/2026:00:00:{n:02} +0100]"
    return {"line": f'10.0.0.{n} - - {at} {what} "-" "curl/8"'}


ACCESS = [
    access(1, '"GET /index.html?page=2 HTTP/1.1" 200 1043'),
    access(2, '"GET /cart HTTP/1.1" 500 21'),
    {"line": " "},
    {"line": "no such line"},
    access(3, '"POST /cart HTTP/1.1" 503 -'),
    access(4, '"GET /index.html HTTP/1.1" 304 0'),
]
FAILURES = [
    {"path": "/cart", "status": 500, "address": "10.0.0.2"},
    {"path": "/cart", "status": 503, "address": "10.0.0.3"},
]


def test_pages_are_counted_and_errors_told() -> None:
    with example("accesslog") as grid:
        grid.send("lines", ACCESS)
        assert grid.outputs("errors") == FAILURES
        requests = grid.outputs("requests")
        assert [request["path"] for request in requests] == [
            "/index.html", "/cart", "/cart", "/index.html"
        ]  # fmt: skip
        assert requests[2] == {
            "address": "10.0.0.3", "ts": 1767222003000, "method": "POST", "path": "/cart",
            "status": 503, "bytes": 0,
        }  # fmt: skip
        assert grid.call("page:/cart", "summary") == "2 requests, 2 errors, 21 bytes"
        assert grid.call("page:/index.html", "summary") == "2 requests, 0 errors, 1043 bytes"
        (letter,) = grid.dead_letters()
        assert letter.event == {"line": "no such line"}
        assert letter.error == "ValueError: not a line of an access log"


def test_a_run_writes_the_errors(launch: Launcher) -> None:
    text = "".join(json.dumps(line) + "\n" for line in ACCESS).encode()
    arguments = (*STREAM, "--input", "-", "--output", "-")
    done = launch.run(EXAMPLES / "accesslog" / "accesslog.py", *arguments, stdin=text)
    assert json_lines(done.stdout) == FAILURES
    counts = summary(done)
    assert (counts["events"], counts["live"], counts["dead_letters"]) == (6, 2, 1)


# -- sshguard -----------------------------------------------------------------------------


def ssh(grid: TestGrid, text: str) -> None:
    line = f"2026-01-01T00:00:00+00:00 web-01 sshd[811]: {text}"
    grid.send("lines", {"host": "web-01", "ts": grid.now, "line": line})


def fail(grid: TestGrid, address: str, user: str = "root") -> None:
    ssh(grid, f"Failed password for {user} from {address} port 40022 ssh2")


def test_the_fifth_failure_bans_and_an_hour_of_quiet_lifts_it() -> None:
    with example("sshguard") as grid:
        for n in range(4):
            ssh(grid, f"Invalid user admin from {BAD} port 40022")
            fail(grid, BAD, "invalid user admin" if n % 2 else "root")
            grid.advance(seconds(30))
        assert grid.outputs("bans") == []
        fail(grid, BAD)
        assert grid.outputs("bans") == [{"address": BAD, "banned": True}]
        assert grid.entity(f"ban:{BAD}").failures == 5
        grid.advance(minutes(1))
        fail(grid, BAD)  # one more: the hour begins anew
        grid.advance(seconds(3599))
        assert grid.outputs("bans") == []
        grid.advance(seconds(1))
        assert grid.outputs("bans") == [{"address": BAD, "banned": False, "failures": 6}]
        assert grid.entity(f"ban:{BAD}") is None


def test_failures_that_are_far_apart_ban_nobody() -> None:
    with example("sshguard") as grid:
        for _ in range(20):
            fail(grid, BAD)
            grid.advance(minutes(3))
        assert grid.outputs("bans") == []


def test_a_login_clears_what_has_failed() -> None:
    with example("sshguard") as grid:
        for _ in range(4):
            fail(grid, GOOD)
        ssh(grid, f"Accepted publickey for ann from {GOOD} port 40022 ssh2: ED25519 SHA256:x")
        for _ in range(4):
            fail(grid, GOOD)
        assert grid.outputs("bans") == []
        fail(grid, GOOD)
        assert grid.outputs("bans") == [{"address": GOOD, "banned": True}]
        grid.call(f"ban:{GOOD}", "lift")
        assert grid.outputs("bans") == [{"address": GOOD, "banned": False, "failures": 5}]
        assert grid.entity(f"ban:{GOOD}") is None


def test_lines_of_an_auth_log_run_through_the_app(launch: Launcher, tmp_path: Path) -> None:
    log = [
        f"2026-11-29T07:00:0{n}.250000+00:00 web-01 sshd-session[9]: "
        f"Failed password for root from {BAD} port 22 ssh2\n"
        for n in range(5)
    ]
    events = script("sshguard/lines.py", "web-01", stdin="".join(["garbage\n", *log]))
    first = datetime(2026, 11, 29, 7, 0, 0, 250_000, tzinfo=UTC)
    assert [e["ts"] for e in events] == [int(first.timestamp() * 1000) + 1000 * n for n in range(5)]
    source = tmp_path / "lines.jsonl"
    source.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    app = EXAMPLES / "sshguard" / "sshguard.py"
    done = launch.run(app, *STREAM, "--input", source, "--output", "-")
    assert done.returncode == 0, done.stderr
    assert json_lines(done.stdout)[0] == {"address": BAD, "banned": True}


# -- market -------------------------------------------------------------------------------


def quote(grid: TestGrid, bid: int, ask: int, late_ms: int = 0) -> None:
    grid.send("ticks", {"symbol": "X", "ts": grid.now - late_ms, "bid": bid, "ask": ask})


def order(grid: TestGrid) -> list[Any]:
    """An order's rejects, without what they all have."""
    grid.send("ticks", {"symbol": "X", "ts": grid.now, "order": "o1", "quantity": 1})
    common = {"order": "o1", "symbol": "X", "ts": grid.now}
    rejects = grid.outputs("rejects")
    assert all(common.items() <= each.items() for each in rejects)
    return [{k: each[k] for k in each if k not in common} for each in rejects]


@pytest.mark.parametrize(
    ("bid", "ask", "rejected"),
    [
        (100_000, 100_499, False),
        (100_000, 100_500, True),  # $0.05
        (3_900, 4_099, False),
        (3_900, 4_100, True),  # 200 of 4000: 5 %
    ],
)
def test_an_order_against_a_spread(bid: int, ask: int, rejected: bool) -> None:
    with example("market") as grid:
        quote(grid, bid, ask)
        assert order(grid) == [{"reason": "spread", "bid": bid, "ask": ask}] * rejected


def test_quotes_that_are_missing_late_or_old() -> None:
    with example("market") as grid:
        assert order(grid) == [{"reason": "no quote"}]
        grid.advance(seconds(10))
        quote(grid, 10_000, 10_010)
        quote(grid, 10_000, 10_900, late_ms=1)  # older than the one that is known
        assert order(grid) == []
        grid.advance(seconds(60))
        assert order(grid) == []
        grid.advance(seconds(0.001))
        assert order(grid) == [{"reason": "no quote"}]
        quote(grid, 10_010, 10_000)
        (letter,) = grid.dead_letters()
        assert letter.error == "ValueError: neither an order nor a quote: bid 10010, ask 10000"


def rejected(ticks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What the rule says, of all ticks at once."""
    quotes: dict[str, dict[str, Any]] = {}
    found = []
    for tick in ticks:
        known = quotes.get(tick["symbol"])
        if "order" not in tick:
            if known is None or tick["ts"] >= known["ts"]:
                quotes[tick["symbol"]] = tick
        elif known is None or tick["ts"] - known["ts"] > 60_000:
            found.append((tick["order"], "no quote"))
        else:
            spread = known["ask"] - known["bid"]
            mid = (known["ask"] + known["bid"]) / 2
            if spread >= 500 or spread / mid >= 0.05:
                found.append((tick["order"], "spread"))
    return sorted(found)


@pytest.mark.parametrize("shards", [1, 3])
def test_the_generated_market(launch: Launcher, tmp_path: Path, shards: int) -> None:
    ticks = script("market/generate.py", "5000")
    assert ticks == script("market/generate.py", "5000")
    source = tmp_path / "ticks.jsonl"
    source.write_text("".join(f"{json.dumps(tick)}\n" for tick in ticks))
    app = EXAMPLES / "market" / "market.py"
    done = launch.run(app, "--input", source, "--output", "-", "--shards", str(shards))
    assert done.returncode == 0, done.stderr
    rejects = [(each["order"], each["reason"]) for each in json_lines(done.stdout)]
    assert sorted(rejects) == rejected(ticks)
    assert {reason for _, reason in rejects} == {"no quote", "spread"}
    assert summary(done)["dead_letters"] == 0


# -- followers ----------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_a_report_on_a_small_graph(launch: Launcher, tmp_path: Path, shards: int) -> None:
    source = tmp_path / "all.jsonl"
    source.write_text((EXAMPLES / "followers" / "edges.jsonl").read_text() + '{"report": true}\n')
    app = EXAMPLES / "followers" / "followers.py"
    done = launch.run(app, *STREAM, "--input", source, "--output", "-", "--shards", str(shards))
    assert done.returncode == 0, done.stderr
    assert sorted(json_lines(done.stdout), key=lambda each: each["user"]) == [
        {"user": "ann", "followers": 3, "following": 2, "mutual": ["bob", "cy"]},
        {"user": "bob", "followers": 1, "following": 1, "mutual": ["ann"]},
        {"user": "cy", "followers": 1, "following": 1, "mutual": ["ann"]},
        {"user": "dee", "followers": 0, "following": 1, "mutual": []},
    ]


@pytest.mark.parametrize("shards", [1, 4])
def test_a_report_comes_behind_all_edges(launch: Launcher, tmp_path: Path, shards: int) -> None:
    edges = [(f"u{n % 97}", f"u{n * n % 101}") for n in range(20_000)]
    followers, following = defaultdict(set), defaultdict(set)
    for a, b in edges:
        if a != b:
            following[a].add(b)
            followers[b].add(a)
    source = tmp_path / "all.jsonl"
    lines = [json.dumps({"follower": a, "followed": b}) for a, b in edges]
    source.write_text("\n".join([*lines, '{"report": true}\n']))
    app = EXAMPLES / "followers" / "followers.py"
    done = launch.run(app, *STREAM, "--input", source, "--output", "-", "--shards", str(shards))
    assert done.returncode == 0, done.stderr
    given = {each.pop("user"): each for each in json_lines(done.stdout)}
    assert given == {
        user: {
            "followers": len(followers[user]),
            "following": len(following[user]),
            "mutual": sorted(followers[user] & following[user]),
        }
        for user in set(followers) | set(following)
    }


# -- deadman ------------------------------------------------------------------------------


def test_a_job_that_is_missing_is_told_of_until_it_is_back() -> None:
    with example("deadman") as grid:
        grid.send("beats", {"job": "backup", "every": 60})
        grid.send("beats", {"job": "mail", "every": 86_400})
        seen = grid.now
        grid.advance(seconds(59.999))
        assert grid.outputs("alerts") == []
        grid.advance(seconds(0.001))
        common = {"job": "backup", "last_seen": seen}
        assert grid.outputs("alerts") == [common | {"state": "missing"}]
        grid.advance(hours(2))
        assert grid.outputs("alerts") == [
            common | {"state": "still missing", "reminder": n} for n in (1, 2)
        ]
        grid.send("beats", {"job": "backup", "every": 7200})
        assert grid.outputs("alerts") == [common | {"state": "back", "away_ms": 7_260_000}]
        assert grid.entity("job:backup").ttl == 7200
        seen = grid.now
        grid.advance(seconds(7199))  # no reminder any more
        assert grid.outputs("alerts") == []
        grid.advance(seconds(1))
        assert grid.outputs("alerts") == [{"job": "backup", "last_seen": seen, "state": "missing"}]


def test_a_job_that_does_not_come_back_is_forgotten() -> None:
    with example("deadman") as grid:
        grid.send("beats", {"job": "backup", "every": 60})
        grid.advance(days(31))
        states = [alert["state"] for alert in grid.outputs("alerts")]
        assert states == ["missing", *["still missing"] * 720, "forgotten"]
        assert grid.entities("job:*") == {}
