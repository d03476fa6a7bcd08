"""Connections and the server as a whole: what connection.txt and protocol_errors.txt cannot say."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator

import pytest

from harness import Server, eventually
from resp import Connection, ConnectionEnded, RespError

OOM = "OOM command not allowed when used memory > 'maxmemory'."


def info(connection: Connection, *sections: str) -> dict[str, str]:
    lines = connection.call("INFO", *sections).split("\r\n")
    return dict(line.split(":", 1) for line in lines if line and not line.startswith("#"))


# -- HELLO and CLIENT -----------------------------------------------------------------------


def test_hello_describes_the_server(plain: Server) -> None:
    connection = plain.connect()
    flat = connection.call("HELLO")
    facts = dict(zip(flat[::2], flat[1::2], strict=True))
    assert facts["proto"] == 2
    assert facts["version"].startswith("7.4.")
    assert facts["role"] == "master"
    assert facts["id"] == connection.call("CLIENT", "ID")
    assert {"server", "mode", "modules"} <= set(facts)


def test_hello_switches_the_protocol(plain: Server) -> None:
    connection = plain.connect()
    assert connection.reply("GET", "missing").kind == b"$"
    reply = connection.reply("HELLO", 3)
    assert reply.kind == b"%"
    assert reply.python()["proto"] == 3
    assert connection.reply("GET", "missing").kind == b"_"
    assert connection.reply("HELLO").python()["proto"] == 3
    reply = connection.reply("HELLO", 2)
    assert reply.kind == b"*"
    assert connection.reply("GET", "missing").kind == b"$"


def test_a_refused_hello_changes_nothing(plain: Server) -> None:
    connection = plain.connect(protocol=3)
    with pytest.raises(RespError, match=r"^NOPROTO"):
        connection.call("HELLO", 4)
    assert connection.reply("GET", "missing").kind == b"_"


def test_hello_sets_the_name(plain: Server) -> None:
    connection = plain.connect()
    connection.call("HELLO", 3, "SETNAME", "worker")
    assert connection.call("CLIENT", "GETNAME") == "worker"


def test_client_ids_differ_and_rise(plain: Server) -> None:
    ids = [plain.connect().call("CLIENT", "ID") for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(isinstance(one, int) and one > 0 for one in ids)


def test_client_setinfo(cache: Connection) -> None:
    assert cache.call("CLIENT", "SETINFO", "LIB-NAME", "tests") == "OK"
    assert cache.call("CLIENT", "SETINFO", "lib-ver", "1.0") == "OK"
    with pytest.raises(RespError, match=r"^ERR"):
        cache.call("CLIENT", "SETINFO", "nosuch", "x")
    with pytest.raises(RespError, match=r"^ERR"):
        cache.call("CLIENT", "SETINFO", "LIB-NAME", "with space")
    with pytest.raises(RespError, match=r"^ERR"):
        cache.call("CLIENT", "NOSUCHSUBCOMMAND")


# -- COMMAND and INFO -----------------------------------------------------------------------

COMMANDS = """
    ping echo hello select quit client command info config dbsize keys scan type exists del unlink
    expire pexpire expireat pexpireat ttl pttl expiretime pexpiretime persist
    get set incr decr incrby decrby incrbyfloat mget mset
    hset hget hmset hmget hgetall hkeys hvals hlen hexists hdel hsetnx hstrlen hincrby hincrbyfloat
    hrandfield hscan
    xadd xlen xrange xrevrange xread subscribe unsubscribe psubscribe publish
    call fcall schema flushall shutdown
"""


def test_command_lists_what_there_is(cache: Connection) -> None:
    rows = cache.call("COMMAND")
    names = {row[0].lower() for row in rows}
    assert set(COMMANDS.split()) <= names
    assert cache.call("COMMAND", "COUNT") == len(rows)
    for name, arity, flags, first, last, step, *_ in rows:
        assert isinstance(arity, int), name
        assert arity != 0, name
        assert isinstance(flags, list), name
        assert all(isinstance(number, int) for number in (first, last, step)), name
    by_name = {row[0].lower(): row for row in rows}
    assert by_name["get"][1] == 2
    assert by_name["get"][3:6] == [1, 1, 1]
    assert by_name["set"][1] == -3
    assert by_name["mset"][3:6] == [1, -1, 2]
    assert by_name["del"][3:6] == [1, -1, 1]
    assert by_name["ping"][3:6] == [0, 0, 0]
    assert "write" in by_name["set"][2]
    assert "readonly" in by_name["get"][2]


def test_command_docs(plain: Server) -> None:
    assert isinstance(plain.connect().call("COMMAND", "DOCS"), list)
    assert isinstance(plain.connect(protocol=3).call("COMMAND", "DOCS"), dict)


def test_info_sections(cache: Connection) -> None:
    text = cache.call("INFO")
    sections = re.findall(r"^# (\w+)\r$", text, re.MULTILINE)
    assert {"Server", "Clients", "Memory", "Stats", "Keyspace", "Bettong"} <= set(sections)
    facts = info(cache)
    assert facts["redis_version"].startswith("7.4.")
    assert facts["maxmemory"] == "0"
    assert facts["maxmemory_policy"] == "noeviction"
    assert facts["entities"] == "0"
    assert int(facts["used_memory"]) > 0
    assert int(facts["connected_clients"]) >= 1


def test_info_of_one_section(cache: Connection) -> None:
    assert "redis_version" in info(cache, "server")
    assert "used_memory" not in info(cache, "server")
    assert "used_memory" in info(cache, "MEMORY")
    assert "redis_version" not in info(cache, "memory")
    assert info(cache, "bettong")["entities"] == "0"
    assert cache.call("INFO", "nosuchsection") == ""


def test_info_counts_clients(plain: Server) -> None:
    watcher = plain.connect()
    eventually(lambda: info(watcher)["connected_clients"] == "1", "the watcher to be alone")
    others = [plain.connect() for _ in range(10)]
    for other in others:
        other.call("PING")
    assert info(watcher)["connected_clients"] == "11"
    for other in others:
        other.close()
    eventually(lambda: info(watcher)["connected_clients"] == "1", "the others to be gone")


def test_info_counts_keys(cache: Connection) -> None:
    assert "db0" not in info(cache)
    for n in range(30):
        cache.call("SET", f"k{n}", "v")
    for n in range(10):
        cache.call("EXPIRE", f"k{n}", 1_000)
    assert info(cache)["db0"].startswith("keys=30,expires=10,avg_ttl=")
    cache.call("PERSIST", "k0")
    cache.call("DEL", "k1", "k20")
    assert info(cache)["db0"].startswith("keys=28,expires=8,")


def test_info_counts_commands_and_hits(cache: Connection) -> None:
    before = info(cache)
    cache.call("SET", "k", "v")
    cache.call("GET", "k")
    cache.call("GET", "k")
    cache.call("GET", "missing")
    after = info(cache)
    done = int(after["total_commands_processed"]) - int(before["total_commands_processed"])
    assert done >= 5
    assert int(after["keyspace_hits"]) - int(before["keyspace_hits"]) == 2
    assert int(after["keyspace_misses"]) - int(before["keyspace_misses"]) == 1


def test_memory_is_given_back(cache: Connection) -> None:
    before = int(info(cache)["used_memory"])
    cache.pipeline([("SET", f"k{n}", "x" * 1_000) for n in range(20_000)])
    full = int(info(cache)["used_memory"])
    assert full - before >= 20_000_000
    cache.call("FLUSHALL")
    eventually(
        lambda: int(info(cache)["used_memory"]) < before + (full - before) // 4,
        "most of the memory given back",
    )


# -- maxmemory ------------------------------------------------------------------------------


@pytest.fixture
def full(cache: Connection) -> Iterator[Connection]:
    """A connection to a server that holds some keys and is over its limit."""
    cache.call("SET", "k", "v")
    cache.call("SET", "n", "1")
    cache.call("HSET", "h", "f", "1")
    cache.call("XADD", "s", "1-1", "f", "v")
    cache.call("CONFIG", "SET", "maxmemory", "1")
    yield cache
    cache.call("CONFIG", "SET", "maxmemory", "0")


@pytest.mark.parametrize(
    "command",
    [
        "SET new v",
        "SET k longer",
        "SET k v XX",
        "MSET new v",
        "INCR n",
        "INCRBYFLOAT n 1",
        "HSET h g v",
        "HINCRBY h f 1",
        "HSETNX h g v",
        "XADD s * f v",
    ],
)
def test_a_full_server_refuses_to_grow(full: Connection, command: str) -> None:
    with pytest.raises(RespError) as refusal:
        full.call(*command.split())
    assert str(refusal.value) == OOM
    assert full.call("DBSIZE") == 4
    assert full.call("GET", "k") == "v"
    full.call("CONFIG", "SET", "maxmemory", "0")
    assert not full.reply(*command.split()).is_error


@pytest.mark.parametrize(
    "command",
    [
        "GET k",
        "HGETALL h",
        "XRANGE s - +",
        "EXPIRE k 100",
        "PERSIST k",
        "HDEL h f",
        "DEL k",
        "UNLINK k h s",
        "PING",
        "INFO",
        "SCAN 0",
        "PUBLISH c x",
        "FLUSHALL",
    ],
)
def test_a_full_server_answers_what_needs_no_memory(full: Connection, command: str) -> None:
    assert not full.reply(*command.split()).is_error


def test_room_can_be_made_on_a_full_server(cache: Connection) -> None:
    used = int(info(cache)["used_memory"])
    cache.call("CONFIG", "SET", "maxmemory", used + 8_000_000)
    stored = 0
    for n in range(100):
        answer = cache.reply("SET", f"large:{n}", "x" * 1_000_000).words()
        if answer != "OK":
            assert answer == OOM
            break
        stored += 1
    assert 3 <= stored <= 12
    assert cache.call("DBSIZE") == stored
    for n in range(stored):
        cache.call("DEL", f"large:{n}")
    eventually(
        lambda: not cache.reply("SET", "large", "x" * 1_000_000).is_error, "room for another value"
    )


# -- connections ----------------------------------------------------------------------------


def test_many_connections(plain: Server) -> None:
    connections = [plain.connect() for _ in range(300)]
    for n, connection in enumerate(connections):
        connection.send("SET", f"k{n}", n)
    assert {connection.read().words() for connection in connections} == {"OK"}
    for n, connection in enumerate(connections):
        assert connection.call("GET", f"k{n}") == str(n)
        connection.close()
    assert plain.connect().call("DBSIZE") == 300


def test_connections_that_come_and_go(plain: Server) -> None:
    for n in range(200):
        with plain.connect() as connection:
            connection.send("SET", "k", n)
            if n % 2:
                assert connection.read().words() == "OK"
    assert plain.connect().call("PING") == "PONG"


def test_half_a_command_and_gone(plain: Server) -> None:
    for part in (b"*", b"*2\r\n", b"*2\r\n$3\r\nGET\r\n$100\r\nabc", b"SET k", b"\r\n"):
        connection = plain.connect()
        connection.send_raw(part)
        connection.close()
    assert plain.connect().call("DBSIZE") == 0


def test_commands_before_a_fin_are_answered(plain: Server) -> None:
    connection = plain.connect()
    connection.send_raw(b"SET k v\r\n" * 1_000 + b"GET k\r\n")
    connection.socket.shutdown(1)
    assert connection.rest() == b"+OK\r\n" * 1_000 + b"$1\r\nv\r\n"


def test_a_client_that_reads_late(plain: Server) -> None:
    # Replies of more than what sockets hold, read by nobody until all commands are sent.
    connection = plain.connect()
    connection.call("SET", "k", "x" * 10_000)
    count = 2_000
    sender = threading.Thread(target=connection.send_raw, args=(b"GET k\r\n" * count,))
    sender.start()
    other = plain.connect()
    assert other.call("PING") == "PONG"
    for _ in range(count):
        text = connection.read().text
        assert text is not None
        assert len(text) == 10_000
    sender.join()


def test_a_deep_pipeline(cache: Connection) -> None:
    count = 50_000
    sender = threading.Thread(target=cache.send_raw, args=(b"INCR n\r\n" * count,))
    sender.start()
    replies = [cache.read().python() for _ in range(count)]
    sender.join()
    assert replies == list(range(1, count + 1))


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_refused_and_harms_nobody_else(plain: Server, seed: int) -> None:
    witness = plain.connect()
    witness.call("SET", "k", "v")
    numbers = random.Random(seed)
    noise = b"*" * (seed % 2) + numbers.randbytes(5_000) + b"\r\n"
    connection = plain.connect()
    connection.send_raw(noise)
    connection.socket.shutdown(1)
    connection.rest()  # whatever it answers, it ends
    assert witness.call("GET", "k") == "v"


def test_an_endless_inline_command_is_refused(plain: Server) -> None:
    connection = plain.connect()
    connection.send_raw(b"x" * 70_000)
    with pytest.raises(RespError, match=r"^ERR Protocol error: too big inline request"):
        raise connection.read().python()
    assert connection.rest() == b""


def test_announced_bytes_are_not_reserved(plain: Server) -> None:
    # Many clients announce large strings and send nothing: that must not cost memory.
    before = plain.memory_peak_bytes()
    connections = [plain.connect() for _ in range(40)]
    for connection in connections:
        connection.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$60000000\r\n" + b"x" * 1_000)
        connection.socket.shutdown(1)
    for connection in connections:
        assert connection.rest() == b""
    assert plain.memory_peak_bytes() - before < 400_000_000


def test_quit_ends_only_its_own_connection(plain: Server) -> None:
    leaving, staying = plain.connect(), plain.connect()
    assert leaving.call("QUIT") == "OK"
    with pytest.raises(ConnectionEnded):
        leaving.read()
    assert staying.call("PING") == "PONG"
