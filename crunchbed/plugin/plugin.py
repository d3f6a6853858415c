"""The pytest plugin: `crunchbed_run` for a test that names a scenario, `crunchbed_runner` to call.

It is loaded into every pytest session of its environment, so it imports nothing of the product
until a test asks for a run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from crunchbed.plugin.runs import PytestRun, Runner

_RUNS = pytest.StashKey[list["PytestRun"]]()
_MARK = (
    "scenario(name, policy=None, memalloc=None, seed=1, settings=None): the scenario that "
    "crunchbed_run makes: a shipped name or a YAML file; several marks make several tests"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--crunchbed-runs``."""
    group = parser.getgroup("crunchbed")
    group.addoption(
        "--crunchbed-runs",
        metavar="DIR",
        type=Path,
        help="Keep run directories there; by default they are in pytest's temporary directory.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line("markers", _MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each mark."""
    if "crunchbed_run" not in metafunc.fixturenames:
        return
    marks = list(metafunc.definition.iter_markers("scenario"))
    # The nearest mark comes first; as they are read, from the top, they run.
    marks.reverse()
    # What is wrong with a mark is an error of the test alone: it must not end the collection.
    ids = [_id(mark) for mark in marks] or ["no-scenario"]
    metafunc.parametrize("crunchbed_run", marks or [None], indirect=True, ids=ids)


def _id(mark: pytest.Mark) -> str:
    given = mark.kwargs.get("settings")
    settings = given if isinstance(given, Mapping) else {}
    words = {**{k: v for k, v in mark.kwargs.items() if k != "settings"}, **settings}
    name = Path(str(mark.args[0])).stem if mark.args else ""
    return "-".join([name, *(f"{key}={value}" for key, value in words.items())]).strip("-")


@pytest.fixture(scope="session")
def _crunchbed_runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Runner:
    from crunchbed.plugin.runs import Runner

    given: Path | None = request.config.getoption("--crunchbed-runs")
    return Runner(given.absolute() if given else tmp_path_factory.mktemp("crunchbed"))


@pytest.fixture
def crunchbed_runner(request: pytest.FixtureRequest, _crunchbed_runs: Runner) -> Runner:
    """Return a function that makes runs: ``runner("writeback-crunch", policy="memalloc")``."""
    return _crunchbed_runs.for_test(lambda run: _attach(request.node, run))


@pytest.fixture
def crunchbed_run(request: pytest.FixtureRequest, crunchbed_runner: Runner) -> PytestRun:
    """Return the judged run of the scenario that the test is marked with."""
    mark: pytest.Mark | None = request.param
    if mark is None:
        raise pytest.UsageError(
            f'{request.node.nodeid}: expected @pytest.mark.scenario("NAME"), got none'
        )
    try:
        return crunchbed_runner(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise pytest.UsageError(f"{request.node.nodeid}: scenario mark: {error}") from None


def _attach(item: pytest.Item, run: PytestRun) -> None:
    """Remember what a test has seen, for its report."""
    item.stash.setdefault(_RUNS, []).append(run)
    item.user_properties.append(("crunchbed_run", str(run.directory)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say in the report of a failure where its runs are."""
    report = yield
    runs = item.stash.get(_RUNS, [])
    if report.failed and runs:
        text = "\n".join(_told(run) for run in runs)
        report.sections.append(("crunchbed runs", text))
    return report


def _told(run: PytestRun) -> str:
    reasons = "".join(f"\n  {reason}" for reason in run.reasons)
    return f"{run.label}: {run.verdict}, {run.directory}{reasons}"
