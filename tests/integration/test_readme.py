"""What README.md shows is what happens: its app is run, its redis-cli session replayed."""

from __future__ import annotations

import re
import subprocess
import time

from documentation import blocks
from harness import Launcher, Server, eventually

README = "README.md"
PROMPT = re.compile(r"^127\.0\.0\.1:6390> (.*)$")

# What differs from run to run: ids of stream entries, what is left of a TTL.
VARYING = [(re.compile(r"\d{13}-\d+"), "ID"), (re.compile(r"\(integer\) [1-5]\b"), "LEFT")]


def session(text: str) -> list[tuple[str, str]]:
    """Commands and answers of a block that shows redis-cli at work."""
    turns: list[tuple[str, str]] = []
    for line in text.splitlines():
        if prompt := PROMPT.match(line):
            turns.append((prompt[1], ""))
        elif turns:
            command, answer = turns[-1]
            turns[-1] = (command, f"{answer}{line}\n")
    return turns


def steady(answer: str) -> str:
    for pattern, word in VARYING:
        answer = pattern.sub(word, answer)
    return answer.rstrip()


def ask(server: Server, command: str) -> str:
    """What redis-cli shows on a terminal."""
    host, port = server.resp
    done = subprocess.run(
        ["redis-cli", "-h", host, "-p", str(port), "--no-raw"],
        input=f"{command}\n",
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout


def check(server: Server, command: str, answer: str) -> None:
    """Who types is slower than an event on its way from XADD to its handler; this test is not."""
    given = steady(ask(server, command))
    end = time.monotonic() + 2
    while given != steady(answer) and not command.startswith("XADD ") and time.monotonic() < end:
        given = steady(ask(server, command))
    assert given == steady(answer), command


def test_the_app_and_the_session_of_the_readme(launch: Launcher) -> None:
    app, _ = (block.text for block in blocks(README, "python"))
    sessions = [turns for block in blocks(README, "console") if (turns := session(block.text))]
    assert [len(turns) for turns in sessions] == [6, 2]
    # Without a configuration, as in the README: XADD is the only source.
    server = launch(launch.write_app(app, "quiet.py"), config="")
    for command, answer in sessions[0]:
        check(server, command, answer)
    with server.connect() as connection:
        eventually(lambda: connection.call("XLEN", "alerts"), "the alert of the silent host")
        eventually(lambda: not connection.call("EXISTS", "host:web-01"), "the end of the host")
    for command, answer in sessions[1]:
        check(server, command, answer)


def test_the_sender_of_the_readme(launch: Launcher) -> None:
    app, sending = (block.text for block in blocks(README, "python"))
    (config,) = (block.text for block in blocks(README, "toml"))
    assert sending.count("127.0.0.1:9000") == config.count("127.0.0.1:9000") == 1
    server = launch(
        launch.write_app(app, "quiet.py"),
        config=config.replace("127.0.0.1:9000", "127.0.0.1:0"),
    )
    host, port = server.sources["loads"]
    exec(sending.replace("127.0.0.1:9000", f"{host}:{port}"), {})
    with server.connect() as connection:
        assert connection.call("HGET", "host:web-01", "beats") == "1"
