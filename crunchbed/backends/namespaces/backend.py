"""The backend whose nodes are network namespaces with a page pool kept by eBPF."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from crunchbed.backends.namespaces.live_run import LiveRun
from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.backends.namespaces.targets import Targets
from crunchbed.backends.namespaces.world import NamespacesWorld
from crunchbed.history.recorder import Recorder
from crunchbed.host import leaks
from crunchbed.host.requirements import Requirement
from crunchbed.host.run_ids import RunClaim
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.progress import Progress
from crunchbed.scenario.crunch import FORMS, WritebackCrunch
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.section import CARDS, KERNELS
from topologies.switches import choose_switch

_BPFFS = Path("/sys/fs/bpf")


class NamespacesSite:
    """Implements ``crunchbed.run.backend.Site`` for a run that has claimed its id."""

    def __init__(self, state: RunClaim, loop: SelectorLoop) -> None:
        self._state = state
        self.run_id = state.run_id
        self.loop = loop
        self.places = (state.path,)
        self.pins = _BPFFS / f"crunchbed-{state.run_id}"

    def record_directory(self, out: Path) -> None:
        """Say where the run writes, for ``crunchbed status`` and others."""
        self._state.record_directory(out)

    def start(
        self, scenario: Scenario, out: Path, recorder: Recorder
    ) -> AbstractContextManager[NamespacesWorld]:
        """Build the cluster; everything that was started is undone at the end."""
        run = LiveRun(
            scenario,
            self.run_id,
            self._state.path,
            self.pins,
            out,
            targets=Targets(self.run_id, scenario),
            started=self._state.add_process,
        )
        return NamespacesWorld(run, recorder, self.loop)


class NamespacesBackend:
    """Implements ``crunchbed.run.backend.Backend``."""

    name: Final = "namespaces"

    def refuses(self, scenario: Scenario, hold: bool) -> list[str]:  # noqa: ARG002 - a protocol
        """Return what only machines have; every other key was written for this backend."""
        memory, crunch = scenario.memory, scenario.crunch
        form = crunch.form if isinstance(crunch, WritebackCrunch) else FORMS[0]
        wanted = (
            ("memory.nic", memory.nic, CARDS[0], "have a card"),
            ("memory.kernel", memory.kernel, KERNELS[0], "boot a kernel"),
            ("crunch.form", form, FORMS[0], "have a page cache of their own"),
        )
        return [
            f"{key}: expected {default}, the default: only machines {what}, got {got}"
            for key, got, default, what in wanted
            if got != default
        ]

    def requirements(self, scenario: Scenario) -> Sequence[Requirement]:
        """Return what this machine must have for a scenario."""
        return needed_by(scenario)

    @contextmanager
    def claim(self, scenario: Scenario, progress: Progress) -> Iterator[NamespacesSite]:
        """Take an id for a run; its end says what is left of it on this machine."""
        with claimed_id(scenario, progress) as (state, loop):
            site = NamespacesSite(state, loop)
            try:
                yield site
            finally:
                shutil.rmtree(site.pins, ignore_errors=True)


@contextmanager
def claimed_id(scenario: Scenario, progress: Progress) -> Iterator[tuple[RunClaim, SelectorLoop]]:
    """Take an id and make a loop; the end says what is left of the run on this machine.

    Raises:
        MissingRequirement: There is no such switch here.
    """
    choose_switch(scenario.cluster.switch)  # type: ignore[arg-type]
    with ExitStack() as stack:
        state = stack.enter_context(RunClaim.claim())
        loop = SelectorLoop()
        stack.callback(loop.close)
        stack.callback(_tell_leaks, state.run_id, progress)
        yield state, loop


def _tell_leaks(run_id: str, progress: Progress) -> None:
    left = [leak.name for leak in leaks.find(run_id) if leak.kind != "state"]
    if left:
        progress.note(f"left behind: {', '.join(left)}; `crunchbed clean` removes that")
