"""Kafka over TLS: certificates of both sides, those that do not fit, and the key's password."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import KEY_PASSWORD, Brokers, Record
from datanode import DataNode
from harness import Launcher, Server, eventually, run_bettong, source_table
from nodes import (
    COUNT_APP,
    assert_answers,
    await_complaint,
    await_counted,
    await_state,
    check_outputs,
    complaints,
    counted,
    events,
    info,
    kafka_sink,
    kafka_source,
    source_lines,
    totals,
)

pytestmark = pytest.mark.timeout(300)  # brokers take their time

Options = dict[str, str]


def locations(broker: Brokers, password: str = KEY_PASSWORD) -> Options:
    """All that a client needs, as names of files."""
    at = broker.certificates
    return {
        "security.protocol": "ssl",
        "ssl.ca.location": str(at / "ca.pem"),
        "ssl.certificate.location": str(at / "client.pem"),
        "ssl.key.location": str(at / "client.key"),
        "ssl.key.password": password,
    }


def contents(broker: Brokers, password: str = KEY_PASSWORD) -> Options:
    """The same, but what is in the files is the options' value."""
    at = broker.certificates
    return {
        "security.protocol": "ssl",
        "ssl.ca.pem": f"file:{at / 'ca.pem'}",
        "ssl.certificate.pem": f"file:{at / 'client.pem'}",
        "ssl.key.pem": f"file:{at / 'client.key'}",
        "ssl.key.password": password,
    }


def certify(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that has signed itself, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    command += ["ec_paramgen_curve:prime256v1", "-noenc", "-days", "30", "-subj", f"/CN={name}"]
    done = subprocess.run(
        [*command, "-out", certificate, "-keyout", key], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return certificate, key


def sink(broker: Brokers, topic: str, kafka: Options, brokers: str | None = None) -> str:
    """Exactly once; its transactional id is no other test's."""
    return kafka_sink(
        brokers or broker.bootstrap_tls,
        f"{topic}-out",
        key="key",
        exactly_once=True,
        transactional_id=topic,
        kafka=kafka,
    )


def read_outputs(broker: Brokers, topic: str, count: int) -> list[dict[str, object]]:
    """What a read_committed reader sees, once it is so much or more."""

    def enough() -> list[Record] | None:
        found = broker.read_all(f"{topic}-out")
        return found if len(found) >= count else None

    records = eventually(enough, f"{count} outputs", within_s=60)
    assert len(records) == count
    return [json.loads(record.value or b"") for record in records]


def everything_said(server: Server) -> str:
    """All that the node has told anybody."""
    with server.connect() as connection:
        config = str(connection.call("CONFIG", "GET", "*"))
    return "\n".join([*server.stdout, *server.stderr, *info(server).values(), config])


# -- certificates that fit --------------------------------------------------------------------


@pytest.mark.parametrize("given", [locations, contents])
def test_a_source_and_a_sink_over_tls_take_each_event_once_across_kills(
    node: DataNode,
    broker: Brokers,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: Callable[[Brokers, str], Options],
) -> None:
    broker.create(topic)
    broker.create(f"{topic}-out")
    monkeypatch.setenv("KAFKA_KEY_PASSWORD", KEY_PASSWORD)
    secret = tmp_path / "secret"
    secret.write_text(KEY_PASSWORD + "\n")
    config = kafka_source(
        broker.bootstrap_tls, topic, kafka=given(broker, "env:KAFKA_KEY_PASSWORD")
    )
    config += sink(broker, topic, given(broker, f"file:{secret}"))
    for step in range(3):
        broker.produce(topic, events(range(1000 * step, 1000 * step + 1000)))
        server = node(COUNT_APP, config=config, shards=1 + step)
        await_counted(server, totals(range(1000 * step + 1000)))
        assert complaints(server, "SSL") == []
        assert KEY_PASSWORD not in everything_said(server)
        if step < 2:
            node.kill(server)
    check_outputs(read_outputs(broker, topic, 3000), range(3000))


# -- certificates that do not --------------------------------------------------------------


def wrong_authority(broker: Brokers, folder: Path) -> tuple[str, Options]:
    other, _ = certify(folder, "other")
    return broker.bootstrap_tls, locations(broker) | {"ssl.ca.location": str(other)}


def no_certificate(broker: Brokers, folder: Path) -> tuple[str, Options]:
    del folder
    wanted = ("security.protocol", "ssl.ca.location")
    return broker.bootstrap_tls, {name: locations(broker)[name] for name in wanted}


def strange_certificate(broker: Brokers, folder: Path) -> tuple[str, Options]:
    certificate, key = certify(folder, "stranger")
    mine = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
    options = {k: v for k, v in locations(broker).items() if k != "ssl.key.password"}
    return broker.bootstrap_tls, options | mine


def another_host(broker: Brokers, folder: Path) -> tuple[str, Options]:
    """The brokers' certificate is for 127.0.0.1 alone."""
    del folder
    return broker.bootstrap_tls.replace("127.0.0.1", "localhost"), locations(broker)


def no_tls(broker: Brokers, folder: Path) -> tuple[str, Options]:
    """TLS with a listener that speaks none."""
    del folder
    return broker.bootstrap, locations(broker)


# What is wrong, and what a user is told of it, by the log and by INFO.
MISFITS = {
    wrong_authority: "certificate verify failed",
    no_certificate: "alert bad certificate",
    strange_certificate: "alert certificate unknown",
    another_host: "certificate verify failed",
    no_tls: "SSL handshake failed",
}


@pytest.mark.parametrize("misfit", MISFITS, ids=lambda each: each.__name__)
def test_certificates_that_do_not_fit_are_told_of_and_cost_nothing(
    node: DataNode,
    broker: Brokers,
    topic: str,
    tmp_path: Path,
    misfit: Callable[[Brokers, Path], tuple[str, Options]],
) -> None:
    broker.create(topic)
    broker.create(f"{topic}-out")
    broker.produce(topic, events(range(300)))
    reason = MISFITS[misfit]
    brokers, options = misfit(broker, tmp_path)
    tcp = source_table("open", "events")
    config = tcp + kafka_source(brokers, topic, name="closed", kafka=options)
    server = node(COUNT_APP, config=config + sink(broker, topic, options, brokers))
    await_complaint(server, "source closed", reason)
    await_complaint(server, "sink out", reason)
    eventually(lambda: reason in source_lines(server, "closed")["trouble"], "INFO tells of it")
    # The other source and the RESP port go on, and what comes out is kept.
    server.feed(*(json.loads(each.value or b"") for each in events(range(300, 500))), source="open")
    await_counted(server, totals(range(300, 500)))
    assert_answers(server)
    assert KEY_PASSWORD not in everything_said(server)
    assert broker.read_all(f"{topic}-out", "read_uncommitted") == []
    node.kill(server)

    right = locations(broker)
    config = tcp + kafka_source(broker.bootstrap_tls, topic, name="closed", kafka=right)
    server = node(COUNT_APP, config=config + sink(broker, topic, right))
    eventually(lambda: sum(n for n, _ in counted(server).values()) == 500, "all is counted")
    outputs = read_outputs(broker, topic, 500)
    assert sorted(each["n"] for each in outputs) == list(range(500))
    await_state(server, topic, name="closed", state="reading", lag=0)
    assert source_lines(server, "closed")["trouble"] == ""


# -- the key's password -----------------------------------------------------------------------


@pytest.mark.parametrize("given", [locations, contents])
def test_a_wrong_password_of_the_key_is_refused_at_the_start_and_not_shown(
    node: DataNode, broker: Brokers, topic: str, given: Callable[[Brokers, str], Options]
) -> None:
    config = kafka_source(broker.bootstrap_tls, topic, kafka=given(broker, "wrong-donkey"))
    code, line = node.refused(COUNT_APP, config=config)
    assert code != 0
    assert "ssl.key" in line
    assert "source" in line
    assert "wrong-donkey" not in line


@pytest.mark.parametrize(
    "option", ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location"]
)
def test_an_option_whose_file_is_not_there_is_named_at_the_start(
    node: DataNode, broker: Brokers, topic: str, option: str
) -> None:
    options = locations(broker) | {option: "/no/such/file.pem"}
    code, line = node.refused(COUNT_APP, config=sink(broker, topic, options))
    assert code != 0
    assert "[sink.out]" in line
    assert option in line


def test_the_key_s_password_is_shown_as_stars(
    launch: Launcher, broker: Brokers, topic: str
) -> None:
    broker.create(topic)
    broker.create(f"{topic}-out")
    options = locations(broker)
    config = kafka_source(broker.bootstrap_tls, topic, kafka=options)
    config += sink(broker, topic, options)
    path, app = launch.write_config(config), launch.write_app(COUNT_APP)
    shown = run_bettong("config", "show", app, "-c", path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count('"ssl.key.password" = "***"') == 2, shown.stdout
    assert KEY_PASSWORD not in shown.stdout + shown.stderr
    # The rest is no secret.
    assert shown.stdout.count(options["ssl.key.location"]) == 2
