"""`bettong config show`: every key, its value, and where the value comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from harness import REPOSITORY, run_bettong

CONFIG = """\
[node]
shards = 3
maxmemory = "512mb"
[resp]
password = "geheim"
port = 7001
[source.metrics]
listen = "127.0.0.1:0"
stream = "beats"
idle = "1500ms"
[stream.beats]
durability = "sync"
[sink."to \\"disk\\""]
kind = "file"
stream = "alerts"
path = "a\\u007f\\\\b#c"
"""


def show(*arguments: str | Path) -> str:
    done = run_bettong("config", "show", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def origins(text: str) -> dict[str, str]:
    """Where each key comes from, by its path; what is not set is a comment, and counts."""
    told: dict[str, str] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif key := re.match(r"(?:# )?(\w+)(?: = |: none).*  # (.+)$", line):
            told[f"{table}.{key[1]}"] = key[2]
        else:
            assert line == "", line
    return told


def values(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_values_and_origins_of_a_file_settings_and_options(tmp_path: Path) -> None:
    path = tmp_path / "bettong.toml"
    path.write_text(CONFIG)
    setting = "python.handler_timeout=0.25"
    text = show("-c", path, "--set", setting, "--shards", "2", "--http-port", "0")
    assert "geheim" not in text
    shown = values(text)
    assert shown["node"] == {
        "shards": 2,
        "maxmemory": 512 << 20,
        "notify_keyspace_events": "",
        "log_format": "auto",
    }
    assert shown["resp"]["password"] == "***"
    assert shown["resp"]["listen"] == "127.0.0.1:7001"
    assert shown["resp"]["port"] == 7001
    assert shown["http"]["listen"] == "127.0.0.1:0"
    assert shown["python"]["handler_timeout"] == "250ms"
    assert shown["source"]["metrics"]["idle"] == "1500ms"
    assert shown["source"]["metrics"]["framing"] == "lines"
    assert shown["sink"]['to "disk"']["path"] == "a\x7f\\b#c"
    told = origins(text)
    assert told["node.shards"] == "--shards"
    assert told["node.maxmemory"] == f"{path}:3"
    assert told["node.log_format"] == "default"
    assert told["resp.password"] == f"{path}:5"
    # The port is a part of the address.
    assert told["resp.port"] == told["resp.listen"] == f"{path}:6"
    assert told["http.port"] == told["http.listen"] == "--http-port"
    assert told["python.handler_timeout"] == "--set"
    assert told["source.metrics.stream"] == f"{path}:9"
    assert told["source.metrics.connections"] == "default"


def test_what_is_shown_is_a_configuration_that_shows_the_same(tmp_path: Path) -> None:
    path = tmp_path / "bettong.toml"
    path.write_text(CONFIG.replace("password", "# password"))
    first = show("-c", path)
    again = tmp_path / "again.toml"
    again.write_text(first)
    assert values(show("-c", again)) == values(first)


def test_a_password_in_a_setting_is_not_shown_either() -> None:
    text = show("--set", "resp.password=geheim")
    assert "geheim" not in text
    assert origins(text)["resp.password"] == "--set"


def test_every_documented_key_is_shown_and_no_other(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text()
    documented = set()
    table = ""
    for line in page.splitlines():
        if head := re.match(r"## \[([\w.]+)\]", line):
            table = head[1].replace("source.NAME", "source.metrics").replace("sink.NAME", "sink.s")
            table = table.replace("stream.NAME", "stream.beats")
        elif key := re.match(r"\| `(\w+)` \|", line):
            documented.add(f"{table}.{key[1]}")
    path = tmp_path / "bettong.toml"
    path.write_text(CONFIG.replace('sink."to \\"disk\\""', "sink.s"))
    assert set(origins(show("-c", path))) == documented


def test_errors_are_those_of_serve(tmp_path: Path) -> None:
    path = tmp_path / "bettong.toml"
    path.write_text("[node]\nshard = 1\n")
    done = run_bettong("config", "show", "-c", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"bettong: {path}:2: unknown key 'shard' in [node]" in done.stderr
    done = run_bettong("config")
    assert done.returncode == 2
    assert "show" in done.stderr
