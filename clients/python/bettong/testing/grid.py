"""TestGrid: an app in the engine, under a clock that only the test moves."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, cast

from bettong._json import encode_event
from bettong.durations import Duration, to_ms
from bettong.event import Event
from bettong.stream import Stream
from bettong.testing._engine import Engine
from bettong.testing._resp import parse_reply
from bettong.testing.errors import AppError, GridError, UnreadDeadLetters
from bettong.testing.views import ClassInfo, EntityView

DEFAULT_START = 1_767_225_600_000
"""Where a grid's clock begins if nothing is said: 2026-01-01 00:00 UTC, in ms."""

DEAD_LETTERS = "bettong:dead-letters"
_SCAN_COUNT = 1000
_UNREAD_SHOWN_MAX = 5

EventLike = Mapping[str, Any] | Event | str | bytes
"""An event as it may be sent; str and bytes are its text, as a source would read it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event, or an expiry, that could not be carried out."""

    stream: str | None
    entity_class: str | None
    key: str | None
    handler: str | None
    event: Any
    state: Any
    error: str
    traceback: str
    attempts: int | None = None  # of a turn that was tried again: how often it ran


class TestGrid:
    """Runs apps in the engine, in a child process, without ports, files or waiting.

    ``apps`` are paths, names of modules (``"shop.alerts"``) or modules. Everything that a call
    causes has happened when it returns: chained streams, and what expires by the time that the
    clock is moved to, each at exactly its own time. When the ``with`` block ends and dead letters
    are left that nobody asked for, UnreadDeadLetters says what they are.

    ``start`` is where the clock begins, in ms since the epoch or as a datetime with a time zone.
    ``python`` is the interpreter whose packages the app imports; the one of this process if
    nothing is said. ``config`` is a TOML file of ``bettong serve``, of which sources, sinks, ports
    and the log are left out.
    """

    __test__ = False  # pytest takes classes named Test... for tests

    def __init__(
        self,
        *apps: str | os.PathLike[str] | ModuleType,
        start: int | datetime = DEFAULT_START,
        shards: int = 1,
        python: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
    ) -> None:
        if not apps:
            raise TypeError("TestGrid takes at least one app")
        arguments = [app_path(app) for app in apps]
        arguments += ["--start", str(_time_ms(start)), "--shards", str(shards)]
        arguments += ["--python", os.fspath(python or sys.executable)]
        if config is not None:
            arguments += ["--config", os.fspath(config)]
        self._emitted: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._classes: list[ClassInfo] | None = None
        self._engine = Engine(arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._engine.close()  # the test has failed already
            return
        self.close()
        self.check_dead_letters()

    def close(self) -> None:
        """Ends the engine. What was emitted can still be asked for."""
        if wrong := self._engine.close():
            raise GridError(wrong)

    # -- what happens

    def send(
        self, stream: str | Stream[Any], event: EventLike | Iterable[EventLike]
    ) -> None:
        """Sends one event, or several, each when the one before it has had its effects.

        They take the road of events that a source reads: what the stream's class cannot decode
        becomes a dead letter.
        """
        events = (
            [cast(EventLike, event)]
            if isinstance(event, (Mapping, Event, str, bytes))
            else list(event)
        )
        texts = ",".join(_event_json(each) for each in events)
        self._ask(f'{{"op":"send","stream":{_name_json(stream)},"events":[{texts}]}}')

    @property
    def now(self) -> int:
        """The grid's time, in ms since the epoch."""
        return self._engine.now

    def advance(self, duration: Duration) -> None:
        """Lets so much time pass; whatever is due on the way happens at its own time."""
        self.advance_to(self.now + to_ms(duration, "advance()'s duration"))

    def advance_to(self, time: int | datetime) -> None:
        """The same up to a time, in ms since the epoch or as a datetime with a time zone."""
        self._ask(json.dumps({"op": "advance_to", "to": _time_ms(time)}))

    def call(self, key: str, method: str, *args: object) -> Any:
        """Calls a command of an entity, as a client with CALL; answers what it returns."""
        return self.command("CALL", key, method, *args)

    def command(self, *args: object) -> Any:
        """Any command of the Redis protocol; answers its reply, as RESP3 has it.

        Arguments are str, bytes, numbers or bools (1 and 0). Replies are str, or bytes where they
        are not UTF-8. CommandError: the reply is an error.
        """
        request = {"op": "command", "args": [_argument(arg) for arg in args]}
        answer = self._ask(json.dumps(request))
        return parse_reply(answer["reply"].encode("latin-1"))

    def reload(self, *apps: str | os.PathLike[str] | ModuleType) -> None:
        """Has new code take over under the entities that live, as ``RELOAD`` does.

        The files of the grid's apps are loaded again, or ``apps`` in their place. AppError: the new
        code does not load, or does not fit what lives; the old one runs on.
        """
        paths = [app_path(app) for app in apps]
        answer = self._ask(json.dumps({"op": "reload", "apps": paths}))
        if "refused" in answer:
            raise AppError(answer["refused"])
        self._engine.streams = tuple(answer["streams"])
        self._classes = None

    # -- what there is

    def entity(self, key: str) -> EntityView | None:
        """The entity at a Redis key ("host:web-01"), or None if there is none.

        What is not UTF-8 in keys is there as surrogates, as in the names of files.
        """
        self._check_key(key)
        answer = self._ask(json.dumps({"op": "entity", "key": _argument(key)}))
        entity = answer["entity"]
        if entity is None:
            return None
        info = next(
            each for each in self._class_infos() if each.name == entity["class"]
        )
        fields = entity["fields"]
        # JSON has no word for some values; a client sees them.
        if inexact := info.inexact(fields):
            shown = cast("list[str | bytes]", self.command("HMGET", key, *inexact))
            fields |= info.exact(dict(zip(inexact, shown, strict=True)))
        ttl = entity["ttl"]
        return EntityView(
            info.name,
            key.removeprefix(info.prefix + ":"),
            None if ttl is None else ttl / 1000,
            fields,
        )

    def entities(self, pattern: str = "*") -> dict[str, EntityView]:
        """All entities whose Redis keys match ("host:*"), by key, in the order of their keys."""
        found: dict[str, EntityView] = {}
        prefixes = tuple(f"{info.prefix}:" for info in self._class_infos())
        for key in sorted(self._keys(pattern)):
            if key.startswith(prefixes) and (view := self.entity(key)) is not None:
                found[key] = view
        return found

    def watermark(self, stream: str | Stream[Any]) -> int | None:
        """The stream's watermark in ms; None: nothing measures event time on it, or no event came."""
        answer = self._ask(f'{{"op":"watermark","stream":{_name_json(stream)}}}')
        return cast("int | None", answer["watermark"])

    # -- what came out

    def outputs(self, stream: str | Stream[Any]) -> list[dict[str, Any]]:
        """What has been emitted into the stream since the last call, in order."""
        name = _name(stream)
        if name not in self._engine.streams:
            raise GridError(
                f"no app declares the stream {name!r}; there are: {', '.join(self._engine.streams)}"
            )
        return self._emitted.pop(name, [])

    def drain(self) -> dict[str, list[dict[str, Any]]]:
        """What has been emitted and not been asked for yet, by stream; no dead letters."""
        letters = self._emitted.pop(DEAD_LETTERS, [])
        drained = dict(self._emitted)
        self._emitted.clear()
        if letters:
            self._emitted[DEAD_LETTERS] = letters
        return drained

    def dead_letters(self) -> list[DeadLetter]:
        """The dead letters since the last call, in order, with the tracebacks of what failed."""
        return [
            DeadLetter(
                letter["stream"],
                letter["class"],
                letter["key"],
                letter["handler"],
                letter["event"],
                letter["state"],
                letter["error"],
                letter["traceback"],
                letter.get("attempts"),
            )
            for letter in self._emitted.pop(DEAD_LETTERS, [])
        ]

    def check_dead_letters(self) -> None:
        """Raises UnreadDeadLetters if there are some that nobody has asked for."""
        letters = self.dead_letters()
        if not letters:
            return
        shown = "\n\n".join(_describe(letter) for letter in letters[:_UNREAD_SHOWN_MAX])
        more = len(letters) - _UNREAD_SHOWN_MAX
        raise UnreadDeadLetters(
            f"{len(letters)} dead letter(s) that the test did not ask for with dead_letters():\n\n"
            + shown
            + (f"\n\n... and {more} more" if more > 0 else "")
        )

    # -- inside

    def _ask(self, request: str) -> dict[str, Any]:
        answer = self._engine.ask(request)
        for output in answer["outputs"]:
            self._emitted[output["stream"]].append(output["event"])
        if "error" in answer:
            raise GridError(answer["error"])
        return answer

    def _keys(self, pattern: str) -> set[str]:
        keys: set[str] = set()
        cursor = "0"
        while True:
            reply = self.command("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            cursor, some = cast("tuple[str, list[str | bytes]]", reply)
            keys.update(
                key if isinstance(key, str) else key.decode(errors="surrogateescape")
                for key in some
            )
            if cursor == "0":
                return keys

    def _class_infos(self) -> list[ClassInfo]:
        if self._classes is None:
            schema = cast("dict[str, Any]", self.command("SCHEMA"))
            self._classes = [
                ClassInfo(each["name"], each["prefix"], each["fields"])
                for each in schema["classes"]
            ]
        return self._classes

    def _check_key(self, key: str) -> None:
        prefixes = [f"{info.prefix}:" for info in self._class_infos()]
        if not key.startswith(tuple(prefixes)):
            raise GridError(
                f"{key!r} is no entity's key; they begin with: {', '.join(prefixes)}"
            )


def app_path(app: str | os.PathLike[str] | ModuleType) -> str:
    """The file of an app that is given as a path, a module's name or a module."""
    if isinstance(app, ModuleType):
        if app.__file__ is None:
            raise GridError(
                f"the module {app.__name__} has no file to load the app from"
            )
        return app.__file__
    path = os.fspath(app)
    if path.endswith(".py") or os.sep in path or Path(path).is_file():
        return path
    # "module:app", as other tools name an object of a module.
    name = path.partition(":")[0]
    try:
        spec = importlib.util.find_spec(name)
    except ImportError as error:
        raise GridError(f"no app {path!r}: {error}") from error
    if spec is None or spec.origin is None or not spec.has_location:
        raise GridError(f"no app {path!r}: it is neither a file nor a module's name")
    return spec.origin


def _time_ms(time: int | datetime) -> int:
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise ValueError(f"{time!r} has no time zone: say tzinfo=timezone.utc")
        return round(time.timestamp() * 1000)
    if isinstance(time, bool) or not isinstance(time, int):
        raise TypeError(
            f"a time is ms since the epoch or a datetime, not {type(time).__name__}"
        )
    return time


def _name(stream: str | Stream[Any]) -> str:
    return stream.name if isinstance(stream, Stream) else stream


def _name_json(stream: str | Stream[Any]) -> str:
    return json.dumps(_name(stream))


def _event_json(event: EventLike) -> str:
    """Text goes as a string, each byte a code point; what is JSON as it is, on one line."""
    if isinstance(event, (str, bytes)):
        data = event.encode() if isinstance(event, str) else event
        return json.dumps(data.decode("latin-1"))
    return encode_event(dict(event) if isinstance(event, Mapping) else event).decode()


def _argument(arg: object) -> str:
    if isinstance(arg, bytes):
        return arg.decode("latin-1")
    if isinstance(arg, bool):
        return str(int(arg))
    if isinstance(arg, (str, int, float)):
        return str(arg).encode(errors="surrogateescape").decode("latin-1")
    raise TypeError(f"a command's argument is no {type(arg).__name__}: {arg!r}")


def _describe(letter: DeadLetter) -> str:
    of_class = f"{letter.entity_class}." if letter.entity_class else ""
    where = f"{of_class}{letter.handler}" if letter.handler else "the door"
    return (
        f"stream {letter.stream}, at {where}, key {letter.key!r}, event {letter.event!r}:\n"
        f"{letter.traceback.rstrip() or letter.error}"
    )
