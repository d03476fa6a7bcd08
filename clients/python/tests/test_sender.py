"""Sender against a fake node that fails in every way a network and a node can."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import bettong
import pytest
from bettong import BufferFull, Event, Sender, _backlog
from bettong import _wire as wire
from fake_stream_node import FOREVER, WAIT_S, FakeNode, Faults


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with FakeNode() as it:
        yield it


def make(node: FakeNode, **options: Any) -> Sender:
    return Sender(node.address, "s", **{"reconnect_max": 0.001, **options})


# -- events and ids ----------------------------------------------------------------------


class Sample(Event):
    host: str
    value: float = 0.5
    tags: list[bytes] = []  # noqa: RUF012


def test_events_arrive_in_order_with_contiguous_ids(node: FakeNode) -> None:
    with make(node) as sender:
        ids = [
            sender.send({"a": 1, "b": "é", "c": [None, True]}),
            sender.send(b"\x00raw"),
            sender.send('{"x": 1}'),
            sender.send(Sample(host="web-01", tags=[b"t"])),
            sender.send({"nested": Sample(host="db")}),
            sender.send(b""),
        ]
        assert sender.flush(WAIT_S)
        assert ids == [1, 2, 3, 4, 5, 6]
        assert sender.durable == 6
        assert sender.pending == 0
    assert node.events() == [
        '{"a":1,"b":"é","c":[null,true]}'.encode(),
        b"\x00raw",
        b'{"x": 1}',
        b'{"host":"web-01","value":0.5,"tags":["t"]}',
        b'{"nested":{"host":"db","value":0.5,"tags":[]}}',
        b"",
    ]


def test_ids_go_on_above_what_the_node_has(node: FakeNode) -> None:
    node.source().forgotten = 500
    with make(node) as sender:
        assert sender.connect(WAIT_S)
        assert sender.durable == 500
        assert [sender.send(b"{}") for _ in range(3)] == [501, 502, 503]


def test_hello_says_who_sends(node: FakeNode) -> None:
    with Sender(node.address, "collector-7", token="s3", incarnation=42) as sender:
        sender.send(b"{}")
        assert sender.incarnation == 42
    assert node.hellos == [wire.Hello(1, 42, "collector-7", "s3")]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"a": float("nan")}, ValueError),
        ({"a": object()}, TypeError),
        ({"a": "\ud800"}, ValueError),
        ([1], TypeError),
        (7, TypeError),
        (bytes(wire.EVENT_BYTES_MAX + 1), ValueError),
    ],
    ids=["nan", "object", "surrogate", "list", "int", "size"],
)
def test_what_is_no_event_is_refused_and_takes_no_id(
    node: FakeNode, event: Any, error: type[Exception]
) -> None:
    with make(node) as sender:
        with pytest.raises(error):
            sender.send(event)
        assert sender.send(b"{}") == 1


def test_the_largest_event(node: FakeNode) -> None:
    largest = bytes(wire.EVENT_BYTES_MAX)
    with make(node) as sender:
        sender.send(largest)
    assert node.events() == [largest]


@pytest.mark.parametrize(
    "options",
    [
        {"address": "nowhere"},
        {"address": "host:0"},
        {"address": ":9000"},
        {"address": "host:70000"},
        {"source": ""},
        {"source": "x" * 65536},
        {"buffer_events": 0},
        {"buffer_bytes": 13},
        {"when_full": "drop"},
        {"ping_after": 0},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    before = threading.active_count()
    with pytest.raises(ValueError):
        Sender(**{"address": "127.0.0.1:9", "source": "s", **options})
    assert threading.active_count() == before


# -- acknowledgement, limits -------------------------------------------------------------


def test_flush_waits_for_the_acknowledgement(node: FakeNode) -> None:
    node.acking = False
    with make(node) as sender:
        sender.send(b"a")
        node.wait(lambda: len(node.source().applied) == 1)
        assert not sender.flush(0)
        assert not sender.flush(0.01)
        assert sender.durable == 0
        assert sender.pending == 1
        node.acknowledge()
        assert sender.flush(WAIT_S)


def test_flush_waits_only_for_what_was_sent_before(node: FakeNode) -> None:
    node.acking = False
    with make(node) as sender:
        sender.send(b"a")
        node.wait(lambda: len(node.source().applied) == 1)
        flushed = threading.Event()
        waiter = threading.Thread(
            target=lambda: sender.flush(WAIT_S) and flushed.set()  # type: ignore[func-returns-value]
        )
        with node.changed:
            node.source().durable_count = 1
            for connection in node.live():
                connection.write(wire.ack(1, FOREVER))
        assert sender.flush(WAIT_S)
        waiter.start()
        assert flushed.wait(WAIT_S)
        waiter.join()
        sender.send(b"b")
        assert not sender.flush(0)
        node.acknowledge()


def test_the_event_limit_at_its_edge(node: FakeNode) -> None:
    node.acking = False
    with make(node, buffer_events=3, when_full="raise") as sender:
        assert sender.connect(WAIT_S)
        for _ in range(3):
            sender.send(b"x")
        with pytest.raises(BufferFull, match="3 events"):
            sender.send(b"x")
        node.wait(lambda: len(node.source().applied) == 3)
        # One acknowledged of three that travelled together is room for one.
        node.say(wire.ack(1, FOREVER))
        assert sender.flush(0) is False
        wait_for(lambda: sender.durable == 1)
        assert sender.send(b"x") == 4
        with pytest.raises(BufferFull):
            sender.send(b"x")
        node.acknowledge()


def test_the_byte_limit_at_its_edge(node: FakeNode) -> None:
    node.acking = False
    with make(node, buffer_bytes=100, when_full="raise") as sender:
        assert sender.connect(WAIT_S)
        with pytest.raises(ValueError, match="at most 87 bytes"):
            sender.send(bytes(88))
        assert sender.send(bytes(87)) == 1  # 13 for the frame
        with pytest.raises(BufferFull, match="100 bytes"):
            sender.send(b"")
        node.acknowledge()
        assert sender.flush(WAIT_S)
        assert sender.send(bytes(87)) == 2


def test_bytes_of_two_events_fill_the_buffer_exactly(node: FakeNode) -> None:
    node.acking = False
    with make(node, buffer_bytes=100, when_full="raise") as sender:
        assert sender.connect(WAIT_S)
        sender.send(bytes(37))
        with pytest.raises(BufferFull):
            sender.send(bytes(38))
        sender.send(bytes(37))
        with pytest.raises(BufferFull):
            sender.send(b"")
        node.acknowledge()


def test_a_full_buffer_blocks_until_there_is_room(node: FakeNode) -> None:
    node.acking = False
    with make(node, buffer_events=2) as sender:
        sender.send(b"1")
        sender.send(b"2")
        with pytest.raises(BufferFull):
            sender.send(b"no", timeout=0.01)
        ids: list[int] = []
        waiter = threading.Thread(target=lambda: ids.append(sender.send(b"3")))
        waiter.start()
        node.wait(lambda: len(node.source().applied) == 2)
        assert waiter.is_alive()
        node.acknowledge()
        waiter.join(WAIT_S)
        assert ids == [3]
    assert node.events() == [b"1", b"2", b"3"]


def test_no_more_is_sent_than_allowed(node: FakeNode) -> None:
    """The fake node counts; here that no event waits longer than it must either."""
    node.acking = False
    node.allowed_first = 2
    with make(node) as sender:
        for i in range(10):
            sender.send(b"%d" % i)
        node.wait(lambda: len(node.source().applied) == 2)
        assert not sender.flush(0.01)
        with node.changed:
            node.live()[0].allowed = 5
        node.say(wire.ack(1, 5))
        node.wait(lambda: len(node.source().applied) == 5)
        # It only grows: less means nothing.
        node.say(wire.ack(2, 1))
        wait_for(lambda: sender.durable == 2)
        with node.changed:
            node.live()[0].allowed = 6
        node.say(wire.ack(2, 6))
        node.wait(lambda: len(node.source().applied) == 6)
        node.acknowledge()
        assert sender.flush(WAIT_S)
    assert len(node.events()) == 10


def test_allowed_is_counted_anew_on_each_connection(node: FakeNode) -> None:
    node.acking = False
    node.allowed_first = 3
    with make(node) as sender:
        for i in range(5):
            sender.send(b"%d" % i)
        node.wait(lambda: node.source().applied_id == 3)
        node.crash()
        node.wait(lambda: len(node.hellos) == 2 and node.source().applied_id == 3)
        assert node.live()[0].received == 3
        node.acknowledge()


# -- connections -------------------------------------------------------------------------


def test_send_works_before_the_node_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    sender = Sender(f"127.0.0.1:{port}", "s", reconnect_max=0.001)
    with pytest.raises(BufferFull, match="not answered yet"):
        sender.send(b"no", timeout=0.05)
    assert sender.trouble
    assert not sender.connected
    assert not sender.connect(0)
    ids: list[int] = []
    waiter = threading.Thread(target=lambda: ids.append(sender.send(b"first")))
    waiter.start()
    with FakeNode() as node:
        node.listener.close()
        node.source().forgotten = 9
        node.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=node._accept, daemon=True).start()
        waiter.join(WAIT_S)
        assert ids == [10]
        assert sender.close(WAIT_S)


def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    with Sender("name.invalid:9", "s", reconnect_max=0.001) as sender:
        wait_for(lambda: sender.trouble != "not connected yet")
        assert not sender.connect(0)


@pytest.mark.parametrize("crash", [False, True], ids=["cut", "crash"])
def test_a_broken_connection_resumes_above_durable(node: FakeNode, crash: bool) -> None:
    node.acking = False
    with make(node) as sender:
        for i in range(100):
            sender.send(b"%d" % i)
        node.wait(lambda: node.source().applied_id == 100)
        with node.changed:
            node.source().durable_count = 37
        (node.crash if crash else node.cut)()
        node.acking = True
        assert sender.flush(WAIT_S)
        assert len(node.hellos) == 2
        assert node.hellos[0] == node.hellos[1]
        # What was processed though not acknowledged is not sent again.
        assert node.connections[1].received == (63 if crash else 0)
    assert node.events() == [b"%d" % i for i in range(100)]


def test_going_means_connecting_again(node: FakeNode) -> None:
    node.refusal = (wire.GOING, "shutting down")
    with make(node) as sender:
        node.wait(lambda: len(node.hellos) == 3)
        assert "going" in sender.trouble
        node.refusal = None
        assert sender.send(b"x") == 1


def test_a_node_that_has_lost_its_data_gets_what_is_kept(node: FakeNode) -> None:
    with make(node) as sender:
        for i in range(10):
            sender.send(b"%d" % i)
        assert sender.flush(WAIT_S)
        node.acking = False
        sender.send(b"10")
        node.wait(lambda: node.source().applied_id == 11)
        with node.changed:
            source = node.source()
            source.applied.clear()
            source.durable_count, source.forgotten = 0, 0
            node.crash()
        # Ids 1 to 10 are gone on both sides; that they do not come is no gap.
        node.wait(lambda: any("gap" in text for text in node.violations))
        node.violations.clear()
        assert sender.durable == 10
        node.acknowledge()
        assert sender.flush(WAIT_S)
    assert node.events() == [b"10"]


def test_silence_is_asked_about_and_given_up(node: FakeNode) -> None:
    with make(node, ping_after=0.01, pong_within=0.05) as sender:
        sender.send(b"x")
        assert sender.flush(WAIT_S)
        node.answering = False
        node.wait(lambda: len(node.hellos) >= 2)  # the WELCOME does not come either
        node.wait(lambda: len(node.hellos) >= 3)
        node.answering = True
        node.cut()
        assert sender.send(b"y") == 2
        assert sender.flush(WAIT_S)


def test_pongs_keep_a_silent_connection(node: FakeNode) -> None:
    pings = []
    handle = wire.pong

    with make(node, ping_after=0.002, pong_within=30) as sender:
        assert sender.connect(WAIT_S)
        connection = node.live()[0]
        write = connection.write

        def count(data: bytes) -> None:
            if data[:5] == handle(0)[:5]:
                pings.append(data)
                with node.changed:
                    node.changed.notify_all()
            write(data)

        connection.write = count  # type: ignore[method-assign]
        node.wait(lambda: len(pings) >= 5)
    assert len(node.hellos) == 1


def test_the_node_may_ask_too(node: FakeNode) -> None:
    with make(node) as sender:
        assert sender.connect(WAIT_S)
        connection = node.live()[0]
        pongs: list[int] = []
        handle = connection._handle

        def note(frame: wire.Frame) -> None:
            if isinstance(frame, wire.Pong):
                pongs.append(frame.number)
            handle(frame)

        connection._handle = note  # type: ignore[method-assign]
        node.say(wire.ping(77) + wire.ping(78))
        node.wait(lambda: pongs == [77, 78])


# -- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (wire.VERSION_DIFFERS, bettong.VersionMismatch),
        (wire.MALFORMED, bettong.ProtocolViolation),
        (wire.FENCED, bettong.SenderFenced),
        (wire.ORDER, bettong.ProtocolViolation),
        (wire.DENIED, bettong.SenderDenied),
        (wire.REFUSED, bettong.SenderRefused),
        (999, bettong.SenderRefused),
    ],
)
def test_what_is_fatal_is_raised_everywhere(
    node: FakeNode, code: int, error: type[Exception]
) -> None:
    node.acking = False
    sender = make(node)
    sender.send(b"x")
    node.say(wire.error(code, "because"))
    for attempt in (
        lambda: sender.flush(WAIT_S),
        lambda: wait_for(lambda: sender.send(b"y") == 0),
        lambda: sender.close(WAIT_S),
    ):
        with pytest.raises(error, match="because") as raised:
            attempt()
        assert raised.type is error
    hellos = len(node.hellos)
    assert not sender.connected
    assert not sender._thread.is_alive()
    assert len(node.hellos) == hellos


def test_a_refusal_ends_the_waiting(node: FakeNode) -> None:
    node.refusal = (wire.DENIED, "no such source")
    sender = make(node)
    with pytest.raises(bettong.SenderDenied, match="no such source"):
        sender.send(b"x")
    with pytest.raises(bettong.SenderDenied):
        sender.connect()
    assert sender.flush(0)  # there is nothing that is not durable
    assert sender.close()


def test_a_newer_incarnation_fences_the_older(node: FakeNode) -> None:
    node.acking = False
    older = make(node, incarnation=1)
    older.send(b"a")
    node.wait(lambda: node.source().applied_id == 1)
    newer = make(node, incarnation=2)
    with pytest.raises(bettong.SenderFenced):
        older.flush(WAIT_S)
    assert newer.connect(WAIT_S)
    node.acknowledge()
    assert newer.send(b"b") == 2
    assert newer.close(WAIT_S)
    with pytest.raises(bettong.SenderFenced):
        make(node, incarnation=1).send(b"c")
    assert node.events() == [b"a", b"b"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", bettong.ProtocolViolation),
        (wire.stored([]), bettong.ProtocolViolation),
        (wire.welcome(0, 1), bettong.ProtocolViolation),
        (wire.ack(2, 1), bettong.ProtocolViolation),
        (b"\x00\x00\x00\x00\x00", bettong.ProtocolViolation),
    ],
    ids=["http", "another role", "welcome twice", "ack of the future", "empty"],
)
def test_nonsense_from_the_node_is_fatal(
    node: FakeNode, said: bytes, error: type[Exception]
) -> None:
    node.acking = False
    sender = make(node)
    sender.send(b"x")
    node.wait(lambda: node.source().applied_id == 1)
    node.say(said)
    with pytest.raises(error):
        sender.flush(WAIT_S)
    node.wait(lambda: bool(node.violations))
    assert "code=2" in node.violations[0]
    node.violations.clear()


def test_another_version_is_fatal() -> None:
    with FakeNode(version=2) as node:
        with pytest.raises(bettong.VersionMismatch, match="version 2"):
            make(node).send(b"x")
        node.wait(lambda: bool(node.violations))
        assert "code=1" in node.violations[0]
        node.violations.clear()


def test_an_id_that_was_never_sent_is_fatal(node: FakeNode) -> None:
    sender = make(node)
    assert sender.connect(WAIT_S)
    with node.changed:
        node.source().forgotten = 5
        node.crash()
    with pytest.raises(bettong.ProtocolViolation, match="another process"):
        wait_for(lambda: sender.send(b"x") == 0)
    node.wait(lambda: bool(node.violations))
    node.violations.clear()


@pytest.mark.parametrize("seed", range(100))
def test_random_bytes_never_hang_it(seed: int) -> None:
    rng = random.Random(seed)
    said = rng.choice([b"", wire.welcome(0, 5)])
    for _ in range(rng.randrange(5)):
        said += rng.choice(
            [
                wire.ack(0, 9),
                wire.ping(1),
                wire.pong(1),
                rng.randbytes(rng.randrange(40)),
            ]
        )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = Sender(
            f"127.0.0.1:{listener.getsockname()[1]}", "s", reconnect_max=0.001
        )
        connection, _ = listener.accept()
        with connection:
            with contextlib.suppress(OSError):
                connection.sendall(said[: rng.randrange(len(said) + 1)])
                connection.shutdown(socket.SHUT_WR)
            try:
                sender.send(b"x", timeout=0.01)
            except bettong.StreamError:
                pass
        with contextlib.suppress(bettong.StreamError):
            sender.close(0)
        assert not sender._thread.is_alive()


# -- close -------------------------------------------------------------------------------


def test_close_flushes_and_says_whether_all_is_durable(node: FakeNode) -> None:
    node.acking = False
    sender = make(node)
    sender.send(b"x")
    closed: list[bool] = []
    closer = threading.Thread(target=lambda: closed.append(sender.close(WAIT_S)))
    closer.start()
    node.wait(lambda: node.source().applied_id == 1)
    wait_for(lambda: sender._closed)
    with pytest.raises(bettong.StreamClosed):
        sender.send(b"y")
    node.acknowledge()
    closer.join(WAIT_S)
    assert closed == [True]
    assert sender.close()
    assert sender.flush()
    assert sender.durable == 1
    assert not sender._thread.is_alive()
    with pytest.raises(bettong.StreamClosed):
        sender.send(b"y")


def test_close_gives_up_after_its_time(node: FakeNode) -> None:
    node.acking = False
    sender = make(node)
    sender.send(b"x")
    assert not sender.close(0.01)
    assert not sender.close(0)
    assert sender.pending == 1
    assert not sender.flush()


def test_close_ends_a_sender_that_never_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    sender = Sender(f"127.0.0.1:{port}", "s", reconnect_max=3600)
    errors: list[BaseException] = []

    def send() -> None:
        try:
            sender.send(b"x")
        except bettong.StreamClosed as error:
            errors.append(error)

    waiter = threading.Thread(target=send)
    waiter.start()
    assert sender.close()
    waiter.join(WAIT_S)
    assert len(errors) == 1
    assert not sender._thread.is_alive()


def test_with_raises_if_events_are_left_behind(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.acking = False
    close = Sender.close
    monkeypatch.setattr(Sender, "close", lambda self, timeout=0.01: close(self, 0.01))
    with pytest.raises(bettong.NotDurable, match="1 events"), make(node) as sender:
        sender.send(b"x")
    with pytest.raises(ZeroDivisionError), make(node) as sender:
        sender.send(b"x")
        _ = 1 / 0


# -- threads, signals, processes ---------------------------------------------------------


def test_many_threads_send_at_once(node: FakeNode) -> None:
    threads_count, each = 8, 2000
    ids: list[list[int]] = [[] for _ in range(threads_count)]
    with make(node, buffer_events=500) as sender:

        def run(number: int) -> None:
            for i in range(each):
                ids[number].append(sender.send({"thread": number, "i": i}))

        threads = [
            threading.Thread(target=run, args=(n,)) for n in range(threads_count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(id_ for some in ids for id_ in some) == list(
        range(1, threads_count * each + 1)
    )
    events = [json.loads(event) for event in node.events()]
    for number in range(threads_count):
        assert ids[number] == sorted(ids[number])
        assert [events[id_ - 1] for id_ in ids[number]] == [
            {"thread": number, "i": i} for i in range(each)
        ]


def test_an_interrupted_send_took_the_event_or_did_not(node: FakeNode) -> None:
    """A signal's handler that raises anywhere in send leaves whole frames and rising ids."""

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    returned: dict[int, bytes] = {}
    try:
        with make(node, buffer_events=1000) as sender:
            assert sender.connect(WAIT_S)
            number = interrupted = 0
            while interrupted < 200:
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-4))
                    while True:
                        number += 1
                        event = b"%d" % number * (number % 50)
                        returned[sender.send(event)] = event
                except Interrupted:
                    interrupted += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    events = node.events()
    for id_, event in returned.items():
        assert events[id_ - 1] == event


def test_an_append_interrupted_at_any_instruction_is_undone_or_done() -> None:
    class Interrupted(Exception):
        pass

    code = _backlog.Backlog.append.__code__
    interrupted = 0
    for after in range(1000):
        backlog = _backlog.Backlog()
        left = after

        def trace(frame: Any, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code is not code:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                left -= 1
                if left < 0:
                    sys.settrace(None)
                    raise Interrupted
            return trace

        backlog.append(b"before")
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            backlog.append(b"event")
        except Interrupted:
            interrupted += 1
        finally:
            sys.settrace(before)
        expected = [b"before", b"event"][: backlog.last_id]
        expected.append(b"after")
        assert backlog.append(b"after") == len(expected)
        assert backlog.size_bytes == sum(13 + len(event) for event in expected)
        data = b"".join(backlog.take(10, 1 << 20))
        assert data == b"".join(wire.msg(i + 1, e) for i, e in enumerate(expected))
        if left >= 0:
            break
    assert interrupted > 20


def test_a_forked_child_cannot_use_it_and_the_parent_can(node: FakeNode) -> None:
    with make(node) as sender:
        sender.send(b"x")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                sender.send(b"y")
            except bettong.StreamClosed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sender.send(b"z") == 2
    assert node.events() == [b"x", b"z"]
    assert len(node.hellos) == 1


# -- under faults ------------------------------------------------------------------------

MODES = {
    "cuts": Faults(cut_after_read=30_000, cut_after_write=300),
    "crashes": Faults(cut_after_read=60_000, crash=0.5, late_ack=0.5),
    "tight": Faults(cut_after_read=20_000, cut_after_write=2000, window=9, crash=0.2),
    "everything": Faults(
        cut_after_read=40_000,
        cut_after_write=500,
        crash=0.3,
        late_ack=0.4,
        error_going=0.2,
        window=200,
    ),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("mode", MODES)
def test_every_event_once_and_in_order_whatever_fails(mode: str, seed: int) -> None:
    rng = random.Random(seed)
    threads_count, each = rng.choice([(1, 1200), (3, 400)])
    sent: dict[int, bytes] = {}
    lock = threading.Lock()
    with FakeNode(faults=MODES[mode], seed=seed) as node:
        node.source().forgotten = start = rng.choice([0, 1000])
        sender = make(
            node,
            buffer_events=rng.choice([1, 7, 300]),
            buffer_bytes=rng.choice([4000, 1 << 20]),
        )

        def run(number: int) -> None:
            own = random.Random(seed * 100 + number)
            for i in range(each):
                size = own.choice([0, 1, 20, 100, 100, 100, 3000])
                event = f"{number}:{i}:".encode() + own.randbytes(size)
                id_ = sender.send(event)
                with lock:
                    assert id_ not in sent
                    sent[id_] = event

        threads = [
            threading.Thread(target=run, args=(n,)) for n in range(threads_count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        node.faults = Faults()
        node.cut()
        assert sender.flush(WAIT_S)
        assert sender.close(WAIT_S)
        assert node.cuts > 5
        assert sorted(sent) == list(range(start + 1, start + 1 + threads_count * each))
        assert node.events() == [sent[id_] for id_ in sorted(sent)]


@pytest.mark.parametrize("seed", range(30))
def test_the_backlog_gives_each_frame_once_between_rewinds(seed: int) -> None:
    """Against a list of events; take and acknowledge in any portions."""
    rng = random.Random(seed)
    backlog = _backlog.Backlog()
    start = rng.choice([0, 50])
    backlog.start(start)
    events: list[bytes] = []
    taken = 0  # on this connection
    highest = 0
    for _ in range(400):
        what = rng.random()
        if what < 0.5:
            for _ in range(rng.randrange(4)):
                event = rng.randbytes(rng.choice([0, 5, 70_000]))
                events.append(event)
                assert backlog.append(event) == start + len(events)
        elif what < 0.75:
            most = rng.randrange(1, 5)
            data = b"".join(backlog.take(most, rng.choice([1, 100, 1 << 20])))
            reader = wire.FrameReader([wire.MSG])
            reader.feed(data)
            got = 0
            while (found := reader.next()) is not None:
                assert wire.decode(*found) == wire.Msg(start + taken + 1, events[taken])
                taken += 1
                got += 1
            assert got <= most
            assert not reader.inside_frame
            highest = max(highest, taken)
            assert backlog.taken_id == start + highest
        elif what < 0.92:
            acknowledged = rng.randint(0, taken)
            backlog.acknowledge(start + acknowledged)
        else:
            backlog.rewind()
            taken = backlog.durable - start
        assert backlog.last_id == start + len(events)
        assert backlog.pending == len(events) - (backlog.durable - start)
        unacknowledged = sum(13 + len(e) for e in events[backlog.durable - start :])
        assert unacknowledged <= backlog.size_bytes
        if not backlog.pending and taken == len(events):
            assert backlog.size_bytes == 0


def wait_for(condition: Any) -> None:
    """For what has no condition to wait on; never needed more than once or twice."""
    deadline = threading.Event()
    timer = threading.Timer(WAIT_S, deadline.set)
    timer.start()
    try:
        while not condition():
            assert not deadline.wait(0.001), "waited in vain"
    finally:
        timer.cancel()
