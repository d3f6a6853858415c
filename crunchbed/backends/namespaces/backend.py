"""The backend whose nodes are network namespaces with a page pool kept by eBPF."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from crunchbed.backends.common.site import LiveSite, claimed_id
from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.backends.namespaces.world import NamespacesWorld
from crunchbed.history.recorder import Recorder
from crunchbed.host.requirements import Requirement
from crunchbed.run.progress import Progress
from crunchbed.scenario.crunch import FORMS, WritebackCrunch
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.section import CARDS, KERNELS, PROFILES


class NamespacesSite(LiveSite):
    """Where a run of namespaces happens."""

    def start(
        self,
        scenario: Scenario,
        out: Path,
        recorder: Recorder,
        *,
        hold: bool = False,  # noqa: ARG002 - a protocol
    ) -> AbstractContextManager[NamespacesWorld]:
        """Build the cluster; everything that was started is undone at the end."""
        return NamespacesWorld(self._run(scenario, out), recorder, self.loop)


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
        refused = [
            f"{key}: expected {default}, the default: only machines {what}, got {got}"
            for key, got, default, what in wanted
            if got != default
        ]
        if memory.profile != PROFILES[0]:
            expected = f"{PROFILES[0]}, the default: the hooks know no other rules"
            refused.append(f"memory.profile: expected {expected}, got {memory.profile}")
        return refused

    def requirements(self, scenario: Scenario) -> Sequence[Requirement]:
        """Return what this machine must have for a scenario."""
        return needed_by(scenario)

    @contextmanager
    def claim(
        self,
        scenario: Scenario,
        seed: int,  # noqa: ARG002 - a protocol
        progress: Progress,
    ) -> Iterator[NamespacesSite]:
        """Take an id for a run; its end says what is left of it on this machine."""
        with claimed_id(scenario, progress) as (state, loop):
            site = NamespacesSite(state, loop)
            try:
                yield site
            finally:
                shutil.rmtree(site.pins, ignore_errors=True)
