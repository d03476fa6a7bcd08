"""Packages of the app's environment in handlers: numpy, pandas, and native threads of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from apps import with_prelude
from harness import Launcher, Server, json_lines, run_bettong, source_table

APP = with_prelude(
    """
    from pathlib import Path

    import numexpr
    import numpy as np
    import pandas as pd
    from bettong import List, Ring

    def native_threads() -> int:
        # That Python knows nothing of.
        import threading
        return len(list(Path("/proc/self/task").iterdir())) - threading.active_count()

    before = native_threads()
    numexpr.set_num_threads(4)

    class Host(app.Entity):
        n: int = 0
        recent: Ring[float] = Ring(64)
        names: List[str]
        panes: Array[float, 8]
        mean: float = 0.0
        slope: float = 0.0

        @events.on(key="key")
        def sample(self, e: In) -> None:
            self.n += 1
            self.recent.append(e.x)
            self.names.append(e.op)
            values = np.asarray(self.recent)
            self.panes = np.resize(values, 8)
            self.mean = float(values.mean())
            if len(values) > 2:
                self.slope = float(np.polyfit(np.arange(len(values)), values, 1)[0])
                frame = pd.DataFrame({"op": list(self.names), "x": values})
                means = frame.groupby("op")["x"].mean()
                out.emit(key=self.key, mean=means.to_dict(), numbers=values[-2:], top=values.max())

        @app.command
        def heavy(self, size: int) -> float:
            # Large enough for the threads of BLAS and of numexpr.
            a = np.ones((size, size))
            product = a @ a
            return float(numexpr.evaluate("sum(product * 2 + a)")) / size**2

        @app.command
        def threads(self) -> int:
            return native_threads() - before

        @app.command
        def bad(self) -> float:
            return float(pd.Series([1, 2])["no such"])
    """
)

# What a package loads when it is first used may take long.
PATIENT = source_table("events", "events") + "[python]\nhandler_timeout = 60\n"

SAMPLES = [{"key": "a", "op": "xy"[n % 2], "x": 2.0 * n} for n in range(6)]


def test_serve(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    outputs = server.subscribe("out")
    server.feed(*SAMPLES)
    assert server.dead_letters() == []
    last = [outputs.json() for _ in range(4)][-1]
    mean = {"x": 4.0, "y": 6.0}
    assert last == {"key": "a", "mean": mean, "numbers": [8.0, 10.0], "top": 10.0}
    client = server.redis()
    assert client.hget("host:a", "mean") == "5"
    assert float(client.hget("host:a", "slope")) == pytest.approx(2.0)
    assert json.loads(client.hget("host:a", "panes")) == [0, 2, 4, 6, 8, 10, 0, 2]


def test_run(launch: Launcher) -> None:
    lines = "".join(json.dumps(sample) + "\n" for sample in SAMPLES)
    done = launch.run(
        APP, "--input", "-", "--output", "-", "--stream", "events", stdin=lines.encode()
    )
    assert done.returncode == 0, done.stderr
    outputs = json_lines(done.stdout)
    assert [each["mean"] for each in outputs[:2]] == [{"x": 2.0, "y": 2.0}, {"x": 2.0, "y": 4.0}]
    assert len(outputs) == 4


def test_native_threads_work_beside_the_nodes_and_do_not_hold_up_its_end(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    server.feed(*SAMPLES)
    connection = server.connect()
    for _ in range(20):
        # Each element: twice the product's `size`, and one.
        assert float(connection.call("CALL", "host:a", "heavy", 200)) == 401.0
    assert connection.call("CALL", "host:a", "threads") >= 3
    server.feed(*SAMPLES)
    assert server.redis().hget("host:a", "n") == "12"
    assert server.dead_letters() == []
    assert server.terminate() == 0


def test_an_error_of_a_package_is_one_of_the_handler(launch: Launcher) -> None:
    server = launch(APP, config=PATIENT)
    server.feed(*SAMPLES, {"key": "a", "x": "no number"})
    answer = server.connect().reply("CALL", "host:a", "bad")
    assert answer.words().startswith("ERR KeyError")
    assert server.redis().hget("host:a", "n") == "6"


def test_a_process_of_its_own_after_a_death(launch: Launcher) -> None:
    # Threads of native code are there when the process dies, and in the next one.
    server: Server = launch(APP, config=PATIENT)
    server.feed(*SAMPLES)
    server.kill()
    again = launch(APP, config=PATIENT)
    again.feed(*SAMPLES)
    assert again.redis().hget("host:a", "n") == "6"


# -- the environment --------------------------------------------------------------------------


def environment_with(folder: Path, source: str) -> Path:
    """A virtual environment with one package of one file."""
    import venv

    path = folder / "env"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(path)
    (path / "lib/python3.11/site-packages/greeter.py").write_text(source)
    return path


ENVIRONMENT_APP = with_prelude(
    """
    import greeter

    class Thing(app.Entity):
        @events.on(key="key")
        def take(self, e: In) -> None:
            out.emit(said=greeter.greet(e.key))
    """
)


@pytest.mark.parametrize("how", ["VIRTUAL_ENV", "--python"])
def test_packages_come_from_the_environment_that_is_named(
    launch: Launcher, tmp_path: Path, how: str
) -> None:
    path = environment_with(tmp_path, "def greet(name): return f'hello {name}'\n")
    chosen = ["--python", path] if how == "--python" else []
    done = run_bettong(
        *("run", launch.write_app(ENVIRONMENT_APP), *chosen),
        *("--input", "-", "--output", "-", "--stream", "events"),
        stdin=b'{"key":"ann"}\n',
        environment={"VIRTUAL_ENV": str(path)} if how == "VIRTUAL_ENV" else {},
    )
    assert json_lines(done.stdout) == [{"said": "hello ann"}], done.stderr


def test_a_package_that_is_missing_says_where_it_was_looked_for(launch: Launcher) -> None:
    done = run_bettong("check", launch.write_app(ENVIRONMENT_APP))
    assert done.returncode != 0
    assert "No module named 'greeter'" in done.stderr
    told = run_bettong("doctor").stdout
    assert sys.prefix in told
