"""Readable protocol transcripts: parse, replay, verify against a real Redis, record from one.

    python tests/integration/transcripts.py --verify          # all files, against redis-server
    python tests/integration/transcripts.py --record FILE...  # write Redis's answers into files

The format, line by line:

    == name                 a section: starts on an empty server, with fresh connections
    == name [resp3]         the same; its connections begin with HELLO 3
    # text                  a comment
    > SET key "a value"     a command; "..." with \\n, \\x00 ..., '...' literally, as in redis-cli
    a> GET key              a command on the connection named a
    raw> "*1\\r\\n..."        bytes as they are, then one reply (a raw> on the connection named a)
    a<                      no command: one more reply is read
    a<eof                   no command: the server must close the connection
    ? unordered             rule for the next command: the elements may come in any order
    ? pairs                 the same for pairs of elements (the RESP2 form of a map)
    ? about N               integers may differ by N
    ? none                  nothing is read after the command
        "reply"             four spaces: the reply; bulk strings in quotes, everything else behind
                            its type byte, elements two spaces deeper
    ! why                   Bettong differs on purpose; what follows replaces the reply for it
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from oracle import RedisServer
from resp import Connection, Reply, encode, render

FOLDER = Path(__file__).resolve().parents[1] / "transcripts"
INDENT = "    "

Connect = Callable[[int], Connection]

ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}
TOKEN = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+))""")
STEP = re.compile(r"^(raw )?(\w*)(>|<eof$|<$)\s?(.*)$")


@dataclass
class Step:
    """One command (or read) and what must come back."""

    head: str  # the line as it stands in the file
    line_number: int
    connection: str
    action: str  # ">", "raw", "<" or "<eof"
    data: bytes
    rules: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    difference: str | None = None
    expected_of_bettong: list[str] = field(default_factory=list)

    @property
    def reads(self) -> bool:
        return self.action != "<eof" and "none" not in self.rules

    def tolerance(self) -> int:
        for rule in self.rules:
            if rule.startswith("about "):
                return int(rule.split()[1])
        return 0


@dataclass
class Section:
    name: str
    protocol: int
    path: Path
    steps: list[Step]

    @property
    def id(self) -> str:
        return f"{self.path.stem}::{self.name}".replace(" ", "-")


def unescape(text: str) -> bytes:
    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if escape.startswith("x"):
            return chr(int(escape[1:], 16))
        return ESCAPES.get(escape, escape.encode()).decode("latin-1")

    pattern = r"\\(x[0-9a-fA-F]{2}|.)"
    return re.sub(pattern, one, text.encode().decode("latin-1")).encode("latin-1")


def split_arguments(text: str) -> list[bytes]:
    arguments = []
    for double, single, bare in (match.groups() for match in TOKEN.finditer(text)):
        if double is not None:
            arguments.append(unescape(double))
        else:
            arguments.append((single if single is not None else bare).encode())
    return arguments


def parse(path: Path) -> list[Section]:
    """The sections of a transcript."""
    sections: list[Section] = []
    rules: list[str] = []
    target: list[str] | None = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(INDENT):
            assert target is not None, f"{path.name}:{number}: a reply without a command"
            target.append(line[len(INDENT) :])
        elif line.startswith("== "):
            name = line[3:].strip()
            protocol = 3 if name.endswith("[resp3]") else 2
            name = name.removesuffix("[resp3]").strip()
            sections.append(Section(name, protocol, path, []))
            target = None
        elif line.startswith("? "):
            rules.append(line[2:].strip())
        elif line.startswith("! "):
            step = sections[-1].steps[-1]
            step.difference, target = line[2:].strip(), step.expected_of_bettong
        elif not line.strip() or line.startswith("#"):
            target = None
        else:
            match = STEP.match(line)
            assert match is not None, f"{path.name}:{number}: not understood: {line!r}"
            raw, connection, sign, rest = match.groups()
            if raw or connection == "raw":
                (data,) = split_arguments(rest)
                connection = "" if connection == "raw" else connection
                step = Step(line, number, connection, "raw", data, rules)
            elif sign == ">":
                step = Step(line, number, connection, ">", encode(*split_arguments(rest)), rules)
            else:
                step = Step(line, number, connection, sign, b"", rules)
            sections[-1].steps.append(step)
            rules, target = [], step.expected
    names = [section.name for section in sections]
    assert len(names) == len(set(names)), f"{path.name}: two sections with one name"
    return sections


def all_sections() -> list[Section]:
    return [section for path in sorted(FOLDER.glob("*.txt")) for section in parse(path)]


def canonical(lines: list[str], rules: list[str]) -> list[str] | list[list[str]]:
    """A reply's lines in a form where what the rules leave open does not show."""
    width = {"unordered": 1, "pairs": 2}
    chosen = next((width[rule] for rule in rules if rule in width), 0)
    if not chosen or not lines or lines[0][0] not in "*~%>":
        return lines
    if lines[0][0] == "%":
        chosen = 2
    elements: list[list[str]] = []
    for line in lines[1:]:
        if line.startswith("   ") and elements:
            elements[-1].append(line)
        else:
            elements.append([line])
    groups = [
        [line for element in elements[start : start + chosen] for line in element]
        for start in range(0, len(elements), chosen)
    ]
    return [[lines[0]], *sorted(groups)]


def same(expected: list[str], actual: list[str], step: Step) -> bool:
    tolerance = step.tolerance()
    if tolerance and len(expected) == len(actual):
        pairs = list(zip(expected, actual, strict=True))
        numbers = [re.fullmatch(r"\s*:(-?\d+)\n\s*:(-?\d+)", f"{a}\n{b}") for a, b in pairs]
        if all(
            a == b or (match is not None and abs(int(match[1]) - int(match[2])) <= tolerance)
            for (a, b), match in zip(pairs, numbers, strict=True)
        ):
            return True
    return canonical(expected, step.rules) == canonical(actual, step.rules)


class Player:
    """Runs the steps of one section against one server."""

    def __init__(self, connect: Connect, section: Section) -> None:
        self._connect = connect
        self._protocol = section.protocol
        self._connections: dict[str, Connection] = {}
        self._unread: set[str] = set()

    def play(self, step: Step) -> list[str]:
        """Do the step; the lines of the reply."""
        connection = self._connections.get(step.connection)
        if connection is None:
            connection = self._connections[step.connection] = self._connect(self._protocol)
        if step.action == "<eof":
            rest = connection.rest()
            del self._connections[step.connection]
            return [] if not rest else [f"unexpected {rest!r}"]
        connection.send_raw(step.data)
        if not step.reads:
            self._unread.add(step.connection)
            return []
        if step.action == "<":
            self._unread.discard(step.connection)
        return render(connection.read())

    def finish(self) -> list[str]:
        """Close all; problems where a connection had more to say than the transcript shows."""
        problems = []
        for name, connection in self._connections.items():
            if name not in self._unread:
                reply = connection.reply("PING")
                if reply not in (Reply(b"+", b"PONG"), PONG_OF_SUBSCRIBER):
                    problems.append(f"connection {name!r} had more to say: {render(reply)}")
            connection.close()
        return problems


PONG_OF_SUBSCRIBER = Reply(b"*", items=(Reply(b"$", b"pong"), Reply(b"$", b"")))


def replay(section: Section, connect: Connect, *, bettong: bool) -> list[str]:
    """Play a section; a readable problem for every answer that differs."""
    player = Player(connect, section)
    problems = []
    for step in section.steps:
        expected = step.expected
        if bettong and step.difference is not None:
            expected = step.expected_of_bettong
        actual = player.play(step)
        if (step.reads or actual) and not same(expected, actual, step):
            where = f"{section.path.name}:{step.line_number}: {step.head}"
            problems.append("\n".join([where, "  expected:", *expected, "  answered:", *actual]))
    return problems + player.finish()


def record(path: Path, connect: Connect, before: Callable[[], None]) -> None:
    """Rewrite a transcript with the answers of a real Redis; comments and rules stay."""
    answers: dict[int, list[str]] = {}
    for section in parse(path):
        before()
        player = Player(connect, section)
        for step in section.steps:
            actual = player.play(step)
            keep = bool(step.expected) and same(step.expected, actual, step)
            answers[step.line_number] = step.expected if keep else actual
        problems = player.finish()
        assert not problems, (section.id, problems)
    lines: list[str] = []
    skipping = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(INDENT) and skipping:
            continue
        skipping = number in answers
        lines.append(line)
        if skipping:
            lines += [INDENT + reply for reply in answers[number]]
    path.write_text("\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--verify", action="store_true", help="replay against redis-server")
    mode.add_argument("--record", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))

        def connect(protocol: int) -> Connection:
            return server.connect(protocol=protocol)

        def before() -> None:
            with server.connect() as connection:
                connection.call("FLUSHALL")
                connection.call("CONFIG", "SET", "notify-keyspace-events", "", "maxmemory", "0")

        try:
            if arguments.record:
                for path in arguments.record:
                    record(path, connect, before)
                return 0
            problems = []
            sections = all_sections()
            for section in sections:
                before()
                problems += replay(section, connect, bettong=False)
        finally:
            server.stop()
    print("\n\n".join(problems) if problems else f"{len(sections)} sections agree with Redis")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
