"""Gives trials to workers, and fewer at once where runs disturb one another."""

from __future__ import annotations

import io
import zipfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from crunchbed.checks.crunch import OFF_TARGET
from crunchbed.checks.result import Result
from crunchbed.experiments.attempts import TRIES
from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.space import Trial
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement

_WAIT_SECONDS = 0.5
_LATEST = 8  # number of latest runs that decide whether too many run at once
_ERRORS: dict[int, type[CrunchbedError]] = {2: BadInput, 4: MissingRequirement}


class Workers(Protocol):
    """What a scheduler needs of ``crunchbed.experiments.sweep.workers.Pool``."""

    def submit(self, trial: Trial) -> Any:
        """Start a trial; return a handle of it."""

    def first_done(self, futures: list[Any], seconds: float) -> list[Any]:
        """Wait until a trial is done, or for so many seconds; return the handles of those done."""

    def made(self, future: Any) -> Made:
        """Return what came of a trial that is done."""


class Watcher(Protocol):
    """Whoever shows the progress of a sweep."""

    def finished(self, trial: Trial, result: Result) -> None:
        """A trial has its result."""

    def note(self, text: str) -> None:
        """Print a line."""

    def tick(self, running: int) -> None:
        """Note that time passes, with the number of runs that go on."""


@dataclass
class _Try:
    trial: Trial
    number: int
    beside: int


class Scheduler:
    """Makes trials until each has a result; at most ``limit`` go on at once.

    A run that was disturbed is made again, at most twice, and the last time alone. Runs that go on
    at once may disturb each other: where so many of the latest were disturbed that one run less at
    once would bring as many valid runs in the same time, the limit is lowered by one.
    """

    def __init__(
        self,
        workers: Workers,
        limit: int,
        store: Callable[[Trial, bytes], Result],
        watcher: Watcher,
    ) -> None:
        self._workers = workers
        self.limit = limit
        self._store = store
        self._watcher = watcher
        self._disturbed: deque[bool] = deque(maxlen=_LATEST)

    def run(self, trials: Iterable[Trial]) -> None:
        """Make all trials; raises as ``refuse``."""
        waiting = deque(_Try(trial, 1, 0) for trial in trials)
        running: dict[Any, _Try] = {}
        while waiting or running:
            while waiting and self._has_room(waiting[0], len(running)):
                one = waiting.popleft()
                running[self._workers.submit(one.trial)] = one
                for other in running.values():
                    other.beside = max(other.beside, len(running))
            for future in self._workers.first_done(list(running), _WAIT_SECONDS):
                one = running.pop(future)
                if (again := self._conclude(one, self._workers.made(future))) is not None:
                    waiting.append(again)
            self._watcher.tick(len(running))

    def _has_room(self, one: _Try, running: int) -> bool:
        return running < (1 if one.number == TRIES else self.limit)

    def _conclude(self, one: _Try, made: Made) -> _Try | None:
        """Store the result of a try, or return the next try."""
        refuse(made, one.trial.name)
        result = result_in(made)
        valid = result is not None and result.verdict != "invalid"
        if 1 < one.beside <= self.limit:
            self._disturbed.append(_by_others(result))
        if valid or one.number == TRIES:
            archive = made.archive if result is not None else _archive_of(one.trial, made.words)
            self._watcher.finished(one.trial, self._store(one.trial, archive))
            return None
        reason = "; ".join(result.reasons) if result is not None else made.words
        self._lower(one, reason)
        return _Try(one.trial, one.number + 1, 0)

    def _lower(self, one: _Try, reason: str) -> None:
        text = f"{one.trial.name}: {reason}; once more"
        if self._crowded():
            self._disturbed.clear()
            self.limit -= 1
            text += f"; from now on {self.limit} at once instead of {self.limit + 1}"
        self._watcher.note(text)

    def _crowded(self) -> bool:
        """Whether more than one of ``limit`` runs is lost; a single loss is an accident."""
        lost = sum(self._disturbed)
        return lost > 1 and lost * self.limit > len(self._disturbed)


def refuse(made: Made, name: str) -> None:
    """Raise BadInput or MissingRequirement where the exit code says that all runs would fail."""
    if made.exit_code in _ERRORS:
        raise _ERRORS[made.exit_code](f"{name}: {made.words}")


def _by_others(result: Result | None) -> bool:
    """Whether other runs may have disturbed a run; they cannot make its crunch miss the target."""
    if result is None:
        return True
    own = all(reason.startswith(OFF_TARGET) for reason in result.reasons)
    return result.verdict == "invalid" and not own


def result_in(made: Made) -> Result | None:
    """Return the result in a run's archive, if any; CrunchbedError for another version's."""
    if not made.archive:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(made.archive)) as packed:
            return Result.model_validate_json(packed.read("result.json"))
    except (zipfile.BadZipFile, KeyError, ValidationError) as error:
        raise CrunchbedError(
            "a worker sent what is no result here; has its machine the same version of crunchbed? "
            f"{str(error).splitlines()[0]}"
        ) from None


def _archive_of(trial: Trial, reason: str) -> bytes:
    """An archive for a run that left none: a result that says why."""
    scenario = Scenario.model_validate(trial.scenario)
    content = Result.not_measured(scenario, trial.seed, reason).model_dump_json(indent=2).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("result.json", content)
    return buffer.getvalue()
