"""`make demo`: watches this machine for 30 seconds, and checks from outside what came of it.

Starts a node with hostwatch.py, the collector, and a process of its own that keeps a CPU busy
for 8 seconds. Prints the alerts as they come, and what to ask with redis-cli, with the answers.
Passes only if the busy process's CPU alert and its "gone" alert came through the port.

    DEMO_SECONDS=0 make demo        # until Ctrl-C
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import redis
from child import Child, NotReady, parse_ready, port_is_free
from redis.backoff import NoBackoff
from redis.retry import Retry

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

BUSY_NAME = "bettong-busy"  # the kernel keeps 15 bytes of a name
BUSY_PROGRAM = f"""
import os, sys, time
open("/proc/self/comm", "w").write("{BUSY_NAME}")
try:  # to get a CPU on a machine that is busy already; root only
    os.nice(-10)
    open("/proc/self/autogroup", "w").write("-10")  # the same for our session
except OSError:
    pass
seconds = float(sys.argv[1])
end = time.monotonic() + seconds
while time.monotonic() < end:
    sum(range(10_000))
share = 100 * time.process_time() / seconds
print(f"{BUSY_NAME} got {{share:.0f}}% of a CPU", file=sys.stderr)
"""

READY_WITHIN_S = 30.0
FIRST_ENTITY_WITHIN_S = 10.0
ALERT_WITHIN_S = 6.0  # of the start of the busy process: a view of 3 s, and some air
GONE_WITHIN_S = 6.0  # of its end: a TTL of 3 s, and some air
MARGIN_S = 2.0  # to start everything
STOP_WITHIN_S = 5.0
POLL_S = 0.05
ANSWER_LINES = 12


class DemoFailed(Exception):
    """The demo cannot go on; says why."""


# -- what must be seen -------------------------------------------------------------------


class Check:
    """Judges, from the alerts that came through the port, whether the demo passed."""

    def __init__(self, pid: int) -> None:
        self.key = f"process:{pid}"
        self.high: dict[str, Any] | None = None
        self.gone: dict[str, Any] | None = None

    def see(self, alert: dict[str, Any]) -> None:
        if alert.get("key") != self.key:
            return
        if alert.get("state") == "high" and self.high is None:
            self.high = alert
        elif alert.get("state") == "gone" and self.gone is None:
            self.gone = alert

    @property
    def complete(self) -> bool:
        return self.high is not None and self.gone is not None

    def missing(self) -> list[str]:
        missing = []
        if self.high is None:
            missing.append(f'the CPU alert ("high") of {self.key} ({BUSY_NAME})')
        if self.gone is None:
            missing.append(f'the "gone" alert of {self.key} ({BUSY_NAME})')
        return missing


def decode_alert(payload: str) -> dict[str, Any]:
    try:
        alert = json.loads(payload)
    except ValueError as error:
        raise DemoFailed(f"an alert is not JSON: {payload!r}: {error}") from None
    if not isinstance(alert, dict):
        raise DemoFailed(f"an alert is not a JSON object: {payload!r}")
    return alert


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

    def alert(self, alert: dict[str, Any]) -> None:
        at_s = alert.get("at", 0) / 1000
        clock = time.strftime("%H:%M:%S", time.localtime(at_s)) + f"{at_s % 1:.3f}"[1:]
        state = str(alert.get("state", "?"))
        shown = self.paint(COLOURS.get(state, "0"), f"{state.upper():8}")
        who = f"{alert.get('key', '?')} {alert.get('name', '')}"
        print(f"  {clock}  {shown} {who:32} {alert.get('text', '')}", flush=True)

    def idle_gone(self, alerts: Sequence[dict[str, Any]]) -> None:
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


def is_idle_gone(alert: dict[str, Any]) -> bool:
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
        self._resp_port = resp_port
        self._seconds = seconds  # 0: until Ctrl-C
        self._busy_s = busy_s
        self._screen = Screen()
        self._children: list[Child] = []
        self._server: Child | None = None
        self._collector: Child | None = None
        self._busy: Child | None = None
        self._address = ("", 0)
        self._source = ("", 0)
        self._client: Any = None  # redis-py's annotations mix sync and async
        self._subscription: Any = None
        self._alerts = 0
        self._idle_gone: list[dict[str, Any]] = []  # not shown yet
        self._troubles: list[str] = []
        self.check: Check | None = None
        self.judged = False  # the time in which the alerts had to come is over

    def run(self) -> None:
        """Returns when the time is over."""
        started_s = time.monotonic()
        self._start_server()
        self._subscribe()
        self._start_collector()
        self._await_entities()
        self._start_busy()
        assert self.check is not None
        busy_started_s = time.monotonic()
        self._follow(
            busy_started_s + min(ALERT_WITHIN_S, self._busy_s + 1), until="high"
        )
        self._show_living(self.check.key)
        self._follow(busy_started_s + self._busy_s + GONE_WITHIN_S, until="gone")
        self._show_afterwards(self.check.key)
        self.judged = True
        end_s = started_s + self._seconds if self._seconds else float("inf")
        self._screen.say(
            f"watching on, {self._seconds:.0f} s in all"
            if self._seconds
            else "Ctrl-C ends it"
        )
        self._follow(end_s)

    def _start(self, name: str, command: Sequence[str]) -> Child:
        child = Child(name, command)
        self._children.append(child)
        return child

    def _start_server(self) -> None:
        port = self._resp_port
        if port and not port_is_free(port):
            self._screen.say(f"port {port} is in use; taking a free one")
            port = 0
        command = [
            str(self._bettong),
            *("serve", str(HERE / "hostwatch.py"), "-c", str(HERE / "hostwatch.toml")),
            *("--resp-port", str(port), "--http-port", "0"),
            *("--set", "source.metrics.listen=127.0.0.1:0", "--no-data"),
        ]
        self._screen.say("starting " + shlex.join(map(_shown, command)))
        try:
            server = self._server = self._start("the server", command)
        except OSError as error:
            raise DemoFailed(
                f"cannot start {self._bettong}: {error.strerror}"
            ) from None
        line = server.wait_ready(READY_WITHIN_S)
        self._screen.say(line)
        addresses = parse_ready(line)
        for name in ("resp", "source.metrics"):
            if name not in addresses:
                raise DemoFailed(f"the ready line does not name {name}: {line!r}")
        self._address = addresses["resp"]
        self._source = addresses["source.metrics"]

    def _subscribe(self) -> None:
        host, port = self._address
        self._client = redis.Redis(
            host=host,
            port=port,
            decode_responses=True,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),  # we want to know
        )
        with self._through_the_port():
            self._subscription = self._client.pubsub()
            self._subscription.subscribe("alerts")
            confirmed = self._subscription.get_message(timeout=5)
        if not confirmed or confirmed.get("type") != "subscribe":
            raise DemoFailed(f"SUBSCRIBE alerts was not confirmed: {confirmed!r}")

    def _start_collector(self) -> None:
        host, port = self._source
        command = [
            sys.executable,
            str(HERE / "collector.py"),
            "--connect",
            f"{host}:{port}",
        ]
        self._screen.say(
            "starting " + shlex.join(["python3", *map(_shown, command[1:])])
        )
        self._collector = self._start("the collector", command)

    def _await_entities(self) -> None:
        deadline_s = time.monotonic() + FIRST_ENTITY_WITHIN_S
        while time.monotonic() < deadline_s:
            with self._through_the_port():
                count = self._client.dbsize()
            if count:
                return
            self._follow(time.monotonic() + 0.2)
        raise DemoFailed(
            f"no entity came to be within {FIRST_ENTITY_WITHIN_S:.0f} s: DBSIZE is 0"
        )

    def _start_busy(self) -> None:
        command = [sys.executable, "-c", BUSY_PROGRAM, str(self._busy_s)]
        self._busy = self._start("the busy process", command)
        self.check = Check(self._busy.pid)
        self._screen.say(
            f"starting {BUSY_NAME}, pid {self._busy.pid}, busy for {self._busy_s:.0f} s; alerts:\n"
        )

    def _follow(self, end_s: float, until: str = "") -> None:
        """Prints alerts until the time has come, or the busy process's alert of this state."""
        while time.monotonic() < end_s:
            if (
                until
                and self.check is not None
                and getattr(self.check, until) is not None
            ):
                return
            self._look_after_children()
            with self._through_the_port():
                message = self._subscription.get_message(timeout=POLL_S)
            if message is None:
                self._show_idle_gone()
            elif message.get("type") == "message":
                self._take(decode_alert(message["data"]))
        self._show_idle_gone()

    def _take(self, alert: dict[str, Any]) -> None:
        self._alerts += 1
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
        if self._busy is not None:
            self._busy.process.poll()  # so that it does not stay behind as a zombie

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

    def _show_living(self, key: str) -> None:
        self._ask("--scan", "--pattern", "part:*")
        self._ask("HGETALL", key)
        self._ask("PTTL", key)
        self._ask("CALL", key, "mean")
        self._ask("CALL", "top:cpu", "ranking")
        print(flush=True)

    def _show_afterwards(self, key: str) -> None:
        self._ask("EXISTS", key)
        self._ask("XREVRANGE", "alerts", "+", "-", "COUNT", "1")
        print(flush=True)

    def _ask(self, *command: str) -> None:
        host, port = self._address
        shown = [
            "redis-cli",
            *(("-h", host) if host != "127.0.0.1" else ()),
            "-p",
            str(port),
        ]
        # redis-cli writes for people only to a terminal, unless told to.
        line = ["redis-cli", "-h", host, "-p", str(port), "--no-raw", *command]
        try:
            done = subprocess.run(
                line,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
                timeout=5,
            )
        except FileNotFoundError:
            raise DemoFailed(
                "there is no redis-cli; tools/setup.sh installs it"
            ) from None
        except subprocess.TimeoutExpired:
            self._troubles.append(f"{shlex.join(command)}: no answer within 5 s")
            return
        answer = done.stdout + done.stderr
        self._screen.answer([*shown, *command], answer)
        if done.returncode != 0 or answer.startswith("(error)"):
            self._troubles.append(f"{shlex.join(command)}: {answer.strip()}")

    # The end.

    def stop(self) -> None:
        """Ends what was started, last first, and notes what did not end well."""
        if self._subscription is not None:
            with suppress(redis.RedisError, OSError):
                self._subscription.close()
        try:
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
            assert self.check is not None and self.check.gone is not None
            self._screen.say(
                f"{self._alerts} alerts came through {_joined(self._address)}, among them both "
                f"of {self.check.key} ({BUSY_NAME})"
            )
            self._screen.say(self._screen.paint("32;1", "PASSED"))
            return 0
        for trouble in troubles:
            self._screen.say(self._screen.paint("31", trouble))
        for child in self._children:
            lines = child.last_lines()
            self._screen.say(f"the last lines of {child.name} ({len(lines)}):")
            for line in lines:
                print(f"  | {line}", flush=True)
        self._screen.say(self._screen.paint("31;1", "FAILED"))
        return 1


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
    needed = busy_s + GONE_WITHIN_S + MARGIN_S
    if 0 < seconds < needed:
        print(f"demo: its check takes up to {needed:.0f} s; DEMO_SECONDS is that now")
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
        help="how long the busy process runs (default: 8)",
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
    try:
        demo.run()
    except (DemoFailed, NotReady) as error:
        failure = str(error)
    except KeyboardInterrupt:
        interrupted = True
        print(flush=True)
    finally:
        demo.stop()
    if interrupted and (seconds or not demo.judged):
        print("demo: interrupted before its end", flush=True)
        return 128 + signal.SIGINT
    return demo.verdict(failure)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has had enough; keep Python from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
