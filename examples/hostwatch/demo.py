"""`make demo`: watches this machine for 30 seconds, and checks from outside what came of it.

Starts a node with hostwatch.py, the collector, and a process of its own that keeps a CPU busy
for 8 seconds. Prints the alerts as they come, and what to ask with redis-cli, with the answers.
While the busy process's CPU alert is on, kills the node with SIGKILL and starts it again. Passes
only if the process's CPU alert and its "gone" alert came through the port, and nothing was lost
or repeated: the node has counted each sample that it acknowledged once, and the file of alerts
holds each of them once.

    DEMO_SECONDS=0 make demo        # until Ctrl-C
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import redis
from child import Child, NotReady, parse_ready, port_is_free
from judge import (
    Alert,
    Check,
    DemoFailed,
    Left,
    count_trouble,
    decode_alert,
    file_troubles,
    parse_sent,
    states,
    ttl_trouble,
)
from redis.backoff import NoBackoff
from redis.retry import Retry

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

BUSY_NAME = "bettong-busy"  # the kernel keeps 15 bytes of a name
BUSY_PROGRAM = f"""
import os, signal, sys, time
told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
open("/proc/self/comm", "w").write("{BUSY_NAME}")
try:  # to get a CPU on a machine that is busy already; root only
    os.nice(-10)
    open("/proc/self/autogroup", "w").write("-10")  # the same for our session
except OSError:
    pass
start, parent = time.monotonic(), os.getppid()
while not told and os.getppid() == parent:
    sum(range(10_000))
share = 100 * time.process_time() / (time.monotonic() - start)
print(f"{BUSY_NAME} got {{share:.0f}}% of a CPU", file=sys.stderr)
"""

# How long the node is waited for: on a machine that has a lot else to do, too.
READY_WITHIN_S = 60.0
FIRST_ENTITY_WITHIN_S = 30.0
ALERT_WITHIN_S = 30.0  # usually 3 s: the view
CAUGHT_UP_WITHIN_S = 30.0
GONE_WITHIN_S = 40.0  # usually 3 s, the TTL; recovery_grace may add 10
STOP_WITHIN_S = 20.0  # more than the collector's own patience
ANSWER_WITHIN_S = 20.0

USUALLY_S = 8.0  # what the course needs besides the time of the busy process
POLL_S = 0.05
ANSWER_LINES = 12
ASK_TRIES = 3
ASK_AGAIN_S = 0.5

SOURCE = "demo"
REMINDER = "reminder"  # a key with a TTL that nothing refreshes
REMINDER_S = 600


# -- on the screen -----------------------------------------------------------------------

COLOURS = {"high": "31;1", "growing": "33;1", "calm": "32", "gone": "35"}


class Screen:
    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._width = shutil.get_terminal_size((100, 24)).columns

    def paint(self, codes: str, text: str) -> str:
        return f"\033[{codes}m{text}\033[0m" if self._colour else text

    def say(self, text: str) -> None:
        print(self.paint("1", "demo:"), text, flush=True)

    def alert(self, alert: Alert) -> None:
        at_s = alert.get("at", 0) / 1000
        clock = time.strftime("%H:%M:%S", time.localtime(at_s)) + f"{at_s % 1:.3f}"[1:]
        state = str(alert.get("state", "?"))
        shown = self.paint(COLOURS.get(state, "0"), f"{state.upper():8}")
        who = f"{alert.get('key', '?')} {alert.get('name', '')}"
        print(f"  {clock}  {shown} {who:32} {alert.get('text', '')}", flush=True)

    def idle_gone(self, alerts: Sequence[Alert]) -> None:
        """Processes that did next to nothing, and ended together: one line for all."""
        if len(alerts) == 1:
            self.alert(alerts[0])
            return
        others = [
            f"{alert.get('name', '')} {alert['key'].removeprefix('process:')}"
            for alert in alerts[1:]
        ]
        text = f"idle; so were {', '.join(others)}"
        self.alert({**alerts[0], "text": _cut(text, self._width - 55)})

    def answer(self, command: Sequence[str], answer: str) -> None:
        print(f"\n  {self.paint('36;1', '$ ' + shlex.join(command))}")
        lines = answer.rstrip("\n").split("\n")
        for line in lines[:ANSWER_LINES]:
            print("  " + _cut(line, self._width - 4))
        if len(lines) > ANSWER_LINES:
            print(f"  ... {len(lines) - ANSWER_LINES} more lines")
        sys.stdout.flush()


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(0, room - 4)] + " ..."


def is_idle_gone(alert: Alert) -> bool:
    """The end of a process that was never worth an alert."""
    process = str(alert.get("key", "")).startswith("process:")
    return process and alert.get("state") == "gone" and alert.get("mean", 100) < 1


# -- the demo ----------------------------------------------------------------------------


class Demo:
    """One run; `run` may be interrupted anywhere, `stop` must follow."""

    def __init__(
        self, bettong: Path, resp_port: int, seconds: float, busy_s: float
    ) -> None:
        self._bettong = bettong
        self._seconds = seconds  # 0: until Ctrl-C
        self._busy_s = busy_s
        self._screen = Screen()
        self._folder = Path(tempfile.mkdtemp(prefix="bettong-demo-"))
        self._archive = self._folder / "alerts.jsonl"
        self._ports = {"resp": resp_port, "source.metrics": 0, "http": 0}
        self._children: list[Child] = []
        self._server: Child | None = None
        self._collector: Child | None = None
        self._busy: Child | None = None
        self._address = ("", 0)
        self._source = ("", 0)
        self._client: Any = None  # redis-py's annotations mix sync and async
        self._subscription: Any = None
        self._alerts: list[Alert] = []
        self._idle_gone: list[Alert] = []  # not shown yet
        self._troubles: list[str] = []
        self._results: list[str] = []
        self.check: Check | None = None

    def run(self) -> None:
        """Returns when the time is over."""
        started_s = time.monotonic()
        self._start_server()
        self._subscribe()
        self._start_collector()
        self._await_entities()
        self._set_reminder()
        check = self._start_busy()
        busy_until_s = time.monotonic() + self._busy_s
        if not self._follow(ALERT_WITHIN_S, lambda: check.high is not None):
            return  # nothing more to be seen: the verdict says what is missing
        count, left = self._show_living(check.key)
        self._kill_and_start_again()
        self._show_still_living(check.key, count, left)
        self._follow(busy_until_s - time.monotonic())
        self._end_busy()
        self._follow(GONE_WITHIN_S, lambda: self._is_over(check))
        self._show_afterwards(check.key)
        try:
            self._watch_on(started_s)
        except KeyboardInterrupt:
            if self._seconds:
                raise
            print(flush=True)
        self._settle(check)

    def _start(self, name: str, command: Sequence[str]) -> Child:
        child = Child(name, command)
        self._children.append(child)
        return child

    def _start_server(self) -> None:
        port = self._ports["resp"]
        if port and not port_is_free(port):
            self._screen.say(f"port {port} is in use; taking a free one")
            self._ports["resp"] = 0
        command = self._server_command()
        self._screen.say("starting " + shlex.join(map(_shown, command)))
        line = self._await_ready("the server", command)
        self._screen.say(line)
        addresses = parse_ready(line)
        for name in ("resp", "source.metrics"):
            if name not in addresses:
                raise DemoFailed(f"the ready line does not name {name}: {line!r}")
        self._address = addresses["resp"]
        self._source = addresses["source.metrics"]
        # The next start is to be found where this one was.
        for name in self._ports.keys() & addresses.keys():
            self._ports[name] = addresses[name][1]

    def _server_command(self) -> list[str]:
        settings = (
            f"source.metrics.listen=127.0.0.1:{self._ports['source.metrics']}",
            "sink.archive.kind=file",
            "sink.archive.stream=alerts",
            f"sink.archive.path={self._archive}",
        )
        return [
            str(self._bettong),
            *("serve", str(HERE / "hostwatch.py"), "-c", str(HERE / "hostwatch.toml")),
            *("--resp-port", str(self._ports["resp"])),
            *("--http-port", str(self._ports["http"])),
            *(word for setting in settings for word in ("--set", setting)),
            *("--data", str(self._folder / "data")),
        ]

    def _await_ready(self, name: str, command: Sequence[str]) -> str:
        try:
            self._server = self._start(name, command)
        except OSError as error:
            raise DemoFailed(
                f"cannot start {self._bettong}: {error.strerror}"
            ) from None
        return self._server.wait_ready(READY_WITHIN_S)

    def _subscribe(self) -> None:
        host, port = self._address
        self._client = redis.Redis(
            host=host,
            port=port,
            decode_responses=True,
            socket_timeout=ANSWER_WITHIN_S,
            retry=Retry(NoBackoff(), 0),  # we want to know
        )
        with self._through_the_port():
            self._subscription = self._client.pubsub()
            self._subscription.subscribe("alerts")
            confirmed = self._subscription.get_message(timeout=ANSWER_WITHIN_S)
        if not confirmed or confirmed.get("type") != "subscribe":
            raise DemoFailed(f"SUBSCRIBE alerts was not confirmed: {confirmed!r}")

    def _start_collector(self) -> None:
        host, port = self._source
        command = [
            sys.executable,
            str(HERE / "collector.py"),
            *("--connect", f"{host}:{port}"),
            *("--source", SOURCE),
        ]
        self._screen.say(
            "starting " + shlex.join(["python3", *map(_shown, command[1:])])
        )
        self._collector = self._start("the collector", command)

    def _await_entities(self) -> None:
        def any_entity() -> bool:
            with self._through_the_port():
                return bool(self._client.dbsize())

        if not self._follow(FIRST_ENTITY_WITHIN_S, any_entity):
            raise DemoFailed(
                f"no entity came to be within {FIRST_ENTITY_WITHIN_S:.0f} s: DBSIZE is 0"
            )

    def _set_reminder(self) -> None:
        """A key to see a TTL go on; durable, so that the kill cannot take it back."""
        self._ask("SET", REMINDER, "the kettle is on", "EX", str(REMINDER_S))
        print(flush=True)
        with self._through_the_port():
            self._client.execute_command("WAITAOF", 1, 0, int(500 * ANSWER_WITHIN_S))

    def _start_busy(self) -> Check:
        self._busy = self._start(
            "the busy process", [sys.executable, "-c", BUSY_PROGRAM]
        )
        self.check = Check(self._busy.pid, BUSY_NAME)
        self._screen.say(f"starting {BUSY_NAME}, pid {self._busy.pid}; alerts:\n")
        return self.check

    def _end_busy(self) -> None:
        """Not before the node is back, however long that took: its end is to be seen."""
        assert self._busy is not None
        self._busy.stop(STOP_WITHIN_S)
        self._screen.say(f"{BUSY_NAME} has ended")

    # The crash.

    def _kill_and_start_again(self) -> None:
        assert self._server is not None
        self._screen.say(
            self._screen.paint("1", f"kill -9 {self._server.pid}: the server is gone")
        )
        killed_s = time.monotonic()
        self._server.kill()
        # What it had told us has arrived here, and may not be read yet.
        with suppress(redis.RedisError, OSError):
            while self._hear(POLL_S):
                pass
        self._show_idle_gone()
        self._screen.say("starting it again, with the same directory and ports")
        line = self._await_ready("the second server", self._server_command())
        self._screen.say(f"{line}, after {time.monotonic() - killed_s:.1f} s")
        self._subscribe()

    def _is_over(self, check: Check) -> bool:
        """Not at a "gone" because the machine stood still for 3 s: the process lived on then."""
        if check.gone is None:
            return False
        with self._through_the_port():
            return not self._client.exists(check.key)

    # Watching.

    def _watch_on(self, started_s: float) -> None:
        self._screen.say(
            f"watching on, {self._seconds:.0f} s in all"
            if self._seconds
            else "Ctrl-C ends it"
        )
        end_s = started_s + self._seconds if self._seconds else float("inf")
        self._follow(end_s - time.monotonic())

    def _follow(self, within_s: float, until: Callable[[], bool] | None = None) -> bool:
        """Prints alerts until the time is over, or until then: True."""
        end_s = time.monotonic() + within_s
        while True:
            reached = until is not None and until()
            if reached or time.monotonic() >= end_s:
                self._show_idle_gone()
                return reached
            self._look_after_children()
            with self._through_the_port():
                self._hear(POLL_S)

    def _hear(self, within_s: float) -> bool:
        """Whether there was anything."""
        message = self._subscription.get_message(timeout=within_s)
        if message is None:
            self._show_idle_gone()
            return False
        if message.get("type") == "message":
            self._take(decode_alert(message["data"]))
        return True

    def _take(self, alert: Alert) -> None:
        self._alerts.append(alert)
        if self.check is not None:
            self.check.see(alert)
        if is_idle_gone(alert):
            self._idle_gone.append(alert)
        else:
            self._show_idle_gone()
            self._screen.alert(alert)

    def _show_idle_gone(self) -> None:
        if self._idle_gone:
            self._screen.idle_gone(self._idle_gone)
            self._idle_gone = []

    def _look_after_children(self) -> None:
        for child in (self._server, self._collector):
            if child is not None and not child.running:
                raise DemoFailed(f"{child.name} {child.ending()}")

    @contextmanager
    def _through_the_port(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            if self._server is not None:
                with suppress(subprocess.TimeoutExpired):
                    self._server.process.wait(1.0)  # a dying server's port goes first
            self._look_after_children()
            raise DemoFailed(f"the port {_joined(self._address)}: {error}") from None

    # What to try, with the answers. Each is one that must not fail at that moment.

    def _show_living(self, key: str) -> tuple[int, Left]:
        """Also answers what is to be compared with."""
        self._ask("--scan", "--pattern", "part:*")
        self._ask("HGETALL", key)
        self._ask("CALL", key, "mean")
        self._ask("CALL", "top:cpu", "ranking")
        count = _integer(self._ask("HGET", key, "count"))
        self._ask("PTTL", key)
        left = self._ask_left()
        print(flush=True)
        return count, left

    def _show_still_living(self, key: str, count: int, before: Left) -> None:
        """Once the collector's samples, those of meanwhile too, have come again."""

        def goes_on() -> bool:
            with self._through_the_port():
                return int(self._client.hget(key, "count") or 0) > count

        if not self._follow(CAUGHT_UP_WITHIN_S, goes_on):
            raise DemoFailed(
                f"lost: {key} had counted {count} samples, and does not go on from there "
                f"within {CAUGHT_UP_WITHIN_S:.0f} s"
            )
        self._ask("HGET", key, "count")
        self._ask("PTTL", key)
        after = self._ask_left()
        self._ask("CALL", key, "mean")
        print(flush=True)
        if trouble := ttl_trouble(before, after):
            self._troubles.append(trouble)
        self._results.append(
            f"TTLs went on: {REMINDER} had {before.ms / 1000:.1f} s left before the kill, and "
            f"{after.ms / 1000:.1f} s {after.answered_s - before.answered_s:.1f} s later"
        )

    def _show_afterwards(self, key: str) -> None:
        self._ask("EXISTS", key)
        self._ask("XREVRANGE", "alerts", "+", "-", "COUNT", "1")
        print(flush=True)

    def _ask_left(self) -> Left:
        asked_s = time.monotonic()
        ms = _integer(self._ask("PTTL", REMINDER))
        return Left(ms, asked_s, time.monotonic())

    def _ask(self, *command: str) -> str:
        """An answer that is an error is asked for again: the machine may just have stood still
        for longer than a TTL, and samples come again."""
        for tries_left in reversed(range(ASK_TRIES)):
            failed, answer = self._redis_cli(command)
            if not failed or not tries_left:
                break
            self._follow(ASK_AGAIN_S)
        host, port = self._address
        where = [*(("-h", host) if host != "127.0.0.1" else ()), "-p", str(port)]
        self._screen.answer(["redis-cli", *where, *command], answer)
        if failed:
            self._troubles.append(f"{shlex.join(command)}: {answer.strip()}")
        return answer

    def _redis_cli(self, command: Sequence[str]) -> tuple[bool, str]:
        """Whether it failed, and the answer."""
        host, port = self._address
        # redis-cli writes for people only to a terminal, unless told to.
        line = ["redis-cli", "-h", host, "-p", str(port), "--no-raw", *command]
        try:
            done = subprocess.run(
                line,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
                timeout=ANSWER_WITHIN_S,
            )
        except FileNotFoundError:
            raise DemoFailed(
                "there is no redis-cli; tools/setup.sh installs it"
            ) from None
        except subprocess.TimeoutExpired:
            raise DemoFailed(
                f"{shlex.join(command)}: no answer within {ANSWER_WITHIN_S:.0f} s"
            ) from None
        answer = done.stdout + done.stderr
        return done.returncode != 0 or answer.startswith("(error)"), answer

    # The end.

    def _settle(self, check: Check) -> None:
        """Was anything lost, or repeated? The collector ends first, so that nothing is on its way."""
        assert self._collector is not None and self._server is not None
        trouble = self._collector.stop(STOP_WITHIN_S)
        collector, self._collector = self._collector, None
        sent = parse_sent(collector.last_lines())
        if trouble:
            self._troubles.append(trouble)
        elif sent is None:
            self._troubles.append(
                f"{collector.name} did not say how many samples were acknowledged"
            )
        else:
            counted, failed = self._counts()
            if trouble := count_trouble(sent, counted, failed):
                self._troubles.append(trouble)
            self._results.append(
                f"nothing lost, nothing repeated: {sent.acknowledged:,} samples acknowledged, "
                f"{counted:,} counted"
                + (f", {failed:,} dead letters" if failed else "")
            )
        # With the server's end the file is complete.
        if trouble := self._server.stop(STOP_WITHIN_S):
            self._troubles.append(trouble)
        text = self._archive.read_text() if self._archive.exists() else ""
        *lines, rest = text.split("\n")
        self._troubles += file_troubles(lines, rest, self._alerts, check.key)
        told = states(map(decode_alert, lines), check.key)
        self._results.append(
            f"{len(self._alerts)} alerts came through {_joined(self._address)}, each once; "
            f"{len(lines)} are in the file, each once, these among them"
        )
        self._results.append(
            f"of {check.key} ({BUSY_NAME}): "
            + ", ".join(f"{number} {state}" for state, number in told.items())
        )

    def _counts(self) -> tuple[int, int]:
        """Samples that were counted, and those for which that failed (after 1 s a turn is ended)."""
        with self._through_the_port():
            tallies = list(self._client.scan_iter("tally:*"))
            counted = sum(int(self._client.hget(key, "count")) for key in set(tallies))
            letters = self._client.xrange("bettong:dead-letters")
        return counted, sum(fields.get("class") == "Tally" for _, fields in letters)

    def stop(self) -> None:
        """Ends what was started, last first, and notes what did not end well."""
        if self._subscription is not None:
            with suppress(redis.RedisError, OSError):
                self._subscription.close()
        try:
            if self._collector is not None:
                # It sends what it has, if there is who takes it.
                if self._server is None or not self._server.running:
                    self._collector.kill()
                elif trouble := self._collector.stop(STOP_WITHIN_S):
                    self._troubles.append(trouble)
            for child in reversed(self._children):
                trouble = child.stop(STOP_WITHIN_S)
                if trouble and child is not self._busy:
                    self._troubles.append(trouble)
        except BaseException:
            for child in self._children:
                child.kill()
            raise

    def verdict(self, failure: str = "") -> int:
        """Says how it went; the exit code."""
        troubles = [failure] if failure else []
        troubles += self._troubles
        if self.check is not None:
            troubles += [f"missing: {what}" for what in self.check.missing()]
        elif not failure:
            troubles.append("missing: the busy process was never started")
        if not troubles:
            for result in self._results:
                self._screen.say(result)
            self._screen.say(self._screen.paint("32;1", "PASSED"))
            return 0
        for trouble in troubles:
            self._screen.say(self._screen.paint("31", trouble))
        for child in self._children:
            lines = child.last_lines()
            self._screen.say(f"the last lines of {child.name} ({len(lines)}):")
            for line in lines:
                print(f"  | {line}", flush=True)
        self._screen.say(f"log and alerts are in {self._folder}")
        self._screen.say(self._screen.paint("31;1", "FAILED"))
        return 1

    def remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _integer(answer: str) -> int:
    """Of `(integer) 5` or `"5"`; -1 if it is none."""
    found = re.fullmatch(r'\(integer\) (-?\d+)\s*|"(\d+)"\s*', answer)
    return int(found[1] or found[2]) if found else -1


def _shown(argument: str) -> str:
    """A path as one would type it in the repository."""
    path = Path(argument)
    if path.is_absolute() and path.is_relative_to(REPOSITORY):
        return str(path.relative_to(REPOSITORY))
    return argument


def _joined(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def _on_signal(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


def demo_seconds(text: str, busy_s: float) -> float:
    """DEMO_SECONDS; 0: until Ctrl-C. Less than the check needs becomes that."""
    try:
        seconds = float(text)
    except ValueError:
        raise SystemExit(
            f"demo: DEMO_SECONDS is a number of seconds, not {text!r}"
        ) from None
    if not 0 <= seconds <= 86_400 * 365:
        raise SystemExit(
            f"demo: DEMO_SECONDS is 0 (until Ctrl-C) or more, not {text!r}"
        )
    needed = busy_s + USUALLY_S
    if 0 < seconds < needed:
        print(f"demo: its check takes about {needed:.0f} s; DEMO_SECONDS is that now")
        return needed
    return seconds


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--bettong",
        type=Path,
        default=REPOSITORY / "build/release/bettong",
        metavar="PATH",
        help="the program (default: build/release/bettong)",
    )
    parser.add_argument(
        "--resp-port",
        type=int,
        default=6390,
        metavar="N",
        help="port of the Redis protocol (default: 6390; 0, or one in use: a free one)",
    )
    parser.add_argument(
        "--busy-seconds",
        type=float,
        default=8.0,
        metavar="S",
        help="how long the busy process runs, at least (default: 8)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse_arguments(arguments)
    seconds = demo_seconds(os.environ.get("DEMO_SECONDS", "30"), given.busy_seconds)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    demo = Demo(given.bettong, given.resp_port, seconds, given.busy_seconds)
    failure = ""
    interrupted = False
    code: int | None = None
    try:
        try:
            demo.run()
        except (DemoFailed, NotReady) as error:
            failure = str(error)
        except KeyboardInterrupt:
            interrupted = True
            print(flush=True)
        finally:
            demo.stop()
        if interrupted:
            print("demo: interrupted before its end", flush=True)
            code = 128 + signal.SIGINT
        else:
            code = demo.verdict(failure)
        return code
    finally:
        if code != 1:
            demo.remove_folder()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has had enough; keep Python from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
