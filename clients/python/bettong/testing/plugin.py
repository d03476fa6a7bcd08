"""For pytest: the fixture ``grid``, and scenarios (``*.events.jsonl``) as tests.

The app is what ``@pytest.mark.bettong("quiet.py")`` names beside the test file, or
``--bettong-app``, or ``bettong_app`` in pytest's configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bettong.testing.errors import GridError
from bettong.testing.grid import TestGrid, app_path
from bettong.testing.scenario import SUFFIX, ScenarioMismatch, run_scenario

OPTION = "bettong_app"
MARKER = "bettong"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bettong", "Bettong apps")
    group.addoption(
        "--bettong-app",
        action="append",
        default=[],
        metavar="APP.py",
        help="the app that the fixture `grid` runs; may be repeated",
    )
    parser.addini(OPTION, "the app that the fixture `grid` runs", "linelist")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*apps, start=..., shards=..., config=...): what the fixture `grid` runs; paths "
        "begin at the test file's folder",
    )


@pytest.fixture
def grid(request: pytest.FixtureRequest) -> Iterator[TestGrid]:
    """The app in the engine, under a clock that only the test moves."""
    marker = request.node.get_closest_marker(MARKER)
    marked: tuple[Any, ...] = marker.args if marker is not None else ()
    apps = _resolve(marked, request.path.parent) or _configured(request.config)
    if not apps:
        raise pytest.UsageError(
            "the fixture `grid` does not know the app: mark the test with "
            f'@pytest.mark.{MARKER}("app.py"), or say {OPTION} = ["app.py"] in '
            "[tool.pytest.ini_options], or give --bettong-app app.py"
        )
    made = TestGrid(*apps, **(marker.kwargs if marker is not None else {}))
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[Any]:
    """A test that passes and leaves dead letters unread fails."""
    result = yield
    made = pyfuncitem.funcargs.get("grid")
    if isinstance(made, TestGrid):
        made.check_dead_letters()
    return result


def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    if not file_path.name.endswith(SUFFIX):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    def collect(self) -> Iterable[pytest.Item]:
        yield ScenarioItem.from_parent(self, name="scenario")


class ScenarioItem(pytest.Item):
    def runtest(self) -> None:
        run_scenario(self.path, *_configured(self.config))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:
        if isinstance(excinfo.value, (ScenarioMismatch, GridError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.path.name


def _configured(config: pytest.Config) -> list[str]:
    given = config.getoption("--bettong-app")
    if given:
        return _resolve(given, config.invocation_params.dir)
    folder = config.inipath.parent if config.inipath is not None else config.rootpath
    return _resolve(config.getini(OPTION), folder)


def _resolve(apps: Iterable[Any], folder: Path) -> list[str]:
    """Paths from a folder on; names of modules as they are."""
    return [
        str(folder / app)
        if isinstance(app, (str, Path)) and (folder / app).is_file()
        else app_path(app)
        for app in apps
    ]
