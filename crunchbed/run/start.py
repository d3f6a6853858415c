"""The one way to start a cluster: what it takes, where it happens, and what then runs.

``ready_backend`` asks, and nothing was started yet; ``claimed`` takes an id and a directory for the
run; ``started`` builds the world and boots it. Everything is undone in reverse order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from crunchbed.archive import rundir
from crunchbed.backends import backend_of
from crunchbed.faults.action import FaultContext
from crunchbed.history.recorder import Recorder
from crunchbed.run import signals
from crunchbed.run.backend import Backend, Site
from crunchbed.run.fence_device import FenceDevice
from crunchbed.run.progress import Progress
from crunchbed.run.supervisor import Supervisor
from crunchbed.run.world import Loop, World
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.run import PhaseBegan
from reserve_agent.errors import BadInput

HEALTHY_SECONDS = 20.0
"""How long a cluster that was booted may take to become healthy."""
_SETTLED_SECONDS = 5.0  # each fault has a bound of its own
_AFTERMATH_DEADLINES = 2.0


@dataclass(frozen=True)
class Running:
    """A run whose cluster was booted.

    Attributes:
        scenario: What the cluster was started for.
        out: The run directory.
    """

    scenario: Scenario
    run_id: str
    out: Path
    world: World
    supervisor: Supervisor
    loop: Loop
    recorder: Recorder
    progress: Progress
    fences: FenceDevice

    @cached_property
    def fault_context(self) -> FaultContext:
        """What faults act on."""
        return FaultContext(self.world, self.supervisor, self.recorder, self.loop, self.fences)

    def begin_phase(self, name: str, length_ns: int | None = None) -> None:
        """Record and show that a phase begins; ``length_ns`` is its longest, None: not known."""
        self.recorder.record(PhaseBegan(name=name))
        self.progress.phase(name, None if length_ns is None else length_ns / 1e9)

    def await_aftermath(self, settled: Callable[[], bool], *, harmed: bool = True) -> None:
        """Wait until faults have settled, and until the consequences had the time to show."""
        self.supervisor.wait_until(settled, _SETTLED_SECONDS)
        if harmed:
            self.supervisor.wait(_AFTERMATH_DEADLINES * self.scenario.removal_ns / 1e9)


def ready_backend(scenario: Scenario, *, hold: bool = False) -> Backend:
    """Return the backend of a scenario, on a machine that has all that it takes.

    Raises:
        BadInput: The backend cannot do what the scenario asks for; says all of it.
        MissingRequirement: This machine lacks something; says all of it.
    """
    backend = backend_of(scenario)
    if refused := backend.refuses(scenario, hold):
        raise BadInput(f"backend {backend.name}: {'; '.join(refused)}")
    if wanted := backend.requirements(scenario):
        from crunchbed.host import requirements  # with the probes of a machine

        requirements.require(wanted)
    return backend


@contextmanager
def claimed(
    backend: Backend, scenario: Scenario, seed: int, out: Path | None, progress: Progress
) -> Iterator[tuple[Site, Path]]:
    """Take an id for a run, and make its directory, under ``runs/`` where ``out`` is None.

    Raises:
        BadInput: The directory cannot be made there.
        MissingRequirement: This machine cannot do it; nothing was started.
    """
    signals.check()
    with backend.claim(scenario, seed, progress) as site:
        directory = rundir.make(scenario, seed, site.run_id, out)
        site.record_directory(directory)
        yield site, directory


@contextmanager
def started(
    site: Site,
    scenario: Scenario,
    out: Path,
    recorder: Recorder,
    progress: Progress,
    *,
    hold: bool = False,
) -> Iterator[Running]:
    """Build the scenario's cluster and boot it; ``Supervisor.require_health`` waits for it.

    Raises:
        RunInvalid: The cluster did not come up, or a part of the testbed has died.
    """
    with site.start(scenario, out, recorder, hold=hold) as world:
        supervisor = Supervisor(
            world,
            site.loop,
            recorder,
            progress,
            reboot_delay_ns=scenario.fencing.reboot_delay,
            panics=scenario.memory.on_exhaustion == "panic",
            confirm=scenario.fencing.confirm,
            watches=not scenario.cluster.repeatable,
        )
        fences = FenceDevice(supervisor.fence, scenario.fencing.delay_ns, recorder)
        world.boot(fences)
        yield Running(
            scenario, site.run_id, out, world, supervisor, site.loop, recorder, progress, fences
        )
