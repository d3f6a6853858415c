"""The seam between a run and its backend: who makes the world that a run happens in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from crunchbed.history.recorder import Recorder
from crunchbed.run.progress import Progress
from crunchbed.run.world import Loop, World
from crunchbed.scenario.schema import Scenario

if TYPE_CHECKING:
    from crunchbed.host.requirements import Requirement  # with the probes of a machine


class Site(Protocol):
    """Where one run happens, under an id that no other run has."""

    @property
    def run_id(self) -> str:
        """Short id that every name of the run carries."""

    @property
    def loop(self) -> Loop:
        """Lets the time of the run pass."""

    @property
    def places(self) -> Sequence[Path]:
        """Directories that the run writes to, besides its own."""

    def record_directory(self, out: Path) -> None:
        """Say where the run writes; who looks for live runs is told."""

    def start(
        self, scenario: Scenario, out: Path, recorder: Recorder, *, hold: bool = False
    ) -> AbstractContextManager[World]:
        """Build the world; everything that was started is undone at the end.

        Args:
            scenario: As resolved.
            out: The run directory; ``history/`` below it takes the parts of the history,
                ``logs/`` what daemons say.
            recorder: The run's own part of the history.
            hold: Whether the cluster is held open for other terminals.
        """


class Backend(Protocol):
    """One kind of world."""

    @property
    def name(self) -> str:
        """The value of ``cluster.backend``."""

    def refuses(self, scenario: Scenario, hold: bool) -> list[str]:
        """Return what this backend cannot do of a scenario, one line each.

        Args:
            scenario: As resolved.
            hold: Whether the cluster is to be held open for other terminals.
        """

    def requirements(self, scenario: Scenario) -> Sequence[Requirement]:
        """Return what this machine must have for a scenario."""

    def claim(
        self, scenario: Scenario, seed: int, progress: Progress
    ) -> AbstractContextManager[Site]:
        """Take an id for a run; its end tells ``progress`` what the run has left behind.

        Args:
            scenario: As resolved.
            seed: Decides what the world itself leaves to chance, where its backend can.
            progress: Who watches.

        Raises:
            MissingRequirement: this machine cannot do it after all; nothing was started.
        """
