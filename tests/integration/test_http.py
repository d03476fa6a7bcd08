"""The HTTP port: health, readiness and metrics, and requests that mean no good."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from datanode import DataNode, settle
from exposition import Family, parse
from harness import (
    ANY_PORTS,
    DEADLINE_S,
    REPOSITORY,
    Launcher,
    Server,
    ServerDied,
    eventually,
    file_sink_table,
    run_bettong,
    source_table,
)

APP = """
    from bettong import App, Event, seconds

    app = App("counted")

    class Sample(Event):
        key: str
        what: str = ""

    events = app.stream("events", Sample)
    told = app.stream("told")

    class Timed(Event, time="ts"):
        ts: int

    timed = app.stream("timed", Timed, max_age=60)

    class Count(app.Entity, ttl=seconds(1000)):
        n: int

        @events.on(key="key")
        def take(self, e: Sample):
            if e.what == "raise":
                raise ValueError("as asked")
            self.n += 1
            told.emit(key=self.key, n=self.n)

    class Idle(app.Entity, ttl=seconds(10)):
        n: int
"""


def config(path: Path) -> str:
    return source_table("events", "events") + file_sink_table("out", "told", path)


@contextlib.contextmanager
def client(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(*server.http, timeout=DEADLINE_S)
    try:
        yield connection
    finally:
        connection.close()


def get(server: Server, path: str, method: str = "GET") -> tuple[int, str]:
    with client(server) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def metrics(server: Server) -> dict[str, Family]:
    status, text = get(server, "/metrics")
    assert status == 200
    return parse(text)


def raw(server: Server, request: bytes) -> bytes:
    """Everything a connection answers until it is closed."""
    with socket.create_connection(server.http, timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


# -- pages ----------------------------------------------------------------------------------


def test_health_and_readiness(launch: Launcher) -> None:
    server = launch(shards=3)
    assert get(server, "/healthz") == (200, "ok\n")
    assert get(server, "/readyz") == (200, "ready\n")
    assert get(server, "/readyz?verbose=1") == (200, "ready\n")


def test_what_is_not_there_is_told_with_what_is(launch: Launcher) -> None:
    status, text = get(launch(), "/metricz")
    assert status == 404
    for page in ("/healthz", "/readyz", "/metrics"):
        assert page in text


def test_a_connection_is_kept_and_head_has_no_body(launch: Launcher) -> None:
    server = launch()
    with client(server) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        kept = connection.sock
        connection.request("HEAD", "/metrics")
        head = connection.getresponse()
        assert head.read() == b""
        assert int(head.headers["Content-Length"]) > 1000
        assert head.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        connection.request("GET", "/readyz")
        assert connection.getresponse().read() == b"ready\n"
        assert connection.sock is kept


# -- metrics --------------------------------------------------------------------------------


def test_metrics_count_what_happened(launch: Launcher) -> None:
    server = launch(APP, config=config(launch.folder / "out.jsonl"))
    server.feed(*[{"key": f"k{i % 10}"} for i in range(1000)], "garbage")
    server.feed({"key": "bad", "what": "raise"})
    cache = server.redis()
    for i in range(20):
        cache.set(f"plain{i}", "x", px=1 if i < 5 else None)
    eventually(lambda: cache.dbsize() == 15 + 10 + 2, "the end of five keys")
    page = metrics(server)

    assert page["bettong_build_info"].total() == 1
    assert page["bettong_node_state"].value(state="ready") == 1
    assert page["bettong_node_state"].total() == 1
    assert page["process_cpu_seconds_total"].value() > 0
    assert page["process_resident_memory_bytes"].value() > 1 << 20
    assert 0 < page["bettong_uptime_seconds"].value() < 600

    assert page["bettong_shard_up"].total() == 2
    assert page["bettong_keys"].total() == 15 + 10 + 2  # and two views
    assert page["bettong_keys"].value(shard="0") > 0
    assert page["bettong_entities"].total(**{"class": "Count"}) == 10
    assert page["bettong_entities"].total(**{"class": "Idle"}) == 0
    assert page["bettong_keys_with_deadline"].total() == 10
    assert page["bettong_memory_used_bytes"].total() > 1000
    assert page["bettong_events_admitted_total"].total() == 1002
    assert page["bettong_event_turns_total"].total() == 1001
    assert page["bettong_turns_failed_total"].total() == 1
    assert page["bettong_outputs_total"].total() == 1000
    assert page["bettong_dead_letters_total"].total() == 2
    assert page["bettong_keys_expired_total"].total() == 5
    assert page["bettong_loans_outstanding"].total() == 0

    assert page["bettong_commands_total"].total(command="set") == 20
    assert page["bettong_commands_total"].total(command="dbsize") >= 1
    assert page["bettong_commands_total"].total(command="get") == 0
    assert page["bettong_connections"].total() >= 1
    assert page["bettong_connections_accepted_total"].value() >= 1

    source = {"source": "events"}
    assert page["bettong_source_frames_total"].value(**source) == 1002
    assert page["bettong_source_events_total"].value(**source) == 1001
    assert page["bettong_source_dead_letters_total"].value(**source) == 1
    assert page["bettong_source_bytes_total"].value(**source) > 10_000
    assert page["bettong_source_connections_total"].value(**source) == 2
    assert page["bettong_source_connections"].value(**source) == 0
    assert page["bettong_source_admission"].value(**source, state="open") == 1
    assert page["bettong_source_admission"].total() == 1
    assert page["bettong_sink_pending_bytes"].value(sink="out") == 0
    written = (launch.folder / "out.jsonl").stat().st_size
    assert page["bettong_sink_written_bytes_total"].value(sink="out") == written > 0
    assert page["bettong_outbox_pending_bytes"].total() == 0

    assert page["bettong_lane_turns_total"].value() == 1001
    assert page["bettong_lane_busy_seconds_total"].value() > 0
    assert page["bettong_lane_queue_turns"].value() == 0


def test_metrics_of_the_log(launch: Launcher) -> None:
    node = DataNode(launch)
    names = [
        "bettong_log_written_bytes_total",
        "bettong_log_records_total",
        "bettong_log_commit_seconds",
        "bettong_log_undurable_bytes",
        "bettong_log_held_batches",
        "bettong_log_segments",
        "bettong_log_size_bytes",
        "bettong_log_disk_full",
        "bettong_checkpoint_rounds_total",
    ]
    server = node(APP, config=config(launch.folder / "out.jsonl"))
    before = metrics(server)
    server.feed(*[{"key": f"k{i}"} for i in range(100)])
    cache = server.redis()
    cache.set("large", "x" * 1_200_000)
    settle(cache)
    # What waited is released a moment after it is durable.
    eventually(lambda: metrics(server)["bettong_log_held_batches"].total() == 0)
    page = metrics(server)
    assert set(names) <= set(page)
    written = page["bettong_log_written_bytes_total"]
    assert written.total() - before["bettong_log_written_bytes_total"].total() > 1_200_000
    commits = page["bettong_log_commit_seconds"]
    assert commits.total("_count") > before["bettong_log_commit_seconds"].total("_count")
    assert page["bettong_log_records_total"].total() >= commits.total("_count")
    assert page["bettong_log_segments"].total() >= 3
    assert page["bettong_log_disk_full"].total() == 0
    assert page["bettong_checkpoint_rounds_total"].total() == 0
    rows = page["bettong_entity_row_bytes"].total(**{"class": "Count"})
    assert rows % 100 == 0
    assert rows >= 100 * 8
    assert page["bettong_entity_row_bytes"].total(**{"class": "Idle"}) == 0
    assert page["bettong_repeats_dropped_total"].total() == 0
    # While it runs, files are made ready beside and renamed.
    server.stop()
    files = [path for path in node.data.rglob("*") if path.is_file()]
    size = page["bettong_log_size_bytes"].value()
    assert 0 < size <= sum(path.stat().st_size for path in files)
    # Without a log there is none to tell of.
    assert not set(names) & set(metrics(launch(APP)))


def test_histograms_count_every_turn_event_and_expiry(launch: Launcher) -> None:
    server = launch(APP)
    server.feed(*[{"key": f"k{i % 10}"} for i in range(5000)])
    cache = server.redis()
    cache.set("short", "x", px=1)
    eventually(lambda: not cache.exists("short"), "the end of the key")
    page = metrics(server)
    for name, count in (
        ("bettong_handler_latency_seconds", 5000),
        ("bettong_event_latency_seconds", 5000),
        ("bettong_expiry_lag_seconds", 1),
    ):
        assert page[name].total("_count") == count, name
        # Not a test of time: within what the machine has done at all.
        assert page[name].total("_sum") < count * 60
    lane = page["bettong_handler_latency_seconds"]
    busy_s = page["bettong_lane_busy_seconds_total"].value()
    assert lane.total("_sum") == pytest.approx(busy_s, rel=0.05)
    assert page["bettong_event_latency_seconds"].total("_sum") > 0


def test_counters_never_fall_and_a_scrape_changes_nothing(launch: Launcher) -> None:
    server = launch(APP)
    before = metrics(server)
    for _ in range(3):
        server.feed(*[{"key": f"k{i}"} for i in range(100)])
        after = metrics(server)
        assert set(after) == set(before)
        for family in after.values():
            if family.type == "counter":
                for key, value in before[family.name].samples.items():
                    assert family.samples[key] >= value, key
        before = after


def test_names_are_escaped(launch: Launcher) -> None:
    name = 'a"b"\\\\c'
    text = source_table("events", "events").replace("source.events", f"source.'{name}'")
    server = launch(APP, config=text)
    page = metrics(server)
    assert page["bettong_source_bytes_total"].value(source=name) == 0


def test_the_page_of_metrics_lists_those_there_are(launch: Launcher) -> None:
    server = DataNode(launch)(APP, config=config(launch.folder / "out.jsonl"))
    server.redis().ping()
    there_are = {(one.name, one.type) for one in metrics(server).values()}
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:\{([\w, ]+)\})?` \| (\w+) \|", page, re.MULTILINE)
    assert {(name, kind) for name, _, kind in rows} == there_are
    labels = {name: set(filter(None, given.split(", "))) for name, given, _ in rows}
    for one in metrics(server).values():
        for _, pairs in one.samples:
            assert {label for label, _ in pairs} - {"le"} == labels[one.name], one.name


# -- hostile requests -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "FLUSHALL"])
def test_other_methods_are_refused(launch: Launcher, method: str) -> None:
    server = launch()
    answer = raw(server, f"{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD\r\n" in answer
    assert answer.endswith(b"only GET and HEAD are answered here\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        bytes(range(256)) * 8,
    ],
)
def test_what_is_no_request_is_refused_with_words(launch: Launcher, request_bytes: bytes) -> None:
    server = launch()
    answer = raw(server, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.split(b"\r\n\r\n", 1)[1].strip()
    assert get(server, "/healthz") == (200, "ok\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"A" * 100_000,
    ],
)
def test_a_request_that_is_too_large_is_refused(launch: Launcher, request_bytes: bytes) -> None:
    server = launch()
    answer = raw(server, request_bytes)
    assert re.match(rb"HTTP/1\.1 (431|400) ", answer), answer[:200]
    assert get(server, "/healthz") == (200, "ok\n")


def test_a_large_request_within_the_limit_is_answered(launch: Launcher) -> None:
    server = launch()
    header = b"X: " + b"a" * 15_000 + b"\r\nConnection: close\r\n"
    answer = raw(server, b"GET /healthz HTTP/1.1\r\n" + header + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_requests_behind_each_other_are_answered_in_order(launch: Launcher) -> None:
    server = launch()
    one = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nope HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = raw(server, one % b"healthz" + one % b"readyz" + last)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"404"]


def test_connections_beyond_the_limit_are_refused_and_no_other(launch: Launcher) -> None:
    server = launch()
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            one = stack.enter_context(socket.create_connection(server.http, timeout=DEADLINE_S))
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"
        with socket.create_connection(server.http, timeout=DEADLINE_S) as crowded:
            answer = b""
            while chunk := crowded.recv(4096):
                answer += chunk
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"too many connections are open\n")
    eventually(lambda: get(server, "/healthz")[0] == 200, "room for a connection")


# -- where it listens -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_it_is_not_open_to_the_network_unasked(host: str) -> None:
    listen = f"http.listen={host}:0"
    done = run_bettong("serve", "--set", listen)
    assert done.returncode == 2
    for word in ("http.listen", "127.0.0.1", "http.protected_mode = false"):
        assert word in done.stderr
    for more in ("http.protected_mode=false", "http.enabled=false"):
        assert run_bettong("check", "--set", listen, "--set", more).returncode == 0


def test_a_port_that_is_taken_is_told_with_what_to_do(launch: Launcher) -> None:
    taken = launch(shards=1)
    done = run_bettong("serve", *ANY_PORTS, "--http-port", str(taken.http[1]))
    assert done.returncode == 1
    words = ("http: listen on 127.0.0.1", "in use", "--http-port", "http.enabled = false")
    for word in words:
        assert word in done.stderr


def test_without_it_the_ready_line_has_none(launch: Launcher) -> None:
    server = launch(None, "--set", "http.enabled=false")
    assert server.http == ("", 0)
    (ready,) = (line for line in server.stderr if line.startswith("ready "))
    assert "http" not in ready
    with pytest.raises(ServerDied):
        launch(None, "--set", "http.listen=nowhere:1")


def test_run_opens_none(launch: Launcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        setting = f"http.listen=127.0.0.1:{port}"
        done = launch.run(APP, "--input", "-", "--set", setting, stdin=b'{"key":"a"}\n')
    assert done.returncode == 0, done.stderr
