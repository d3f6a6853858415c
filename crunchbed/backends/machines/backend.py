"""The backend whose nodes are virtual machines with kernels of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from crunchbed.backends.common.site import LiveSite, claimed_id
from crunchbed.backends.machines import images
from crunchbed.backends.machines.refuses import refused
from crunchbed.backends.machines.requirements import needed_by
from crunchbed.backends.machines.world import MachinesWorld
from crunchbed.history.recorder import Recorder
from crunchbed.host.requirements import Requirement
from crunchbed.run.progress import Progress
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import MissingRequirement


class MachinesSite(LiveSite):
    """Where a run of machines happens."""

    def start(
        self, scenario: Scenario, out: Path, recorder: Recorder, *, hold: bool = False
    ) -> AbstractContextManager[MachinesWorld]:
        """Build the cluster; everything that was started is undone at the end.

        Raises:
            MissingRequirement: The kernel is not built any more.
        """
        kernel = scenario.memory.kernel_name
        variant = images.variant_for(scenario.membership, scenario.block_io.transport)
        image = images.find(kernel, variant=variant)
        if image is None:
            raise MissingRequirement(f"no kernel {kernel} ({images.remedy(kernel)})")
        return MachinesWorld(self._run(scenario, out), image, recorder, self.loop, hold=hold)


class MachinesBackend:
    """Implements ``crunchbed.run.backend.Backend``."""

    name: Final = "machines"

    def refuses(self, scenario: Scenario, hold: bool) -> list[str]:
        """Return what machines cannot do of a scenario, one line each."""
        return refused(scenario, hold=hold)

    def requirements(self, scenario: Scenario) -> Sequence[Requirement]:
        """Return what this machine must have for a scenario."""
        return needed_by(scenario)

    @contextmanager
    def claim(
        self,
        scenario: Scenario,
        seed: int,  # noqa: ARG002 - a protocol
        progress: Progress,
    ) -> Iterator[MachinesSite]:
        """Take an id for a run; its end says what is left of it on this machine."""
        with claimed_id(scenario, progress) as (state, loop):
            yield MachinesSite(state, loop)
