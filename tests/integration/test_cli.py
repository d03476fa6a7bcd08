"""The command line: subcommands, exit codes, configuration and its mistakes."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from apps import with_prelude
from harness import (
    ANY_PORTS,
    REPOSITORY,
    Launcher,
    Server,
    ServerDied,
    file_sink_table,
    free_port,
    json_lines,
    run_bettong,
    source_table,
    summary,
)

APP = with_prelude(
    """
    class Thing(app.Entity):
        n: int = 0

        @events.on(key="key")
        def take(self, e: In):
            if e.op == "raise":
                raise ValueError("told to")
            self.n += 1
            out.emit(key=self.key, n=self.n)
    """
)

BROKEN = {
    "missing module": ("import no_such_module\n", "No module named 'no_such_module'"),
    "syntax": ("def f(:\n", "SyntaxError"),
    "exception": ("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError: division by zero"),
    "exit": ("import sys\nsys.exit(0)\n", ""),
    "not utf-8": ("x = '\xff'\n", "utf-8"),
}


# -- version, doctor, help ------------------------------------------------------------------


def test_version() -> None:
    done = run_bettong("version")
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+", done.stdout)


def test_version_as_an_option() -> None:
    done = run_bettong("--version")
    assert (done.returncode, done.stdout) == (0, run_bettong("version").stdout)


def test_doctor_fails_with_an_unusable_python(tmp_path: Path) -> None:
    other = tmp_path / "python3.12"
    other.write_text("#!/bin/sh\necho 3.12.1\n")
    other.chmod(0o755)
    for python, words in [
        ("/no/such/python", "no executable /no/such/python"),
        ("no-such-python", "no executable 'no-such-python' on PATH"),
        (str(other), "is Python 3.12.1"),
    ]:
        done = run_bettong("doctor", "--python", python)
        assert done.returncode == 1, done.stdout
        assert words in done.stdout


def test_a_python_is_looked_for_on_the_path(launch: Launcher) -> None:
    # Where we run there is a directory that is no interpreter.
    (launch.folder / "bin").mkdir()
    (launch.folder / "bin" / "snake").symlink_to(sys.executable)
    environment = {"PATH": f"{launch.folder}/bin:{os.environ['PATH']}"}
    done = run_bettong("doctor", "--python", "snake", environment=environment)
    assert done.returncode == 0, done.stdout
    assert f"{launch.folder}/bin/snake (--python)" in done.stdout
    app = launch.write_app(APP)
    done = run_bettong(
        "run", app, "--python", "snake", "--input", "-", stdin=b"", environment=environment
    )
    assert done.returncode == 0, done.stderr
    done = run_bettong("serve", app, "--python", "no-such-python", *ANY_PORTS)
    assert done.returncode == 1
    assert "no executable 'no-such-python' on PATH" in done.stderr


def test_doctor_says_which_python_is_used() -> None:
    done = run_bettong("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"3\.\d+", done.stdout + done.stderr)
    assert "python" in (done.stdout + done.stderr).lower()


def test_help_names_the_subcommands() -> None:
    done = run_bettong("--help")
    assert done.returncode == 0
    names = set(re.findall(r"^  ([\w-]+)", done.stdout, re.MULTILINE))
    assert names >= {
        *("serve", "run", "demo", "check", "config", "top", "doctor", "version"),
        *("tap", "replay", "test", "grid", "dead-letters"),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["run"],
        ["serve", "--nosuch"],
        ["run", "app.py", "--nosuch", "x"],
        ["tap"],
        ["tap", "a", "b"],
        ["replay", "file"],
        ["test", "--app"],
        ["grid", "app.py"],
        ["grid", "app.py", "--start", "-1"],
        ["grid", "app.py", "--start", "253402300800000"],
        ["grid", "--start", "0"],
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str]) -> None:
    done = run_bettong(*arguments)
    assert done.returncode != 0
    assert done.stderr.strip()
    assert done.stdout == ""


def test_without_a_subcommand_it_says_what_there_is() -> None:
    done = run_bettong()
    assert "serve" in done.stdout + done.stderr


# -- apps that do not import ----------------------------------------------------------------


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("subcommand", ["serve", "run", "check"])
def test_an_app_that_does_not_import(tmp_path: Path, subcommand: str, name: str) -> None:
    source, words = BROKEN[name]
    path = tmp_path / "broken_app.py"
    path.write_bytes(source.encode("latin-1"))
    extra = {"serve": [*ANY_PORTS], "run": ["--input", "-"], "check": []}[subcommand]
    done = run_bettong(subcommand, path, *extra)
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    assert "broken_app.py" in done.stderr
    if name == "exception":
        assert "Traceback (most recent call last):" in done.stderr
        assert "line 4" in done.stderr
        assert ", in f" in done.stderr


def test_an_app_that_is_not_there(tmp_path: Path) -> None:
    for subcommand in ("serve", "run", "check"):
        extra = ["--input", "-"] if subcommand == "run" else []
        done = run_bettong(subcommand, tmp_path / "no_such_app.py", *extra)
        assert done.returncode != 0
        assert "no_such_app.py" in done.stderr


@pytest.mark.parametrize(
    "source", ["", "import bettong\n", "class App:\n    pass\n\napp = App()\n"]
)
@pytest.mark.parametrize("subcommand", ["serve", "run", "check"])
def test_a_module_without_an_app_is_refused(launch: Launcher, subcommand: str, source: str) -> None:
    path = launch.write_app(source, "no_app.py")
    extra = {"serve": [*ANY_PORTS], "run": ["--input", "-"], "check": []}[subcommand]
    done = run_bettong(subcommand, path, *extra)
    assert done.returncode == 3, done.stderr
    assert f"{path}: not an app: it makes and imports no App" in done.stderr
    # Beside a good one, too.
    if subcommand == "check":
        done = run_bettong(subcommand, launch.write_app(APP), path)
        assert done.returncode == 3, done.stderr
        assert f"{path}: not an app" in done.stderr


def test_an_app_may_be_made_elsewhere(launch: Launcher) -> None:
    launch.write_app(with_prelude(""), "shared.py")
    by_name = "from shared import app\n\nclass A(app.Entity):\n    n: int = 0\n"
    by_module = "import shared\n\nclass B(shared.app.Entity):\n    n: int = 0\n"
    done = run_bettong(
        "check", launch.write_app(by_name, "one.py"), launch.write_app(by_module, "two.py")
    )
    assert done.returncode == 0, done.stderr
    assert "entity A" in done.stdout
    assert "entity B" in done.stdout


def test_check_refuses_what_a_sink_could_not_write_to_as_serve_does(launch: Launcher) -> None:
    app = launch.write_app(APP)
    (launch.folder / "file").touch()
    for name, words in [
        ("nowhere/out.jsonl", "No such file or directory"),
        ("file/out.jsonl", "Not a directory"),
        (".", "Is a directory"),
    ]:
        path = launch.folder / name
        config = launch.write_config(file_sink_table("out", "out", path))
        for subcommand, extra in (("check", []), ("serve", [*ANY_PORTS])):
            done = run_bettong(subcommand, app, "-c", config, *extra)
            assert done.returncode == 1, done.stderr
            assert f"sink out: open {path}: {words}" in done.stderr
    fresh = launch.folder / "out.jsonl"
    done = run_bettong("check", app, "-c", launch.write_config(file_sink_table("o", "out", fresh)))
    assert done.returncode == 0, done.stderr
    assert not fresh.exists()


def test_check_accepts_a_good_app(launch: Launcher) -> None:
    done = run_bettong("check", launch.write_app(APP), cwd=launch.folder)
    assert done.returncode == 0, done.stderr


def example_apps() -> list[Path]:
    files = sorted((REPOSITORY / "examples").glob("*/*.py"))
    return [path for path in files if re.search(r"^\w+ = App\(", path.read_text(), re.MULTILINE)]


def test_check_accepts_the_examples() -> None:
    apps = example_apps()
    assert {"hostwatch", "wordcount", "alerts"} <= {path.parent.name for path in apps}
    for path in apps:
        done = run_bettong("check", path, cwd=path.parent)
        assert done.returncode == 0, f"{path}: {done.stderr}"


# -- run ------------------------------------------------------------------------------------


def write_events(folder: Path, count: int = 10) -> Path:
    path = folder / "in.jsonl"
    path.write_text("".join(f'{{"key":"k{n % 3}","n":{n}}}\n' for n in range(count)))
    return path


@pytest.mark.parametrize("shards", ["1", "2", "8"])
def test_run_from_file_to_file(launch: Launcher, shards: str) -> None:
    output = launch.folder / "out.jsonl"
    path = write_events(launch.folder, 1_000)
    done = launch.run(APP, "--input", path, "--output", output, "--shards", shards)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert len(output.read_text().splitlines()) == 1_000
    for key, count in (("k0", 334), ("k1", 333), ("k2", 333)):
        numbers = [line["n"] for line in json_lines(output.read_text()) if line["key"] == key]
        assert numbers == list(range(1, count + 1))
    counts = summary(done)
    assert counts["seconds"] >= 0
    del counts["seconds"]
    assert counts == {"events": 1_000, "outputs": 1_000, "live": 3, "dead_letters": 0}


def test_run_from_standard_input_to_standard_output(launch: Launcher) -> None:
    stdin = b'{"key":"a"}\n{"key":"b"}\n{"key":"a"}\n'
    done = launch.run(APP, "--input", "-", "--output", "-", "--shards", "1", stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"key":"a","n":1}\n{"key":"b","n":1}\n{"key":"a","n":2}\n'
    assert summary(done)["live"] == 2


def test_run_shows_no_progress_bar_without_a_terminal(launch: Launcher) -> None:
    done = launch.run(APP, "--input", write_events(launch.folder), "--output", "-")
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_run_of_nothing(launch: Launcher) -> None:
    done = launch.run(APP, "--input", "-", "--output", "-", stdin=b"")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    counts = summary(done)
    assert (counts["events"], counts["outputs"], counts["live"]) == (0, 0, 0)


def test_run_without_a_last_newline(launch: Launcher) -> None:
    done = launch.run(APP, "--input", "-", "--output", "-", stdin=b'{"key":"a"}\n{"key":"a"}')
    assert summary(done)["events"] == 2
    assert [line["n"] for line in json_lines(done.stdout)] == [1, 2]


COUNTED = with_prelude(
    """
    raw = app.stream("raw")
    more = app.stream("more", In)

    def words(e):
        return e["words"].split()

    class Word(app.Entity):
        n: int = 0

        @raw.on(key=words)
        def word(self, e):
            self.n += 1
            more.emit(key=self.key, n=self.n)
            out.emit(word=self.key)

        @raw.on(key="k")
        def line(self, e):
            pass

        @more.on(key="key")
        def again(self, e: In):
            pass
    """
)
COUNTED_LINES = [
    b'{"k":"a","words":"to be or"}',  # three keys and one: an event, six outputs
    b'{"k":"a","words":"to"}',
    b'{"words":"be"}',  # without a key for one of its handlers: a dead letter beside its outputs
    b'{"k":null,"words":""}',
    b"garbage",
    b'{"k":"a"}',  # the key function raises
]
COUNTS = {"events": 6, "outputs": 10, "dead_letters": 4}


def test_run_counts_a_line_once_whatever_becomes_of_it(launch: Launcher) -> None:
    stdin = b"\n".join(COUNTED_LINES) + b"\n\n"
    done = launch.run(COUNTED, "--input", "-", "--stream", "raw", stdin=stdin)
    counts = summary(done)
    assert {name: counts[name] for name in COUNTS} == COUNTS


def test_info_counts_as_run_does(launch: Launcher) -> None:
    server = launch(COUNTED, config=source_table("raw", "raw"), shards=3)
    server.feed(*COUNTED_LINES, source="raw")
    info = server.redis().info("bettong")
    assert {name: info[name] for name in COUNTS} == COUNTS
    assert (info["source_raw_events"], info["source_raw_dead_letters"]) == (6, 3)
    # What clients add is admitted, too; what is emitted into a stream with handlers is an output.
    server.redis().xadd("more", {"key": "x"})
    server.redis().xadd("more", {"nonsense": "x"})
    server.wait_dead_letters(5)
    info = server.redis().info("bettong")
    assert (info["events"], info["outputs"], info["dead_letters"]) == (8, 10, 5)


def test_the_help_of_run_says_what_its_last_line_counts() -> None:
    done = run_bettong("run", "--help")
    assert "events=" in done.stdout
    assert "dead letters not counted" in done.stdout


def test_run_with_a_relative_path(launch: Launcher) -> None:
    launch.write_app(APP, "my_app.py")
    write_events(launch.folder)
    done = run_bettong(
        "run", "my_app.py", "--input", "in.jsonl", "--output", "out.jsonl", cwd=launch.folder
    )
    assert done.returncode == 0, done.stderr
    assert len((launch.folder / "out.jsonl").read_text().splitlines()) == 10


TWO_STREAMS = with_prelude(
    """
    more = app.stream("more", In)

    class Thing(app.Entity):
        n: int = 0

        @events.on(key="key")
        def one(self, e: In):
            out.emit(kind="one", key=self.key)

        @more.on(key="key")
        def two(self, e: In):
            out.emit(kind="two", key=self.key)
    """
)


def test_run_with_a_stream_by_name(launch: Launcher) -> None:
    for stream, kind in (("events", "one"), ("more", "two")):
        arguments = ["--input", "-", "--output", "-", "--stream", stream]
        done = launch.run(TWO_STREAMS, *arguments, stdin=b'{"key":"a"}\n')
        assert done.returncode == 0, done.stderr
        assert done.stdout == f'{{"kind":"{kind}","key":"a"}}\n'


def test_run_must_be_told_which_of_two_streams(launch: Launcher) -> None:
    done = launch.run(TWO_STREAMS, "--input", "-", stdin=b'{"key":"a"}\n')
    assert done.returncode != 0
    assert "events" in done.stderr
    assert "more" in done.stderr


def test_run_refuses_an_unknown_stream(launch: Launcher) -> None:
    done = launch.run(APP, "--input", "-", "--stream", "evens", stdin=b'{"key":"a"}\n')
    assert done.returncode != 0
    assert "evens" in done.stderr


def test_run_of_an_app_without_handlers(launch: Launcher) -> None:
    done = launch.run(with_prelude(""), "--input", "-", stdin=b"{}\n")
    assert done.returncode != 0
    assert done.stderr.strip()


def test_run_of_a_missing_input(launch: Launcher) -> None:
    done = launch.run(APP, "--input", "no_such_file.jsonl")
    assert done.returncode != 0
    assert "no_such_file.jsonl" in done.stderr
    assert "No such file" in done.stderr


def test_run_into_a_folder_that_is_not_there(launch: Launcher) -> None:
    path = write_events(launch.folder)
    done = launch.run(APP, "--input", path, "--output", launch.folder / "nowhere" / "out.jsonl")
    assert done.returncode != 0
    assert "nowhere" in done.stderr


def test_what_an_app_prints_does_not_disturb_the_output(launch: Launcher) -> None:
    # assumption: data goes to standard output, so what user code prints goes to standard error.
    app = APP + "\nprint('hello from the import')\n"
    done = launch.run(app, "--input", "-", "--output", "-", stdin=b'{"key":"a"}\n')
    assert done.stdout == '{"key":"a","n":1}\n'
    assert "hello from the import" in done.stderr


# -- serve ----------------------------------------------------------------------------------


def test_serve_on_a_given_port(launch: Launcher) -> None:
    port = free_port()
    server = launch(None, "--resp-port", str(port))
    assert server.resp == ("127.0.0.1", port)
    assert server.redis().ping() is True


def test_the_ready_line_names_every_source(launch: Launcher) -> None:
    config = source_table("one", "events") + source_table("two", "events", framing="length32")
    server = launch(APP, config=config)
    assert set(server.sources) == {"one", "two"}
    ports = [server.resp[1], *(port for _, port in server.sources.values())]
    assert len(set(ports)) == 3
    for address in server.sources.values():
        socket.create_connection(address).close()


def test_serve_on_a_port_that_is_taken(launch: Launcher) -> None:
    taken = launch(shards=1)
    done = run_bettong("serve", *ANY_PORTS, "--resp-port", str(taken.resp[1]))
    assert done.returncode != 0
    assert str(taken.resp[1]) in done.stderr
    assert "in use" in done.stderr


def test_serve_with_several_apps(launch: Launcher) -> None:
    one = launch.write_app(APP, "one.py")
    two = launch.write_app(
        APP.replace("class Thing", "class Other").replace('"events"', '"events2"'), "two.py"
    )
    config = source_table("events", "events") + source_table("events2", "events2")
    server = launch(one, two, config=config)
    server.feed({"key": "a"})
    server.feed({"key": "a"}, source="events2")
    client = server.redis()
    assert client.hget("thing:a", "n") == "1"
    assert client.hget("other:a", "n") == "1"


def test_no_data_is_accepted_and_leaves_nothing_behind(launch: Launcher) -> None:
    server = launch(None)  # the launcher always says --no-data
    server.redis().set("k", "v")
    assert server.terminate() == 0
    assert [path.name for path in launch.folder.iterdir()] == []


# -- configuration --------------------------------------------------------------------------


def test_ports_and_shards_from_the_configuration(launch: Launcher) -> None:
    path = launch.write_config("[node]\nshards = 2\n\n[resp]\nport = 0\n")
    server = Server("-c", path, cwd=launch.folder)
    launch.servers.append(server)
    assert server.redis().ping() is True


def test_the_command_line_beats_the_configuration(launch: Launcher) -> None:
    wrong, right = free_port(), free_port()
    server = launch(None, "--resp-port", str(right), config=f"[resp]\nport = {wrong}\n")
    assert server.resp[1] == right


def test_set_beats_the_configuration(launch: Launcher) -> None:
    port = free_port()
    config = source_table("events", "events").replace("127.0.0.1:0", "127.0.0.1:1")
    app = launch.write_app(APP)
    server = launch(
        app,
        "--set",
        f"source.events.listen=127.0.0.1:{port}",
        "--set",
        "python.handler_timeout=5",
        config=config,
    )
    assert server.sources["events"] == ("127.0.0.1", port)
    server.feed({"key": "a"})
    assert server.redis().hget("thing:a", "n") == "1"


@pytest.mark.parametrize("timeout", ["1", "0"])
def test_a_hard_limit_within_the_timeout_is_refused(timeout: str) -> None:
    settings = ["python.handler_hard_limit=1", f"python.handler_timeout={timeout}"]
    done = run_bettong("check", "--set", settings[0], "--set", settings[1])
    assert done.returncode == 2
    assert "handler_hard_limit (1000 ms) must be longer than handler_timeout" in done.stderr


def test_set_makes_a_whole_source(launch: Launcher) -> None:
    settings = {"kind": "tcp", "listen": "127.0.0.1:0", "stream": "events", "framing": "lines"}
    settings["format"] = "json"
    arguments: list[str] = []
    for name, value in settings.items():
        arguments += ["--set", f"source.metrics.{name}={value}"]
    server = launch(APP, *arguments, config="")
    server.feed({"key": "a"}, source="metrics")
    assert server.redis().hget("thing:a", "n") == "1"


MISTAKES = {
    # name: text, line of the mistake, what the message must name
    "key of a source": (
        '[source.events]\nkind = "tcp"\nlissten = "127.0.0.1:0"\nstream = "events"\n',
        3,
        ["lissten", "listen"],
    ),
    "key of a sink": (
        '[sink.out]\nkind = "file"\nstream = "out"\npth = "/tmp/x"\n',
        4,
        ["pth", "path"],
    ),
    "key of the node": ("# a comment\n\n[node]\nshard = 2\n", 4, ["shard", "shards"]),
    "key of the port": ("[resp]\nprt = 0\n", 2, ["prt", "port"]),
    "table": ("[nod]\nshards = 2\n", 1, ["nod", "node"]),
    "kind": (
        '[source.events]\nkind = "tpc"\nlisten = "127.0.0.1:0"\nstream = "events"\n',
        2,
        ["tpc", "tcp"],
    ),
    "framing": (
        '[source.e]\nkind = "tcp"\nlisten = "127.0.0.1:0"\nstream = "events"\nframing = "line"\n',
        5,
        ["line", "lines"],
    ),
    "type": ('[node]\nshards = "two"\n', 2, ["shards"]),
    "range": ("[node]\nshards = 0\n", 2, ["shards"]),
    "syntax": ("[node]\nshards = \n", 2, []),
    "missing": ('[source.events]\nkind = "tcp"\nstream = "events"\n', 1, ["listen"]),
    "address": (
        '[source.e]\nkind = "tcp"\nlisten = "nowhere"\nstream = "events"\n',
        3,
        ["nowhere"],
    ),
    "token of a TCP source": (
        '[source.e]\nkind = "tcp"\nlisten = "127.0.0.1:0"\nstream = "events"\ntoken = "s3"\n',
        1,
        ["token", "bettong-stream"],
    ),
    "token of a file": (
        '[sink.out]\nkind = "file"\npath = "x"\nstream = "out"\ntoken = "s3"\n',
        1,
        ["token", "bettong-stream"],
    ),
    "token that is a number": (
        '[source.e]\nkind = "bettong-stream"\nlisten = "127.0.0.1:0"\nstream = "e"\ntoken = 3\n',
        5,
        ["token", "string", "3"],
    ),
    "stream without an address": (
        '[sink.out]\nkind = "bettong-stream"\nstream = "out"\n',
        1,
        ["address"],
    ),
    "stream that listens nowhere": (
        '[source.events]\nkind = "bettong-stream"\nstream = "events"\n',
        1,
        ["listen"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_configuration_is_named_with_its_line(launch: Launcher, name: str) -> None:
    text, line, words = MISTAKES[name]
    path = launch.write_config(text)
    app = launch.write_app(APP)
    done = run_bettong("serve", app, "-c", path, *ANY_PORTS, cwd=launch.folder)
    assert done.returncode not in (0, 3), done.stderr
    assert re.search(rf"bettong\.toml:{line}\b", done.stderr), done.stderr
    for word in words:
        assert re.search(rf"\b{re.escape(word)}\b", done.stderr), word
    # `check` finds the same.
    done = run_bettong("check", app, "-c", path, cwd=launch.folder)
    assert done.returncode != 0
    assert re.search(rf"bettong\.toml:{line}\b", done.stderr), done.stderr


def documented_keys() -> list[str]:
    keys, table = [], ""
    for line in (REPOSITORY / "docs" / "configuration.md").read_text().splitlines():
        if match := re.match(r"## \[([a-z.]+)(NAME)?\]$", line):
            table = match[1] + ("x." if match[2] else ".")
        elif match := re.match(r"\| `(\w+)` \|", line):
            keys.append(table + match[1])
    return keys


def test_the_documented_keys_are_those_there_are() -> None:
    keys = documented_keys()
    assert len(keys) >= 30
    for key in keys:
        done = run_bettong("check", "--set", f"{key}=?")
        assert "unknown" not in done.stderr, done.stderr
    done = run_bettong("check", "--set", "source.x.nosuch=?")
    assert "unknown key 'nosuch'" in done.stderr


SETTING_MISTAKES = [
    "node.shard=2",
    "nod.shards=2",
    "node.shards=x",
    "nonsense",
    "node.foo.shards=2",
    "source.listen=127.0.0.1:0",
    "node.notify_keyspace_events=QQ",
    "node.notify_keyspace_events=Km",
    "resp.listen=::1:0",
    "source.metrics.idle=0",
    "source.metrics.max_frame_bytes=0",
]


@pytest.mark.parametrize("setting", SETTING_MISTAKES)
def test_a_mistake_in_a_setting_is_refused(launch: Launcher, setting: str) -> None:
    with pytest.raises(ServerDied, match=re.escape(setting.split("=")[0].split(".")[-1])):
        launch(None, "--set", setting, config="")


def test_a_password_of_digits(launch: Launcher) -> None:
    server = launch(None, "--set", "resp.password=123", config="")
    connection = server.connect()
    assert connection.call("AUTH", "123") == "OK"


def test_sizes_have_the_units_of_redis(launch: Launcher) -> None:
    server = launch(None, "--set", "node.maxmemory=100k", config="")
    assert server.redis().config_get("maxmemory")["maxmemory"] == "100000"


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_a_port_open_to_the_network_needs_a_password(host: str) -> None:
    listen = f"resp.listen={host}:0"
    done = run_bettong("serve", "--set", listen)
    assert done.returncode == 2
    for word in ("resp.listen", "resp.password", "127.0.0.1", "resp.protected_mode"):
        assert word in done.stderr
    for more in ("resp.password=secret", "resp.protected_mode=false", "resp.enabled=false"):
        assert run_bettong("check", "--set", listen, "--set", more).returncode == 0


def test_the_port_listens_on_ipv6(launch: Launcher) -> None:
    server = launch(None, "--set", "resp.listen=[::1]:0", config="")
    assert server.resp[0] == "::1"
    with server.connect() as connection:
        assert connection.call("PING") == "PONG"


def test_a_configuration_that_is_not_there(launch: Launcher) -> None:
    done = run_bettong("serve", "-c", launch.folder / "no_such.toml", *ANY_PORTS)
    assert done.returncode != 0
    assert "no_such.toml" in done.stderr


def test_a_source_for_a_stream_that_no_app_knows(launch: Launcher) -> None:
    # assumption: refused at the start, or served with a line that names the stream.
    try:
        told = "\n".join(launch(APP, config=source_table("events", "evnts")).stderr)
    except ServerDied as refusal:
        told = str(refusal)
    assert "evnts" in told
