"""The backend whose nodes are code: deterministic, for any user, faster than real time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crunchbed.backends.simulation.loop import SimulatedLoop, Streams
from crunchbed.backends.simulation.refuses import refused
from crunchbed.backends.simulation.world import SimulatedWorld
from crunchbed.history.history import no_collector
from crunchbed.history.recorder import Recorder
from crunchbed.run.progress import Progress
from crunchbed.scenario.schema import Scenario

if TYPE_CHECKING:
    from crunchbed.host.requirements import Requirement


class SimulatedSite:
    """Implements ``crunchbed.run.backend.Site``."""

    run_id = "simulated"
    places: Sequence[Path] = ()

    def __init__(self, seed: int) -> None:
        self.loop = SimulatedLoop()
        self._streams = Streams(seed)

    def record_directory(self, out: Path) -> None:
        """Nobody looks for this run: it is over before anybody could."""

    @contextmanager
    def start(
        self,
        scenario: Scenario,
        out: Path,  # noqa: ARG002 - a protocol
        recorder: Recorder,
        *,
        hold: bool = False,  # noqa: ARG002 - a protocol
    ) -> Iterator[SimulatedWorld]:
        """Build the world, and close its parts of the history at the end."""
        parts = {name: recorder.beside(name) for name in scenario.node_names}
        try:
            with no_collector():  # what a run makes is there until its end, or goes by itself
                yield SimulatedWorld(scenario, self.loop, self._streams, recorder, parts)
        finally:
            for name, part in parts.items():
                part.finish(name)
                part.close()


class SimulationBackend:
    """Implements ``crunchbed.run.backend.Backend``."""

    name: Final = "simulation"

    def refuses(self, scenario: Scenario, hold: bool) -> list[str]:
        """Return what is not simulated of a scenario, one line each."""
        return refused(scenario, hold=hold)

    def requirements(self, _scenario: Scenario) -> Sequence[Requirement]:
        """Nothing of a machine is needed."""
        return ()

    @contextmanager
    def claim(self, _scenario: Scenario, seed: int, _progress: Progress) -> Iterator[SimulatedSite]:
        """Nothing is left behind on this machine."""
        yield SimulatedSite(seed)
