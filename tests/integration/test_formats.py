"""Formats beside JSON: InfluxDB line protocol, Graphite plaintext, CSV; over TCP, from files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from harness import Launcher, Server, json_lines, run_bettong, source_table, summary
from test_config_show import origins, show, values

pytestmark = pytest.mark.sanitized

APP = """
from bettong import App, Event

app = App("formats")


class Cpu(Event, time="time"):
    measurement: str
    host: str
    usage_idle: float
    cores: int = 0
    note: str | None = None
    time: int


class Point(Event, time="time"):
    metric: str
    rack: str = "none"
    value: float
    time: int


class Row(Event):
    key: str
    id: int
    x: float = 0.5
    maybe: int | None = -1


cpus = app.stream("cpus", Cpu)
points = app.stream("points", Point)
rows = app.stream("rows", Row)
anything = app.stream("anything")
out = app.stream("out")


class Host(app.Entity):
    n: int
    idle: float
    cores: int
    time: int
    measurement: str
    note: str

    @cpus.on(key="host")
    def cpu(self, e: Cpu):
        self.n += 1
        self.idle = e.usage_idle
        self.cores = e.cores
        self.time = e.time
        self.measurement = e.measurement
        self.note = "null" if e.note is None else e.note
        out.emit(host=self.key, idle=e.usage_idle, time=e.time)


class Series(app.Entity):
    n: int
    value: float
    rack: str
    time: int

    @points.on(key="metric")
    def point(self, e: Point):
        self.n += 1
        self.value = e.value
        self.rack = e.rack
        self.time = e.time


class Item(app.Entity):
    n: int
    key_text: str
    x: float
    maybe: str

    @rows.on(key="id")
    def row(self, e: Row):
        self.n += 1
        self.key_text = e.key
        self.x = e.x
        self.maybe = repr(e.maybe)


class Thing(app.Entity):
    event: str

    @anything.on(key="host")
    def take(self, e):
        self.event = repr(dict(e))
"""


def table(stream: str, text: str, name: str = "events") -> str:
    """A source on a free port, with `text` for its format."""
    return source_table(name, stream).replace('format = "json"', text)


def fields(server: Server, key: str, *names: str) -> list[str]:
    return list(server.redis().hmget(key, *names))


def letters(server: Server) -> list[tuple[str, str]]:
    return [(letter["event"], letter["error"]) for letter in server.dead_letters()]


# -- InfluxDB line protocol -----------------------------------------------------------------


def test_influx_lines_as_telegraf_sends_them(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"'))
    server.feed(
        "cpu,cpu=cpu-total,host=web-01 usage_user=1.2,usage_idle=97.5,cores=4i 1556813561098000000",
        'cpu,cpu=cpu-total,host=db\\ 1\\,x usage_idle=3i,note="say \\"hi\\", \\\\o/" '
        "1556813562000000000",
    )
    names = ("n", "idle", "cores", "time", "measurement", "note")
    assert fields(server, "host:web-01", *names) == [
        *("1", "97.5", "4", "1556813561098", "cpu", "null")
    ]
    assert fields(server, "host:db 1,x", *names) == [
        *("1", "3", "0", "1556813562000", "cpu", 'say "hi", \\o/')
    ]
    assert server.dead_letters() == []


def test_comments_and_empty_lines_are_no_events(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"'))
    server.feed("# DDL", "", "  ", "cpu,host=a usage_idle=1", "#cpu,host=a usage_idle=2")
    assert fields(server, "host:a", "n") == ["1"]
    assert server.dead_letters() == []


def test_a_line_without_a_time_has_the_servers(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"'))
    before = time.time() * 1000 - 1
    server.feed("cpu,host=a usage_idle=1")
    (told,) = fields(server, "host:a", "time")
    assert before <= int(told) <= time.time() * 1000 + 1


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [("ns", "1556813561098000000"), ("us", "1556813561098000"), ("ms", "1556813561098")],
)
def test_precision(launch: Launcher, precision: str, stamp: str) -> None:
    text = f'format = "influx"\nprecision = "{precision}"'
    server = launch(APP, config=table("cpus", text))
    server.feed(f"cpu,host=a usage_idle=1 {stamp}")
    assert fields(server, "host:a", "time") == ["1556813561098"]


def test_a_time_in_another_precision_is_a_dead_letter(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"\nprecision = "s"'))
    line = "cpu,host=a usage_idle=1 1556813561098000000"
    server.feed(line, "cpu,host=a usage_idle=1 1556813561")
    assert fields(server, "host:a", "n", "time") == ["1", "1556813561000"]
    ((event, error),) = letters(server)
    assert event == line
    assert "is it in the source's precision?" in error
    assert error.endswith("at column 25")


def test_malformed_influx_lines_are_dead_letters(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"'))
    server.feed(
        "cpu,host=a usage_idle=1.2.3",
        'cpu,host=a note="open',
        "cpu,host=a",
        'cpu,host=a usage_idle="1"',
        "cpu usage_idle=1",
        '{"host":"a","usage_idle":1}',
        "cpu,host=a usage_idle=1",
    )
    assert fields(server, "host:a", "n") == ["1"]
    protocol = "not valid InfluxDB line protocol: "
    assert sorted(letters(server)) == sorted(
        [
            (
                "cpu,host=a usage_idle=1.2.3",
                protocol + "expected a number, a bool or a text in quotes, at column 23",
            ),
            (
                'cpu,host=a note="open',
                protocol + "the quotes of a text are not closed, at column 17",
            ),
            ("cpu,host=a", protocol + "there are no fields, at column 11"),
            (
                'cpu,host=a usage_idle="1"',
                "field 'usage_idle' of Cpu: expected a float, got \"1\"",
            ),
            ("cpu usage_idle=1", "field 'host' of Cpu: missing, and it has no default"),
            (
                '{"host":"a","usage_idle":1}',
                protocol + "expected '=' behind a tag's name, at column 28",
            ),
        ]
    )


def test_an_event_without_a_class_is_a_dict(launch: Launcher) -> None:
    server = launch(APP, config=table("anything", 'format = "influx"'))
    server.feed('m,host=a f=1.5,i=2i,u=3u,on=t,s="x\\"y" 1556813561098000000')
    (event,) = fields(server, "thing:a", "event")
    assert event == repr(
        {
            "measurement": "m",
            "host": "a",
            "f": 1.5,
            "i": 2,
            "u": 3,
            "on": True,
            "s": 'x"y',
            "time": 1556813561098,
        }
    )


def test_a_line_over_the_limit_is_a_dead_letter(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"\nmax_frame_bytes = 100'))
    server.feed('cpu,host=a usage_idle=1,note="' + "x" * 100 + '"', "cpu,host=a usage_idle=1")
    assert fields(server, "host:a", "n") == ["1"]
    ((event, error),) = letters(server)
    assert event.startswith('cpu,host=a usage_idle=1,note="xxx')
    assert "is over the limit" in error


def test_lines_in_single_bytes(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"'))
    source = server.source()
    for byte in b"cpu,host=a usage_idle=1\r\ncpu,host=a usage_idle=2.5":
        source.send_raw(bytes([byte]))
    source.finish()
    assert fields(server, "host:a", "n", "idle") == ["2", "2.5"]


def test_many_influx_lines(launch: Launcher) -> None:
    server = launch(APP, config=table("cpus", 'format = "influx"'))
    lines = [f"cpu,host=h{n % 100} usage_idle={n},cores={n}i {n}000000" for n in range(20_000)]
    server.feed(*lines)
    for host in range(100):
        last = 19_900 + host
        told = fields(server, f"host:h{host}", "n", "cores", "time")
        assert told == ["200", str(last), str(last)]


# -- Graphite -------------------------------------------------------------------------------


def test_graphite_lines_as_collectd_sends_them(launch: Launcher) -> None:
    server = launch(APP, config=table("points", 'format = "graphite"'))
    source = server.source()
    source.send_raw(
        b"web-01.cpu-0.cpu-idle 99.400000 1556813561\r\n"
        b"web-01.load.load.shortterm nan 1556813561\r\n"
        b"disk.used;datacenter=dc1;rack=a1 1e3 1556813561.5\n"
    )
    source.finish()
    names = ("n", "value", "rack", "time")
    assert fields(server, "series:web-01.cpu-0.cpu-idle", *names) == [
        *("1", "99.4", "none", "1556813561000")
    ]
    assert fields(server, "series:disk.used", *names) == ["1", "1000", "a1", "1556813561500"]
    assert server.redis().exists("series:web-01.load.load.shortterm") == 0
    assert server.dead_letters() == []


def test_graphite_without_a_time(launch: Launcher) -> None:
    server = launch(APP, config=table("points", 'format = "graphite"'))
    before = time.time() * 1000 - 1
    server.feed("a 1", "b 1 -1")
    for key in ("series:a", "series:b"):
        (told,) = fields(server, key, "time")
        assert before <= int(told) <= time.time() * 1000 + 1


def test_malformed_graphite_lines_are_dead_letters(launch: Launcher) -> None:
    server = launch(APP, config=table("points", 'format = "graphite"'))
    server.feed("a", "a x 1", "a 1 1556813561098", "a;t 1 1", "a 2 1")
    assert fields(server, "series:a", "n", "value") == ["1", "2"]
    plaintext = "not valid Graphite plaintext: "
    assert sorted(letters(server)) == sorted(
        [
            ("a", plaintext + "expected a value behind the metric, at column 2"),
            ("a x 1", plaintext + "expected a number, at column 3"),
            (
                "a 1 1556813561098",
                plaintext
                + "the timestamp is not between the years 1691 and 2248 (is it in seconds?), "
                + "at column 5",
            ),
            ("a;t 1 1", plaintext + "expected '=' behind a tag's name, at column 4"),
        ]
    )


# -- CSV ------------------------------------------------------------------------------------


def test_csv_with_columns_of_the_configuration(launch: Launcher) -> None:
    text = 'format = "csv"\ncolumns = ["key", "id", "x", "maybe", "unknown"]'
    server = launch(APP, config=table("rows", text))
    server.feed('"a ""b"", c",7,1.5,3,x', ",-8,,,")
    names = ("n", "key_text", "x", "maybe")
    assert fields(server, "item:7", *names) == ["1", 'a "b", c', "1.5", "3"]
    assert fields(server, "item:-8", *names) == ["1", "", "0.5", "None"]
    assert server.dead_letters() == []


def test_csv_with_a_header_on_each_connection(launch: Launcher) -> None:
    server = launch(APP, config=table("rows", 'format = "csv"\ndelimiter = ";"'))
    server.feed("id;key", "1;a", "2;b,c")
    server.feed('"key";"id"', "d;1")
    assert fields(server, "item:1", "n", "key_text") == ["2", "d"]
    assert fields(server, "item:2", "n", "key_text") == ["1", "b,c"]
    assert server.dead_letters() == []


def test_malformed_rows_are_dead_letters(launch: Launcher) -> None:
    server = launch(APP, config=table("rows", 'format = "csv"'))
    server.feed("key,id", '"a,1', "a", "a,1,2", "a,x", "a,", 'a"b,1', "a,1")
    assert fields(server, "item:1", "n", "key_text") == ["1", "a"]
    assert sorted(letters(server)) == sorted(
        [
            ('"a,1', "not valid CSV: the quotes of a cell are not closed, at column 1"),
            ("a", "not valid CSV: there are fewer cells than columns, at column 2"),
            ("a,1,2", "not valid CSV: there are more cells than columns, at column 5"),
            ("a,x", "field 'id' of Row: expected an int, got x"),
            ("a,", "field 'id' of Row: missing, and it has no default"),
            ('a"b,1', "not valid CSV: a quote in a cell without quotes, at column 2"),
        ]
    )


def test_a_row_is_never_taken_for_the_header(launch: Launcher) -> None:
    text = 'format = "csv"\nmax_frame_bytes = 20'
    server = launch(APP, config=table("rows", text))
    server.feed("key,id," + "x" * 20, "a,1")
    server.feed("key,key", "b,2")
    assert server.entities() == 0
    assert [event for event, _ in letters(server)].count("a,1") == 1
    assert [error for event, error in letters(server) if event == "b,2"] == [
        "not valid CSV: the columns have no names: the first line was no header, at column 1"
    ]


def test_csv_without_a_class_has_text_fields(launch: Launcher) -> None:
    server = launch(APP, config=table("anything", 'format = "csv"'))
    server.feed("host,n", "a,1", "b,")
    assert fields(server, "thing:a", "event") == [repr({"host": "a", "n": "1"})]
    assert fields(server, "thing:b", "event") == [repr({"host": "b", "n": ""})]


# -- bettong run ----------------------------------------------------------------------------


def run(launch: Launcher, stream: str, lines: str, *arguments: str) -> tuple[list[object], str]:
    path = launch.folder / "input"
    path.write_text(lines)
    done = launch.run(
        APP, "--input", path, "--stream", stream, "--output", "-", "--shards", "2", *arguments
    )
    assert done.returncode == 0, done.stderr
    return json_lines(done.stdout), done.stderr


def test_run_reads_influx(launch: Launcher) -> None:
    outputs, _ = run(
        launch,
        "cpus",
        "# a comment\ncpu,host=a usage_idle=1.5 1556813561\ncpu,host=a usage_idle=2 1556813562",
        *("--format", "influx", "--precision", "s"),
    )
    assert outputs == [
        {"host": "a", "idle": 1.5, "time": 1556813561000},
        {"host": "a", "idle": 2.0, "time": 1556813562000},
    ]


def test_run_counts_lines_that_hold_events(launch: Launcher) -> None:
    path = launch.folder / "input"
    path.write_text("# a comment\n\ncpu,host=a usage_idle=1\ncpu\n")
    arguments = ("--stream", "cpus", "--format", "influx")
    done = launch.run(APP, "--input", path, *arguments)
    told = summary(done)
    assert (told["events"], told["dead_letters"], told["live"]) == (2, 1, 1)


def test_run_reads_graphite_and_csv(launch: Launcher) -> None:
    for stream, text, arguments, events in (
        ("points", "a 1 5\nb 2 5\n", ["--format", "graphite"], 2),
        ("rows", "key,id\na,1\nb,2\n", ["--format", "csv"], 2),
        ("rows", "a|1\nb|2\nc|3", ["--format=csv", "--columns=key,id", "--delimiter=|"], 3),
    ):
        path = launch.folder / "input"
        path.write_text(text)
        done = launch.run(APP, "--input", path, "--stream", stream, *arguments)
        told = summary(done)
        assert (told["events"], told["live"], told["dead_letters"]) == (events, events, 0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--format", "inflx"],
            '--format must be one of "json" "influx" "graphite" "csv" (perhaps "influx"), '
            'not "inflx"',
        ),
        (["--precision", "ms"], 'the input has a precision: needs format = "influx"'),
        (
            ["--format", "influx", "--columns", "a,b"],
            'the input has columns: needs format = "csv"',
        ),
        (["--format", "csv", "--columns", "a,a"], "(two columns have the same name)"),
        (["--format", "csv", "--delimiter", "ab"], "--delimiter must be one character"),
        (["--format", "influx", "--precision", "m"], '--precision must be one of "ns" "us"'),
    ],
)
def test_run_refuses_wrong_options(launch: Launcher, arguments: list[str], error: str) -> None:
    done = launch.run(APP, "--input", "-", *arguments, stdin=b"")
    assert done.returncode == 2
    assert error in done.stderr


# -- configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            'format = "inflx"',
            '6: \'format\' must be one of "json" "influx" "graphite" "csv" "raw" '
            '(perhaps "influx"), not "inflx"',
        ),
        ('precision = "ms"', '[source.events] has a precision: needs format = "influx"'),
        (
            'format = "csv"\nprecision = "ns"',
            '[source.events] has a precision: needs format = "influx"',
        ),
        ('format = "influx"\ncolumns = ["a"]', 'has columns: needs format = "csv"'),
        ('format = "graphite"\ndelimiter = ";"', 'has a delimiter: needs format = "csv"'),
        ('format = "influx"\nprecision = "m"', '\'precision\' must be one of "ns" "us" "ms" "s"'),
        ('format = "csv"\ncolumns = ["a", ""]', "(a column has no name)"),
        ('format = "csv"\ncolumns = []', "(there are none)"),
        ('format = "csv"\ncolumns = ["a", 1]', "'columns' must be a string, a number"),
        ('format = "csv"\ndelimiter = "x"', "'delimiter' must be one character"),
        ('format = ["csv"]', "'format' must be one of"),
        ("formt = 1", "unknown key 'formt' in [source.events]; did you mean 'format'?"),
    ],
)
def test_wrong_configurations(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "bettong.toml"
    path.write_text(table("cpus", text).lstrip("\n"))
    done = run_bettong("check", "-c", path)
    assert done.returncode == 2
    assert error in done.stderr


def test_a_bettong_stream_has_json_only(tmp_path: Path) -> None:
    path = tmp_path / "bettong.toml"
    text = table("cpus", 'format = "influx"').replace('"tcp"', '"bettong-stream"')
    path.write_text(text.replace('framing = "lines"\n', ""))
    done = run_bettong("check", "-c", path)
    assert done.returncode == 2
    assert '[source.events] has another format than "json": needs kind = "tcp"' in done.stderr


def test_config_show_has_the_keys_that_the_format_uses(tmp_path: Path) -> None:
    path = tmp_path / "bettong.toml"
    path.write_text(
        table("cpus", 'format = "influx"', "a")
        + table("cpus", 'format = "csv"\ncolumns = ["x", "y \\"z\\""]\ndelimiter = "\\t"', "b")
        + table("cpus", 'format = "json"', "c")
    )
    settings = ("--set", "source.d.format=csv", "--set", "source.d.columns=x,y")
    more = ("--set", "source.d.stream=cpus", "--set", "source.d.listen=127.0.0.1:0")
    text = show("-c", path, *settings, *more)
    sources = values(text)["source"]
    assert (sources["a"]["format"], sources["a"]["precision"]) == ("influx", "ns")
    assert not {"delimiter", "columns"} & set(sources["a"])
    assert (sources["b"]["columns"], sources["b"]["delimiter"]) == (["x", 'y "z"'], "\t")
    assert "precision" not in {*sources["b"], *sources["c"]}
    assert (sources["d"]["columns"], sources["d"]["delimiter"]) == (["x", "y"], ",")
    assert origins(text)["source.d.columns"] == "--set"
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert values(show("-c", again)) == values(text)


def test_sources_of_several_formats_side_by_side(launch: Launcher) -> None:
    config = (
        table("cpus", 'format = "influx"', "a")
        + table("points", 'format = "graphite"', "b")
        + table("rows", 'format = "csv"', "c")
        + source_table("d", "cpus")
    )
    server = launch(APP, config=config)
    server.feed("cpu,host=x usage_idle=1", source="a")
    server.feed("y 1", source="b")
    server.feed("key,id", "z,1", source="c")
    event = {"measurement": "cpu", "host": "x", "usage_idle": 2.5, "time": 5}
    server.feed(json.dumps(event), source="d")
    assert fields(server, "host:x", "n", "idle") == ["2", "2.5"]
    assert fields(server, "series:y", "n") == ["1"]
    assert fields(server, "item:1", "n") == ["1"]
