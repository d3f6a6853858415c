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
from crunchbed.scenario.profiles import unknown_profile
from crunchbed.scenario.schema import Scenario


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
        crunch, found = scenario.crunch, list(unknown_profile(scenario.memory))
        form = crunch.form if isinstance(crunch, WritebackCrunch) else FORMS[0]
        if form != FORMS[0]:
            why = "only machines have a page cache of their own"
            found.append(f"crunch.form: expected {FORMS[0]}, the default: {why}, got {form}")
        if (transport := scenario.block_io.transport) == "nvme-tcp":
            expected = "nbd or iscsi: only machines have a kernel's initiator"
            found.append(f"block_io.transport: expected {expected}, got {transport}")
        return found

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
