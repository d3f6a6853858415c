"""Stand-ins for the workers of a sweep and for whoever watches it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from crunchbed.checks.result import Result
from crunchbed.experiments.sweep.folder import SweepFolder
from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.request import Request
from crunchbed.experiments.sweep.space import Trial, trials_of
from crunchbed.scenario.loader import load
from tests.unit.judged_runs import good_run, result_of

SCENARIO = load("writeback-crunch").with_overrides({"expect": []})


def archive(result: Result) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("result.json", result.model_dump_json())
    return buffer.getvalue()


def made(trial: Trial, *, ejected: int = 0, invalid: str | None = None) -> Made:
    result = result_of(good_run(trial.seed))
    totals = result.totals.model_copy(update={"nodes_ejected": ejected})
    update: dict[str, Any] = {"totals": totals, "verdict": "pass", "reasons": ()}
    if invalid is not None:
        update |= {"verdict": "invalid", "reasons": (invalid,)}
    return Made(archive(result.model_copy(update=update)), 0, "")


class FakeWorkers:
    """Ends the oldest trial each time it is asked; ``answer`` says how."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._running: dict[int, tuple[Trial, int]] = {}
        self.started: list[str] = []
        self.most = 0

    def submit(self, trial: Trial) -> int:
        self.started.append(trial.name)
        number = len(self.started)
        self._running[number] = (trial, self.started.count(trial.name))
        self.most = max(self.most, len(self._running))
        return number

    def first_done(self, futures: list[int], _seconds: float) -> list[int]:
        return futures[:1]

    def made(self, future: int) -> Made:
        beside = len(self._running)
        trial, number = self._running.pop(future)
        found: Made = self._answer(trial, number, beside)
        return found


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[str] = []

    def finished(self, trial: Trial, result: Result) -> None:
        self.done.append(trial.name)
        assert result.seed is not None

    def note(self, text: str) -> None:
        self.notes.append(text)

    def tick(self, running: int) -> None:
        pass


def four() -> list[Trial]:
    return trials_of(SCENARIO, [{"policy": "none"}, {"policy": "memalloc"}], (1, 2))


def asked(**fields: Any) -> Request:
    return Request(**({"scenario": SCENARIO.resolved(), "vary": (), "seeds": (1, 2)} | fields))


def folder(path: Path) -> SweepFolder:
    return SweepFolder.make(path / "sweep", asked().model_dump(mode="json"))
