"""The seam between a run and its backend: who makes the world that a run happens in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crunchbed.history.recorder import Recorder
from crunchbed.host.requirements import Requirement
from crunchbed.run.progress import Progress
from crunchbed.run.world import Loop, World
from crunchbed.scenario.schema import Scenario


@dataclass(frozen=True)
class Setup:
    """What a backend is given to make a world.

    Attributes:
        scenario: As resolved.
        run_id: Short id that every name of the run carries.
        out: The run directory; ``history/`` below it takes the parts of the history.
        recorder: The run's own part of the history.
        loop: Lets time pass.
        progress: Who watches.
    """

    scenario: Scenario
    run_id: str
    out: Path
    recorder: Recorder
    loop: Loop
    progress: Progress


class Backend(Protocol):
    """One kind of world."""

    @property
    def name(self) -> str:
        """The value of ``cluster.backend``."""

    def requirements(self, scenario: Scenario) -> Sequence[Requirement]:
        """Return what this machine must have for a scenario."""

    def refuses(self, scenario: Scenario) -> list[str]:
        """Return what this backend cannot do of a scenario, one line each."""

    def loop(self) -> Loop:
        """Return a new loop for one run."""

    def start(self, setup: Setup) -> AbstractContextManager[World]:
        """Build the world; everything that is started is undone at the end."""
