"""A cluster that is held open, without one: who ends it, and what a signal means by then."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crunchbed.run import signals
from crunchbed.run.held.hold import Hold
from crunchbed.run.held.scenario import with_flood_reader
from crunchbed.run.progress import Progress
from crunchbed.run.start import Running
from crunchbed.run.world import Command
from crunchbed.scenario.loader import load

Handle = Callable[[Command], Command]
WARNING = "SIGINT: ending; once more to end without a summary"


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class FakeSupervisor:
    """Does what the test has planned, one thing a time that it is moved along."""

    def __init__(self) -> None:
        self.plan: list[Callable[[], object]] = []
        self.waited = 0.0

    def wait_until(self, condition: Callable[[], bool], _seconds: float) -> bool:
        while not condition() and self.plan:
            self.plan.pop(0)()
            signals.check()
        return condition()

    def wait(self, seconds: float) -> None:
        self.waited += seconds


class Bench:
    """A hold, and the commands that it takes."""

    def __init__(self, tmp_path: Path) -> None:
        self.handle: Handle | None = None
        self.supervisor, self.progress = FakeSupervisor(), Notes()
        world = SimpleNamespace(
            nodes={"n1": SimpleNamespace(up=True)},
            network=SimpleNamespace(hosts=()),
            commands=SimpleNamespace(serve=self._serve, crunch_kinds=("timed",)),
        )
        run = Running(
            scenario=with_flood_reader(load("control")),
            run_id="k3xq",
            out=tmp_path,
            world=cast(Any, world),
            supervisor=cast(Any, self.supervisor),
            loop=cast(Any, SimpleNamespace(now_ns=lambda: 0)),
            recorder=cast(Any, SimpleNamespace(record=lambda _event: 0)),
            progress=self.progress,
            fences=cast(Any, SimpleNamespace()),
        )
        self.hold = Hold(run)

    def _serve(self, handle: Handle) -> None:
        self.handle = handle

    def down(self) -> None:
        assert self.handle is not None
        assert "directory" in self.handle({"op": "down"})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield Bench(tmp_path)
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    """Hit the run's own thread: one of the test runner's would take the signal at any time."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_ctrl_c_ends_it_and_the_second_one_its_summary(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        bench.supervisor.plan = [lambda: None, ctrl_c]
        bench.hold.run()
        assert bench.progress.notes[-1] == WARNING
        ctrl_c()
        signals.check()


def test_after_down_too_it_is_the_second_one(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        bench.supervisor.plan = [bench.down]
        bench.hold.run()
        assert bench.progress.notes[-1] == "asked to end"
        ctrl_c()
        signals.check()
        assert bench.progress.notes[-1] == WARNING
        ctrl_c()
        signals.check()


def test_one_that_comes_when_all_is_done_changes_nothing(bench: Bench) -> None:
    with signals.interruptible():
        bench.supervisor.plan = [bench.down]
        bench.hold.run()
        ctrl_c()


def test_a_crunch_that_the_backend_cannot_make_is_refused(bench: Bench) -> None:
    said: list[Command] = []

    def ask() -> None:
        assert bench.handle is not None
        crunch = {"kind": "writeback", "pages": 9}
        said.append(bench.handle({"op": "crunch", "target": "n1", "crunch": crunch}))

    bench.supervisor.plan = [ask, bench.down]
    bench.hold.run()
    words = "crunch.kind: expected timed on this backend, got writeback"
    assert said == [{"refused": words}]
