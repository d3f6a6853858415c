"""Processes that make simulated runs, each many of them: what a run imports is imported once.

Such a run needs no root, no process of its own and no quiet machine.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crunchbed.experiments.sweep.made import INTERRUPTED, Made, pack
from crunchbed.experiments.sweep.space import Trial
from crunchbed.run import engine
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import CrunchbedError


class Processes:
    """Implements ``schedule.Workers``: runs trials on ``size`` processes of this machine.

    They work in the directory ``scratch``.
    """

    def __init__(self, executor: ProcessPoolExecutor, size: int, scratch: Path) -> None:
        self._executor = executor
        self._scratch = str(scratch)
        self.size = size

    def submit(self, trial: Trial) -> Future[Made]:
        """Start a trial."""
        return self._executor.submit(make, trial.scenario, trial.seed, self._scratch)

    @staticmethod
    def first_done(futures: list[Future[Made]], seconds: float) -> list[Future[Made]]:
        """Return those that are done, as soon as one is; none after so many seconds."""
        return list(wait(futures, timeout=seconds, return_when=FIRST_COMPLETED).done)

    @staticmethod
    def made(future: Future[Made]) -> Made:
        """Return what came of a trial that is done, also where its process died."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            return Made(b"", 3, f"its process ended: {error}")


@contextlib.contextmanager
def processes(size: int, scratch: Path) -> Iterator[Processes]:
    """Start processes; where the block ends by an error, their runs end too."""
    with ProcessPoolExecutor(size, initializer=_end_quietly) as executor:
        try:
            yield Processes(executor, size, scratch)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _end_quietly() -> None:
    """Have Ctrl-C end a process that makes no run at the moment; a run looks for it itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def most() -> int:
    """Return how many runs go on at once: one for each processor."""
    return os.cpu_count() or 1


def make(scenario: dict[str, Any], seed: int, parent: str) -> Made:
    """Make one run of a resolved scenario in this process; ``crunchbed report`` makes its report.

    It works in the directory ``parent``.
    """
    with TemporaryDirectory(prefix="run-", dir=parent) as place:
        out = Path(place) / "run"
        try:
            engine.run(Scenario.model_validate(scenario), seed=seed, out=out, report=False)
        except KeyboardInterrupt:
            return Made(b"", INTERRUPTED, "interrupted")
        except CrunchbedError as error:
            if not (out / "result.json").exists():
                return Made(b"", error.exit_code, " ".join(str(error).split()))
        return Made(pack(out), 0, "")
