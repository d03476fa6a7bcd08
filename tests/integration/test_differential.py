"""Random commands on strings, hashes, streams and keys: Bettong against a real Redis."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from harness import Server
from oracle import RedisServer
from resp import Argument, Connection, render
from transcripts import canonical

Command = tuple[Argument, ...]

FAR_MS = 33_177_117_420_000
# Two groups of keys, so that commands on several keys stay in one slot.
KEYS = [f"{{{group}}}{number}" for group in "ab" for number in range(4)]
FIELDS = ["f", "g", "h", "a longer field name", ""]
INTEGERS = ["0", "1", "-1", "7", "100", "-32768", "9223372036854775807", "-9223372036854775808"]
FLOATS = ["0.5", "-0.25", "3.14", "1e3", "-2.5e-3", "10", "0", "1.0"]
ODD = ["", "abc", " 1", "1 ", "+1", "01", "1.5.2", "9223372036854775808", "nan", "inf", "\x00"]
TEXTS = ["v", "hello world", "x" * 100, "d\u00e9j\u00e0", *INTEGERS, *FLOATS, *ODD]

# Answers whose order is open.
ORDER = {"HGETALL": "pairs", "HKEYS": "unordered", "HVALS": "unordered", "KEYS": "unordered"}


class Generator:
    """Commands whose answers depend on nothing but the commands before them."""

    def __init__(self, seed: int) -> None:
        self.numbers = random.Random(seed)
        self.makers: list[Callable[[], Command]] = [
            *[self.set_] * 4,
            *[self.string] * 5,
            *[self.hash_] * 8,
            *[self.stream] * 3,
            *[self.key] * 3,
            *[self.expire] * 3,
            self.wrong,
        ]

    def one(self, values: list[str]) -> str:
        return self.numbers.choice(values)

    def any_key(self) -> str:
        return self.one(KEYS)

    def group(self) -> list[str]:
        group = self.numbers.choice("ab")
        names = [key for key in KEYS if key.startswith(f"{{{group}}}")]
        return self.numbers.choices(names, k=self.numbers.randint(1, 4))

    def integer(self) -> str:
        return self.one(INTEGERS) if self.numbers.random() < 0.9 else self.one(ODD)

    def number(self) -> str:
        return self.one(FLOATS) if self.numbers.random() < 0.9 else self.one(ODD)

    def future(self) -> int:
        return FAR_MS + self.numbers.randrange(5)

    def set_(self) -> Command:
        options: list[Argument] = []
        if self.numbers.random() < 0.3:
            options.append(self.one(["NX", "XX"]))
        if self.numbers.random() < 0.2:
            options.append("GET")
        draw = self.numbers.random()
        if draw < 0.2:
            options += ["PXAT", self.future()]
        elif draw < 0.3:
            options += ["KEEPTTL"]
        elif draw < 0.35:
            options += [self.one(["EX", "PX", "EXAT"]), self.one(["0", "-1", "x", ""])]
        elif draw < 0.4:
            options += ["PXAT", 1]
        self.numbers.shuffle(options)
        if "PXAT" in options:  # keep the option and its value together
            values = [option for option in options if isinstance(option, int)]
            options = [option for option in options if not isinstance(option, int)]
            at = options.index("PXAT")
            options[at + 1 : at + 1] = values
        return ("SET", self.any_key(), self.one(TEXTS), *options)

    def string(self) -> Command:
        key = self.any_key()
        choices: list[Command] = [
            ("GET", key),
            ("INCR", key),
            ("DECR", key),
            ("INCRBY", key, self.integer()),
            ("DECRBY", key, self.integer()),
            ("INCRBYFLOAT", key, self.number()),
            ("MGET", *self.group()),
            ("MSET", *(part for name in self.group() for part in (name, self.one(TEXTS)))),
        ]
        return self.numbers.choice(choices)

    def hash_(self) -> Command:
        key, field = self.any_key(), self.one(FIELDS)
        fields = self.numbers.choices(FIELDS, k=self.numbers.randint(1, 4))
        pairs = [part for name in fields for part in (name, self.one(TEXTS))]
        choices: list[Command] = [
            ("HSET", key, *pairs),
            ("HSET", key, *pairs),
            ("HMSET", key, *pairs),
            ("HSETNX", key, field, self.one(TEXTS)),
            ("HGET", key, field),
            ("HMGET", key, *fields),
            ("HGETALL", key),
            ("HKEYS", key),
            ("HVALS", key),
            ("HLEN", key),
            ("HEXISTS", key, field),
            ("HSTRLEN", key, field),
            ("HDEL", key, *fields),
            ("HINCRBY", key, field, self.integer()),
            ("HINCRBYFLOAT", key, field, self.number()),
        ]
        return self.numbers.choice(choices)

    def stream(self) -> Command:
        key = self.any_key()
        identity = f"{self.numbers.randrange(30)}-{self.numbers.randrange(3)}"
        start = self.one(["-", identity, f"({identity}", "5"])
        end = self.one(["+", "20-1", "(9-0", "11"])
        choices: list[Command] = [
            ("XADD", key, identity, self.one(FIELDS), self.one(TEXTS)),
            ("XADD", key, identity, self.one(FIELDS), self.one(TEXTS)),
            ("XADD", key, "MAXLEN", 3, identity, "f", "v"),
            ("XADD", key, "NOMKSTREAM", identity, "f", "v"),
            ("XLEN", key),
            ("XRANGE", key, start, end),
            ("XREVRANGE", key, end, start, "COUNT", 2),
            ("XREAD", "COUNT", 2, "STREAMS", key, identity),
        ]
        return self.numbers.choice(choices)

    def key(self) -> Command:
        key = self.any_key()
        choices: list[Command] = [
            ("DEL", *self.group()),
            ("UNLINK", key),
            ("EXISTS", *self.group()),
            ("TYPE", key),
            ("TYPE", key),
            ("KEYS", self.one(["*", "{a}*", "*[0-1]", "{?}2", "*[^3]", "nothing"])),
        ]
        return self.numbers.choice(choices)

    def expire(self) -> Command:
        key = self.any_key()
        flags = [self.one(["NX", "XX", "GT", "LT"])] if self.numbers.random() < 0.5 else []
        if self.numbers.random() < 0.05:
            flags.append(self.one(["NX", "XX", "GT", "LT", "ZZ"]))
        choices: list[Command] = [
            ("PEXPIREAT", key, self.future(), *flags),
            ("PEXPIREAT", key, self.future(), *flags),
            ("EXPIREAT", key, self.future() // 1_000 + self.numbers.randrange(2), *flags),
            ("PEXPIREAT", key, self.one(["1", "-1", "abc", "9223372036854775808"]), *flags),
            ("PEXPIRETIME", key),
            ("EXPIRETIME", key),
            ("PERSIST", key),
        ]
        return self.numbers.choice(choices)

    def wrong(self) -> Command:
        """Too few or too many arguments, or no such command."""
        command = list(self.numbers.choice([self.string, self.hash_, self.key, self.expire])())
        if self.numbers.random() < 0.5 and len(command) > 1:
            command.pop()
        else:
            command.append("surplus")
        return tuple(command) if self.numbers.random() < 0.9 else ("NOSUCH", *command[1:])

    def commands(self, count: int) -> list[Command]:
        return [self.numbers.choice(self.makers)() for _ in range(count)]


def everything(connection: Connection) -> list[object]:
    """All that a server holds."""
    held: list[object] = []
    for key in KEYS:
        kind = connection.call("TYPE", key)
        value: object = None
        if kind == "string":
            value = connection.call("GET", key)
        elif kind == "hash":
            fields = connection.reply("HGETALL", key)
            value = canonical(render(fields), ["pairs"])
        elif kind == "stream":
            value = connection.call("XRANGE", key, "-", "+")
        held.append((key, kind, value, connection.call("PEXPIRETIME", key)))
    # Only now: Redis counts expired keys until somebody looks at them, Bettong never does.
    held.append(connection.call("DBSIZE"))
    return held


def compare(ours: Connection, redis: Connection, commands: list[Command]) -> None:
    """Send the same to both; the first answer that differs fails, with what led to it."""
    for start in range(0, len(commands), 100):
        chunk = commands[start : start + 100]
        pairs = zip(chunk, ours.pipeline(chunk), redis.pipeline(chunk), strict=True)
        for offset, (command, answer, right) in enumerate(pairs):
            rules = [ORDER.get(str(command[0]), "")]
            if canonical(render(answer), rules) == canonical(render(right), rules):
                continue
            before = commands[: start + offset]
            related = [c for c in before if set(c[1:]) & set(command[1:]) & set(KEYS)]
            report = [f"after {related[-8:]}", f"to {command}", "Redis answers:", *render(right)]
            pytest.fail("\n".join([*report, "Bettong answers:", *render(answer)]))


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_the_same_commands_get_the_same_answers(
    plain: Server, redis_server: RedisServer, seed: int, protocol: int
) -> None:
    ours, redis = plain.connect(protocol=protocol), redis_server.connect(protocol=protocol)
    redis.call("FLUSHALL")
    # The seeds of the two protocols differ, so that the second is no repetition.
    compare(ours, redis, Generator(seed * 10 + protocol).commands(1_000))
    assert everything(ours) == everything(redis)


def random_pattern(numbers: random.Random) -> str:
    parts = ["a", "b", "c", "-", "?", "*", "*", "[ab]", "[^a]", "[a-c]", "[c-a]", "\\*", "\\?"]
    parts += ["\\[", "\\\\", "[a\\-]", "[\\]]"]
    return "".join(numbers.choices(parts, k=numbers.randint(1, 6)))


@pytest.mark.parametrize("seed", range(4))
def test_keys_patterns_match_the_same_keys(
    plain: Server, redis_server: RedisServer, seed: int
) -> None:
    ours, redis = plain.connect(), redis_server.connect()
    redis.call("FLUSHALL")
    numbers = random.Random(seed)
    names = {"".join(numbers.choices("abc-*?[]\\", k=numbers.randint(1, 5))) for _ in range(200)}
    stores: list[Command] = [("SET", name, "v") for name in sorted(names)]
    compare(ours, redis, stores)
    compare(ours, redis, [("KEYS", random_pattern(numbers)) for _ in range(300)])
